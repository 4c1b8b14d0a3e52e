//! How fast a client draws, and how much may be on its way to it, from its acknowledgements. Must not know what is sent.
//!
//! As in congestion control by delay (RFC 6817): while acknowledgements come about as soon as they ever did, more may be
//! on its way; once they come later, the client, or the way to it, is what everything waits for, and what arrives then is
//! its rate.

use std::time::{Duration, Instant};

use super::flight::Drawn;

/// On its way before anything is known of the client, in bytes: a full screen, and no more than two seconds at 16 kbit/s.
pub(super) const FIRST_LIMIT: u64 = 4 << 10;
/// On its way at least, in bytes: less would be all headers.
pub(super) const MIN_LIMIT: u64 = 512;
/// What any client may have on its way (PROTOCOL section 6), in bytes; more only at a rate that draws it within
/// [`MOST_TIME`].
pub(super) const MIN_BOUND: u64 = 16 << 10;
const MOST_TIME: Duration = Duration::from_millis(100);
/// What lies waiting before a client whose rate is known: enough that it never runs dry between two acknowledgements.
const WAITING: Duration = Duration::from_millis(75);
/// An acknowledgement so much later than the soonest ever has waited behind others. Clients collect them for 50 ms.
const WAITED: Duration = Duration::from_millis(60);
/// How long the soonest acknowledgement is remembered: between once and twice this.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Fewer bytes say nothing of a rate: a lost packet makes any time of one key's echo.
const MIN_SAMPLE: u64 = 256;

/// Bytes per second.
pub(super) type Rate = u64;

/// Whether more could have been sent than was.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sending {
    /// There was no more.
    All,
    /// More waits for [`Pace::limit`].
    Limited,
    /// More waits for the client's own window.
    Windowed,
}

/// What is known of one client's drawing.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Option<Rate>,
    /// The fastest it has acknowledged since it was last held up: more may be on its way for it.
    peak: Rate,
    limit: u64,
    soonest: Soonest,
}

impl Pace {
    pub(super) const fn new() -> Self {
        Self { rate: None, peak: 0, limit: FIRST_LIMIT, soonest: Soonest { now: None, before: None } }
    }

    /// How fast it draws; none: faster than anything it was sent, as far as it is known.
    pub(super) const fn rate(&self) -> Option<Rate> {
        self.rate
    }

    /// Bytes that may be on their way.
    pub(super) const fn limit(&self) -> u64 {
        self.limit
    }

    /// The shortest time from sending to acknowledgement.
    pub(super) fn round_trip(&self) -> Duration {
        self.soonest.get().unwrap_or_default()
    }

    /// An acknowledgement came.
    pub(super) fn note_drawn(&mut self, drawn: Drawn, sending: Sending, now: Instant) {
        self.soonest.note(drawn.took, now);
        let soonest = self.round_trip();
        let waited = drawn.took.saturating_sub(soonest);
        let sample = rate(drawn.bytes, drawn.within);
        if waited > WAITED {
            if drawn.bytes >= MIN_SAMPLE {
                let sample = if drawn.from_idle { rate(drawn.bytes, waited) } else { sample };
                self.peak = self.settle(sample);
                self.limit = bytes_in(soonest + WAITING, self.peak);
            }
        } else {
            // All that holds it up may be the window, or the bound, where that hardly grows any more: with a round trip of
            // just under its time it grows by a few per cent each, for seconds.
            let bound = self.limit >= self.bound() && sample <= self.peak + self.peak / 16;
            let stuck = sending == Sending::Windowed || sending == Sending::Limited && bound;
            self.rate = self.rate.map(|rate| rate.max(sample));
            self.peak = self.peak.max(sample);
            if sending == Sending::Limited {
                // As much again: it doubles with each round trip.
                self.limit += drawn.bytes;
            }
            if stuck && drawn.bytes >= MIN_SAMPLE {
                self.settle(sample);
            }
        }
        self.limit = self.limit.clamp(MIN_LIMIT, self.bound());
    }

    /// The most that PROTOCOL allows.
    fn bound(&self) -> u64 {
        bytes_in(MOST_TIME, self.peak).max(MIN_BOUND)
    }

    fn settle(&mut self, sample: Rate) -> Rate {
        let rate = self.rate.map_or(sample, |rate| (3 * rate + sample) / 4).max(1);
        self.rate = Some(rate);
        rate
    }
}

