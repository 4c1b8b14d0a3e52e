//! How many columns a character takes. Clients draw with xterm.js and its Unicode 11 widths: one column's difference would
//! shift the rest of a row.

mod table;

use table::{WIDE, ZERO};

/// Columns of a character that is printed: 0 for a mark, 1, or 2.
#[must_use]
pub fn columns(character: char) -> u16 {
    let code = u32::from(character);
    match code {
        // What there is most of: Latin, Greek, Cyrillic, lines and blocks; kana, Han, Hangul.
        0..0x300 | 0x370..0x483 | 0x1E00..0x200B | 0x2500..0x25FD => return 1,
        0x3041..0x3097 | 0x4E00..0xA000 | 0xAC00..0xD7A4 => return 2,
        _ => {}
    }
    let within = |runs: &[(u32, u32)]| {
        let next = runs.partition_point(|(first, _)| *first <= code);
        next.checked_sub(1).is_some_and(|at| code <= runs[at].1)
    };
    if within(&WIDE) {
        2
    } else if within(&ZERO) {
        0
    } else {
        1
    }
}
