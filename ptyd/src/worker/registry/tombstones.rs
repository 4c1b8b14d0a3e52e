//! Which sessions have ended, in order of their end: which of them are to keep their last screen alone now, and which are to
//! be forgotten. Knows no session but by its id, and no clock.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use devpocket_shared::ids::{SessionId, UserId};

/// Ended sessions kept; beyond that the oldest is forgotten.
const MAX_TOMBSTONES: usize = 256;
/// How long an ended session is kept.
const LIFE: Duration = Duration::from_hours(24);
/// Ended sessions that keep their output and scrollback too: those that ended last ...
const WHOLE: usize = 32;
/// ... as far as these bytes go, in all and for one account: 5 MiB each with all the scrollback there may be, and up to 80 MiB
/// with the largest screens ...
const WHOLE_BYTES: Share = Share { of_all: 256 << 20, of_owner: 192 << 20 };
/// ... and lately: the scrollback of a build that just ended is of use.
const WHOLE_LIFE: Duration = Duration::from_mins(10);
/// Bytes of last screens, some KiB each and up to 20 MiB for the largest. Beyond that the oldest of the account that has most are
/// forgotten, those that are small for it left out.
const KEPT_BYTES: Share = Share { of_all: 256 << 20, of_owner: 64 << 20 };
/// Tombstones shrunk in one go, at a few milliseconds each: the keeper waits for its heartbeat.
const SHRUNK_AT_ONCE: usize = 16;
/// Likewise the bytes they give back, at a few milliseconds for each MiB; one is shrunk whatever it takes.
const SHRUNK_BYTES_AT_ONCE: usize = 128 << 20;
/// How long one that could not be shrunk is left alone; twice as long after each further failure.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const MOST_DOUBLINGS: u32 = 6;

/// The sessions that have ended.
#[derive(Debug, Default)]
pub(super) struct Tombstones(VecDeque<Tombstone>);

/// How much memory there is for something.
#[derive(Clone, Copy, Debug)]
struct Share {
    of_all: usize,
    of_owner: usize,
}

/// What was taken of it.
#[derive(Debug, Default)]
struct Taken {
    by_all: usize,
    by_owner: BTreeMap<UserId, usize>,
}

impl Taken {
    fn by(&self, owner: UserId) -> usize {
        self.by_owner.get(&owner).copied().unwrap_or(0)
    }

    fn take(&mut self, owner: UserId, bytes: usize) {
        self.by_all += bytes;
        *self.by_owner.entry(owner).or_default() += bytes;
    }
}

#[derive(Clone, Copy, Debug)]
struct Tombstone {
    ended: Instant,
    session_id: SessionId,
    owner: UserId,
    /// Memory that it takes, when it was last looked at.
    bytes: usize,
    shrinks: Shrinks,
}

/// Whether a tombstone gives up all but its last screen.
#[derive(Clone, Copy, Debug)]
enum Shrinks {
    /// When it is due.
    Due,
    /// It could not, so many times; not before then again.
    Again { failures: u32, not_before: Instant },
    /// It has.
    Done,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A session of `owner` ended at `ended`; it takes so many bytes of memory.
    pub(super) fn insert(&mut self, session_id: SessionId, owner: UserId, bytes: usize, ended: Instant) {
        let at = self.0.partition_point(|before| before.ended <= ended);
        self.0.insert(at, Tombstone { ended, session_id, owner, bytes, shrinks: Shrinks::Due });
    }

    /// Those that are to keep their last screen alone, being old, large, or followed by many: a few at a time, of those that
    /// may.
    pub(super) fn next_to_shrink(&self, now: Instant, may: impl Fn(SessionId) -> bool) -> Vec<SessionId> {
        let mut left = SHRUNK_BYTES_AT_ONCE;
        let mut due = Vec::new();
        for (tombstone, whole) in self.0.iter().zip(self.whole()) {
            let may_now = match tombstone.shrinks {
                Shrinks::Due => true,
                Shrinks::Again { not_before, .. } => not_before <= now,
                Shrinks::Done => false,
            };
            let is_old = now.saturating_duration_since(tombstone.ended) >= WHOLE_LIFE;
            if !may_now || (whole && !is_old) || !may(tombstone.session_id) {
                continue;
            }
            if due.len() == SHRUNK_AT_ONCE || (!due.is_empty() && tombstone.bytes > left) {
                break;
            }
            left = left.saturating_sub(tombstone.bytes);
            due.push(tombstone.session_id);
        }
        due
    }

