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

    /// Nothing was printed here: only the colour behind it shows, whatever else its style says.
    pub(crate) fn shows_nothing(self) -> bool {
        self.glyph == 0 && self.flags != ZERO
    }

    /// The right half of a wide character.
    pub(crate) fn is_spacer(self) -> bool {
        self.flags == ZERO && self.glyph == 0
    }
}

/// A cell as rows keep it: glyph, style and flags in one number, so that runs of them are written and read many at a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Packed(u64);

impl Packed {
    pub(crate) const fn ascii(byte: u8, style: u16) -> Self {
        Self(byte as u64 | (style as u64) << 32)
    }

    pub(crate) const fn new(cell: Cell) -> Self {
        Self(cell.glyph as u64 | (cell.style as u64) << 32 | (cell.flags as u64) << 48)
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is taken apart")]
    pub(crate) const fn cell(self) -> Cell {
        Cell { glyph: self.0 as u32, style: (self.0 >> 32) as u16, flags: (self.0 >> 48) as u16 }
    }

    /// The first byte of its glyph.
    pub(crate) const fn byte(self) -> u8 {
        self.0.to_le_bytes()[0]
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is taken apart")]
    pub(crate) const fn style(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// One ASCII character, or nothing, in a place of its own.
    pub(crate) const fn is_ascii(self) -> bool {
        self.0 & !(0xFFFF << 32) < 0x80
    }

    /// The bits that are set in some of them.
    pub(crate) fn any(cells: &[Self], other: Self) -> Self {
        cells.iter().fold(other, |all, cell| Self(all.0 | cell.0))
    }
}
