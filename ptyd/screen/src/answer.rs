//! What a program that asks is told: by the screen, for all clients. No answer repeats what the program itself sent, so
//! that nothing it prints can come back as typed text.

use crate::parser::{Event, Parser, Sequence, StringKind, StringSequence};
use crate::screen::Screen;
use crate::style::{Color, Style, flag};

/// What XTVERSION says.
const NAME: &str = concat!("DevPocket ", env!("CARGO_PKG_VERSION"));
/// Foreground, background and cursor of a client that was not told otherwise.
const DYNAMIC: [(u8, u8, u8); 3] = [(0xE6, 0xE6, 0xE6), (0, 0, 0), (0xE6, 0xE6, 0xE6)];
/// Height and width of a place in pixels: the VT340's, for programs that ask. Clients draw at sizes of their own, and do not tell.
const CELL_PIXELS: (usize, usize) = (20, 10);

/// XTGETTCAP's word for what is not there.
const NO_CAPABILITY: &str = "\x1bP0+r\x1b\\";
/// One query may ask for many things: its answers end about here, in bytes.
const MAX_ANSWERS_BYTES: usize = 1 << 10;
/// The longest answer to what asks for one thing, or for the few colours beside the palette.
const MAX_ANSWER_BYTES: usize = 128;
/// The longest that tells one colour of the palette.
const MAX_COLOR_BYTES: usize = "\x1b]4;255;rgb:ffff/ffff/ffff\x1b\\".len();

