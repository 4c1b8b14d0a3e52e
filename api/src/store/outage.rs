//! Whether the database's server is away, as was seen a moment ago: a request that needs several connections waits for one
//! of them in vain, not for each. Knows neither statements nor how a connection is made.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long nobody asks for a connection after one was waited for in vain.
const AWAY: Duration = Duration::from_secs(1);

/// What was last seen of a server.
#[derive(Debug, Default)]
pub(super) struct Outage {
    seen: Mutex<Seen>,
    /// Connections that are in use.
    lent: AtomicU32,
}

/// A connection, or what is done on one, that is in use until this is dropped.
#[derive(Debug)]
pub(super) struct Lent<T> {
    /// The connection.
    pub(super) it: T,
    _counted: Counted,
}

#[derive(Debug)]
struct Counted(Arc<Outage>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.lent.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// When it last said anything.
    answered_at: Option<Instant>,
    /// Nobody asks before.
    away_until: Option<Instant>,
}

impl Outage {
    /// Counts a connection that was given out.
    pub(super) fn lend<T>(self: &Arc<Self>, it: T) -> Lent<T> {
        self.lent.fetch_add(1, Ordering::Relaxed);
        Lent { it, _counted: Counted(Arc::clone(self)) }
    }

    /// Whether nobody should ask at `now`.
    pub(super) fn is_on(&self, now: Instant) -> bool {
        self.seen().away_until.is_some_and(|until| now < until)
    }

    /// It said something.
    pub(super) fn note_answer(&self, now: Instant) {
        *self.seen() = Seen { answered_at: Some(now), away_until: None };
    }

    /// A connection was waited for in vain from `began` to `now`. If all of them, `most`, are in use, or others had answers
    /// meanwhile, the server is there and busy: then everybody goes on to wait for a turn.
    pub(super) fn note_failure(&self, began: Instant, now: Instant, most: u32) {
        let mut seen = self.seen();
        let is_silent = seen.answered_at.is_none_or(|answered_at| answered_at < began);
        if is_silent && self.lent.load(Ordering::Relaxed) < most {
            seen.away_until = Some(now + AWAY);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whatever panicked left two times.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITED: Duration = Duration::from_secs(2);

    #[test]
    fn a_server_that_answers_nobody_is_away_for_a_second() {
        let (outage, t0) = (Outage::default(), Instant::now());
        outage.note_answer(t0);
        assert!(!outage.is_on(t0));
        let (began, failed) = (t0 + AWAY, t0 + AWAY + WAITED);
        outage.note_failure(began, failed, 1);
        assert!(outage.is_on(failed) && !outage.is_on(failed + AWAY));
        outage.note_answer(failed);
        assert!(!outage.is_on(failed), "it is back");
    }

    #[test]
    fn one_wait_in_vain_beside_answers_to_others_is_no_outage() {
        let (outage, t0) = (Outage::default(), Instant::now());
        outage.note_answer(t0 + WAITED / 2);
        outage.note_failure(t0, t0 + WAITED, 1);
        assert!(!outage.is_on(t0 + WAITED));
    }

    #[test]
    fn a_wait_in_vain_while_all_connections_are_in_use_is_no_outage() {
        let (outage, t0) = (Arc::new(Outage::default()), Instant::now());
        let lent = [outage.lend(1), outage.lend(2)];
        outage.note_failure(t0, t0 + WAITED, 2);
        assert!(!outage.is_on(t0 + WAITED));
        drop(lent);
        outage.note_failure(t0, t0 + WAITED, 2);
        assert!(outage.is_on(t0 + WAITED));
    }
}
