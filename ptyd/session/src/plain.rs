//! What a command printed, as plain text: no colours, no title, no line written twice over. It knows neither ring nor screen; what
//! moves the cursor about the screen is left out.

use std::collections::VecDeque;

use ptyd_screen::parser::{Event, Parser};

/// Printed by zsh behind an output without a last line end, and where there is one too: a mark, spaces up to the right
/// margin, and back.
const MARK_BEGINS: &[u8] = b"\x1b[1m\x1b[7m";
const MARK_ENDS: &[u8] = b"\r \r";
/// The same where the user has set the mark to nothing.
const NO_MARK_ENDS: &[u8] = b"\r\r";
/// The mark with what highlights it, in bytes at most.
const MAX_MARK_BYTES: usize = 32;
/// What is printed for a prompt behind it, titles and lines of its own (`precmd`), in bytes at most.
const PROMPT_BYTES: usize = 16 << 10;
/// Fewer spaces are no line's: in a terminal so narrow nothing is taken for a mark.
const MIN_FILLER: usize = 8;

/// The last `most` bytes at most of the text of `output`, and whether there was more.
pub fn plain_text(output: &[u8], most: usize) -> (String, bool) {
    let mut page = Page::default();
    let (mut parser, mut rest) = (Parser::new(), without_mark(output));
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        page.take(&event);
        rest = &rest[used..];
    }
    page.into_text(most)
}

/// Whatever comes behind the mark was printed for the prompt.
fn without_mark(output: &[u8]) -> &[u8] {
    let without_filler = |text: &'_ [u8]| {
        let filler = text.iter().rev().take_while(|byte| **byte == b' ').count();
        (filler >= MIN_FILLER).then_some(text.len() - filler)
    };
    if let Some(at) = highlighted_mark(output) {
        return &output[..at];
    }
    if let Some(before) = output.strip_suffix(NO_MARK_ENDS) {
        return without_filler(before).map_or(output, |len| &output[..len]);
    }
    let Some(before) = output.strip_suffix(MARK_ENDS) else { return output };
    // A terminal that cannot highlight it.
    let plain_mark = without_filler(before).filter(|len| matches!(output[..*len], [.., b'%' | b'#']));
    plain_mark.map_or(output, |len| &output[..len - 1])
}

/// Where the last mark begins, with what a prompt may have printed behind it.
fn highlighted_mark(output: &[u8]) -> Option<usize> {
    let from = output.len().saturating_sub(PROMPT_BYTES);
    let mut behind = output.len();
    while let Some(ends) = memchr::memmem::rfind(&output[from..behind], MARK_ENDS) {
        let to_mark = output[..from + ends].trim_ascii_end();
        let near = to_mark.len().saturating_sub(MAX_MARK_BYTES);
        if let Some(at) = memchr::memmem::rfind(&to_mark[near..], MARK_BEGINS) {
            return Some(near + at);
        }
        behind = from + ends + MARK_ENDS.len() - 1;
    }
    None
}

#[derive(Default)]
struct Page {
    text: String,
    /// The line up to its last character, without the blanks it begins with: what was erased is written anew only where
    /// something is printed, so that no output costs more than its length.
    line: VecDeque<char>,
    /// How many blanks there are before it.
    blank: usize,
    /// Where in the line the next character goes.
    at: usize,
}

