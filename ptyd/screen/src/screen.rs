//! The screen as a whole: its parts, how it is fed, how its size changes.

use std::collections::BTreeMap;

use crate::allowance::Allowance;
use crate::charset::Charsets;
use crate::clusters::Clusters;
use crate::effect::Effect;
use crate::flood::PATIENCE_BYTES;
use crate::grid::Grid;
use crate::links::Links;
use crate::margins::Margins;
use crate::modes::Modes;
use crate::owed::Owed;
use crate::parser::{Event, Parser, Usual};
use crate::row::{Row, RowRef};
use crate::scrollback::{Record, Scrollback};
use crate::size::Size;
use crate::style::Style;
use crate::styles::Styles;
use crate::tabs::Tabs;

/// Entries of the kitty keyboard stack kept for each screen.
pub(crate) const MAX_KEYBOARD_STACK: usize = 16;
/// Titles kept on the title stack, as many as xterm.js keeps.
pub(crate) const MAX_TITLES: usize = 10;

/// Bytes that another look than that of the cell before takes, about: two true colours take 38, a palette's 11.
const LOOK_BYTES: usize = 24;

/// Instead of a width: the character printed last did not fit, and its marks go with it.
pub(crate) const NO_ROOM: u16 = 3;

/// So many cells, or entries of rows, are moved or filled in the time that one is looked at.
const MOVED_AS_ONE: u64 = 8;

/// What DECSC saves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Saved {
    pub(crate) x: usize,
    /// Its row, counted from the screen's first one. A new size moves it with the rows, above the screen and below too: it is
    /// brought back to the screen only where the cursor is restored.
    pub(crate) y: isize,
    pub(crate) style: Style,
    pub(crate) charsets: Charsets,
    pub(crate) origin: bool,
}

/// What each of the two screens has of its own.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) grid: Grid,
    /// The cursor's column: the number of columns while it waits to wrap, one more if a mark without a base came then: another
    /// one wraps. Two more while it waits at the right margin ([`crate::margins::AT_MARGIN`]).
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) top: usize,
    pub(crate) bottom: usize,
    /// None: nothing was saved.
    pub(crate) saved: Option<Saved>,
    pub(crate) keyboard: Vec<u8>,
    pub(crate) tabs: Tabs,
}

impl Side {
    pub(crate) fn new(size: Size) -> Self {
        Self::with_grid(Grid::new(usize::from(size.rows()), usize::from(size.cols())), size)
    }

    /// With the rows of a grid that is needed no longer; what is on them is cleared.
    pub(crate) fn reusing(mut grid: Grid, size: Size) -> Self {
        grid.clear(0..grid.len(), 0);
        Self::with_grid(grid, size)
    }

    fn with_grid(grid: Grid, size: Size) -> Self {
        let (rows, cols) = (usize::from(size.rows()), usize::from(size.cols()));
        Self {
            grid,
            x: 0,
            y: 0,
            top: 0,
            bottom: rows - 1,
            saved: None,
            keyboard: vec![0],
            tabs: Tabs::every_eighth(cols),
        }
    }
}

