//! The rows of one of a terminal's two screens, and the moves that touch nothing but whole rows. It knows no cursor.
//!
//! Moving rows moves their entries, of four bytes each, and a row that looks the same everywhere is nothing but an entry: so
//! no sequence of a few bytes costs much on the largest of screens, however it clears and scrolls.

use std::ops::Range;

use crate::cell::Cell;
use crate::row::{Row, RowRef};

/// A row's entry: the number of a slot, or the style of a row that looks the same everywhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Entry(u32);

/// Nothing was printed on it.
const BLANK: u32 = 1 << 30;
/// DECALN filled it.
const FULL_OF_E: u32 = 1 << 31;
/// A uniform row goes on with the one before; other rows know that themselves.
const WRAPPED: u32 = 1 << 29;
const NUMBER: u32 = 0xFFFF;

/// What moving a part of a row costs, in cells moved, with so many cells of it: further cells cost themselves.
pub(crate) const PART_ROW_IN_CELLS: usize = 96;
pub(crate) const CELLS_OF_PART_ROW: usize = 64;

/// Where lines move to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Towards {
    /// Up.
    Top,
    /// Down.
    Bottom,
}

impl Entry {
    fn blank(style: u16) -> Self {
        Self(BLANK | u32::from(style))
    }

    fn slot(self) -> Option<usize> {
        (self.0 & (BLANK | FULL_OF_E) == 0).then_some((self.0 & NUMBER) as usize)
    }

    fn style(self) -> u16 {
        u16::try_from(self.0 & NUMBER).unwrap_or(0)
    }

    /// What every place of a uniform row looks like.
    fn cell(self) -> Cell {
        if self.0 & FULL_OF_E == 0 { Cell::blank(self.style()) } else { Cell::ascii(b'E', self.style()) }
    }

    fn wrapped(self) -> bool {
        self.0 & WRAPPED != 0
    }
}

/// The rows of a screen.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    cols: usize,
    /// An entry for each row. Those of `ring` are turned: its first row's is `turned` places further down.
    entries: Vec<Entry>,
    ring: Range<usize>,
    turned: usize,
    slots: Vec<Row>,
    /// Slots of no row. Not all: rows cleared in bulk leave theirs to be found when one is wanted.
    free: Vec<u32>,
    /// For moving entries.
    scratch: Vec<Entry>,
    /// Entries moved or filled since it was made: what moving rows has cost.
    pub(crate) work: u64,
}

impl Grid {
    pub(crate) fn new(rows: usize, cols: usize) -> Self {
        Self {
            cols,
            entries: vec![Entry::blank(0); rows],
            ring: 0..rows,
            turned: 0,
            slots: Vec::new(),
            free: Vec::new(),
            scratch: Vec::new(),
            work: 0,
        }
    }

    /// A grid of these rows, all of `cols` columns.
    pub(crate) fn from_rows(rows: impl IntoIterator<Item = Row>, cols: usize) -> Self {
        let mut grid = Self::new(0, cols);
        for row in rows {
            let slot = u32::try_from(grid.slots.len()).unwrap_or(0) & NUMBER;
            grid.entries.push(Entry(slot));
            grid.slots.push(row);
        }
        grid.ring = 0..grid.entries.len();
        grid
    }

    /// Its rows, top to bottom; it is left with none.
    pub(crate) fn take_rows(&mut self) -> Vec<Row> {
        let rows = (0..self.len()).map(|y| self.row(y).to_row()).collect();
        *self = Self::new(0, self.cols);
        rows
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Row `y`; beyond the last one: a blank one.
    pub(crate) fn row(&self, y: usize) -> RowRef<'_> {
        let entry = self.entries.get(self.place(y)).copied().unwrap_or(Entry::blank(0));
        match entry.slot() {
            Some(slot) => self.slots[slot].as_ref(),
            None => RowRef::uniform(entry.cell(), self.cols, entry.wrapped()),
        }
    }

