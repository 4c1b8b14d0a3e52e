//! Text on its way to the cells: wrapping, wide characters, marks, insert mode.

use crate::cell::{Cell, WIDE, ZERO};
use crate::charset::Charset;
use crate::screen::{NO_ROOM, Screen};
use crate::width::columns as width;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Prints text without controls.
    pub(crate) fn print(&mut self, text: &str) {
        let plain = self.charsets.current() == Charset::Ascii && !self.modes.insert;
        let mut rest = text;
        while !rest.is_empty() {
            let ascii = if plain { ascii_prefix(rest.as_bytes()) } else { 0 };
            let (run, more) = rest.split_at(ascii);
            if run.is_empty() {
                let len = rest.bytes().position(|byte| plain && byte < 0x80).unwrap_or(rest.len());
                let (run, more) = rest.split_at(len.max(rest.chars().next().map_or(1, char::len_utf8)));
                self.print_run(run);
                rest = more;
            } else {
                self.print_ascii(run.as_bytes());
                rest = more;
            }
        }
    }

    fn print_ascii(&mut self, mut bytes: &[u8]) {
        let style = self.pen_style();
        let cols = self.cols();
        while !bytes.is_empty() {
            if self.side.x >= cols {
                if self.modes.autowrap {
                    self.wrap();
                } else {
                    // Each overwrites the last column: only the last one stays.
                    bytes = &bytes[bytes.len() - 1..];
                    self.side.x = cols - 1;
                }
            }
            self.split_wide();
            let from = self.side.x;
            let len = bytes.len().min(cols - from);
            let (now, later) = bytes.split_at(len);
            for (cell, byte) in self.row_mut().writable(from, from + len).iter_mut().zip(now) {
                *cell = Cell::ascii(*byte, style);
            }
            self.side.x = from + len;
            bytes = later;
        }
        self.joins = 1;
        self.mend_after(style);
    }

    fn print_run(&mut self, text: &str) {
        let style = self.pen_style();
        let charset = self.charsets.current();
        for character in text.chars() {
            self.print_char(charset.map(character), style);
        }
        self.mend_after(style);
    }

    fn print_char(&mut self, character: char, style: u16) {
        let cols = self.cols();
        let mut columns = usize::from(width(character));
        if columns == 0 && self.joins == NO_ROOM {
            return;
        }
        let joined = if columns == 0 { usize::from(self.joins) } else { 0 };
        if joined > 0 {
            columns = joined;
        }
        self.joins = u16::try_from(columns).unwrap_or(0);
        if self.side.x + columns - joined > cols {
            if self.modes.autowrap {
                self.split_wide();
                let from = self.side.x.min(cols);
                // A wide character that does not fit leaves its place empty.
                self.row_mut().fill(from, cols, Cell::blank(style));
                self.wrap();
            } else {
                self.side.x = cols - 1;
                if columns == 2 {
                    self.joins = NO_ROOM;
                    return;
                }
            }
        }
        if joined > 0 && self.side.x > 0 {
            return self.join(character);
        }
        self.split_wide();
        if self.modes.insert {
            let x = self.side.x;
            self.row_mut().insert(x, columns, Cell::blank(style));
        }
        let flags = match columns {
            0 => ZERO,
            2 => WIDE,
            _ => 0,
        };
        let x = self.side.x;
        let row = self.row_mut();
        row.set(x, Cell { glyph: u32::from(character), style, flags });
        if columns == 2 {
            row.set(x + 1, Cell { glyph: 0, style, flags: ZERO });
        }
        self.side.x += columns.max(1);
    }

    /// Adds a mark to the character before the cursor.
    fn join(&mut self, mark: char) {
        let x = self.side.x;
        let row = self.row_mut();
        let at = if row.get(x - 1).width() > 0 || x < 2 { x - 1 } else { x - 2 };
        let cell = row.get(at);
        if let Some(glyph) = self.clusters.add(cell.glyph, mark) {
            self.row_mut().set(at, Cell { glyph, ..cell });
        }
    }

    /// Goes to the beginning of the next row, which is marked as going on with this one.
    pub(crate) fn wrap(&mut self) {
        self.side.x = 0;
        self.line_down(true);
    }

    /// One row down; at the bottom of the region everything in it moves up.
    pub(crate) fn line_down(&mut self, wrapped: bool) {
        if self.side.y == self.side.bottom {
            self.scroll(wrapped);
        } else {
            self.side.y = (self.side.y + 1).min(self.rows() - 1);
            if wrapped {
                self.row_mut().wrapped = true;
            }
        }
    }

    /// Moves the region up by one row. What leaves the primary screen at its very top goes to the scrollback.
    pub(crate) fn scroll(&mut self, wrapped: bool) {
        let cell = self.erased();
        if self.side.top == 0 && !self.modes.alternate_screen {
            self.pack_top_row();
        }
        let (top, bottom) = (self.side.top, self.side.bottom);
        self.side.grid.scroll_up(top, bottom, cell);
        if wrapped && let Some(row) = self.side.grid.rows.get_mut(bottom) {
            row.wrapped = true;
        }
    }

    /// A wide character whose right half is about to be overwritten is gone.
    fn split_wide(&mut self) {
        let x = self.side.x;
        if x > 0 && self.row_mut().get(x - 1).flags == WIDE {
            let style = self.pen_style();
            self.row_mut().set(x - 1, Cell::blank(style));
        }
    }

    /// A right half whose left half was overwritten is gone.
    fn mend_after(&mut self, style: u16) {
        let x = self.side.x;
        let row = self.row_mut();
        let orphan = row.get(x).is_spacer() && !(x > 0 && row.get(x - 1).flags == WIDE);
        if x < row.cols() && orphan {
            row.set(x, Cell::blank(style));
        }
    }
}

fn ascii_prefix(bytes: &[u8]) -> usize {
    let mut chunks = bytes.chunks_exact(8);
    let mut len = 0;
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        if u64::from_ne_bytes(eight) & 0x8080_8080_8080_8080 != 0 {
            break;
        }
        len += 8;
    }
    len + bytes[len..].iter().position(|byte| *byte >= 0x80).unwrap_or(bytes.len() - len)
}