    /// Those that keep their last screen alone.
    pub(super) fn shrunk(&self) -> impl Iterator<Item = SessionId> {
        let shrunk = self.0.iter().filter(|tombstone| matches!(tombstone.shrinks, Shrinks::Done));
        shrunk.map(|tombstone| tombstone.session_id)
    }

    /// One of those that were due has done so, or could not; it takes so many bytes from here on.
    pub(super) fn note_shrunk(&mut self, session_id: SessionId, done: bool, bytes: usize, now: Instant) {
        let Some(tombstone) = self.0.iter_mut().find(|tombstone| tombstone.session_id == session_id) else {
            return;
        };
        tombstone.bytes = bytes;
        let failures = if let Shrinks::Again { failures, .. } = tombstone.shrinks { failures } else { 0 };
        tombstone.shrinks = if done {
            Shrinks::Done
        } else {
            let pause = FIRST_PAUSE * (1 << failures.min(MOST_DOUBLINGS));
            Shrinks::Again { failures: failures.saturating_add(1), not_before: now + pause }
        };
    }

    /// Takes out the next one that is to be forgotten: it is too old, they are too many, or nobody is to find it any more.
    pub(super) fn take_forgotten(
        &mut self,
        now: Instant,
        is_discarded: impl Fn(SessionId) -> bool,
    ) -> Option<SessionId> {
        let old = now.saturating_duration_since(self.0.front()?.ended) >= LIFE;
        let at = if old || self.0.len() > MAX_TOMBSTONES {
            0
        } else if let Some(at) = self.too_large() {
            at
        } else {
            self.0.iter().position(|tombstone| is_discarded(tombstone.session_id))?
        };
        Some(self.0.remove(at)?.session_id)
    }

    /// Which of them are few, late and small enough to keep all they have, in their order.
    fn whole(&self) -> Vec<bool> {
        let (mut taken, mut whole) = (Taken::default(), vec![false; self.0.len()]);
        for (at, tombstone) in self.0.iter().enumerate().rev().take(WHOLE) {
            whole[at] = taken.by_all + tombstone.bytes <= WHOLE_BYTES.of_all
                && taken.by(tombstone.owner) + tombstone.bytes <= WHOLE_BYTES.of_owner;
            if whole[at] {
                taken.take(tombstone.owner, tombstone.bytes);
            }
        }
        whole
    }