/// The shortest of some times, of late.
#[derive(Debug)]
struct Soonest {
    now: Option<(Duration, Instant)>,
    before: Option<Duration>,
}

impl Soonest {
    fn note(&mut self, took: Duration, now: Instant) {
        match &mut self.now {
            Some((soonest, since)) if now.saturating_duration_since(*since) < REMEMBERED => {
                *soonest = took.min(*soonest);
            }
            Some((soonest, since)) => {
                self.before = Some(*soonest);
                (*soonest, *since) = (took, now);
            }
            None => self.now = Some((took, now)),
        }
    }

    fn get(&self) -> Option<Duration> {
        let now = self.now.map(|(soonest, _)| soonest);
        self.before.into_iter().chain(now).min()
    }
}

/// How long `bytes` take at `rate`; at most a day.
pub(super) fn time_for(bytes: u64, rate: Rate) -> Duration {
    let micros = bytes.saturating_mul(1_000_000) / rate.max(1);
    Duration::from_micros(micros).min(Duration::from_secs(86_400))
}

/// The rate of so many bytes within this time.
pub(super) fn rate(bytes: u64, within: Duration) -> Rate {
    let micros = u64::try_from(within.as_micros()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1_000_000) / micros
}

/// How many bytes come within this time.
pub(super) fn bytes_in(within: Duration, rate: Rate) -> u64 {
    let micros = u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
    rate.saturating_mul(micros) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_client_that_answers_at_once_may_have_twice_as_much_on_its_way_each_time() {
        let mut pace = Pace::new();
        for round in 0..8 {
            let bytes = pace.limit();
            pace.note_drawn(answered(bytes, 20 * MS), Sending::Limited, t0() + round * 20 * MS);
            assert_eq!((pace.limit(), pace.rate()), (2 * bytes, None));
        }
        // What it is sent less often is no reason to send less.
        pace.note_drawn(answered(1, 20 * MS), Sending::All, t0() + 9000 * MS);
        assert_eq!((pace.limit(), pace.rate()), (FIRST_LIMIT << 8, None));
    }

    #[test]
    fn the_bound_of_the_protocol_is_kept_at_any_distance() {
        let mut pace = Pace::new();
        for round in 0..100 {
            let bytes = pace.limit();
            pace.note_drawn(answered(bytes, 400 * MS), Sending::Limited, t0() + round * 400 * MS);
            assert!(pace.limit() <= MIN_BOUND, "{}", pace.limit());
        }
        assert_eq!(pace.limit(), MIN_BOUND);
        // 16 KiB in 400 ms: that is what it can draw, however fast it may be.
        assert!((40_000..42_000).contains(&pace.rate().unwrap()), "{:?}", pace.rate());
    }

    #[test]
    fn answers_that_come_late_tell_the_rate_and_bring_the_limit_down() {
        let mut pace = Pace::new();
        pace.note_drawn(answered(4096, 10 * MS), Sending::Limited, t0());
        for round in 1..20 {
            let late = Drawn { bytes: 8192, within: 1000 * MS, took: 1000 * MS, from_idle: false };
            pace.note_drawn(late, Sending::Limited, t0() + round * 1000 * MS);
        }
        assert_eq!(pace.rate(), Some(8192));
        assert_eq!(pace.limit(), 8192 * 85 / 1000);
        // It became fast again.
        pace.note_drawn(answered(512, 10 * MS), Sending::Limited, t0() + 20_000 * MS);
        assert_eq!(pace.rate(), Some(51_200));
    }

    /// The story: the echo of one key behind a lost packet made a client look as slow as five bytes a second.
    #[test]
    fn the_late_echo_of_a_key_says_nothing_of_the_rate() {
        let mut pace = Pace::new();
        pace.note_drawn(answered(1, 10 * MS), Sending::All, t0());
        pace.note_drawn(answered(1, 900 * MS), Sending::All, t0() + 1000 * MS);
        assert_eq!((pace.rate(), pace.limit()), (None, FIRST_LIMIT));
    }

    /// All of these bytes at once, from idle, acknowledged after that time.
    fn answered(bytes: u64, took: Duration) -> Drawn {
        Drawn { bytes, within: took, took, from_idle: true }
    }
}
