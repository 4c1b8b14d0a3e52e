use devpocket_shared::ids::{Offset, TerminalSize};
use proptest::prelude::*;

use super::*;
use crate::region::{MIN_RING_BYTES, region_bytes};

mod kills;
mod long;

/// Bytes at which the parser panics, in these tests.
pub(super) const FAULT: &[u8] = b"\x1b[777;fault";

/// A session's memory with its cutter, read into as a terminal is.
struct Session {
    region: Region<Vec<u8>>,
    cutter: Cutter,
}

impl Session {
    fn new() -> Self {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        let region = Region::create(memory, 7, TerminalSize::DEFAULT).unwrap();
        Self { cutter: Cutter::recover(&region), region }
    }

    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.region.space(None);
            let len = space.len().min(bytes.len());
            assert!(len > 0, "what was read before keeps room for more");
            space[..len].copy_from_slice(&bytes[..len]);
            self.region.commit(len);
            bytes = &bytes[len..];
            self.cutter.cut(&mut self.region, Overflow::Drop);
        }
    }

    /// The worker dies, and another takes over.
    fn killed(self) -> Self {
        let len = as_usize(region_bytes(self.region.ring_bytes()));
        let region = Region::recover(self.region.bytes(0..len).to_vec()).unwrap();
        let mut cutter = Cutter::recover(&region);
        let mut session = Self { cutter: Cutter::default(), region };
        cutter.cut(&mut session.region, Overflow::Drop);
        session.cutter = cutter;
        session
    }

    fn visible(&self) -> Vec<u8> {
        let held = self.region.held();
        let (first, second) = self.region.slices(held.start, usize::MAX);
        [first, second].concat()
    }

    fn queries(&mut self) -> Vec<(Offset, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some((slot, at)) = self.region.next_query() {
            found.push((at, self.region.query(slot).to_vec()));
            self.region.answer_query(slot, None);
        }
        found
    }
}

#[test]
fn output_is_shown_up_to_where_a_terminal_is_between_sequences_and_characters() {
    for (bytes, shown) in [
        (&b"text"[..], 4),
        (b"text\x1b", 4),
        (b"text\x1b[1;2", 4),
        (b"text\x1b[1;2m", 10),
        (b"a\xe2\x82", 1),
        (b"a\xe2\x82\xac", 4),
        (b"a\xc2", 1),
        (b"a\xc2\x9b1", 1),
        (b"a\x1b]0;title", 1),
        (b"a\x1b]0;title\x07", 11),
        (b"\xff\xfe", 2),
        (b"a\x1bPq data", 1),
    ] {
        let mut session = Session::new();
        session.read(bytes);
        assert_eq!(session.visible().len(), shown, "{:?}", String::from_utf8_lossy(bytes));
        session.cutter.finish(&mut session.region);
        assert_eq!(session.visible(), bytes, "at the end everything is shown");
    }
}

#[test]
fn queries_are_noted_and_blanked_and_nothing_else_changes() {
    let mut session = Session::new();
    session.read(b"a\x1b[6nb\x05c\x1b[1m\x1b[?2004$pd\x1b]11;?\x07\x1b]0;t\x07");
    assert_eq!(session.visible(), b"a\0\0\0\0b\0c\x1b[1m\0\0\0\0\0\0\0\0\0d\0\0\0\0\0\0\0\x1b]0;t\x07");
    let queries = session.queries();
    assert_eq!(
        queries.iter().map(|(_, query)| query.as_slice()).collect::<Vec<_>>(),
        [&b"\x1b[6n"[..], b"\x1b[?2004$p", b"\x1b]11;?\x07",]
    );
    assert_eq!(queries[0].0, Offset(5));
}

