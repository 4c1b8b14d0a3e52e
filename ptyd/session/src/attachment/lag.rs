//! When a client that is behind gets a snapshot in place of what it missed: by what it can draw, and by what either costs.
//! Must not know how it is measured what a client can draw.

use std::time::{Duration, Instant};

use super::pace::{self, Rate};

/// Further behind than it draws in this time, a client is sent a snapshot (PROTOCOL section 6).
const BEHIND: Duration = Duration::from_millis(500);
/// So many bytes are never far behind.
const NEAR_BYTES: u64 = 512;
/// Shortest time from one snapshot to the next: nobody sees more pictures than these, and each has to be drawn up.
const BETWEEN: Duration = Duration::from_millis(20);
/// How long the size of a snapshot is taken for that of the next.
const SIZED: Duration = Duration::from_millis(100);
/// How long an acknowledgement of a snapshot is waited for, beside what it takes; twice as long after each in vain.
const UNANSWERED: Duration = Duration::from_millis(250);
const MOST_DOUBLINGS: u32 = 4;

/// Snapshots of one client.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// It was far behind, and has not been brought up yet.
    lagging: bool,
    /// The size of the last one drawn up, in bytes, and when that was.
    sized: Option<(u64, Instant)>,
    /// The last one was sent then, and is likely drawn then.
    sent: Option<(Instant, Instant)>,
    /// Sent since something was acknowledged.
    unanswered: u32,
}

/// What helps a client that is behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Remedy {
    /// What it missed.
    Replay,
    /// A snapshot.
    Snapshot,
}

impl Lag {
    /// What to send a client that has `missed` so many bytes, `under_way` beside them, and draws at `rate`.
    pub(super) fn remedy(&mut self, missed: u64, under_way: u64, rate: Option<Rate>, now: Instant) -> Remedy {
        let far = |rate| missed + under_way > pace::bytes_in(BEHIND, rate).max(NEAR_BYTES);
        self.lagging |= rate.is_some_and(far);
        // Right after a snapshot nothing was missed; whether it is over shows when the next may go.
        if self.waits_until(now).is_none() {
            let cheaper = self.size(now).is_none_or(|bytes| bytes < missed);
            self.lagging &= missed > 0 && cheaper;
        }
        if self.lagging { Remedy::Snapshot } else { Remedy::Replay }
    }

    /// The size of a snapshot, if one was drawn up lately.
    pub(super) fn size(&self, now: Instant) -> Option<u64> {
        self.sized.filter(|(_, at)| now.saturating_duration_since(*at) < SIZED).map(|(bytes, _)| bytes)
    }

    /// A snapshot of this size was drawn up.
    pub(super) fn note_size(&mut self, bytes: u64, now: Instant) {
        self.sized = Some((bytes, now));
    }

    /// It was sent, and takes so long to be drawn, as far as one knows. Gives when it counts as drawn, acknowledged or not.
    pub(super) fn note_sent(&mut self, takes: Duration, round_trip: Duration, now: Instant) -> Instant {
        self.sent = Some((now, now + takes.max(BETWEEN)));
        let patience = UNANSWERED + round_trip + 2 * takes;
        let doubled = patience * (1 << self.unanswered.min(MOST_DOUBLINGS));
        self.unanswered += 1;
        now + doubled
    }

    /// Something was acknowledged; `all`: everything there was.
    pub(super) fn note_answer(&mut self, all: bool) {
        self.unanswered = 0;
        if let Some((at, drawn)) = &mut self.sent
            && all
        {
            *drawn = *at + BETWEEN;
        }
    }

    /// When the last one is likely drawn; none: it is, or there was none.
    pub(super) fn waits_until(&self, now: Instant) -> Option<Instant> {
        self.sent.map(|(_, drawn)| drawn).filter(|drawn| now < *drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn half_a_second_of_drawing_is_far_behind() {
        let check = |missed, under_way, rate, expected| {
            assert_eq!(
                Lag::default().remedy(missed, under_way, rate, t0()),
                expected,
                "{missed} at {rate:?}"
            );
        };
        check(60_000, 2_000, Some(125_000), Remedy::Replay);
        check(60_000, 3_000, Some(125_000), Remedy::Snapshot);
        check(u64::MAX / 2, 0, None, Remedy::Replay);
        check(0, 9_000, Some(2_000), Remedy::Replay);
        check(500, 0, Some(1), Remedy::Replay);
    }

    #[test]
    fn what_was_missed_is_sent_where_a_snapshot_is_not_smaller() {
        let mut lag = Lag::default();
        assert_eq!(lag.remedy(3000, 0, Some(2000), t0()), Remedy::Snapshot);
        lag.note_size(3000, t0());
        assert_eq!(lag.remedy(3000, 0, Some(2000), t0()), Remedy::Replay);
        assert_eq!(lag.remedy(3001, 0, Some(2000), t0()), Remedy::Snapshot);
        // The screen has changed since.
        assert_eq!(lag.remedy(2000, 0, Some(2000), t0() + SIZED), Remedy::Snapshot);
    }

    /// The story: a flood ended, and what was left of it took just under half a second: a prompt came after all of it.
    #[test]
    fn a_client_far_behind_is_brought_up_by_snapshots_to_the_end() {
        let mut lag = Lag::default();
        assert_eq!(lag.remedy(1 << 20, 0, Some(125_000), t0()), Remedy::Snapshot);
        lag.note_size(300, t0());
        assert_eq!(lag.remedy(20_000, 0, Some(125_000), t0()), Remedy::Snapshot);
        assert_eq!(lag.remedy(250, 0, Some(125_000), t0()), Remedy::Replay);
        assert_eq!(lag.remedy(20_000, 0, Some(125_000), t0()), Remedy::Replay);
    }

    #[test]
    fn the_next_snapshot_waits_until_the_last_is_likely_drawn() {
        let mut lag = Lag::default();
        assert_eq!(lag.waits_until(t0()), None);
        lag.note_sent(300 * MS, 10 * MS, t0());
        assert_eq!(lag.waits_until(t0()), Some(t0() + 300 * MS));
        lag.note_answer(false);
        assert_eq!(lag.waits_until(t0()), Some(t0() + 300 * MS));
        lag.note_answer(true);
        assert_eq!(lag.waits_until(t0()), Some(t0() + BETWEEN));
        assert_eq!(lag.waits_until(t0() + BETWEEN), None);
    }

    #[test]
    fn who_never_answers_is_sent_fewer_and_fewer() {
        let mut lag = Lag::default();
        let waits: Vec<_> =
            (0..7).map(|_| lag.note_sent(Duration::ZERO, Duration::ZERO, t0()) - t0()).collect();
        let expected = [250, 500, 1000, 2000, 4000, 4000, 4000].map(Duration::from_millis);
        assert_eq!(waits, expected);
        lag.note_answer(false);
        assert_eq!(lag.note_sent(Duration::ZERO, Duration::ZERO, t0()), t0() + UNANSWERED);
    }
}
