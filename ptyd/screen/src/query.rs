//! Which sequences ask the terminal something. Whoever stands between a program and several terminals must know: of those
//! that look on, none may answer.

pub use crate::answer::most_answers;
use crate::parser::{Event, Sequence, StringKind, StringSequence};

/// Numbers of operating system commands for colours, font, and whatever else is asked by a question mark before or behind
/// something. All others are taken to be asked by a question mark that stands alone, as those of urxvt (39, 49, 701 to 708) and
/// mintty (7770, 7771) are, but for [`SILENT`].
const ASKED_BY_QUESTION_MARK: &[&[u8]] = &[
    b"4", b"5", b"7", b"9", b"10", b"11", b"12", b"13", b"14", b"15", b"16", b"17", b"18", b"19", b"21",
    b"22", b"50", b"52", b"133", b"633", b"1337",
];
/// Those with text of which a question mark may be a whole field: titles, X properties, links, notifications (99 has its own
/// rule).
const SILENT: &[&[u8]] = &[b"0", b"1", b"2", b"3", b"8", b"99", b"777"];
/// Digits of the longest number of an operating system command that asks.
const MAX_NUMBER_DIGITS: usize = 4;

/// Private modes in which a terminal tells of its colours (2031) and its size (2048) by itself: once at least, right when they
/// are set. Each of several terminals would tell its own, as if it was typed.
const TELLING: [u16; 2] = [2031, 2048];

/// Whether this sets, saves or restores a mode in which a terminal reports by itself.
pub fn sets_telling_mode(event: &Event<'_>) -> bool {
    let Event::Csi(csi) = event else { return false };
    (csi.prefix, csi.intermediates) == (Some(b'?'), &[])
        && matches!(csi.final_byte, b'h' | b'l' | b'r' | b's')
        && (0..csi.params.len()).any(|index| TELLING.contains(&csi.params.value(index)))
}

/// Where in such a sequence the digits of those modes are, in order. Control characters in the middle count for nothing.
pub fn telling_digits(sequence: &[u8]) -> Vec<usize> {
    let (mut found, mut digits, mut number) = (Vec::new(), Vec::new(), 0_u16);
    for (at, byte) in sequence.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                number = number.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                digits.push(at);
            }
            0..=0x1A | 0x1C..=0x1F | 0x7F => {}
            _ => {
                if TELLING.contains(&number) {
                    found.append(&mut digits);
                }
                (digits, number) = (Vec::new(), 0);
            }
        }
    }
    found
}

/// Whether some terminal answers this.
pub fn is_query(event: &Event<'_>) -> bool {
    match event {
        // ENQ: the answerback message.
        Event::Control(byte) => *byte == 0x05 || *byte == 0x9A,
        // DECID
        Event::Escape { intermediates: [], final_byte: b'Z' } => true,
        Event::Csi(csi) => csi_asks(csi),
        Event::String(string) => string_asks(string),
        Event::Escape { .. }
        | Event::Text(_)
        | Event::Ascii(_)
        | Event::Invalid
        | Event::Pending
        | Event::Ignored
        | Event::Broken => false,
    }
}

fn csi_asks(csi: &Sequence<'_>) -> bool {
    let first = csi.params.value(0);
    match (csi.prefix, csi.intermediates, csi.final_byte) {
        // Device attributes, device status, terminal parameters.
        (None | Some(b'>' | b'='), [], b'c') | (None | Some(b'?'), [], b'n') | (None, [], b'x') => true,
        // XTVERSION, kitty keyboard flags, modifyOtherKeys, XTSMGRAPHICS, XTQFMTKEYS.
        (Some(b'>'), [], b'q') | (Some(b'?'), [], b'u' | b'm' | b'S' | b'g') => true,
        // DECRQM, DECRQPSR, DECRQCRA, DECRQTSR, DECRQUPSS.
        (None | Some(b'?'), [b'$'], b'p') | (None, [b'$'], b'w' | b'u') | (None, [b'*'], b'y') => true,
        (None, [b'&'], b'u') => true,
        // XTREPORTCOLORS, XTREPORTSGR, DECRQDE, DECRQPKFM, DECSR.
        (None, [b'#'], b'R' | b'|') | (None, [b'"'], b'v') | (None, [b'+'], b'x' | b'p') => true,
        // Locator position, keyboard and other reports.
        (None, [b'\''], b'|') => true,
        // Window reports.
        (None, [], b't') => matches!(first, 11 | 13..=16 | 18..=21),
        _ => false,
    }
}

