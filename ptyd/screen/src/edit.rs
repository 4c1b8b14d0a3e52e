//! Erasing, inserting and deleting.

use crate::cell::{Cell, WIDE};
use crate::screen::Screen;
use crate::style::flag;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Erases part of row `y`; a wide character cut in half is erased whole.
    fn erase(&mut self, y: usize, from: usize, to: usize, whole: bool, keep_protected: bool) {
        let cell = self.erased();
        let Some(row) = self.side.grid.rows.get_mut(y) else { return };
        let kept = |cell: Cell| {
            let something = cell.glyph != 0 || cell.is_spacer();
            keep_protected && something && self.styles.get(cell.style).flags & flag::PROTECTED != 0
        };
        if from > 0 && row.get(from - 1).flags == WIDE && !kept(row.get(from - 1)) {
            row.set(from - 1, cell);
        }
        if to < row.cols() && row.get(to).is_spacer() && !kept(row.get(to)) {
            row.set(to, cell);
        }
        if keep_protected {
            for at in from..to.min(row.cols()) {
                if !kept(row.get(at)) {
                    row.set(at, cell);
                }
            }
        } else {
            row.fill(from, to, cell);
        }
        if whole {
            row.wrapped = false;
        }
    }

    /// ED and DECSED. A cursor that waits to wrap stands behind the last column, which is then left alone.
    pub(crate) fn erase_display(&mut self, what: u16, keep_protected: bool) {
        let (rows, cols, x, y) = (self.rows(), self.cols(), self.side.x, self.side.y);
        match what {
            0 => {
                self.erase(y, x, cols, x == 0, keep_protected);
                for row in y + 1..rows {
                    self.erase(row, 0, cols, true, keep_protected);
                }
            }
            1 => {
                self.erase(y, 0, x + 1, true, keep_protected);
                if x + 1 >= cols
                    && let Some(next) = self.side.grid.rows.get_mut(y + 1)
                {
                    // The line that went on there was erased up to its end.
                    next.wrapped = false;
                }
                for row in 0..y {
                    self.erase(row, 0, cols, true, keep_protected);
                }
            }
            2 => {
                for row in 0..rows {
                    self.erase(row, 0, cols, true, keep_protected);
                }
            }
            3 if !self.modes.alternate_screen => self.scrollback.clear(),
            _ => {}
        }
    }

    /// EL and DECSEL.
    pub(crate) fn erase_line(&mut self, what: u16, keep_protected: bool) {
        let (cols, x, y) = (self.cols(), self.side.x, self.side.y);
        match what {
            0 => self.erase(y, x, cols, x == 0, keep_protected),
            1 => self.erase(y, 0, x + 1, false, keep_protected),
            2 => self.erase(y, 0, cols, true, keep_protected),
            _ => {}
        }
    }

    /// ECH.
    pub(crate) fn erase_chars(&mut self, count: usize) {
        self.clamp_cursor();
        let (x, y) = (self.side.x, self.side.y);
        self.erase(y, x, (x + count).min(self.cols()), false, false);
    }

    /// ICH.
    pub(crate) fn insert_chars(&mut self, count: usize) {
        self.clamp_cursor();
        let (x, cell) = (self.side.x, self.erased());
        self.row_mut().insert(x, count, cell);
    }

    /// DCH.
    pub(crate) fn delete_chars(&mut self, count: usize) {
        self.clamp_cursor();
        let (x, cell) = (self.side.x, self.erased());
        self.row_mut().remove(x, count, cell);
    }

    /// IL.
    pub(crate) fn insert_lines(&mut self, count: usize) {
        self.clamp_cursor();
        if self.in_region() {
            let (y, bottom) = (self.side.y, self.side.bottom);
            self.move_down(y, bottom, count);
            self.side.x = 0;
        }
    }

    /// DL.
    pub(crate) fn delete_lines(&mut self, count: usize) {
        self.clamp_cursor();
        if self.in_region() {
            let (y, bottom) = (self.side.y, self.side.bottom);
            self.move_up(y, bottom, count);
            self.side.x = 0;
        }
    }

    /// SU: what leaves at the top is gone.
    pub(crate) fn scroll_region_up(&mut self, count: usize) {
        self.move_up(self.side.top, self.side.bottom, count);
    }

    /// SD.
    pub(crate) fn scroll_region_down(&mut self, count: usize) {
        let (top, bottom) = (self.side.top, self.side.bottom);
        for _ in 0..count.min(bottom + 1 - top) {
            self.side.grid.scroll_down(top, bottom, Cell::default());
        }
    }

    fn move_up(&mut self, top: usize, bottom: usize, count: usize) {
        let cell = self.erased();
        for _ in 0..count.min(bottom + 1 - top) {
            self.side.grid.scroll_up(top, bottom, cell);
        }
    }

    fn move_down(&mut self, top: usize, bottom: usize, count: usize) {
        let cell = self.erased();
        for _ in 0..count.min(bottom + 1 - top) {
            self.side.grid.scroll_down(top, bottom, cell);
        }
    }

    /// SL, SR, DECIC, DECDC: columns of all rows of the region.
    pub(crate) fn shift_columns(&mut self, at: usize, count: usize, insert: bool) {
        if !self.in_region() {
            return;
        }
        let cell = self.erased();
        let (top, bottom) = (self.side.top, self.side.bottom);
        for row in self.side.grid.rows.range_mut(top..=bottom) {
            if insert {
                row.insert(at, count, cell);
            } else {
                row.remove(at, count, cell);
            }
            row.wrapped = false;
        }
    }

    fn in_region(&self) -> bool {
        (self.side.top..=self.side.bottom).contains(&self.side.y)
    }
}
