//! Left and right margins (DECLRMM, DECSLRM): the columns between which text wraps, and between which lines and characters are
//! inserted, deleted and scrolled. All is as xterm does it: xterm.js has none. Nothing of it knows what a sequence looks like.
//!
//! What scrolls between them is part of a row, and so goes nowhere: only whole rows go to the scrollback. And no row on which
//! something moved, or to which text was wrapped at a margin, goes on with the row before: a resize would wrap what stands
//! beside the margins along with it. Of lines that were wrapped from edge to edge alone it is known that they are one.

use std::ops::Range;

use crate::cell::Cell;
use crate::grid::{CELLS_OF_PART_ROW, PART_ROW_IN_CELLS, Towards};
use crate::screen::Screen;

/// The private mode in which DECSLRM sets margins. It is not known to [`crate::Modes`], since clients of ours draw with xterm.js, which
/// has none: who asks for it is told so.
pub(crate) const DECLRMM: u16 = 69;
/// Added to the number of columns it is where the cursor stands that waits to wrap at the right margin.
pub(crate) const AT_MARGIN: usize = 2;

/// So many cells are moved for one that is to be paid for.
const MOVED_FOR_ONE: usize = 8;

/// Left and right margins, which both screens share.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Margins {
    /// DECLRMM (?69): they can be set.
    pub(crate) on: bool,
    /// The first and the last column between them; none: all columns are.
    pub(crate) set: Option<(usize, usize)>,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// DECLRMM. With the mode the margins go.
    pub(crate) fn set_margin_mode(&mut self, on: bool) {
        self.margins.on = on;
        if !on {
            self.forget_margins();
        }
    }

    /// The first and the last column between the margins, which are no margins if that is all there are.
    pub(crate) fn set_margins(&mut self, left: usize, right: usize) {
        self.margins.set = (left > 0 || right + 1 < self.cols()).then_some((left, right));
    }

    /// Between no margins a cursor does not wait at one.
    pub(crate) fn forget_margins(&mut self) {
        if self.waits_at_margin() {
            self.side.x = self.column();
        }
        self.margins.set = None;
    }

    /// The first and the last column between the margins.
    pub(crate) fn columns(&self) -> (usize, usize) {
        self.margins.set.unwrap_or((0, self.cols() - 1))
    }

    /// The cursor's column: the last one it may stand on while it waits to wrap.
    pub(crate) fn column(&self) -> usize {
        let (x, cols) = (self.side.x, self.cols());
        if x < cols {
            x
        } else if x < cols + AT_MARGIN {
            cols - 1
        } else {
            self.columns().1
        }
    }

    pub(crate) fn waits_at_margin(&self) -> bool {
        self.side.x >= self.cols() + AT_MARGIN
    }

    /// The column behind what was printed last, if that was right before the cursor.
    pub(crate) fn column_behind_text(&self) -> usize {
        if self.waits_at_margin() { self.column() + 1 } else { self.side.x }
    }

    /// The column behind the last one to which text goes from where the cursor is. Right of the right margin that is the
    /// screen's edge, left of the left one the right margin nevertheless.
    pub(crate) fn text_end(&self) -> usize {
        match self.margins.set {
            Some((_, right)) if self.side.x <= right => right + 1,
            Some(_) | None => self.cols(),
        }
    }

    /// Text was written up to column `to`, and would have been up to `end`.
    pub(crate) fn stand_behind_text(&mut self, to: usize, end: usize) {
        self.side.x = if to == end && end < self.cols() { self.cols() + AT_MARGIN } else { to };
    }

    /// Whether the cursor's column is between the margins.
    pub(crate) fn is_between_margins(&self) -> bool {
        let (left, right) = self.columns();
        (left..=right).contains(&self.column())
    }

    /// The first column to which the cursor goes back: who is left of the margin already is not stopped there.
    pub(crate) fn first_column(&self) -> usize {
        match self.margins.set {
            Some((left, _)) if self.column() >= left => left,
            Some(_) | None => 0,
        }
    }

    /// The same to the right.
    pub(crate) fn last_column(&self) -> usize {
        match self.margins.set {
            Some((_, right)) if self.column() <= right => right,
            Some(_) | None => self.cols() - 1,
        }
    }

    /// The column that is the first one for sequences that name columns.
    pub(crate) fn origin_column(&self) -> usize {
        match self.margins.set {
            Some((left, _)) if self.modes.origin => left,
            Some(_) | None => 0,
        }
    }

    /// Moves what is between the margins in `rows`; `fill` comes in. It costs as much as is written there, and who has that done
    /// over and over on a large screen has it done no more until something else comes: then a line comes in at most, but none move.
    pub(crate) fn scroll_between_margins(
        &mut self,
        rows: Range<usize>,
        count: usize,
        towards: Towards,
        fill: Cell,
    ) {
        let (left, right) = self.columns();
        let (columns, count) = (left..right + 1, count.min(rows.len()));
        let filled = if fill == Cell::default() { 0 } else { count * columns.len() };
        if self.pay_for_part(rows.clone(), columns.clone(), || filled) {
            self.side.grid.scroll_part(rows, columns, count, towards, fill);
        } else if self.pay_for_cells(columns.len()) {
            let y = if towards == Towards::Top { rows.end - 1 } else { rows.start };
            self.side.grid.scroll_part(y..y + 1, columns, 1, towards, fill);
        }
    }

    /// Pays for moving what is on `columns` of `rows`, and for as many cells as `brought` says that come in. False: the stream cannot
    /// afford it.
    pub(crate) fn pay_for_part(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
        brought: impl FnOnce() -> usize,
    ) -> bool {
        let looked_at = rows.len() * PART_ROW_IN_CELLS;
        let (all, paid) = (rows.len() * columns.len(), rows.len() * CELLS_OF_PART_ROW);
        // Who cannot pay for whatever is there has nothing looked at either: the look would eat what is saved up for the move.
        if !self.allowance.has((looked_at + all.saturating_sub(paid)) / MOVED_FOR_ONE)
            || !self.allowance.spend(looked_at / MOVED_FOR_ONE)
        {
            return false;
        }
        self.moved += looked_at as u64;
        // Each place is written to once at most.
        let cells = (self.side.grid.cells_in_part(rows, columns) + brought()).min(all);
        self.pay_for_cells(cells.saturating_sub(paid))
    }

    /// Pays for moving so many cells.
    pub(crate) fn pay_for_cells(&mut self, cells: usize) -> bool {
        let affordable = self.allowance.spend(cells / MOVED_FOR_ONE);
        self.moved += if affordable { cells as u64 } else { 0 };
        affordable
    }
}
