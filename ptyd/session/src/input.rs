//! Typed bytes on their way to the terminal: in order, each sequenced message once, bounded. It decides what is written
//! next and what an accepted message means; somebody else writes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use devpocket_shared::ids::Seq;

use crate::ledger::Slot;
use crate::paste;
use crate::queries::QuerySlot;
use crate::region::Region;
use crate::ring::as_usize;

mod patience;

use patience::Patience;
pub use patience::{ATTACHED_PASTE_WAIT, MOST_PASTE_WAIT, PASTE_WAIT};

/// Input that may wait for the terminal, in bytes (PROTOCOL section 3). Full means: refused with `input_full`.
pub const MAX_WAITING_BYTES: usize = 1 << 20;
/// Messages that may wait, however short: each takes its memory too. Full means the same.
pub const MAX_WAITING_MESSAGES: usize = 16 << 10;
/// Most bytes handed to the terminal in one write, so that a kill leaves little uncertain.
pub const MAX_WRITE_BYTES: usize = 4 << 10;
/// Control bytes that may wait ahead of everything else. Full means: refused with `input_full`.
pub const MAX_URGENT_BYTES: usize = 256;

/// Messages whose memory is kept when none waits.
const KEPT_MESSAGES: usize = 64;

/// What became of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accepted {
    /// It waits for the terminal.
    Queued,
    /// It was applied or queued before; the last applied one is to be acknowledged again.
    Repeated,
}

/// Why a message was not taken. Its `seq` is not consumed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// One before it is missing.
    Gap {
        /// The number that is due.
        expected: Seq,
    },
    /// Too much waits already; try again.
    Full,
}

/// Input waiting for one terminal.
#[derive(Debug, Default)]
pub struct InputQueue {
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    urgent: VecDeque<u8>,
    /// Last number queued, where it is beyond the last applied.
    last_queued: BTreeMap<Slot, Seq>,
    /// What the bytes handed out by [`InputQueue::next_write`] are.
    writing: Writing,
    /// How much of the end of a cut paste went out.
    paste_end_written: usize,
    /// For the rest of a paste that was not sent again yet.
    patience: Patience,
}

/// What is being written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Writing {
    /// Control bytes ahead of everything.
    Urgent,
    /// The end of a paste whose rest died with a worker.
    PasteEnd,
    /// The answer to a terminal query.
    Answer(QuerySlot),
    /// The first message that waits.
    Message,
    /// Nothing: all that waits is for outside of an open paste.
    #[default]
    Nothing,
}

#[derive(Debug)]
struct Message {
    from: Option<(Slot, Seq)>,
    bytes: Vec<u8>,
    written: usize,
    /// One framed paste.
    is_paste: bool,
}

impl InputQueue {
    /// Takes a message without a number.
    pub fn push(&mut self, bytes: Vec<u8>) -> Result<(), Refused> {
        self.check_room(bytes.len())?;
        if !bytes.is_empty() {
            let is_paste = paste::is_framed(&bytes);
            self.waiting_bytes += bytes.len();
            self.waiting.push_back(Message { from: None, bytes, written: 0, is_paste });
        }
        Ok(())
    }

