//! What was sent to a client that acknowledges, and is not acknowledged yet. Must not know what to send next.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use devpocket_shared::ids::Offset;

/// Stretches told apart; of more, the oldest are counted as one.
const MAX_STRETCHES: usize = 64;

/// What a frame takes of the way beside what it carries: headers of ours, of WebSocket and of what is below. A program that
/// prints byte by byte would fill a slow way with them.
const FRAME_BYTES: u64 = 32;

/// A stretch of output, or a snapshot, on its way.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// First byte; a snapshot's is its end.
    from: Offset,
    end: Offset,
    /// What it takes of the way, headers included.
    bytes: u64,
    at: Instant,
    /// Bytes drawn before it was sent, and when the last of them were; when nothing was on its way, when it was sent.
    drawn: u64,
    drawn_at: Instant,
    from_idle: bool,
    /// A snapshot counts as drawn from then on, acknowledged or not: not every client acknowledges what is no output.
    forgiven_at: Option<Instant>,
}

/// What an acknowledgement says about the way to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Drawn {
    /// So many bytes were drawn ...
    pub(super) bytes: u64,
    /// ... within this time.
    pub(super) within: Duration,
    /// From sending the newest of them to this acknowledgement.
    pub(super) took: Duration,
    /// Nothing was on its way before them: the time holds a whole round trip.
    pub(super) from_idle: bool,
}

/// Everything on its way to one client.
#[derive(Debug, Default)]
pub(super) struct Flight {
    sent: VecDeque<Sent>,
    drawn: u64,
    drawn_at: Option<Instant>,
}

impl Flight {
    /// Output was sent.
    pub(super) fn send_output(&mut self, from: Offset, bytes: u64, now: Instant) {
        self.push(from, from.plus(bytes), bytes + FRAME_BYTES, None, now);
    }

    /// A snapshot of `at` was sent.
    pub(super) fn send_snapshot(&mut self, at: Offset, bytes: u64, forgiven_at: Instant, now: Instant) {
        self.push(at, at, bytes + FRAME_BYTES, Some(forgiven_at), now);
    }

    /// The client has drawn everything up to `offset`.
    pub(super) fn acknowledge(&mut self, offset: Offset, now: Instant) -> Option<Drawn> {
        let mut newest = None;
        while let Some(first) = self.sent.front_mut() {
            if first.end <= offset && first.forgiven_at.is_some_and(|at| at <= now) {
                // It was given up waiting for: when it was drawn nobody knows.
                self.sent.pop_front();
            } else if first.end <= offset {
                self.drawn += first.bytes;
                newest = self.sent.pop_front();
            } else {
                if first.from < offset {
                    let bytes = offset.since(first.from).min(first.bytes);
                    self.drawn += bytes;
                    first.bytes -= bytes;
                    first.from = offset;
                    newest = Some(*first);
                }
                break;
            }
        }
        let newest = newest?;
        self.drawn_at = Some(now);
        Some(Drawn {
            bytes: self.drawn - newest.drawn,
            within: now.saturating_duration_since(newest.drawn_at),
            took: now.saturating_duration_since(newest.at),
            from_idle: newest.from_idle,
        })
    }

    /// Bytes on their way, as far as one has to reckon with them.
    pub(super) fn bytes(&self, now: Instant) -> u64 {
        self.sent
            .iter()
            .filter(|sent| sent.forgiven_at.is_none_or(|at| now < at))
            .map(|sent| sent.bytes)
            .sum()
    }

    /// When [`Flight::bytes`] falls next without an acknowledgement.
    pub(super) fn forgives_next(&self, now: Instant) -> Option<Instant> {
        self.sent.iter().filter_map(|sent| sent.forgiven_at).filter(|at| *at > now).min()
    }

    /// Forgets snapshots that are forgiven; where none are, counts the two oldest stretches as one.
    fn make_room(&mut self, now: Instant) {
        let before = self.sent.len();
        self.sent.retain(|sent| sent.forgiven_at.is_none_or(|at| now < at));
        if self.sent.len() == before
            && let Some(oldest) = self.sent.pop_front()
            && let Some(next) = self.sent.front_mut()
        {
            let (end, bytes) = (next.end, next.bytes + oldest.bytes);
            let forgiven_at = oldest.forgiven_at.and(next.forgiven_at);
            *next = Sent { end, bytes, forgiven_at, ..oldest };
        }
    }

