//! Whether the program was handed the beginning of a framed paste and not its end. Kept in the session's memory: a program
//! takes everything for pasted until the end comes, so what a worker kill cut off is closed by the next worker, once
//! nobody is due to send the rest.

use devpocket_shared::ids::Seq;

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
    /// How message `seq` is to be framed if a part of it was written already: as that part was, whatever the program has
    /// asked for since; the count of written bytes would point to another place. None: nothing of it was written.
    pub fn was_framed(&self, slot: Slot, seq: Seq) -> Option<bool> {
        (self.written_of(slot, seq) > 0).then(|| self.paste_is_of(slot))
    }

    /// Notes, before its first write, that a framed paste is written: the message due of the client in `slot`, who sends
    /// it again after a kill, or one without a number. None other is open.
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
            _ => self.unfinished_paste().is_none(),
        }
    }

    /// The message whose paste is open: its client writes it, or is due to send it again.
    pub(crate) fn unfinished_paste(&self) -> Option<(Slot, Seq)> {
        let slot = self.paste_owner()?;
        Some((slot, self.half_written(slot)?))
    }

    /// Whether the open paste is a message of this client.
    pub(crate) fn paste_is_of(&self, slot: Slot) -> bool {
        self.paste_owner() == Some(slot)
    }

    /// Notes that the rest of this client's paste will not come, if one of it is open: its end is to be written.
    pub(crate) fn cut_paste_of(&mut self, slot: Slot) {
        if self.paste_is_of(slot) {
            fence();
            self.put(AT_PASTE, CUT);
            fence();
        }
    }

    /// Settles what a killed worker left; after the ledger.
    pub(crate) fn recover_paste(&mut self) {
        if self.at(AT_PASTE) == OPEN {
            self.put(AT_PASTE, CUT);
        }
    }

    fn paste_owner(&self) -> Option<Slot> {
        self.at(AT_PASTE).checked_sub(FIRST_SLOT).and_then(Slot::of_number)
    }
}