/// Of how many pieces, whole sequences each, the answer to `query` consists at most, and how long a piece is at most, in
/// bytes. Known before there is a screen to ask, so that there is room for the answer.
pub fn most_answers(query: &[u8]) -> (usize, usize) {
    let mut parser = Parser::new();
    let mut rest = query;
    let mut most = (1, MAX_ANSWER_BYTES);
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        if let Event::String(string) = &event {
            let mut parts = string.payload.split(|byte| *byte == b';');
            match string.kind {
                StringKind::Osc if parts.next() == Some(b"4") => {
                    let asked = parts.filter(|part| *part == b"?").count();
                    most = (asked, MAX_COLOR_BYTES);
                }
                StringKind::Dcs if string.head.is_some_and(|head| head.intermediates == b"+") => {
                    most = (parts.count(), NO_CAPABILITY.len());
                }
                StringKind::Osc | StringKind::Dcs | StringKind::Apc | StringKind::Pm | StringKind::Sos => {}
            }
        }
        rest = &rest[used..];
    }
    most
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The answer to `query`, one whole sequence for which [`crate::query::is_query`] holds, as of now. None: it is never
    /// answered, such as what would tell a title, the clipboard, a file, or the screen's text.
    pub fn answer(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let mut parser = Parser::new();
        let mut rest = query;
        while !rest.is_empty() {
            let (used, event) = parser.next(rest);
            let answer = match &event {
                Event::Csi(csi) => self.answer_csi(csi),
                Event::String(string) => self.answer_string(string),
                Event::Escape { intermediates: [], final_byte: b'Z' } => Some(attributes()),
                Event::Control(0x9A) => Some(attributes()),
                Event::Control(_)
                | Event::Escape { .. }
                | Event::Text(_)
                | Event::Ascii(_)
                | Event::Invalid
                | Event::Pending
                | Event::Ignored
                | Event::Broken => None,
            };
            if let Some(answer) = answer {
                return Some(answer.into_bytes());
            }
            rest = &rest[used..];
        }
        None
    }

    fn answer_csi(&self, csi: &Sequence<'_>) -> Option<String> {
        let first = csi.params.value(0);
        match (csi.prefix, csi.intermediates, csi.final_byte) {
            (None, [], b'c') if first == 0 => Some(attributes()),
            // Of what xterm.js calls itself. A VT420 (41) would be one with left and right margins: tmux takes it at its word.
            (Some(b'>'), [], b'c') if first == 0 => Some("\x1b[>0;354;0c".to_owned()),
            (Some(b'='), [], b'c') if first == 0 => Some("\x1bP!|00000000\x1b\\".to_owned()),
            (None, [], b'n') if first == 5 => Some("\x1b[0n".to_owned()),
            (None, [], b'n') if first == 6 => {
                let (row, col) = self.cursor_position();
                Some(format!("\x1b[{row};{col}R"))
            }
            (Some(b'?'), [], b'n') => match first {
                6 => {
                    let (row, col) = self.cursor_position();
                    Some(format!("\x1b[?{row};{col};1R"))
                }
                15 => Some("\x1b[?13n".to_owned()),
                25 => Some("\x1b[?20n".to_owned()),
                26 => Some("\x1b[?27;1;0;0n".to_owned()),
                53 | 55 => Some("\x1b[?53n".to_owned()),
                56 => Some("\x1b[?57;0n".to_owned()),
                996 => Some("\x1b[?997;1n".to_owned()),
                _ => None,
            },
            (Some(b'>'), [], b'q') if first == 0 => Some(format!("\x1bP>|{NAME}\x1b\\")),
            (Some(b'?'), [], b'u') => {
                Some(format!("\x1b[?{}u", self.side.keyboard.last().copied().unwrap_or(0)))
            }
            (Some(b'?'), [], b'm') if first == 4 => {
                Some(format!("\x1b[>4;{}m", self.modes.modify_other_keys))
            }
            (Some(b'?'), [b'$'], b'p') => {
                Some(format!("\x1b[?{first};{}$y", state(self.modes.private(first))))
            }
            (None, [b'$'], b'p') => {
                let known = match first {
                    4 => Some(self.modes.insert),
                    20 => Some(self.modes.new_line),
                    _ => None,
                };
                Some(format!("\x1b[{first};{}$y", state(known)))
            }
            (None, [], b'x') if first <= 1 => Some(format!("\x1b[{};1;1;128;128;1;0x", first + 2)),
            (None, [], b't') => match first {
                11 => Some("\x1b[1t".to_owned()),
                14 | 15 => {
                    let (height, width) = (self.rows() * CELL_PIXELS.0, self.cols() * CELL_PIXELS.1);
                    Some(format!("\x1b[{};{height};{width}t", first - 10))
                }
                16 => Some(format!("\x1b[6;{};{}t", CELL_PIXELS.0, CELL_PIXELS.1)),
                18 => Some(format!("\x1b[8;{};{}t", self.rows(), self.cols())),
                19 => Some(format!("\x1b[9;{};{}t", self.rows(), self.cols())),
                _ => None,
            },
            _ => None,
        }
    }

    fn answer_string(&self, string: &StringSequence<'_>) -> Option<String> {
        match string.kind {
            StringKind::Osc => self.answer_osc(string.payload),
            StringKind::Dcs => {
                let head = string.head?;
                match head.intermediates {
                    [b'$'] => Some(self.setting(string.payload)),
                    // No capability is told by name: the name would come back.
                    [b'+'] => {
                        let names = string.payload.split(|byte| *byte == b';').count();
                        Some(NO_CAPABILITY.repeat(names.min(MAX_ANSWERS_BYTES / NO_CAPABILITY.len())))
                    }
                    _ => None,
                }
            }
            StringKind::Apc | StringKind::Pm | StringKind::Sos => None,
        }
    }

    fn answer_osc(&self, payload: &[u8]) -> Option<String> {
        let mut parts = payload.split(|byte| *byte == b';');
        let number = parts.next()?;
        let color = |(r, g, b): (u8, u8, u8)| format!("rgb:{r:02x}{r:02x}/{g:02x}{g:02x}/{b:02x}{b:02x}");
        match number {
            b"10" | b"11" | b"12" => {
                let first = usize::from(number[1] - b'0');
                let mut answer = String::new();
                for (place, part) in (first..3).zip(parts) {
                    if part == b"?" {
                        let value = self.dynamic[place].unwrap_or(DYNAMIC[place]);
                        answer.push_str(&format!("\x1b]1{place};{}\x1b\\", color(value)));
                    }
                }
                Some(answer).filter(|answer| !answer.is_empty())
            }
            b"4" => {
                let mut answer = String::new();
                while let (Some(index), Some(spec)) = (parts.next(), parts.next()) {
                    let index: Option<u8> = str::from_utf8(index).ok().and_then(|index| index.parse().ok());
                    if let (Some(index), b"?") = (index, spec)
                        && answer.len() < MAX_ANSWERS_BYTES
                    {
                        answer
                            .push_str(&format!("\x1b]4;{index};{}\x1b\\", color(self.palette_color(index))));
                    }
                }
                Some(answer).filter(|answer| !answer.is_empty())
            }
            _ => None,
        }
    }

    /// DECRQSS.
    fn setting(&self, name: &[u8]) -> String {
        let value = match name {
            b"m" => format!("{}m", sgr(self.pen)),
            b"r" => format!("{};{}r", self.side.top + 1, self.side.bottom + 1),
            b"s" if self.margins.on => {
                let (left, right) = self.columns();
                format!("{};{}s", left + 1, right + 1)
            }
            b" q" => format!("{} q", self.cursor_style),
            b"\"q" => format!("{}\"q", u8::from(self.pen.flags & flag::PROTECTED != 0)),
            b"\"p" => "64;1\"p".to_owned(),
            _ => return "\x1bP0$r\x1b\\".to_owned(),
        };
        format!("\x1bP1$r{value}\x1b\\")
    }

    /// Row and column from 1, counted from the region's top and the left margin in origin mode.
    fn cursor_position(&self) -> (usize, usize) {
        let top = if self.modes.origin { self.side.top } else { 0 };
        (self.side.y.saturating_sub(top) + 1, self.column().saturating_sub(self.origin_column()) + 1)
    }

    fn palette_color(&self, index: u8) -> (u8, u8, u8) {
        self.palette.get(&index).copied().unwrap_or_else(|| standard_color(index))
    }
}

