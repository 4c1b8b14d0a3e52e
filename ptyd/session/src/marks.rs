//! Marks by which a shell tells what it does: OSC 633 as VS Code defines it, each with the session's own secret word at its
//! end. Whoever prints a mark without that word is not the shell: a file that is shown, a program, a shell inside. It knows no
//! session and no output.

use std::fmt;

use devpocket_shared::wire::commands::MAX_COMMAND_BYTES;

/// Longest directory that is kept, in bytes (PATH_MAX).
const MAX_CWD_BYTES: usize = 4096;

/// The word that a session's shell signs its marks with: random, and known to the shell and to us alone.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Nonce([u8; Nonce::BYTES]);

impl Nonce {
    /// Its length, in bytes; as a word it has twice as many digits.
    pub const BYTES: usize = 16;

    /// Takes random bytes as a nonce.
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// It in bytes.
    pub const fn bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    fn signs(self, word: &[u8]) -> bool {
        word == self.to_string().as_bytes()
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

/// What a shell said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Mark {
    /// `A`: a prompt is about to be shown; of a shell that draws it anew with this mark in it, its number.
    Prompt(Option<u64>),
    /// `B`: the prompt is there, and what is typed is a command.
    Input,
    /// `F`: what was typed is no whole command yet.
    Continues,
    /// `E`: this was typed.
    Line {
        text: String,
        is_truncated: bool,
        /// It is what the shell's history ended with before, too: it may be what was typed before, and this kept out.
        is_repeated: bool,
    },
    /// `E` without a text: something was typed, and what is not known.
    UnknownLine,
    /// `C`: the command begins.
    Started,
    /// `D`: it ended, with this exit code if there was one.
    Finished(Option<i32>),
    /// `P;Cwd=`: the shell is here.
    Cwd(String),
    /// `P;Integration=Off`: as it is set up now, the shell can tell nothing.
    Mute,
}

/// Whether this operating system command is a mark, whoever printed it.
pub(crate) fn is_mark(payload: &[u8]) -> bool {
    payload.starts_with(b"633;")
}

/// Reads a mark; none: it is none that `nonce` signs.
pub(crate) fn read(payload: &[u8], nonce: Nonce) -> Option<Mark> {
    let mut fields = payload.strip_prefix(b"633;")?.split(|byte| *byte == b';');
    let kind = fields.next()?;
    let rest: Vec<&[u8]> = fields.collect();
    let (word, arguments) = rest.split_last()?;
    if !nonce.signs(word) {
        return None;
    }
    match (kind, arguments) {
        (b"A", []) => Some(Mark::Prompt(None)),
        (b"A", [number]) => Some(Mark::Prompt(Some(str::from_utf8(number).ok()?.parse().ok()?))),
        (b"B", []) => Some(Mark::Input),
        (b"F", []) => Some(Mark::Continues),
        (b"C", []) => Some(Mark::Started),
        (b"D", []) => Some(Mark::Finished(None)),
        (b"D", [code]) => Some(Mark::Finished(Some(str::from_utf8(code).ok()?.parse().ok()?))),
        (b"E", []) => Some(Mark::UnknownLine),
        (b"E", [text]) => Some(line(text, false)),
        (b"E", [text, b"repeated"]) => Some(line(text, true)),
        (b"P", [b"Integration=Off"]) => Some(Mark::Mute),
        (b"P", [property]) => {
            let cwd = unescape(property.strip_prefix(b"Cwd=")?);
            (cwd.len() <= MAX_CWD_BYTES).then_some(Mark::Cwd(cwd))
        }
        _ => None,
    }
}

fn line(escaped: &[u8], is_repeated: bool) -> Mark {
    let mut text = unescape(escaped);
    let is_truncated = text.len() > MAX_COMMAND_BYTES;
    text.truncate(text.floor_char_boundary(MAX_COMMAND_BYTES));
    Mark::Line { text, is_truncated, is_repeated }
}

/// Undoes `\\` and `\xHH`; any other backslash stands for itself.
fn unescape(escaped: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, after @ ..] = rest {
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        rest = match (*first, after) {
            (b'\\', [b'\\', behind @ ..]) => {
                bytes.push(b'\\');
                behind
            }
            (b'\\', [b'x', high, low, behind @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                bytes.push(hex(*high).unwrap_or(0) << 4 | hex(*low).unwrap_or(0));
                behind
            }
            (byte, behind) => {
                bytes.push(byte);
                behind
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce::new([0xA5; Nonce::BYTES]);

    fn check(mark: &str, expected: Option<Mark>) {
        let signed = format!("633;{mark};{NONCE}");
        assert_eq!(read(signed.as_bytes(), NONCE), expected, "{mark:?}");
        for other in [format!("633;{mark}"), format!("633;{mark};{}", Nonce::new([1; Nonce::BYTES]))] {
            assert_eq!(read(other.as_bytes(), NONCE), None, "whoever printed it is not the shell: {other:?}");
        }
    }

    fn line(text: &str) -> Option<Mark> {
        Some(Mark::Line { text: text.to_owned(), is_truncated: false, is_repeated: false })
    }

    #[test]
    fn a_mark_counts_only_with_the_word_of_the_session() {
        check("A", Some(Mark::Prompt(None)));
        check("A;12", Some(Mark::Prompt(Some(12))));
        check("A;x", None);
        check("B", Some(Mark::Input));
        check("C", Some(Mark::Started));
        check("D", Some(Mark::Finished(None)));
        check("D;130", Some(Mark::Finished(Some(130))));
        check("D;x", None);
        check("E;ls -l", line("ls -l"));
        check("E", Some(Mark::UnknownLine));
        check("P;Cwd=/a\\x20b", Some(Mark::Cwd("/a b".to_owned())));
        check("P;IsWindows=False", None);
        check("P;Integration=Off", Some(Mark::Mute));
        check("P;Integration=On", None);
        check("Z", None);
        assert_eq!(read(b"133;A", NONCE), None);
        assert_eq!(read(b"633", NONCE), None);
    }

    #[test]
    fn a_line_is_unescaped_and_a_long_one_cut_between_characters() {
        check("E;a\\x3bb\\\\n\\x0ac\\q\\x", line("a;b\\n\nc\\q\\x"));
        check("E;\\xff", line("\u{FFFD}"));
        let long = format!("633;E;x{};{NONCE}", "\u{e4}".repeat(MAX_COMMAND_BYTES));
        let Some(Mark::Line { text, is_truncated: true, .. }) = read(long.as_bytes(), NONCE) else {
            panic!("it is cut")
        };
        assert_eq!(text.len(), MAX_COMMAND_BYTES - 1);
    }
}
