//! A flood: more lines at once than the screen has rows, of which all but the last leave it unseen. They go to the
//! scrollback straight from the text, without being cells first. What comes of it is the same to the last byte.
//!
//! It lasts as long as there is nothing but text, SGR, and line ends at the bottom of the primary screen. The last rows are
//! then put on the screen, and all else is done there.

mod line;

use std::collections::VecDeque;

use crate::charset::Charset;
use crate::effect::Effect;
use crate::parser::{Event, Parser, Usual};
use crate::print::ascii_prefix;
use crate::screen::Screen;
use crate::width::columns as width;
use line::Line;

/// Line feeds of which a flood has at least, for each row of the screen: with fewer it is not worth it.
const LINE_FEEDS_PER_ROW: usize = 2;
/// Bytes to go on with before another flood is looked for.
pub(crate) const PATIENCE_BYTES: usize = 4 << 10;
/// Any record of the scrollback is smaller, so that none is refused.
const MIN_SCROLLBACK_BYTES: usize = 64 << 10;
/// A row of as many columns is no record that must be cut.
const MAX_COLS: usize = 1000;
/// Half the styles there can be: as long as no more are known, none is forgotten, whoever asks for a number.
const MAX_STYLES: usize = 1 << 15;

/// The rows that are not on the screen yet, though they should be.
#[derive(Debug)]
struct Flood {
    /// Rows of the screen, from the top, that are older. As many rows as come stand blank below them.
    older: usize,
    /// The rows that have ended.
    lines: VecDeque<Line>,
    /// The cursor's.
    current: Line,
    /// A carriage return has come, and a line feed must.
    returned: bool,
    /// A row that is needed no longer, for its memory.
    spare: Option<Line>,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Takes a flood off the front of `bytes`, if one begins there, just after a line feed; returns how many bytes it was.
    pub(crate) fn take_flood(
        &mut self,
        parser: &mut Parser,
        bytes: &[u8],
        effects: &mut Vec<Effect>,
    ) -> usize {
        if !self.may_flood() || !is_flood(bytes, self.rows()) {
            return 0;
        }
        let mut flood = Flood {
            older: self.rows() - 1,
            lines: VecDeque::with_capacity(self.rows()),
            current: Line::default(),
            returned: false,
            spare: None,
        };
        let mut rest = bytes;
        while !rest.is_empty() && self.styles.len() < MAX_STYLES {
            match parser.usual(rest) {
                Usual::Ascii(len) if !flood.returned => {
                    self.allowance.wait(len);
                    self.flood_ascii(&mut flood, &rest[..len]);
                    rest = &rest[len..];
                }
                Usual::Control(b'\r') => {
                    self.allowance.earn(1);
                    flood.returned = !flood.current.is_empty();
                    self.joins = 0;
                    rest = &rest[1..];
                }
                Usual::Control(b'\n')
                    if flood.returned || self.modes.new_line || flood.current.is_empty() =>
                {
                    self.allowance.earn(1);
                    self.flood_line(&mut flood, false);
                    flood.returned = false;
                    self.joins = 0;
                    rest = &rest[1..];
                }
                Usual::Csi(len, None, b'm') => {
                    self.allowance.earn(len);
                    self.csi(&parser.usual_sequence(None, b'm'));
                    self.joins = 0;
                    rest = &rest[len..];
                }
                Usual::Other => {
                    let (used, event) = parser.next(rest);
                    rest = &rest[used..];
                    match event {
                        Event::Text(text) if !flood.returned => {
                            self.allowance.wait(used);
                            let taken = self.flood_text(&mut flood, text);
                            if taken < text.len() {
                                self.end_flood(flood);
                                self.print(&text[taken..]);
                                return bytes.len() - rest.len();
                            }
                        }
                        Event::Ascii(text) if !flood.returned => {
                            self.allowance.wait(used);
                            self.flood_ascii(&mut flood, text);
                        }
                        other @ (Event::Text(_)
                        | Event::Ascii(_)
                        | Event::Invalid
                        | Event::Control(_)
                        | Event::Escape { .. }
                        | Event::Csi(_)
                        | Event::String(_)
                        | Event::Pending
                        | Event::Ignored
                        | Event::Broken) => {
                            self.end_flood(flood);
                            self.take_event(used, other, effects);
                            return bytes.len() - rest.len();
                        }
                    }
                }
                Usual::Ascii(_) | Usual::Control(_) | Usual::Csi(..) => break,
            }
        }
        self.end_flood(flood);
        bytes.len() - rest.len()
    }

