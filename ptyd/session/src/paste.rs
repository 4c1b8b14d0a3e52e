//! Pasted text as a terminal hands it to its program.

const BEGIN: &str = "\x1b[200~";
const END: &str = "\x1b[201~";
/// The same end with a C1 introducer.
const END_C1: &str = "\u{9b}201~";

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
        let end = [END, END_C1].into_iter().find(|end| framed[start..].ends_with(end));
        framed.truncate(framed.len() - end.map_or(0, str::len));
    }
    if bracketed {
        framed.push_str(END);
    }
    framed.into_bytes()
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
    fn an_end_of_paste_inside_is_taken_out_however_it_is_nested() {
        for evil in ["a\x1b[201~b", "a\x1b[20\x1b[201~1~b", "a\u{9b}201~b", "a\x1b[20\u{9b}201~1~b"] {
            assert_eq!(frame(evil, true), b"\x1b[200~ab\x1b[201~", "{evil:?}");
            assert_eq!(frame(evil, false), b"ab");
        }
    }
}
