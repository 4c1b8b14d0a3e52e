//! The last bytes of a session's output, raw, addressed by absolute offset.
//!
//! The terminal is read straight into the memory ahead of the head, so a SIGKILL may land between a read and the store of
//! the new head. Therefore what lies ahead of the head is always fill ([`crate::fill`]) and nothing is ever read past the
//! fill: whoever takes the memory over counts up to the last byte that is not fill any more.

use devpocket_shared::ids::Offset;

use crate::fill;
use crate::region::{HEADER_BYTES, Region};

/// Fill ahead of the head on an idle session: what a terminal gives at once (N_TTY_BUF_SIZE).
pub const MIN_WINDOW: u64 = 4 << 10;
/// Fill ahead of the head in a flood.
pub const MAX_WINDOW: u64 = 64 << 10;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Where the next output is to be read to: never empty unless `hold` forbids, if what was read before was cut. No byte
    /// from `hold` on, and none that was not cut, is given up for it. Call [`Region::commit`] with the number of bytes
    /// read before anything else.
    pub fn space(&mut self, hold: Option<Offset>) -> &mut [u8] {
        let hold = hold.map_or(self.visible, |hold| hold.0.min(self.visible));
        // After a read of n bytes the fill ends at head + n + MAX_WINDOW at most.
        let allowed = hold.saturating_add(self.ring_bytes - MAX_WINDOW).saturating_sub(self.head);
        let index = self.head % self.ring_bytes;
        let len = allowed.min(self.filled - self.head).min(self.ring_bytes - index);
        let start = self.position(self.head);
        self.bytes_mut(start..start + as_usize(len))
    }

    /// Counts `read` bytes as output; they lie where [`Region::space`] said.
    pub fn commit(&mut self, read: usize) {
        let read = (read as u64).min(self.filled - self.head);
        self.store_head(self.head + read);
        // Twice what came, in steps: a lone key press keeps the window small, a flood opens it at once.
        self.window = (2 * read).next_multiple_of(MIN_WINDOW).clamp(MIN_WINDOW, MAX_WINDOW);
        self.refill();
    }

    /// Held output from `from` on, at most `len` bytes, as the two stretches it lies in.
    pub fn slices(&self, from: Offset, len: usize) -> (&[u8], &[u8]) {
        let held = self.held();
        if from < held.start || from > held.end {
            return (&[], &[]);
        }
        let len = as_usize((len as u64).min(held.end.0 - from.0));
        self.stretches(from.0, len)
    }

    /// Where a plain redraw may begin: the start of everything, or of a line, at most `most` bytes before the end.
    pub fn line_start_within(&self, most: u64) -> Offset {
        let held = self.held();
        let earliest = held.start.0.max(held.end.0.saturating_sub(most));
        if earliest == 0 {
            return Offset(0);
        }
        let (first, second) = self.slices(Offset(earliest), as_usize(most));
        let line = first.iter().chain(second).position(|byte| *byte == b'\n');
        line.map_or(held.end, |at| Offset(earliest + at as u64 + 1))
    }

    /// The first printed byte behind `from`, control sequences aside; none: there is none, or it is not held.
    pub(crate) fn first_printed_since(&self, from: u64) -> Option<u8> {
        const LOOKED_AT: u64 = 64;
        if !(self.oldest()..=self.head).contains(&from) {
            return None;
        }
        let (first, second) = self.stretches(from, as_usize(LOOKED_AT.min(self.head - from)));
        let mut bytes = first.iter().chain(second).copied();
        loop {
            match bytes.next()? {
                0x1B => drop(bytes.by_ref().skip(1).find(|byte| (0x40..=0x7E).contains(byte))),
                0..=0x1F => {}
                byte => return Some(byte),
            }
        }
    }

    /// Whether these bytes stand right before `at`; false where that is not held.
    pub(crate) fn is_behind(&self, at: u64, bytes: &[u8]) -> bool {
        let Some(from) = at.checked_sub(bytes.len() as u64) else { return false };
        if from < self.oldest() || at > self.head {
            return false;
        }
        let (first, second) = self.stretches(from, bytes.len());
        bytes.strip_prefix(first) == Some(second)
    }

    /// Where these bytes stand last in what is held from `from` on, as far as the last kilobytes tell.
    pub(crate) fn last_behind(&self, from: Offset, bytes: &[u8]) -> Option<Offset> {
        const LOOKED_AT: u64 = 4 << 10;
        let held = self.held();
        let from = from.max(held.start).max(Offset(held.end.0.saturating_sub(LOOKED_AT)));
        let (first, second) = self.slices(from, as_usize(LOOKED_AT));
        let at = memchr::memmem::rfind(&[first, second].concat(), bytes)?;
        Some(Offset(from.0 + at as u64))
    }

    /// What was read but not cut yet, from `from` on, as the two stretches it lies in.
    pub(crate) fn uncut(&self, from: u64) -> (&[u8], &[u8]) {
        let (from, len) = (from.min(self.head), as_usize(self.head.saturating_sub(from)));
        self.stretches(from, len)
    }

    /// Overwrites `len` bytes of output with NUL bytes, which a terminal ignores.
    pub(crate) fn blank(&mut self, from: u64, len: usize) {
        for at in from..from + len as u64 {
            let position = self.position(at);
            self.bytes_mut(position..position + 1)[0] = 0;
        }
        crate::region::fence();
    }

    /// Overwrites the question marks in `len` bytes of output with NUL bytes, which strings ignore.
    pub(crate) fn blank_question_marks(&mut self, from: u64, len: usize) {
        let (first, second) = self.stretches(from, len);
        let stretches = [(from, first), (from + first.len() as u64, second)];
        let marks: Vec<u64> = stretches
            .into_iter()
            .flat_map(|(start, bytes)| memchr::memchr_iter(b'?', bytes).map(move |at| start + at as u64))
            .collect();
        for at in marks {
            self.put_byte(at, 0);
        }
    }

    /// Overwrites the numbers of modes in which a terminal reports by itself, in the sequence there, with zeros: no terminal knows
    /// a mode 0, and what else the sequence sets is set.
    pub(crate) fn zero_telling_modes(&mut self, from: u64, len: usize) {
        let (first, second) = self.stretches(from, len);
        for at in ptyd_screen::query::telling_digits(&[first, second].concat()) {
            self.put_byte(from + at as u64, b'0');
        }
    }

    /// Overwrites a query, two bytes at least. `ends_another`: it stands where another sequence was open; then what remains of
    /// it ends that as the query did, and does nothing else: ST where it began with ESC, and CAN where it began with a C1
    /// control, which cuts short.
    pub(crate) fn blank_query(&mut self, from: u64, len: usize, ends_another: bool) {
        let begins_with_escape = self.stretches(from, 1).0 == b"\x1b";
        self.blank(from, len);
        if ends_another && begins_with_escape && len >= 2 {
            self.put_byte(from, b'\x1b');
            self.put_byte(from + 1, b'\\');
        } else if ends_another {
            self.put_byte(from, 0x18);
        }
    }

    /// Overwrites one byte of output.
    pub(crate) fn put_byte(&mut self, at: u64, byte: u8) {
        let position = self.position(at);
        self.bytes_mut(position..position + 1)[0] = byte;
        crate::region::fence();
    }

    pub(crate) fn stretches(&self, from: u64, len: usize) -> (&[u8], &[u8]) {
        let start = self.position(from);
        let until_wrap = HEADER_BYTES + as_usize(self.ring_bytes) - start;
        if len <= until_wrap {
            (self.bytes(start..start + len), &[])
        } else {
            let rest = len - until_wrap;
            (self.bytes(start..start + until_wrap), self.bytes(HEADER_BYTES..HEADER_BYTES + rest))
        }
    }

    /// Extends the fill to `window` bytes ahead of the head. First the old bytes in its place are given up, then they are
    /// overwritten, then the fill counts: a kill in between leaves at most fill that is not counted.
    pub(crate) fn refill(&mut self) {
        let wanted = self.head + self.window;
        if wanted <= self.filled {
            return;
        }
        self.store_claimed(wanted);
        let mut at = self.filled;
        while at < wanted {
            let index = at % self.ring_bytes;
            let len = (wanted - at).min(self.ring_bytes - index);
            let start = self.position(at);
            let key = self.key;
            fill::write(key, at, self.bytes_mut(start..start + as_usize(len)));
            at += len;
        }
        self.store_filled(wanted);
    }

    /// Gives up all output held, for good: nothing is read any more. What was visible counts as it did.
    pub(crate) fn give_up(&mut self) {
        // This alone says it ([`Region::is_given_up`]). The fill ends too, for releases that do not know that.
        self.store_claimed(self.head + self.ring_bytes);
        self.store_filled(self.head);
    }

    /// Whether all output was given up. Fill never reaches so far ahead.
    pub(crate) fn is_given_up(&self) -> bool {
        self.claimed == self.head + self.ring_bytes
    }

    /// The bytes of a ring that was given up.
    pub(crate) fn given_up_bytes(&mut self) -> &mut [u8] {
        let end = HEADER_BYTES + as_usize(self.ring_bytes);
        self.bytes_mut(HEADER_BYTES..end)
    }

    /// Counts what a killed worker had read into the fill without storing the new head, and makes the fill whole again.
    pub(crate) fn find_unaccounted(&mut self) {
        if self.is_given_up() {
            return;
        }
        let ahead = self.filled - self.head;
        let until_wrap = ahead.min(self.ring_bytes - self.head % self.ring_bytes);
        let first_start = self.position(self.head);
        let second_len = as_usize(ahead - until_wrap);
        let second = fill::data_before(
            self.key,
            self.head + until_wrap,
            self.bytes(HEADER_BYTES..HEADER_BYTES + second_len),
        );
        let read = if second > 0 {
            until_wrap + second as u64
        } else {
            let first = self.bytes(first_start..first_start + as_usize(until_wrap));
            fill::data_before(self.key, self.head, first) as u64
        };
        self.store_head(self.head + read);
        // What was claimed but not counted as fill may be half written: it is written again.
        self.window = (self.claimed - self.head).clamp(MIN_WINDOW, MAX_WINDOW);
        self.refill();
    }

    fn position(&self, offset: u64) -> usize {
        HEADER_BYTES + as_usize(offset % self.ring_bytes)
    }
}

