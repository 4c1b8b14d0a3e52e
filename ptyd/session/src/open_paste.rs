//! Whether the program was handed the beginning of a framed paste and not its end. Kept in the session's memory: a program
//! takes everything for pasted until the end comes, so what a worker kill cut off is closed by the next worker.

use crate::ledger::Slot;
use crate::region::{AT_PASTE, Region, fence};

/// None is open.
const NONE: u64 = 0;
/// One that no client will send again is being written.
const OPEN: u64 = 1;
/// Its rest died with a worker: its end is to be written.
const CUT: u64 = 2;
/// From here on: the message of the client with this place in the ledger.
const FIRST_SLOT: u64 = 16;

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// Notes, before its first write, that a framed paste is written: the message due of the client in `slot`, who sends
    /// it again after a kill, or one without a number.
    pub(crate) fn open_paste(&mut self, slot: Option<Slot>) {
        fence();
        self.put(AT_PASTE, slot.map_or(OPEN, |slot| FIRST_SLOT + slot.number()));
        fence();
    }

    /// Notes that the program has been handed the end of the paste.
    pub(crate) fn close_paste(&mut self) {
        fence();
        self.put(AT_PASTE, NONE);
        fence();
    }

    /// Whether the end of a paste is to be written because nobody will send the rest: it had no number, or counts as
    /// applied, or its client was forgotten.
    pub(crate) fn paste_is_cut(&self) -> bool {
        match self.at(AT_PASTE) {
            NONE | OPEN => false,
            CUT => true,
            noted => Slot::of_number(noted - FIRST_SLOT).is_none_or(|slot| !self.is_half_written(slot)),
        }
    }

    /// Settles what a killed worker left; after the ledger.
    pub(crate) fn recover_paste(&mut self) {
        if self.at(AT_PASTE) == OPEN {
            self.put(AT_PASTE, CUT);
        }
    }
}
