//! Rows of cells, and the moves that touch nothing else.

use std::collections::VecDeque;

use crate::cell::{Cell, WIDE};

/// One row. What lies from `used` on is blank in the default style.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Row {
    cells: Vec<Cell>,
    used: usize,
    /// It goes on with the row before: the text was wrapped.
    pub(crate) wrapped: bool,
}

impl Row {
    pub(crate) fn new(cols: usize) -> Self {
        Self { cells: vec![Cell::default(); cols], used: 0, wrapped: false }
    }

    pub(crate) fn from_cells(cells: &[Cell], cols: usize, wrapped: bool) -> Self {
        let mut row = Self::new(cols);
        for (at, cell) in cells.iter().take(cols).enumerate() {
            row.set(at, *cell);
        }
        row.wrapped = wrapped;
        row
    }

    pub(crate) fn cols(&self) -> usize {
        self.cells.len()
    }

    pub(crate) fn get(&self, at: usize) -> Cell {
        self.cells.get(at).copied().unwrap_or_default()
    }

    pub(crate) fn set(&mut self, at: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
            self.used = self.used.max(at + 1);
        }
    }

    /// The cells that may be anything but blank in the default style.
    pub(crate) fn used(&self) -> &[Cell] {
        &self.cells[..self.used]
    }

    /// Cells for `range`, all of which are about to be written.
    pub(crate) fn writable(&mut self, from: usize, to: usize) -> &mut [Cell] {
        self.used = self.used.max(to);
        &mut self.cells[from..to]
    }

    pub(crate) fn fill(&mut self, from: usize, to: usize, cell: Cell) {
        let to = to.min(self.cells.len());
        if cell == Cell::default() {
            if from < self.used {
                let end = to.min(self.used);
                self.cells[from..end].fill(cell);
                if to >= self.used {
                    self.used = from;
                }
            }
        } else if from < to {
            self.writable(from, to).fill(cell);
        }
    }

    pub(crate) fn clear(&mut self, cell: Cell) {
        self.fill(0, self.cells.len(), cell);
        self.wrapped = false;
    }

    /// Columns up to the last one on which something was printed.
    pub(crate) fn printed(&self) -> usize {
        let last = self.used().iter().rposition(|cell| cell.glyph != 0);
        last.map_or(0, |last| last + usize::from(self.cells[last].width().max(1)))
    }

    /// Moves what is at `at` and right of it by `count`, filling with `cell`; what falls off the end is gone, and a wide
    /// character of which half is left.
    pub(crate) fn insert(&mut self, at: usize, count: usize, cell: Cell) {
        let cols = self.cells.len();
        if at > 0 && self.cells[at - 1].flags == WIDE {
            self.set(at - 1, Cell::blank(cell.style));
            self.cells[at] = Cell::blank(cell.style);
        }
        let count = count.min(cols - at);
        self.cells.copy_within(at..cols - count, at + count);
        self.used = if self.used > at { (self.used + count).min(cols) } else { self.used };
        self.fill(at, at + count, cell);
        if self.cells[cols - 1].flags == WIDE {
            self.cells[cols - 1] = Cell::blank(cell.style);
        }
    }

    /// Removes `count` cells at `at`; what is right of them moves left, and `cell` fills the end. A wide character of which
    /// half is left is gone.
    pub(crate) fn remove(&mut self, at: usize, count: usize, cell: Cell) {
        let cols = self.cells.len();
        let count = count.min(cols - at);
        self.cells.copy_within(at + count..cols, at);
        self.fill(cols - count, cols, Cell::default());
        self.fill(cols - count, cols, cell);
        if at > 0 && self.cells[at - 1].flags == WIDE {
            self.cells[at - 1] = Cell::blank(cell.style);
        }
        if self.cells[at].is_spacer() {
            self.cells[at] = Cell::blank(cell.style);
        }
        self.trim_used();
    }

    pub(crate) fn resize(&mut self, cols: usize) {
        self.cells.resize(cols, Cell::default());
        self.used = self.used.min(cols);
        // A wide character that was cut in half.
        if let Some(last) = self.cells.last_mut()
            && last.flags == WIDE
        {
            *last = Cell::blank(last.style);
        }
    }

    fn trim_used(&mut self) {
        while self.used > 0 && self.cells[self.used - 1] == Cell::default() {
            self.used -= 1;
        }
    }
}

/// The rows of one of a terminal's two screens.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) rows: VecDeque<Row>,
}

impl Grid {
    pub(crate) fn new(rows: usize, cols: usize) -> Self {
        Self { rows: (0..rows).map(|_| Row::new(cols)).collect() }
    }

    /// Moves rows `top..=bottom` up by one; the row that leaves is cleared to `cell` and comes in at the bottom.
    pub(crate) fn scroll_up(&mut self, top: usize, bottom: usize, cell: Cell) {
        let moved = if top == 0 && bottom + 1 == self.rows.len() {
            self.rows.pop_front()
        } else {
            self.rows.remove(top)
        };
        if let Some(mut row) = moved {
            row.clear(cell);
            if bottom >= self.rows.len() { self.rows.push_back(row) } else { self.rows.insert(bottom, row) }
        }
    }

    /// Moves rows `top..=bottom` down by one; a row cleared to `cell` comes in at the top.
    pub(crate) fn scroll_down(&mut self, top: usize, bottom: usize, cell: Cell) {
        if let Some(mut row) = self.rows.remove(bottom) {
            row.clear(cell);
            self.rows.insert(top, row);
        }
    }
}