/// The story: a program that asked for its terminal's size at each change had that of each client typed into it.
#[test]
fn modes_in_which_a_terminal_reports_by_itself_are_not_passed_on() {
    for (bytes, shown) in [
        (&b"a\x1b[?2048hb"[..], &b"a\x1b[?0000hb"[..]),
        (b"\x1b[?2031h", b"\x1b[?0000h"),
        (b"\x1b[?25;2048;1049h", b"\x1b[?25;0000;1049h"),
        (b"\x1b[?02048;2031l", b"\x1b[?00000;0000l"),
        (b"\x1b[?20\x0048h", b"\x1b[?00\x0000h"),
        (b"\x1b[?2048s\x1b[?2048r", b"\x1b[?0000s\x1b[?0000r"),
        (b"\xc2\x9b?2048h", b"\xc2\x9b?0000h"),
        (b"\x1b]0;t\x1b[?2048h", b"\x1b]0;t\x1b[?0000h"),
        (b"\x1b[?20480;2026h\x1b[2048h\x1b[2048;2031H", b"\x1b[?20480;2026h\x1b[2048h\x1b[2048;2031H"),
    ] {
        for cut in 0..bytes.len() {
            let mut session = Session::new();
            session.read(&bytes[..cut]);
            let mut session = if cut % 2 == 0 { session } else { session.killed() };
            session.read(&bytes[cut..]);
            assert_eq!(session.visible(), shown, "{:?} in two at {cut}", String::from_utf8_lossy(bytes));
        }
    }
}

/// The story: of a string that asks everything was blanked but the last byte of its terminator, and vim's first row was full
/// of backslashes.
#[test]
fn a_string_that_asks_is_blanked_with_its_terminator() {
    for cut in 0..12 {
        let bytes = b"a\x1bP+q544e\x1b\\b\x1b]11;?\x1b[1mc";
        let mut session = Session::new();
        session.read(&bytes[..cut]);
        session.read(&bytes[cut..]);
        assert_eq!(session.visible(), b"a\0\0\0\0\0\0\0\0\0\0b\0\0\0\0\0\0\x1b[1mc", "read in two at {cut}");
        assert_eq!(session.queries().len(), 2);
    }
}

#[test]
fn a_sequence_that_never_ends_is_shown_once_it_is_too_long_and_survives_a_kill() {
    let mut session = Session::new();
    session.read(b"before\x1b]0;");
    assert_eq!(session.visible(), b"before");
    for _ in 0..20 {
        session.read(&[b'x'; 10_000]);
    }
    let shown = session.region.held().end;
    assert!(shown.0 > 190_000, "only {shown:?} is shown");
    session = session.killed();
    // Inside the string a query is none.
    session.read(b"\x1b");
    session.read(b"\\after\x1b[6n");
    assert!(session.visible().ends_with(b"\x1b\\after\0\0\0\0"));
    assert_eq!(session.queries().len(), 1);
}

#[test]
fn more_queries_than_have_a_place_wait_or_are_dropped_but_never_shown() {
    let mut session = Session::new();
    let bytes = b"\x1b[6n".repeat(40);
    let space = session.region.space(None);
    space[..bytes.len()].copy_from_slice(&bytes);
    session.region.commit(bytes.len());
    assert_eq!(session.cutter.cut(&mut session.region, Overflow::Wait), Cut::Full);
    assert_eq!(session.region.held().end, Offset(16 * 4));
    assert_eq!(session.queries().len(), 16);
    assert_eq!(session.cutter.cut(&mut session.region, Overflow::Wait), Cut::Full);
    assert_eq!(session.cutter.cut(&mut session.region, Overflow::Drop), Cut::Done);
    assert_eq!(session.visible(), vec![0; 160]);
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => Just(b"plain text\r\n".to_vec()),
        2 => Just("é€😀".as_bytes().to_vec()),
        2 => Just(b"\x1b[1;31m".to_vec()),
        1 => Just(b"\x1b[6n".to_vec()),
        1 => Just(b"\x1b[c".to_vec()),
        1 => Just(b"\x1b[?1$p".to_vec()),
        1 => Just(b"\x1b]11;?\x1b\\".to_vec()),
        1 => Just(b"\x1b]0;a title\x07".to_vec()),
        1 => Just(b"\x1bP+q544e\x1b\\".to_vec()),
        1 => Just(b"\x05".to_vec()),
        1 => Just(b"\x1b".to_vec()),
        1 => Just("\u{9b}6n".as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 1..5),
    ]
}