impl Page {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Text(text) => text.chars().for_each(|character| self.put(character)),
            Event::Ascii(bytes) => bytes.iter().for_each(|byte| self.put(char::from(*byte))),
            Event::Invalid => self.put('\u{FFFD}'),
            Event::Control(b'\n') => {
                self.end_line();
                self.text.push('\n');
                self.at = 0;
            }
            Event::Control(b'\r') => self.at = 0,
            Event::Control(0x08) => self.at = self.at.saturating_sub(1),
            Event::Control(b'\t') => self.put('\t'),
            // Erase in line.
            Event::Csi(csi) if csi.final_byte == b'K' && csi.prefix.is_none() => match csi.params.value(0) {
                0 => self.line.truncate(self.at.saturating_sub(self.blank)),
                2 => self.line.clear(),
                _ => {}
            },
            Event::Control(_)
            | Event::Csi(_)
            | Event::Escape { .. }
            | Event::String(_)
            | Event::Broken
            | Event::Pending
            | Event::Ignored => {}
        }
    }

    fn put(&mut self, character: char) {
        if self.line.is_empty() {
            self.blank = self.at;
        }
        while self.at < self.blank {
            self.line.push_front(' ');
            self.blank -= 1;
        }
        let within = self.at - self.blank;
        while self.line.len() <= within {
            self.line.push_back(' ');
        }
        self.line[within] = character;
        self.at += 1;
    }

    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.text.extend(std::iter::repeat_n(' ', self.blank));
            self.text.extend(self.line.drain(..));
        }
    }

    fn into_text(mut self, most: usize) -> (String, bool) {
        self.end_line();
        let beyond = self.text.len().saturating_sub(most);
        let from = self.text.ceil_char_boundary(beyond);
        (self.text.split_off(from), from > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: &str) {
        assert_eq!(plain_text(output.as_bytes(), 1000), (expected.to_owned(), false), "{output:?}");
    }

    #[test]
    fn what_a_command_printed_is_told_as_it_is_read() {
        check("one\r\ntwo\r\n", "one\ntwo\n");
        check("\x1b[31mred\x1b[m \x1b]0;title\x07\u{e4}\tx", "red \u{e4}\tx");
        check(" 10 %\r 50 %\r100 %\x1b[K\r\ndone\r\n", "100 %\ndone\n");
        check("long\rab\x1b[K\r\nab\x08c\r\n", "ab\nac\n");
        check("\x1b[2K\rx\x08\x08\x08y\x1b[1K\x00", "y");
        check("", "");
    }

    #[test]
    fn an_erased_line_is_not_written_anew_with_each_character() {
        let mut page = Page::default();
        let mut show = |output: &str| {
            let (mut parser, mut rest) = (Parser::new(), output.as_bytes());
            while !rest.is_empty() {
                let (used, event) = parser.next(rest);
                page.take(&event);
                rest = &rest[used..];
            }
            page.line.len()
        };
        show(&"x".repeat(1000));
        let outputs = ["\x1b[2Kx", "\x1b[2K\x08y", "\x1b[2Kx\x08\x08y"].repeat(1000);
        let written: usize = outputs.into_iter().map(&mut show).sum();
        assert!(written < 10_000, "{written} characters were written");
        show("\x1b[2K  x\rab");
        let (text, _) = page.into_text(10_000);
        assert_eq!((&text[..2], text.trim_start_matches(['a', 'b', ' '])), ("ab", "x"));
    }

    #[test]
    fn the_mark_of_zsh_behind_an_output_is_none_of_it() {
        let mark = |sign| format!("\x1b[1m\x1b[7m{sign}\x1b[27m\x1b[1m\x1b[0m{}\r \r", " ".repeat(79));
        check(&format!("x\r\n{}", mark('%')), "x\n");
        check(&format!("x{}", mark('#')), "x");
        check(&mark('%'), "");
        check("x\r \r", " ");
        // The story: a title set before each prompt left the mark in the output, and a blank over what was printed first.
        let titled = format!("{}\x1b]0;title\x07", mark('%'));
        check(&format!("hello{titled}"), "hello");
        check(&format!("x\r\n{titled}~\r\n\r\n"), "x\n");
        let plain = |sign: &str| format!("{sign}{}\r \r", " ".repeat(79));
        check(&format!("x\r\n{}", plain("%")), "x\n");
        check(&format!("50%{}", plain("#")), "50%");
        check(&format!("x{}\r\r", " ".repeat(80)), "x");
        check("x  \r\r", "x  ");
    }

    #[test]
    fn of_much_the_last_is_told_in_whole_characters() {
        assert_eq!(plain_text("a\u{e4}b".as_bytes(), 2), ("b".to_owned(), true));
        assert_eq!(plain_text("a\u{e4}b".as_bytes(), 3), ("\u{e4}b".to_owned(), true));
        assert_eq!(plain_text("a\u{e4}b".as_bytes(), 4), ("a\u{e4}b".to_owned(), false));
    }
}
