//! Who holds the program back, and for how long. A hold is an output offset that must not be overwritten yet; while an
//! attachment lives it is the attachment's own business when to let go, after that a hold lingers for a bounded time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use devpocket_shared::ids::Offset;

use crate::ledger::Slot;

/// How long the hold of a client that vanished without `detach` goes on (PROTOCOL section 6).
pub const LINGER: Duration = Duration::from_secs(10);

/// How long one and the same byte is held for a client over all its attachments: one that comes back again and again and never
/// gets further does not hold the program for ever.
pub const MOST_HOLD: Duration = Duration::from_secs(30);

/// All holds on one session.
#[derive(Debug, Default)]
pub struct Holds {
    living: BTreeMap<u64, Offset>,
    lingering: BTreeMap<Slot, (Offset, Instant)>,
    /// Which byte is held for a client that does not get further, and since when.
    behind: BTreeMap<Slot, (Offset, Instant)>,
}

impl Holds {
    /// Sets or moves the hold of a living attachment; none lets go.
    pub fn set(&mut self, attachment: u64, hold: Option<Offset>) {
        match hold {
            Some(offset) => drop(self.living.insert(attachment, offset)),
            None => drop(self.living.remove(&attachment)),
        }
    }

    /// Goes on with the hold of a client that is gone, until [`LINGER`] after `now`.
    pub fn linger(&mut self, slot: Slot, offset: Offset, now: Instant) {
        self.lingering.insert(slot, (offset, now + LINGER));
    }

    /// Notes which byte is held for a client that does not get further, and since when; none: it has all, or nothing is held.
    pub fn note_behind(&mut self, slot: Slot, behind: Option<(Offset, Instant)>) {
        match behind {
            Some(behind) => drop(self.behind.insert(slot, behind)),
            None => drop(self.behind.remove(&slot)),
        }
    }

    /// Since when a client that comes back to `cursor` has not got further.
    pub fn behind_since(&self, slot: Slot, cursor: Offset) -> Option<Instant> {
        self.behind.get(&slot).filter(|(offset, _)| cursor <= *offset).map(|(_, since)| *since)
    }

    /// Ends the lingering hold of a client: it is back, or has left on purpose.
    pub fn release_client(&mut self, slot: Slot) {
        self.lingering.remove(&slot);
    }

    /// Ends lingering holds whose time is over; returns whose.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Slot> {
        let over: Vec<Slot> =
            self.lingering.iter().filter(|(_, (_, until))| *until <= now).map(|(slot, _)| *slot).collect();
        for slot in &over {
            self.lingering.remove(slot);
            self.behind.remove(slot);
        }
        over
    }

    /// When [`Holds::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lingering.values().map(|(_, until)| *until).min()
    }

    /// The first byte that must be kept.
    pub fn lowest(&self) -> Option<Offset> {
        let lingering = self.lingering.values().map(|(offset, _)| *offset);
        self.living.values().copied().chain(lingering).min()
    }

    /// Whether this client's hold lingers.
    pub fn lingers(&self, slot: Slot) -> bool {
        self.lingering.contains_key(&slot)
    }
}