fn string_asks(string: &StringSequence<'_>) -> bool {
    match string.kind {
        StringKind::Osc => osc_asks(string.payload),
        StringKind::Dcs => {
            let Some(head) = string.head else { return false };
            // DECRQSS, XTGETTCAP, XTGETXRES, kitty's remote control.
            matches!(
                (head.intermediates, head.final_byte),
                ([b'$' | b'+'], b'q') | ([b'+'], b'Q') | ([], b'@')
            )
        }
        // kitty's graphics answer unless told not to.
        StringKind::Apc => string.payload.first() == Some(&b'G'),
        StringKind::Pm | StringKind::Sos => false,
    }
}

/// What a string may come to that is not whole yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outlook {
    /// It asks nothing, whatever follows.
    Silent,
    /// It asks nothing unless a question mark follows.
    AsksByQuestionMark,
    /// It asks, or may yet in whatever way.
    MayAsk,
}

/// What `string` may come to, of which this is the beginning.
pub fn outlook(string: &StringSequence<'_>) -> Outlook {
    match string.kind {
        StringKind::Osc => osc_outlook(string.payload),
        StringKind::Apc if string.payload.is_empty() => Outlook::MayAsk,
        StringKind::Apc | StringKind::Dcs | StringKind::Pm | StringKind::Sos => {
            if string_asks(string) {
                Outlook::MayAsk
            } else {
                Outlook::Silent
            }
        }
    }
}

fn osc_outlook(payload: &[u8]) -> Outlook {
    let Some(at) = payload.iter().position(|byte| *byte == b';') else {
        let may_ask = without_zeros(payload).len() <= MAX_NUMBER_DIGITS;
        return if may_ask { Outlook::MayAsk } else { Outlook::Silent };
    };
    let (number, rest) = (without_zeros(&payload[..at]), &payload[at + 1..]);
    let is_whole = match number {
        // Its first word, and its head.
        b"1337" => rest.iter().any(|byte| matches!(byte, b'=' | b';')),
        b"99" => rest.contains(&b';'),
        _ => true,
    };
    if osc_asks(payload) || !is_whole {
        Outlook::MayAsk
    } else if is_number(number) && !SILENT.contains(&number) {
        Outlook::AsksByQuestionMark
    } else {
        Outlook::Silent
    }
}

/// Whether this may be the number of a command of some terminal.
fn is_number(number: &[u8]) -> bool {
    (1..=MAX_NUMBER_DIGITS).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
}

/// A number as it is read: zeros before it make no difference.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == b'0').count();
    &number[zeros..]
}