/// A terminal's screen.
#[derive(Debug)]
pub struct Screen<M = Vec<u8>> {
    pub(crate) parser: Parser,
    pub(crate) size: Size,
    /// The screen that is shown.
    pub(crate) side: Side,
    /// The primary screen while the alternate one is shown.
    pub(crate) other: Option<Box<Side>>,
    /// The rows of the alternate screen shown last, to be used again by the next one.
    pub(crate) retired: Option<Grid>,
    pub(crate) scrollback: Scrollback<M>,
    pub(crate) styles: Styles,
    pub(crate) clusters: Clusters,
    pub(crate) pen: Style,
    /// The pen's number, as long as it is known.
    pub(crate) pen_number: Option<u16>,
    pub(crate) charsets: Charsets,
    pub(crate) modes: Modes,
    pub(crate) margins: Margins,
    /// Scrolls between the margins that were not done yet.
    pub(crate) owed: Option<Owed>,
    /// Width of the character printed last, while nothing else has come since; [`NO_ROOM`] if there was none for it.
    pub(crate) joins: u16,
    /// DECSCUSR, 0 to 6.
    pub(crate) cursor_style: u8,
    pub(crate) title: String,
    pub(crate) titles: Vec<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) links: Links,
    /// Palette colours that the program changed.
    pub(crate) palette: BTreeMap<u8, (u8, u8, u8)>,
    /// Foreground, background, cursor: as the program set them.
    pub(crate) dynamic: [Option<(u8, u8, u8)>; 3],
    /// Private modes saved by XTSAVE.
    pub(crate) saved_modes: Vec<(u16, bool)>,
    pub(crate) allowance: Allowance,
    /// Cells written or looked at one by one.
    pub(crate) work: u64,
    /// Cells moved or filled in one go, apart from the rows that grids count themselves.
    pub(crate) moved: u64,
    pub(crate) scratch: Vec<u8>,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// A screen as a terminal has it when it is switched on. Rows that leave it are packed into `scrollback`, as many as
    /// fit there, at most `max_lines`.
    pub fn new(size: Size, scrollback: M, max_lines: u32) -> Self {
        Self {
            parser: Parser::new(),
            size,
            side: Side::new(size),
            other: None,
            retired: None,
            scrollback: Scrollback::new(scrollback, max_lines),
            styles: Styles::default(),
            clusters: Clusters::default(),
            pen: Style::default(),
            pen_number: Some(0),
            charsets: Charsets::default(),
            modes: Modes::default(),
            margins: Margins::default(),
            owed: None,
            joins: 0,
            cursor_style: 0,
            title: String::new(),
            titles: Vec::new(),
            cwd: None,
            links: Links::default(),
            palette: BTreeMap::new(),
            dynamic: [None; 3],
            saved_modes: Vec::new(),
            allowance: Allowance::default(),
            work: 0,
            moved: 0,
            scratch: Vec::new(),
        }
    }

    /// Takes output. However a stream is divided, it makes the same screen. What the program tells beside its text is
    /// appended to `effects`.
    pub fn feed(&mut self, bytes: &[u8], effects: &mut Vec<Effect>) {
        // Taken out, since what it finds borrows from it.
        let mut parser = std::mem::take(&mut self.parser);
        let mut rest = bytes;
        // A flood is looked for only while no more than so much is left.
        let mut look_below = bytes.len();
        while !rest.is_empty() {
            match parser.usual(rest) {
                Usual::Ascii(len) => {
                    self.print_ascii_text(&rest[..len]);
                    self.allowance.wait(len);
                    rest = &rest[len..];
                    continue;
                }
                Usual::Control(byte) => {
                    self.allowance.earn(1);
                    self.control(byte, effects);
                    self.joins = 0;
                    rest = &rest[1..];
                    if byte == b'\n' && rest.len() <= look_below {
                        rest = &rest[self.take_flood(&mut parser, rest, effects)..];
                        look_below = rest.len().saturating_sub(PATIENCE_BYTES);
                    }
                    continue;
                }
                Usual::Csi(len, prefix, last) => {
                    self.allowance.earn(len);
                    self.csi(&parser.usual_sequence(prefix, last));
                    self.joins = 0;
                    rest = &rest[len..];
                    continue;
                }
                Usual::Other => {}
            }
            let (used, event) = parser.next(rest);
            rest = &rest[used..];
            self.take_event(used, event, effects);
        }
        self.parser = parser;
    }

    /// Whether it is between two sequences and two characters.
    pub fn is_at_rest(&self) -> bool {
        self.parser.is_ground()
    }

    /// Takes output until it is at rest, as [`Screen::feed`] does; returns how many bytes that was.
    pub fn feed_to_rest(&mut self, bytes: &[u8], effects: &mut Vec<Effect>) -> usize {
        let mut parser = std::mem::take(&mut self.parser);
        let mut rest = bytes;
        while !rest.is_empty() && !parser.is_ground() {
            let (used, event) = parser.next(rest);
            rest = &rest[used..];
            self.take_event(used, event, effects);
        }
        self.parser = parser;
        bytes.len() - rest.len()
    }

    pub(crate) fn take_event(&mut self, used: usize, event: Event<'_>, effects: &mut Vec<Effect>) {
        // Text comes in any pieces, so it earns nothing until it ends.
        match &event {
            Event::Ascii(_) | Event::Text(_) | Event::Invalid | Event::Pending => self.allowance.wait(used),
            Event::Control(_)
            | Event::Escape { .. }
            | Event::Csi(_)
            | Event::String(_)
            | Event::Ignored
            | Event::Broken => self.allowance.earn(used),
        }
        match event {
            Event::Ascii(text) => return self.print_ascii_text(text),
            Event::Text(text) => return self.print(text),
            Event::Invalid => return self.print("\u{FFFD}"),
            // The end of a string that was not begun is nothing.
            Event::Pending | Event::Control(0x9C) => return,
            Event::Control(byte) => self.control(byte, effects),
            Event::Csi(csi) => self.csi(&csi),
            Event::Escape { intermediates, final_byte } => self.escape(intermediates, final_byte),
            Event::String(string) => self.string(&string, effects),
            Event::Ignored | Event::Broken => {}
        }
        self.joins = 0;
    }

    /// Its size.
    pub fn size(&self) -> Size {
        self.size
    }

    /// What is switched on.
    pub fn modes(&self) -> &Modes {
        &self.modes
    }

    /// The title set last.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The directory the program said it is in.
    pub fn cwd(&self) -> Option<&str> {
        self.cwd.as_deref()
    }

    /// What takes another terminal's parser from ground state to where this one's is: empty between sequences.
    pub fn introducer(&self) -> &'static [u8] {
        self.parser.introducer()
    }

    /// Begins anew, with nothing on it; its scrollback is given up, its line numbers go on.
    pub fn clear_all(&mut self) {
        self.parser = Parser::new();
        self.scrollback.clear();
        self.reset();
    }

    /// Drops the lines above the screen; their numbers are not used again. Nothing in their memory counts any more.
    pub fn drop_scrollback(&mut self) {
        self.scrollback.clear();
    }

    /// The memory of the lines above the screen, for whoever has dropped them.
    pub fn scrollback_memory_mut(&mut self) -> &mut [u8] {
        self.scrollback.memory_mut()
    }

    /// Its memory.
    pub fn scrollback_memory(&self) -> &[u8] {
        self.scrollback.memory()
    }

    /// Bytes of that memory that hold rows.
    pub fn scrollback_bytes(&self) -> u64 {
        self.scrollback.position.end - self.scrollback.position.start
    }

    /// Rows above the screen.
    pub fn scrollback_rows(&self) -> u32 {
        self.scrollback.position.rows
    }

    /// Bytes of memory held beside the scrollback's, about.
    pub fn memory_bytes(&self) -> usize {
        let grids =
            [Some(&self.side.grid), self.other.as_ref().map(|side| &side.grid), self.retired.as_ref()];
        let grids: usize = grids.into_iter().flatten().map(Grid::memory_bytes).sum();
        let titles: usize = self.titles.iter().map(String::capacity).sum();
        let owed = self.owed.as_ref().map_or(0, Owed::memory_bytes);
        grids
            + owed
            + self.styles.memory_bytes()
            + self.clusters.memory_bytes()
            + self.links.memory_bytes()
            + self.parser.memory_bytes()
            + self.scratch.capacity()
            + titles
            + size_of::<Self>()
    }

    /// What all that it was fed has cost so far, in cells looked at, of one to two nanoseconds each. To be compared with the
    /// bytes.
    pub fn work(&self) -> u64 {
        let grids =
            [Some(&self.side.grid), self.other.as_ref().map(|side| &side.grid), self.retired.as_ref()];
        let rows = grids.into_iter().flatten().map(|grid| grid.work).sum::<u64>();
        self.work + (self.moved + rows) / MOVED_AS_ONE
    }

    /// The screen as it is, in memory of its own: to be drawn elsewhere while this one goes on.
    pub fn copy(&self) -> Screen<Vec<u8>> {
        self.copy_below(self.scrollback.copy())
    }

    /// The same without the lines above it.
    pub fn copy_without_scrollback(&self) -> Screen<Vec<u8>> {
        self.copy_below(self.scrollback.copy_without_rows())
    }

    /// The same below other lines.
    fn copy_below(&self, scrollback: Scrollback<Vec<u8>>) -> Screen<Vec<u8>> {
        let mut copy = Screen {
            parser: self.parser.clone(),
            size: self.size,
            side: self.side.clone(),
            other: self.other.clone(),
            retired: None,
            scrollback,
            styles: self.styles.clone(),
            clusters: self.clusters.clone(),
            pen: self.pen,
            pen_number: self.pen_number,
            charsets: self.charsets,
            modes: self.modes.clone(),
            margins: self.margins,
            owed: self.owed.clone(),
            joins: self.joins,
            cursor_style: self.cursor_style,
            title: self.title.clone(),
            titles: self.titles.clone(),
            cwd: self.cwd.clone(),
            links: self.links.clone(),
            palette: self.palette.clone(),
            dynamic: self.dynamic,
            saved_modes: self.saved_modes.clone(),
            allowance: self.allowance,
            work: self.work,
            moved: self.moved,
            scratch: Vec::new(),
        };
        copy.do_owed_scrolls();
        copy
    }

    /// What it takes to draw it with the newest `scrollback_lines` lines above it, about: bytes that are to be looked at and
    /// written. Counted until they are more than `most`.
    pub fn drawing_bytes(&self, scrollback_lines: u32, most: u64) -> u64 {
        let above = self.scrollback.newest_bytes(u64::from(scrollback_lines), most);
        let sides = [Some(&self.side), self.other.as_deref()];
        let rows = sides.into_iter().flatten().flat_map(|side| side.grid.rows());
        let owed = self.owed.iter().flat_map(Owed::lines);
        let mut costs = rows.chain(owed).map(|row| {
            let (cells, looks) = row.used_and_looks();
            (cells + looks * LOOK_BYTES) as u64
        });
        let mut bytes = above;
        while bytes <= most
            && let Some(cost) = costs.next()
        {
            bytes += cost;
        }
        bytes
    }

    /// The same for a page of [`Screen::history`]: what is newer is gone through too.
    pub fn page_bytes(&self, before_line: Option<u64>, lines: u32, most: u64) -> u64 {
        let position = self.scrollback.position;
        let total = position.lines_dropped + position.lines;
        let newer = before_line.map_or(0, |line| total.saturating_sub(line));
        self.scrollback.newest_bytes(newer.saturating_add(u64::from(lines)), most)
    }

    /// Gives its memory back.
    pub fn into_scrollback(self) -> M {
        self.scrollback.into_memory()
    }

    /// Rows above the screen, from the newest to the oldest.
    pub(crate) fn rows_above(&self) -> impl Iterator<Item = Record> + '_ {
        self.scrollback.newest_first(self.goes_on_from_above())
    }

    /// Whether the primary screen's first row goes on with the one above.
    pub(crate) fn goes_on_from_above(&self) -> bool {
        match &self.other {
            Some(primary) => primary.grid.row(0).wrapped,
            // What moves goes on with nothing.
            None => self.side.grid.row(0).wrapped && (self.owed.is_none() || self.side.top > 0),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        usize::from(self.size.rows())
    }

    pub(crate) fn cols(&self) -> usize {
        usize::from(self.size.cols())
    }

    /// The cursor's row.
    pub(crate) fn row(&self) -> RowRef<'_> {
        self.side.grid.row(self.side.y.min(self.side.grid.len() - 1))
    }

    /// The cursor's row, to be written to.
    pub(crate) fn row_mut(&mut self) -> &mut Row {
        let y = self.side.y.min(self.side.grid.len() - 1);
        self.side.grid.row_mut(y)
    }

    pub(crate) fn set_wrapped(&mut self, wrapped: bool) {
        self.side.grid.set_wrapped(self.side.y, wrapped);
    }

    /// Everything as when switched on, except scrollback and title stack (RIS).
    pub(crate) fn reset(&mut self) {
        self.owed = None;
        self.show_primary();
        let grid = std::mem::replace(&mut self.side.grid, Grid::new(0, 0));
        self.side = Side::reusing(grid, self.size);
        self.styles.clear();
        self.clusters.clear();
        self.set_pen(Style::default());
        self.charsets = Charsets::default();
        self.modes = Modes::default();
        self.margins = Margins::default();
        self.joins = 0;
        self.cursor_style = 0;
        self.palette.clear();
        self.dynamic = [None; 3];
        self.saved_modes.clear();
    }

    /// Packs the row that leaves the screen at its top, which the next one goes on with if that is so or `goes_on`.
    pub(crate) fn pack_top_row(&mut self, goes_on: bool) {
        let row = self.side.grid.row(0);
        let goes_on = goes_on || (self.side.grid.len() > 1 && self.side.grid.row(1).wrapped);
        if row.wrapped {
            self.scrollback.fill_newest(row.cols());
        }
        self.scratch.clear();
        crate::scrollback::encode(row, goes_on, &self.styles, &self.clusters, &mut self.scratch);
        self.moved += self.scratch.len() as u64 / 8;
        self.scrollback.push(&self.scratch);
    }

    /// Packs a row that is above the screen; `goes_on`: the next row goes on with it.
    pub(crate) fn pack(&mut self, row: RowRef<'_>, goes_on: bool) {
        if row.wrapped {
            self.scrollback.fill_newest(row.cols());
        }
        self.scratch.clear();
        crate::scrollback::encode(row, goes_on, &self.styles, &self.clusters, &mut self.scratch);
        self.scrollback.push(&self.scratch);
    }
}
