//! How many columns a character takes. Clients draw with xterm.js and its Unicode 11 widths: one column's difference would
//! shift the rest of a row.

mod table;

use table::{WIDE, ZERO};

/// Columns of a character that is printed: 0 for a mark, 1, or 2.
#[must_use]
#[inline]
pub fn columns(character: char) -> u16 {
    let code = character as usize;
    match BASIC.get(code / 4) {
        Some(four) => u16::from(four >> (code % 4 * 2) & 3),
        None => u16::from(beyond(u32::from(character))),
    }
}

/// The widths of the first 65,536 characters, two bits each.
static BASIC: [u8; 0x1_0000 / 4] = {
    let mut table = [0b0101_0101; 0x1_0000 / 4];
    put(&mut table, &ZERO, 0);
    put(&mut table, &WIDE, 2);
    table
};

const fn put(table: &mut [u8], runs: &[(u32, u32)], columns: u8) {
    let mut run = 0;
    while run < runs.len() {
        let mut code = runs[run].0 as usize;
        while code <= runs[run].1 as usize && code / 4 < table.len() {
            let shift = code % 4 * 2;
            table[code / 4] = table[code / 4] & !(3 << shift) | columns << shift;
            code += 1;
        }
        run += 1;
    }
}

/// The same of the others.
fn beyond(code: u32) -> u8 {
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
