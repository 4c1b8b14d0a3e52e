//! The screen as text that makes a terminal just reset equal to it: cells, hidden screen, cursor, modes, everything a
//! program could find out or a user see. Colours stay what the program called them, and nothing in it asks anything.

mod bound;
mod saved;
mod scrollback;

use std::fmt::Write as _;

pub use bound::MAX_SNAPSHOT_BYTES;

use crate::answer::push_pen;
use crate::cell::{Cell, WIDE, ZERO};
use crate::charset::Charsets;
use crate::modes::{Modes, Mouse, MouseEncoding};
use crate::row::RowRef;
use crate::screen::{NO_ROOM, Screen, Side};
use crate::style::{Color, Style, flag};
use crate::tabs::Tabs;

/// Writes a screen down.
pub(crate) struct Writer<'a, M> {
    screen: &'a Screen<M>,
    out: String,
    /// The pen, as far as it was written.
    style: Style,
    /// Cells that were printed only to make a row wrap: row, column and what really is there.
    repairs: Vec<(usize, usize, Cell)>,
    /// What lies behind the last place of the row before, if nothing was printed there.
    gap: Option<Style>,
    /// Most bytes of `out`. What would be longer is given up, unless `plain_left` says how it fits.
    limit: usize,
    /// Links are written.
    links: bool,
    /// Marks are written, not the characters alone that they are on.
    marks: bool,
    /// Rows gone down to, by wrapping or by a line's end.
    rows_begun: usize,
    /// Bytes that what is left takes at most without styles: a cell has its style only where they stay free.
    plain_left: Option<usize>,
}

impl<'a, M: AsRef<[u8]> + AsMut<[u8]>> Writer<'a, M> {
    fn new(screen: &'a Screen<M>, limit: usize) -> Self {
        Self {
            screen,
            out: String::with_capacity(4096),
            style: Style::default(),
            repairs: Vec::new(),
            gap: None,
            rows_begun: 0,
            limit,
            links: true,
            marks: true,
            plain_left: None,
        }
    }