    /// The one that is to be forgotten since last screens take too much.
    fn too_large(&self) -> Option<usize> {
        let kept = || self.0.iter().enumerate().filter(|(_, kept)| !matches!(kept.shrinks, Shrinks::Due));
        let mut taken = Taken::default();
        kept().for_each(|(_, tombstone)| taken.take(tombstone.owner, tombstone.bytes));
        let (owner, most) = taken.by_owner.iter().max_by_key(|(_, bytes)| **bytes)?;
        if *most <= KEPT_BYTES.of_owner && taken.by_all <= KEPT_BYTES.of_all {
            return None;
        }
        let own = || kept().filter(|(_, tombstone)| tombstone.owner == *owner);
        let count = own().count();
        // There is one: not all are smaller than they are on average.
        own().find(|(_, tombstone)| tombstone.bytes * count >= *most).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::worker::drive::now;

    const SECOND: Duration = Duration::from_secs(1);

    fn id(number: usize) -> SessionId {
        SessionId::new(Uuid::from_u128(number as u128))
    }

    fn owner(number: usize) -> UserId {
        UserId::new(Uuid::from_u128(number as u128))
    }

    fn ended(count: usize, at: Instant) -> Tombstones {
        let mut tombstones = Tombstones::default();
        (0..count).for_each(|number| tombstones.insert(id(number), owner(0), 5 << 20, at));
        tombstones
    }

    /// Shrinks what is due, each second for so long; gives which were tried. The first `failing` cannot.
    fn shrink(tombstones: &mut Tombstones, failing: usize, from: Instant, seconds: u32) -> Vec<SessionId> {
        let mut tried = Vec::new();
        for now in (0..seconds).map(|second| from + SECOND * second) {
            for session_id in tombstones.next_to_shrink(now, |_| true) {
                tried.push(session_id);
                tombstones.note_shrunk(session_id, session_id >= id(failing), 4096, now);
            }
        }
        tried
    }

    /// The story: sixteen whose last screen could not be kept were tried each second, and nobody else was.
    #[test]
    fn those_that_cannot_shrink_do_not_stop_the_others() {
        let (t0, failing) = (now(), 2 * SHRUNK_AT_ONCE);
        let mut tombstones = ended(100, t0);
        let tried = shrink(&mut tombstones, failing, t0 + WHOLE_LIFE, 7);
        assert_eq!(tried, (0..100).map(id).collect::<Vec<_>>(), "each once");
    }

    #[test]
    fn one_that_cannot_shrink_is_tried_seldom_and_more_seldom() {
        let t0 = now();
        let mut tombstones = ended(1, t0);
        let from = t0 + WHOLE_LIFE;
        assert_eq!(shrink(&mut tombstones, 1, from, 60).len(), 1);
        assert_eq!(shrink(&mut tombstones, 1, from + SECOND * 60, 120).len(), 1);
        let day = shrink(&mut tombstones, 1, from + SECOND * 180, 24 * 3600);
        assert!((20..30).contains(&day.len()), "{} times a day", day.len());
        let done = shrink(&mut tombstones, 0, from + SECOND * 25 * 3600, 2 * 3600);
        assert_eq!(done.len(), 1, "it is done then");
    }

    #[test]
    fn those_that_somebody_reads_wait_and_do_not_stop_the_others() {
        let t0 = now();
        let tombstones = ended(50, t0);
        let due = tombstones.next_to_shrink(t0 + WHOLE_LIFE, |session_id| session_id >= id(30));
        assert_eq!(due, (30..46).map(id).collect::<Vec<_>>());
        let due = tombstones.next_to_shrink(t0, |_| true);
        assert_eq!(due, (0..SHRUNK_AT_ONCE).map(id).collect::<Vec<_>>(), "they are many");
    }

    #[test]
    fn the_oldest_and_the_discarded_are_forgotten() {
        let t0 = now();
        let mut tombstones = ended(MAX_TOMBSTONES + 1, t0);
        assert_eq!(tombstones.take_forgotten(t0, |_| false), Some(id(0)));
        assert_eq!(tombstones.take_forgotten(t0, |_| false), None);
        assert_eq!(tombstones.take_forgotten(t0, |session_id| session_id == id(7)), Some(id(7)));
        assert_eq!(tombstones.take_forgotten(t0 + LIFE, |_| false), Some(id(1)));
        assert_eq!(tombstones.len(), MAX_TOMBSTONES - 2);
    }

    /// The story: thirty-two with the largest screens kept 32 MiB each, and those before them too.
    #[test]
    fn of_large_ones_only_the_last_few_keep_all_they_have() {
        let t0 = now();
        let mut tombstones = Tombstones::default();
        for number in 0..20 {
            tombstones.insert(id(number), owner(number % 2), 60 << 20, t0);
        }
        // A small one that ended before: there is room for it.
        tombstones.insert(id(20), owner(0), 5 << 20, t0.checked_sub(SECOND).unwrap());
        let due = tombstones.next_to_shrink(t0, |_| true);
        assert_eq!(due, [id(0), id(1)], "not all at once");
        assert_eq!(shrink(&mut tombstones, 0, t0, 60), (0..16).map(id).collect::<Vec<_>>());
        // One account alone has less.
        let mut tombstones = Tombstones::default();
        (0..20).for_each(|number| tombstones.insert(id(number), owner(0), 60 << 20, t0));
        assert_eq!(shrink(&mut tombstones, 0, t0, 60), (0..17).map(id).collect::<Vec<_>>());
    }

    /// Shrunk to what `bytes` says.
    fn kept(count: usize, owner: UserId, from: usize, bytes: usize, tombstones: &mut Tombstones) {
        for number in from..from + count {
            tombstones.insert(id(number), owner, bytes, now());
            tombstones.note_shrunk(id(number), true, bytes, now());
        }
    }

    fn forgotten(tombstones: &mut Tombstones) -> Vec<SessionId> {
        std::iter::from_fn(|| tombstones.take_forgotten(now(), |_| false)).collect()
    }

    #[test]
    fn last_screens_take_so_much_memory_and_no_more() {
        let mut tombstones = Tombstones::default();
        kept(50, owner(0), 0, 8 << 10, &mut tombstones);
        kept(20, owner(0), 50, 4 << 20, &mut tombstones);
        kept(100, owner(1), 70, 8 << 10, &mut tombstones);
        // The oldest large ones of the account that has too many; its small ones are no matter.
        assert_eq!(forgotten(&mut tombstones), (50..55).map(id).collect::<Vec<_>>());
        // What all have together.
        let mut tombstones = Tombstones::default();
        (0..8).for_each(|number| kept(10, owner(number), 10 * number, 4 << 20, &mut tombstones));
        assert_eq!(forgotten(&mut tombstones).len(), 16);
        let left = tombstones.0.iter().filter(|tombstone| tombstone.owner == owner(3)).count();
        assert_eq!((tombstones.len(), left), (64, 8), "each gave the same");
    }
}
