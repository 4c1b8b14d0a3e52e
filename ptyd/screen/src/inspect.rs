//! The screen's whole state as plain data, to be compared.

use crate::charset::Charsets;
use crate::modes::Modes;
use crate::screen::{Screen, Side};
use crate::style::Style;

/// What a screen is.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Rows shown, top to bottom.
    pub rows: Vec<RowState>,
    /// Rows of the screen that is not shown, if there is one.
    pub hidden: Vec<RowState>,
    /// Lines above the screen, oldest first, as text.
    pub scrollback: Vec<String>,
    /// Column and row from 0; the column is the number of columns while the cursor waits to wrap, two more at a margin.
    pub cursor: (usize, usize),
    /// First and last row of the scroll region.
    pub region: (usize, usize),
    /// The same of the screen that is not shown.
    pub hidden_region: Option<(usize, usize)>,
    /// First and last column between the left and right margins, if there are any.
    pub margins: Option<(usize, usize)>,
    /// Left and right margins can be set.
    pub margin_mode: bool,
    /// The pen, its link left out.
    pub pen: Style,
    /// The link being written, as [`CellState::link`].
    pub pen_link: String,
    /// What DECSC saved, if it did.
    pub saved: Option<SavedState>,
    /// The same of the screen that is not shown.
    pub hidden_saved: Option<SavedState>,
    /// The final bytes of the sets designated G0 to G3, and the number of the one in use.
    pub charsets: String,
    /// Tab stops.
    pub tabs: Vec<usize>,
    /// Modes.
    pub modes: Modes,
    /// DECSCUSR, 0 to 6.
    pub cursor_style: u8,
    /// Title.
    pub title: String,
    /// Titles pushed, oldest first.
    pub titles: Vec<String>,
    /// Colours that the program changed: 0 to 255 of the palette, 256 foreground, 257 background, 258 cursor.
    pub colors: Vec<(u16, (u8, u8, u8))>,
    /// Everything else, in words.
    pub rest: String,
}

/// What DECSC saved.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedState {
    /// Column and row, which may lie above the screen or below.
    pub cursor: (usize, isize),
    /// The pen, its link left out.
    pub pen: Style,
    /// Its link, as [`CellState::link`].
    pub link: String,
    /// As [`State::charsets`].
    pub charsets: String,
    /// Origin mode.
    pub origin: bool,
}

/// A row.
#[derive(Clone, Debug, PartialEq)]
pub struct RowState {
    /// It goes on with the row before.
    pub wrapped: bool,
    /// Its cells up to the last that is not blank.
    pub cells: Vec<CellState>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellState {
    /// What is shown; empty: nothing.
    pub text: String,
    /// Columns it takes.
    pub width: u16,
    /// How it looks, its link left out.
    pub style: Style,
    /// Its link as `<id|address>`; empty: none.
    pub link: String,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The state now.
    pub fn inspect(&self) -> State {
        let (settled, hidden) = (self.settled_side(), self.other.as_deref());
        let dynamic =
            self.dynamic.iter().zip(256..).filter_map(|(color, number)| color.map(|color| (number, color)));
        State {
            rows: self.row_states(settled.as_ref().unwrap_or(&self.side)),
            hidden: hidden.map(|side| self.row_states(side)).unwrap_or_default(),
            scrollback: self.history(None, u32::MAX).lines,
            cursor: (self.side.x, self.side.y),
            region: (self.side.top, self.side.bottom),
            hidden_region: hidden.map(|side| (side.top, side.bottom)),
            margins: self.margins.set,
            margin_mode: self.margins.on,
            pen: Style { link: 0, ..self.pen },
            pen_link: self.link_text(self.pen.link),
            saved: self.saved_state(&self.side),
            hidden_saved: hidden.and_then(|side| self.saved_state(side)),
            charsets: charsets_text(self.charsets),
            tabs: self.side.tabs.stops().collect(),
            modes: self.modes.clone(),
            cursor_style: self.cursor_style,
            title: self.title.clone(),
            titles: self.titles.clone(),
            colors: self
                .palette
                .iter()
                .map(|(index, color)| (u16::from(*index), *color))
                .chain(dynamic)
                .collect(),
            rest: format!(
                "keyboard {:?} {:?} cwd {:?} modes {:?}",
                self.side.keyboard,
                hidden.map(|side| side.keyboard.clone()),
                self.cwd,
                self.saved_modes,
            ),
        }
    }

    fn link_text(&self, number: u16) -> String {
        self.links.get(number).map_or_else(String::new, |(url, id)| format!("<{id}|{url}>"))
    }

    fn saved_state(&self, side: &Side) -> Option<SavedState> {
        side.saved.as_ref().map(|saved| SavedState {
            cursor: (saved.x, saved.y),
            pen: Style { link: 0, ..saved.style },
            link: self.link_text(saved.style.link),
            charsets: charsets_text(saved.charsets),
            origin: saved.origin,
        })
    }

    fn row_states(&self, side: &Side) -> Vec<RowState> {
        let rows = side.grid.rows();
        rows.map(|row| {
            let mut cells: Vec<CellState> = Vec::new();
            for cell in row.used_cells() {
                let mut text = String::new();
                self.clusters.push_text(cell.glyph, &mut text);
                let style = self.styles.get(cell.style);
                let style = if cell.shows_nothing() { style.erased() } else { style };
                let link = self.link_text(style.link);
                cells.push(CellState { text, width: cell.width(), style: Style { link: 0, ..style }, link });
            }
            let blank =
                |cell: &CellState| cell.text.is_empty() && cell.width == 1 && cell.style == Style::default();
            while cells.last().is_some_and(blank) {
                cells.pop();
            }
            RowState { wrapped: row.wrapped, cells }
        })
        .collect()
    }
}

fn charsets_text(charsets: Charsets) -> String {
    let sets = charsets.sets.iter().map(|set| set.final_byte());
    sets.chain(char::from_digit(u32::try_from(charsets.active).unwrap_or(0), 10)).collect()
}
