//! Control sequences.

use crate::margins::DECLRMM;
use crate::parser::Sequence;
use crate::screen::{MAX_KEYBOARD_STACK, MAX_TITLES, NO_ROOM, Screen, Side};
use crate::style::{Style, flag};
use crate::tabs::Tabs;

/// Private modes saved at once.
const MAX_SAVED_MODES: usize = 64;

/// What repeating a character that is no ASCII costs, and each of its marks, in cells moved.
const REPEATED_IN_CELLS: usize = 24;
const LETTER_IN_CELLS: usize = 4;
const MARK_IN_CELLS: usize = 192;
/// What going to the next row costs, which text does as often as it fills one.
const WRAP_IN_CELLS: usize = 64;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    #[inline]
    pub(crate) fn csi(&mut self, csi: &Sequence<'_>) {
        if (csi.final_byte, csi.prefix, csi.intermediates) == (b'm', None, &[]) {
            self.pen.apply_sgr(csi.params);
            self.pen_number = None;
        } else {
            self.other_csi(csi);
        }
    }

    fn other_csi(&mut self, csi: &Sequence<'_>) {
        // Sub-parameters mean something in SGR alone.
        let params = csi.params.without_subs();
        let csi = &Sequence { params: params.as_ref().unwrap_or(csi.params), ..*csi };
        self.settle_for_csi(csi);
        match (csi.prefix, csi.intermediates) {
            (None, []) => self.csi_plain(csi),
            (Some(b'?'), []) => self.csi_private(csi),
            (Some(b'>'), []) => self.csi_xterm(csi),
            (Some(b'='), []) if csi.final_byte == b'u' => self.set_keyboard(csi),
            (Some(b'<'), []) if csi.final_byte == b'u' => self.pop_keyboard(csi),
            (None, [b' ']) => match csi.final_byte {
                b'q' => self.cursor_style = u8::try_from(csi.params.value(0)).unwrap_or(0).min(6),
                b'@' => self.shift_columns(self.columns().0, count(csi), false),
                b'A' => self.shift_columns(self.columns().0, count(csi), true),
                _ => {}
            },
            (None, [b'!']) if csi.final_byte == b'p' => self.soft_reset(),
            (None, [b'"']) if csi.final_byte == b'q' => {
                let mut pen = self.pen;
                match csi.params.value(0) {
                    1 => pen.flags |= flag::PROTECTED,
                    0 | 2 => pen.flags &= !flag::PROTECTED,
                    _ => {}
                }
                self.set_pen(pen);
            }
            (None, [b'\'']) => {
                let x = self.column();
                match csi.final_byte {
                    b'}' => self.shift_columns(x, count(csi), true),
                    b'~' => self.shift_columns(x, count(csi), false),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn csi_plain(&mut self, csi: &Sequence<'_>) {
        let params = csi.params;
        match csi.final_byte {
            b'@' => self.insert_chars(count(csi)),
            b'A' => self.move_vertically(count(csi), false),
            b'B' => self.move_vertically(count(csi), true),
            b'e' => self.move_to(self.column(), self.side.y + count(csi)),
            b'C' => self.move_to((self.column() + count(csi)).min(self.last_column()), self.side.y),
            b'a' => self.move_to(self.column() + count(csi), self.side.y),
            b'D' => {
                self.move_to(self.column().saturating_sub(count(csi)).max(self.first_column()), self.side.y);
            }
            b'E' => {
                self.move_vertically(count(csi), true);
                self.carriage_return();
            }
            b'F' => {
                self.move_vertically(count(csi), false);
                self.carriage_return();
            }
            b'G' | b'`' => self.move_to(self.origin_column() + count(csi) - 1, self.side.y),
            b'H' | b'f' => self.place(usize::from(params.or(0, 1)) - 1, usize::from(params.or(1, 1)) - 1),
            b'I' if self.side.x < self.cols() => self.tab_forwards(count(csi)),
            b'Z' if self.side.x < self.cols() => {
                self.side.x = self.side.tabs.previous(self.side.x, count(csi)).max(self.origin_column());
            }
            b'J' => self.erase_display(params.value(0)),
            b'K' => self.erase_line(params.value(0)),
            b'L' => self.insert_lines(count(csi)),
            b'M' => self.delete_lines(count(csi)),
            b'P' => self.delete_chars(count(csi)),
            b'S' => self.scroll_region_up(count(csi)),
            b'T' if params.len() <= 1 => self.scroll_region_down(count(csi)),
            b'X' => self.erase_chars(count(csi)),
            b'b' => self.repeat(count(csi)),
            b'd' => self.move_to(self.column(), self.origin_row() + count(csi) - 1),
            b'g' => match params.value(0) {
                0 => self.side.tabs.set(self.side.x, false),
                3 => self.side.tabs = Tabs::none(self.cols()),
                _ => {}
            },
            b'h' | b'l' => {
                let on = csi.final_byte == b'h';
                for index in 0..params.len() {
                    match params.value(index) {
                        4 => self.modes.insert = on,
                        20 => self.modes.new_line = on,
                        _ => {}
                    }
                }
            }
            b'r' => self.set_region(csi),
            b's' if self.margins.on => self.take_margins(csi),
            b's' => self.save_cursor(),
            b'u' => self.restore_cursor(),
            b't' => self.window(csi),
            _ => {}
        }
    }

    fn csi_private(&mut self, csi: &Sequence<'_>) {
        let numbers = (0..csi.params.len()).map(|index| csi.params.value(index));
        match csi.final_byte {
            b'J' => self.erase_display_selectively(csi.params.value(0)),
            b'K' => self.erase_line_selectively(csi.params.value(0)),
            b'h' => numbers.for_each(|mode| self.set_mode(mode, true)),
            b'l' => numbers.for_each(|mode| self.set_mode(mode, false)),
            b's' => {
                for mode in numbers {
                    let margins = (mode == DECLRMM).then_some(self.margins.on);
                    if let Some(on) = margins.or(self.modes.private(mode)) {
                        self.saved_modes.retain(|(saved, _)| *saved != mode);
                        if self.saved_modes.len() < MAX_SAVED_MODES {
                            self.saved_modes.push((mode, on));
                        }
                    }
                }
            }
            b'r' => {
                for mode in numbers {
                    let saved = self.saved_modes.iter().find(|(saved, _)| *saved == mode).map(|(_, on)| *on);
                    if let Some(on) = saved {
                        self.set_mode(mode, on);
                    }
                }
            }
            b'W' if csi.params.value(0) == 5 => self.side.tabs = Tabs::every_eighth(self.cols()),
            _ => {}
        }
    }

    /// `CSI >`: xterm's and kitty's additions.
    fn csi_xterm(&mut self, csi: &Sequence<'_>) {
        match csi.final_byte {
            b'u' => {
                let keyboard = &mut self.side.keyboard;
                if keyboard.len() > MAX_KEYBOARD_STACK {
                    // The oldest gives way; the base stays.
                    keyboard.remove(1);
                }
                keyboard.push(u8::try_from(csi.params.value(0) & 31).unwrap_or(0));
            }
            b'm' if csi.params.value(0) == 4 => {
                self.modes.modify_other_keys = u8::try_from(csi.params.value(1).min(2)).unwrap_or(0);
            }
            b'n' if csi.params.value(0) == 4 => self.modes.modify_other_keys = 0,
            _ => {}
        }
    }

    fn set_keyboard(&mut self, csi: &Sequence<'_>) {
        let flags = u8::try_from(csi.params.value(0) & 31).unwrap_or(0);
        if let Some(now) = self.side.keyboard.last_mut() {
            match csi.params.or(1, 1) {
                1 => *now = flags,
                2 => *now |= flags,
                3 => *now &= !flags,
                _ => {}
            }
        }
    }

    fn pop_keyboard(&mut self, csi: &Sequence<'_>) {
        let keyboard = &mut self.side.keyboard;
        for _ in 0..count(csi).min(keyboard.len()) {
            keyboard.pop();
        }
        if keyboard.is_empty() {
            keyboard.push(0);
        }
    }

    fn set_mode(&mut self, mode: u16, on: bool) {
        if self.modes.set_private(mode, on) {
            return;
        }
        match mode {
            6 => {
                self.modes.origin = on;
                self.place(0, 0);
            }
            DECLRMM => self.set_margin_mode(on),
            47 | 1047 if on => self.show_alternate(),
            47 | 1047 => self.show_primary(),
            1048 if on => self.save_cursor(),
            1048 => self.restore_cursor(),
            1049 if on => {
                self.save_cursor();
                self.show_alternate();
            }
            1049 => {
                self.show_primary();
                self.restore_cursor();
            }
            _ => {}
        }
    }

    /// The alternate screen, cleared; the cursor stays where it is.
    fn show_alternate(&mut self) {
        if self.modes.alternate_screen {
            return;
        }
        let style = self.erased().style;
        let mut side = match self.retired.take() {
            Some(grid) => Side::reusing(grid, self.size),
            None => Side::new(self.size),
        };
        if style != 0 {
            side.grid.clear(0..self.rows(), style);
        }
        (side.x, side.y) = (self.side.x, self.side.y);
        self.other = Some(Box::new(std::mem::replace(&mut self.side, side)));
        self.modes.alternate_screen = true;
        self.enter_region();
    }

    /// In origin mode the cursor is inside the region, also that of a screen just shown.
    fn enter_region(&mut self) {
        if self.modes.origin {
            let x = self.side.x;
            self.clamp_cursor();
            self.side.x = x;
        }
    }

    pub(crate) fn show_primary(&mut self) {
        let Some(primary) = self.other.take() else { return };
        // The alternate screen is gone with all it had.
        let alternate = std::mem::replace(&mut self.side, *primary);
        (self.side.x, self.side.y) = (alternate.x, alternate.y);
        self.retired = Some(alternate.grid);
        self.modes.alternate_screen = false;
        self.enter_region();
    }

    fn move_to(&mut self, x: usize, y: usize) {
        (self.side.x, self.side.y) = (x.min(self.cols() - 1), y);
        self.clamp_cursor();
    }

    /// Row and column, counted from the region's top and the left margin in origin mode.
    fn place(&mut self, row: usize, column: usize) {
        self.move_to(self.origin_column() + column, self.origin_row() + row);
    }

    fn origin_row(&self) -> usize {
        if self.modes.origin { self.side.top } else { 0 }
    }

    /// CUU and CUD stop at the region's edge if they begin inside it.
    fn move_vertically(&mut self, count: usize, down: bool) {
        let (y, x) = (self.side.y, self.column());
        let y = if down {
            let edge = if y <= self.side.bottom { self.side.bottom } else { self.rows() - 1 };
            (y + count).min(edge)
        } else {
            let edge = if y >= self.side.top { self.side.top } else { 0 };
            y.saturating_sub(count).max(edge)
        };
        self.move_to(x, y);
    }

    fn set_region(&mut self, csi: &Sequence<'_>) {
        let rows = self.rows();
        let top = usize::from(csi.params.or(0, 1));
        let bottom = usize::from(csi.params.or(1, u16::MAX)).min(rows);
        if bottom > top {
            (self.side.top, self.side.bottom) = (top - 1, bottom - 1);
            self.place(0, 0);
        }
    }

    /// DECSLRM.
    fn take_margins(&mut self, csi: &Sequence<'_>) {
        let left = usize::from(csi.params.or(0, 1));
        let right = usize::from(csi.params.or(1, u16::MAX)).min(self.cols());
        if right > left {
            self.set_margins(left - 1, right - 1);
            self.place(0, 0);
        }
    }

    /// REP, right after a character: a row of letters in any case, and of what is more, or more than a letter and so costs more,
    /// as many as the stream can afford: a few bytes cannot cost much.
    fn repeat(&mut self, count: usize) {
        let (joins, x) = (usize::from(self.joins), self.column_behind_text());
        if joins == 0 || self.joins == NO_ROOM || x < joins {
            return;
        }
        let mut text = String::new();
        let glyph = self.row().get(x - joins).glyph;
        self.clusters.push_text(glyph, &mut text);
        let (left, right) = self.columns();
        let wraps = WRAP_IN_CELLS * joins / (right + 1 - left);
        let charsets = std::mem::take(&mut self.charsets);
        if let [letter] = text.as_bytes() {
            let free = count.min(self.cols());
            let affordable = self.allowance.spend_times(LETTER_IN_CELLS + wraps, count - free);
            self.print_repeated(*letter, free + affordable);
        } else {
            let marks = text.chars().count().saturating_sub(1);
            let price = REPEATED_IN_CELLS + marks * MARK_IN_CELLS + wraps;
            let affordable = self.allowance.spend_times(price, count);
            self.print(&text.repeat(affordable));
        }
        self.charsets = charsets;
    }

    /// XTWINOPS: of these only the title stack is for us.
    fn window(&mut self, csi: &Sequence<'_>) {
        let titles = matches!(csi.params.value(1), 0 | 2);
        match csi.params.value(0) {
            22 if titles => {
                if self.titles.len() == MAX_TITLES {
                    self.titles.remove(0);
                }
                self.titles.push(self.title.clone());
            }
            23 if titles => {
                if let Some(title) = self.titles.pop() {
                    self.title = title;
                }
            }
            _ => {}
        }
    }

    /// DECSTR.
    fn soft_reset(&mut self) {
        self.modes.cursor_visible = true;
        (self.side.top, self.side.bottom) = (0, self.rows() - 1);
        self.set_margin_mode(false);
        self.set_pen(Style::default());
        self.cursor_style = 0;
        self.side.saved = None;
        self.charsets = crate::charset::Charsets::default();
        let modes = &mut self.modes;
        modes.insert = false;
        modes.origin = false;
        modes.autowrap = true;
        modes.application_cursor = false;
        modes.application_keypad = false;
        modes.reverse_wrap = false;
        modes.focus_events = false;
        modes.bracketed_paste = false;
        modes.synchronized_output = false;
    }
}

/// The first number, at least 1.
fn count(csi: &Sequence<'_>) -> usize {
    usize::from(csi.params.or(0, 1))
}
