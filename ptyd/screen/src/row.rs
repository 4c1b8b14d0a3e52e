//! One row of cells. It knows neither where on a screen it stands nor what its cells' numbers mean.

use std::ops::Range;

use crate::cell::{Cell, Packed, WIDE};

/// One row. Cells are kept only as far as they were written; all behind them are alike, so that clearing a row, or the rest
/// of one, touches no cell.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// At most `cols`.
    cells: Vec<Packed>,
    /// What every place from the end of `cells` on looks like.
    rest: Cell,
    cols: usize,
    /// It goes on with the row before: the text was wrapped.
    pub(crate) wrapped: bool,
}

/// A row to be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowRef<'a> {
    cells: &'a [Packed],
    rest: Cell,
    cols: usize,
    pub(crate) wrapped: bool,
}

impl<'a> RowRef<'a> {
    /// A row that looks the same everywhere.
    pub(crate) fn uniform(cell: Cell, cols: usize, wrapped: bool) -> Self {
        Self { cells: &[], rest: cell, cols, wrapped }
    }

    pub(crate) fn cols(self) -> usize {
        self.cols
    }

    pub(crate) fn get(self, at: usize) -> Cell {
        match self.cells.get(at) {
            Some(cell) => cell.cell(),
            None if at < self.cols => self.rest,
            None => Cell::default(),
        }
    }

    /// Its cells as far as they were written, and what all behind them look like.
    pub(crate) fn parts(self) -> (&'a [Packed], Cell) {
        (self.cells, self.rest)
    }

    /// Cells up to the last one that is not blank in the default style.
    pub(crate) fn used(self) -> usize {
        if self.shows_rest() && self.rest != Cell::default() {
            return self.cols;
        }
        self.cells.iter().rposition(|cell| *cell != Packed::default()).map_or(0, |last| last + 1)
    }

    /// [`RowRef::used`], and how often one of these cells looks other than the one before.
    pub(crate) fn used_and_looks(self) -> (usize, usize) {
        let used = self.used();
        let styles = self.cells.iter().take(used).map(|cell| cell.cell().style);
        let changes = styles.clone().zip(styles.skip(1)).filter(|(before, after)| before != after).count();
        (used, changes + usize::from(used > 0))
    }

    /// The cells that [`RowRef::used`] counts.
    pub(crate) fn used_cells(self) -> Vec<Cell> {
        (0..self.used()).map(|at| self.get(at)).collect()
    }

    /// Columns up to the last one on which something was printed.
    pub(crate) fn printed(self) -> usize {
        if self.shows_rest() && self.rest.glyph != 0 {
            return self.cols;
        }
        let last = self.cells.iter().rposition(|cell| cell.cell().glyph != 0);
        last.map_or(0, |last| last + usize::from(self.cells[last].cell().width().max(1)))
    }

    fn shows_rest(self) -> bool {
        self.cells.len() < self.cols
    }

    /// What is on `columns`, as a row of its own of `cols` columns, which looks like `rest` behind them.
    pub(crate) fn part(self, columns: Range<usize>, cols: usize, rest: Cell) -> Row {
        let len = self.cells.len();
        let cells = self.cells[columns.start.min(len)..columns.end.min(len)].to_vec();
        // Where its cells end before, all behind them looks alike, also behind those columns.
        Row { cells, rest: if len < columns.end { self.rest } else { rest }, cols, wrapped: false }
    }

    pub(crate) fn to_row(self) -> Row {
        Row { cells: self.cells.to_vec(), rest: self.rest, cols: self.cols, wrapped: self.wrapped }
    }
}

impl Row {
    pub(crate) fn new(cols: usize) -> Self {
        Self { cells: Vec::new(), rest: Cell::default(), cols, wrapped: false }
    }

    pub(crate) fn from_cells(cells: &[Cell], cols: usize, wrapped: bool) -> Self {
        let cells = cells.iter().take(cols).map(|cell| Packed::new(*cell)).collect();
        Self { cells, rest: Cell::default(), cols, wrapped }
    }

