//! Whether the database takes writes, as the last one that was refused for it tells: one on a full disk answers whatever only
//! reads. Looks at nothing itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::StoreError;

/// How often it is tried whether writes are taken again: each try writes [`PROBE_BYTES`].
const EVERY: Duration = Duration::from_secs(1);
/// What a try writes: more than most requests do, so that it does not pass where they fail.
pub(super) const PROBE_BYTES: usize = 16 << 10;

/// What is known of writes.
#[derive(Debug, Default)]
pub(super) struct Writes {
    are_refused: AtomicBool,
    tried: Mutex<Option<Instant>>,
}

impl Writes {
    /// Notes what came of a statement.
    pub(super) fn noted<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.as_ref().err().is_some_and(StoreError::is_refused_write) {
            self.are_refused.store(true, Ordering::Relaxed);
        }
        done
    }

    /// One was taken.
    pub(super) fn note_taken(&self) {
        self.are_refused.store(false, Ordering::Relaxed);
    }

    /// Whether the last that is known of was refused.
    pub(super) fn are_refused(&self) -> bool {
        self.are_refused.load(Ordering::Relaxed)
    }

    /// Whether the caller is to try one now. Never while they are taken: a look at the database's health writes nothing then.
    pub(super) fn are_to_be_tried(&self, now: Instant) -> bool {
        if !self.are_refused() {
            return false;
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = tried.is_none_or(|at| now.duration_since(at) >= EVERY);
        if is_due {
            *tried = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_write_is_tried_again_once_a_second_until_one_is_taken() {
        let (writes, t0) = (Writes::default(), Instant::now());
        assert!(!writes.are_refused() && !writes.are_to_be_tried(t0));
        // It says nothing of writes.
        assert!(writes.noted::<()>(Err(StoreError::corrupt("a row"))).is_err() && !writes.are_refused());
        writes.are_refused.store(true, Ordering::Relaxed);
        for (after, expected) in [(0, true), (999, false), (1000, true), (1999, false), (2000, true)] {
            assert_eq!(writes.are_to_be_tried(t0 + Duration::from_millis(after)), expected, "{after}");
        }
        assert!(writes.noted(Ok(())).is_ok() && writes.are_refused(), "it may have read alone");
        writes.note_taken();
        assert!(!writes.are_refused() && !writes.are_to_be_tried(t0 + Duration::from_secs(9)));
    }
}
