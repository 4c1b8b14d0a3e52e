//! What one client on one session is sent next. It decides from what is held, what was acknowledged and what time it is;
//! it knows no socket, no clock, and none of the bytes.

mod flight;
mod lag;
mod pace;
mod taken;
mod view;

use std::ops::Range;
use std::time::{Duration, Instant};

use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::{Attach, Delivery, Resume, SnapshotReason};

use self::flight::Flight;
use self::lag::{Lag, Remedy};
use self::pace::{Pace, Rate, Sending};
use self::taken::Taken;
pub use self::view::View;
use crate::holds::MOST_HOLD;
use crate::region::Region;
use crate::sizes::Followed;

/// How long a lossless client without progress holds the program back (PROTOCOL section 6).
pub const STALL_LIMIT: Duration = Duration::from_secs(10);

/// The smallest window: a UTF-8 character, which a JSON client gets, and so acknowledges, only whole.
pub const MIN_WINDOW_BYTES: u64 = 4;

/// What may be on its way is sent in about so many pieces: each is acknowledged for itself.
const PIECES: u64 = 8;
/// A piece has so many bytes at least.
const MIN_PIECE_BYTES: u64 = 256;

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
    /// A snapshot at the end of what is held, if [`Attachment::take_snapshot`] agrees to its size. One that takes its time to
    /// be drawn is begun with [`Attachment::begin_snapshot`].
    Snapshot(SnapshotReason),
    /// The terminal's size changed here.
    Resized {
        /// Bytes before it belong to the old size.
        offset: Offset,
        /// The new size.
        size: TerminalSize,
    },
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
    /// It is being drawn: of which byte, and of what size.
    drawing: Option<(Offset, Followed)>,
    /// The size the client was told last.
    told_size: Followed,
    /// Since when a lossless client has been behind without progress.
    stalled_since: Option<Instant>,
    /// Since when its client, over former attachments, has not got further than where this one began.
    behind_since: Option<Instant>,
    /// The transport has not taken everything that was handed to it.
    in_transport: bool,
    /// What the transport has not taken is a snapshot: as long as it takes of that, the client cannot acknowledge anything.
    snapshot_in_transport: bool,
    /// It was behind for too long: it holds nothing back until it has drawn up to here.
    released_until: Option<Offset>,
    /// What is on its way to a client with a window, and how fast that draws.
    flight: Flight,
    pace: Pace,
    /// Since the last ack.
    sending: Sending,
    /// How fast the transport of one without a window takes what it gets.
    taken: Taken,
    lag: Lag,
    /// When something may go that may not yet.
    wake: Option<Instant>,
}

impl Attachment {
    /// Begins an attachment and says how it goes on. `fresh`: the session was made by this very request.
    pub fn new<M: AsRef<[u8]> + AsMut<[u8]>>(
        attach: &Attach,
        region: &Region<M>,
        fresh: bool,
    ) -> (Self, Resume) {
        let held = region.held();
        // Without its sizes output cannot be laid out as it was; but what a lossless client asks for are its bytes.
        let replays_from = match attach.delivery {
            Delivery::Lossless => held.start,
            Delivery::Realtime => region.sizes_known_from(),
        };
        let (resume, cursor) = match attach.offset {
            _ if fresh => (Resume::Fresh, Offset(0)),
            Some(offset) if replays_from <= offset && offset <= held.end => (Resume::Replay, offset),
            Some(_) | None => (Resume::Snapshot, held.end),
        };
        let attachment = Self {
            cursor,
            acked: cursor,
            window: attach.window.map(|window| window.clamp(MIN_WINDOW_BYTES, region.ring_bytes() / 2)),
            delivery: attach.delivery,
            holds_from_ack: attach.client_id.is_some() && attach.window.is_some(),
            snapshot: (resume == Resume::Snapshot).then_some(SnapshotReason::Attach),
            drawing: None,
            told_size: region.follow_from(cursor),
            stalled_since: None,
            behind_since: None,
            in_transport: false,
            snapshot_in_transport: false,
            released_until: None,
            window_from: cursor,
            flight: Flight::default(),
            pace: Pace::new(),
            sending: Sending::All,
            taken: Taken::default(),
            lag: Lag::default(),
            wake: None,
        };
        (attachment, resume)
    }

