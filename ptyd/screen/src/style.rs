//! How a cell looks.

use crate::parser::Params;

/// A colour, as the program named it: what a palette colour looks like is the client's own affair.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Color {
    /// The terminal's own.
    #[default]
    Default,
    /// One of 256.
    Palette(u8),
    /// Red, green, blue.
    Rgb(u8, u8, u8),
}

/// Attributes that are there or not, as bits.
pub mod flag {
    #![expect(missing_docs, reason = "named as SGR names them")]
    pub const BOLD: u16 = 1;
    pub const DIM: u16 = 2;
    pub const ITALIC: u16 = 4;
    pub const BLINK: u16 = 8;
    pub const INVERSE: u16 = 16;
    pub const HIDDEN: u16 = 32;
    pub const STRIKE: u16 = 64;
    pub const OVERLINE: u16 = 128;
    /// Selective erase leaves it (DECSCA).
    pub const PROTECTED: u16 = 256;
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Style {
    /// Foreground.
    pub fg: Color,
    /// Background.
    pub bg: Color,
    /// Of the underline; default: the foreground's.
    pub underline_color: Color,
    /// Bits of [`flag`].
    pub flags: u16,
    /// 0 none, 1 single, 2 double, 3 curly, 4 dotted, 5 dashed.
    pub underline: u8,
    /// Number of its link; 0: none.
    pub link: u16,
}

impl Style {
    /// What is erased with this pen: its background alone.
    #[must_use]
    pub fn erased(self) -> Self {
        Self { bg: self.bg, ..Self::default() }
    }

    /// Changes the pen as SGR says (ECMA-48 8.3.117, and xterm's and kitty's additions).
    pub fn apply_sgr(&mut self, params: &Params) {
        if params.is_empty() {
            return self.reset();
        }
        let mut at = 0;
        while at < params.len() {
            at += self.apply_one(params, at, params.subs_of(at));
        }
    }

    fn reset(&mut self) {
        *self = Self { link: self.link, ..Self::default() };
    }

    /// One attribute; returns how many numbers it used.
    fn apply_one(&mut self, params: &Params, at: usize, subs: usize) -> usize {
        let value = params.value(at);
        let small = |value: u16, base: u16| u8::try_from(value.saturating_sub(base)).unwrap_or(0);
        match value {
            0 => self.reset(),
            1 => self.flags |= flag::BOLD,
            2 => self.flags |= flag::DIM,
            3 => self.flags |= flag::ITALIC,
            4 => {
                let style = if subs > 0 { params.value(at + 1) } else { 1 };
                self.underline = if style <= 5 { small(style, 0) } else { 1 };
            }
            5 | 6 => self.flags |= flag::BLINK,
            7 => self.flags |= flag::INVERSE,
            8 => self.flags |= flag::HIDDEN,
            9 => self.flags |= flag::STRIKE,
            21 => self.underline = 2,
            22 => self.flags &= !(flag::BOLD | flag::DIM),
            23 => self.flags &= !flag::ITALIC,
            24 => self.underline = 0,
            25 => self.flags &= !flag::BLINK,
            27 => self.flags &= !flag::INVERSE,
            28 => self.flags &= !flag::HIDDEN,
            29 => self.flags &= !flag::STRIKE,
            30..=37 => self.fg = Color::Palette(small(value, 30)),
            39 => self.fg = Color::Default,
            40..=47 => self.bg = Color::Palette(small(value, 40)),
            49 => self.bg = Color::Default,
            53 => self.flags |= flag::OVERLINE,
            55 => self.flags &= !flag::OVERLINE,
            59 => self.underline_color = Color::Default,
            90..=97 => self.fg = Color::Palette(small(value, 82)),
            100..=107 => self.bg = Color::Palette(small(value, 92)),
            38 | 48 | 58 => {
                let (color, used) = extended(params, at, subs);
                if let Some(color) = color {
                    match value {
                        38 => self.fg = color,
                        48 => self.bg = color,
                        _ => self.underline_color = color,
                    }
                }
                return used;
            }
            _ => {}
        }
        1 + subs
    }
}

/// `38;5;n`, `38;2;r;g;b`, `38:5:n`, `38:2:r:g:b` and `38:2:space:r:g:b`.
fn extended(params: &Params, at: usize, subs: usize) -> (Option<Color>, usize) {
    let byte = |index: usize| u8::try_from(params.value(index).min(255)).unwrap_or(255);
    if subs > 0 {
        let color = match (params.value(at + 1), subs) {
            (5, 2..) => Some(Color::Palette(byte(at + 2))),
            (2, 5..) => Some(Color::Rgb(byte(at + 3), byte(at + 4), byte(at + 5))),
            (2, 4) => Some(Color::Rgb(byte(at + 2), byte(at + 3), byte(at + 4))),
            _ => None,
        };
        return (color, 1 + subs);
    }
    match params.get(at + 1) {
        Some(5) if at + 2 < params.len() => (Some(Color::Palette(byte(at + 2))), 3),
        Some(2) if at + 4 < params.len() => (Some(Color::Rgb(byte(at + 2), byte(at + 3), byte(at + 4))), 5),
        // Cut short: what is left of it means nothing.
        Some(2 | 5) => (None, params.len() - at),
        _ => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::{Event, Parser};

    #[test]
    fn every_attribute_is_set_and_taken_back() {
        let check = |sgr: &str, expected: Style| {
            let mut parser = Parser::new();
            let text = format!("\x1b[{sgr}m");
            let (_, Event::Csi(csi)) = parser.next(text.as_bytes()) else { panic!("{sgr} is no sequence") };
            let mut style = Style { flags: flag::BOLD | flag::DIM, underline: 1, ..Style::default() };
            style.apply_sgr(csi.params);
            assert_eq!(style, expected, "{sgr}");
        };
        let base = Style { flags: flag::BOLD | flag::DIM, underline: 1, ..Style::default() };
        check("", Style::default());
        check("0;3", Style { flags: flag::ITALIC, ..Style::default() });
        check("22;24", Style::default());
        check("4:3;58:5:9", Style { underline: 3, underline_color: Color::Palette(9), ..base });
        check("38;5;200;48;2;1;2;3", Style { fg: Color::Palette(200), bg: Color::Rgb(1, 2, 3), ..base });
        check("38:2::9:8:7", Style { fg: Color::Rgb(9, 8, 7), ..base });
        check("38:2:9:8:7", Style { fg: Color::Rgb(9, 8, 7), ..base });
        check("95;103", Style { fg: Color::Palette(13), bg: Color::Palette(11), ..base });
        check("38;2;1", base);
    }
}
