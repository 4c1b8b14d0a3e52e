//! What a stream mostly is, taken at once: ASCII, controls, whole control sequences. All else, and what is not whole, is left
//! to the states of the parser.

use super::scan::printable_ascii;
use super::{ESC, MAX_MIXED_TEXT, Parser, Sequence};

/// What mostly comes in ground state, small enough to be told in a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Usual {
    /// So many bytes of printable ASCII.
    Ascii(usize),
    /// A C0 control, one byte.
    Control(u8),
    /// A whole control sequence of so many bytes, its prefix and its last byte; its numbers are the parser's.
    Csi(usize, Option<u8>, u8),
    /// Something else.
    Other,
}

impl Parser {
    /// Takes what mostly comes off the front of `bytes`, if it is that.
    #[inline]
    pub(crate) fn usual(&mut self, bytes: &[u8]) -> Usual {
        if !self.is_ground() {
            return Usual::Other;
        }
        match bytes.first() {
            Some(0x20..=0x7E) => {
                let len = printable_ascii(bytes);
                // Text that goes on in other characters is taken with them, unless it is long.
                let ends = len > MAX_MIXED_TEXT || bytes.get(len).is_none_or(|next| *next < 0x80);
                if ends { Usual::Ascii(len) } else { Usual::Other }
            }
            Some(&ESC) => self.whole_csi(bytes),
            Some(&control @ ..0x20) => Usual::Control(control),
            _ => Usual::Other,
        }
    }

    /// The control sequence that [`Parser::usual`] took.
    pub(crate) fn usual_sequence(&self, prefix: Option<u8>, final_byte: u8) -> Sequence<'_> {
        Sequence { prefix, params: &self.params, intermediates: &[], final_byte }
    }

    /// A usual control sequence that is whole. Others are taken byte by byte.
    #[inline]
    fn whole_csi(&mut self, bytes: &[u8]) -> Usual {
        let [ESC, b'[', rest @ ..] = bytes else { return Usual::Other };
        let prefix = rest.first().copied().filter(|byte| matches!(byte, b'<'..=b'?'));
        let prefixed = usize::from(prefix.is_some());
        self.params.clear();
        let len = self.params.take_plain(&rest[prefixed..]) + prefixed;
        match rest.get(len) {
            Some(final_byte @ 0x40..=0x7E) => Usual::Csi(len + 3, prefix, *final_byte),
            _ => Usual::Other,
        }
    }
}