    /// The size the client was told last: with the attach, at first.
    pub fn told_size(&self) -> Followed {
        self.told_size
    }

    /// The transport took `bytes`, headers and all; `all` that were handed to it, or only some.
    pub fn handle_written(&mut self, bytes: usize, all: bool, now: Instant) {
        self.taken.note_taken(bytes as u64, all, now);
        self.in_transport = !all;
        if self.stalled_since.is_some() && self.drawing.is_none() {
            if self.window.is_none() {
                self.stalled_since = (!all).then_some(now);
            } else if self.snapshot_in_transport {
                self.stalled_since = Some(now);
            }
        }
        self.snapshot_in_transport &= !all;
    }

    /// The client has drawn the output up to `offset`. What it cannot have seen yet counts for nothing.
    pub fn handle_ack(&mut self, offset: Offset, now: Instant) {
        let offset = offset.min(self.cursor);
        if let Some(drawn) = self.flight.acknowledge(offset, now) {
            self.pace.note_drawn(drawn, std::mem::replace(&mut self.sending, Sending::All), now);
            self.lag.note_answer(self.flight.bytes(now) == 0);
        }
        if offset <= self.acked {
            return;
        }
        self.acked = offset;
        self.behind_since = None;
        self.window_from = self.window_from.max(offset);
        if self.window.is_some() && self.stalled_since.is_some() {
            self.stalled_since = (offset < self.cursor).then_some(now);
        }
        if self.window.is_some() {
            self.released_until = self.released_until.filter(|until| offset < *until);
        }
    }

    /// What to send next, at most `most` bytes of it; none: nothing now. `view` is the session seen from
    /// [`Attachment::cursor`].
    pub fn poll_send(&mut self, view: &View, most: usize, now: Instant) -> Option<Outgoing> {
        self.wake = None;
        if let Some(reason) = self.snapshot {
            return self.drawing.is_none().then_some(Outgoing::Snapshot(reason));
        }
        let gone = self.cursor < view.held.start;
        if gone && !self.is_realtime() {
            // What it should have had is gone already: there is nothing it could hold back.
            (self.released_until, self.stalled_since) = (Some(self.cursor), None);
        }
        if !gone {
            self.note_stall(&view.held, now);
        }
        let lags = self.is_realtime() && self.remedy(view, now) == Remedy::Snapshot;
        if gone || lags {
            let may_go = self.may_send_snapshot(now);
            self.snapshot = may_go.then_some(SnapshotReason::Lagged);
            return self.snapshot.map(Outgoing::Snapshot);
        }
        if self.told_size != view.size_here {
            self.told_size = view.size_here;
            return Some(Outgoing::Resized { offset: self.cursor, size: view.size_here.size });
        }
        let until = view.next_change.map_or(view.held.end, |at| at.min(view.held.end));
        let len = self.room(until.since(self.cursor), now).min(most as u64);
        if len == 0 {
            return None;
        }
        let offset = self.cursor;
        self.cursor = self.cursor.plus(len);
        self.note_handed(now);
        if self.window.is_some() {
            self.flight.send_output(offset, len, now);
        }
        if self.delivery == Delivery::Lossless && self.released_until.is_none() {
            // Handed over is not taken: the clock runs until the transport, or an ack, says so.
            let running = self.window.and(self.stalled_since);
            self.stalled_since = Some(running.unwrap_or(now));
        }
        Some(Outgoing::Output { offset, len: crate::ring::as_usize(len) })
    }

