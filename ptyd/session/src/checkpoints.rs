//! Where checkpoints of the screen are kept: two places in the session's memory, written in turn, so that a kill in the
//! middle of one leaves the other. Knows nothing of what is in them.
//!
//! ```text
//! 0   number u64 (0 = none) | offset u64 | length u64 | brief sizes u64 | whose these are: number u64   little-endian
//! 64  the checkpoint
//! ```

use devpocket_shared::ids::Offset;

use crate::commands::COMMANDS_BYTES;
use crate::region::fence;

/// From one place to the other. There is room for the largest screen, whatever is on it; untouched pages cost nothing.
const PLACE_BYTES: usize = 20 << 20;
/// Bytes of both. What is left of the second one is for the commands, which the first releases did not keep: so their memory and
/// that of later ones are divided alike.
pub const CHECKPOINTS_BYTES: usize = 2 * PLACE_BYTES - COMMANDS_BYTES;
/// The same in the memory of sessions that an earlier release began: most of what the largest screen can need.
pub const EARLIER_CHECKPOINTS_BYTES: usize = (16 << 20) - COMMANDS_BYTES;

const _: () = assert!(
    HEADER_BYTES + ptyd_screen::max_checkpoint_bytes(1000, 1000) <= PLACE_BYTES - COMMANDS_BYTES,
    "no checkpoint is too large"
);

const HEADER_BYTES: usize = 64;
const NUMBER: usize = 0;
const OFFSET: usize = 8;
const LEN: usize = 16;
const BRIEF: usize = 24;
/// Earlier releases leave this and the word before as they are, where they keep a checkpoint in place of one of ours.
const BRIEF_OF: usize = 32;
/// Earlier releases count by one. So none of theirs has the number of one of ours that was all there but for its own number when a
/// kill came: its place gets the numbers in between.
const NUMBERS_APART: u64 = 2;
/// What is given back begins at a multiple of it.
const PAGE_BYTES: usize = 4096;

/// The two places.
#[derive(Debug)]
pub struct Checkpoints<M> {
    memory: M,
}

