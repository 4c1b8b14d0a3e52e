//! How many columns a character takes. Clients draw with xterm.js and its Unicode 11 widths.

use unicode_width::UnicodeWidthChar;

/// Columns of a character: 0 for a mark, 1, or 2.
pub(crate) fn width(character: char) -> u16 {
    let code = u32::from(character);
    match code {
        0x20..0x300 => 1,
        // Joiners, selectors and enclosing marks; the private areas and what is not assigned count as one.
        0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x2063 | 0xFE00..=0xFE0F | 0xFEFF => 0,
        0x1F3FB..=0x1F3FF => 2,
        _ => match character.width() {
            Some(0) => 0,
            Some(2) => 2,
            Some(_) | None => 1,
        },
    }
}