    /// The snapshot that [`Attachment::poll_send`] asked for is being drawn, of the screen as the output before `at` made it:
    /// that is held, and the client does not have it all. Nothing else is sent until it is drawn, and from there the client
    /// goes on: it holds the output from `at` on, if it holds any.
    pub fn begin_snapshot(&mut self, at: Offset, size: Followed, now: Instant) {
        debug_assert!(self.snapshot.is_some(), "it asked for none");
        self.drawing = Some((at, size));
        if self.snapshot == Some(SnapshotReason::Attach) {
            (self.cursor, self.acked) = (at, at);
        }
        // Who holds the program back does it for a bounded time, whatever it waits for.
        self.stalled_since = (!self.is_realtime()).then_some(now);
    }

    /// The snapshot that [`Attachment::poll_send`] asked for was drawn up, and has so many bytes. True: it is to be sent.
    /// False: what it would replace is no more than itself, and is sent instead. `view` is the session as it is now; the
    /// snapshot is of where it was begun, or of the end of what is held.
    pub fn take_snapshot(&mut self, view: &View, bytes: usize, now: Instant) -> bool {
        let bytes = bytes as u64;
        self.lag.note_size(bytes, now);
        let reason = self.snapshot.take();
        let (at, size) = self.drawing.take().unwrap_or((view.held.end, view.size_now));
        let missed = at.since(self.cursor);
        if reason == Some(SnapshotReason::Lagged) && self.cursor >= view.held.start && missed <= bytes {
            return false;
        }
        self.cursor = at;
        self.window_from = self.cursor;
        self.released_until = self.released_until.map(|_| self.cursor);
        if reason == Some(SnapshotReason::Attach) {
            // The client has just come: it holds from here on.
            self.acked = self.cursor;
        }
        self.told_size = size;
        // It may be large, and nothing else is sent meanwhile: the clock runs from here.
        self.stalled_since = (!self.is_realtime()).then_some(now);
        self.snapshot_in_transport = true;
        self.note_handed(now);
        let under_way = if self.window.is_some() { self.flight.bytes(now) } else { 0 };
        let takes = self.rate().map_or(Duration::ZERO, |rate| pace::time_for(under_way + bytes, rate));
        let forgiven_at = self.lag.note_sent(takes, self.pace.round_trip(), now);
        // Where the client begins is no news to it: many a client does not acknowledge that.
        let forgiven_at = if reason == Some(SnapshotReason::Attach) { now } else { forgiven_at };
        if self.window.is_some() {
            self.flight.send_snapshot(self.cursor, bytes, forgiven_at, now);
        }
        true
    }