/// A checkpoint that was kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoint<'a> {
    /// The screen was this at this byte of the output.
    pub offset: Offset,
    /// Brief sizes that it had followed ([`crate::sizes::Followed`]); 0 where an earlier release kept it.
    pub brief: u64,
    /// The screen.
    pub bytes: &'a [u8],
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Checkpoints<M> {
    /// The places in `memory`; none if it is neither [`CHECKPOINTS_BYTES`] long nor [`EARLIER_CHECKPOINTS_BYTES`]. Memory that is
    /// all zero holds no checkpoint.
    pub fn new(memory: M) -> Option<Self> {
        let known = [CHECKPOINTS_BYTES, EARLIER_CHECKPOINTS_BYTES].contains(&memory.as_ref().len());
        known.then_some(Self { memory })
    }

    /// Keeps a checkpoint in place of the older of two. False: it is too large, and both are as they were.
    pub fn keep(&mut self, Checkpoint { offset, brief, bytes }: Checkpoint<'_>) -> bool {
        if bytes.len() > self.used_of_place() - HEADER_BYTES {
            return false;
        }
        let (place, number) = match (self.at(0, NUMBER), self.at(1, NUMBER)) {
            (first, second) if first <= second => (0, second + NUMBERS_APART),
            (first, _) => (1, first + NUMBERS_APART),
        };
        self.put(place, NUMBER, 0);
        fence();
        let start = place * self.place_bytes() + HEADER_BYTES;
        self.memory.as_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        self.put(place, OFFSET, offset.0);
        self.put(place, LEN, bytes.len() as u64);
        self.put(place, BRIEF, brief);
        self.put(place, BRIEF_OF, number);
        fence();
        self.put(place, NUMBER, number);
        fence();
        true
    }

    /// Gives up the older of two, and what larger ones left behind the newest. `clear` is called with bytes that nobody needs:
    /// zeros may stand there from then on.
    pub(crate) fn keep_newest_alone(&mut self, clear: &mut impl FnMut(&mut [u8])) {
        let (older, newest) = (1 - self.newest_place(), self.newest_place());
        self.put(older, NUMBER, 0);
        fence();
        let (stride, end) = (self.place_bytes(), self.used_of_place());
        clear(&mut self.memory.as_mut()[older * stride..older * stride + end]);
        let used = (HEADER_BYTES + self.len_at(newest)).next_multiple_of(PAGE_BYTES).min(end);
        clear(&mut self.memory.as_mut()[newest * stride + used..newest * stride + end]);
    }

    /// Bytes of both, without what larger ones left behind them.
    pub(crate) fn used_bytes(&self) -> usize {
        (0..2)
            .filter(|place| self.at(*place, NUMBER) > 0)
            .map(|place| HEADER_BYTES + self.len_at(place))
            .sum()
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> Option<Checkpoint<'_>> {
        let place = self.newest_place();
        let number = self.at(place, NUMBER);
        if number == 0 {
            return None;
        }
        let brief = if self.at(place, BRIEF_OF) == number { self.at(place, BRIEF) } else { 0 };
        let start = place * self.place_bytes() + HEADER_BYTES;
        let bytes = self.memory.as_ref().get(start..start + self.len_at(place))?;
        Some(Checkpoint { offset: Offset(self.at(place, OFFSET)), brief, bytes })
    }

    /// From one place to the other.
    fn place_bytes(&self) -> usize {
        (self.memory.as_ref().len() + COMMANDS_BYTES) / 2
    }

    /// So much of each is used.
    fn used_of_place(&self) -> usize {
        self.place_bytes() - COMMANDS_BYTES
    }

    fn newest_place(&self) -> usize {
        usize::from(self.at(1, NUMBER) > self.at(0, NUMBER))
    }

    fn len_at(&self, place: usize) -> usize {
        crate::ring::as_usize(self.at(place, LEN)).min(self.used_of_place() - HEADER_BYTES)
    }

    fn at(&self, place: usize, field: usize) -> u64 {
        let start = place * self.place_bytes() + field;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.memory.as_ref()[start..start + 8]);
        u64::from_le_bytes(bytes)
    }

    fn put(&mut self, place: usize, field: usize, value: u64) {
        let start = place * self.place_bytes() + field;
        self.memory.as_mut()[start..start + 8].copy_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_checkpoint_is_found_and_the_one_before_survives_a_kill_while_it_is_written() {
        let mut checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).unwrap();
        assert_eq!(checkpoints.newest(), None);
        for number in 1..10_u64 {
            let expected =
                Checkpoint { offset: Offset(number), brief: 10 * number, bytes: &number.to_le_bytes() };
            assert!(checkpoints.keep(expected));
            assert_eq!(checkpoints.newest(), Some(expected));
            // A kill before the next one was whole: its number is not there.
            let mut memory = checkpoints.memory.clone();
            let older = usize::from(number % 2 == 1);
            memory[older * PLACE_BYTES..older * PLACE_BYTES + 4096].fill(0xEE);
            memory[older * PLACE_BYTES..older * PLACE_BYTES + 8].fill(0);
            assert_eq!(Checkpoints::new(memory).unwrap().newest(), Some(expected));
        }
    }

    /// Who keeps a checkpoint, and whether a kill comes when all of it is there but its number.
    #[derive(Clone, Copy, Debug)]
    enum Keeps {
        ThisRelease,
        ThisReleaseKilled,
        EarlierOne,
        EarlierOneKilled,
    }

    /// The story: after a rollback an earlier release kept checkpoints, and left the words beside them as they were. Then a screen
    /// that this release restored passed over sizes, as one that it had kept itself would have.
    #[test]
    fn a_checkpoint_of_an_earlier_release_is_never_read_with_what_stood_beside_another() {
        use Keeps::*;
        const STEPS: u32 = 7;
        let mut checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).unwrap();
        for sequence in 0..4_usize.pow(STEPS) {
            for place in 0..2 {
                let start = place * checkpoints.place_bytes();
                checkpoints.memory[start..start + HEADER_BYTES].fill(0);
            }
            let (mut expected, mut history) = (None, Vec::new());
            for step in 0..STEPS {
                let who = [ThisRelease, ThisReleaseKilled, EarlierOne, EarlierOneKilled]
                    [sequence / 4_usize.pow(step) % 4];
                history.push(who);
                let number = u64::from(step) + 1;
                // In place of the older of two.
                let written = usize::from(checkpoints.at(0, NUMBER) > checkpoints.at(1, NUMBER));
                let kept = match who {
                    ThisRelease | ThisReleaseKilled => {
                        let kept =
                            Checkpoint { offset: Offset(number), brief: 10 * number, bytes: b"screen" };
                        assert!(checkpoints.keep(kept));
                        kept
                    }
                    EarlierOne | EarlierOneKilled => {
                        keep_as_earlier_releases_did(&mut checkpoints, Offset(number), b"screen");
                        Checkpoint { offset: Offset(number), brief: 0, bytes: b"screen" }
                    }
                };
                match who {
                    ThisRelease | EarlierOne => expected = Some(kept),
                    ThisReleaseKilled | EarlierOneKilled => checkpoints.put(written, NUMBER, 0),
                }
                assert_eq!(checkpoints.newest(), expected, "{history:?}");
            }
        }
    }

    fn keep_as_earlier_releases_did(checkpoints: &mut Checkpoints<Vec<u8>>, offset: Offset, bytes: &[u8]) {
        let (place, number) = match (checkpoints.at(0, NUMBER), checkpoints.at(1, NUMBER)) {
            (first, second) if first <= second => (0, second + 1),
            (first, _) => (1, first + 1),
        };
        let start = place * checkpoints.place_bytes() + HEADER_BYTES;
        checkpoints.memory[start..start + bytes.len()].copy_from_slice(bytes);
        checkpoints.put(place, OFFSET, offset.0);
        checkpoints.put(place, LEN, bytes.len() as u64);
        checkpoints.put(place, NUMBER, number);
    }

    #[test]
    fn what_does_not_fit_leaves_what_was_there() {
        let mut checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).unwrap();
        assert!(checkpoints.keep(Checkpoint { offset: Offset(5), brief: 0, bytes: b"small" }));
        assert!(!checkpoints.keep(Checkpoint { offset: Offset(6), brief: 0, bytes: &vec![1; PLACE_BYTES] }));
        assert_eq!(checkpoints.newest().map(|kept| kept.offset), Some(Offset(5)));
        assert!(Checkpoints::new(vec![0; 100]).is_none());
    }
}
