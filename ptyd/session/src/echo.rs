//! Whether a shell shows anything on the line behind its prompt, and what the line ends with. It looks at the output alone: what is typed and not shown, as a
//! password, is not known here.

use devpocket_shared::ids::Offset;
use ptyd_screen::parser::{Event, Parser};

use crate::plain::plain_text;
use crate::region::Region;

/// So much behind the prompt is looked at; a line of which the beginning alone is seen is one that something stands on.
const LOOKED_AT: usize = 4 << 10;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Whether anything was printed on the line since the prompt that ends at `from`, but for a prompt on the right; true where it
    /// cannot be told.
    pub fn is_line_begun(&self, from: u64) -> bool {
        let held = self.held();
        if !(held.start.0..=held.end.0).contains(&from) {
            return true;
        }
        let len = usize::try_from(held.end.0 - from).unwrap_or(usize::MAX).min(LOOKED_AT);
        let (first, second) = self.slices(Offset(from), len);
        is_begun(&[first, second].concat())
    }

    /// The last character, but for spaces, of the line that the output so far ends with; none: nothing stands on it.
    pub fn last_on_line(&self) -> Option<char> {
        let end = self.held().end.0;
        let from = Offset(end.saturating_sub(LOOKED_AT as u64).max(self.held().start.0));
        let (first, second) = self.slices(from, LOOKED_AT);
        let (text, _) = plain_text(&[first, second].concat(), LOOKED_AT);
        text.rsplit('\n').next()?.trim_end().chars().next_back()
    }
}

fn is_begun(output: &[u8]) -> bool {
    // How far right of the prompt's end the cursor is, once it has gone there, and whether anything is printed there.
    let (mut away, mut is_printed) = (None::<usize>, false);
    // The line was gone back to: where the cursor is now cannot be told without its screen.
    let mut is_unsure = false;
    let (mut parser, mut rest) = (Parser::new(), output);
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        let printed = match &event {
            Event::Text(text) => text.chars().count(),
            Event::Ascii(bytes) => bytes.len(),
            Event::Invalid => 1,
            Event::Control(b'\r' | b'\n' | 0x08) => {
                is_unsure = true;
                0
            }
            Event::Csi(csi) if csi.prefix.is_none() => {
                let steps = usize::from(csi.params.value(0).max(1));
                match csi.final_byte {
                    b'C' => away = Some(away.unwrap_or(0) + steps),
                    b'D' if away == Some(steps) => (away, is_printed) = (None, false),
                    b'A' | b'B' | b'D' | b'E' | b'F' | b'G' | b'H' | b'd' | b'f' => is_unsure = true,
                    _ => {}
                }
                0
            }
            Event::Control(_)
            | Event::Csi(_)
            | Event::Escape { .. }
            | Event::String(_)
            | Event::Broken
            | Event::Pending
            | Event::Ignored => 0,
        };
        if printed > 0 {
            let Some(at) = away.filter(|_| !is_unsure) else { return true };
            (away, is_printed) = (Some(at + printed), true);
        }
        rest = &rest[used..];
    }
    is_printed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_prints_behind_an_empty_prompt_begins_no_line() {
        for empty in ["", "\x1b[K\x1b[?2004h", "\x1b]0;a title\x07\x1b=\x1b[m", "\r\x1b[3C\x1b[K"] {
            assert!(!is_begun(empty.as_bytes()), "{empty:?}");
        }
        assert!(!is_begun(b"\x1b[K\x1b[60C\x1b[32mright\x1b[m\x1b[65D\x1b[?2004h"), "a prompt on the right");
    }

    #[test]
    fn what_is_echoed_begins_one() {
        for typed in [
            "x",
            "\x1b[K\x1b[?2004hls",
            " ",
            "\r\x1b[3Cls",
            "\x1b[5Cls",
            "\x1b[5Cls\x1b[7Dx",
            "\x1b[5Cls\x1b[3D",
        ] {
            assert!(is_begun(typed.as_bytes()), "{typed:?}");
        }
    }
}