    /// Whether the cursor stands at the beginning of a blank row at the bottom of the primary screen, all of which moves.
    fn may_flood(&self) -> bool {
        let (rows, cols) = (self.rows(), self.cols());
        let (kept, rest) = self.row().parts();
        let at_bottom = self.side.x == 0
            && self.side.y == rows - 1
            && (self.side.top, self.side.bottom) == (0, rows - 1)
            && kept.is_empty()
            && rest == crate::cell::Cell::default()
            && !self.row().wrapped;
        at_bottom
            && (2..=MAX_COLS).contains(&cols)
            && rows > 1
            && self.margins.set.is_none()
            && !self.modes.alternate_screen
            && !self.modes.insert
            && self.modes.autowrap
            && self.charsets.current() == Charset::Ascii
            && self.scrollback.memory().len() >= MIN_SCROLLBACK_BYTES
    }

    fn flood_ascii(&mut self, flood: &mut Flood, text: &[u8]) {
        let cols = self.cols();
        self.work += text.len() as u64;
        let mut rest = text;
        while !rest.is_empty() {
            if flood.current.cells() >= cols {
                self.flood_line(flood, true);
            }
            let (fits, beyond) = rest.split_at(rest.len().min(cols - flood.current.cells()));
            let style = self.pen_style();
            flood.current.push(fits, fits.len(), style);
            rest = beyond;
        }
        self.joins = 1;
    }

    /// Takes text up to a character that is no row's own; returns its length in bytes.
    fn flood_text(&mut self, flood: &mut Flood, text: &str) -> usize {
        let mut at = 0;
        while at < text.len() {
            let ascii = ascii_prefix(&text.as_bytes()[at..]);
            if ascii > 0 {
                self.flood_ascii(flood, &text.as_bytes()[at..at + ascii]);
            }
            at += ascii;
            let taken = self.flood_others(flood, &text[at..]);
            at += taken;
            if taken == 0 {
                break;
            }
        }
        at
    }

    /// Takes characters that are not ASCII, as many as come one after the other and fit.
    fn flood_others(&mut self, flood: &mut Flood, text: &str) -> usize {
        let room = self.cols() - flood.current.cells();
        let (mut used, mut cells, mut last) = (0, 0, 0);
        let mut next = 0;
        for character in text.chars().take_while(|character| !character.is_ascii()) {
            next = usize::from(width(character));
            if next == 0 || cells + next > room {
                break;
            }
            used += character.len_utf8();
            cells += next;
            last = next;
        }
        self.work += used as u64;
        let style = self.pen_style();
        flood.current.push(&text.as_bytes()[..used], cells, style);
        if used > 0 {
            self.joins = u16::try_from(last).unwrap_or(0);
        } else if next > 0 {
            // A wide character that does not fit leaves its place empty.
            flood.current.push(&b"\0"[..room.min(1)], room, style);
            self.flood_line(flood, true);
            return self.flood_others(flood, text);
        }
        used
    }

    /// Ends the cursor's row: the row at the top leaves, and a new one begins.
    fn flood_line(&mut self, flood: &mut Flood, wrapped: bool) {
        let fill = self.erased().style;
        let mut next = flood.spare.take().unwrap_or_default();
        next.begin(fill, wrapped);
        let mut ended = std::mem::replace(&mut flood.current, next);
        ended.goes_on = wrapped;
        flood.lines.push_back(ended);
        if flood.older > 0 {
            self.pack_top_row(false);
            self.side.grid.scroll_up(0..self.rows(), 1, 0);
            flood.older -= 1;
        } else if let Some(mut line) = flood.lines.pop_front() {
            self.scratch.clear();
            line.encode(self.cols(), &self.styles, &mut self.scratch);
            self.moved += self.scratch.len() as u64 / 8;
            self.scrollback.push(&self.scratch);
            flood.spare = Some(line);
        }
    }

    /// Puts the rows on the screen.
    fn end_flood(&mut self, flood: Flood) {
        self.side.x = if flood.returned { 0 } else { flood.current.cells() };
        let lines = flood.lines.iter().chain([&flood.current]);
        for (y, line) in (flood.older..).zip(lines).filter(|(_, line)| !line.is_blank()) {
            self.work += line.cells() as u64;
            line.draw(self.side.grid.row_mut(y));
        }
    }
}

/// Whether there are lines enough for a screen of `rows`.
fn is_flood(bytes: &[u8], rows: usize) -> bool {
    memchr::memchr_iter(b'\n', bytes).nth(rows * LINE_FEEDS_PER_ROW).is_some()
}