    /// Takes message `seq` of a client, once and in order.
    pub fn push_sequenced<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        slot: Slot,
        seq: Seq,
        bytes: Vec<u8>,
    ) -> Result<Accepted, Refused> {
        let last = self.last_taken(region, slot);
        if seq <= last {
            return Ok(Accepted::Repeated);
        }
        if seq != last.next() {
            return Err(Refused::Gap { expected: last.next() });
        }
        let mut written = as_usize(region.written_of(slot, seq));
        if written > 0 && !region.is_rest_of(slot, seq, &bytes) {
            // A client that lost its memory sends another message under that number.
            region.cut_paste_of(slot);
            region.forget_written(slot);
            written = 0;
        }
        // What the others wait for goes ahead of them, and needs no room beside them.
        let goes_on = region.unfinished_paste() == Some((slot, seq));
        if !goes_on {
            self.check_room(bytes.len())?;
        }
        let is_paste = paste::is_framed(&bytes) && (written == 0 || goes_on);
        self.last_queued.insert(slot, seq);
        self.waiting_bytes += bytes.len();
        let message = Message { from: Some((slot, seq)), bytes, written, is_paste };
        if goes_on {
            self.waiting.push_front(message);
        } else {
            self.waiting.push_back(message);
        }
        Ok(Accepted::Queued)
    }

    /// Takes a control byte that goes out ahead of everything that waits.
    pub fn push_urgent(&mut self, byte: u8) -> Result<(), Refused> {
        if self.urgent.len() >= MAX_URGENT_BYTES {
            return Err(Refused::Full);
        }
        self.urgent.push_back(byte);
        Ok(())
    }

    /// Whether input of this client waits.
    pub fn waits_for(&self, slot: Slot) -> bool {
        self.last_queued.contains_key(&slot)
    }

    /// Whether all but control bytes wait for the rest of a cut paste that its client is still to send.
    pub fn awaits_paste<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> bool {
        self.awaited(region).is_some()
    }

    /// The last message taken of a client: it was applied, or waits. What its client sends next has the number after that.
    pub fn last_taken<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>, slot: Slot) -> Seq {
        let applied = region.applied(slot);
        self.last_queued.get(&slot).copied().unwrap_or(applied).max(applied)
    }

    /// Whether nothing is to be written now: no typed byte and no answer to a query, but for those that wait for the rest of
    /// a paste.
    pub fn is_empty<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> bool {
        let held_up = self.awaited(region).is_some() || !self.waits(region);
        self.urgent.is_empty() && !region.paste_is_cut() && held_up
    }

    /// Gives up the rest of a paste for which others have waited long enough: its end is written next, and the message counts as
    /// applied, and as uncertain. Returns whose. A paste for which nobody waits may go on whenever its client
    /// comes back. Too early or twice is harmless.
    pub fn handle_timeout<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        now: Instant,
    ) -> Option<(Slot, Seq)> {
        let Some((slot, seq)) = self.awaited(region) else {
            self.patience = Patience::default();
            return None;
        };
        if !self.patience.handle_timeout(self.waits(region), now) {
            return None;
        }
        region.give_up_half_written(slot);
        self.patience = Patience::default();
        Some((slot, seq))
    }

    /// When [`InputQueue::handle_timeout`] is due. To be asked after that was called with the input as it is now.
    pub fn poll_timeout<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> Option<Instant> {
        self.patience.poll_timeout().filter(|_| self.awaited(region).is_some() && self.waits(region))
    }

    /// Notes that a client is there and may send: if it is its paste that was cut, that has its time anew.
    pub fn client_attached<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &Region<M>,
        slot: Slot,
        now: Instant,
    ) {
        if region.paste_is_of(slot) {
            self.patience.begin(ATTACHED_PASTE_WAIT, now);
        }
    }

    /// The same for a client that is there no longer, or only watches.
    pub fn client_left<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &Region<M>,
        slot: Slot,
        now: Instant,
    ) {
        if region.paste_is_of(slot) {
            self.patience.begin(PASTE_WAIT, now);
        }
    }

    /// The bytes to write next, with the intent noted in `region`; empty when there are none. To be followed by
    /// [`InputQueue::wrote`], with 0 if nothing could be written. Control bytes go first, but not into
    /// the frame of a paste, then the end of a paste that was cut, then answers, but not into the middle of a message: that may
    /// be a paste. Nothing but control bytes goes into a paste whose client is still to send the rest.
    pub fn next_write<'a, M: AsRef<[u8]> + AsMut<[u8]>>(&'a mut self, region: &'a mut Region<M>) -> &'a [u8] {
        if !self.urgent.is_empty() && !self.is_amid_frame() {
            self.writing = Writing::Urgent;
            return self.urgent.make_contiguous();
        }
        if region.paste_is_cut() {
            self.writing = Writing::PasteEnd;
            return &paste::END.as_bytes()[self.paste_end_written..];
        }
        if self.awaited(region).is_some() {
            self.writing = Writing::Nothing;
            return &[];
        }
        let amid_message = self.waiting.front().is_some_and(|message| message.written > 0);
        if !amid_message && let Some((slot, _)) = region.next_answer() {
            self.writing = Writing::Answer(slot);
            region.begin_answer(slot);
            return region.next_answer().map_or(&[], |(_, answer)| answer);
        }
        self.writing = Writing::Nothing;
        let Some(message) = self.waiting.front() else { return &[] };
        self.writing = Writing::Message;
        let rest = &message.bytes[message.written..];
        let next = &rest[..rest.len().min(MAX_WRITE_BYTES)];
        if let Some((slot, seq)) = message.from {
            region.begin_write(slot, seq, next.len());
        }
        if message.is_paste && !next.is_empty() {
            region.open_paste(message.from.map(|(slot, _)| slot));
        }
        next
    }

    /// Notes that `written` bytes of what [`InputQueue::next_write`] gave went out. Returns whose message is applied by
    /// that.
    pub fn wrote<M: AsRef<[u8]> + AsMut<[u8]>>(
        &mut self,
        region: &mut Region<M>,
        written: usize,
    ) -> Option<(Slot, Seq)> {
        match self.writing {
            Writing::Urgent => {
                self.urgent.drain(..written.min(self.urgent.len()));
                return None;
            }
            Writing::PasteEnd => {
                self.paste_end_written += written;
                if self.paste_end_written >= paste::END.len() {
                    self.paste_end_written = 0;
                    region.close_paste();
                }
                return None;
            }
            Writing::Answer(slot) => {
                region.end_answer(slot, written);
                return None;
            }
            Writing::Nothing => return None,
            Writing::Message => {}
        }
        let message = self.waiting.front_mut()?;
        let before = message.written;
        message.written += written;
        let (complete, from) = (message.written >= message.bytes.len(), message.from);
        let nothing_of_it_went = message.written == 0;
        if message.is_paste && (complete || nothing_of_it_went) {
            region.close_paste();
        }
        if let Some((slot, seq)) = from {
            region.end_write(slot, seq, &message.bytes[before..message.written], complete);
        }
        if !complete {
            return None;
        }
        if let Some(done) = self.waiting.pop_front() {
            self.waiting_bytes -= done.bytes.len();
        }
        if self.waiting.is_empty() && self.waiting.capacity() > KEPT_MESSAGES {
            self.waiting = VecDeque::new();
        }
        if let Some((slot, seq)) = from
            && self.last_queued.get(&slot) == Some(&seq)
        {
            self.last_queued.remove(&slot);
        }
        from
    }

    /// Whether a part was written of the six bytes that begin or end a paste: a program reads them as one key.
    fn is_amid_frame(&self) -> bool {
        self.paste_end_written > 0
            || self.waiting.front().is_some_and(|Message { bytes, written, is_paste, .. }| {
                let left = bytes.len() - written;
                *is_paste
                    && ((1..paste::BEGIN.len()).contains(written) || (1..paste::END.len()).contains(&left))
            })
    }

    fn check_room(&self, bytes: usize) -> Result<(), Refused> {
        let fits =
            self.waiting_bytes + bytes <= MAX_WAITING_BYTES && self.waiting.len() < MAX_WAITING_MESSAGES;
        if fits { Ok(()) } else { Err(Refused::Full) }
    }

    /// The message that is to go on where a kill cut its paste, and has not been sent again.
    fn awaited<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> Option<(Slot, Seq)> {
        let unfinished = region.unfinished_paste()?;
        let goes_on = self.waiting.front().is_some_and(|message| message.from == Some(unfinished));
        (!goes_on).then_some(unfinished)
    }

    /// Whether what [`InputQueue::next_write`] handed out is of an answer to a query.
    pub fn is_writing_answer(&self) -> bool {
        matches!(self.writing, Writing::Answer(_))
    }

    /// Whether messages or answers wait, for whatever.
    fn waits<M: AsRef<[u8]> + AsMut<[u8]>>(&self, region: &Region<M>) -> bool {
        !self.waiting.is_empty() || region.next_answer().is_some()
    }
}

#[cfg(test)]
mod tests;
