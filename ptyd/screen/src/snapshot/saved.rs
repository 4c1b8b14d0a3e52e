//! What DECSC saved, written down.

use std::fmt::Write as _;

use super::Writer;
use crate::charset::Charsets;
use crate::screen::{Saved, Side};
use crate::style::Style;

/// Most rows that are scrolled for a place above the screen or below. What is further away is nowhere near.
const MOST_SCROLLED: usize = 16 << 10;
/// Bytes that such a place takes at most.
pub(super) const FIRST_BYTES: usize = MOST_SCROLLED + (1 << 10) + 2 * crate::links::MOST_BYTES;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Writer<'_, M> {
    /// Saves what was saved, on the nearest row, and sets the margins: a terminal that has none takes DECSLRM for what saves the
    /// cursor, and then saves once more what it just has.
    pub(super) fn saved(&mut self, saved: &Saved, margins: &str) {
        if saved.origin {
            self.text("\x1b[?6h");
        }
        self.place(saved.row_on_screen(self.screen.rows()), saved.x);
        self.pen(saved.style);
        self.charsets(saved.charsets);
        self.text("\x1b7");
        self.text(margins);
        if saved.origin {
            self.text("\x1b[?6l");
        }
        self.pen(Style::default());
        if saved.charsets != Charsets::default() {
            self.text("\x1b(B\x1b)B\x1b*B\x1b+B\x0f");
        }
    }

    /// Whether what was saved is written before all rows: its row lies above the screen or below, and the alternate screen,
    /// which has nothing above it, does not know such places. Not so where margins come later: DECSLRM would save another.
    pub(super) fn is_saved_first(&self, side: &Side) -> bool {
        let off_screen = |saved: &Saved| saved.y != saved.row_on_screen(self.screen.rows()).cast_signed();
        let margins = std::ptr::eq(side, &raw const self.screen.side) && self.screen.margins.set.is_some();
        !margins && std::ptr::eq(side, self.primary()) && side.saved.as_ref().is_some_and(off_screen)
    }

    /// Saves what was saved on a row above the screen or below, before `above` rows are written that will lie above the screen.
    /// No sequence says such a row. But xterm.js counts it from the first row of its scrollback, and goes on counting when that
    /// is cleared: it is saved where the count is what it is in the end. Any other terminal has it on the nearest row, and so has one
    /// that is sent none of the lines above the screen, and may have some of its own: it keeps them (`above`: none).
    pub(super) fn saved_first(&mut self, side: &Side, above: Option<usize>) {
        let Some(saved) = side.saved.as_ref().filter(|_| self.is_saved_first(side)) else { return };
        let rows = self.screen.rows();
        let further = saved.y.saturating_sub_unsigned(saved.row_on_screen(rows));
        if let Some(above) = above {
            let scrolled = further.saturating_add_unsigned(above).clamp(0, MOST_SCROLLED.cast_signed());
            let _infallible = write!(self.out, "\x1b[{rows}H{}", "\n".repeat(scrolled.unsigned_abs()));
        }
        self.saved(saved, "");
        self.text(if above.is_some() { "\x1b[3J\x1b[H" } else { "\x1b[H" });
    }
}
