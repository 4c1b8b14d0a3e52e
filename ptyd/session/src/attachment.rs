//! What one client on one session is sent next. It decides from what is held, what was acknowledged and what time it is;
//! it knows no socket, no clock, and none of the bytes.

use std::ops::Range;
use std::time::{Duration, Instant};

use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::{Attach, Delivery, Resume, SnapshotReason};

use crate::region::Region;

/// How long a lossless client without progress holds the program back (PROTOCOL section 6).
pub const STALL_LIMIT: Duration = Duration::from_secs(10);

/// The smallest window: a UTF-8 character, which a JSON client gets, and so acknowledges, only whole.
pub const MIN_WINDOW_BYTES: u64 = 4;

/// What to send next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outgoing {
    /// Held output.
    Output {
        /// Its first byte.
        offset: Offset,
        /// How many bytes.
        len: usize,
    },
    /// A snapshot at the end of what is held.
    Snapshot(SnapshotReason),
    /// The terminal's size changed here.
    Resized {
        /// Bytes before it belong to the old size.
        offset: Offset,
        /// The new size.
        size: TerminalSize,
    },
}

/// The session as one attachment sees it from its cursor.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct View {
    /// The output held.
    pub held: Range<Offset>,
    /// The terminal's size at the cursor.
    pub size_here: TerminalSize,
    /// Where after the cursor it changes next.
    pub next_change: Option<Offset>,
    /// The terminal's size at the end of what is held.
    pub size_now: TerminalSize,
}

impl<M: AsRef<[u8]> + AsMut<[u8]>> Region<M> {
    /// The session as seen from `cursor`.
    pub fn view(&self, cursor: Offset) -> View {
        View {
            held: self.held(),
            size_here: self.size_at(cursor),
            next_change: self.next_size_change(cursor),
            size_now: self.size(),
        }
    }
}

/// One client on one session.
#[derive(Debug)]
pub struct Attachment {
    /// Next byte to send.
    cursor: Offset,
    /// Up to here the client has drawn, as far as it said.
    acked: Offset,
    /// Most bytes sent beyond `window_from`.
    window: Option<u64>,
    /// The last ack, or the last snapshot if that is further on: a snapshot opens the window again.
    window_from: Offset,
    delivery: Delivery,
    /// The hold counts from the last ack, not from what was sent.
    holds_from_ack: bool,
    /// A snapshot is due.
    snapshot: Option<SnapshotReason>,
    /// The size the client was told last.
    told_size: TerminalSize,
    /// Since when a lossless client has been behind without progress.
    stalled_since: Option<Instant>,
    /// The transport has not taken everything that was handed to it.
    in_transport: bool,
    /// It was behind for too long: it holds nothing back until it has drawn up to here.
    released_until: Option<Offset>,
}

impl Attachment {
    /// Begins an attachment and says how it goes on. `fresh`: the session was made by this very request.
    pub fn new<M: AsRef<[u8]> + AsMut<[u8]>>(
        attach: &Attach,
        region: &Region<M>,
        fresh: bool,
    ) -> (Self, Resume) {
        let held = region.held();
        let (resume, cursor) = match attach.offset {
            _ if fresh => (Resume::Fresh, Offset(0)),
            Some(offset) if held.start <= offset && offset <= held.end => (Resume::Replay, offset),
            Some(_) | None => (Resume::Snapshot, held.end),
        };
        let attachment = Self {
            cursor,
            acked: cursor,
            window: attach.window.map(|window| window.clamp(MIN_WINDOW_BYTES, region.ring_bytes() / 2)),
            delivery: attach.delivery,
            holds_from_ack: attach.client_id.is_some() && attach.window.is_some(),
            snapshot: (resume == Resume::Snapshot).then_some(SnapshotReason::Attach),
            told_size: region.size_at(cursor),
            stalled_since: None,
            in_transport: false,
            released_until: None,
            window_from: cursor,
        };
        (attachment, resume)
    }

    /// The transport took bytes; `all` that were handed to it, or only some.
    pub fn handle_written(&mut self, all: bool, now: Instant) {
        self.in_transport = !all;
        if !self.holds_from_ack && self.stalled_since.is_some() {
            self.stalled_since = (!all).then_some(now);
        }
    }

