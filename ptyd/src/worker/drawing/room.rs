//! Who draws next, and how much of what is drawn may wait for its readers: for each owner, and for all of them. Knows no
//! picture, no task and no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use devpocket_shared::ids::UserId;

use super::reading::Reading;

/// Bounds of a [`Room`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Pictures drawn at a time.
    pub(crate) turns: usize,
    /// Most bytes held by all owners.
    pub(crate) bytes: usize,
    /// Share of one owner, in bytes. It may have more while that leaves as much of all bytes free.
    pub(crate) owner_bytes: usize,
}

/// Names a request for a turn.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Asked(u64);

/// A turn to draw: it is over with [`Room::end_turn`], what it holds is given back with [`Room::give_back`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Granted {
    pub(crate) asked: Asked,
    pub(crate) owner: UserId,
    /// Bytes it holds from now on.
    pub(crate) bytes: usize,
}

/// Who waits for what an owner holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    /// Nobody.
    Not,
    /// That owner alone.
    ByItself,
    /// Another, for something of its share.
    ByOther {
        /// The owner holds more than its own.
        beyond_share: bool,
    },
}

/// Turns to draw and bytes for what is drawn.
#[derive(Debug)]
pub(crate) struct Room {
    bounds: Bounds,
    /// Turns given and not over.
    drawing: usize,
    held: usize,
    /// Those that hold something or wait.
    owners: BTreeMap<UserId, Account>,
    /// Owners that wait, each once; whose turn is next comes first.
    order: VecDeque<UserId>,
    next: u64,
}

#[derive(Debug, Default)]
struct Account {
    held: usize,
    /// What was asked for, and bytes that it needs, oldest first.
    waiting: VecDeque<(Asked, usize)>,
    /// What its clients take together, since somebody first took or asked.
    reading: Option<Reading>,
}

