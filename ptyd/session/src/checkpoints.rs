//! Where checkpoints of the screen are kept: two places in the session's memory, written in turn, so that a kill in the
//! middle of one leaves the other. Knows nothing of what is in them.
//!
//! ```text
//! 0   number u64 (0 = none) | offset u64 | length u64   little-endian
//! 64  the checkpoint
//! ```

use devpocket_shared::ids::Offset;

use crate::commands::COMMANDS_BYTES;
use crate::region::fence;

/// From one place to the other.
const PLACE_BYTES: usize = 8 << 20;
/// Bytes of one place: most of what a screen of 1000 x 1000 cells can need; untouched pages cost nothing. What is left of the
/// second one is for the commands, which earlier releases did not keep: so their memory and ours are divided alike.
const USED_BYTES: usize = PLACE_BYTES - COMMANDS_BYTES;
/// Bytes of both.
pub const CHECKPOINTS_BYTES: usize = PLACE_BYTES + USED_BYTES;

const HEADER_BYTES: usize = 64;
const NUMBER: usize = 0;
const OFFSET: usize = 8;
const LEN: usize = 16;

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
    /// The screen.
    pub bytes: &'a [u8],
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Checkpoints<M> {
    /// The places in `memory`; none if it is not [`CHECKPOINTS_BYTES`] long. Memory that is all zero holds no checkpoint.
    pub fn new(memory: M) -> Option<Self> {
        (memory.as_ref().len() == CHECKPOINTS_BYTES).then_some(Self { memory })
    }

    /// Keeps a checkpoint in place of the older of two. False: it is too large, and both are as they were.
    pub fn keep(&mut self, offset: Offset, bytes: &[u8]) -> bool {
        if bytes.len() > USED_BYTES - HEADER_BYTES {
            return false;
        }
        let (place, number) = match (self.at(0, NUMBER), self.at(1, NUMBER)) {
            (first, second) if first <= second => (0, second + 1),
            (first, _) => (1, first + 1),
        };
        self.put(place, NUMBER, 0);
        fence();
        let start = place * PLACE_BYTES + HEADER_BYTES;
        self.memory.as_mut()[start..start + bytes.len()].copy_from_slice(bytes);
        self.put(place, OFFSET, offset.0);
        self.put(place, LEN, bytes.len() as u64);
        fence();
        self.put(place, NUMBER, number);
        fence();
        true
    }

    /// Gives up the older of two. `clear` is called with bytes that nobody needs: zeros may stand there from then on.
    pub(crate) fn drop_older(&mut self, clear: &mut impl FnMut(&mut [u8])) {
        let older = usize::from(self.at(1, NUMBER) <= self.at(0, NUMBER));
        self.put(older, NUMBER, 0);
        fence();
        let start = older * PLACE_BYTES;
        clear(&mut self.memory.as_mut()[start..start + USED_BYTES]);
    }

    /// The newest checkpoint.
    pub fn newest(&self) -> Option<Checkpoint<'_>> {
        let place = usize::from(self.at(1, NUMBER) > self.at(0, NUMBER));
        if self.at(place, NUMBER) == 0 {
            return None;
        }
        let len = crate::ring::as_usize(self.at(place, LEN)).min(USED_BYTES - HEADER_BYTES);
        let start = place * PLACE_BYTES + HEADER_BYTES;
        let bytes = self.memory.as_ref().get(start..start + len)?;
        Some(Checkpoint { offset: Offset(self.at(place, OFFSET)), bytes })
    }

    fn at(&self, place: usize, field: usize) -> u64 {
        let start = place * PLACE_BYTES + field;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.memory.as_ref()[start..start + 8]);
        u64::from_le_bytes(bytes)
    }

    fn put(&mut self, place: usize, field: usize, value: u64) {
        let start = place * PLACE_BYTES + field;
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
            assert!(checkpoints.keep(Offset(number), &number.to_le_bytes()));
            let expected = Checkpoint { offset: Offset(number), bytes: &number.to_le_bytes() };
            assert_eq!(checkpoints.newest(), Some(expected));
            // A kill before the next one was whole: its number is not there.
            let mut memory = checkpoints.memory.clone();
            let older = usize::from(number % 2 == 1);
            memory[older * PLACE_BYTES..older * PLACE_BYTES + 4096].fill(0xEE);
            memory[older * PLACE_BYTES..older * PLACE_BYTES + 8].fill(0);
            assert_eq!(Checkpoints::new(memory).unwrap().newest(), Some(expected));
        }
    }

    #[test]
    fn what_does_not_fit_leaves_what_was_there() {
        let mut checkpoints = Checkpoints::new(vec![0; CHECKPOINTS_BYTES]).unwrap();
        assert!(checkpoints.keep(Offset(5), b"small"));
        assert!(!checkpoints.keep(Offset(6), &vec![1; USED_BYTES]));
        assert_eq!(checkpoints.newest().map(|kept| kept.offset), Some(Offset(5)));
        assert!(Checkpoints::new(vec![0; 100]).is_none());
    }
}
