//! The inputs of one client in one session: numbered, kept until they are known to be applied. Must not know a socket.

use std::collections::VecDeque;

use bytes::Bytes;

/// Numbered inputs.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    last: u64,
    applied: u64,
    /// Those after `applied`, in order.
    kept: VecDeque<Bytes>,
    refused: bool,
}

impl Inputs {
    /// Adds an input; gives its number.
    pub(super) fn push(&mut self, bytes: Bytes) -> (u64, Bytes) {
        self.last += 1;
        self.kept.push_back(bytes.clone());
        (self.last, bytes)
    }

    /// Everything up to `seq` was applied. An error names what cannot be.
    pub(super) fn acknowledge(&mut self, seq: u64) -> Result<(), String> {
        if seq > self.last {
            return Err(format!("input {seq} acknowledged, but only {} were sent", self.last));
        }
        while self.applied < seq {
            self.kept.pop_front();
            self.applied += 1;
        }
        Ok(())
    }

    /// The ledger of the session says that `seq` is the last one applied.
    pub(super) fn resume(&mut self, seq: Option<u64>) -> Result<(), String> {
        match seq {
            Some(seq) if seq < self.applied => {
                Err(format!("the ledger went back to {seq} after acknowledging {}", self.applied))
            }
            Some(seq) => self.acknowledge(seq),
            // Nothing was ever applied, so nothing can be forgotten.
            None if self.applied == 0 => Ok(()),
            None => Err(format!("the session forgot this client after acknowledging {}", self.applied)),
        }
    }

    /// What is not known to be applied, with its numbers.
    pub(super) fn waiting(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        (self.applied + 1..).zip(&self.kept)
    }

    /// How many wait.
    pub(super) fn unacknowledged(&self) -> usize {
        self.kept.len()
    }

    /// The numbers that wait, for an error message.
    pub(super) fn span(&self) -> std::ops::RangeInclusive<u64> {
        self.applied + 1..=self.last
    }

    /// The server had no room: what waits must be sent again.
    pub(super) const fn refuse(&mut self) {
        self.refused = true;
    }

    /// Whether something was refused since the last call.
    pub(super) const fn take_refused(&mut self) -> bool {
        std::mem::replace(&mut self.refused, false)
    }
}
