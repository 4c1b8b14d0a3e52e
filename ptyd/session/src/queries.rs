//! What programs asked their terminal, and what they are told. A query is noted in the session's memory before its bytes
//! are blanked in the ring, and its answer before it is written: so a program is answered once, whatever is killed when.

use devpocket_shared::ids::Offset;
use ptyd_screen::query::most_answers;

use crate::region::{AT_QUERIES, Region, fence};

/// Queries and answers that may wait; an answer of several sequences may take more than one of these places. Full means:
/// what is asked next waits, or is not answered where nobody takes answers ([`crate::Overflow`]).
pub const MAX_QUERIES: usize = 16;
/// The longest query, in bytes. A longer one is not answered.
pub const MAX_QUERY_BYTES: usize = ANSWER - QUERY;
/// The longest answer, in bytes. A longer one is not given.
pub const MAX_ANSWER_BYTES: usize = SLOT_BYTES - ANSWER;

const SLOT_BYTES: usize = 256;
/// End of the query in the output.
const OFFSET: usize = 0;
/// 0 none, 1 asked, 2 answered, 3 being written; above the first byte the length of the text that counts.
const STATE: usize = 8;
const QUERY: usize = 16;
/// Beside the query, so that a query stays whole until its answer is.
const ANSWER: usize = 128;

const NONE: u64 = 0;
const ASKED: u64 = 1;
const ANSWERED: u64 = 2;
const WRITING: u64 = 3;