    /// The client has drawn the output up to `offset`. What it cannot have seen yet counts for nothing.
    pub fn handle_ack(&mut self, offset: Offset, now: Instant) {
        let offset = offset.min(self.cursor);
        if offset <= self.acked {
            return;
        }
        self.acked = offset;
        self.window_from = self.window_from.max(offset);
        if self.holds_from_ack && self.stalled_since.is_some() {
            self.stalled_since = (offset < self.cursor).then_some(now);
        }
        if self.window.is_some() {
            self.released_until = self.released_until.filter(|until| offset < *until);
        }
    }

    /// What to send next, at most `most` bytes of it; none: nothing now. `view` is the session seen from
    /// [`Attachment::cursor`].
    pub fn poll_send(&mut self, view: &View, most: usize, now: Instant) -> Option<Outgoing> {
        if self.snapshot.is_none() && self.cursor < view.held.start && self.may_lag() {
            self.snapshot = Some(SnapshotReason::Lagged);
        }
        if let Some(reason) = self.snapshot.take() {
            self.cursor = view.held.end;
            self.window_from = self.cursor;
            self.released_until = self.released_until.map(|_| self.cursor);
            if reason == SnapshotReason::Attach {
                // The client has just come: it holds from here on.
                self.acked = self.cursor;
            }
            self.told_size = view.size_now;
            self.stalled_since = None;
            self.in_transport = true;
            return Some(Outgoing::Snapshot(reason));
        }
        if self.cursor < view.held.start {
            return None;
        }
        self.note_stall(&view.held, now);
        if self.told_size != view.size_here {
            self.told_size = view.size_here;
            return Some(Outgoing::Resized { offset: self.cursor, size: view.size_here });
        }
        let until = view.next_change.map_or(view.held.end, |at| at.min(view.held.end));
        let until = self.window.map_or(until, |window| until.min(self.window_from.plus(window)));
        let len = until.since(self.cursor).min(most as u64);
        if len == 0 {
            return None;
        }
        let offset = self.cursor;
        self.cursor = self.cursor.plus(len);
        self.in_transport = true;
        if self.delivery == Delivery::Lossless && self.released_until.is_none() {
            // Handed over is not taken: the clock runs until the transport, or an ack, says so.
            let running = if self.holds_from_ack { self.stalled_since } else { None };
            self.stalled_since = Some(running.unwrap_or(now));
        }
        Some(Outgoing::Output { offset, len: crate::ring::as_usize(len) })
    }