proptest! {
    /// However the terminal is read, and whoever is killed when, the same is shown and the same is asked.
    #[test]
    fn a_stream_is_cut_the_same_in_whatever_pieces_it_is_read(
        pieces in proptest::collection::vec(piece(), 1..25),
        cuts in proptest::collection::vec((1..40_usize, any::<bool>()), 1..60),
        lead in 0..140_000_usize,
    ) {
        let bytes = pieces.concat();
        let (mut whole, mut parts) = (Session::new(), Session::new());
        // So that the ring's end lies anywhere in what follows.
        for session in [&mut whole, &mut parts] {
            session.read(&vec![b'.'; lead]);
        }
        whole.read(&bytes);
        let mut asked = Vec::new();
        let mut rest = bytes.as_slice();
        let mut cuts = cuts.into_iter().cycle();
        while let (false, Some((len, kill))) = (rest.is_empty(), cuts.next()) {
            let (now, later) = rest.split_at(len.min(rest.len()));
            parts.read(now);
            rest = later;
            if kill && now.iter().all(|byte| *byte < 0xF5 && *byte >= 0x20) {
                parts = parts.killed();
            }
            asked.extend(parts.queries());
        }
        prop_assert_eq!(parts.visible(), whole.visible());
        let expected = whole.queries();
        if asked.len() <= crate::queries::MAX_QUERIES {
            prop_assert_eq!(asked, expected);
        }
    }
}

/// The story: a C1 control cancelled the terminator of a query, and whether that was blanked depended on the reads.
#[test]
fn a_query_whose_terminator_is_cancelled_is_one_however_it_is_read() {
    let stream = b"\x1b]\x0021;\xff?\x1b\xc2\x82\xff\x1b?";
    let mut whole = Session::new();
    whole.read(stream);
    let expected = whole.queries();
    assert_eq!(expected.len(), 1, "{:?}", whole.visible());
    for piece in 1..stream.len() {
        let mut session = Session::new();
        for part in stream.chunks(piece) {
            session.read(part);
        }
        assert_eq!(session.visible(), whole.visible(), "pieces of {piece}");
        assert_eq!(session.queries(), expected, "pieces of {piece}");
    }
}

#[test]
fn a_question_of_one_character_is_blanked_whole() {
    for piece in [1, 2, 9] {
        let mut session = Session::new();
        for part in b"a\xc2\x9ab\x05c".chunks(piece) {
            session.read(part);
        }
        assert_eq!(session.visible(), b"a\0\0b\0c");
    }
}

/// The story: `CSI ? m` looked like a colour where the whole of it was read at once, and went to the clients.
#[test]
fn a_question_that_looks_like_a_colour_is_asked_however_it_is_read() {
    for piece in [1, 100] {
        let mut session = Session::new();
        for part in b"\x1b[1;31ma\x1b[?4mb".chunks(piece) {
            session.read(part);
        }
        assert_eq!(session.visible(), b"\x1b[1;31ma\0\0\0\0\0b");
        assert_eq!(session.queries().len(), 1);
    }
}

/// The story: of two questions one after the other, the second went to the clients, because it ended the first.
#[test]
fn a_question_that_ends_another_is_asked_too() {
    for (stream, expected) in [
        (&b"\x1b]11;?\x1b[c"[..], 2),
        (b"\x1b]11;?\x1b[6n", 2),
        (b"\x1b]52;c;?\x1b[c", 2),
        (b"\x1b]4;1;?\x1bP$qm\x1b\\", 2),
        (b"\x1bP$qm\x1b[c", 2),
        (b"\x1bP+q544e\x1b[5n", 2),
        (b"\x1bP$qm\x1bZ", 2),
        (b"\x1b]11;?\x1b]11;?\x1b]11;?\x07", 3),
    ] {
        for piece in 1..=stream.len() {
            let mut session = Session::new();
            for part in stream.chunks(piece) {
                session.read(part);
            }
            assert_eq!(questions(&session.visible()), 0, "{:?} in {piece}", session.visible());
            assert_eq!(session.queries().len(), expected, "{:?}", String::from_utf8_lossy(stream));
        }
    }
}

