//! A large snapshot on its way to all who want the same: in parts, each of which is let go when the last reader has it and
//! somebody waits for its memory. Knows no client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use devpocket_shared::ids::{Offset, UserId};
use devpocket_shared::wire::SnapshotReason;
use devpocket_shared::wire::frame::{self, FrameError, MAX_OUTPUT_BYTES, SnapshotHeader};
use ptyd_session::Followed;

use super::reading::Reading;
use super::room::Wanted;
use super::{Drawings, Lease};

/// Longest picture of the screen alone that is kept beside a large snapshot, in bytes: four parts. A longer one is of a screen
/// that no phone has.
pub(super) const MAX_ALONE_BYTES: usize = 256 << 10;
/// How long what is beyond an owner's share is kept while another waits and it is read well: less than anybody waits.
const GIVES_WAY: Duration = Duration::from_millis(500);
/// Takes a terminal back to where it was when the snapshot began, whatever of that it was sent: RIS, and ED 3 for those that
/// keep their scrollback over that.
const ANEW: &[u8] = b"\x1bc\x1b[3J";

/// A snapshot, for everybody who wants the same.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// It is of the screen as the output before this byte made it.
    pub(crate) at: Offset,
    pub(crate) size: Followed,
    /// Lines above the screen that were asked for.
    pub(crate) lines: u32,
    len: usize,
    alone: Beside,
    held: Mutex<Held>,
}

/// What there is for who is too slow for all of a snapshot.
#[derive(Debug)]
enum Beside {
    /// Nothing: it is the screen alone, and that is not large.
    Nothing,
    /// The screen alone.
    Alone(Arc<Alone>),
    /// That is too large to be kept.
    TooLarge,
}

/// The screen alone: what a terminal is sent in place of the rest.
#[derive(Debug)]
struct Alone {
    bytes: Bytes,
    lease: Lease,
}

/// What is there of it.
#[derive(Debug)]
struct Held {
    /// All but those let go.
    parts: VecDeque<Bytes>,
    /// Parts let go: they were the first.
    gone: usize,
    /// How many parts each reader has.
    readers: BTreeMap<u64, usize>,
    next_reader: u64,
    /// What it takes of the room; a small one takes none.
    lease: Option<Lease>,
}

/// Whether a reader may keep the memory of its snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kept {
    /// It may.
    All,
    /// It is slow or beyond its owner's share, others wait, and it goes on with the screen alone.
    CutShort,
    /// It is slow, others wait, and even the screen alone is too large for it; or it takes nothing of that.
    TooSlow,
}

impl Drawn {
    /// A small one.
    pub(crate) fn small(bytes: Vec<u8>, at: Offset, size: Followed, lines: u32) -> Self {
        let bytes = Bytes::from(bytes);
        let starts = (0..bytes.len().max(1)).step_by(MAX_OUTPUT_BYTES);
        let part = |start: usize| bytes.slice(start..bytes.len().min(start + MAX_OUTPUT_BYTES));
        let parts = starts.map(part).collect();
        Self { at, size, lines, len: bytes.len(), alone: Beside::Nothing, held: Held::of(parts, None) }
    }

    /// A large one; `alone` is of the same screen, without lines above it.
    pub(super) fn large(
        bytes: &[u8],
        alone: Option<Vec<u8>>,
        mut lease: Lease,
        at: Offset,
        size: Followed,
        lines: u32,
    ) -> Self {
        let alone = alone.map(|alone| [ANEW, &alone].concat()).filter(|alone| alone.len() <= MAX_ALONE_BYTES);
        // What they do not need is given back.
        lease.shrink_to(bytes.len() + alone.as_ref().map_or(0, Vec::len));
        let alone = match alone {
            Some(alone) => {
                let lease = lease.split(alone.len());
                Beside::Alone(Arc::new(Alone { bytes: Bytes::from(alone), lease }))
            }
            None if lines == 0 && bytes.len() <= MAX_ALONE_BYTES => Beside::Nothing,
            None => Beside::TooLarge,
        };
        // Each in memory of its own, to be let go alone.
        let mut parts: VecDeque<_> = bytes.chunks(MAX_OUTPUT_BYTES).map(Bytes::copy_from_slice).collect();
        if parts.is_empty() {
            // A picture that could not be drawn is an empty one.
            parts.push_back(Bytes::new());
        }
        Self { at, size, lines, len: bytes.len(), alone, held: Held::of(parts, Some(lease)) }
    }

