use proptest::prelude::*;

use super::*;

/// Events in words, text of neighbouring pieces joined.
fn words(chunks: &[&[u8]]) -> Vec<String> {
    let mut parser = Parser::new();
    let mut words: Vec<String> = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        while !rest.is_empty() {
            let (used, event) = parser.next(rest);
            assert!(used > 0 || event != Event::Pending, "no progress");
            let word = match event {
                Event::Pending => None,
                Event::Text(text) => Some(format!("text {text}")),
                Event::Ascii(text) => Some(format!("text {}", String::from_utf8_lossy(text))),
                Event::Escape { intermediates, final_byte } => {
                    Some(format!("esc {}{}", String::from_utf8_lossy(intermediates), char::from(final_byte)))
                }
                Event::String(string) => {
                    Some(format!("{:?} {}", string.kind, String::from_utf8_lossy(string.payload)))
                }
                Event::Csi(csi) => Some(format!(
                    "csi {}{:?}{}{}",
                    csi.prefix.map(char::from).unwrap_or(' '),
                    (0..csi.params.len())
                        .map(|i| (csi.params.is_sub(i), csi.params.get(i)))
                        .map(|(sub, value)| format!(
                            "{}{}",
                            if sub { ":" } else { "" },
                            value.map_or(-1, i32::from)
                        ))
                        .collect::<Vec<_>>(),
                    String::from_utf8_lossy(csi.intermediates),
                    char::from(csi.final_byte)
                )),
                other @ (Event::Invalid | Event::Control(_) | Event::Ignored | Event::Broken) => {
                    Some(format!("{other:?}"))
                }
            };
            if let Some(word) = word {
                match (words.last_mut(), word.strip_prefix("text ")) {
                    (Some(last), Some(more)) if last.starts_with("text ") => last.push_str(more),
                    _ => words.push(word),
                }
            }
            rest = &rest[used..];
        }
    }
    words
}

#[test]
fn sequences_are_what_they_are() {
    let check = |bytes: &[u8], expected: &[&str]| assert_eq!(words(&[bytes]), expected, "{bytes:?}");
    check(b"abc\r\n", &["text abc", "Control(13)", "Control(10)"]);
    check(b"\x1b[1;;3:4m", &["csi  [\"1\", \"-1\", \"3\", \":4\"]m"]);
    check(b"\x1b[?25$p", &["csi ?[\"25\"]$p"]);
    check(b"\x1b[3\n1A", &["Control(10)", "csi  [\"31\"]A"]);
    check(b"\x1b]0;title\x07x", &["Osc 0;title", "text x"]);
    check(b"\x1b]0;t\x1b\\x", &["Osc 0;t", "esc \\", "text x"]);
    check(b"\x1bP$qm\x1b\\", &["Dcs m", "esc \\"]);
    check(b"\x1b(0", &["esc (0"]);
    check(b"\x1b[12\x18a", &["Ignored", "text a"]);
    check("a\u{9b}1mb".as_bytes(), &["text a", "csi  [\"1\"]m", "text b"]);
    check("\u{9d}2;t\u{9c}é".as_bytes(), &["Osc 2;t", "text é"]);
    check(b"\xff\x80a", &["Invalid", "Invalid", "text a"]);
    check(b"\xe2\x82a", &["Invalid", "text a"]);
    check(b"\x1b[1\xc3\xa9x", &["Broken", "text x"]);
    check(b"\x1b[6\xc2n", &["Broken", "text n"]);
    check(b"\x1b\xf0Px", &["Broken", "text Px"]);
    check(b"\x1b[1<2mx", &["Ignored", "text x"]);
    check("\x1b]0;ü€\x07".as_bytes(), &["Osc 0;ü€"]);
    check(b"\x1b_Gi=1\x1b\\", &["Apc Gi=1", "esc \\"]);
}

#[test]
fn a_string_keeps_what_is_bounded_and_says_that_more_came() {
    let mut parser = Parser::new();
    parser.next(b"\x1b]52;");
    for _ in 0..100 {
        assert_eq!(parser.next(&[b'x'; 10_000]), (10_000, Event::Pending));
    }
    let (_, event) = parser.next(b"\x07");
    let Event::String(string) = event else { panic!("{event:?}") };
    assert!(string.truncated);
    assert_eq!(string.payload.len(), MAX_STRING_BYTES);
    parser.next(b"\x1b]0;x\x07");
    assert!(parser.payload.capacity() <= 4096, "what a long string took is given back");
}

/// Found by fuzzing: whoever blanks a query from where its sequence began blanked a string terminator before it too, or not,
/// as the stream was divided.
#[test]
fn a_terminator_of_nothing_is_a_piece_of_its_own() {
    let check = |bytes: &[u8], first: usize| {
        let mut parser = Parser::new();
        assert_eq!(parser.next(bytes).0, first, "{bytes:?}");
        assert!(parser.is_ground());
    };
    check(b"\x1b\xc2\x9c\x1bZ", 3);
    check(b"\xc2\x9c\x1bZ", 2);
}

#[test]
fn an_introducer_takes_another_parser_to_the_same_place() {
    for begun in [&b"\x1b]0;abc"[..], b"\x1bPqabc", b"\x1b_abc", b"\x1b^abc", b"\x1bXabc", b"\x1b[1;2"] {
        let mut parser = Parser::new();
        parser.next(begun);
        let mut other = Parser::new();
        other.next(parser.introducer());
        for parser in [&mut parser, &mut other] {
            let mut rest = &b"some payload\x1b\\after"[..];
            let mut last = String::new();
            while !rest.is_empty() {
                let (used, event) = parser.next(rest);
                last = format!("{event:?}");
                if let Event::Ascii(text) = event {
                    last = String::from_utf8_lossy(text).into_owned();
                }
                rest = &rest[used..];
            }
            assert!(last.contains("after") || begun.starts_with(b"\x1b["), "{last}");
        }
    }
}

proptest! {
    #[test]
    fn a_stream_means_the_same_in_whatever_pieces_it_comes(
        pieces in proptest::collection::vec(prop_oneof![
            Just(b"\x1b[".to_vec()), Just(b"\x1b]".to_vec()), Just(b"\x1bP".to_vec()), Just(b"\x1b\\".to_vec()),
            Just(b"\x07".to_vec()), Just(b"\x18".to_vec()), Just(b"1;2:3".to_vec()), Just(b"m".to_vec()),
            Just("é€😀".as_bytes().to_vec()), Just("\u{9b}\u{9c}".as_bytes().to_vec()),
            proptest::collection::vec(any::<u8>(), 1..6),
        ], 1..20),
        cuts in proptest::collection::vec(0..60_usize, 0..20),
    ) {
        let bytes = pieces.concat();
        let whole = words(&[&bytes]);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).filter(|c| !c.is_empty()).collect();
        prop_assert_eq!(words(&chunks), whole.clone());
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(words(&single), whole);
    }
}