    /// Lets go of the program when the client has been stuck too long; too early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake = self.wake.filter(|at| now < *at);
        if self.stalled_since.is_some_and(|since| now.saturating_duration_since(since) >= STALL_LIMIT) {
            self.stalled_since = None;
            self.released_until = Some(self.cursor);
        }
    }

    /// When [`Attachment::handle_timeout`] is next due, and then [`Attachment::poll_send`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let stuck = self.stalled_since.map(|since| since + STALL_LIMIT);
        stuck.into_iter().chain(self.wake).min()
    }

    /// The first byte that must be kept for this client; none: it holds nothing back.
    pub fn hold(&self) -> Option<Offset> {
        let reached = if self.holds_from_ack { self.acked } else { self.cursor };
        let from = match (self.drawing, self.snapshot) {
            (Some((at, _)), _) => Some(at),
            (None, Some(_)) => None,
            (None, None) => Some(reached),
        };
        from.filter(|_| !self.is_realtime())
    }

    /// Its client comes back to where it was at `since`, and has not got further: what it holds, it holds for a bounded time over
    /// all its attachments.
    pub fn carry_on(&mut self, since: Instant, now: Instant) {
        self.behind_since = Some(since);
        if now.saturating_duration_since(since) >= MOST_HOLD {
            self.released_until = Some(self.cursor);
        }
    }

    /// What is held for a client that does not get further, and since when.
    pub fn behind(&self) -> Option<(Offset, Instant)> {
        self.lingering_hold().zip(self.behind_since.or(self.stalled_since))
    }

    /// The hold that goes on when the connection ends: only where the client can come back to it.
    pub fn lingering_hold(&self) -> Option<Offset> {
        self.hold().filter(|_| self.holds_from_ack)
    }

    /// Whether the next to be sent is a snapshot, which is not drawn yet.
    pub fn owes_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Why the snapshot is due that is to be sent next, if one is.
    pub fn due_snapshot(&self) -> Option<SnapshotReason> {
        self.snapshot
    }

    /// Everything up to here was handed to the transport.
    pub fn cursor(&self) -> Offset {
        self.cursor
    }

    /// The window in force, in bytes.
    pub fn window(&self) -> Option<u64> {
        self.window
    }

    /// It holds nothing back, and is brought up by snapshots.
    fn is_realtime(&self) -> bool {
        self.delivery == Delivery::Realtime || self.released_until.is_some()
    }

    /// How fast the client draws, as far as it is known.
    fn rate(&self) -> Option<Rate> {
        if self.window.is_some() { self.pace.rate() } else { self.taken.rate() }
    }

    fn remedy(&mut self, view: &View, now: Instant) -> Remedy {
        let missed = view.held.end.since(self.cursor);
        self.lag.remedy(missed, self.flight.bytes(now), self.rate(), now)
    }

    /// Whether a snapshot in place of what was missed may go now: the last one is likely drawn, and there is room. Otherwise
    /// a client that is stuck would be sent one after the other.
    fn may_send_snapshot(&mut self, now: Instant) -> bool {
        self.wake = self.lag.waits_until(now);
        if self.wake.is_some() {
            return false;
        }
        let Some(window) = self.window else { return !self.in_transport };
        let under_way = self.flight.bytes(now);
        let fits = match self.rate() {
            Some(_) => under_way + self.lag.size(now).unwrap_or(0) <= self.pace.limit(),
            // Nothing says when the last one is drawn but the client.
            None => self.acked >= self.window_from && self.cursor.since(self.acked) < window,
        };
        if under_way > 0 && !fits {
            self.wake = self.flight.forgives_next(now);
            return false;
        }
        true
    }

    /// How many of the next `wanted` bytes may go now, as one piece.
    fn room(&mut self, wanted: u64, now: Instant) -> u64 {
        let Some(window) = self.window else { return wanted };
        let open = self.window_from.plus(window).since(self.cursor).min(wanted);
        if open < wanted {
            self.sending = Sending::Windowed;
        }
        if !self.is_realtime() {
            return open;
        }
        let limit = self.pace.limit();
        let under_way = self.flight.bytes(now);
        let piece = (limit / PIECES).max(MIN_PIECE_BYTES);
        let free = limit.saturating_sub(under_way);
        if free < open {
            self.sending = Sending::Limited;
        }
        let len = open.min(free).min(piece);
        // Not in crumbs, where it would have to wait anyway: they would be all headers.
        if len < MIN_PIECE_BYTES && under_way > limit / 2 {
            self.wake = self.flight.forgives_next(now);
            return 0;
        }
        len
    }

    fn note_handed(&mut self, now: Instant) {
        self.in_transport = true;
        self.taken.note_handed(now);
    }

    fn note_stall(&mut self, held: &Range<Offset>, now: Instant) {
        let reached = if self.holds_from_ack { self.acked } else { self.cursor };
        // Everything handed over is not everything taken: a client that stops just then is stuck all the same.
        let taken = self.holds_from_ack || !self.in_transport;
        if reached >= held.end && taken {
            (self.stalled_since, self.behind_since) = (None, None);
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
mod simulation;
#[cfg(test)]
mod tests;