/// A query's place.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct QuerySlot(usize);

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// The next query that the screen is to answer: where it ends in the output, and what it was.
    pub fn next_query(&self) -> Option<(QuerySlot, Offset)> {
        self.first_in(ASKED).map(|slot| (slot, self.query_offset(slot)))
    }

    /// What was asked.
    pub fn query(&self, slot: QuerySlot) -> &[u8] {
        self.text(slot, QUERY, MAX_QUERY_BYTES)
    }

    /// Notes the answer to a query; none: it gets none.
    pub fn answer_query(&mut self, slot: QuerySlot, answer: Option<&[u8]>) {
        match answer.filter(|answer| !answer.is_empty() && answer.len() <= MAX_ANSWER_BYTES) {
            Some(answer) => self.put_text(slot, ANSWERED, ANSWER, answer),
            None => self.put(position(slot, STATE), NONE),
        }
    }

    /// As [`Region::answer_query`], with an answer of several sequences that may be longer than one place takes: it goes into
    /// free places too, each with whole sequences. They were kept free for it, unless it was asked where nobody takes
    /// answers: then what has none is not told.
    pub(crate) fn answer_query_at_length(&mut self, slot: QuerySlot, answer: &[u8]) {
        if answer.len() <= MAX_ANSWER_BYTES {
            return self.answer_query(slot, Some(answer));
        }
        let offset = self.at(position(slot, OFFSET));
        // A kill from here on costs a part of the answer; nothing is told twice.
        self.set_state(slot, NONE);
        // Places are read in their order where they are of one query.
        let free: Vec<QuerySlot> = slots().filter(|place| self.state(*place) == NONE).collect();
        for (place, part) in free.into_iter().zip(parts(answer)) {
            self.put(position(place, OFFSET), offset);
            self.put_text(place, ANSWERED, ANSWER, part);
        }
    }

    /// The answer to write next.
    pub fn next_answer(&self) -> Option<(QuerySlot, &[u8])> {
        let slot = self.first_in(WRITING).or_else(|| self.first_in(ANSWERED))?;
        Some((slot, self.text(slot, ANSWER, MAX_ANSWER_BYTES)))
    }

    /// Notes, before the write, that an answer is about to be written.
    pub fn begin_answer(&mut self, slot: QuerySlot) {
        self.set_state(slot, WRITING);
    }

    /// Notes, after the write, that `written` bytes of the answer went out. What is left of it is written next, but not
    /// by another worker: half an answer is as good as none.
    pub fn end_answer(&mut self, slot: QuerySlot, written: usize) {
        if written == 0 {
            return self.set_state(slot, ANSWERED);
        }
        let rest = self.text(slot, ANSWER, MAX_ANSWER_BYTES).get(written..).unwrap_or_default().to_vec();
        if rest.is_empty() {
            self.set_state(slot, NONE);
        } else {
            self.put_text(slot, WRITING, ANSWER, &rest);
        }
    }

    /// Notes a query that ends at `end`, before it is blanked. False: there is no room for an answer in so many places beside
    /// what was asked before.
    pub(crate) fn ask(&mut self, end: u64, query: &[u8], places: usize) -> bool {
        // After a kill between noting and blanking it is found again.
        let known = slots().any(|slot| self.state(slot) != NONE && self.query_offset(slot).0 == end);
        if known || query.len() > MAX_QUERY_BYTES {
            return true;
        }
        let kept: usize = slots()
            .filter(|slot| self.state(*slot) == ASKED)
            .map(|slot| answer_places(self.query(slot)).saturating_sub(1))
            .sum();
        let mut free = slots().filter(|slot| self.state(*slot) == NONE);
        let Some(first) = free.next() else { return false };
        if 1 + free.count() < places + kept {
            return false;
        }
        self.put(position(first, OFFSET), end);
        self.put_text(first, ASKED, QUERY, query);
        true
    }

    /// Settles what a killed worker left: an answer whose write was in flight counts as written.
    pub(crate) fn recover_queries(&mut self) {
        for slot in slots() {
            if self.state(slot) == WRITING {
                self.set_state(slot, NONE);
            }
        }
    }

    fn first_in(&self, state: u64) -> Option<QuerySlot> {
        slots().filter(|slot| self.state(*slot) == state).min_by_key(|slot| self.query_offset(*slot))
    }

    fn state(&self, slot: QuerySlot) -> u64 {
        self.at(position(slot, STATE)) & 0xFF
    }

    fn set_state(&mut self, slot: QuerySlot, state: u64) {
        let len = self.at(position(slot, STATE)) & !0xFF;
        fence();
        self.put(position(slot, STATE), len | state);
        fence();
    }

    fn query_offset(&self, slot: QuerySlot) -> Offset {
        Offset(self.at(position(slot, OFFSET)))
    }

    fn text(&self, slot: QuerySlot, field: usize, most: usize) -> &[u8] {
        let start = position(slot, field);
        let len = crate::ring::as_usize(self.at(position(slot, STATE)) >> 8).min(most);
        self.bytes(start..start + len)
    }

    fn put_text(&mut self, slot: QuerySlot, state: u64, field: usize, text: &[u8]) {
        let start = position(slot, field);
        self.bytes_mut(start..start + text.len()).copy_from_slice(text);
        fence();
        self.put(position(slot, STATE), state | (text.len() as u64) << 8);
        fence();
    }
}

/// How many places the answer to a query may take: one at least, and never more than there are.
pub(crate) fn answer_places(query: &[u8]) -> usize {
    let (sequences, bytes) = most_answers(query);
    if sequences * bytes <= MAX_ANSWER_BYTES {
        return 1;
    }
    sequences.div_ceil((MAX_ANSWER_BYTES / bytes).max(1)).min(MAX_QUERIES)
}

/// An answer in parts that fit a place each, cut behind sequences that end with ST.
fn parts(answer: &[u8]) -> Vec<&[u8]> {
    const ST: &[u8] = b"\x1b\\";
    let mut parts = Vec::new();
    let mut rest = answer;
    while !rest.is_empty() {
        let window = &rest[..rest.len().min(MAX_ANSWER_BYTES)];
        let Some(at) = window.windows(ST.len()).rposition(|bytes| bytes == ST) else { break };
        let (part, behind) = rest.split_at(at + ST.len());
        parts.push(part);
        rest = behind;
    }
    parts
}

fn slots() -> impl Iterator<Item = QuerySlot> {
    (0..MAX_QUERIES).map(QuerySlot)
}

