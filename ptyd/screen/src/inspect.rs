//! The screen's whole state as plain data, to be compared.

use crate::cell::ZERO;
use crate::modes::Modes;
use crate::screen::{Saved, Screen, Side};
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
    /// Column and row from 0; the column is the number of columns while the cursor waits to wrap.
    pub cursor: (usize, usize),
    /// First and last row of the scroll region.
    pub region: (usize, usize),
    /// The pen.
    pub pen: Style,
    /// Tab stops.
    pub tabs: Vec<usize>,
    /// Modes.
    pub modes: Modes,
    /// Title.
    pub title: String,
    /// Everything else, in words.
    pub rest: String,
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
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The state now.
    pub fn inspect(&self) -> State {
        let hidden = self.other.as_ref();
        let saved = |side: &Side| {
            if side.saved == Saved::default() { "none".to_owned() } else { format!("{:?}", side.saved) }
        };
        State {
            rows: self.row_states(&self.side),
            hidden: hidden.map(|side| self.row_states(side)).unwrap_or_default(),
            scrollback: self.history(None, u32::MAX).lines,
            cursor: (self.side.x, self.side.y),
            region: (self.side.top, self.side.bottom),
            pen: Style { link: 0, ..self.pen },
            tabs: (0..self.side.tabs.len()).filter(|col| self.side.tabs[*col]).collect(),
            modes: self.modes.clone(),
            title: self.title.clone(),
            rest: format!(
                "saved {} {:?} charsets {:?} keyboard {:?} {:?} region {:?} cursor {} titles {:?} cwd {:?} palette {:?} {:?} modes {:?}",
                saved(&self.side),
                hidden.map(|side| saved(side)),
                self.charsets,
                self.side.keyboard,
                hidden.map(|side| side.keyboard.clone()),
                hidden.map(|side| (side.top, side.bottom)),
                self.cursor_style,
                self.titles,
                self.cwd,
                self.palette,
                self.dynamic,
                self.saved_modes,
            ),
        }
    }

    fn row_states(&self, side: &Side) -> Vec<RowState> {
        let rows = side.grid.rows.iter();
        rows.map(|row| {
            let mut cells: Vec<CellState> = Vec::new();
            for cell in row.used() {
                let mut text = String::new();
                self.clusters.push_text(cell.glyph, &mut text);
                let style = Style { link: 0, ..self.styles.get(cell.style) };
                // Of nothing only the colour behind it shows.
                let style = if cell.glyph == 0 && cell.flags != ZERO { style.erased() } else { style };
                cells.push(CellState { text, width: cell.width(), style });
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
