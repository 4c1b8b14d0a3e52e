//! Scrolls between the margins that are owed: a line that ends at the bottom there moves a part of every row above, and costs as
//! much. So it is only taken off its row and kept, and all are moved at once when something else is about to look at those rows
//! or change them. A flood of lines costs no more than its last ones then.
//!
//! As long as scrolls are owed, the cursor is on the region's bottom row, which is as it should be, and margins and region stay.
//! Who reads the screen reads it as if nothing were owed, and pays nothing.

use std::collections::VecDeque;
use std::ops::Range;

use crate::cell::Cell;
use crate::grid::Towards;
use crate::margins::DECLRMM;
use crate::parser::Sequence;
use crate::row::{Row, RowRef};
use crate::screen::{Screen, Side};

/// So much of a line, written and blanked, is not worth being paid for.
const FREE_CELLS: usize = 128;
const ALL: Range<usize> = 0..usize::MAX;
const NONE: Range<usize> = Range { start: usize::MAX, end: 0 };

/// Scrolls that are owed, one for each line, unless it would have left the region again.
#[derive(Clone, Debug)]
pub(crate) struct Owed {
    /// What was between the margins on the bottom row, from the first to the last. At most as many as there are rows above it.
    lines: VecDeque<Row>,
    /// What the first of them leaves in place of wide characters that it cuts in half.
    first_fill: Cell,
    /// What the last one left on the bottom row, and the columns of it that may have been written to since.
    fill: Cell,
    written: Range<usize>,
}

