//! Text on its way to the cells: wrapping, wide characters, marks, insert mode. What is usual goes a row at a time.

use std::ops::Range;

use crate::cell::{Cell, Packed, WIDE, ZERO};
use crate::charset::Charset;
use crate::row::Row;
use crate::screen::{NO_ROOM, Screen};
use crate::width::columns as width;

/// From here on a run of ASCII is worth being written by itself.
const LONG_ASCII: usize = 12;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Prints text without controls.
    pub(crate) fn print(&mut self, text: &str) {
        self.note_print_begins();
        self.print_text(text);
        self.note_print_ended();
    }

    fn print_text(&mut self, text: &str) {
        let charset = self.charsets.current();
        if charset != Charset::Ascii {
            return text.chars().for_each(|character| self.print_char(charset.map(character)));
        }
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = ascii_prefix(rest.as_bytes());
            if ascii == rest.len() || ascii >= LONG_ASCII {
                self.print_ascii(&rest.as_bytes()[..ascii]);
                rest = &rest[ascii..];
                continue;
            }
            let printed = self.print_into_row(rest);
            rest = &rest[printed..];
            if let (0, Some(character)) = (printed, rest.chars().next()) {
                self.print_char(character);
                rest = &rest[character.len_utf8()..];
            }
        }
    }

    /// Prints ASCII without controls.
    pub(crate) fn print_ascii_text(&mut self, text: &[u8]) {
        if self.charsets.current() == Charset::Ascii {
            self.note_print_begins();
            self.print_ascii(text);
            self.note_print_ended();
        } else {
            self.print(str::from_utf8(text).unwrap_or_default());
        }
    }

    fn print_ascii(&mut self, bytes: &[u8]) {
        self.work += bytes.len() as u64;
        self.print_narrow(bytes.len(), |row, from, part, style| row.write_ascii(from, &bytes[part], style));
    }

    /// Prints an ASCII character over and over.
    pub(crate) fn print_repeated(&mut self, byte: u8, times: usize) {
        self.moved += times as u64;
        self.note_print_begins();
        self.print_narrow(times, |row, from, part, style| {
            row.fill(from, from + part.len(), Cell::ascii(byte, style));
        });
        self.note_print_ended();
    }

    /// Prints so many characters of one column each; `write` writes a part of them to a row, from some column on.
    fn print_narrow(&mut self, count: usize, write: impl Fn(&mut Row, usize, Range<usize>, u16)) {
        let cols = self.cols();
        let mut done = 0;
        while done < count {
            if self.side.x >= cols {
                if self.modes.autowrap {
                    self.wrap();
                } else {
                    // Each overwrites the last column: only the last one stays.
                    done = count - 1;
                    self.side.x = self.column();
                }
            }
            let style = self.pen_style();
            let (from, end) = (self.side.x, self.text_end());
            let mut to = from + (count - done).min(end - from);
            if self.modes.insert {
                to = from + self.insert_blanks(to - from);
            }
            let row = self.row_mut();
            if from > 0 && row.get(from - 1).flags == WIDE {
                row.set(from - 1, Cell::blank(style));
            }
            write(row, from, done..done + to - from, style);
            row.mend(to, style);
            self.stand_behind_text(to, end);
            done += to - from;
        }
        if count > 0 {
            self.joins = 1;
        }
    }

    /// Prints as much as goes to the cursor's row in the usual way; returns its length in bytes.
    fn print_into_row(&mut self, text: &str) -> usize {
        let (from, end) = (self.side.x, self.text_end());
        if from >= end || self.modes.insert {
            return 0;
        }
        let style = self.pen_style();
        // No character takes more columns than bytes.
        let to = end.min(from + text.len());
        let row = self.row_mut();
        let kept = row.kept();
        let cells = row.run(from, to);
        let (mut at, mut used, mut last) = (0, 0, 0);
        for character in text.chars() {
            let columns = width(character);
            let Some(places) = cells.get_mut(at..at + usize::from(columns)) else { break };
            match places {
                [one] => *one = Packed::new(Cell { glyph: u32::from(character), style, flags: 0 }),
                [left, right] => {
                    *left = Packed::new(Cell { glyph: u32::from(character), style, flags: WIDE });
                    *right = Packed::new(Cell { glyph: 0, style, flags: ZERO });
                }
                _ => break,
            }
            at += usize::from(columns);
            used += character.len_utf8();
            last = columns;
        }
        // Places that were not written after all are what they were: nothing is there but what fills the rest.
        row.keep(kept.max(from + at));
        if used > 0 {
            if from > 0 && row.get(from - 1).flags == WIDE {
                row.set(from - 1, Cell::blank(style));
            }
            row.mend(from + at, style);
            self.stand_behind_text(from + at, end);
            self.joins = last;
        }
        self.work += used as u64;
        self.moved += to.saturating_sub(kept) as u64;
        used
    }

    fn print_char(&mut self, character: char) {
        let style = self.pen_style();
        let mut columns = usize::from(width(character));
        if columns == 0 && self.joins == NO_ROOM {
            return;
        }
        let joined = if columns == 0 { usize::from(self.joins) } else { 0 };
        if joined > 0 {
            columns = joined;
        }
        self.joins = u16::try_from(columns).unwrap_or(0);
        if columns == 0 && self.waits_at_margin() {
            // No place for a mark without a base.
            return;
        }
        let end = self.text_end();
        if joined == 0 && self.side.x + columns > end {
            if self.modes.autowrap {
                self.split_wide(style);
                let from = self.side.x.min(end);
                // A wide character that does not fit leaves its place empty.
                let row = self.row_mut();
                row.fill(from, end, Cell::blank(style));
                row.mend(end, style);
                self.wrap();
            } else {
                self.side.x = self.column().min(end - 1);
                if columns == 2 {
                    self.joins = NO_ROOM;
                    return;
                }
            }
        }
        if joined > 0 && self.side.x > 0 {
            self.join(character);
        } else {
            if self.modes.insert {
                self.insert_blanks(columns);
            }
            // Wrapping may have taken the pen's number.
            let style = self.pen_style();
            self.split_wide(style);
            self.put(character, columns, style);
        }
        let (x, style) = (self.column_behind_text(), self.pen_style());
        self.row_mut().mend(x, style);
    }

    fn put(&mut self, character: char, columns: usize, style: u16) {
        let flags = match columns {
            0 => ZERO,
            2 => WIDE,
            _ => 0,
        };
        let (x, end) = (self.side.x, self.text_end());
        let row = self.row_mut();
        row.set(x, Cell { glyph: u32::from(character), style, flags });
        if columns == 2 {
            row.set(x + 1, Cell { glyph: 0, style, flags: ZERO });
        }
        // A mark without a base takes a place though it has no columns, also behind the last one.
        self.stand_behind_text(x + columns.max(1), end);
    }

    /// Insert mode: makes room at the cursor. Outside the margins there is no such mode; returned is for how many columns that
    /// goes on.
    fn insert_blanks(&mut self, columns: usize) -> usize {
        let (left, right) = self.columns();
        if self.side.x < left {
            return columns.min(left - self.side.x);
        }
        if self.side.x <= right {
            let style = self.pen_style();
            self.split_wide(style);
            self.insert_at_cursor(columns, Cell::blank(style));
        }
        columns
    }

    /// Adds a mark to the character before the cursor.
    fn join(&mut self, mark: char) {
        let x = self.column_behind_text();
        let at = if self.row().get(x - 1).width() > 0 || x < 2 { x - 1 } else { x - 2 };
        let cell = self.row().get(at);
        if let Some(glyph) = self.glyph_with_mark(cell.glyph, mark) {
            self.row_mut().set(at, Cell { glyph, ..cell });
        }
    }

    /// Goes to the beginning of the next row, which is marked as going on with this one if nothing lies between.
    pub(crate) fn wrap(&mut self) {
        self.note_wrap_from();
        let (left, _) = self.columns();
        let edge_to_edge = left == 0 && self.column() + 1 == self.cols();
        self.line_down(edge_to_edge);
        self.side.x = left;
        self.note_wrap_to();
    }

    /// One row down; at the bottom of the region everything in it moves up.
    pub(crate) fn line_down(&mut self, wrapped: bool) {
        if self.side.y == self.side.bottom {
            self.scroll(wrapped);
        } else {
            self.side.y = (self.side.y + 1).min(self.rows() - 1);
            if wrapped {
                self.set_wrapped(true);
            }
        }
    }

    /// Moves the region up by one row. What leaves the primary screen at its very top goes to the scrollback. Between margins
    /// only the part between them moves, and from outside them nothing does.
    fn scroll(&mut self, wrapped: bool) {
        let fill = self.erased();
        let (top, bottom) = (self.side.top, self.side.bottom);
        if self.margins.set.is_some() {
            if self.is_between_margins() {
                self.owe_scroll(fill);
            }
            return;
        }
        if top == 0 && !self.modes.alternate_screen {
            self.pack_top_row(wrapped && bottom == 0);
        }
        self.side.grid.scroll_up(top..bottom + 1, 1, fill.style);
        if wrapped {
            self.side.grid.set_wrapped(bottom, true);
        }
    }

    /// A wide character whose right half is about to be overwritten is gone.
    fn split_wide(&mut self, style: u16) {
        let x = self.side.x;
        if x > 0 && self.row().get(x - 1).flags == WIDE {
            self.row_mut().set(x - 1, Cell::blank(style));
        }
    }
}

/// How many bytes of ASCII come first.
pub(crate) fn ascii_prefix(bytes: &[u8]) -> usize {
    let mut len = 0;
    for chunk in bytes.chunks_exact(16) {
        if chunk.iter().fold(0, |all, byte| all | byte) >= 0x80 {
            break;
        }
        len += 16;
    }
    len + bytes[len..].iter().position(|byte| *byte >= 0x80).unwrap_or(bytes.len() - len)
}
