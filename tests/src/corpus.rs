//! Text for bulk transfers: position-unique, with characters of one to four bytes and without what a terminal would act
//! on (ESC, ENQ, C1, NUL). Must not know how it is carried.

use std::io::{self, Write};

use crate::Random;

/// Pieces of valid UTF-8, of one to four bytes a character. None holds a code point of U+0080..U+009F.
const PIECES: [&str; 8] = ["plain ", "words, ", "é", "ñ ", "漢字", "€ ", "🦀", "𝄞 "];

/// Invalid UTF-8: bytes that never occur, a lone continuation, sequences cut short, an overlong form, a surrogate.
const BROKEN: [&[u8]; 7] =
    [b"\xFF", b"\xFE\xFE", b"\xBF", b"\xE2\x82", b"\xF0\x9F\xA6", b"\xC0\xAF", b"\xED\xA0\xAD"];

/// Writes numbered lines of valid UTF-8, about `bytes` bytes of them and never fewer.
pub fn write_lines(to: &mut impl Write, bytes: u64, random: &mut Random) -> io::Result<u64> {
    // Lines are taken from a small stock and numbered: making each by chance would take longer than carrying it.
    let stock: Vec<String> = (0..257).map(|_| line(random)).collect();
    let mut written = 0;
    for number in 0_u64.. {
        if written >= bytes {
            break;
        }
        let text = random.pick(&stock);
        write!(to, "{number:010} {text}\r\n")?;
        written += 13 + text.len() as u64;
    }
    Ok(written)
}

/// Valid and invalid sequences side by side, every one before and after every other.
pub fn mixed() -> Vec<u8> {
    let parts: Vec<&[u8]> = PIECES.iter().map(|piece| piece.as_bytes()).chain(BROKEN).collect();
    let mut bytes = Vec::new();
    for first in &parts {
        for second in &parts {
            bytes.extend_from_slice(first);
            bytes.extend_from_slice(second);
        }
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

fn line(random: &mut Random) -> String {
    (0..random.between(1, 24)).map(|_| *random.pick(&PIECES)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_has_nothing_to_act_on() {
        let mut lines = Vec::new();
        let written = write_lines(&mut lines, 100_000, &mut Random::new(1)).unwrap();
        assert_eq!(written, lines.len() as u64);
        let text = String::from_utf8(lines).unwrap();
        assert!(text.chars().all(|c| matches!(c, '\r' | '\n') || !c.is_control()));
        assert!(mixed().iter().all(|byte| matches!(byte, b'\r' | b'\n') || *byte >= 0x20));
    }
}
