//! One place of a screen, in eight bytes.

use std::collections::HashMap;

/// One place of a screen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Cell {
    /// A character; 0: nothing was printed here. With [`CLUSTER`]: a number in [`Clusters`].
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

/// Characters with marks, each kept once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clusters {
    list: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

/// Clusters kept at once; a further one is shown without its last mark.
pub(crate) const MAX_CLUSTERS: usize = 4096;
/// Longest cluster, in bytes; more marks are dropped.
const MAX_CLUSTER_BYTES: usize = 48;

impl Clusters {
    /// The number of a cell's glyph with `mark` added; none: there is no room for it.
    pub(crate) fn add(&mut self, glyph: u32, mark: char) -> Option<u32> {
        let mut text = String::new();
        self.push_text(glyph, &mut text);
        text.push(mark);
        self.number(&text)
    }

    pub(crate) fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(number | CLUSTER);
        }
        if text.len() > MAX_CLUSTER_BYTES || self.list.len() >= MAX_CLUSTERS {
            return None;
        }
        let number = u32::try_from(self.list.len()).ok()?;
        self.list.push(text.into());
        self.numbers.insert(text.into(), number);
        Some(number | CLUSTER)
    }

    /// Appends what a glyph looks like; nothing for an empty one.
    pub(crate) fn push_text(&self, glyph: u32, to: &mut String) {
        if glyph & CLUSTER != 0 {
            to.push_str(self.list.get((glyph & !CLUSTER) as usize).map_or("", |text| text));
        } else if glyph != 0 {
            to.push(char::from_u32(glyph).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
    }
}
