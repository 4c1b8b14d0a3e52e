//! The screen as a whole: its parts, how it is fed, how its size changes.

use crate::cell::{Cell, Clusters};
use crate::charset::Charsets;
use crate::effect::Effect;
use crate::grid::{Grid, Row};
use crate::modes::Modes;
use crate::parser::{Event, Parser};
use crate::scrollback::Scrollback;
use crate::size::Size;
use crate::style::{Color, Style, Styles};

/// Entries of the kitty keyboard stack kept for each screen.
pub(crate) const MAX_KEYBOARD_STACK: usize = 16;
/// Titles kept on the title stack.
pub(crate) const MAX_TITLES: usize = 16;
/// Links kept; a further one is no link.
pub(crate) const MAX_LINKS: usize = 1024;

/// Instead of a width: the character printed last did not fit, and its marks go with it.
pub(crate) const NO_ROOM: u16 = 3;

/// What DECSC saves.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Saved {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) style: Style,
    pub(crate) charsets: Charsets,
    pub(crate) origin: bool,
}

/// What each of the two screens has of its own.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) grid: Grid,
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) top: usize,
    pub(crate) bottom: usize,
    pub(crate) saved: Saved,
    pub(crate) keyboard: Vec<u8>,
    pub(crate) tabs: Vec<bool>,
}

