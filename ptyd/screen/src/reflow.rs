//! A new size: rows come back from the scrollback or go there, wrapped lines are wrapped anew. It follows xterm.js step by
//! step, since clients do the same to the same text: also where it leaves the line with the cursor alone, for the program
//! to redraw.

use std::collections::VecDeque;

use crate::cell::{Cell, WIDE};
use crate::grid::Grid;
use crate::row::Row;
use crate::screen::{Saved, Screen, Side};
use crate::scrollback::{PackedCell, Position, Record};
use crate::size::Size;

/// Rows of one line that are taken back from the scrollback at most.
const MAX_ROWS_OF_LINE: usize = 4096;

/// The rows of the primary screen with those above it that a resize touches.
struct Buffer {
    lines: VecDeque<Row>,
    /// Rows above the screen.
    above: usize,
    y: usize,
    /// How many rows down the rows go that the cursor goes with, and what was saved: it may be where the cursor is to come back to
    /// from the alternate screen.
    moved: isize,
    /// Some line was wrapped anew for narrower rows.
    wrapped_anew: bool,
}

impl Buffer {
    fn put_above(&mut self, rows: Vec<Row>) {
        self.above += rows.len();
        rows.into_iter().rev().for_each(|row| self.lines.push_front(row));
    }
}

impl Saved {
    /// Its row on a screen of `rows` rows, or the nearest one.
    pub(crate) fn row_on_screen(&self, rows: usize) -> usize {
        usize::try_from(self.y).unwrap_or(0).min(rows - 1)
    }