impl Owed {
    /// The lines, and how the rest looks that comes with them.
    pub(crate) fn lines(&self) -> impl Iterator<Item = RowRef<'_>> {
        let fills = [self.first_fill, self.fill].map(|fill| RowRef::uniform(fill, 1, false));
        self.lines.iter().map(Row::as_ref).chain(fills)
    }

    /// Bytes of its memory, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.lines.iter().map(Row::memory_bytes).sum()
    }

    /// Does them: `rows` are those above the bottom row.
    fn apply(&self, side: &mut Side, columns: Range<usize>) {
        let rows = side.top..side.bottom;
        side.grid.scroll_part_in(rows, columns, self.lines.iter(), self.first_fill);
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The cursor leaves the bottom row for the next one, between the margins: what is between them there is to move up by a row. Who
    /// has long lines copied and blanked by a few bytes, and cannot pay for that, has none of it, or a blank one in place of each.
    pub(crate) fn owe_scroll(&mut self, fill: Cell) {
        let ((left, right), rows) = (self.columns(), self.side.bottom - self.side.top);
        if rows == 0 {
            let only = self.side.bottom..self.side.bottom + 1;
            return self.scroll_between_margins(only, 1, Towards::Top, fill);
        }
        let (rest, Range { start, end }) =
            self.owed.as_ref().map_or((fill, ALL), |owed| (owed.fill, owed.written.clone()));
        let (columns, bottom) = (left..right + 1, self.side.bottom);
        let [from, to] = [start, end].map(|x| x.clamp(left, right + 1));
        let (written, filled) = (left..to, if fill == rest { from.min(to)..to } else { columns.clone() });
        let cells = written.len() + filled.len();
        let is_kept = cells <= FREE_CELLS || self.pay_for_cells(cells);
        if !is_kept && filled.len() > FREE_CELLS {
            return;
        }
        self.side.grid.cut_part(bottom, columns.clone(), fill);
        self.side.grid.set_wrapped(bottom + 1, false);
        let line = if is_kept { written } else { left..left };
        let line = self.side.grid.row(bottom).part(line, columns.len(), rest);
        self.side.grid.fill_part(bottom, filled, fill);
        let none = || Owed { lines: VecDeque::new(), first_fill: fill, fill, written: NONE };
        let owed = self.owed.get_or_insert_with(none);
        if owed.lines.len() == rows {
            owed.lines.pop_front();
        }
        owed.lines.push_back(line);
        (owed.fill, owed.written) = (fill, NONE);
    }

    /// Something is printed from the cursor on: a mark may change the character before, and that mend what was before it.
    pub(crate) fn note_print_begins(&mut self) {
        let x = self.column_behind_text();
        self.note_written(x.saturating_sub(3)..x);
    }

    /// It was printed up to the cursor, and may have mended the place behind it.
    pub(crate) fn note_print_ended(&mut self) {
        let x = self.column_behind_text();
        self.note_written(x..x + 1);
    }

    /// Text was printed to the end of the cursor's row.
    pub(crate) fn note_wrap_from(&mut self) {
        self.note_written(self.column()..usize::MAX);
    }

    /// It goes on at the beginning of this one.
    pub(crate) fn note_wrap_to(&mut self) {
        let x = self.side.x;
        self.note_written(x.saturating_sub(1)..x);
    }

    /// What is at the cursor and right of it on its row moves right.
    pub(crate) fn note_inserted(&mut self, count: usize) {
        let x = self.side.x;
        if let Some(owed) = &mut self.owed {
            let to = owed.written.end.max(x).saturating_add(count);
            owed.written = owed.written.start.min(x.saturating_sub(1))..to;
        }
    }

    /// All right of the cursor on its row is erased.
    fn note_erased(&mut self) {
        if self.owed.is_some() {
            let (x, cell) = (self.side.x, self.erased());
            let is_as_it_was = self.owed.as_ref().is_some_and(|owed| owed.fill == cell);
            self.note_written(if is_as_it_was { x.saturating_sub(1)..x } else { ALL });
        }
    }

    /// These columns of the cursor's row are written to, or nothing between them and others that were is left as it was.
    fn note_written(&mut self, columns: Range<usize>) {
        if let Some(owed) = &mut self.owed {
            let Range { start, end } = owed.written;
            owed.written = start.min(columns.start)..end.max(columns.end);
        }
    }

    /// Something is about to look at the rows or change them: does the scrolls that are owed. Who cannot pay for that has lost
    /// their lines.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if self.owed.is_some() {
            self.settle_owed();
        }
    }

    fn settle_owed(&mut self) {
        let Some(owed) = self.owed.take() else { return };
        let ((left, right), rows) = (self.columns(), self.side.top..self.side.bottom);
        let brought = owed.lines.iter().map(|line| line.as_ref().used());
        if self.pay_for_part(rows, left..right + 1, || brought.sum()) {
            owed.apply(&mut self.side, left..right + 1);
        }
    }

    /// The same for who is no stream of bytes, and pays nothing.
    pub(crate) fn do_owed_scrolls(&mut self) {
        let (left, right) = self.columns();
        if let Some(owed) = self.owed.take() {
            owed.apply(&mut self.side, left..right + 1);
        }
    }

    /// The screen that is shown, to be read; none: it is as it should be.
    pub(crate) fn settled_side(&self) -> Option<Side> {
        let owed = self.owed.as_ref()?;
        let ((left, right), mut side) = (self.columns(), self.side.clone());
        owed.apply(&mut side, left..right + 1);
        Some(side)
    }

    /// Before a control character.
    pub(crate) fn settle_for_control(&mut self, byte: u8) {
        match byte {
            // Back over the edge, to the row before.
            0x08 if self.modes.reverse_wrap => self.settle(),
            0x8D => self.settle(),
            _ => {}
        }
    }

    /// Before an escape sequence.
    pub(crate) fn settle_for_escape(&mut self, intermediates: &[u8], final_byte: u8) {
        if let ([], b'8' | b'M') = (intermediates, final_byte) {
            self.settle();
        }
    }

    /// Before a control sequence, except for SGR: unless it is of those that leave the other rows alone, which come in between lines.
    pub(crate) fn settle_for_csi(&mut self, csi: &Sequence<'_>) {
        if self.owed.is_none() {
            return;
        }
        let params = csi.params;
        match (csi.prefix, csi.intermediates, csi.final_byte) {
            (None, [], b'K' | b'J') if params.value(0) == 0 => self.note_erased(),
            // They do to the cursor's row what no column tells.
            (None, [], b'P' | b'X' | b'K') | (Some(b'?'), [], b'K') => {
                self.note_written(ALL);
            }
            // What prints or inserts says how far itself. Along the row, modes, tab stops, titles and reports.
            (
                None,
                [],
                b'@' | b'b' | b'C' | b'D' | b'G' | b'`' | b'a' | b'I' | b'Z' | b'g' | b'h' | b'l' | b't'
                | b'n' | b'c',
            ) => {}
            (Some(b'?'), [], b'h' | b'l') => {
                let others = |mode| matches!(mode, 6 | 47 | 1047..=1049 | DECLRMM);
                if (0..params.len()).any(|index| others(params.value(index))) {
                    self.settle();
                }
            }
            // The keyboard, reports, and how the cursor looks.
            (Some(b'>' | b'=' | b'<'), [], _)
            | (Some(b'?'), [], b'u' | b'n' | b'm')
            | (_, [b'$'], b'p')
            | (None, [b' '], b'q')
            | (None, [b'"'], b'q') => {}
            _ => self.settle(),
        }
    }
}