    /// Lets go of the program when the client has been stuck too long; too early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.stalled_since.is_some_and(|since| now.saturating_duration_since(since) >= STALL_LIMIT) {
            self.stalled_since = None;
            self.released_until = Some(self.cursor);
        }
    }

    /// When [`Attachment::handle_timeout`] is next due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.stalled_since.map(|since| since + STALL_LIMIT)
    }

    /// The first byte that must be kept for this client; none: it holds nothing back.
    pub fn hold(&self) -> Option<Offset> {
        let lossless = self.delivery == Delivery::Lossless && self.released_until.is_none();
        let lossless = lossless && self.snapshot.is_none();
        lossless.then_some(if self.holds_from_ack { self.acked } else { self.cursor })
    }

    /// The hold that goes on when the connection ends: only where the client can come back to it.
    pub fn lingering_hold(&self) -> Option<Offset> {
        self.hold().filter(|_| self.holds_from_ack)
    }

    /// Everything up to here was handed to the transport.
    pub fn cursor(&self) -> Offset {
        self.cursor
    }

    /// The window in force, in bytes.
    pub fn window(&self) -> Option<u64> {
        self.window
    }

    /// Whether a snapshot may be sent to a client whose bytes are gone: one that gave a window must have drawn the last
    /// snapshot, and have room. Otherwise a client that is stuck would be sent one after the other.
    fn may_lag(&self) -> bool {
        let Some(window) = self.window else { return true };
        self.acked >= self.window_from && self.cursor.since(self.acked) < window
    }

    fn note_stall(&mut self, held: &Range<Offset>, now: Instant) {
        let reached = if self.holds_from_ack { self.acked } else { self.cursor };
        // Everything handed over is not everything taken: a client that stops just then is stuck all the same.
        let taken = self.holds_from_ack || !self.in_transport;
        if reached >= held.end && taken {
            self.stalled_since = None;
        } else if self.delivery == Delivery::Lossless
            && self.released_until.is_none()
            && self.stalled_since.is_none()
        {
            self.stalled_since = Some(now);
        }
        // A snapshot that only fills the transport's buffers is no sign that the client reads.
        if self.window.is_none() && self.cursor >= held.end && !self.in_transport {
            self.released_until = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use devpocket_shared::ids::ClientId;
    use devpocket_shared::wire::AttachMode;
    use proptest::prelude::*;

    use super::*;
    use crate::region::{MIN_RING_BYTES, region_bytes};
    use crate::test_clock::t0;

    #[test]
    fn an_offset_that_is_held_is_replayed_and_any_other_gets_a_snapshot() {
        let region = region_after(3_000_000);
        let held = region.held();
        let check = |offset: Option<u64>, expected| {
            let attach = Attach { offset: offset.map(Offset), ..plain() };
            let (mut attachment, resume) = Attachment::new(&attach, &region, false);
            assert_eq!(resume, expected, "attach at {offset:?}");
            (attachment.poll_send(&region.view(attachment.cursor()), 100, t0()), attachment.cursor())
        };
        assert_eq!(check(Some(held.start.0), Resume::Replay).0, output(held.start.0, 100));
        assert_eq!(check(Some(held.end.0), Resume::Replay), (None, held.end));
        for offset in [None, Some(0), Some(held.start.0 - 1), Some(held.end.0 + 1), Some(u64::MAX)] {
            let expected = (Some(Outgoing::Snapshot(SnapshotReason::Attach)), held.end);
            assert_eq!(check(offset, Resume::Snapshot), expected);
        }
    }

    #[test]
    fn never_more_than_the_window_is_sent_beyond_the_last_ack() {
        let mut attachment = fresh(&windowed(1000));
        let view = held(0..5000);
        assert_eq!(attachment.poll_send(&view, 600, t0()), output(0, 600));
        assert_eq!(attachment.poll_send(&view, 600, t0()), output(600, 400));
        assert_eq!(attachment.poll_send(&view, 600, t0()), None);
        attachment.handle_ack(Offset(100), t0());
        assert_eq!(attachment.poll_send(&view, 600, t0()), output(1000, 100));
        attachment.handle_ack(Offset(u64::MAX), t0());
        assert_eq!(attachment.poll_send(&view, 600, t0()), output(1100, 600));
    }

    #[test]
    fn the_window_in_force_is_at_most_half_the_ring() {
        for (asked, expected) in [(0, 4), (1, 4), (5, 5), (u64::MAX, MIN_RING_BYTES / 2)] {
            assert_eq!(fresh(&windowed(asked)).window(), Some(expected));
        }
    }

    #[test]
    fn a_stuck_lossless_client_holds_the_program_back_for_ten_seconds_only() {
        let mut phone = fresh(&windowed(1000));
        assert_eq!(phone.poll_send(&held(0..5000), 1000, t0()), output(0, 1000));
        assert_eq!(phone.hold(), Some(Offset(0)));
        let later = t0() + Duration::from_secs(1);
        phone.handle_ack(Offset(500), later);
        assert_eq!(phone.hold(), Some(Offset(500)));
        phone.poll_send(&held(0..5000), 1000, later);
        assert_eq!(phone.poll_timeout(), Some(later + STALL_LIMIT));
        phone.handle_timeout(later + STALL_LIMIT);
        assert_eq!(phone.hold(), None);
        // Caught up, it is lossless again.
        phone.handle_ack(Offset(1500), t0());
        assert_eq!(phone.hold(), Some(Offset(1500)));
    }

    /// The story: a snapshot counted as drawn, so a stuck client held the program again at each, a ring every ten seconds.
    #[test]
    fn a_stuck_client_gets_no_snapshot_and_holds_nothing_until_it_moves_again() {
        let mut phone = fresh(&windowed(1000));
        phone.poll_send(&held(0..5000), 1000, t0());
        phone.handle_timeout(t0() + STALL_LIMIT);
        let gone = held(7000..9000);
        assert_eq!(phone.poll_send(&gone, 1000, t0()), None);
        assert_eq!(phone.hold(), None);
        // It moves: the snapshot is due, and only one until it has drawn that too.
        phone.handle_ack(Offset(500), t0());
        assert_eq!(phone.poll_send(&gone, 1000, t0()), Some(Outgoing::Snapshot(SnapshotReason::Lagged)));
        assert_eq!(phone.poll_send(&held(17_000..19_000), 1000, t0()), None);
        assert_eq!(phone.hold(), None);
        phone.handle_ack(Offset(9000), t0());
        assert_eq!(phone.hold(), Some(Offset(9000)));
        let snapshot = phone.poll_send(&held(17_000..19_000), 1000, t0());
        assert_eq!(snapshot, Some(Outgoing::Snapshot(SnapshotReason::Lagged)));
    }

    /// The story: the transport got stuck with the last bytes there were. The client counted as caught up, nothing ran, and
    /// the program was held for ever.
    #[test]
    fn a_transport_stuck_with_the_very_last_bytes_holds_for_ten_seconds_only() {
        let mut phone = fresh(&Attach { delivery: Delivery::Lossless, ..plain() });
        assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), output(0, 5000));
        assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), None);
        phone.handle_written(false, t0());
        assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), None);
        assert_eq!(phone.poll_timeout(), Some(t0() + STALL_LIMIT));
        phone.handle_timeout(t0() + STALL_LIMIT);
        assert_eq!(phone.hold(), None);
    }

    /// The story: what was handed to the transport counted as progress, so a client that stopped reading in the middle of
    /// it held the program until its connection died.
    #[test]
    fn a_client_without_window_whose_transport_is_stuck_holds_for_ten_seconds_only() {
        let mut phone = fresh(&Attach { delivery: Delivery::Lossless, ..plain() });
        phone.poll_send(&held(0..5000), 5000, t0());
        assert_eq!(phone.poll_timeout(), Some(t0() + STALL_LIMIT));
        let later = t0() + Duration::from_secs(3);
        phone.handle_written(false, later);
        assert_eq!(phone.poll_timeout(), Some(later + STALL_LIMIT));
        phone.handle_timeout(later + STALL_LIMIT);
        assert_eq!(phone.hold(), None);
        // A snapshot that only fills the transport's buffers does not make it hold again; having taken it all does.
        assert!(phone.poll_send(&held(7000..9000), 5000, later).is_some());
        phone.handle_written(false, later);
        assert_eq!(phone.poll_send(&held(7000..9000), 5000, later), None);
        assert_eq!(phone.hold(), None);
        phone.handle_written(true, later);
        assert_eq!(phone.poll_send(&held(7000..9000), 5000, later), None);
        assert_eq!(phone.hold(), Some(Offset(9000)));
    }

    #[test]
    fn a_client_that_has_everything_runs_against_no_clock() {
        for attach in [Attach { delivery: Delivery::Lossless, ..plain() }, windowed(10_000)] {
            let mut phone = fresh(&attach);
            phone.poll_send(&held(0..5000), 5000, t0());
            phone.handle_written(true, t0());
            phone.handle_ack(Offset(5000), t0());
            assert_eq!(phone.poll_timeout(), None);
        }
    }

    #[test]
    fn a_lossless_client_without_window_holds_from_what_was_sent_and_leaves_no_hold_behind() {
        let mut phone = fresh(&Attach { delivery: Delivery::Lossless, ..plain() });
        phone.poll_send(&held(0..5000), 1000, t0());
        assert_eq!((phone.hold(), phone.lingering_hold()), (Some(Offset(1000)), None));
    }

    #[test]
    fn a_client_whose_bytes_are_gone_gets_a_snapshot() {
        let mut phone = fresh(&plain());
        let gone = held(7000..9000);
        assert_eq!(phone.poll_send(&gone, 1000, t0()), Some(Outgoing::Snapshot(SnapshotReason::Lagged)));
        assert_eq!(phone.poll_send(&gone, 1000, t0()), None);
        assert_eq!(phone.cursor(), Offset(9000));
    }

    #[test]
    fn a_change_of_size_is_told_at_its_place_in_the_stream() {
        let mut phone = fresh(&plain());
        let size = TerminalSize::new(10, 20).unwrap();
        let before = View { next_change: Some(Offset(300)), size_now: size, ..held(0..1000) };
        assert_eq!(phone.poll_send(&before, 1000, t0()), output(0, 300));
        let after = View { size_here: size, size_now: size, ..held(0..1000) };
        assert_eq!(
            phone.poll_send(&after, 1000, t0()),
            Some(Outgoing::Resized { offset: Offset(300), size })
        );
        assert_eq!(phone.poll_send(&after, 1000, t0()), output(300, 700));
        assert_eq!(phone.poll_send(&after, 1000, t0()), None);
    }

    proptest! {
        /// Any order of reading, sending, acknowledging and coming back: every byte arrives once, in order, unless a
        /// snapshot says that some are left out; and never more than the window is on its way.
        #[test]
        fn no_byte_is_repeated_or_skipped(
            script in proptest::collection::vec((0..4_u8, 1..100_000_u64), 1..300), window in 1..600_000_u64,
        ) {
            let mut region = region_after(0);
            let attach = windowed(window);
            let (mut attachment, _) = Attachment::new(&attach, &region, true);
            let (mut received, mut acked) = (0, 0);
            for (action, amount) in script {
                match action {
                    0 => {
                        let len = region.space(attachment.hold()).len().min(usize::try_from(amount).unwrap());
                        region.commit(len);
                        region.show_all();
                    }
                    1 => match attachment.poll_send(&region.view(attachment.cursor()), 1 + amount as usize, t0()) {
                        Some(Outgoing::Output { offset, len }) => {
                            prop_assert_eq!(offset.0, received);
                            received += len as u64;
                            prop_assert!(received - acked <= attachment.window().unwrap().max(MIN_WINDOW_BYTES));
                            prop_assert!(region.held().end.0 >= received);
                        }
                        Some(other) => prop_assert!(false, "a held byte was given up: {:?}", other),
                        None => {}
                    },
                    2 => {
                        acked = acked.max(received.min(acked + amount));
                        attachment.handle_ack(Offset(acked), t0());
                    }
                    _ => {
                        let again = Attach { offset: Some(Offset(received)), ..attach.clone() };
                        let (next, resume) = Attachment::new(&again, &region, false);
                        prop_assert_eq!(resume, Resume::Replay);
                        attachment = next;
                        acked = received;
                    }
                }
            }
        }
    }

    fn region_after(bytes: u64) -> Region<Vec<u8>> {
        let memory = vec![0; crate::ring::as_usize(region_bytes(MIN_RING_BYTES))];
        let mut region = Region::create(memory, 1, TerminalSize::DEFAULT).unwrap();
        while region.held().end.0 < bytes {
            let len = region.space(None).len();
            region.commit(len);
            region.show_all();
        }
        region
    }

    fn fresh(attach: &Attach) -> Attachment {
        Attachment::new(attach, &region_after(0), true).0
    }

    fn held(range: Range<u64>) -> View {
        View {
            held: Offset(range.start)..Offset(range.end),
            size_here: TerminalSize::DEFAULT,
            next_change: None,
            size_now: TerminalSize::DEFAULT,
        }
    }

    fn output(offset: u64, len: usize) -> Option<Outgoing> {
        Some(Outgoing::Output { offset: Offset(offset), len })
    }

    fn plain() -> Attach {
        Attach {
            client_id: None,
            offset: None,
            size: None,
            mode: AttachMode::Control,
            delivery: Delivery::Realtime,
            window: None,
            scrollback: 0,
        }
    }

    fn windowed(window: u64) -> Attach {
        Attach {
            client_id: Some(ClientId::try_from("phone".to_owned()).unwrap()),
            window: Some(window),
            delivery: Delivery::Lossless,
            ..plain()
        }
    }
}
