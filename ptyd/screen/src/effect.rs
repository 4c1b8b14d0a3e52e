//! What a program tells the world beside its text.

/// Something for whoever looks at the screen, or stands beside it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// The window's title, at most 256 printable characters.
    Title(String),
    /// The bell.
    Bell,
    /// Text for the clipboard, at most [`MAX_CLIPBOARD_BYTES`].
    Clipboard(String),
    /// Where the program is, a path.
    Cwd(String),
    /// A notification, at most 1,024 printable characters.
    Notify(String),
}

/// Longest text for the clipboard, in bytes.
pub(crate) const MAX_CLIPBOARD_BYTES: usize = 100 << 10;
const MAX_TITLE_CHARS: usize = 256;
const MAX_NOTIFICATION_CHARS: usize = 1024;
const MAX_PATH_BYTES: usize = 4096;

/// A title without what could deceive or disturb: controls, and marks that turn the direction of text.
pub(crate) fn clean_title(payload: &[u8]) -> String {
    printable(payload, MAX_TITLE_CHARS)
}

pub(crate) fn clean_notification(payload: &[u8]) -> String {
    printable(payload, MAX_NOTIFICATION_CHARS)
}

fn printable(payload: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(payload);
    let directing =
        |c: char| matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    // What is not seen makes two titles look the same; the joiners of emoji and scripts stay.
    let unseen = |c: char| matches!(c, '\u{200B}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}');
    text.chars().filter(|c| !c.is_control() && !directing(*c) && !unseen(*c)).take(most).collect()
}

/// The path of an OSC 7 (`file://host/path`, percent-encoded).
pub(crate) fn path_of_url(payload: &[u8]) -> Option<String> {
    let text = str::from_utf8(payload).ok().filter(|text| text.len() <= MAX_PATH_BYTES)?;
    let rest = text.strip_prefix("file://")?;
    let path = &rest.as_bytes()[rest.find('/')?..];
    let mut decoded = Vec::with_capacity(path.len());
    let mut at = 0;
    while at < path.len() {
        let hex = |index: usize| path.get(index).and_then(|byte| char::from(*byte).to_digit(16));
        match (path[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(u8::try_from(high * 16 + low).ok()?);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok().filter(|path| !path.chars().any(char::is_control))
}

/// Base64 with or without padding (RFC 4648 section 4); none: it is not.
pub(crate) fn decode_base64(payload: &[u8]) -> Option<Vec<u8>> {
    let digits = match payload {
        [digits @ .., b'=', b'='] | [digits @ .., b'='] => digits,
        digits => digits,
    };
    let mut decoded = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count & 0xFF) as u8);
        }
    }
    (digits.len() % 4 != 1).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded_and_anything_else_refused() {
        assert_eq!(decode_base64(b"aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(decode_base64(b"aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(decode_base64(b""), Some(Vec::new()));
        for bad in [&b"a"[..], b"a b=", b"????", b"aGVsb-8="] {
            assert_eq!(decode_base64(bad), None);
        }
    }

    #[test]
    fn titles_lose_what_deceives_and_paths_are_decoded() {
        assert_eq!(clean_title("a\u{202e}b\nc\x07".as_bytes()), "abc");
        assert_eq!(
            clean_title("a\u{200b}b\u{2028}c\u{feff}\u{e0041}👩\u{200d}💻".as_bytes()),
            "abc👩\u{200d}💻"
        );
        assert_eq!(clean_title(&[b'x'; 1000]).len(), 256);
        assert_eq!(path_of_url(b"file://host/tmp/a%20b").as_deref(), Some("/tmp/a b"));
        assert_eq!(path_of_url(b"http://host/tmp"), None);
        assert_eq!(path_of_url(b"file://host/tmp/%0a"), None);
    }
}
