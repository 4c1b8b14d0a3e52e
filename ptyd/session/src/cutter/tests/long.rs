//! Sequences longer than are waited for: what shows something passes as it came, what may ask is blanked.

use super::*;

const LIMIT: usize = MAX_SEQUENCE_BYTES as usize;

/// What is shown of `stream`, read in pieces of `piece` bytes; where `kills`, with a kill behind each that ends near the
/// stream's beginning or end, or near where it is too long.
fn shown(stream: &[u8], piece: usize, kills: bool) -> (Vec<u8>, usize) {
    let mut session = Session::new();
    let (mut asked, mut at) = (0, 0);
    for part in stream.chunks(piece) {
        session.read(part);
        at += part.len();
        if kills && (at < 12 || at.abs_diff(LIMIT) < 12 || stream.len() - at < 12) {
            session = session.killed();
        }
        asked += session.queries().len();
    }
    (session.visible(), asked)
}

/// `stream` is shown as `expected`, and asks `asked` questions, however it is read.
fn check(stream: &[u8], expected: &[u8], asked: usize) {
    for piece in [1, 7, LIMIT - 1, LIMIT, LIMIT + 1, stream.len()] {
        for kills in [false, true] {
            let (visible, questions_asked) = shown(stream, piece, kills);
            let start = String::from_utf8_lossy(&stream[..stream.len().min(24)]).into_owned();
            assert_eq!(questions(&visible), 0, "{start:?} in {piece}, kills: {kills}");
            let same = visible.iter().zip(expected).take_while(|(got, wanted)| got == wanted).count();
            assert!(visible == expected, "{start:?} in {piece}, kills: {kills}: from {same}");
            assert_eq!(questions_asked, asked, "{start:?} in {piece}, kills: {kills}");
        }
    }
}

/// The story: a string that asked was shown where it was longer than is waited for, and a client's terminal answered: what it
/// said came as typed text.
#[test]
fn a_question_too_long_to_be_waited_for_is_blanked_to_its_end() {
    let long = |begin: &[u8], byte: u8, end: &[u8]| [begin, &vec![byte; 2 * LIMIT], end].concat();
    for question in [
        long(b"\x1b]4;1;?;2;", b'x', b"\x07"),
        long(b"\x1b]4;1;?;2;", b'x', b"\x1b\\"),
        long(b"\x1b]4;1;?;2;", b'x', b"\xc2\x9c"),
        long(b"\x1b]4;1;?;2;", b'x', b"\x18"),
        // Bytes that are no part of a string keep what it is open.
        long(b"\x1b]4", 0, b";1;?\x07"),
        long(b"\x1b]", 0, b"11;?\x07"),
        long(b"\x1b]", b'0', b"11;?\x07"),
        long(b"\x1b]1337;Report", 0, b"CellSize\x07"),
        long(b"\x1b]99;i=1:p=", 0, b"?;\x07"),
        long(b"\x1b]5522;", b'x', b"\x07"),
        long(b"\x1bP+q", b'4', b"\x1b\\"),
        long(b"\x1bP$q", b'm', b"\xc2\x9c"),
        long(b"\x1bP", b'1', b"$qm\x1b\\"),
        long(b"\x1b_Ga=q;", b'A', b"\x1b\\"),
        long(b"\x1b_", 0xFF, b"Ga=q;\x1b\\"),
        long(b"\x1b[", b'0', b"c"),
        long(b"\x1b[6", 0, b"n"),
    ] {
        check(
            &[b"a", &question[..], b"b\x1b[6n"].concat(),
            &[b"a", &vec![0; question.len()][..], b"b\0\0\0\0"].concat(),
            1,
        );
    }
}

#[test]
fn what_a_blanked_question_ends_or_begins_stays_what_it_is() {
    let long = [&b"\x1b]4;1;?;2;"[..], &vec![b'x'; LIMIT]].concat();
    let blank = vec![0; long.len() - 2];
    // It ends a title; another sequence, and a question, end it.
    for (end, left) in [
        (&b"\x1b[1mb"[..], &b"\x1b[1mb"[..]),
        (b"\x1b]0;t\x07", b"\x1b]0;t\x07"),
        (b"\x1b[c", b"\0\0\0"),
        (b"\xc2\x9ab", b"\0\0b"),
        (b"\xc2\x85b", b"\xc2\x85b"),
    ] {
        let asked = usize::from(end == b"\x1b[c");
        check(
            &[b"\x1b]0;title", &long[..], end].concat(),
            &[b"\x1b]0;title\x1b\\", &blank[..], left].concat(),
            asked,
        );
    }
}

