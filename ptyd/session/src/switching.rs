//! Which screen output shows, the primary or the alternate one: clients are told before they have what was printed on it, while
//! the screen itself is fed behind. It looks at bytes alone.

use devpocket_shared::ids::Offset;
use memchr::{memchr_iter, memmem};

use crate::region::Region;
use crate::ring::as_usize;

/// Private modes that show the alternate screen, or the primary one again.
const MODES: [u32; 3] = [47, 1047, 1049];
/// RIS.
const RESET: &[u8; 2] = b"\x1bc";
/// So much of a sequence is looked at.
const LOOKED_AT: usize = 64;

/// What output does to the screen that is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Nothing.
    None,
    /// It shows the alternate screen in the end, or the primary one.
    ToAlternate(bool),
    /// What bytes alone do not tell.
    Unsure,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// What the output that became visible since `from` does to the screen that is shown. `is_alternate`: the alternate one is.
    pub fn switch_since(&self, from: Offset, is_alternate: bool) -> Switch {
        let len = as_usize(self.held().end.0.saturating_sub(from.0));
        let (first, second) = self.slices(from, len);
        let before = switch_in(first, second, is_alternate);
        let later = switch_in(second, &[], before.may_be_alternate(is_alternate));
        if later == Switch::None { before } else { later }
    }
}

impl Switch {
    fn may_be_alternate(self, before: bool) -> bool {
        match self {
            Self::None => before,
            Self::ToAlternate(is_alternate) => is_alternate,
            Self::Unsure => true,
        }
    }
}

/// What `output` does; a sequence that begins in it may end in `next`.
fn switch_in(output: &[u8], next: &[u8], is_alternate: bool) -> Switch {
    let (mut switch, mut found_at) = (Switch::None, 0);
    for at in memchr_iter(b'?', output) {
        let rest = &output[at + 1..];
        let next = &next[..next.len().min(LOOKED_AT.saturating_sub(rest.len()))];
        let found = by_mode(rest.iter().chain(next).take(LOOKED_AT).copied());
        if found != Switch::None {
            (switch, found_at) = (found, at);
        }
    }
    // A full reset shows the primary one. Where that is shown anyway nobody looks for it: a flood is full of escape characters.
    let is_reset = |after: &[u8]| {
        memmem::find(after, RESET).is_some()
            || (after.ends_with(&RESET[..1]) && next.first() == Some(&RESET[1]))
    };
    if switch.may_be_alternate(is_alternate) && is_reset(&output[found_at..]) {
        return Switch::ToAlternate(false);
    }
    switch
}

/// What private modes do that stand here, up to their final byte.
fn by_mode(sequence: impl Iterator<Item = u8>) -> Switch {
    let (mut mode, mut is_one) = (0_u32, false);
    for byte in sequence {
        match byte {
            b'0'..=b'9' => mode = mode.saturating_mul(10).saturating_add(u32::from(byte - b'0')),
            b';' => {
                is_one |= MODES.contains(&mode);
                mode = 0;
            }
            _ => {
                is_one |= MODES.contains(&mode);
                return match (is_one, byte) {
                    (true, b'h' | b'l') => Switch::ToAlternate(byte == b'h'),
                    (true, b'r') => Switch::Unsure,
                    _ => Switch::None,
                };
            }
        }
    }
    // Its end is not in sight.
    Switch::Unsure
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};

    #[test]
    fn the_last_switch_counts_however_its_modes_are_written() {
        let many = format!("\x1b[?{}1049h", "25;".repeat(40));
        for (output, switch) in [
            ("", Switch::None),
            ("\x1b[?25h\x1b[?1049s\x1b[?10490h what? 47 \x1b[1049h c", Switch::None),
            ("\x1b[?1049h", Switch::ToAlternate(true)),
            ("x\x1b[?1049ly", Switch::ToAlternate(false)),
            ("\x1b[?25;1047;7h", Switch::ToAlternate(true)),
            ("\u{9b}?47h", Switch::ToAlternate(true)),
            ("\x1b[?01049h", Switch::ToAlternate(true)),
            ("\x1b[?1049h text \x1b[?1049l", Switch::ToAlternate(false)),
            ("\x1b[?1049l text \x1b[?1049h", Switch::ToAlternate(true)),
            ("\x1b[?1049h\x1bc", Switch::ToAlternate(false)),
            // The primary one is shown already.
            ("\x1bc", Switch::None),
            ("\x1b[?1049r", Switch::Unsure),
            (&many, Switch::Unsure),
        ] {
            assert_eq!(switch_in(output.as_bytes(), &[], false), switch, "{output:?}");
        }
    }

    #[test]
    fn a_sequence_across_the_rings_end_is_seen() {
        for text in [&b"\x1b[?1049h"[..], b"\x1bc", b"\x1b[?1049h\x1bc"] {
            let expected = switch_in(text, &[], true);
            assert_ne!(expected, Switch::None);
            for begins in 0..=text.len() {
                let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
                let mut region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
                let mut put = |mut bytes: &[u8]| {
                    while !bytes.is_empty() {
                        let space = region.space(None);
                        let len = space.len().min(bytes.len());
                        space[..len].copy_from_slice(&bytes[..len]);
                        region.commit(len);
                        region.show_all();
                        bytes = &bytes[len..];
                    }
                    region.held().end
                };
                let from = put(&vec![b' '; as_usize(MIN_RING_BYTES) - begins]);
                put(text);
                assert_eq!(region.switch_since(from, true), expected, "{begins} bytes before the end");
            }
        }
    }
}
