//! How a snapshot stays within its bound: what comes first, and what is left out of what does not fit.

use super::{Writer, saved};
use crate::cell::{Cell, ZERO};
use crate::row::RowRef;
use crate::screen::{Screen, Side};
use crate::style::Style;

/// Most bytes of a snapshot. The screen comes first, in half of it: without its links if it does not fit with them, without
/// styles from where it does not fit with those. Its text may take more. Then comes the screen that is hidden, and then as
/// many of the newest lines above it as there is room for.
pub const MAX_SNAPSHOT_BYTES: usize = 4 << 20;

/// Bytes that a cell takes with its style at most, and what it takes to begin a row with it.
const STYLED_BYTES: usize = 256;
/// Bytes of a row beside its cells, without styles: the default pen, and the way to the next row.
const ROW_BYTES: usize = 8;
/// Bytes more of a row that wraps though nothing was printed where it does, or a mark alone, for each of its ends, what puts that right again
/// included.
const WRAP_BYTES: usize = 48;
/// Bytes that put such a place right.
pub(super) const REPAIR_BYTES: usize = 24;
/// Bytes that the primary screen's rows may take more, or fewer, after other lines than was thought: a link and its pen twice.
const CROSSING_BYTES: usize = 8 << 10;

/// The rows of a screen, written down.
struct Part {
    text: String,
    links: bool,
    /// Bytes that were set aside for it.
    room: usize,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The screen, after at most `scrollback_lines` lines that have left it at the top: fewer where they would be too long.
    /// To be written to a terminal of [`Screen::size`] that was reset. At most [`MAX_SNAPSHOT_BYTES`].
    pub fn snapshot(&self, scrollback_lines: u32) -> Vec<u8> {
        if self.owed.is_some() {
            let copy = if scrollback_lines == 0 { self.copy_without_scrollback() } else { self.copy() };
            return copy.snapshot(scrollback_lines);
        }
        let (between, end) = (self.other.as_deref().map(|primary| self.to_alternate(primary)), self.end());
        let mut first = Writer::new(self, usize::MAX);
        first.saved_modes();
        let state = first.out.len() + end.len() + between.as_ref().map_or(0, String::len);
        let primary = self.other.as_deref().unwrap_or(&self.side);
        let set_aside = if first.is_saved_first(primary) { saved::FIRST_BYTES } else { 0 };
        let mut room = MAX_SNAPSHOT_BYTES.saturating_sub(state + CROSSING_BYTES + set_aside);
        let alternate = self.other.is_some().then(|| {
            // The primary screen's rows are there, though perhaps blank.
            let most = room.saturating_sub((self.rows() + 1) * ROW_BYTES + STYLED_BYTES);
            self.part(&self.side, (false, None), MAX_SNAPSHOT_BYTES / 2, most)
        });
        room = room.saturating_sub(alternate.as_ref().map_or(0, |part| part.text.len()));
        let wanted = if alternate.is_some() { room / 2 } else { MAX_SNAPSHOT_BYTES / 2 };
        let above = scrollback_lines > 0 && self.rows_above().next().is_some();
        let crosses = above && primary.grid.row(0).wrapped;
        let mut rows = self.part(primary, (crosses, None), wanted, room);
        room = room.saturating_sub(rows.room);
        let links = rows.links && alternate.as_ref().is_none_or(|part| part.links);
        let lines = self.written_scrollback(scrollback_lines, room, links);
        if (lines.crosses, lines.gap) != (crosses, None) {
            let most = rows.room + CROSSING_BYTES;
            rows = self.part(primary, (lines.crosses, lines.gap), most, most);
        }
        first.saved_first(primary, (scrollback_lines > 0).then_some(lines.rows));
        let mut out = first.out;
        let alternate = alternate.map(|part| part.text).unwrap_or_default();
        let parts = [lines.text, rows.text, between.unwrap_or_default(), alternate, end];
        out.reserve_exact(parts.iter().map(String::len).sum());
        parts.iter().for_each(|part| out.push_str(part));
        debug_assert!(out.len() <= MAX_SNAPSHOT_BYTES, "{} bytes", out.len());
        out.into_bytes()
    }

    /// What the primary screen has beside its rows, and how the alternate one comes after it.
    fn to_alternate(&self, primary: &Side) -> String {
        let mut out = Writer::new(self, usize::MAX);
        out.side_state(primary);
        // 1049 would save the cursor, and so forget the one saved.
        out.place(primary.y, primary.x.min(self.cols() - 1));
        out.text("\x1b[0m\x1b[?1047h\x1b[H");
        out.out
    }

