//! How fast a transport takes what it is handed: all there is to know of a client that does not acknowledge. Must not
//! know what is handed to it.

use std::time::{Duration, Instant};

use super::pace::{self, Rate};

/// Time under way that makes a measurement.
const MEASURED: Duration = Duration::from_millis(100);

/// What a transport has taken, and how long it took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    rate: Option<Rate>,
    /// Since when it has something to take that is not counted yet.
    since: Option<Instant>,
    busy: Duration,
    bytes: u64,
}

impl Taken {
    /// Something was handed over.
    pub(super) fn note_handed(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It took `bytes`; `all` that it had, or only some.
    pub(super) fn note_taken(&mut self, bytes: u64, all: bool, now: Instant) {
        let Some(since) = self.since else { return };
        self.busy += now.saturating_duration_since(since);
        self.since = (!all).then_some(now);
        self.bytes += bytes;
        if self.busy >= MEASURED {
            let sample = pace::rate(self.bytes, self.busy);
            self.rate = Some(self.rate.map_or(sample, |rate| rate / 2 + sample / 2).max(1));
            (self.busy, self.bytes) = (Duration::ZERO, 0);
        }
    }

    /// How fast it takes; none: faster than anything it was handed.
    pub(super) const fn rate(&self) -> Option<Rate> {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_time_in_which_there_was_something_to_take_counts() {
        let mut taken = Taken::default();
        for second in 0..100_u32 {
            let now = t0() + second * 1000 * MS;
            taken.note_handed(now);
            taken.note_taken(500, false, now + 2 * MS);
            taken.note_taken(500, true, now + 10 * MS);
        }
        assert_eq!(taken.rate(), Some(100_000));
    }

    #[test]
    fn a_transport_that_takes_everything_at_once_has_no_rate() {
        let mut taken = Taken::default();
        for _ in 0..1000 {
            taken.note_handed(t0());
            taken.note_taken(64 << 10, true, t0());
        }
        assert_eq!(taken.rate(), None);
    }
}
