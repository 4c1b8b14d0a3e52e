//! Erasing, inserting and deleting.

use std::ops::Range;

use crate::cell::{Cell, WIDE};
use crate::grid::Towards;
use crate::screen::Screen;
use crate::style::flag;

/// What asking whether a cell is protected costs, in cells moved.
const SELECTED_IN_CELLS: usize = 2;
/// So many cells are moved within a processor's nearest memory, at a quarter of the price of others.
const NEAR_CELLS: usize = 1 << 16;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Erases part of row `y`; a wide character cut in half is erased whole.
    fn erase(&mut self, y: usize, from: usize, to: usize, whole: bool) {
        let cell = self.erased();
        if (from, to, whole) == (0, self.cols(), true) {
            return self.side.grid.clear(y..y + 1, cell.style);
        }
        // To the end it is only marked as blank.
        self.moved += if to < self.cols() { to - from } else { 1 } as u64;
        let row = self.side.grid.row_mut(y);
        if from > 0 && row.get(from - 1).flags == WIDE {
            row.set(from - 1, cell);
        }
        if to < row.cols() && row.get(to).is_spacer() {
            row.set(to, cell);
        }
        row.fill(from, to, cell);
        if whole {
            row.wrapped = false;
        }
    }

    /// The same for what DECSCA does not protect.
    fn erase_selectively(&mut self, y: usize, from: usize, to: usize, whole: bool) {
        let cell = self.erased();
        self.work += (to - from) as u64;
        let styles = &self.styles;
        let kept = |cell: Cell| {
            let something = cell.glyph != 0 || cell.is_spacer();
            something && styles.get(cell.style).flags & flag::PROTECTED != 0
        };
        let row = self.side.grid.row_mut(y);
        if from > 0 && row.get(from - 1).flags == WIDE && !kept(row.get(from - 1)) {
            row.set(from - 1, cell);
        }
        if to < row.cols() && row.get(to).is_spacer() && !kept(row.get(to)) {
            row.set(to, cell);
        }
        for at in from..to.min(row.cols()) {
            if !kept(row.get(at)) {
                row.set(at, cell);
            }
        }
        if whole {
            row.wrapped = false;
        }
    }

    /// ED. A cursor that waits to wrap stands behind the last column, which is then left alone.
    pub(crate) fn erase_display(&mut self, what: u16) {
        self.forget_mark_past_edge();
        let (rows, cols, x, y) = (self.rows(), self.cols(), self.side.x, self.side.y);
        match what {
            0 => {
                self.erase(y, x, cols, x == 0);
                self.clear_rows(y + 1..rows);
            }
            1 => {
                self.erase(y, 0, x + 1, true);
                self.end_erased_line(x, y);
                self.clear_rows(0..y);
            }
            2 => self.clear_rows(0..rows),
            3 if !self.modes.alternate_screen => self.scrollback.clear(),
            _ => {}
        }
    }

    /// DECSED: as ED, while nothing is protected. Else every cell has to be looked at, and who has that done over and over
    /// on a large screen has it done no more until something else comes.
    pub(crate) fn erase_display_selectively(&mut self, what: u16) {
        if !self.styles.any_protected {
            return self.erase_display(what);
        }
        self.forget_mark_past_edge();
        let (rows, cols, x, y) = (self.rows(), self.cols(), self.side.x, self.side.y);
        let others = match what {
            0 => y + 1..rows,
            1 => 0..y,
            2 => 0..rows,
            _ => return self.erase_display(what),
        };
        if !self.allowance.spend(SELECTED_IN_CELLS * (others.len() + 1) * cols) {
            return;
        }
        match what {
            0 => self.erase_selectively(y, x, cols, x == 0),
            1 => {
                self.erase_selectively(y, 0, x + 1, true);
                self.end_erased_line(x, y);
            }
            _ => {}
        }
        others.for_each(|row| self.erase_selectively(row, 0, cols, true));
    }

    /// A line that was erased up to the end of row `y` does not go on.
    fn end_erased_line(&mut self, x: usize, y: usize) {
        if x + 1 >= self.cols() {
            self.side.grid.set_wrapped(y + 1, false);
        }
    }

    /// The cursor just waits to wrap. At a margin it does so no longer: it stands on the last column before it, which is erased.
    fn forget_mark_past_edge(&mut self) {
        self.side.x = if self.waits_at_margin() { self.column() } else { self.side.x.min(self.cols()) };
    }

    fn clear_rows(&mut self, rows: Range<usize>) {
        if !rows.is_empty() {
            let style = self.erased().style;
            self.side.grid.clear(rows, style);
        }
    }

    /// EL.
    pub(crate) fn erase_line(&mut self, what: u16) {
        self.forget_mark_past_edge();
        let (cols, x, y) = (self.cols(), self.side.x, self.side.y);
        match what {
            0 => self.erase(y, x, cols, x == 0),
            1 => self.erase(y, 0, x + 1, false),
            2 => self.erase(y, 0, cols, true),
            _ => {}
        }
    }

    /// DECSEL, with the bound of [`Screen::erase_display_selectively`].
    pub(crate) fn erase_line_selectively(&mut self, what: u16) {
        self.forget_mark_past_edge();
        let (cols, x, y) = (self.cols(), self.side.x, self.side.y);
        if !self.styles.any_protected {
            return self.erase_line(what);
        }
        if what > 2 || !self.allowance.spend(SELECTED_IN_CELLS * cols) {
            return;
        }
        match what {
            0 => self.erase_selectively(y, x, cols, x == 0),
            1 => self.erase_selectively(y, 0, x + 1, false),
            _ => self.erase_selectively(y, 0, cols, true),
        }
    }

    /// ECH.
    pub(crate) fn erase_chars(&mut self, count: usize) {
        self.clamp_cursor();
        let (x, y) = (self.side.x, self.side.y);
        self.erase(y, x, (x + count).min(self.cols()), false);
    }

    /// ICH.
    pub(crate) fn insert_chars(&mut self, count: usize) {
        self.clamp_cursor();
        let cell = self.erased();
        self.insert_at_cursor(count, cell);
    }

    /// Moves what is at the cursor, which does not wait to wrap, and right of it, up to the right margin. Outside the margins it
    /// does nothing.
    pub(crate) fn insert_at_cursor(&mut self, count: usize, cell: Cell) {
        if !self.is_between_margins() {
            return;
        }
        self.note_inserted(count);
        let (x, end) = (self.side.x, self.text_end());
        self.moved += (end - x) as u64;
        if end < self.cols() {
            self.row_mut().insert_before(x, end, count, cell);
        } else {
            self.row_mut().insert(x, count, cell);
        }
    }

    /// DCH.
    pub(crate) fn delete_chars(&mut self, count: usize) {
        self.clamp_cursor();
        if !self.is_between_margins() {
            return;
        }
        let (x, end, cell) = (self.side.x, self.text_end(), self.erased());
        self.moved += (end - x) as u64;
        if end < self.cols() {
            self.row_mut().remove_before(x, end, count, cell);
        } else {
            self.row_mut().remove(x, count, cell);
        }
    }

    /// IL.
    pub(crate) fn insert_lines(&mut self, count: usize) {
        self.clamp_cursor();
        if self.in_region() && self.is_between_margins() {
            let (y, bottom, fill) = (self.side.y, self.side.bottom, self.erased());
            self.move_lines(y..bottom + 1, count, Towards::Bottom, fill);
            (self.side.x, _) = self.columns();
        }
    }

    /// DL.
    pub(crate) fn delete_lines(&mut self, count: usize) {
        self.clamp_cursor();
        if self.in_region() && self.is_between_margins() {
            let (y, bottom, fill) = (self.side.y, self.side.bottom, self.erased());
            self.move_lines(y..bottom + 1, count, Towards::Top, fill);
            (self.side.x, _) = self.columns();
        }
    }

    /// SU: what leaves at the top is gone.
    pub(crate) fn scroll_region_up(&mut self, count: usize) {
        let fill = self.erased();
        self.move_lines(self.side.top..self.side.bottom + 1, count, Towards::Top, fill);
    }

    /// SD.
    pub(crate) fn scroll_region_down(&mut self, count: usize) {
        let fill = Cell::default();
        self.move_lines(self.side.top..self.side.bottom + 1, count, Towards::Bottom, fill);
    }

    /// Moves rows, or what is between the margins in them.
    pub(crate) fn move_lines(&mut self, rows: Range<usize>, count: usize, towards: Towards, fill: Cell) {
        match towards {
            _ if self.margins.set.is_some() => self.scroll_between_margins(rows, count, towards, fill),
            Towards::Top => self.side.grid.scroll_up(rows, count, fill.style),
            Towards::Bottom => self.side.grid.scroll_down(rows, count, fill.style),
        }
    }

    /// SL, SR, DECIC, DECDC: columns of all rows of the region, from `at` to the right margin. Every cell there has to be moved, and who has that done over
    /// and over on a large screen has it done no more until something else comes.
    pub(crate) fn shift_columns(&mut self, at: usize, count: usize, insert: bool) {
        let rows = self.side.top..self.side.bottom + 1;
        let cells = rows.len() * self.cols();
        let price = cells.min(NEAR_CELLS) / 4 + cells.saturating_sub(NEAR_CELLS);
        if !self.in_region() || !self.is_between_margins() || !self.allowance.spend(price) {
            return;
        }
        let cell = self.erased();
        let (_, right) = self.columns();
        let (end, all) = (right + 1, right + 1 == self.cols());
        self.moved += (rows.len() * self.cols()) as u64;
        for y in rows {
            let row = self.side.grid.row_mut(y);
            match insert {
                true if all => row.insert(at, count, cell),
                true => row.insert_before(at, end, count, cell),
                false if all => row.remove(at, count, cell),
                false => row.remove_before(at, end, count, cell),
            }
            row.wrapped = false;
        }
    }

    fn in_region(&self) -> bool {
        (self.side.top..=self.side.bottom).contains(&self.side.y)
    }
}
