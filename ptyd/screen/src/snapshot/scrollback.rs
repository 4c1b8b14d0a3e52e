//! The lines above the screen, written so that they scroll away and leave the same lines behind. Nothing of them can be put
//! right later: what was not printed is skipped, or erased to its colour, while its row is still on the screen.

use std::fmt::Write as _;

use super::Writer;
use crate::cell::{WIDE, ZERO};
use crate::screen::Screen;
use crate::scrollback::{PackedCell, Record, Shape};
use crate::style::{Color, Style};

/// What follows places where nothing was printed.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Next {
    Wide,
    Other,
    /// Nothing that was printed, up to the line's end.
    Nothing,
}

/// A line on its way out, as it is laid out on a screen of `cols` columns.
struct Line {
    cols: usize,
    /// The cursor's column, `cols` while it waits to wrap.
    x: usize,
    /// Places where nothing was printed, that were not written yet, and what lies behind them.
    nothing: usize,
    behind: Style,
    /// What lies behind the place that is too narrow for the wide character that comes next.
    narrow: Option<Style>,
}

impl Line {
    fn narrow_gap(&mut self) -> Option<Style> {
        self.narrow.take().filter(|_| self.x + 1 == self.cols)
    }
}

/// Lines written down, and how the screen's first row goes on with them.
pub(super) struct Written {
    pub(super) text: String,
    /// How many rows they take.
    pub(super) rows: usize,
    /// The cursor waits at the end of a row, for the screen's first row to go on with it.
    pub(super) crosses: bool,
    pub(super) gap: Option<Style>,
}

