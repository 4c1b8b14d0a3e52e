//! A row of a flood: its text with its styles, from which a record is made, or cells. It knows no screen.

use crate::cell::{Cell, WIDE, ZERO};
use crate::row::Row;
use crate::scrollback::encode_text_with_runs;
use crate::styles::Styles;
use crate::width::columns as width;

/// A row.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Its text; NUL: nothing was printed there.
    text: Vec<u8>,
    /// How many cells have which style, left to right.
    runs: Vec<(usize, u16)>,
    cells: usize,
    /// The style of what lies behind its cells.
    rest: u16,
    /// It goes on with the row before.
    wrapped: bool,
    /// The next row goes on with it.
    pub(super) goes_on: bool,
}

impl Line {
    /// Begins anew, without text.
    pub(super) fn begin(&mut self, rest: u16, wrapped: bool) {
        self.text.clear();
        self.runs.clear();
        (self.cells, self.rest, self.wrapped, self.goes_on) = (0, rest, wrapped, false);
    }

    /// Cells written.
    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cells == 0
    }

    /// Whether it looks as if nothing had happened.
    pub(super) fn is_blank(&self) -> bool {
        self.is_empty() && self.rest == 0 && !self.wrapped
    }

    /// Appends text of so many cells.
    pub(super) fn push(&mut self, text: &[u8], cells: usize, style: u16) {
        self.text.extend_from_slice(text);
        self.cells += cells;
        self.note_run(cells, style);
    }

    /// Packs it as [`crate::scrollback::encode`] packs the row that [`Line::draw`] makes; it is not to be drawn after that.
    pub(super) fn encode(&mut self, cols: usize, styles: &Styles, to: &mut Vec<u8>) {
        if self.goes_on || self.rest != 0 {
            let behind = cols - self.cells;
            self.text.resize(self.text.len() + behind, 0);
            self.note_run(behind, self.rest);
        }
        encode_text_with_runs([self.wrapped, self.goes_on], &self.runs, &self.text, styles, to);
    }

    /// Puts it on a row that is blank.
    pub(super) fn draw(&self, row: &mut Row) {
        row.become_uniform(Cell::blank(self.rest), self.wrapped);
        let (mut text, mut at) = (str::from_utf8(&self.text).unwrap_or_default(), 0);
        for (cells, style) in &self.runs {
            let end = at + cells;
            let ascii = text.as_bytes().get(..*cells);
            if let Some(ascii) = ascii.filter(|run| run.iter().all(|byte| (0x20..0x7F).contains(byte))) {
                row.write_ascii(at, ascii, *style);
                (text, at) = (&text[*cells..], end);
                continue;
            }
            for character in text.chars() {
                if at >= end {
                    break;
                }
                text = &text[character.len_utf8()..];
                at += draw_character(character, *style, at, row);
            }
        }
    }

    fn note_run(&mut self, cells: usize, style: u16) {
        match self.runs.last_mut() {
            _ if cells == 0 => {}
            Some((run, same)) if *same == style => *run += cells,
            _ => self.runs.push((cells, style)),
        }
    }
}

/// Returns its columns.
fn draw_character(character: char, style: u16, at: usize, row: &mut Row) -> usize {
    if character == '\0' {
        row.fill(at, row.cols(), Cell::blank(style));
        return 1;
    }
    let wide = width(character) == 2;
    row.set(at, Cell { glyph: u32::from(character), style, flags: if wide { WIDE } else { 0 } });
    if wide {
        row.set(at + 1, Cell { glyph: 0, style, flags: ZERO });
    }
    1 + usize::from(wide)
}