fn osc_asks(payload: &[u8]) -> bool {
    let mut parts = payload.split(|byte| *byte == b';');
    let number = without_zeros(parts.next().unwrap_or_default());
    let mut rest = parts;
    match number {
        // kitty notifications: a query, or a report asked for.
        b"99" => {
            let head = rest.next().unwrap_or_default();
            head.split(|byte| *byte == b':').any(|part| part == b"p=?" || part.starts_with(b"a=report"))
        }
        // kitty's clipboard and file transfer; what xterm allows.
        b"5522" | b"5113" | b"60" | b"61" => true,
        number if ASKED_BY_QUESTION_MARK.contains(&number) => {
            let asks = |part: &[u8]| part == b"?" || part.ends_with(b"=?") || part.starts_with(b"?");
            let iterm = number == b"1337"
                && rest.clone().next().and_then(|part| part.split(|byte| *byte == b'=').next()).is_some_and(
                    |word| {
                        matches!(
                            word,
                            b"ReportCellSize" | b"ReportVariable" | b"RequestUpload" | b"Capabilities"
                        )
                    },
                );
            iterm || rest.any(asks)
        }
        number if is_number(number) && !SILENT.contains(&number) => rest.any(|part| part == b"?"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::Parser;

    fn asks(sequence: &str) -> bool {
        let mut parser = Parser::new();
        let mut rest = sequence.as_bytes();
        let mut asks = false;
        while !rest.is_empty() {
            let (used, event) = parser.next(rest);
            asks |= is_query(&event);
            rest = &rest[used..];
        }
        asks
    }

    #[test]
    fn no_answer_is_longer_than_is_known_before() {
        let colors = |n: usize| (0..n).map(|index| format!(";{};?", 255 - index)).collect::<String>();
        for query in [
            "\x1b[c".to_owned(),
            "\x1b[=c".to_owned(),
            "\x1bP$qm\x1b\\".to_owned(),
            "\x1b]10;?;?;?\x07".to_owned(),
            format!("\x1b]4{}\x07", colors(1)),
            format!("\x1b]4{}\x07", colors(16)),
            format!("\x1b]4{}\x07", colors(200)),
            "\x1b]4;1;#fff;2;?\x07".to_owned(),
            "\x1bP+q544e;524742;6b\x1b\\".to_owned(),
            format!("\x1bP+q{}\x1b\\", ";".repeat(500)),
        ] {
            let (pieces, bytes) = most_answers(query.as_bytes());
            let mut screen = crate::Screen::new(crate::Size::new(24, 80), vec![0; 64 << 10], 100);
            let answer = String::from_utf8(screen.answer(query.as_bytes()).unwrap()).unwrap();
            let told: Vec<&str> = answer.split_inclusive("\x1b\\").collect();
            let fits = told.len() <= pieces && told.iter().all(|one| one.len() <= bytes);
            assert!(fits || answer.len() <= bytes, "{query:?}: {told:?}");
        }
    }

    #[test]
    fn of_a_string_that_is_not_whole_it_is_known_whether_it_may_ask() {
        for (expected, beginnings) in [
            (
                Outlook::MayAsk,
                &[
                    "\x1b]",
                    "\x1b]4",
                    "\x1b]0001",
                    "\x1b]4;1;?;",
                    "\x1b]10;a=?",
                    "\x1b]1337;Report",
                    "\x1b]99;i=1",
                    "\x1b]5522;",
                ][..],
            ),
            (Outlook::MayAsk, &["\x1bP+q", "\x1bP1$qm", "\x1b_", "\x1b_Ga=T;AAAA"]),
            (
                Outlook::AsksByQuestionMark,
                &["\x1b]4;", "\x1b]0052;c;AAAA", "\x1b]1337;File=:AA", "\x1b]9;done?", "\x1b]7;x://"],
            ),
            (
                Outlook::Silent,
                &["\x1b]0;?", "\x1b]12345", "\x1b]8;;http://x/?", "\x1b]99;i=1;?", "\x1b]title"],
            ),
            (Outlook::Silent, &["\x1bPq#0?", "\x1bP0;1|", "\x1b_x", "\x1b^", "\x1bXG"]),
        ] {
            for beginning in beginnings {
                let mut parser = Parser::new();
                let (_, event) = parser.next(beginning.as_bytes());
                assert_eq!(event, Event::Pending);
                let (_, Event::String(string)) = parser.next(b"\x1b") else {
                    panic!("{beginning:?} is no string")
                };
                assert_eq!(outlook(&string), expected, "{beginning:?}");
            }
        }
    }

    /// The story: a number with zeros before it is the same number to terminals, and was none that asks.
    #[test]
    fn zeros_before_a_number_make_no_difference() {
        assert!(
            asks("\x1b]04;1;?\x07") && asks("\x1b]0010;?\x1b\\") && asks("\x1b]001337;ReportCellSize\x07")
        );
        assert!(!asks("\x1b]00;what?\x07") && !asks("\x1b]002;?\x07"));
    }

    /// The story: a number alone, and the session stood still; with it the node, at its next start.
    #[test]
    fn a_number_alone_asks_nothing() {
        for number in 0..6000 {
            for end in ["\x07", "\x1b\\", ";\x07", ";;\x07"] {
                let _known = asks(&format!("\x1b]{number}{end}"));
            }
        }
        assert!(!asks("\x1b]1337\x07") && !asks("\x1b]1337;\x07"));
    }

    #[test]
    fn what_makes_a_terminal_answer_is_known() {
        for query in [
            "\x05",
            "\x1bZ",
            "\x1b[c",
            "\x1b[0c",
            "\x1b[>c",
            "\x1b[=c",
            "\x1b[5n",
            "\x1b[6n",
            "\x1b[?6n",
            "\x1b[?996n",
            "\x1b[?25$p",
            "\x1b[4$p",
            "\x1b[>q",
            "\x1b[>0q",
            "\x1b[?u",
            "\x1b[14t",
            "\x1b[18t",
            "\x1b[21t",
            "\x1b[x",
            "\x1b[1;1;1;1;1;1*y",
            "\x1b[1$w",
            "\x1b[?1;1;0S",
            "\x1bP$qm\x1b\\",
            "\x1bP+q544e\x1b\\",
            "\x1b]11;?\x07",
            "\x1b]10;?\x1b\\",
            "\x1b]4;1;?\x07",
            "\x1b]52;c;?\x07",
            "\x1b_Gi=1,a=q;AAAA\x1b\\",
            "\u{9b}c",
            "\x1b]99;i=1:p=?;\x1b\\",
            "\x1b]1337;ReportCellSize\x07",
            "\x1b[?4m",
            "\x1b[?1g",
            "\x1b[#R",
            "\x1b[1;1;1;1#|",
            "\x1b[\"v",
            "\x1b[+x",
            "\x1b[1+p",
            "\x1bP+Q62\x1b\\",
            "\x1bP@kitty-cmd{\"cmd\":\"ls\"}\x1b\\",
            "\x1b]39;?\x07",
            "\x1b]49;?\x07",
            "\x1b]702;?\x07",
            "\x1b]7770;?\x07",
            "\x1b]7771;?;65\x07",
            "\x1b]60\x07",
            "\x1b]61\x07",
            "\x1b]61;1\x07",
            "\x1b]5113;ac=send;id=x\x07",
        ] {
            assert!(asks(query), "{query:?}");
        }
    }

    #[test]
    fn what_only_changes_something_is_no_query() {
        for command in [
            "text\r\n\x07",
            "\x1b[m",
            "\x1b[?25h",
            "\x1b[>1u",
            "\x1b[<u",
            "\x1b[=1u",
            "\x1b[u",
            "\x1b[22;0t",
            "\x1b[8;24;80t",
            "\x1b[2 q",
            "\x1b[!p",
            "\x1b]0;what?\x07",
            "\x1b]2;?\x07",
            "\x1b]777;notify;?;?\x07",
            "\x1b]46;file?\x07",
            "\x1b]12345;?\x07",
            "\x1b[#P",
            "\x1b[g",
            "\x1b]11;#ffffff\x07",
            "\x1b]52;c;aGk=\x07",
            "\x1b]8;;http://x/?\x07",
            "\x1b]133;A\x07",
            "\x1b[1\"q",
            "\x1b]9;done\x07",
            "\x1b]7;file:///tmp\x07",
            "\x1b[>4;1m",
            "\x1bPq#0\x1b\\",
        ] {
            assert!(!asks(command), "{command:?}");
        }
    }
}