    /// Rows from the top to the bottom.
    pub(crate) fn rows(&self) -> impl Iterator<Item = RowRef<'_>> {
        (0..self.len()).map(|y| self.row(y))
    }

    /// Row `y` (there is one), for writing.
    pub(crate) fn row_mut(&mut self, y: usize) -> &mut Row {
        let place = self.place(y);
        let slot = match self.entries[place].slot() {
            Some(slot) => slot,
            None => self.fill_slot(place),
        };
        &mut self.slots[slot]
    }

    /// Marks whether row `y` goes on with the row before.
    pub(crate) fn set_wrapped(&mut self, y: usize, wrapped: bool) {
        let place = self.place(y);
        let Some(entry) = self.entries.get_mut(place) else { return };
        match entry.slot() {
            Some(slot) => self.slots[slot].wrapped = wrapped,
            None if wrapped => entry.0 |= WRAPPED,
            None => entry.0 &= !WRAPPED,
        }
    }

    /// Clears whole rows to blanks of a style; none of them goes on with the one before.
    pub(crate) fn clear(&mut self, rows: Range<usize>, style: u16) {
        self.fill(rows, Entry::blank(style));
    }

    /// Fills the screen with E.
    pub(crate) fn fill_with_e(&mut self, style: u16) {
        self.fill(0..self.len(), Entry(FULL_OF_E | u32::from(style)));
    }

    fn fill(&mut self, rows: Range<usize>, entry: Entry) {
        let covers = rows.start <= self.ring.start && rows.end >= self.ring.end;
        if !covers && rows.start < self.ring.end && rows.end > self.ring.start {
            self.settle();
        }
        self.work += rows.len() as u64;
        if rows.len() == 1 {
            self.release(rows.start);
        }
        self.entries[rows].fill(entry);
    }

    /// Moves `rows` up by `count`; those that leave are gone, blank ones of a style come in at the bottom.
    pub(crate) fn scroll_up(&mut self, rows: Range<usize>, count: usize, style: u16) {
        if count >= rows.len() {
            return self.clear(rows, style);
        }
        if count == 1 {
            let place = self.ring_place(&rows, rows.start);
            self.release(place);
        }
        self.turn(&rows, count);
        self.fill_in_ring(rows.end - count..rows.end, Entry::blank(style));
    }

    /// Moves `rows` down by `count`; blank ones of a style come in at the top.
    pub(crate) fn scroll_down(&mut self, rows: Range<usize>, count: usize, style: u16) {
        if count >= rows.len() {
            return self.clear(rows, style);
        }
        if count == 1 {
            let place = self.ring_place(&rows, rows.end - 1);
            self.release(place);
        }
        self.turn(&rows, rows.len() - count);
        self.fill_in_ring(rows.start..rows.start + count, Entry::blank(style));
    }

    /// Cells on `columns` of `rows` up to the last in each row that is not blank in the default style.
    pub(crate) fn cells_in_part(&mut self, rows: Range<usize>, columns: Range<usize>) -> usize {
        let mut cells = 0;
        for y in rows {
            let place = self.place(y);
            let used = match self.entries[place].slot() {
                Some(slot) => self.slots[slot].trim(),
                None => self.row(y).used(),
            };
            cells += used.clamp(columns.start, columns.end) - columns.start;
        }
        cells
    }

    /// Moves what is on `columns` of `rows` by `count` rows; what leaves is gone, as is each wide character that is cut in half,
    /// and `fill` comes in. Neither do these rows go on with others then, nor the next one with them.
    pub(crate) fn scroll_part(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
        count: usize,
        towards: Towards,
        fill: Cell,
    ) {
        for y in rows.clone() {
            self.cut_part(y, columns.clone(), fill);
        }
        self.set_wrapped(rows.end, false);
        let moved = rows.len().saturating_sub(count);
        for step in 0..moved {
            let (from, to) = match towards {
                Towards::Top => (rows.start + step + count, rows.start + step),
                Towards::Bottom => (rows.end - 1 - step - count, rows.end - 1 - step),
            };
            self.copy_part(from, to, columns.clone());
        }
        let filled = match towards {
            Towards::Top => rows.start + moved..rows.end,
            Towards::Bottom => rows.start..rows.end - moved,
        };
        for y in filled {
            self.fill_part(y, columns.clone(), fill);
        }
    }

    /// No wide character reaches over the borders of `columns` in row `y` any more, and no line from the row before to it.
    pub(crate) fn cut_part(&mut self, y: usize, columns: Range<usize>, fill: Cell) {
        for border in [columns.start, columns.end] {
            self.cut(y, border, fill);
        }
        self.set_wrapped(y, false);
    }

    /// Puts `fill` on `columns` of row `y`.
    pub(crate) fn fill_part(&mut self, y: usize, columns: Range<usize>, fill: Cell) {
        let (kept, rest) = self.row(y).parts();
        if !columns.is_empty() && (!kept.is_empty() || rest != fill) {
            self.row_mut(y).fill(columns.start, columns.end, fill);
        }
    }

    /// Moves what is on `columns` of `rows` up by as many rows as there are `lines`, and puts these below; else as
    /// [`Grid::scroll_part`].
    pub(crate) fn scroll_part_in<'a>(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
        lines: impl ExactSizeIterator<Item = &'a Row>,
        fill: Cell,
    ) {
        for y in rows.clone() {
            self.cut_part(y, columns.clone(), fill);
        }
        let kept = rows.end - lines.len();
        for y in rows.start..kept {
            self.copy_part(y + lines.len(), y, columns.clone());
        }
        for (y, line) in (kept..).zip(lines) {
            if line.as_ref().used() > 0 || self.row(y).used() > columns.start {
                self.row_mut(y).put_part(line, columns.clone());
            }
        }
    }

    /// A wide character that has a half on either side of column `x` is gone.
    fn cut(&mut self, y: usize, x: usize, blank: Cell) {
        let place = self.place(y);
        if let Some(slot) = self.entries[place].slot() {
            self.slots[slot].cut(x, blank);
        }
    }

    fn copy_part(&mut self, from: usize, to: usize, columns: Range<usize>) {
        let (from_place, to_place) = (self.place(from), self.place(to));
        match (self.entries[from_place].slot(), self.entries[to_place].slot()) {
            (None, None) if self.entries[from_place].cell() == self.entries[to_place].cell() => {}
            (None, _) => {
                let cell = self.entries[from_place].cell();
                self.row_mut(to).fill(columns.start, columns.end, cell);
            }
            (Some(from), other) => {
                let to = other.unwrap_or_else(|| self.fill_slot(to_place));
                if let Ok([from, to]) = self.slots.get_disjoint_mut([from, to]) {
                    to.copy_part(from, columns);
                }
            }
        }
    }

    /// Bytes of its memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        let rows: usize = self.slots.iter().map(Row::memory_bytes).sum();
        rows + 4 * (self.entries.capacity() + self.free.capacity() + self.scratch.capacity())
    }

    /// Where row `y` has its entry.
    fn place(&self, y: usize) -> usize {
        if self.turned == 0 || !self.ring.contains(&y) {
            return y;
        }
        let place = y + self.turned;
        if place < self.ring.end { place } else { place - self.ring.len() }
    }

    /// The same, once `rows` are the ring.
    fn ring_place(&mut self, rows: &Range<usize>, y: usize) -> usize {
        if self.ring != *rows {
            self.settle();
            self.ring = rows.clone();
        }
        self.place(y)
    }

    /// Turns `rows`: what was `count` places down comes first.
    fn turn(&mut self, rows: &Range<usize>, count: usize) {
        if self.ring != *rows {
            self.settle();
            self.ring = rows.clone();
        }
        self.turned = (self.turned + count) % rows.len();
    }

    /// Fills rows, not all, of the ring.
    fn fill_in_ring(&mut self, rows: Range<usize>, entry: Entry) {
        self.work += rows.len() as u64;
        let (first, last) = (self.place(rows.start), self.place(rows.end - 1));
        if first <= last {
            self.entries[first..=last].fill(entry);
        } else {
            let Range { start, end } = self.ring;
            self.entries[first..end].fill(entry);
            self.entries[start..=last].fill(entry);
        }
    }

    /// Turns the ring back, so that every row has its entry in its place.
    fn settle(&mut self) {
        if self.turned > 0 {
            self.work += self.ring.len() as u64;
            let ring = &mut self.entries[self.ring.clone()];
            self.scratch.clear();
            self.scratch.extend_from_slice(&ring[..self.turned]);
            ring.copy_within(self.turned.., 0);
            let kept = ring.len() - self.turned;
            ring[kept..].copy_from_slice(&self.scratch);
            self.turned = 0;
        }
    }

    /// Gives the slot of an entry that is about to be overwritten back at once: the next row wanted finds it warm.
    fn release(&mut self, place: usize) {
        if let Some(slot) = self.entries[place].slot() {
            self.free.push(u32::try_from(slot).unwrap_or(0));
            self.entries[place] = Entry::blank(0);
        }
    }

    /// Gives a uniform row a slot of its own.
    fn fill_slot(&mut self, place: usize) -> usize {
        // Some more than there are rows, so that looking for free ones is rare.
        let most = self.len() + self.len() / 4 + 8;
        if self.free.is_empty() && self.slots.len() >= most {
            self.find_free();
        }
        let slot = match self.free.pop() {
            Some(slot) => slot as usize,
            None => {
                self.slots.push(Row::new(self.cols));
                self.slots.len() - 1
            }
        };
        let entry = self.entries[place];
        self.slots[slot].become_uniform(entry.cell(), entry.wrapped());
        self.entries[place] = Entry(u32::try_from(slot).unwrap_or(0));
        slot
    }

    fn find_free(&mut self) {
        self.work += self.slots.len() as u64;
        let mut taken = vec![false; self.slots.len()];
        for slot in self.entries.iter().filter_map(|entry| entry.slot()) {
            taken[slot] = true;
        }
        self.free = (0..).zip(taken).filter(|(_, taken)| !taken).map(|(slot, _)| slot).collect();
    }
}
