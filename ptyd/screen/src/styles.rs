//! The styles of a screen: each different one is kept once, under a number.

use std::collections::HashMap;

use crate::style::{Color, Style};

/// Styles kept at once. Full means: those on no cell are forgotten.
pub(crate) const MAX_STYLES: usize = 1 << 16;
/// Styles found without looking for them: programs go back and forth between a few.
const AT_HAND: usize = 64;

/// The styles of a screen, by number. Style 0 is the default one.
#[derive(Clone, Debug)]
pub(crate) struct Styles {
    list: Vec<Style>,
    numbers: HashMap<Style, u16>,
    at_hand: [(Style, u16); AT_HAND],
    /// Some style has DECSCA's protection.
    pub(crate) any_protected: bool,
}

impl Default for Styles {
    fn default() -> Self {
        Self {
            list: vec![Style::default()],
            numbers: HashMap::new(),
            at_hand: [(Style::default(), 0); AT_HAND],
            any_protected: false,
        }
    }
}

impl Styles {
    /// The style of a number.
    pub(crate) fn get(&self, number: u16) -> Style {
        self.list.get(usize::from(number)).copied().unwrap_or_default()
    }

    /// The number of a style; none: there are too many.
    pub(crate) fn number(&mut self, style: Style) -> Option<u16> {
        let place = place(style);
        let (at_hand, number) = self.at_hand[place];
        if at_hand == style {
            return Some(number);
        }
        let number = self.find(style)?;
        self.at_hand[place] = (style, number);
        Some(number)
    }

    fn find(&mut self, style: Style) -> Option<u16> {
        if style == Style::default() {
            return Some(0);
        }
        if let Some(number) = self.numbers.get(&style) {
            return Some(*number);
        }
        if self.list.len() >= MAX_STYLES {
            return None;
        }
        let number = u16::try_from(self.list.len()).ok()?;
        self.list.push(style);
        self.numbers.insert(style, number);
        self.any_protected |= style.flags & crate::style::flag::PROTECTED != 0;
        Some(number)
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn clear(&mut self) {
        if self.list.len() > 1 {
            *self = Self::default();
        }
    }

    /// Bytes of its memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.list.capacity() * size_of::<Style>()
            + self.numbers.capacity() * (size_of::<(Style, u16)>() + 1)
    }
}

/// Where a style is at hand, if it is. Who makes styles that share a place only loses what it would have saved.
fn place(style: Style) -> usize {
    let bits = |color: Color| match color {
        Color::Default => 0,
        Color::Palette(index) => 1 << 24 | u64::from(index),
        Color::Rgb(r, g, b) => 2 << 24 | u64::from(r) << 16 | u64::from(g) << 8 | u64::from(b),
    };
    let colors = bits(style.fg) ^ bits(style.bg) << 27 ^ bits(style.underline_color) << 38;
    let rest = u64::from(style.flags) ^ u64::from(style.underline) << 9 ^ u64::from(style.link) << 12;
    let mixed = (colors ^ rest << 33).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    crate::as_usize(mixed >> 58)
}
