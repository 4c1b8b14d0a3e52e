//! The styles of a screen: each different one is kept once, under a number.

use std::collections::HashMap;

use crate::style::{Color, Style, flag};

/// Styles found without looking for them: programs go back and forth between a few.
const AT_HAND: usize = 64;

/// The styles of a screen, by number: 65,536 at most. Full means: those on no cell are forgotten. Style 0 is the default one.
#[derive(Clone, Debug)]
pub(crate) struct Styles {
    list: Vec<Style>,
    /// Numbers below the list's length that no style has.
    free: Vec<u16>,
    numbers: HashMap<Key, u16>,
    at_hand: [(Key, u16); AT_HAND],
    /// Some style has DECSCA's protection.
    pub(crate) any_protected: bool,
}

impl Default for Styles {
    fn default() -> Self {
        Self {
            list: vec![Style::default()],
            free: Vec::new(),
            numbers: HashMap::new(),
            at_hand: [(key(&Style::default()), 0); AT_HAND],
            any_protected: false,
        }
    }
}

impl Styles {
    /// The style of a number.
    pub(crate) fn get(&self, number: u16) -> Style {
        *self.get_ref(number)
    }

    pub(crate) fn get_ref(&self, number: u16) -> &Style {
        self.list.get(usize::from(number)).unwrap_or(&self.list[0])
    }

    /// The number of a style; none: there are too many.
    pub(crate) fn number(&mut self, style: &Style) -> Option<u16> {
        let key = key(style);
        let place = place(key);
        let (at_hand, number) = self.at_hand[place];
        if at_hand == key {
            return Some(number);
        }
        let number = self.find(*style, key)?;
        self.at_hand[place] = (key, number);
        Some(number)
    }

    fn find(&mut self, style: Style, key: Key) -> Option<u16> {
        if style == Style::default() {
            return Some(0);
        }
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let number = match self.free.pop() {
            Some(number) => number,
            // Full: there is no such number.
            None => u16::try_from(self.list.len()).ok()?,
        };
        match self.list.get_mut(usize::from(number)) {
            Some(place) => *place = style,
            None => self.list.push(style),
        }
        self.numbers.insert(key, number);
        self.any_protected |= style.flags & flag::PROTECTED != 0;
        Some(number)
    }

    /// Numbers in use or free.
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Forgets all styles but the default one and those whose number is marked.
    pub(crate) fn retain(&mut self, marked: &[bool]) {
        self.at_hand = [(key(&Style::default()), 0); AT_HAND];
        let list = &self.list;
        self.numbers.retain(|_, number| marked[usize::from(*number)]);
        let unmarked = (1..=u16::MAX).zip(&marked[1..list.len()]).filter(|(_, marked)| !**marked);
        self.free = unmarked.map(|(number, _)| number).collect();
        let protected = |(style, marked): (&Style, &bool)| *marked && style.flags & flag::PROTECTED != 0;
        self.any_protected = self.list.iter().zip(marked).any(protected);
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
            + self.numbers.capacity() * (size_of::<(Key, u16)>() + 1)
    }
}

/// A style in two numbers: compared and hashed much faster.
type Key = [u64; 2];

/// The style is not copied: the pen was just written to in pieces, and would have to be waited for.
fn key(style: &Style) -> Key {
    let bits = |color: &Color| match *color {
        Color::Default => 0,
        Color::Palette(index) => 1 << 24 | u64::from(index),
        Color::Rgb(r, g, b) => 2 << 24 | u64::from(r) << 16 | u64::from(g) << 8 | u64::from(b),
    };
    let rest = u64::from(style.flags) | u64::from(style.underline) << 9 | u64::from(style.link) << 12;
    [bits(&style.fg) | bits(&style.bg) << 32, bits(&style.underline_color) | rest << 32]
}

/// Where a style is at hand, if it is. Who makes styles that share a place only loses what it would have saved.
fn place([colors, rest]: Key) -> usize {
    let mixed = (colors ^ rest.rotate_left(17)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    crate::as_usize(mixed >> 58)
}