/// The story: bytes at which the parser panicked stopped their session for ever, and each worker that came to read them.
#[test]
fn a_fault_costs_bytes_their_cut_and_nothing_else() {
    let mut session = Session::new();
    session.read(b"before");
    session.read(&[FAULT, b" and the rest"].concat());
    session.read(b"after\x1b[c");
    assert_eq!(session.visible(), [b"before", FAULT, b" and the rest", b"after\0\0\0"].concat());
    let mut session = session.killed();
    session.read(b"!");
    assert!(session.visible().ends_with(b"after\0\0\0!"));
    assert_eq!(session.queries().len(), 1);
}

/// The story: a query in the middle of a title was blanked, and what followed it became part of the title.
#[test]
fn a_sequence_that_a_query_ended_stays_ended() {
    for (stream, left) in [
        (&b"\x1b]0;title\x1b[cshown"[..], &b"\x1b]0;title\x1b\\\0shown"[..]),
        (b"\x1b[1\x1b[6nmore", b"\0\0\0\0\0\0\0more"),
        (b"\x1b[1\xc2\x9bcmore", b"\0\0\0\0\0\0more"),
        (b"\x1b]0;title\xc2\x9ashown", b"\x1b]0;title\x18\0shown"),
        (b"\x1b[1\x05mbold", b"\x1b[1\0mbold"),
    ] {
        for piece in 1..=stream.len() {
            let mut session = Session::new();
            for part in stream.chunks(piece) {
                session.read(part);
            }
            assert_eq!(
                session.visible(),
                left,
                "in {piece}: {:?}",
                String::from_utf8_lossy(&session.visible())
            );
        }
    }
}

/// What sequences are made of.
const WORDS: &[&[u8]] = &[
    b"\x1b",
    b"\x1b[",
    b"\x1b]",
    b"\x1bP",
    b"\x1b_",
    b"\x1b\\",
    b"\x07",
    b"\x18",
    b"\x05",
    b"\xc2\x9b",
    b"\xc2\x9d",
    b"\xc2\x90",
    b"\xc2\x9c",
    b"\xc2\x9a",
    b"\xc2\x85",
    b"\xc2",
    b"?",
    b";",
    b"4",
    b"10",
    b"11",
    b"52",
    b"1337",
    b"99",
    b"G",
    b"$q",
    b"+q",
    b"c",
    b"n",
    b"m",
    b"Z",
    b"6",
    b">",
    b"=",
    b"u",
    b"p",
    b"t",
    b"r",
    b"a=report",
    b"p=?",
    b"\xff",
    b"x",
    b"\r",
];

/// What a client's terminal would answer in these bytes.
fn questions(bytes: &[u8]) -> usize {
    let (mut parser, mut rest, mut found) = (Parser::new(), bytes, 0);
    while !rest.is_empty() {
        let (used, event) = parser.next(rest);
        found += usize::from(query::is_query(&event));
        rest = &rest[used..];
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    /// However sequences begin, cancel and end each other: no question is passed on, and it is all the same how it was read.
    #[test]
    fn no_question_is_ever_passed_on(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 1..24),
        piece in 1..12_usize,
    ) {
        let stream = words.concat();
        let (mut whole, mut pieces) = (Session::new(), Session::new());
        whole.read(&stream);
        for part in stream.chunks(piece) {
            pieces.read(part);
        }
        prop_assert_eq!(questions(&whole.visible()), 0, "{:?}", whole.visible());
        prop_assert_eq!(whole.visible(), pieces.visible());
        prop_assert_eq!(whole.queries(), pieces.queries());
    }
}

#[test]
fn a_question_right_after_a_sequence_too_long_to_wait_for_is_asked() {
    let image = [&b"\x1b]1337;File=:"[..], &[b'A'; 70_000], b"\x07"].concat();
    let numbers = [&b"\x1b["[..], &[b'1'; 70_000], b"m"].concat();
    for long in [image, numbers] {
        let mut session = Session::new();
        session.read(&long[..66_000]);
        session.read(&[&long[66_000..], b"\x1b[6n"].concat());
        assert_eq!((questions(&session.visible()[60_000..]), session.queries().len()), (0, 1));
    }
}