/// What each line may take beyond what it takes alone: the pen of the line before is put back.
const LINE_BYTES: usize = 16;
/// What all of them may take beside: the mark that the beginning is no more, and the way to the screen's first row.
const ENDS_BYTES: usize = 512;
/// Packed bytes of a line that is looked at to find out how long it is; a longer one is too long.
const MAX_LINE_BYTES: usize = 8 << 20;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// At most `lines` lines, the newest, in at most `room` bytes.
    pub(super) fn written_scrollback(&self, lines: u32, room: usize, links: bool) -> Written {
        if let Some(rows) = self.newest_rows(lines, room)
            && let Some(written) = self.written(&rows, room, links)
        {
            return written;
        }
        let fits = self.lines_that_fit(lines, room.saturating_sub(ENDS_BYTES), links);
        let rows = self.newest_rows(fits, usize::MAX).unwrap_or_default();
        let none = Written { text: String::new(), rows: 0, crosses: false, gap: None };
        self.written(&rows, room, links).unwrap_or(none)
    }

    /// The rows of the last `lines` lines, newest first; none: packed they are longer than `most` bytes.
    fn newest_rows(&self, lines: u32, most: usize) -> Option<Vec<Record>> {
        let mut rows = Vec::new();
        let (mut begun, mut bytes) = (0, 0);
        for record in self.rows_above() {
            if begun >= lines {
                break;
            }
            begun += u32::from(!record.wrapped());
            bytes += record.body.len();
            if bytes > most {
                return None;
            }
            rows.push(record);
        }
        Some(rows)
    }

    /// How many of the last `lines` lines fit, written one by one from the newest on: those that are not sent are not
    /// written, but for one.
    fn lines_that_fit(&self, lines: u32, room: usize, links: bool) -> u32 {
        let mut out = Writer::new(self, room);
        out.links = links;
        let mut rows: Vec<Record> = Vec::new();
        let (mut fits, mut packed) = (0, 0);
        let mut records = self.rows_above().peekable();
        while let Some(record) = records.next().filter(|_| fits < lines) {
            let begins = !record.wrapped();
            packed += record.body.len();
            rows.push(record);
            if packed > MAX_LINE_BYTES {
                break;
            }
            if !begins && records.peek().is_some() {
                continue;
            }
            out.out.clear();
            (out.style, out.gap) = (Style::default(), None);
            let (_, whole) = out.lines(&rows, fits == 0);
            let Some(left) = out.limit.checked_sub(out.out.len() + LINE_BYTES).filter(|_| whole) else {
                break;
            };
            out.limit = left;
            rows.clear();
            (fits, packed) = (fits + 1, 0);
        }
        fits
    }

    /// These rows, newest first; none: they do not fit.
    fn written(&self, rows: &[Record], room: usize, links: bool) -> Option<Written> {
        let mut out = Writer::new(self, room);
        out.links = links;
        if rows.last().is_some_and(Record::wrapped) {
            // Its beginning is no more.
            out.mark_first_row(self.cols(), self.rows());
        }
        let (mut line, whole) = out.lines(rows, true);
        let first = out.primary().grid.row(0);
        let crosses = first.wrapped && !rows.is_empty();
        if crosses && whole {
            out.cross(&mut line, first.get(0).flags == WIDE);
        }
        out.pen(Style::default());
        let rows = out.rows_begun + usize::from(crosses);
        (whole && !out.is_full()).then_some(Written { text: out.out, rows, crosses, gap: out.gap })
    }
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Writer<'_, M> {
    /// Rows, newest first, and where they end; `newest`: the screen comes after them, not another line. False: they do not
    /// fit.
    fn lines(&mut self, rows: &[Record], newest: bool) -> (Line, bool) {
        let cols = usize::from(self.screen.size.cols());
        let mut line = Line { cols, x: 0, nothing: 0, behind: Style::default(), narrow: None };
        let first = self.primary().grid.row(0);
        let (first_on_screen, first_wide) = (newest && first.wrapped, first.get(0).flags == WIDE);
        let shapes: Vec<Shape> = rows.iter().map(Record::shape).collect();
        for (index, record) in rows.iter().enumerate().rev() {
            if self.is_full() {
                return (line, false);
            }
            let next = index.checked_sub(1);
            let goes_on = next.map_or(first_on_screen, |next| rows[next].wrapped());
            // One that ended a line when it left the screen is not kept to the place before a wide character there.
            let before_wide = next.map_or(first_wide && record.goes_on(), |next| shapes[next].begins_wide);
            let wide_follows = goes_on && before_wide;
            let Shape { cells, printed, nothing_last, .. } = shapes[index];
            // A wide character leaves the place by itself that is too narrow for it.
            let told = if wide_follows && nothing_last.is_some() { cells - 1 } else { cells };
            if record.wrapped() && !goes_on && printed == 0 {
                // A row of its own, though there is nothing on it.
                self.nothing(&mut line, Next::Other);
                if line.x == cols {
                    self.wrap(&mut line, Style::default());
                }
            }
            if !self.plain(&mut line, record) {
                let printed = if goes_on { usize::MAX } else { printed };
                let mut at = 0;
                record.each(|cell| {
                    at += 1;
                    if at <= told && !self.is_full() && (cell.text != "\0" || cell.flags != ZERO) {
                        self.told(&mut line, &cell, at > printed);
                    }
                });
            }
            line.narrow = nothing_last.filter(|_| wide_follows);
            if !goes_on {
                self.end(&mut line);
            }
        }
        (line, !self.is_full())
    }

    /// From the last line to the screen's first row, which goes on with it.
    fn cross(&mut self, line: &mut Line, first_wide: bool) {
        // The row before the screen was perhaps not the one that its first row went on with: rows were taken out between.
        let filled = (line.x + line.nothing) % line.cols;
        let narrow = first_wide && filled == line.cols - 1;
        if (filled > 0 && !narrow) || line.x + line.nothing == 0 {
            self.nothing_more(line, line.cols - filled, Style::default(), false);
        }
        self.nothing(line, if first_wide { Next::Wide } else { Next::Other });
        self.gap = line.narrow_gap().or(self.gap);
    }

    /// A row of nothing but text that fits; false: it is not that plain.
    fn plain(&mut self, line: &mut Line, record: &Record) -> bool {
        let Some(text) = record.plain().filter(|_| line.nothing == 0 && self.gap.is_none()) else {
            return false;
        };
        if text.is_empty() {
            return true;
        }
        // It wraps at its beginning or not at all.
        let x = if line.x == line.cols { 0 } else { line.x };
        if x + text.len() > line.cols {
            return false;
        }
        self.rows_begun += usize::from(line.x == line.cols);
        self.pen(Style::default());
        self.text(text);
        line.x = x + text.len();
        true
    }

    /// A cell; `trails`: nothing was printed from it to the line's end.
    fn told(&mut self, line: &mut Line, cell: &PackedCell<'_>, trails: bool) {
        if cell.text == "\0" {
            return self.nothing_more(line, 1, cell.style.erased(), trails);
        }
        let wide = cell.flags == WIDE;
        self.nothing(line, if wide { Next::Wide } else { Next::Other });
        self.gap = line.narrow_gap().or(self.gap);
        let mark = cell.flags == ZERO;
        if mark && line.x == line.cols {
            // The mark takes the letter's place.
            self.wrap_by_letter();
            line.x = 0;
        }
        let wraps = line.x + 1 + usize::from(wide) > line.cols;
        self.pen(cell.style);
        if mark {
            // A mark without a base: nothing may stand right before it that it could join.
            let _infallible = write!(self.out, "\x1b[{}G", line.x + 1);
        }
        self.out.push_str(cell.text);
        line.x = if wraps { 0 } else { line.x } + 1 + usize::from(wide);
        if wraps {
            self.wrapped(line.x);
        }
    }

    fn nothing_more(&mut self, line: &mut Line, count: usize, behind: Style, trails: bool) {
        if line.nothing > 0 && line.behind != behind {
            self.nothing(line, if trails { Next::Nothing } else { Next::Other });
        }
        line.nothing += count;
        line.behind = behind;
    }

    /// Writes places where nothing was printed.
    fn nothing(&mut self, line: &mut Line, next: Next) {
        while line.nothing > 0 {
            if line.x == line.cols {
                if next == Next::Nothing {
                    // Nothing at a line's end has no rows of its own.
                    line.nothing = 0;
                    return;
                }
                self.wrap(line, line.behind);
            }
            self.pen(line.behind);
            let count = line.nothing.min(line.cols - line.x);
            line.nothing -= count;
            if line.behind != Style::default() {
                let _infallible = write!(self.out, "\x1b[{count}X");
            }
            let ends = line.x + count == line.cols;
            if ends && next == Next::Nothing {
                line.x = line.cols;
                continue;
            }
            // At the end of a row the cursor has to wait, or to stand where a wide character finds no room.
            let skipped = count - usize::from(ends);
            if skipped > 0 {
                let _infallible = write!(self.out, "\x1b[{skipped}C");
            }
            line.x += skipped;
            if ends {
                self.gap = Some(line.behind);
                if line.nothing > 0 || next != Next::Wide {
                    self.text(" ");
                    line.x += 1;
                }
            }
        }
    }

    /// To the next row, on whose first place nothing is printed.
    fn wrap(&mut self, line: &mut Line, behind: Style) {
        // Only what is printed wraps.
        self.pen(behind);
        self.text(" ");
        self.wrapped(1);
        self.pen(behind);
        self.text("\r\x1b[X");
        line.x = 0;
    }

    fn end(&mut self, line: &mut Line) {
        self.nothing(line, Next::Nothing);
        (self.gap, line.narrow) = (None, None);
        (line.x, line.nothing) = (0, 0);
        self.rows_begun += 1;
        if self.style.bg != Color::Default {
            // The row that comes in at the bottom would take the pen's background.
            self.pen(Style::default());
        }
        self.text("\r\n");
    }
}