/// Positions within a region fit: its length is a `usize`.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the length of a slice")]
pub(crate) const fn as_usize(value: u64) -> usize {
    value as usize
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::TerminalSize;
    use proptest::prelude::*;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};

    #[test]
    fn what_was_read_can_be_copied_out_until_the_ring_has_gone_round() {
        let mut region = fresh(1);
        let data: Vec<u8> = (0..3 * MIN_RING_BYTES).map(|i| (i % 251) as u8).collect();
        feed(&mut region, &data, 5000);
        let held = region.held();
        assert_eq!(held.end.0, data.len() as u64);
        assert!(held.end.since(held.start) >= MIN_RING_BYTES - MAX_WINDOW);
        assert_eq!(all(&region), data[as_usize(held.start.0)..]);
    }

    #[test]
    fn a_hold_keeps_its_byte_and_stops_reading_before_it_would_be_lost() {
        let mut region = fresh(1);
        let hold = Offset(1000);
        let mut fed = 0;
        loop {
            let space = region.space(Some(hold));
            if space.is_empty() {
                break;
            }
            let len = space.len();
            space.fill(b'x');
            region.commit(len);
            region.show_all();
            fed += len as u64;
        }
        assert!(region.held().start <= hold);
        assert!(fed >= MIN_RING_BYTES - MAX_WINDOW, "held back after only {fed} bytes");
        assert!(!region.space(Some(Offset(70_000))).is_empty());
    }

    #[test]
    fn a_redraw_begins_at_the_start_of_a_line_or_of_everything() {
        let mut region = fresh(1);
        feed(&mut region, b"one\ntwo\nthree", 4096);
        assert_eq!(region.line_start_within(1 << 20), Offset(0));
        assert_eq!(region.line_start_within(8), Offset(8));
        assert_eq!(region.line_start_within(3), Offset(13));
    }

    proptest! {
        /// The story: a SIGKILL between read and store lost 5.7 KB in 54 of 100 floods.
        #[test]
        fn a_kill_between_read_and_commit_loses_and_doubles_nothing(
            before in 0..2_000_000_usize, chunk in 1..70_000_usize, last in 0..70_000_usize,
            binary in any::<bool>(), key in any::<u64>(),
        ) {
            let mut region = fresh(key);
            let byte = |i: usize| if binary { (i.wrapping_mul(31) >> 3) as u8 } else { b'a' + (i % 26) as u8 };
            let data: Vec<u8> = (0..before).map(byte).collect();
            feed(&mut region, &data, chunk);
            // The read that is never accounted for. Text, since only bytes that UTF-8 never uses could pass for fill.
            let space = region.space(None);
            let last = last.min(space.len());
            space[..last].iter_mut().enumerate().for_each(|(i, b)| *b = b'A' + (i % 26) as u8);
            let memory = region.into_memory();
            let mut taken_over = Region::recover(memory).unwrap();
            taken_over.show_all();
            prop_assert_eq!(taken_over.held().end.0, (before + last) as u64);
            let mut expected = data;
            expected.extend((0..last).map(|i| b'A' + (i % 26) as u8));
            let start = as_usize(taken_over.held().start.0);
            prop_assert_eq!(all(&taken_over), &expected[start..]);
        }
    }

    impl Region<Vec<u8>> {
        fn into_memory(self) -> Vec<u8> {
            let all = self.bytes(0..HEADER_BYTES + as_usize(self.ring_bytes)).to_vec();
            drop(self);
            all
        }
    }

    fn fresh(key: u64) -> Region<Vec<u8>> {
        let memory = vec![0; as_usize(region_bytes(MIN_RING_BYTES))];
        Region::create(memory, key, TerminalSize::DEFAULT).unwrap()
    }

    fn feed(region: &mut Region<Vec<u8>>, mut data: &[u8], chunk: usize) {
        while !data.is_empty() {
            let space = region.space(None);
            let len = space.len().min(chunk).min(data.len());
            space[..len].copy_from_slice(&data[..len]);
            region.commit(len);
            region.show_all();
            data = &data[len..];
        }
    }

    fn all(region: &Region<Vec<u8>>) -> Vec<u8> {
        let (first, second) = region.slices(region.held().start, usize::MAX);
        [first, second].concat()
    }
}