/// DA1: a VT220 with colour, as programs expect of an xterm.
fn attributes() -> String {
    "\x1b[?62;22c".to_owned()
}

/// DECRPM's word for a mode: set, reset, not known.
fn state(known: Option<bool>) -> u8 {
    match known {
        Some(true) => 1,
        Some(false) => 2,
        None => 0,
    }
}

/// The 256 colours of xterm.
pub(crate) fn standard_color(index: u8) -> (u8, u8, u8) {
    const FIRST: [(u8, u8, u8); 16] = [
        (0x2E, 0x34, 0x36),
        (0xCC, 0, 0),
        (0x4E, 0x9A, 0x06),
        (0xC4, 0xA0, 0),
        (0x34, 0x65, 0xA4),
        (0x75, 0x50, 0x7B),
        (0x06, 0x98, 0x9A),
        (0xD3, 0xD7, 0xCF),
        (0x55, 0x57, 0x53),
        (0xEF, 0x29, 0x29),
        (0x8A, 0xE2, 0x34),
        (0xFC, 0xE9, 0x4F),
        (0x72, 0x9F, 0xCF),
        (0xAD, 0x7F, 0xA8),
        (0x34, 0xE2, 0xE2),
        (0xEE, 0xEE, 0xEC),
    ];
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..16 => FIRST[usize::from(index)],
        16..232 => {
            let cube = index - 16;
            (level(cube / 36), level(cube / 6 % 6), level(cube % 6))
        }
        232.. => {
            let gray = 8 + 10 * (index - 232);
            (gray, gray, gray)
        }
    }
}

/// The SGR numbers that make a default pen this one, beginning with 0.
pub(crate) fn sgr(style: Style) -> String {
    let mut numbers = String::new();
    push_sgr(&mut numbers, style);
    numbers
}

/// Appends the sequence that sets the pen to a style. Screens full of colours are made of little else: it allocates nothing.
pub(crate) fn push_pen(out: &mut String, style: Style) {
    out.push_str("\x1b[");
    let start = out.len();
    push_sgr(out, style);
    if out.len() == start + 1 {
        // The default alone needs no number.
        out.truncate(start);
    }
    out.push('m');
}

fn push_sgr(to: &mut String, style: Style) {
    to.push('0');
    let bits = [
        (flag::BOLD, ";1"),
        (flag::DIM, ";2"),
        (flag::ITALIC, ";3"),
        (flag::BLINK, ";5"),
        (flag::INVERSE, ";7"),
        (flag::HIDDEN, ";8"),
        (flag::STRIKE, ";9"),
        (flag::OVERLINE, ";53"),
    ];
    if style.flags != 0 {
        for (bit, number) in bits {
            if style.flags & bit != 0 {
                to.push_str(number);
            }
        }
    }
    match style.underline {
        0 => {}
        1 => to.push_str(";4"),
        other => push_numbers(to, ";4:", &[other]),
    }
    match style.fg {
        Color::Default => {}
        Color::Palette(index @ 0..8) => push_numbers(to, ";", &[30 + index]),
        Color::Palette(index @ 8..16) => push_numbers(to, ";", &[90 + index - 8]),
        Color::Palette(index) => push_numbers(to, ";38;5;", &[index]),
        Color::Rgb(r, g, b) => push_numbers(to, ";38;2;", &[r, g, b]),
    }
    match style.bg {
        Color::Default => {}
        Color::Palette(index @ 0..8) => push_numbers(to, ";", &[40 + index]),
        Color::Palette(index @ 8..16) => push_numbers(to, ";", &[100 + index - 8]),
        Color::Palette(index) => push_numbers(to, ";48;5;", &[index]),
        Color::Rgb(r, g, b) => push_numbers(to, ";48;2;", &[r, g, b]),
    }
    match style.underline_color {
        Color::Default => {}
        Color::Palette(index) => push_numbers(to, ";58:5:", &[index]),
        Color::Rgb(r, g, b) => {
            push_numbers(to, ";58:2::", &[r]);
            push_numbers(to, ":", &[g]);
            push_numbers(to, ":", &[b]);
        }
    }
}

/// Appends `before`, and numbers with a semicolon between them.
fn push_numbers(to: &mut String, before: &str, numbers: &[u8]) {
    to.push_str(before);
    for (index, number) in numbers.iter().enumerate() {
        if index > 0 {
            to.push(';');
        }
        let digit = |value: u8| char::from(b'0' + value % 10);
        if *number >= 100 {
            to.push(digit(number / 100));
        }
        if *number >= 10 {
            to.push(digit(number / 10));
        }
        to.push(digit(*number));
    }
}