    /// Becomes a row that looks the same everywhere; its memory stays.
    pub(crate) fn become_uniform(&mut self, cell: Cell, wrapped: bool) {
        self.cells.clear();
        (self.rest, self.wrapped) = (cell, wrapped);
    }

    pub(crate) fn as_ref(&self) -> RowRef<'_> {
        RowRef { cells: &self.cells, rest: self.rest, cols: self.cols, wrapped: self.wrapped }
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn get(&self, at: usize) -> Cell {
        self.as_ref().get(at)
    }

    pub(crate) fn set(&mut self, at: usize, cell: Cell) {
        if at < self.cols {
            self.run(at, at + 1)[0] = Packed::new(cell);
        }
    }

    /// Cells for `from..to` (within the row), all of which are about to be written.
    pub(crate) fn run(&mut self, from: usize, to: usize) -> &mut [Packed] {
        self.reach(to);
        &mut self.cells[from..to]
    }

    /// Writes ASCII from column `from` on; it fits.
    pub(crate) fn write_ascii(&mut self, from: usize, bytes: &[u8], style: u16) {
        let to = from + bytes.len();
        self.reserve(to);
        self.reach(from);
        let (over, beyond) = bytes.split_at(bytes.len().min(self.cells.len() - from));
        if over.is_empty() {
            // Mostly text is written where nothing was.
            return self.cells.extend(bytes.iter().map(|byte| Packed::ascii(*byte, style)));
        }
        for (cell, byte) in self.cells[from..].iter_mut().zip(over) {
            *cell = Packed::ascii(*byte, style);
        }
        self.cells.extend(beyond.iter().map(|byte| Packed::ascii(*byte, style)));
    }

    /// The right half of a wide character at `x` whose left half was overwritten is gone.
    pub(crate) fn mend(&mut self, x: usize, style: u16) {
        if x < self.cells.len() && self.get(x).is_spacer() && !(x > 0 && self.get(x - 1).flags == WIDE) {
            self.set(x, Cell::blank(style));
        }
    }

    /// Keeps no cell from `len` on that it did not keep before: what was to be written there was not.
    pub(crate) fn keep(&mut self, len: usize) {
        self.cells.truncate(len);
    }

    /// Cells kept.
    pub(crate) fn kept(&self) -> usize {
        self.cells.len()
    }

