//! What was written of each client's half-written message, as a digest beside the ledger: a client that lost its memory may
//! send another message under that number, and that one does not go on where the first stopped.

use devpocket_shared::ids::Seq;

use crate::ledger::Slot;
use crate::region::{AT_PREFIXES, Region};
use crate::ring::as_usize;

/// FNV-1a of 64 bits (draft-eastlake-fnv): nobody gains by a message with the same digest.
const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;
/// An earlier release wrote that message, and noted nothing.
const UNKNOWN: u64 = 0;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Whether `message` is what was written in part as message `seq` of this client, and has more to it.
    pub fn is_rest_of(&self, slot: Slot, seq: Seq, message: &[u8]) -> bool {
        let written = as_usize(self.written_of(slot, seq));
        let known = self.at(position(slot));
        written > 0
            && written < message.len()
            && (known == UNKNOWN || digest(BASIS, &message[..written]) == known)
    }

    /// Notes that `bytes` went out behind the first `so_far` of a client's message. While the write counts as in flight: a
    /// kill in between leaves a message that nobody sends again.
    pub(crate) fn extend_prefix(&mut self, slot: Slot, so_far: u64, bytes: &[u8]) {
        let before = if so_far == 0 { BASIS } else { self.at(position(slot)) };
        if before != UNKNOWN {
            self.put(position(slot), digest(before, bytes));
        }
    }
}

fn digest(before: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(before, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(PRIME))
}

fn position(slot: Slot) -> usize {
    AT_PREFIXES + as_usize(slot.number()) * 8
}