    /// What comes after all rows. Nothing in it is longer than a title, a path or a link, of which there are few.
    fn end(&self) -> String {
        let mut out = Writer::new(self, usize::MAX);
        out.side_state(&self.side);
        out.shared_state();
        out.cursor(&self.side);
        out.pen(self.pen);
        out.charsets(self.charsets);
        out.late_modes(&self.modes);
        out.last_printed(&self.side);
        out.text(str::from_utf8(self.parser.introducer()).unwrap_or_default());
        out.out
    }

    /// The rows of a side: all that is to be said of them in `wanted` bytes, or their text in `most`, with what styles fit
    /// `wanted`. `above`: whether the first one goes on with a line that was written, and the gap at that one's end.
    fn part(&self, side: &Side, above: (bool, Option<Style>), wanted: usize, most: usize) -> Part {
        let (crosses, gap) = above;
        let all = side.grid.len();
        for links in [true, false] {
            let mut out = Writer::new(self, wanted.min(most));
            (out.links, out.gap) = (links, gap);
            if out.rows(side, crosses, all) {
                return Part { room: out.out.len(), text: out.out, links };
            }
        }
        let mut out = Writer::new(self, most);
        (out.links, out.gap) = (false, gap);
        let (mut shown, mut plain) = out.rows_that_fit(side);
        if shown < all {
            out.marks = false;
            (shown, plain) = out.rows_that_fit(side);
        }
        out.limit = wanted.clamp(plain.min(most), most);
        out.plain_left = Some(plain);
        out.rows(side, crosses, shown);
        Part { room: out.limit, text: out.out, links: false }
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Writer<'_, M> {
    /// How many rows fit without styles, and the bytes that they, and the blank rows below them, take at most.
    fn rows_that_fit(&self, side: &Side) -> (usize, usize) {
        let all = side.grid.len();
        let mut bytes = STYLED_BYTES + all * ROW_BYTES;
        for y in 0..all {
            let next_goes_on = side.grid.row(y + 1).wrapped;
            let more = self.plain_bytes(side.grid.row(y), next_goes_on) - ROW_BYTES;
            if bytes + more > self.limit {
                return (y, bytes);
            }
            bytes += more;
        }
        (all, bytes)
    }

    /// Bytes that a row takes without styles, at most.
    pub(super) fn plain_bytes(&self, row: RowRef<'_>, next_goes_on: bool) -> usize {
        let cells = self.cells(row);
        let empty = |at: usize| self.shown(row.get(at)).glyph == 0;
        let first = self.shown(row.get(0));
        let by_letter = row.wrapped && (first.glyph == 0 || first.flags == ZERO);
        let wraps = usize::from(by_letter) + usize::from(next_goes_on && empty(row.cols() - 1));
        let mut bytes = ROW_BYTES + wraps * WRAP_BYTES;
        let mut at = 0;
        while let Some(cell) = cells.get(at) {
            if cell.glyph == 0 {
                let same = |other: &&Cell| other.glyph == 0 && other.style == cell.style;
                let run = cells[at..].iter().take_while(same).count();
                // CUF.
                bytes += 4 + usize::from(run >= 10) + usize::from(run >= 100) + usize::from(run >= 1000);
                at += run;
                continue;
            }
            // CHA, with four digits.
            bytes += self.screen.clusters.text_len(cell.glyph) + if cell.flags == ZERO { 7 } else { 0 };
            at += usize::from(cell.width().max(1));
        }
        bytes
    }

    /// A row's cells as they are written.
    pub(super) fn cells(&self, row: RowRef<'_>) -> Vec<Cell> {
        let mut cells = row.used_cells();
        if !self.marks {
            cells.iter_mut().for_each(|cell| *cell = self.shown(*cell));
        }
        cells
    }

    /// A cell as it is written.
    pub(super) fn shown(&self, cell: Cell) -> Cell {
        if self.marks || cell.is_spacer() {
            return cell;
        }
        let base = self.screen.clusters.base(cell.glyph);
        let alone = char::from_u32(base).is_some_and(|base| crate::width::columns(base) == 0);
        if cell.flags == ZERO || (cell.glyph != 0 && alone) {
            return Cell::blank(cell.style);
        }
        Cell { glyph: base, ..cell }
    }

    /// The style that a cell is written with.
    pub(super) fn look(&self, cell: Cell) -> Style {
        match self.plain_left {
            Some(left) if self.out.len() + left + STYLED_BYTES > self.limit => Style::default(),
            Some(_) | None => self.screen.styles.get(cell.style),
        }
    }

    /// So many bytes are no longer left to be written, but some places to be put right.
    pub(super) fn note_written(&mut self, plain: usize, repairs: usize) {
        if let Some(left) = &mut self.plain_left {
            *left = (*left + repairs * REPAIR_BYTES).saturating_sub(plain);
        }
    }
}