    fn is_full(&self) -> bool {
        self.out.len() > self.limit
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn pen(&mut self, style: Style) {
        let style = if self.links { style } else { Style { link: 0, ..style } };
        if style.link != self.style.link {
            self.link(style.link);
        }
        let plain = |style: Style| Style { link: 0, ..style };
        if plain(style) != plain(self.style) {
            push_pen(&mut self.out, style);
            if style.flags & flag::PROTECTED != 0 {
                self.text("\x1b[1\"q");
            }
        }
        self.style = style;
    }

    fn link(&mut self, number: u16) {
        let _infallible = match self.screen.links.get(number) {
            Some((url, id)) if id.is_empty() => write!(self.out, "\x1b]8;;{url}\x1b\\"),
            Some((url, id)) => write!(self.out, "\x1b]8;id={id};{url}\x1b\\"),
            None => write!(self.out, "\x1b]8;;\x1b\\"),
        };
    }

    fn primary(&self) -> &Side {
        self.screen.other.as_deref().unwrap_or(&self.screen.side)
    }

    /// The first `shown` rows, and blank ones; false: they do not fit.
    fn rows(&mut self, side: &Side, crosses: bool, shown: usize) -> bool {
        let rows: Vec<RowRef<'_>> = side.grid.rows().collect();
        if !crosses && let Some(first) = rows.first().filter(|row| row.wrapped) {
            self.mark_first_row(first.cols(), rows.len());
        }
        for (y, row) in rows.iter().enumerate() {
            let next_goes_on = y + 1 < shown && rows.get(y + 1).is_some_and(|next| next.wrapped);
            let goes_on = row.wrapped && (y > 0 || crosses);
            if y < shown {
                let repairs = self.repairs.len();
                self.row(y, *row, goes_on, next_goes_on, rows.get(y + 1));
                let plain = self.plain_left.map(|_| self.plain_bytes(*row, next_goes_on)).unwrap_or_default();
                self.note_written(plain, self.repairs.len() - repairs);
            }
            if self.is_full() {
                return false;
            }
            if !next_goes_on && y + 1 < rows.len() {
                self.pen(Style::default());
                self.text("\r\n");
            }
        }
        for (y, x, cell) in std::mem::take(&mut self.repairs) {
            self.pen(self.look(cell).erased());
            let _infallible = write!(self.out, "\x1b[{};{}H\x1b[X", y + 1, x + 1);
            self.note_written(bound::REPAIR_BYTES, 0);
        }
        self.pen(Style::default());
        !self.is_full()
    }

    /// Has the first row of an empty screen go on with a row that is no more.
    fn mark_first_row(&mut self, cols: usize, rows: usize) {
        let _infallible = write!(self.out, "\x1b[{cols}Gxx");
        self.text(if rows > 1 { "\x1b[H\x1b[M\x1b[X" } else { "\r\x1b[X\x1b[3J" });
    }

    /// One row. `goes_on`: the cursor waits at the end of the row before, and the first character is to wrap.
    fn row(
        &mut self,
        y: usize,
        row: RowRef<'_>,
        goes_on: bool,
        next_goes_on: bool,
        next: Option<&RowRef<'_>>,
    ) {
        let cells = self.cells(row);
        let (first, last_cell) = (self.shown(row.get(0)), self.shown(row.get(row.cols() - 1)));
        let mut at = 0;
        if goes_on && first.glyph == 0 {
            self.wrap_by_letter();
            self.repairs.push((y, 0, first));
            at = 1;
        } else if goes_on && first.flags == ZERO {
            // The mark takes the letter's place.
            self.wrap_by_letter();
        }
        let goes_on = goes_on && first.flags != ZERO;
        while at < cells.len() && (self.plain_left.is_some() || !self.is_full()) {
            let cell = cells[at];
            if cell.glyph == 0 {
                let same = |other: &Cell| other.glyph == 0 && other.style == cell.style;
                let run = cells[at..].iter().take_while(|other| same(other)).count();
                let style = self.look(cell).erased();
                let last = at + run == cells.len();
                if style != Style::default() {
                    self.pen(style);
                    let _infallible = write!(self.out, "\x1b[{run}X");
                }
                if !last || next_goes_on {
                    let _infallible = write!(self.out, "\x1b[{run}C");
                }
                at += run;
                continue;
            }
            self.pen(self.look(cell));
            if cell.flags == ZERO {
                // A mark without a base: nothing may stand right before it that it could join.
                let _infallible = write!(self.out, "\x1b[{}G", at + 1);
            }
            self.screen.clusters.push_text(cell.glyph, &mut self.out);
            let first = at == 0;
            at += usize::from(cell.width().max(1));
            if first && goes_on {
                self.wrapped(at);
            }
        }
        if next_goes_on && last_cell.glyph == 0 && last_cell.flags == 0 {
            // A wide character wraps by itself, and leaves the place in its own colour.
            if !(at + 1 >= row.cols() && next.is_some_and(|next| next.get(0).flags == WIDE)) {
                self.pen(Style::default());
                let _infallible = write!(self.out, "\x1b[{}Gx", row.cols());
            }
            self.repairs.push((y, row.cols() - 1, last_cell));
        }
    }

    /// Has the row go on with the one before though nothing on its first place would: what is there cannot wrap.
    pub(super) fn wrap_by_letter(&mut self) {
        self.pen(Style::default());
        self.text("x");
        self.wrapped(1);
    }

    /// After what was printed to begin a row that goes on with the one before, up to column `x`: a row that came in because
    /// the text was wrapped has the background of the character that did it. The last place of the row before is put right.
    fn wrapped(&mut self, x: usize) {
        self.rows_begun += 1;
        if self.style.bg != Color::Default {
            self.pen(Style::default());
            self.text("\x1b[K");
        }
        let cols = usize::from(self.screen.size.cols());
        if let Some(gap) = self.gap.take()
            && self.screen.size.rows() > 1
            && x < cols
        {
            self.pen(gap);
            let _infallible = write!(self.out, "\x1b[A\x1b[{cols}G\x1b[X\x1b[B\x1b[{}G", x + 1);
        }
    }

    /// What a screen has of its own beside its rows.
    fn side_state(&mut self, side: &Side) {
        let rows = side.grid.len();
        let margins = self.margins(side);
        match &side.saved {
            // While the region is the whole screen: the place saved may lie outside what it is later.
            Some(saved) if !self.is_saved_first(side) => self.saved(saved, &margins),
            None if !margins.is_empty() => {
                self.place(0, 0);
                self.text(&margins);
            }
            Some(_) | None => self.text(&margins),
        }
        if (side.top, side.bottom) != (0, rows - 1) {
            let _infallible = write!(self.out, "\x1b[{};{}r", side.top + 1, side.bottom + 1);
        }
        if side.tabs != Tabs::every_eighth(usize::from(self.screen.size.cols())) {
            self.text("\x1b[3g");
            for col in side.tabs.stops() {
                let _infallible = write!(self.out, "\x1b[{}G\x1bH", col + 1);
            }
        }
        if let [base, pushed @ ..] = side.keyboard.as_slice() {
            if *base != 0 {
                let _infallible = write!(self.out, "\x1b[={base};1u");
            }
            for flags in pushed {
                let _infallible = write!(self.out, "\x1b[>{flags}u");
            }
        }
    }

    /// What XTSAVE saved, before all else: on a terminal just reset nothing is changed by origin mode, margins and the other screen,
    /// from which the cursor comes back to where it is. The modes are left as they are usually.
    fn saved_modes(&mut self) {
        for (mode, on) in &self.screen.saved_modes {
            // 1049 would save the cursor.
            let set_by = if matches!(mode, 1047 | 1049) { 47 } else { *mode };
            let usual = Modes::default().private(*mode).unwrap_or(false);
            if *on == usual {
                let _infallible = write!(self.out, "\x1b[?{mode}s");
            } else {
                let (set, back) = (end(*on), end(usual));
                let _infallible = write!(self.out, "\x1b[?{set_by}{set}\x1b[?{mode}s\x1b[?{set_by}{back}");
            }
        }
    }

    /// What sets the left and right margins, with the screen that is shown: both have the same.
    fn margins(&self, side: &Side) -> String {
        let (screen, mut margins) = (self.screen, String::new());
        if !std::ptr::eq(side, &raw const screen.side) {
            return margins;
        }
        if screen.margins.on {
            margins.push_str("\x1b[?69h");
        }
        if let Some((left, right)) = screen.margins.set {
            let _infallible = write!(margins, "\x1b[{};{}s", left + 1, right + 1);
        }
        margins
    }

    /// Has the cursor wait at the end of its row, which CUP knows as row `y`, by printing its last character once more.
    fn reprint(&mut self, side: &Side, y: usize) {
        let row = side.grid.row(side.y);
        let last = self.screen.column();
        let at = if row.get(last).is_spacer() { last - 1 } else { last };
        // What was on the primary screen before there was a margin may reach over it, and cannot be printed there.
        let crosses = at == last && row.get(at).flags == WIDE;
        let cell = if crosses { Cell::default() } else { row.get(at) };
        self.place_cursor(y, at);
        let style = self.screen.styles.get(cell.style);
        if cell.glyph == 0 && self.screen.other.is_none() {
            // Nothing cannot be printed. But a cursor that waits comes along when the screen is changed.
            self.text("\x1b[?47h");
            self.place_cursor(side.y, last);
            self.text("x\x1b[?47l");
        } else if cell.glyph == 0
            && !self.screen.waits_at_margin()
            && (0..=last).all(|at| row.get(at).glyph == 0 && row.get(at).style == cell.style)
        {
            // EL lets the cursor wait.
            self.pen(style.erased());
            self.text("x\x1b[1K");
        } else if cell.glyph == 0 {
            // A blank comes nearest.
            self.pen(style.erased());
            self.text(" ");
        } else {
            self.pen(style);
            self.screen.clusters.push_text(cell.glyph, &mut self.out);
        }
    }

    fn shared_state(&mut self) {
        let screen = self.screen;
        for title in &screen.titles {
            let _infallible = write!(self.out, "\x1b]2;{title}\x1b\\\x1b[22;2t");
        }
        if !screen.title.is_empty() || !screen.titles.is_empty() {
            let _infallible = write!(self.out, "\x1b]2;{}\x1b\\", screen.title);
        }
        if let Some(cwd) = &screen.cwd {
            self.text("\x1b]7;file://");
            for byte in cwd.bytes() {
                let _infallible = match byte {
                    b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                        write!(self.out, "{}", char::from(byte))
                    }
                    _ => write!(self.out, "%{byte:02X}"),
                };
            }
            self.text("\x1b\\");
        }
        for (index, (r, g, b)) in &screen.palette {
            let _infallible = write!(self.out, "\x1b]4;{index};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\");
        }
        for (place, color) in screen.dynamic.iter().enumerate() {
            if let Some((r, g, b)) = color {
                let _infallible = write!(self.out, "\x1b]1{place};rgb:{r:02x}/{g:02x}/{b:02x}\x1b\\");
            }
        }
        if screen.cursor_style != 0 {
            let _infallible = write!(self.out, "\x1b[{} q", screen.cursor_style);
        }
    }

    fn cursor(&mut self, side: &Side) {
        if self.screen.modes.origin {
            self.text("\x1b[?6h");
        }
        // Row and column, always: in origin mode xterm.js takes one of them alone for something else.
        let y = self.row_for_cup(side);
        if side.x >= usize::from(self.screen.size.cols()) {
            self.reprint(side, y);
            if side.x == usize::from(self.screen.size.cols()) + 1 {
                // A mark that joins nothing, and has no place to be seen in.
                self.pen(Style::default());
                self.text("\x1b[m\u{200B}");
            }
        } else {
            self.place_cursor(y, side.x);
        }
    }

    /// Prints the character once more that was printed last, if a mark that comes next would join it, or REP repeat it. The pen
    /// is its own.
    fn last_printed(&mut self, side: &Side) {
        if self.screen.joins == NO_ROOM {
            // The cursor is where it has none, and does not wrap. But xterm.js cuts a wide character in half that stands there.
            let row = side.grid.row(side.y);
            return self.text(if row.get(self.screen.column()).is_spacer() { "" } else { "日" });
        }
        let columns = usize::from(self.screen.joins);
        if columns == 0 && side.x >= usize::from(self.screen.size.cols()) {
            // Where the cursor waits to wrap a character was printed last: what comes next is not to join it.
            self.text("\0");
        }
        let Some(x) =
            self.screen.column_behind_text().checked_sub(columns).filter(|_| (1..=2).contains(&columns))
        else {
            return;
        };
        let cell = side.grid.row(side.y).get(x);
        if cell.glyph == 0 || usize::from(cell.width()) != columns {
            return;
        }
        self.place_cursor(self.row_for_cup(side), x);
        if self.screen.modes.insert {
            let _infallible = write!(self.out, "\x1b[{columns}P");
        }
        self.screen.clusters.push_text(cell.glyph, &mut self.out);
    }

    /// The cursor's row as CUP counts it.
    fn row_for_cup(&self, side: &Side) -> usize {
        if self.screen.modes.origin { side.y.saturating_sub(side.top) } else { side.y }
    }

    fn place(&mut self, y: usize, x: usize) {
        let _infallible = write!(self.out, "\x1b[{};{}H", y + 1, x + 1);
    }

    /// The same for the cursor, once margins and origin mode are set.
    fn place_cursor(&mut self, y: usize, x: usize) {
        self.place(y, x.saturating_sub(self.screen.origin_column()));
    }

    fn charsets(&mut self, charsets: Charsets) {
        if charsets == Charsets::default() {
            return;
        }
        for (set, designate) in charsets.sets.iter().zip(['(', ')', '*', '+']) {
            let _infallible = write!(self.out, "\x1b{designate}{}", set.final_byte());
        }
        self.text(["\x0f", "\x0e", "\x1bn", "\x1bo"][charsets.active & 3]);
    }

    /// Modes that would have changed how the rest is taken.
    fn late_modes(&mut self, modes: &Modes) {
        let usual = Modes::default();
        if modes.insert {
            self.text("\x1b[4h");
        }
        if modes.new_line {
            self.text("\x1b[20h");
        }
        for mode in [1, 5, 7, 12, 25, 45, 66, 1004, 1007, 2004, 2026, 2027] {
            if let Some(on) = modes.private(mode)
                && usual.private(mode) != Some(on)
            {
                let _infallible = write!(self.out, "\x1b[?{mode}{}", end(on));
            }
        }
        let mouse = match modes.mouse {
            Mouse::Off => None,
            Mouse::X10 => Some(9),
            Mouse::Vt200 => Some(1000),
            Mouse::Drag => Some(1002),
            Mouse::Any => Some(1003),
        };
        let encoding = match modes.mouse_encoding {
            MouseEncoding::Default => None,
            MouseEncoding::Utf8 => Some(1005),
            MouseEncoding::Sgr => Some(1006),
            MouseEncoding::Urxvt => Some(1015),
            MouseEncoding::SgrPixels => Some(1016),
        };
        for mode in mouse.into_iter().chain(encoding) {
            let _infallible = write!(self.out, "\x1b[?{mode}h");
        }
        if modes.modify_other_keys != 0 {
            let _infallible = write!(self.out, "\x1b[>4;{}m", modes.modify_other_keys);
        }
    }
}

fn end(on: bool) -> char {
    if on { 'h' } else { 'l' }
}
