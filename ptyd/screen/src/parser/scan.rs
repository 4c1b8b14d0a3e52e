//! How far plain text goes: many bytes at a time. It knows no sequences.

/// Whether a character that is no C1 control may stand at the front.
pub(super) fn may_begin_text(bytes: &[u8]) -> bool {
    match bytes {
        [0xC2, second, ..] => matches!(second, 0xA0..=0xBF),
        [0xC3..=0xF4, second, ..] => matches!(second, 0x80..=0xBF),
        _ => false,
    }
}

/// How many bytes at the front are printable ASCII.
pub(super) fn printable_ascii(bytes: &[u8]) -> usize {
    let other = |byte: u8| byte.wrapping_sub(0x20) > 0x7E - 0x20;
    let mut len = 0;
    for chunk in bytes.chunks_exact(16) {
        if chunk.iter().fold(false, |any, byte| any | other(*byte)) {
            break;
        }
        len += 16;
    }
    len + bytes[len..].iter().position(|byte| other(*byte)).unwrap_or(bytes.len() - len)
}

/// How many bytes at the front are neither C0 controls nor DEL.
pub(super) fn printable(bytes: &[u8]) -> usize {
    // Eight at a time: a byte is below 0x20 or is 0x7F.
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let mut chunks = bytes.chunks_exact(8);
    let mut len = 0;
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        let word = u64::from_le_bytes(eight);
        let low = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let seven_f = word ^ (ONES * 0x7F);
        let del = seven_f.wrapping_sub(ONES) & !seven_f & HIGHS;
        if low | del != 0 {
            break;
        }
        len += 8;
    }
    len + bytes[len..].iter().position(|byte| *byte < 0x20 || *byte == 0x7F).unwrap_or(bytes.len() - len)
}

/// The text before the first C1 control.
pub(super) fn before_c1(text: &str) -> &str {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = memchr::memchr(0xC2, &bytes[at..]) {
        at += found;
        if matches!(bytes.get(at + 1), Some(0x80..=0x9F)) {
            return &text[..at];
        }
        at += 1;
    }
    text
}
