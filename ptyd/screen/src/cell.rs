//! One place of a screen, in eight bytes.

/// One place of a screen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cell {
    /// A character; 0: nothing was printed here. With [`CLUSTER`]: a number in [`crate::clusters::Clusters`].
    pub(crate) glyph: u32,
    /// Number of its style.
    pub(crate) style: u16,
    /// Columns it takes: 1, 2, or 0 for the right half of a wide one and for a mark without a base.
    pub(crate) flags: u16,
}

/// Set in `glyph` for a cluster.
pub(crate) const CLUSTER: u32 = 1 << 31;
/// The first half of a wide character.
pub(crate) const WIDE: u16 = 1;
/// No columns of its own.
pub(crate) const ZERO: u16 = 2;

impl Cell {
    pub(crate) const fn blank(style: u16) -> Self {
        Self { glyph: 0, style, flags: 0 }
    }

    pub(crate) const fn ascii(byte: u8, style: u16) -> Self {
        Self { glyph: byte as u32, style, flags: 0 }
    }

    pub(crate) fn width(self) -> u16 {
        match self.flags {
            WIDE => 2,
            ZERO => 0,
            _ => 1,
        }
    }

    /// The right half of a wide character.
    pub(crate) fn is_spacer(self) -> bool {
        self.flags == ZERO && self.glyph == 0
    }
}
