//! What attached clients type and paste into a session, and whether they know what became of it. It decides nothing of the
//! order in which that is written.

use devpocket_shared::ids::Seq;
use ptyd_session::{Accepted, paste};

use super::{NotApplied, Session, Shared};

/// Most output the screen catches up with before a paste; a screen further behind is in a flood, where nobody pastes.
const PASTE_FEED_BYTES: usize = 256 << 10;

impl Session {
    /// Takes typed bytes of an attachment.
    pub(crate) fn input(&self, number: u64, seq: Option<Seq>, bytes: &[u8]) -> Result<Accepted, NotApplied> {
        let mut guard = self.lock();
        let shared = &mut *guard;
        let slot = shared.may_act(number)?;
        let accepted = match (seq, slot) {
            (Some(_), None) => return Err(NotApplied::NoClientId),
            (Some(seq), Some(slot)) => {
                shared.input.push_sequenced(&mut shared.region, slot, seq, bytes.to_vec())
            }
            (None, _) => shared.input.push(bytes.to_vec()).map(|()| Accepted::Queued),
        }
        .map_err(NotApplied::Refused)?;
        if accepted == Accepted::Queued {
            shared.note_typed();
            shared.note_goes_on(number, seq);
            shared.act(number, None);
            drop(guard);
            self.work.notify_one();
        }
        Ok(accepted)
    }

    /// Takes pasted text of an attachment, framed as the program wants it now, or as the part of it is that was written.
    pub(crate) fn paste(&self, number: u64, seq: Option<Seq>, text: &str) -> Result<Accepted, NotApplied> {
        let framed = {
            let mut shared = self.lock();
            let slot = shared.attached.get(&number).and_then(|entry| entry.slot);
            let rest = slot.zip(seq).and_then(|(slot, seq)| {
                let framed = paste::frame(text, shared.region.was_framed(slot, seq)?);
                shared.region.is_rest_of(slot, seq, &framed).then_some(framed)
            });
            rest.unwrap_or_else(|| {
                // The mode the program really set, not the one it had a moment ago.
                shared.feed(PASTE_FEED_BYTES);
                paste::frame(text, shared.picture.screen().modes().bracketed_paste)
            })
        };
        self.input(number, seq, &framed)
    }

    /// Takes a control byte ahead of waiting input.
    pub(crate) fn key(&self, number: u64, byte: u8) -> Result<(), NotApplied> {
        let mut guard = self.lock();
        guard.may_act(number)?;
        guard.input.push_urgent(byte).map_err(NotApplied::Refused)?;
        guard.note_typed();
        guard.act(number, None);
        drop(guard);
        self.work.notify_one();
        Ok(())
    }
}

impl Shared {
    /// Notes that an attachment's client was told which of its input is uncertain.
    pub(crate) fn note_told_uncertain(&mut self, number: u64, seq: Seq) {
        if let Some(entry) = self.attached.get_mut(&number) {
            entry.told_uncertain = Some(seq);
        }
    }

    /// An attachment's client sent input `seq`: if it was told of uncertain input before that, it knows.
    fn note_goes_on(&mut self, number: u64, seq: Option<Seq>) {
        let told = self.attached.get(&number).and_then(|entry| entry.slot.zip(entry.told_uncertain));
        if let Some((slot, told)) = told
            && self.region.uncertain(slot) == Some(told)
            && seq.is_some_and(|seq| seq > told)
        {
            self.region.forget_uncertain(slot);
        }
    }
}
