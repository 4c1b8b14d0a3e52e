//! Control characters and escape sequences.

use crate::charset::Charset;
use crate::effect::Effect;
use crate::grid::Towards;
use crate::screen::{Saved, Screen};

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    pub(crate) fn control(&mut self, byte: u8, effects: &mut Vec<Effect>) {
        self.settle_for_control(byte);
        match byte {
            // Many in a row are one.
            0x07 if effects.last() != Some(&Effect::Bell) => effects.push(Effect::Bell),
            0x08 => self.backspace(),
            0x09 => self.tab(),
            0x0A..=0x0C => {
                self.line_feed();
                if self.modes.new_line {
                    self.carriage_return();
                }
            }
            0x0D => self.carriage_return(),
            0x0E => self.charsets.active = 1,
            0x0F => self.charsets.active = 0,
            0x84 => self.line_down_clamped(),
            0x85 => {
                self.line_down(false);
                self.carriage_return();
            }
            0x88 => self.set_tab(),
            0x8D => self.reverse_index(),
            _ => {}
        }
    }

    pub(crate) fn escape(&mut self, intermediates: &[u8], final_byte: u8) {
        self.settle_for_escape(intermediates, final_byte);
        match (intermediates, final_byte) {
            ([], b'7') => self.save_cursor(),
            ([], b'8') => self.restore_cursor(),
            ([], b'=') => self.modes.application_keypad = true,
            ([], b'>') => self.modes.application_keypad = false,
            ([], b'D') => self.line_down_clamped(),
            ([], b'E') => {
                self.line_down_clamped();
                self.carriage_return();
            }
            ([], b'H') => self.set_tab(),
            ([], b'M') => self.reverse_index(),
            ([], b'c') => {
                self.scrollback.clear();
                self.reset();
            }
            ([], b'n') => self.charsets.active = 2,
            ([], b'o') => self.charsets.active = 3,
            ([b'#'], b'8') => self.fill_with_e(),
            ([b'(' | b')' | b'*' | b'+' | b'-' | b'.' | b'/'], _) => {
                let set = match intermediates[0] {
                    b'(' => 0,
                    b')' | b'-' => 1,
                    b'*' | b'.' => 2,
                    _ => 3,
                };
                if let Some(charset) = Charset::of_final(final_byte) {
                    self.charsets.sets[set] = charset;
                }
            }
            ([b'%'], b'@' | b'G') => {
                self.charsets.active = 0;
                self.charsets.sets[0] = Charset::Ascii;
            }
            _ => {}
        }
    }

    /// To the first column, or to the left margin unless the cursor is left of it.
    pub(crate) fn carriage_return(&mut self) {
        self.side.x = match self.margins.set {
            Some((left, _)) if self.modes.origin || self.column() >= left => left,
            Some(_) | None => 0,
        };
    }

    fn line_down_clamped(&mut self) {
        self.clamp_cursor();
        self.line_down(false);
    }

    /// Line feed: what the cursor was waiting to wrap for is forgotten where it stands past the edge.
    fn line_feed(&mut self) {
        let scrolls = self.side.y == self.side.bottom;
        let stays = self.side.y + 1 >= self.rows();
        self.line_down(false);
        if !scrolls && !stays {
            // Somebody ended the line on purpose.
            self.set_wrapped(false);
        }
        if self.waits_at_margin() {
            self.side.x = self.column();
        } else if self.side.x >= self.cols() {
            self.side.x -= 1;
        }
    }

    /// A cursor that waits to wrap stands on the last column again, and in origin mode it is inside region and margins.
    pub(crate) fn clamp_cursor(&mut self) {
        self.side.x = self.column();
        if self.modes.origin {
            let (left, right) = self.columns();
            self.side.x = self.side.x.clamp(left, right);
        }
        let (low, high) =
            if self.modes.origin { (self.side.top, self.side.bottom) } else { (0, self.rows() - 1) };
        self.side.y = self.side.y.clamp(low, high);
    }

    fn backspace(&mut self) {
        if !self.modes.reverse_wrap {
            self.clamp_cursor();
            self.side.x = self.side.x.saturating_sub(1).max(self.first_column());
            return;
        }
        // As xterm.js: back over the edge, to where the text came from.
        if self.side.x >= self.cols() {
            self.side.x = self.column();
        } else if self.side.x > self.first_column() {
            self.side.x -= 1;
        } else if self.side.y > self.side.top && self.side.y <= self.side.bottom && self.row().wrapped {
            self.set_wrapped(false);
            self.side.y -= 1;
            (_, self.side.x) = self.columns();
            let last = self.row().get(self.side.x);
            if last.glyph == 0 && last.width() > 0 && self.margins.set.is_none() {
                self.side.x -= 1;
            }
        }
        self.clamp_cursor();
    }

    fn tab(&mut self) {
        if self.side.x >= self.cols() {
            return;
        }
        self.tab_forwards(1);
    }

    /// To a tab stop, at most to the right margin.
    pub(crate) fn tab_forwards(&mut self, count: usize) {
        self.side.x = self.side.tabs.next(self.side.x, count).min(self.last_column());
    }

    fn set_tab(&mut self) {
        self.side.tabs.set(self.side.x, true);
    }

    fn reverse_index(&mut self) {
        self.clamp_cursor();
        if self.side.y == self.side.top {
            if self.is_between_margins() {
                let fill = self.erased();
                self.move_lines(self.side.top..self.side.bottom + 1, 1, Towards::Bottom, fill);
            }
        } else {
            self.side.y = self.side.y.saturating_sub(1);
        }
    }

    pub(crate) fn save_cursor(&mut self) {
        self.side.saved = Some(Saved {
            // A cursor that waits to wrap comes back on the last column.
            x: self.column(),
            y: self.side.y.cast_signed(),
            style: self.pen,
            charsets: self.charsets,
            origin: self.modes.origin,
        });
    }

    pub(crate) fn restore_cursor(&mut self) {
        let saved = self.side.saved.clone().unwrap_or_default();
        (self.side.x, self.side.y) = (saved.x, saved.row_on_screen(self.rows()));
        self.set_pen(saved.style);
        self.charsets = saved.charsets;
        self.modes.origin = saved.origin;
        self.clamp_cursor();
    }

    /// DECALN: the screen full of E, to align a tube by. As in xterm the left and right margins go.
    fn fill_with_e(&mut self) {
        self.owed = None;
        self.forget_margins();
        let style = self.pen_style();
        self.side.grid.fill_with_e(style);
        (self.side.x, self.side.y) = (0, if self.modes.origin { self.side.top } else { 0 });
    }
}