    fn push(&mut self, from: Offset, end: Offset, bytes: u64, forgiven_at: Option<Instant>, now: Instant) {
        if self.sent.len() >= MAX_STRETCHES {
            self.make_room(now);
        }
        let from_idle = self.sent.is_empty();
        let drawn_at = self.drawn_at.filter(|_| !from_idle).unwrap_or(now);
        let drawn = self.drawn;
        self.sent.push_back(Sent { from, end, bytes, at: now, drawn, drawn_at, from_idle, forgiven_at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn an_acknowledgement_says_how_much_was_drawn_since_the_newest_was_sent() {
        let mut flight = Flight::default();
        flight.send_output(Offset(0), 1000, t0());
        flight.send_output(Offset(1000), 1000, t0());
        assert_eq!(flight.bytes(t0()), 2000 + 2 * FRAME_BYTES);
        let half = flight.acknowledge(Offset(1500), t0() + 100 * MS).unwrap();
        assert_eq!((half.bytes, half.within, half.from_idle), (1500 + FRAME_BYTES, 100 * MS, false));
        assert_eq!(flight.bytes(t0()), 500 + FRAME_BYTES);
        flight.send_output(Offset(2000), 700, t0() + 110 * MS);
        let rest = flight.acknowledge(Offset(2700), t0() + 200 * MS).unwrap();
        assert_eq!((rest.bytes, rest.within, rest.took), (1200 + 2 * FRAME_BYTES, 100 * MS, 90 * MS));
        assert_eq!(flight.acknowledge(Offset(2700), t0() + 300 * MS), None);
        assert_eq!(flight.bytes(t0()), 0);
    }

    #[test]
    fn time_in_which_nothing_was_on_its_way_does_not_count() {
        let mut flight = Flight::default();
        flight.send_output(Offset(0), 10, t0());
        flight.acknowledge(Offset(10), t0() + MS);
        flight.send_output(Offset(10), 10, t0() + 5000 * MS);
        let drawn = flight.acknowledge(Offset(20), t0() + 5004 * MS).unwrap();
        let bytes = 10 + FRAME_BYTES;
        assert_eq!(drawn, Drawn { bytes, within: 4 * MS, took: 4 * MS, from_idle: true });
    }

    #[test]
    fn a_snapshot_counts_until_it_is_acknowledged_or_forgiven() {
        let mut flight = Flight::default();
        flight.send_snapshot(Offset(100), 300 - FRAME_BYTES, t0() + 50 * MS, t0());
        assert_eq!((flight.bytes(t0()), flight.forgives_next(t0())), (300, Some(t0() + 50 * MS)));
        assert_eq!((flight.bytes(t0() + 50 * MS), flight.forgives_next(t0() + 50 * MS)), (0, None));
        flight.send_output(Offset(100), 5, t0());
        assert_eq!(flight.acknowledge(Offset(100), t0() + MS).map(|drawn| drawn.bytes), Some(300));
        assert_eq!(flight.bytes(t0()), 5 + FRAME_BYTES);
    }

    /// The story: a client that acknowledged no snapshot seemed to have drawn megabytes at once with its next output.
    #[test]
    fn a_snapshot_that_was_forgiven_says_nothing_of_a_rate() {
        let mut flight = Flight::default();
        flight.send_snapshot(Offset(100), 13_000_000, t0(), t0());
        flight.send_output(Offset(100), 1000, t0() + MS);
        let drawn = flight.acknowledge(Offset(1100), t0() + 100 * MS).unwrap();
        assert_eq!(drawn.bytes, 1000 + FRAME_BYTES);
    }

    #[test]
    fn any_number_of_sends_takes_a_bounded_memory() {
        let mut flight = Flight::default();
        for round in 0..100_000 {
            flight.send_output(Offset(round), 1, t0());
            if round % 1000 == 0 {
                flight.send_snapshot(Offset(round + 1), 9, t0(), t0());
            }
            assert!(flight.sent.len() <= MAX_STRETCHES);
        }
        flight.acknowledge(Offset(100_000), t0());
        assert_eq!(flight.bytes(t0()), 0);
    }
}
