//! Whether output may show the other screen: clients are told which one is shown before they have what was printed on it,
//! while the screen itself is fed behind. It looks at bytes alone, and may say so once too often.

use devpocket_shared::ids::Offset;
use memchr::{memchr_iter, memmem};

use crate::region::Region;
use crate::ring::as_usize;

/// Private modes that show the alternate screen, or the primary one again.
const MODES: [&[u8]; 3] = [b"47", b"1047", b"1049"];
/// What ends a sequence that sets, resets or restores private modes.
const FINALS: &[u8] = b"hlr";
/// So much of a sequence is looked at.
const LOOKED_AT: usize = 64;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Whether what became visible since `from` may have changed which screen is shown. `is_alternate`: the alternate one is.
    pub fn may_switch_screens(&self, from: Offset, is_alternate: bool) -> bool {
        let len = as_usize(self.held().end.0.saturating_sub(from.0));
        let (first, second) = self.slices(from, len);
        if may_switch(first, is_alternate) || may_switch(second, is_alternate) {
            return true;
        }
        // A sequence may lie across the ring's end.
        let seam = [&first[first.len().saturating_sub(LOOKED_AT)..], &second[..second.len().min(LOOKED_AT)]];
        !second.is_empty() && may_switch(&seam.concat(), is_alternate)
    }
}

fn may_switch(output: &[u8], is_alternate: bool) -> bool {
    let by_mode = memchr_iter(b'?', output).any(|at| {
        let rest = &output[at + 1..];
        let rest = &rest[..rest.len().min(LOOKED_AT)];
        let len = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
        let is_mode = |param: &[u8]| MODES.contains(&param);
        rest.get(len).is_some_and(|last| FINALS.contains(last))
            && rest[..len].split(|byte| *byte == b';').any(is_mode)
    });
    // A full reset shows the primary one.
    by_mode || (is_alternate && memmem::find(output, b"\x1bc").is_some())
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};

    #[test]
    fn modes_of_the_other_screen_are_seen_among_others() {
        for yes in
            ["\x1b[?1049h", "x\x1b[?1049ly", "\x1b[?25;1047;7h", "\u{9b}?47h", "\x1b[?1049r", "??\x1b[?1049h"]
        {
            assert!(may_switch(yes.as_bytes(), false), "{yes:?}");
        }
        for no in
            ["", "\x1b[?25h", "\x1b[?1049", "\x1b[?1049s", "\x1b[?10490h", "what? 47", "\x1b[1049h", "\x1bc"]
        {
            assert!(!may_switch(no.as_bytes(), false), "{no:?}");
        }
        assert!(may_switch(b"\x1bc", true), "a full reset");
    }

    #[test]
    fn a_sequence_across_the_rings_end_is_seen() {
        let text = b"\x1b[?1049h";
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
            assert!(region.may_switch_screens(from, false), "{begins} bytes before the end");
        }
    }
}