#[test]
fn what_asks_nothing_passes_at_any_length() {
    let long = |begin: &[u8], byte: u8, end: &[u8]| [begin, &vec![byte; 2 * LIMIT], end].concat();
    for string in [
        long(b"\x1bPq#0", b'~', b"\x1b\\"),
        long(b"\x1bP0;1;0q?", b'?', b"\x1b\\"),
        long(b"\x1b]1337;File=name=YQ==;inline=1:", b'A', b"\x07"),
        long(b"\x1b]1337;File=inline=1:", b'A', b"==\x1b\\"),
        long(b"\x1b]52;c;", b'A', b"=\x07"),
        long(b"\x1b]0;", b'?', b"\x07"),
        long(b"\x1b]2;;?;", b'x', b";?\xc2\x9c"),
        long(b"\x1b]8;;http://x/", b'?', b"\x1b\\"),
        long(b"\x1b]99;i=1;", b'?', b"\x07"),
        long(b"\x1b_x", b'G', b"\x1b\\"),
        long(b"\x1b^", b'G', b"\x1b\\"),
        long(b"\x1b]\xc3\xa9;", b'?', b"\x18"),
    ] {
        check(&[&string[..], b"b"].concat(), &[&string[..], b"b"].concat(), 0);
    }
}

/// A question mark at the end makes a question of what set something: it is all of the string that is blanked.
#[test]
fn what_would_ask_only_at_its_end_loses_its_question_marks() {
    let data = vec![b'A'; LIMIT];
    for (end, left) in
        [(&b";?\x07"[..], &b";\0\x07"[..]), (b"=?\x1b\\", b"=\0\x1b\\"), (b";??a\x07", b";\0\0a\x07")]
    {
        for begin in [&b"\x1b]52;c;"[..], b"\x1b]1337;File=:", b"\x1b]4;1;", b"\x1b]10;"] {
            check(&[begin, &data, end].concat(), &[begin, &data, left].concat(), 0);
        }
    }
}

/// The story: sequences that were cut short one after the other counted as one that is too long, and the question at their end
/// was shown.
#[test]
fn a_question_after_much_that_was_cut_short_is_none_or_blanked() {
    // As it was found by the fuzzer.
    let found =
        [&b"\x1b^x\xc2\x9f\x1bP/:!"[..], &[0xA7; LIMIT], b"\x1bZ\x1b\x12\x12\x12Z\x12\xad\x1b]4\0;"].concat();
    for stream in [
        found,
        [&b"\x1bP/:!"[..], &[b'x'; LIMIT], b"\x1b[c"].concat(),
        [&b"\x1b["[..], &[b'1'; LIMIT], b"\x1b[c"].concat(),
        [&b"\x1b["[..], &[b'1'; LIMIT], b"\xc2\x9bc"].concat(),
        [&b"\x1b"[..], &[0; LIMIT], b"[c"].concat(),
        [&[0x1B; LIMIT][..], b"[c"].concat(),
        b"\x1b[1".repeat(LIMIT),
        [&b"\x1b[1".repeat(LIMIT)[..], b"\x1b[c"].concat(),
        [&b"\x1b]11;?\x1b"[..], &[0; LIMIT], b"[c"].concat(),
        [&b"\x1b]11;?\x1b]1337;File=:"[..], &[b'A'; LIMIT], b"\x1b[c"].concat(),
    ] {
        let (whole, asked) = shown(&stream, stream.len(), false);
        check(&stream, &whole, asked);
    }
}

/// A terminator, or a character, lies across the limit at each of its bytes.
#[test]
fn a_string_that_ends_about_where_it_is_too_long_is_all_the_same_in_whatever_pieces() {
    for begin in
        [&b"\x1b]4;1;?;"[..], b"\x1b]0;", b"\x1b]52;c;", b"\x1bP+q", b"\x1bPq", b"\x1b_G", b"\x1b[1", b"\x1b"]
    {
        for end in [
            &b"\x1b\\"[..],
            b"\x07",
            b"\xc2\x9c",
            b"\xc2\x9bc",
            b"\x1b[c",
            b"\x18",
            b"\xe2\x82\xac\x07",
            b";?\x07",
        ] {
            for len in LIMIT - begin.len() - 4..=LIMIT - begin.len() + 1 {
                let stream = [begin, &vec![b'x'; len], end, b"text\x1b[6n"].concat();
                let (whole, asked) = shown(&stream, stream.len(), false);
                check(&stream, &whole, asked);
            }
        }
    }
}

fn word() -> impl Strategy<Value = Vec<u8>> {
    let fill = proptest::sample::select(b"\0x;?=A01\xff\x1b\x12".as_slice());
    prop_oneof![
        6 => proptest::sample::select(WORDS).prop_map(<[u8]>::to_vec),
        1 => (fill, 1..LIMIT + 200).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// However long sequences are, begin, cancel and end each other: no question is passed on, and it is all the same how it
    /// was read.
    #[test]
    fn no_question_is_passed_on_that_is_too_long_to_be_waited_for(
        words in proptest::collection::vec(word(), 1..20),
        piece in 1..LIMIT + 100,
    ) {
        let stream = words.concat();
        let (whole, pieces) = (shown(&stream, stream.len(), false), shown(&stream, piece, true));
        prop_assert_eq!(questions(&whole.0), 0);
        prop_assert!(whole.0 == pieces.0);
    }

    /// The same where queries have to wait, and workers are killed meanwhile.
    #[test]
    fn what_is_too_long_is_all_the_same_who_is_killed_and_who_has_to_wait(
        words in proptest::collection::vec(word(), 1..16),
        steps in proptest::collection::vec((1..LIMIT + 100, any::<bool>(), 0..3_usize), 1..20),
    ) {
        kills::check_kills_and_waits(&words.concat(), steps)?;
    }
}
