//! Pasted text as a terminal hands it to its program.

pub(crate) const BEGIN: &str = "\x1b[200~";
pub(crate) const END: &str = "\x1b[201~";
/// Longest spelling of the end that is looked for, in characters.
const MAX_END: usize = 32;

/// The bytes of a paste: line ends as the return key gives them, and, if the program asked for that, framed so that it can
/// tell paste from typing. An end of paste inside it is taken out: what follows would count as typed.
pub fn frame(text: &str, bracketed: bool) -> Vec<u8> {
    let mut framed = String::with_capacity(text.len() + BEGIN.len() + END.len());
    if bracketed {
        framed.push_str(BEGIN);
    }
    let start = framed.len();
    for character in text.replace("\r\n", "\r").chars() {
        framed.push(if character == '\n' { '\r' } else { character });
        // What is taken out may leave another that its parts make up: it is looked for at every character.
        if character == '~'
            && let Some(len) = end_of_paste(&framed[start..])
        {
            framed.truncate(framed.len() - len);
        }
    }
    if bracketed {
        framed.push_str(END);
    }
    framed.into_bytes()
}

/// Whether a message is one framed paste, whoever framed it.
pub(crate) fn is_framed(message: &[u8]) -> bool {
    message.starts_with(BEGIN.as_bytes()) && message.ends_with(END.as_bytes())
}

/// How many bytes at the end of `text`, which ends with `~`, are an end of paste, however its number is written: a program
/// that reads it as a number takes zeros before it, and parameters behind it, for the same.
fn end_of_paste(text: &str) -> Option<usize> {
    let from = text
        .char_indices()
        .rev()
        .take(MAX_END)
        .find(|(_, character)| matches!(character, '\u{1b}' | '\u{9b}'))?
        .0;
    let sequence = &text[from..];
    let body = sequence.strip_prefix("\u{1b}[").or_else(|| sequence.strip_prefix('\u{9b}'))?;
    let parameters = body.strip_suffix('~')?;
    let is_parameters = parameters.bytes().all(|byte| byte.is_ascii_digit() || byte == b';' || byte == b':');
    let number = parameters.split([';', ':']).next()?.trim_start_matches('0');
    (is_parameters && number == "201").then_some(sequence.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_is_framed_where_the_program_asked_for_it() {
        assert_eq!(frame("a\nb\r\nc", false), b"a\rb\rc");
        assert_eq!(frame("ls", true), b"\x1b[200~ls\x1b[201~");
    }

    #[test]
    fn what_is_no_end_of_paste_stays() {
        for text in ["a~b", "\x1b[200~", "\x1b[2010~", "\x1b[20~1~", "\x1b201~", "[201~", "\x1b[?201~"] {
            assert_eq!(frame(text, false), text.as_bytes());
        }
    }

    #[test]
    fn an_end_of_paste_inside_is_taken_out_however_it_is_nested() {
        for evil in [
            "a\x1b[0201~b",
            "a\x1b[000000201~b",
            "a\x1b[201;1~b",
            "a\x1b[201:1~b",
            "a\u{9b}0201;~b",
            "a\x1b[201~b",
            "a\x1b[20\x1b[201~1~b",
            "a\u{9b}201~b",
            "a\x1b[20\u{9b}201~1~b",
        ] {
            assert_eq!(frame(evil, true), b"\x1b[200~ab\x1b[201~", "{evil:?}");
            assert_eq!(frame(evil, false), b"ab");
        }
    }
}