    /// A reader of all of it; none: some of it was let go.
    pub(crate) fn read(self: &Arc<Self>, reason: SnapshotReason, now: Instant) -> Option<Parts> {
        let number = self.held().admit()?;
        let source = Source::Shared(Reader { drawn: Arc::clone(self), number, len: self.len });
        Some(Parts {
            source,
            reason,
            at: self.at,
            size: self.size,
            sent: 0,
            reading: Reading::new(now),
            wanted_since: None,
            gives_way_at: None,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn of(parts: VecDeque<Bytes>, lease: Option<Lease>) -> Mutex<Self> {
        Mutex::new(Self { parts, gone: 0, readers: BTreeMap::new(), next_reader: 0, lease })
    }

    fn admit(&mut self) -> Option<u64> {
        if self.gone > 0 {
            return None;
        }
        let number = self.next_reader;
        self.next_reader += 1;
        self.readers.insert(number, 0);
        Some(number)
    }

    /// Lets parts go that every reader has.
    fn let_go(&mut self) {
        let all_have = self.readers.values().copied().min().unwrap_or(0);
        while self.gone < all_have && self.parts.pop_front().is_some() {
            self.gone += 1;
        }
        let bytes = self.parts.iter().map(Bytes::len).sum();
        if let Some(lease) = &mut self.lease {
            lease.shrink_to(bytes);
        }
    }
}

/// One who reads a snapshot that others may read too.
#[derive(Debug)]
struct Reader {
    drawn: Arc<Drawn>,
    number: u64,
    /// Of all of it, in bytes.
    len: usize,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.drawn.held().readers.remove(&self.number);
    }
}

/// A snapshot on its way to one client.
#[derive(Debug)]
pub(crate) struct Parts {
    source: Source,
    pub(crate) reason: SnapshotReason,
    /// See [`Drawn`].
    pub(crate) at: Offset,
    pub(crate) size: Followed,
    /// Bytes put out of the source.
    sent: usize,
    pub(super) reading: Reading,
    /// Since when others wait for the room it takes.
    wanted_since: Option<Instant>,
    /// When it gives way to them, unless that was before.
    gives_way_at: Option<Instant>,
}

#[derive(Debug)]
enum Source {
    Shared(Reader),
    /// The screen alone.
    Own(Arc<Alone>),
}

impl Parts {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.source {
            Source::Shared(reader) => reader.len,
            Source::Own(alone) => alone.bytes.len(),
        }
    }

    /// Appends the next part as a frame; true: more follow. A part that is not there is an error: nothing else may stand in its
    /// place, and nothing comes after it.
    pub(crate) fn put_next(&mut self, to: &mut BytesMut) -> Result<bool, FrameError> {
        let part = match &self.source {
            Source::Shared(reader) => {
                let mut held = reader.drawn.held();
                let next = self.sent / MAX_OUTPUT_BYTES;
                let part = next.checked_sub(held.gone).and_then(|at| held.parts.get(at)).cloned();
                held.readers.insert(reader.number, next + 1);
                part.ok_or(FrameError::Malformed)?
            }
            Source::Own(alone) => {
                let bytes = &alone.bytes;
                let end = bytes.len().min(self.sent + MAX_OUTPUT_BYTES);
                bytes.slice(self.sent.min(end)..end)
            }
        };
        self.sent += part.len();
        let more = self.sent < self.len();
        let header = SnapshotHeader { offset: self.at, size: self.size.size, reason: self.reason, more };
        frame::put_snapshot(to, header, &part);
        Ok(more)
    }

    /// Forgets the parts, as nothing does.
    #[cfg(test)]
    pub(super) fn lose_the_rest(&self) {
        if let Source::Shared(reader) = &self.source {
            reader.drawn.held().parts.clear();
        }
    }

    /// The client took so many bytes.
    pub(crate) fn note_taken(&mut self, bytes: usize, now: Instant) {
        self.reading.note_taken(bytes, now);
        match &self.source {
            Source::Shared(reader) => {
                reader.drawn.held().lease.iter().for_each(|lease| lease.note_taken(bytes, now));
            }
            Source::Own(alone) => alone.lease.note_taken(bytes, now),
        }
    }

    /// Whose room it takes, if any.
    fn owner(&self) -> Option<UserId> {
        match &self.source {
            Source::Shared(reader) => reader.drawn.held().lease.as_ref().map(|lease| lease.owner),
            Source::Own(alone) => Some(alone.lease.owner),
        }
    }

    /// When [`Parts::make_room`] is to be called next, as long as it takes room; and whenever somebody comes to wait.
    pub(crate) fn room_due(&self) -> Option<Instant> {
        self.owner()?;
        let due = self.reading.poll_timeout();
        Some(self.gives_way_at.map_or(due, |at| due.min(at)))
    }

    /// Makes room for those who wait for it, if any do: lets go what all its readers have, and, if that was not enough, the rest
    /// of it where this one is slow, or is beyond its owner's share.
    pub(crate) fn make_room(&mut self, drawings: &Drawings, now: Instant) -> Kept {
        let is_slow = self.reading.is_slow(now);
        self.gives_way_at = None;
        let Some(owner) = self.owner() else { return Kept::All };
        if drawings.wanted_from(owner) == Wanted::Not {
            self.wanted_since = None;
            return Kept::All;
        }
        if let Source::Shared(reader) = &self.source {
            reader.drawn.held().let_go();
        }
        let gives_way = match drawings.wanted_from(owner) {
            Wanted::Not => {
                self.wanted_since = None;
                return Kept::All;
            }
            // One connection that many sessions share is slow for each of them.
            Wanted::ByItself => {
                self.wanted_since = None;
                is_slow && drawings.reads_slowly(owner, now)
            }
            Wanted::ByOther { beyond_share } => {
                let at = *self.wanted_since.get_or_insert(now) + GIVES_WAY;
                self.gives_way_at = (beyond_share && now < at).then_some(at);
                is_slow || (beyond_share && now >= at)
            }
        };
        let is_stuck = self.reading.is_stuck(now);
        let Source::Shared(reader) = &self.source else {
            return if is_stuck { Kept::TooSlow } else { Kept::All };
        };
        if !gives_way {
            return Kept::All;
        }
        let alone = match &reader.drawn.alone {
            Beside::Alone(alone) => Arc::clone(alone),
            Beside::Nothing if is_stuck => return Kept::TooSlow,
            Beside::TooLarge if is_slow => return Kept::TooSlow,
            Beside::Nothing | Beside::TooLarge => return Kept::All,
        };
        if reader.len - self.sent <= alone.bytes.len() {
            // It has nearly all of it, and what is left is hardly more.
            return Kept::All;
        }
        // Those who are not slow keep the rest; of the others each is asked for itself.
        let drawn = Arc::clone(&reader.drawn);
        self.source = Source::Own(alone);
        self.sent = 0;
        drawn.held().let_go();
        Kept::CutShort
    }
}