fn position(slot: QuerySlot, field: usize) -> usize {
    AT_QUERIES + slot.0 * SLOT_BYTES + field
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};
    use crate::ring::as_usize;

    #[test]
    fn queries_are_answered_in_their_order_and_each_once() {
        let mut region = fresh();
        assert!(region.ask(20, b"second", 1) && region.ask(10, b"first", 1));
        let (first, at) = region.next_query().unwrap();
        assert_eq!((region.query(first), at), (&b"first"[..], Offset(10)));
        region.answer_query(first, Some(b"one"));
        let (second, _) = region.next_query().unwrap();
        region.answer_query(second, None);
        assert_eq!(region.next_query(), None);
        assert_eq!(
            region.next_answer().map(|(slot, text)| (slot, text.to_vec())),
            Some((first, b"one".to_vec()))
        );
        region.begin_answer(first);
        region.end_answer(first, 3);
        assert_eq!(region.next_answer(), None);
    }

    #[test]
    fn an_answer_cut_short_by_a_full_terminal_goes_on_and_by_a_kill_does_not() {
        let mut region = fresh();
        region.ask(10, b"q", 1);
        let (slot, _) = region.next_query().unwrap();
        region.answer_query(slot, Some(b"answer"));
        region.begin_answer(slot);
        region.end_answer(slot, 0);
        assert_eq!(region.next_answer().unwrap().1, b"answer");
        region.begin_answer(slot);
        region.end_answer(slot, 2);
        assert_eq!(region.next_answer().unwrap().1, b"swer");
        region.recover_queries();
        assert_eq!(region.next_answer(), None);
    }

    #[test]
    fn a_long_answer_takes_several_places_in_its_order() {
        let mut region = fresh();
        assert!(region.ask(10, b"before", 1) && region.ask(20, b"asks for much", 4));
        let (before, _) = region.next_query().unwrap();
        region.answer_query(before, None);
        let (slot, _) = region.next_query().unwrap();
        let answer: String = (0..16).map(|n| format!("\x1b]4;{n};rgb:0000/0000/0000\x1b\\")).collect();
        region.answer_query_at_length(slot, answer.as_bytes());
        assert!(region.ask(30, b"next", 1));
        let (next, _) = region.next_query().unwrap();
        region.answer_query(next, Some(b"last"));
        let mut told = Vec::new();
        while let Some((slot, text)) = region.next_answer() {
            let text = text.to_vec();
            assert!(text.len() <= MAX_ANSWER_BYTES);
            region.begin_answer(slot);
            region.end_answer(slot, text.len());
            told.extend(text);
        }
        assert_eq!(String::from_utf8(told).unwrap(), answer + "last");
    }

    #[test]
    fn a_query_found_again_after_a_kill_is_asked_once_and_more_than_fit_are_refused() {
        let mut region = fresh();
        for end in 0..MAX_QUERIES as u64 {
            assert!(region.ask(end, b"q", 1));
        }
        assert!(region.ask(3, b"q", 1), "it is known");
        assert!(!region.ask(99, b"q", 1), "there is no room");
        assert!(region.ask(99, &[b'q'; MAX_QUERY_BYTES + 1], 1), "too long is never answered");
    }

    #[test]
    fn places_are_kept_free_for_an_answer_that_takes_several() {
        let mut region = fresh();
        let colors = b"\x1b]4;0;?;1;?;2;?;3;?;4;?;5;?;6;?;7;?;8;?\x07";
        assert_eq!((answer_places(colors), answer_places(b"\x1b[6n")), (3, 1));
        for end in 0..12 {
            assert!(region.ask(end, b"q", 1));
        }
        assert!(region.ask(20, colors, 3));
        assert!(region.ask(21, b"q", 1), "the last that is not kept");
        assert!(!region.ask(22, b"q", 1) && !region.ask(22, colors, 3), "the two that are left are kept");
        // The answers before it go out, and then it is answered.
        for _ in 0..12 {
            let (slot, _) = region.next_query().unwrap();
            region.answer_query(slot, None);
        }
        assert!(region.ask(22, colors, 3), "there is room again");
    }

    fn fresh() -> Region<Vec<u8>> {
        Region::create(vec![0; as_usize(region_bytes(MIN_RING_BYTES))], 1, TerminalSize::DEFAULT).unwrap()
    }
}