    /// Where nothing is above the screen, its first row is the nearest to what was there.
    fn keep_below_top(&mut self, above: &Position) {
        if above.rows == 0 {
            self.y = self.y.max(0);
        }
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// Takes a new size.
    pub fn resize(&mut self, size: Size) {
        if size == self.size {
            return;
        }
        self.do_owed_scrolls();
        self.collect();
        self.forget_margins();
        self.retired = None;
        let old = std::mem::replace(&mut self.size, size);
        let cols = usize::from(size.cols());
        let alternate_shown = self.modes.alternate_screen;
        if let Some(mut other) = self.other.take() {
            self.resize_primary(&mut other, old, size);
            self.other = Some(other);
        }
        let mut side = std::mem::replace(&mut self.side, Side::new(size));
        if alternate_shown {
            resize_alternate(&mut side, size);
        } else {
            self.resize_primary(&mut side, old, size);
        }
        self.side = side;
        for side in std::iter::once(&mut self.side).chain(self.other.as_deref_mut()) {
            side.tabs.resize(cols);
        }
        self.joins = 0;
    }

    fn resize_primary(&mut self, side: &mut Side, old: Size, new: Size) {
        let (old_rows, rows) = (usize::from(old.rows()), usize::from(new.rows()));
        let (old_cols, cols) = (usize::from(old.cols()), usize::from(new.cols()));
        let y = side.y.min(old_rows - 1);
        if let Some(saved) = &mut side.saved {
            // What was above may have been dropped.
            saved.keep_below_top(&self.scrollback.position);
        }
        let mut buffer =
            Buffer { lines: side.grid.take_rows().into(), above: 0, y, moved: 0, wrapped_anew: false };
        let mut added = 0;
        for _ in old_rows..rows {
            if buffer.lines.len() >= rows + buffer.above {
                continue;
            }
            let nothing_below = buffer.lines.len() <= buffer.above + buffer.y + added + 1;
            if nothing_below && self.reach_above(&mut buffer, old_cols) {
                buffer.above -= 1;
                added += 1;
            } else {
                buffer.lines.push_back(Row::new(old_cols));
            }
        }
        for _ in rows..old_rows {
            if buffer.lines.len() > rows + buffer.above {
                if buffer.lines.len() > buffer.above + buffer.y + 1 {
                    buffer.lines.pop_back();
                } else {
                    buffer.above += 1;
                    buffer.moved -= 1;
                }
            }
        }
        buffer.y = buffer.y.min(rows - 1) + added;
        buffer.moved += added.cast_signed();
        if cols != old_cols {
            // The line that crosses the screen's top is wrapped as a whole; merged lines make room for more from above.
            while buffer.lines.front().is_some_and(|row| row.wrapped) && self.take_back(&mut buffer, old_cols)
            {
            }
            if cols > old_cols {
                let wanted = rows * (cols / old_cols + 2);
                while buffer.above < wanted && self.take_back(&mut buffer, old_cols) {}
                buffer.lines.iter_mut().for_each(|row| row.resize(cols));
                self.reflow_larger(&mut buffer, old_cols, cols, rows);
            } else {
                self.reflow_smaller(&mut buffer, old_cols, cols, rows);
                buffer.lines.iter_mut().for_each(|row| row.resize(cols));
            }
        }
        if let Some(saved) = &mut side.saved {
            saved.y = saved.y.saturating_add(buffer.moved);
            let last = rows.cast_signed() - 1;
            if saved.y > last && cols < old_cols && (buffer.wrapped_anew || self.wraps_above(cols)) {
                // As xterm.js does, which wraps all of them at once.
                saved.y = last;
            }
        }
        self.scrollback.note_taken_back();
        if cols != old_cols {
            self.scrollback.note_width(new.cols());
        }
        for at in 0..buffer.above {
            let goes_on = buffer.lines.get(at + 1).is_some_and(|next| next.wrapped);
            self.pack(buffer.lines[at].as_ref(), goes_on);
        }
        buffer.lines.drain(..buffer.above);
        buffer.lines.resize_with(rows, || Row::new(cols));
        side.grid = Grid::from_rows(buffer.lines, cols);
        side.x = side.x.min(cols - 1);
        side.y = buffer.y.min(rows - 1);
        if let Some(saved) = &mut side.saved {
            saved.x = saved.x.min(cols - 1);
            saved.keep_below_top(&self.scrollback.position);
        }
        (side.top, side.bottom) = (0, rows - 1);
    }

    /// Whether some line above the rows at hand takes several rows of `cols` columns.
    fn wraps_above(&self, cols: usize) -> bool {
        self.scrollback.newest_first(false).any(|record| record.wrapped() || record.shape().printed > cols)
    }

    /// Whether there is a row above the screen; takes a line back from the scrollback if need be.
    fn reach_above(&mut self, buffer: &mut Buffer, cols: usize) -> bool {
        buffer.above > 0 || self.take_back(buffer, cols)
    }

    /// Takes the newest line back from the scrollback, wrapped for `cols` columns. False: there is none.
    fn take_back(&mut self, buffer: &mut Buffer, cols: usize) -> bool {
        let mut rows: Vec<Record> = Vec::new();
        let first_goes_on = buffer.lines.front().is_some_and(|row| row.wrapped);
        while let Some(record) =
            if rows.is_empty() { self.scrollback.take_back(first_goes_on) } else { self.scrollback.pop() }
        {
            let begins = !record.wrapped();
            rows.push(record);
            if begins || rows.len() >= MAX_ROWS_OF_LINE {
                break;
            }
        }
        let Some(first) = rows.last() else { return false };
        let first_wrapped = first.wrapped();
        // As wide as they are to be: back as they were.
        let fits = rows.iter().enumerate().all(|(index, record)| {
            let cells = record.shape().cells;
            cells == cols || (index == 0 && cells < cols)
        });
        if fits {
            let packed: Vec<Row> = rows.iter().rev().map(|record| self.unpack(record, cols)).collect();
            buffer.put_above(packed);
            return true;
        }
        let mut cells = Vec::new();
        for record in rows.iter().rev() {
            let mut first = true;
            record.each(|cell| {
                let narrow = cells.last().is_some_and(|last: &Cell| last.glyph == 0 && last.flags == 0);
                if std::mem::take(&mut first) && cell.flags == WIDE && narrow {
                    // The place before it was too narrow for it.
                    cells.pop();
                }
                cells.push(self.unpack_cell(&cell));
            });
        }
        if !buffer.lines.front().is_some_and(|row| row.wrapped) {
            // Nothing at its end takes no rows of its own.
            let printed =
                cells.iter().rposition(|cell| cell.glyph != 0 || cell.flags != 0).map_or(0, |last| last + 1);
            cells.truncate(printed.max(cols.min(cells.len())));
        }
        // The line goes on with the first row there is: its own last row is as full as it was.
        let mut wrapped = Vec::new();
        let mut rest = cells.as_slice();
        loop {
            let mut len = rest.len().min(cols);
            if len == cols && rest.len() > cols && rest[len - 1].flags == WIDE {
                len -= 1;
            }
            let goes_on = first_wrapped || !wrapped.is_empty();
            wrapped.push(Row::from_cells(&rest[..len], cols, goes_on));
            rest = &rest[len..];
            if rest.is_empty() {
                break;
            }
        }
        buffer.put_above(wrapped);
        true
    }

    fn unpack(&mut self, record: &Record, cols: usize) -> Row {
        let mut cells = Vec::new();
        record.each(|cell| cells.push(self.unpack_cell(&cell)));
        Row::from_cells(&cells, cols, record.wrapped())
    }

    /// The rows at hand are not where styles are collected: one too many is shown plain.
    fn unpack_cell(&mut self, cell: &PackedCell<'_>) -> Cell {
        let style = self.styles.number(&cell.style).unwrap_or(0);
        cell.to_cell(style, &mut self.clusters)
    }

    fn reflow_larger(&mut self, buffer: &mut Buffer, old_cols: usize, cols: usize, rows: usize) {
        let cursor = buffer.above + buffer.y;
        let mut removed = 0;
        let mut kept = VecDeque::with_capacity(buffer.lines.len());
        let lines = std::mem::take(&mut buffer.lines);
        let mut start = 0;
        let mut groups = Vec::new();
        for at in 1..=lines.len() {
            if at == lines.len() || !lines[at].wrapped {
                groups.push(start..at);
                start = at;
            }
        }
        let mut lines = lines.into_iter();
        for group in groups {
            let mut group_lines: Vec<Row> = lines.by_ref().take(group.len()).collect();
            if group.len() > 1 && !group.contains(&cursor) {
                let gone = merge(&mut group_lines, old_cols, cols);
                removed += gone;
                group_lines.truncate(group_lines.len() - gone);
            }
            kept.extend(group_lines);
        }
        buffer.lines = kept;
        for _ in 0..removed {
            let before = buffer.lines.len();
            if buffer.above == 0 && !self.take_back(buffer, old_cols) {
                buffer.y = buffer.y.saturating_sub(1);
                buffer.moved -= 1;
                if before < rows {
                    buffer.lines.push_back(Row::new(cols));
                }
                continue;
            }
            let taken_back = buffer.lines.len() - before;
            buffer.above -= 1;
            buffer.lines.range_mut(..taken_back).for_each(|row| row.resize(cols));
        }
    }

    fn reflow_smaller(&mut self, buffer: &mut Buffer, old_cols: usize, cols: usize, rows: usize) {
        let at_top = self.scrollback.position.rows == 0;
        let mut done = VecDeque::new();
        while let Some(last) = buffer.lines.pop_back() {
            if !last.wrapped && last.as_ref().printed() <= cols {
                done.push_front(last);
                continue;
            }
            let mut line = VecDeque::from([last]);
            while line[0].wrapped
                && let Some(row) = buffer.lines.pop_back()
            {
                line.push_front(row);
            }
            let start = buffer.lines.len();
            let mut line = Vec::from(line);
            if !(start..start + line.len()).contains(&(buffer.above + buffer.y)) {
                buffer.wrapped_anew = true;
                let old = line.len();
                line = split(line, old_cols, cols);
                for _ in old..line.len() {
                    if at_top && buffer.above == 0 && buffer.y + 1 < rows {
                        buffer.y += 1;
                        buffer.moved += 1;
                        // The screen's last row: of a line further down, if there is one.
                        if done.pop_back().is_none() {
                            line.pop();
                        }
                    } else {
                        buffer.above += 1;
                    }
                }
            }
            line.into_iter().rev().for_each(|row| done.push_front(row));
        }
        buffer.lines = done;
    }
}

/// The columns of row `at` of a wrapped line that count as text.
fn text_len(lines: &[Row], at: usize, cols: usize) -> usize {
    let Some(next) = lines.get(at + 1) else { return lines[at].as_ref().printed() };
    let last = lines[at].get(cols - 1);
    let ends_empty = last.glyph == 0 && last.width() == 1;
    if ends_empty && next.get(0).flags == WIDE { cols - 1 } else { cols }
}

/// Moves the text of a wrapped line into wider rows; returns how many rows at its end are not needed any more.
fn merge(lines: &mut [Row], old_cols: usize, cols: usize) -> usize {
    let (mut to, mut to_col) = (0, text_len(lines, 0, old_cols));
    let (mut from, mut from_col) = (1, 0);
    while from < lines.len() {
        let len = text_len(lines, from, old_cols);
        let count = (len - from_col).min(cols - to_col);
        for at in 0..count {
            let cell = lines[from].get(from_col + at);
            lines[to].set(to_col + at, cell);
        }
        to_col += count;
        if to_col == cols {
            (to, to_col) = (to + 1, 0);
        }
        from_col += count;
        if from_col == len {
            (from, from_col) = (from + 1, 0);
        }
        if to_col == 0 && to != 0 && lines[to - 1].get(cols - 1).flags == WIDE && to < lines.len() {
            let wide = lines[to - 1].get(cols - 1);
            lines[to].set(0, wide);
            lines[to - 1].set(cols - 1, Cell::default());
            to_col = 1;
        }
    }
    if to < lines.len() {
        lines[to].fill(to_col, cols, Cell::default());
    }
    (1..lines.len()).rev().take_while(|at| *at > to || lines[*at].as_ref().printed() == 0).count()
}

/// Wraps a line for narrower rows, adding rows behind it.
fn split(line: Vec<Row>, old_cols: usize, cols: usize) -> Vec<Row> {
    let lens = new_lens(&line, old_cols, cols);
    if lens.len() < line.len() {
        return line;
    }
    let mut cells: Vec<Cell> = Vec::new();
    for (at, row) in line.iter().enumerate() {
        let len = text_len(&line, at, old_cols);
        cells.extend((0..len).map(|col| row.get(col)));
    }
    let first_wrapped = line[0].wrapped;
    let mut rest = cells.as_slice();
    let mut rows = Vec::with_capacity(lens.len());
    let mut used_again = line.into_iter();
    for len in lens {
        let (now, later) = rest.split_at(len.min(rest.len()));
        let goes_on = !rows.is_empty() || first_wrapped;
        let row = match used_again.next() {
            // What stood further right in a row that is used again stays, but for the place right behind the text.
            Some(mut row) => {
                now.iter().enumerate().for_each(|(at, cell)| row.set(at, *cell));
                if len < cols {
                    row.set(len, Cell::default());
                }
                row.wrapped = goes_on;
                row
            }
            None => Row::from_cells(now, old_cols, goes_on),
        };
        rows.push(row);
        rest = later;
    }
    rows
}

/// How long each row of a wrapped line becomes with `cols` columns.
fn new_lens(lines: &[Row], old_cols: usize, cols: usize) -> Vec<usize> {
    let needed: usize = (0..lines.len()).map(|at| text_len(lines, at, old_cols)).sum();
    let (mut lens, mut available) = (Vec::new(), 0);
    let (mut line, mut col) = (0, 0);
    while available < needed {
        if needed - available < cols {
            lens.push(needed - available);
            break;
        }
        col += cols;
        let len = text_len(lines, line, old_cols);
        if col > len {
            col -= len;
            line += 1;
        }
        let wide = line < lines.len() && col > 0 && lines[line].get(col - 1).flags == WIDE;
        if wide {
            col -= 1;
        }
        let len = if wide { cols - 1 } else { cols };
        lens.push(len);
        available += len;
    }
    lens
}

/// The alternate screen is not wrapped anew: rows are added and cut at its end, or cut above the cursor.
fn resize_alternate(side: &mut Side, size: Size) {
    let (rows, cols) = (usize::from(size.rows()), usize::from(size.cols()));
    let mut lines = VecDeque::from(side.grid.take_rows());
    let mut moved = 0;
    while lines.len() > rows {
        if lines.len() > side.y + 1 {
            lines.pop_back();
        } else {
            lines.pop_front();
            side.y = side.y.saturating_sub(1);
            moved -= 1;
        }
    }
    lines.resize_with(rows, || Row::new(cols));
    lines.iter_mut().for_each(|row| row.resize(cols));
    side.grid = Grid::from_rows(lines, cols);
    side.x = side.x.min(cols - 1);
    side.y = side.y.min(rows - 1);
    if let Some(saved) = &mut side.saved {
        saved.x = saved.x.min(cols - 1);
        saved.y = saved.y.saturating_add(moved).max(0);
    }
    (side.top, side.bottom) = (0, rows - 1);
}
