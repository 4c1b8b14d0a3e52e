//! The worker is killed, and the cutter waits for room, in the middle of whatever sequences there are.

use super::*;

impl Session {
    /// Takes what a terminal gives, all of which fits; false: a query waits for room.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.region.space(None)[..bytes.len()].copy_from_slice(bytes);
        self.region.commit(bytes.len());
        self.go_on()
    }

    fn go_on(&mut self) -> bool {
        self.cutter.cut(&mut self.region, Overflow::Wait) == Cut::Done
    }

    /// The worker dies, and another takes over and cuts nothing yet.
    fn handed_over(self) -> Self {
        let len = as_usize(region_bytes(self.region.ring_bytes()));
        let region = Region::recover(self.region.bytes(0..len).to_vec()).unwrap();
        Self { cutter: Cutter::recover(&region), region }
    }

    /// One query is answered.
    fn answer_one(&mut self) -> Option<(Offset, Vec<u8>)> {
        let (slot, at) = self.region.next_query()?;
        let query = self.region.query(slot).to_vec();
        self.region.answer_query(slot, None);
        Some((at, query))
    }
}

/// As many queries as have a place.
fn crowd() -> Vec<u8> {
    b"\x1b[6n".repeat(crate::queries::MAX_QUERIES)
}

/// The story: a query waited for room that had ended a title; the worker was killed, the next one did not know of the title,
/// and what followed the query became part of it.
#[test]
fn a_string_that_a_waiting_query_ended_stays_ended_over_a_kill() {
    for (stream, left) in [
        (&b"\x1b]0;title\x1b[cshown"[..], &b"\x1b]0;title\x1b\\\0shown"[..]),
        (b"\x1b]0;title\xc2\x9bcshown", b"\x1b]0;title\x18\0\0shown"),
        (b"\x1bPq#0\x1bZshown", b"\x1bPq#0\x1b\\shown"),
        (b"\x1b_x\x1b]11;?\x07shown", b"\x1b_x\x1b\\\0\0\0\0\0shown"),
        (b"\x1b]0;a\x1b]0;b\x1b[cshown", b"\x1b]0;a\x1b]0;b\x1b\\\0shown"),
        (b"\x1b]0;a\x1b]11;?\x1b[cshown", b"\x1b]0;a\x1b\\\0\0\0\0\0\0\0shown"),
    ] {
        for piece in 1..=stream.len() {
            let mut session = Session::new();
            assert!(session.take(&crowd()));
            for part in stream.chunks(piece) {
                session.take(part);
                session = session.handed_over();
                session.go_on();
            }
            while !session.go_on() {
                session = session.handed_over();
                session.answer_one().unwrap();
            }
            let shown = session.visible().split_off(crowd().len());
            assert_eq!(shown, left, "in {piece}: {:?}", String::from_utf8_lossy(&shown));
        }
    }
}

/// The story: the first byte of a C1 control was shown, so the whole of it could not be blanked any more.
#[test]
fn what_ends_a_string_too_long_to_be_waited_for_is_blanked_whole() {
    let long = [&b"\x1b]1337;File=:"[..], &[b'A'; 70_000]].concat();
    for (end, left) in [
        (&b"\x1b[c"[..], &b"\x1b\\\0"[..]),
        (b"\xc2\x9bc", b"\x18\0\0"),
        (b"\xc2\x9a", b"\x18\0"),
        (b"\x1bZ", b"\x1b\\"),
    ] {
        for kill in [false, true] {
            let mut session = Session::new();
            session.read(&long);
            for byte in end {
                session.read(&[*byte]);
                assert_eq!(session.visible()[long.len()..], left[..session.visible().len() - long.len()]);
                if kill {
                    session = session.killed();
                }
            }
            assert_eq!(session.visible()[long.len()..], *left, "{end:?}");
        }
    }
}

/// `stream` is shown the same and asks the same whoever is killed when, and whether queries find room or wait for it: at each
/// of `steps` so much is read, the worker killed or not, and so many queries are answered.
pub(super) fn check_kills_and_waits(
    stream: &[u8],
    steps: Vec<(usize, bool, usize)>,
) -> Result<(), TestCaseError> {
    let (mut whole, mut parts) = (Session::new(), Session::new());
    whole.read(&crowd());
    let mut expected = whole.queries();
    whole.read(stream);
    expected.extend(whole.queries());
    parts.take(&crowd());
    let (mut asked, mut rest) = (Vec::new(), stream);
    for (len, kill, answers) in steps.into_iter().cycle() {
        // As the worker does it, nothing is read while a query waits.
        if parts.go_on() {
            let (now, later) = rest.split_at(len.min(rest.len()));
            rest = later;
            if parts.take(now) && rest.is_empty() {
                break;
            }
        }
        if kill {
            parts = parts.handed_over();
        }
        // One at least, so that it comes to an end.
        asked.extend((0..=answers).map_while(|_| parts.answer_one()));
    }
    asked.extend(parts.queries());
    prop_assert_eq!(parts.visible(), whole.visible());
    prop_assert_eq!(asked, expected);
    prop_assert_eq!(questions(&parts.visible()), 0, "{:?}", parts.visible());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// However sequences begin, cancel and end each other, whoever is killed when, and whether queries find room or wait for
    /// it: the same is shown and the same is asked, and what is shown never ends inside something without that being known.
    #[test]
    fn it_is_all_the_same_who_is_killed_and_who_has_to_wait(
        words in proptest::collection::vec(proptest::sample::select(WORDS), 1..24),
        steps in proptest::collection::vec((1..8_usize, any::<bool>(), 0..3_usize), 1..40),
    ) {
        check_kills_and_waits(&words.concat(), steps)?;
    }
}