impl Side {
    pub(crate) fn new(size: Size) -> Self {
        let (rows, cols) = (usize::from(size.rows()), usize::from(size.cols()));
        Self {
            grid: Grid::new(rows, cols),
            x: 0,
            y: 0,
            top: 0,
            bottom: rows - 1,
            saved: Saved::default(),
            keyboard: vec![0],
            tabs: default_tabs(cols),
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
    pub(crate) scrollback: Scrollback<M>,
    pub(crate) styles: Styles,
    pub(crate) clusters: Clusters,
    pub(crate) pen: Style,
    /// The pen's number, as long as it is known.
    pub(crate) pen_number: Option<u16>,
    pub(crate) charsets: Charsets,
    pub(crate) modes: Modes,
    /// Width of the character printed last, while nothing else has come since; [`NO_ROOM`] if there was none for it.
    pub(crate) joins: u16,
    /// DECSCUSR, 0 to 6.
    pub(crate) cursor_style: u8,
    pub(crate) title: String,
    pub(crate) titles: Vec<String>,
    pub(crate) cwd: Option<String>,
    pub(crate) links: Vec<(String, String)>,
    /// Palette colours that the program changed.
    pub(crate) palette: Vec<(u8, (u8, u8, u8))>,
    /// Foreground, background, cursor: as the program set them.
    pub(crate) dynamic: [Option<(u8, u8, u8)>; 3],
    /// Private modes saved by XTSAVE.
    pub(crate) saved_modes: Vec<(u16, bool)>,
    scratch: Vec<u8>,
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
            scrollback: Scrollback::new(scrollback, max_lines),
            styles: Styles::default(),
            clusters: Clusters::default(),
            pen: Style::default(),
            pen_number: Some(0),
            charsets: Charsets::default(),
            modes: Modes::default(),
            joins: 0,
            cursor_style: 0,
            title: String::new(),
            titles: Vec::new(),
            cwd: None,
            links: Vec::new(),
            palette: Vec::new(),
            dynamic: [None; 3],
            saved_modes: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Takes output. However a stream is divided, it makes the same screen. What the program tells beside its text is
    /// appended to `effects`.
    pub fn feed(&mut self, bytes: &[u8], effects: &mut Vec<Effect>) {
        // Taken out, since what it finds borrows from it.
        let mut parser = std::mem::take(&mut self.parser);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (used, event) = parser.next(rest);
            rest = &rest[used..];
            if let Event::Text(text) = event {
                self.print(text);
                continue;
            }
            match event {
                Event::Text(_) => {}
                Event::Pending => continue,
                Event::Invalid => {
                    self.print("\u{FFFD}");
                    continue;
                }
                Event::Control(byte) => self.control(byte, effects),
                Event::Escape { intermediates, final_byte } => self.escape(intermediates, final_byte),
                Event::Csi(csi) => self.csi(&csi),
                Event::String(string) => self.string(&string, effects),
                Event::Ignored => {}
            }
            self.joins = 0;
        }
        self.parser = parser;
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

    /// Gives its memory back.
    pub fn into_scrollback(self) -> M {
        self.scrollback.into_memory()
    }

    pub(crate) fn rows(&self) -> usize {
        usize::from(self.size.rows())
    }

    pub(crate) fn cols(&self) -> usize {
        usize::from(self.size.cols())
    }

    pub(crate) fn row_mut(&mut self) -> &mut Row {
        let y = self.side.y.min(self.side.grid.rows.len() - 1);
        &mut self.side.grid.rows[y]
    }

    /// Everything as when switched on, except scrollback and title stack (RIS).
    pub(crate) fn reset(&mut self) {
        self.side = Side::new(self.size);
        self.other = None;
        self.styles = Styles::default();
        self.clusters = Clusters::default();
        self.set_pen(Style::default());
        self.charsets = Charsets::default();
        self.modes = Modes::default();
        self.joins = 0;
        self.cursor_style = 0;
        self.palette.clear();
        self.dynamic = [None; 3];
        self.saved_modes.clear();
    }

    pub(crate) fn set_pen(&mut self, pen: Style) {
        self.pen = pen;
        self.pen_number = None;
    }

    /// The number of the pen's style.
    pub(crate) fn pen_style(&mut self) -> u16 {
        if let Some(number) = self.pen_number {
            return number;
        }
        let number = self.style_number(self.pen);
        self.pen_number = Some(number);
        number
    }

    /// The number of a style. When there are too many, those on no cell are forgotten; if that is not enough, it is shown
    /// plain.
    pub(crate) fn style_number(&mut self, style: Style) -> u16 {
        if let Some(number) = self.styles.number(style) {
            return number;
        }
        self.collect_styles();
        self.styles.number(style).unwrap_or(0)
    }

    /// What is erased now looks like this.
    pub(crate) fn erased(&mut self) -> Cell {
        if self.pen.bg == Color::Default {
            return Cell::default();
        }
        let style = self.style_number(self.pen.erased());
        Cell::blank(style)
    }

    /// Numbers the styles that are on cells anew. Clusters too: both are needed only while something shows them.
    pub(crate) fn collect_styles(&mut self) {
        let (old_styles, old_clusters) =
            (std::mem::take(&mut self.styles), std::mem::take(&mut self.clusters));
        let sides = std::iter::once(&mut self.side).chain(self.other.as_deref_mut());
        let mut text = String::new();
        for row in sides.flat_map(|side| side.grid.rows.iter_mut()) {
            let used = row.used().len();
            for cell in row.writable(0, used) {
                cell.style = self.styles.number(old_styles.get(cell.style)).unwrap_or(0);
                if cell.glyph & crate::cell::CLUSTER != 0 {
                    text.clear();
                    old_clusters.push_text(cell.glyph, &mut text);
                    let base = text.chars().next().map_or(0, u32::from);
                    cell.glyph = self.clusters.number(&text).unwrap_or(base);
                }
            }
        }
        // A screen of nothing but different styles: better plain than stuck.
        if self.styles.is_full() {
            self.styles = Styles::default();
            let sides = std::iter::once(&mut self.side).chain(self.other.as_deref_mut());
            for row in sides.flat_map(|side| side.grid.rows.iter_mut()) {
                let used = row.used().len();
                row.writable(0, used).iter_mut().for_each(|cell| cell.style = 0);
            }
        }
        self.pen_number = None;
    }

    /// Packs a row that leaves the screen at its top.
    pub(crate) fn pack_top_row(&mut self) {
        let rows = &self.side.grid.rows;
        let Some(row) = rows.front() else { return };
        let goes_on = rows.get(1).is_some_and(|next| next.wrapped);
        if row.wrapped {
            self.scrollback.fill_newest(row.cols());
        }
        self.scratch.clear();
        crate::scrollback::encode(row, goes_on, &self.styles, &self.clusters, &mut self.scratch);
        self.scrollback.push(&self.scratch);
    }

    /// Packs a row that is above the screen; `goes_on`: the next row goes on with it.
    pub(crate) fn pack(&mut self, row: &Row, goes_on: bool) {
        if row.wrapped {
            self.scrollback.fill_newest(row.cols());
        }
        self.scratch.clear();
        crate::scrollback::encode(row, goes_on, &self.styles, &self.clusters, &mut self.scratch);
        self.scrollback.push(&self.scratch);
    }
}

pub(crate) fn default_tabs(cols: usize) -> Vec<bool> {
    (0..cols).map(|col| col % 8 == 0).collect()
}
