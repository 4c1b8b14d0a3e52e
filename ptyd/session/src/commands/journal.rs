//! How [`super::Commands`] lie in memory. Knows nothing of marks.

use bincode::{Decode, Encode};
use devpocket_shared::wire::{Command, codec};

use crate::region::fence;
use crate::ring::as_usize;

/// Bytes of a session's memory for what its shell ran.
pub const COMMANDS_BYTES: usize = 512 << 10;
/// Bytes of one place: a state with every text in it as long as it may be is less than half of that.
const PLACE_BYTES: usize = 32 << 10;
const HEADER_BYTES: usize = 16;
const AT_RING: usize = 2 * PLACE_BYTES;
const RING_BYTES: u64 = (COMMANDS_BYTES - AT_RING) as u64;
/// Bytes of a command's length.
const LENGTH_BYTES: usize = 4;

/// The two places of the state, and the ring.
#[derive(Debug)]
pub(super) struct Journal<M> {
    memory: M,
    /// The number of the newest state.
    number: u64,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Journal<M> {
    pub(super) fn new(memory: M) -> Option<Self> {
        (memory.as_ref().len() == COMMANDS_BYTES).then_some(Self { memory, number: 0 })
    }

    /// The newest state; none: there is none that can be read, as where an earlier release had something else. What is written
    /// next is newer.
    pub(super) fn read<S: Decode<()>>(&mut self) -> Option<S> {
        let newest = usize::from(self.at(PLACE_BYTES) > self.at(0)) * PLACE_BYTES;
        self.number = self.at(newest);
        if self.number == 0 {
            return None;
        }
        let start = newest + HEADER_BYTES;
        let len = as_usize(self.at(newest + 8)).min(PLACE_BYTES - HEADER_BYTES);
        let state = codec::decode(&self.memory.as_ref()[start..start + len]).ok();
        if state.is_none() {
            self.number = 0;
            [0, PLACE_BYTES].into_iter().for_each(|place| self.put_number(place, 0));
        }
        state
    }

    /// Keeps a state as the newest.
    pub(super) fn keep<S: Encode>(&mut self, state: &S) {
        let Ok(bytes) = codec::encode(state) else { return };
        if bytes.len() > PLACE_BYTES - HEADER_BYTES {
            return;
        }
        let number = self.number + 1;
        let place = as_usize(number % 2) * PLACE_BYTES;
        let start = place + HEADER_BYTES;
        self.put_number(place, 0);
        fence();
        self.memory.as_mut()[start..start + bytes.len()].copy_from_slice(&bytes);
        self.put_number(place + 8, bytes.len() as u64);
        fence();
        self.put_number(place, number);
        fence();
        self.number = number;
    }

    /// A command as it lies in the ring.
    pub(super) fn encode(command: &Command) -> Vec<u8> {
        let body = codec::encode(command).unwrap_or_default();
        let len = u32::try_from(body.len()).unwrap_or(0);
        [&len.to_le_bytes()[..], &body].concat()
    }

    /// Whether there is room for such bytes beside those from `first_at` to `end_at`.
    pub(super) fn fits(bytes: &[u8], first_at: u64, end_at: u64) -> bool {
        end_at - first_at + bytes.len() as u64 <= RING_BYTES
    }

    /// Writes a command behind those that end at `end_at`.
    pub(super) fn put(&mut self, bytes: &[u8], end_at: u64) {
        for (at, byte) in (end_at..).zip(bytes) {
            self.memory.as_mut()[position(at)] = *byte;
        }
        fence();
    }

    /// Where the command behind the one at `at` begins; none: there is none.
    pub(super) fn next_after(&self, at: u64, end_at: u64) -> Option<u64> {
        let mut bytes = [0; LENGTH_BYTES];
        for (at, byte) in (at..).zip(&mut bytes) {
            *byte = self.memory.as_ref()[position(at)];
        }
        let next = at + LENGTH_BYTES as u64 + u64::from(u32::from_le_bytes(bytes));
        (at < end_at && next <= end_at).then_some(next)
    }

    /// The commands between two places, oldest first.
    pub(super) fn commands(&self, first_at: u64, end_at: u64) -> impl Iterator<Item = Command> {
        let mut at = first_at;
        std::iter::from_fn(move || {
            let next = self.next_after(at, end_at)?;
            let bytes: Vec<u8> =
                (at + LENGTH_BYTES as u64..next).map(|at| self.memory.as_ref()[position(at)]).collect();
            at = next;
            codec::decode(&bytes).ok()
        })
    }

    fn at(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.memory.as_ref()[at..at + 8]);
        u64::from_le_bytes(bytes)
    }

    fn put_number(&mut self, at: usize, value: u64) {
        self.memory.as_mut()[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    #[cfg(test)]
    pub(super) fn memory(&self) -> &M {
        &self.memory
    }
}

fn position(at: u64) -> usize {
    AT_RING + as_usize(at % RING_BYTES)
}
