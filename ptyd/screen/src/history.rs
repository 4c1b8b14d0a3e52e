//! The lines above the screen, for people who scroll back.

use crate::answer::push_pen;
use crate::cell::{WIDE, ZERO};
use crate::screen::Screen;
use crate::scrollback::Record;
use crate::style::{Color, Style};

/// Lines that have left the screen at its top.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct History {
    /// Number of the first of `lines`, counted from the session's start.
    pub first_line: u64,
    /// Text with SGR sequences, each line on its own.
    pub lines: Vec<String>,
    /// How many lines there have been, those that are kept no longer included.
    pub total: u64,
}

/// Most bytes of one page, unless it is a single line: that is cut with the row in which it becomes longer.
const MAX_PAGE_BYTES: usize = 768 << 10;
/// What a line takes on the wire beside its text, at most.
const LINE_BYTES: usize = 4;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Screen<M> {
    /// The `lines` lines before line `before_line`, or the last ones. Fewer where they would be too long, or are kept no
    /// longer.
    pub fn history(&self, before_line: Option<u64>, lines: u32) -> History {
        let position = self.scrollback.position;
        let total = position.lines_dropped + position.lines;
        let end = before_line.unwrap_or(total).min(total);
        let (mut number, mut bytes) = (total, 0);
        let mut found = Vec::new();
        let mut rows: Vec<Record> = Vec::new();
        let screen = self.other.as_deref().unwrap_or(&self.side).grid.row(0);
        let mut wide_follows = self.goes_on_from_above() && screen.get(0).flags == WIDE;
        for record in self.rows_above() {
            let begins = !record.wrapped();
            if number <= end {
                rows.push(record);
            }
            if begins {
                number -= 1;
                if number < end {
                    if found.len() >= lines as usize {
                        break;
                    }
                    // As they are sent: packed, colours are a fraction of that.
                    let text = line(&rows, wide_follows);
                    bytes += text.len() + LINE_BYTES;
                    if bytes > MAX_PAGE_BYTES && !found.is_empty() {
                        break;
                    }
                    found.push(text);
                }
                rows.clear();
                wide_follows = false;
            }
        }
        found.reverse();
        History { first_line: end - found.len() as u64, lines: found, total }
    }
}

/// One line of its rows, newest first; `wide_follows`: it goes on with a wide character that is still on the screen.
fn line(rows: &[Record], wide_follows: bool) -> String {
    let mut text = String::new();
    let (mut style, mut blanks) = (Style::default(), 0);
    for (index, record) in rows.iter().enumerate().rev() {
        let shape = record.shape();
        // The place before a wide character that was too narrow for it is no part of the line.
        let before_wide = match index.checked_sub(1) {
            Some(next) => rows[next].shape().begins_wide,
            // One that ended a line before is not kept to that place.
            None => wide_follows && record.goes_on(),
        };
        let narrow = shape.nothing_last.is_some() && before_wide;
        let mut at = 0;
        record.each(|cell| {
            at += 1;
            if (cell.flags == ZERO && cell.text == "\0") || (narrow && at == shape.cells) {
                return;
            }
            let nothing = cell.text == "\0";
            if nothing && cell.style.bg == Color::Default {
                blanks += 1;
                return;
            }
            // Of nothing only the colour behind it shows.
            let plain = if nothing { cell.style.erased() } else { Style { link: 0, ..cell.style } };
            if blanks > 0 {
                set(&mut text, &mut style, Style::default());
                text.extend(std::iter::repeat_n(' ', std::mem::take(&mut blanks)));
            }
            set(&mut text, &mut style, plain);
            text.push_str(if nothing { " " } else { cell.text });
        });
        if text.len() > MAX_PAGE_BYTES {
            break;
        }
    }
    set(&mut text, &mut style, Style::default());
    text
}

fn set(text: &mut String, style: &mut Style, wanted: Style) {
    if *style != wanted {
        *style = wanted;
        push_pen(text, wanted);
    }
}
