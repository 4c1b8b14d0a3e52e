//! Which sessions have ended, in order of their end: which of them are to keep their last screen alone now, and which are to
//! be forgotten. Knows no session but by its id, and no clock.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devpocket_shared::ids::SessionId;

/// Ended sessions kept; beyond that the oldest is forgotten.
const MAX_TOMBSTONES: usize = 256;
/// How long an ended session is kept.
const LIFE: Duration = Duration::from_hours(24);
/// Ended sessions that keep their output and scrollback too, 20 MiB at most each: those that ended last ...
const WHOLE: usize = 32;
/// ... and lately: the scrollback of a build that just ended is of use.
const WHOLE_LIFE: Duration = Duration::from_mins(10);
/// Tombstones shrunk in one go, at a few milliseconds each: the keeper waits for its heartbeat.
const SHRUNK_AT_ONCE: usize = 16;
/// How long one that could not be shrunk is left alone; twice as long after each further failure.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
const MOST_DOUBLINGS: u32 = 6;

/// The sessions that have ended.
#[derive(Debug, Default)]
pub(super) struct Tombstones(VecDeque<Tombstone>);

#[derive(Clone, Copy, Debug)]
struct Tombstone {
    ended: Instant,
    session_id: SessionId,
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

    /// A session ended at `ended`.
    pub(super) fn insert(&mut self, session_id: SessionId, ended: Instant) {
        let at = self.0.partition_point(|before| before.ended <= ended);
        self.0.insert(at, Tombstone { ended, session_id, shrinks: Shrinks::Due });
    }

    /// Those that are to keep their last screen alone, being old or followed by many: a few at a time, of those that may.
    pub(super) fn next_to_shrink(&self, now: Instant, may: impl Fn(SessionId) -> bool) -> Vec<SessionId> {
        let many = self.0.len().saturating_sub(WHOLE);
        let is_due = |index: usize, tombstone: &Tombstone| {
            let may_now = match tombstone.shrinks {
                Shrinks::Due => true,
                Shrinks::Again { not_before, .. } => not_before <= now,
                Shrinks::Done => false,
            };
            may_now && (index < many || now.saturating_duration_since(tombstone.ended) >= WHOLE_LIFE)
        };
        let due = self.0.iter().enumerate().filter(|(index, tombstone)| is_due(*index, tombstone));
        due.map(|(_, tombstone)| tombstone.session_id)
            .filter(|session_id| may(*session_id))
            .take(SHRUNK_AT_ONCE)
            .collect()
    }

    /// One of those has done so, or could not.
    pub(super) fn note_shrunk(&mut self, session_id: SessionId, done: bool, now: Instant) {
        let Some(tombstone) = self.0.iter_mut().find(|tombstone| tombstone.session_id == session_id) else {
            return;
        };
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
        } else {
            self.0.iter().position(|tombstone| is_discarded(tombstone.session_id))?
        };
        Some(self.0.remove(at)?.session_id)
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

    fn ended(count: usize, at: Instant) -> Tombstones {
        let mut tombstones = Tombstones::default();
        (0..count).for_each(|number| tombstones.insert(id(number), at));
        tombstones
    }

    /// Shrinks what is due, each second for so long; gives which were tried. The first `failing` cannot.
    fn shrink(tombstones: &mut Tombstones, failing: usize, from: Instant, seconds: u32) -> Vec<SessionId> {
        let mut tried = Vec::new();
        for now in (0..seconds).map(|second| from + SECOND * second) {
            for session_id in tombstones.next_to_shrink(now, |_| true) {
                tried.push(session_id);
                tombstones.note_shrunk(session_id, session_id >= id(failing), now);
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
}
