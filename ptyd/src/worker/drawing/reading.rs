//! How fast a reader takes a snapshot, or all of one owner together: whether they may keep the memory of it while others wait.
//! Knows no snapshot and no clock.

use std::time::{Duration, Instant};

/// A reader is looked at over so long.
const SPAN: Duration = Duration::from_secs(2);
/// Who takes less than this in [`SPAN`] is slow: 256 KiB a second, at which the largest snapshot takes 16 s.
const LEAST_BYTES: usize = 512 << 10;
/// Who takes nothing for so long is stuck. What goes to a client comes in pieces of 64 KiB, which take a slow one seconds.
const STUCK: Duration = Duration::from_secs(10);

/// One reader of a snapshot, or several that are looked at as one.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The span that is not over yet began then.
    since: Instant,
    taken: usize,
    /// In the span before it.
    was_slow: bool,
    /// It took something last.
    taken_at: Instant,
}

impl Reading {
    /// It begins to read.
    pub(crate) const fn new(now: Instant) -> Self {
        Self { since: now, taken: 0, was_slow: false, taken_at: now }
    }

    /// It took so many bytes.
    pub(crate) fn note_taken(&mut self, bytes: usize, now: Instant) {
        self.end_span(now);
        self.taken += bytes;
        self.taken_at = now;
    }

    /// Whether it takes nothing at all.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.taken_at) >= STUCK
    }

    /// Whether it was slow in the last whole span.
    pub(crate) fn is_slow(&mut self, now: Instant) -> bool {
        self.end_span(now);
        self.was_slow
    }

    /// When it may be another than it is: after each call above.
    pub(crate) fn poll_timeout(&self) -> Instant {
        self.since + SPAN
    }

    fn end_span(&mut self, now: Instant) {
        if now.saturating_duration_since(self.since) >= SPAN {
            self.was_slow = self.taken < LEAST_BYTES;
            (self.since, self.taken) = (now, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::drive::now;

    const MS: Duration = Duration::from_millis(1);

    /// Reads at so many bytes a second until `ms`, then for as long at another rate.
    fn slow_at(rates: [usize; 2], ms: u32) -> [bool; 2] {
        let t0 = now();
        let mut reading = Reading::new(t0);
        let mut verdicts = [false; 2];
        for (part, rate) in (0..).zip(rates) {
            for step in 0..ms / 10 {
                reading.note_taken(rate / 100, t0 + MS * (part * ms + step * 10));
            }
            verdicts[part as usize] = reading.is_slow(t0 + MS * (part + 1) * ms);
        }
        verdicts
    }

    #[test]
    fn who_takes_less_than_a_quarter_of_a_mebibyte_a_second_is_slow_after_two_seconds() {
        assert_eq!(slow_at([90_000, 90_000], 2000), [true, true], "a phone in a tunnel");
        assert_eq!(slow_at([90_000, 90_000], 1000), [false, true], "it has its two seconds");
        assert_eq!(slow_at([0, 0], 2000), [true, true], "one that is stuck");
        assert_eq!(slow_at([400_000, 400_000], 4000), [false, false]);
        assert_eq!(slow_at([400_000, 90_000], 4000), [false, true], "it drove into the tunnel");
        assert_eq!(slow_at([90_000, 400_000], 6000), [true, false], "it came out again");
    }
}