impl Room {
    pub(crate) const fn new(bounds: Bounds) -> Self {
        Self { bounds, drawing: 0, held: 0, owners: BTreeMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// Asks for a turn to draw something that has `bytes` at most.
    pub(crate) fn ask(&mut self, owner: UserId, bytes: usize) -> Asked {
        let asked = Asked(self.next);
        self.next += 1;
        let account = self.owners.entry(owner).or_default();
        if account.waiting.is_empty() {
            self.order.push_back(owner);
        }
        account.waiting.push_back((asked, bytes));
        asked
    }

    /// Nobody waits for this any more; one that was granted meanwhile, or given up before, is none of them.
    pub(crate) fn give_up(&mut self, owner: UserId, asked: Asked) {
        if let Some(account) = self.owners.get_mut(&owner) {
            account.waiting.retain(|(waits, _)| *waits != asked);
            self.tidy(owner);
        }
    }

    /// The next turn, if there is one: owner by owner, of each the first that there are bytes for. Ask again until there is
    /// none, after every call above and below.
    pub(crate) fn poll_grant(&mut self) -> Option<Granted> {
        if self.drawing >= self.bounds.turns {
            return None;
        }
        let found = self.order.iter().enumerate().find_map(|(place, owner)| {
            let account = self.owners.get(owner)?;
            let fits = |(_, bytes): &(Asked, usize)| self.fits(account, *bytes);
            Some((place, *owner, account.waiting.iter().position(fits)?))
        });
        let (place, owner, first) = found?;
        let account = self.owners.get_mut(&owner)?;
        let (asked, bytes) = account.waiting.remove(first)?;
        account.held += bytes;
        self.held += bytes;
        self.drawing += 1;
        self.order.remove(place);
        if !account.waiting.is_empty() {
            self.order.push_back(owner);
        }
        self.tidy(owner);
        Some(Granted { asked, owner, bytes })
    }

    /// Something was drawn, or is not to be drawn after all.
    pub(crate) fn end_turn(&mut self) {
        self.drawing = self.drawing.saturating_sub(1);
    }

    /// Bytes that an owner held are free again.
    pub(crate) fn give_back(&mut self, owner: UserId, bytes: usize) {
        if let Some(account) = self.owners.get_mut(&owner) {
            account.held = account.held.saturating_sub(bytes);
            self.held = self.held.saturating_sub(bytes);
            self.tidy(owner);
        }
    }

    /// Whether this waits for bytes, and not for a turn alone.
    pub(crate) fn lacks_bytes(&self, owner: UserId, asked: Asked) -> bool {
        self.owners.get(&owner).is_some_and(|account| {
            account.waiting.iter().any(|(waits, bytes)| *waits == asked && !self.fits(account, *bytes))
        })
    }

    /// Whether anybody waits for bytes.
    pub(crate) fn anybody_lacks_bytes(&self) -> bool {
        let accounts = self.order.iter().filter_map(|owner| self.owners.get(owner));
        let mut lacking =
            accounts.map(|account| account.waiting.iter().any(|(_, bytes)| !self.fits(account, *bytes)));
        lacking.any(|lacks| lacks)
    }

    /// Whether what this waits for is more than its owner's share: its own clients hold that.
    pub(crate) fn is_beyond_share(&self, owner: UserId, asked: Asked) -> bool {
        self.owners.get(&owner).is_some_and(|account| {
            let waiting = account.waiting.iter().find(|(waits, _)| *waits == asked);
            waiting.is_some_and(|(_, bytes)| account.held + bytes > self.bounds.owner_bytes)
        })
    }

    /// Who waits for bytes that `owner` holds.
    pub(crate) fn wanted_from(&self, owner: UserId) -> Wanted {
        let mut wanted = Wanted::Not;
        for waiting in &self.order {
            let Some(account) = self.owners.get(waiting) else { continue };
            let mut lacking = account.waiting.iter().filter(|(_, bytes)| !self.fits(account, *bytes));
            if *waiting == owner {
                if lacking.next().is_some() {
                    wanted = Wanted::ByItself;
                }
            } else if lacking.any(|(_, bytes)| account.held + bytes <= self.bounds.owner_bytes) {
                let held = self.owners.get(&owner).map_or(0, |account| account.held);
                return Wanted::ByOther { beyond_share: held > self.bounds.owner_bytes };
            }
        }
        wanted
    }

    /// A client of `owner` took so many bytes of what it holds.
    pub(crate) fn note_taken(&mut self, owner: UserId, bytes: usize, now: Instant) {
        if let Some(account) = self.owners.get_mut(&owner) {
            account.reading.get_or_insert_with(|| Reading::new(now)).note_taken(bytes, now);
        }
    }

    /// Whether the clients of `owner` together read slowly: what they hold is not free soon.
    pub(crate) fn reads_slowly(&mut self, owner: UserId, now: Instant) -> bool {
        let Some(account) = self.owners.get_mut(&owner) else { return false };
        account.reading.get_or_insert_with(|| Reading::new(now)).is_slow(now)
    }

    /// Bytes held by all owners.
    #[cfg(test)]
    pub(crate) const fn held(&self) -> usize {
        self.held
    }

    fn fits(&self, account: &Account, bytes: usize) -> bool {
        // A page of history takes no bytes: it waits for a turn alone.
        let within_share = account.held + bytes <= self.bounds.owner_bytes;
        let kept_free = if within_share { 0 } else { self.bounds.owner_bytes };
        bytes == 0 || self.held + bytes + kept_free <= self.bounds.bytes
    }

    /// Forgets an owner that neither holds anything nor waits.
    fn tidy(&mut self, owner: UserId) {
        let Some(account) = self.owners.get(&owner) else { return };
        if account.waiting.is_empty() {
            self.order.retain(|waiting| *waiting != owner);
            if account.held == 0 {
                self.owners.remove(&owner);
            }
        }
    }
}

#[cfg(test)]
mod tests;