    /// Bytes of its memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.cells.capacity() * size_of::<Packed>()
    }

    /// Gives up cells at its end that look like nothing; returns [`RowRef::used`].
    pub(crate) fn trim(&mut self) -> usize {
        if self.cells.len() == self.cols {
            // Nothing is behind them.
            self.rest = Cell::default();
        }
        let used = self.as_ref().used();
        if self.rest == Cell::default() {
            self.cells.truncate(used);
        }
        used
    }

    /// Makes `columns` look as they do on another row.
    pub(crate) fn copy_part(&mut self, from: &Self, columns: Range<usize>) {
        let kept = from.cells.get(columns.start..).unwrap_or_default();
        self.copy_cells(kept, from.rest, from.as_ref().used(), columns);
    }

    /// Puts a part that was a row of its own on `columns`.
    pub(crate) fn put_part(&mut self, part: &Self, columns: Range<usize>) {
        self.copy_cells(&part.cells, part.rest, columns.start + part.as_ref().used(), columns);
    }

    /// Puts `kept` on `columns`, and `rest` behind it. Nothing shows from column `used` on.
    fn copy_cells(&mut self, kept: &[Packed], rest: Cell, used: usize, columns: Range<usize>) {
        // Behind what either has been written to there is nothing to be copied.
        let end = self.trim().max(used).min(columns.end);
        if columns.start >= end {
            return;
        }
        let to = self.run(columns.start, end);
        let kept = &kept[..kept.len().min(to.len())];
        to[..kept.len()].copy_from_slice(kept);
        to[kept.len()..].fill(Packed::new(rest));
    }

    /// A wide character that has a half on either side of `at` is gone.
    pub(crate) fn cut(&mut self, at: usize, blank: Cell) {
        if at > 0 && at < self.cols && self.get(at - 1).flags == WIDE {
            self.set(at - 1, blank);
            self.set(at, blank);
        }
    }

    pub(crate) fn fill(&mut self, from: usize, to: usize, cell: Cell) {
        let to = to.min(self.cols);
        if from >= to {
            return;
        }
        if cell == self.rest && to >= self.cells.len() {
            self.cells.truncate(from);
        } else if to == self.cols {
            self.reach(from);
            self.cells.truncate(from);
            self.rest = cell;
        } else {
            self.run(from, to).fill(Packed::new(cell));
        }
    }

    /// Moves what is at `at` and right of it by `count`, filling with `cell`; what falls off the end is gone, and a wide
    /// character of which half is left.
    pub(crate) fn insert(&mut self, at: usize, count: usize, cell: Cell) {
        if at > 0 && self.get(at - 1).flags == WIDE {
            self.set(at - 1, Cell::blank(cell.style));
            self.set(at, Cell::blank(cell.style));
        }
        let count = count.min(self.cols - at);
        let (len, end) = (self.cells.len(), (self.cells.len() + count).min(self.cols));
        if at < len {
            self.reach(end);
            self.cells.copy_within(at..end - count, at + count);
        }
        self.fill(at, at + count, cell);
        self.blank_wide_at_end(cell.style);
    }

    /// Removes `count` cells at `at`; what is right of them moves left, and `cell` fills the end. A wide character of which
    /// half is left is gone.
    pub(crate) fn remove(&mut self, at: usize, count: usize, cell: Cell) {
        let count = count.min(self.cols - at);
        let len = self.cells.len();
        if at + count < len {
            self.cells.copy_within(at + count.., at);
            self.cells.truncate(len - count);
        } else {
            self.cells.truncate(at);
        }
        if self.rest != cell {
            self.reach(self.cols - count);
            self.rest = cell;
        }
        if at > 0 && self.get(at - 1).flags == WIDE {
            self.set(at - 1, Cell::blank(cell.style));
        }
        if self.get(at).is_spacer() {
            self.set(at, Cell::blank(cell.style));
        }
    }

    /// As [`Row::insert`], where what is at `end` and right of it stays.
    pub(crate) fn insert_before(&mut self, at: usize, end: usize, count: usize, cell: Cell) {
        self.cut(at, cell);
        self.cut(end, cell);
        let count = count.min(end - at);
        let cells = self.run(at, end);
        let kept = cells.len() - count;
        cells.copy_within(..kept, count);
        cells[..count].fill(Packed::new(cell));
        if self.get(end - 1).flags == WIDE {
            self.set(end - 1, cell);
        }
    }

    /// As [`Row::remove`], where what is at `end` and right of it stays.
    pub(crate) fn remove_before(&mut self, at: usize, end: usize, count: usize, cell: Cell) {
        let count = count.min(end - at);
        for border in [at, at + count, end] {
            self.cut(border, cell);
        }
        let cells = self.run(at, end);
        let kept = cells.len() - count;
        cells.copy_within(count.., 0);
        cells[kept..].fill(Packed::new(cell));
    }

    pub(crate) fn resize(&mut self, cols: usize) {
        if cols > self.cols && self.rest != Cell::default() {
            self.reach(self.cols);
            self.rest = Cell::default();
        }
        self.cols = cols;
        self.cells.truncate(cols);
        let last = self.get(cols - 1);
        self.blank_wide_at_end(last.style);
    }

    fn blank_wide_at_end(&mut self, style: u16) {
        let last = self.cols - 1;
        if self.get(last).flags == WIDE {
            self.set(last, Cell::blank(style));
        }
    }

    /// Keeps cells at least up to `len`.
    fn reach(&mut self, len: usize) {
        if self.cells.len() < len {
            self.reserve(len);
            self.cells.resize(len, Packed::new(self.rest));
        }
    }

    fn reserve(&mut self, len: usize) {
        if self.cells.capacity() < len {
            // By doubling, but never beyond the row.
            let wanted = len.next_power_of_two().max(32).min(self.cols);
            self.cells.reserve_exact(wanted - self.cells.len());
        }
    }
}
