//! A large snapshot on its way to all who want the same: in parts, each of which is let go when the last reader has it and
//! somebody waits for its memory. Knows no client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::SnapshotReason;
use devpocket_shared::wire::frame::{self, MAX_OUTPUT_BYTES, SnapshotHeader};

use super::reading::Reading;
use super::{Drawings, Lease};

/// Longest picture of the screen alone that is kept beside a large snapshot, in bytes: four parts. A longer one is of a screen
/// that no phone has.
const MAX_ALONE_BYTES: usize = 256 << 10;
/// Takes a terminal back to where it was when the snapshot began, whatever of that it was sent: RIS, and ED 3 for those that
/// keep their scrollback over that.
const ANEW: &[u8] = b"\x1bc\x1b[3J";

/// A snapshot, for everybody who wants the same.
#[derive(Debug)]
pub(crate) struct Drawn {
    /// It is of the screen as the output before this byte made it.
    pub(crate) at: Offset,
    pub(crate) size: TerminalSize,
    /// Lines above the screen that were asked for.
    pub(crate) lines: u32,
    len: usize,
    /// The screen alone, for who is too slow for all of it: what a terminal is sent in place of the rest.
    alone: Option<Bytes>,
    held: Mutex<Held>,
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
    /// It is slow, others wait, and it goes on with the screen alone.
    CutShort,
    /// It is slow, others wait, and even the screen alone is too large for it.
    TooSlow,
}

impl Drawn {
    /// A small one.
    pub(crate) fn small(bytes: Vec<u8>, at: Offset, size: TerminalSize, lines: u32) -> Self {
        let len = bytes.len();
        Self { at, size, lines, len, alone: None, held: Held::of(VecDeque::from([Bytes::from(bytes)]), None) }
    }

    /// A large one; `alone` is of the same screen, without lines above it.
    pub(super) fn large(
        bytes: &[u8],
        alone: Option<Vec<u8>>,
        mut lease: Lease,
        at: Offset,
        size: TerminalSize,
        lines: u32,
    ) -> Self {
        let alone = alone.filter(|alone| alone.len() <= MAX_ALONE_BYTES);
        let alone = alone.map(|alone| Bytes::from([ANEW, &alone].concat()));
        // What it does not need is given back.
        lease.shrink_to(bytes.len());
        // Each in memory of its own, to be let go alone.
        let parts = bytes.chunks(MAX_OUTPUT_BYTES).map(Bytes::copy_from_slice).collect();
        Self { at, size, lines, len: bytes.len(), alone, held: Held::of(parts, Some(lease)) }
    }

    /// A reader of all of it; none: some of it was let go.
    pub(crate) fn read(self: &Arc<Self>, reason: SnapshotReason, now: Instant) -> Option<Parts> {
        let number = self.held().admit()?;
        let source = Source::Shared(Reader { drawn: Arc::clone(self), number, len: self.len });
        Some(Parts { source, reason, at: self.at, size: self.size, sent: 0, reading: Reading::new(now) })
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
    pub(crate) size: TerminalSize,
    /// Bytes put out of the source.
    sent: usize,
    reading: Reading,
}

#[derive(Debug)]
enum Source {
    Shared(Reader),
    /// The screen alone.
    Own(Bytes),
}

impl Parts {
    /// Its length in bytes.
    pub(crate) const fn len(&self) -> usize {
        match &self.source {
            Source::Shared(reader) => reader.len,
            Source::Own(bytes) => bytes.len(),
        }
    }

    /// Appends the next part as a frame; true: more follow.
    pub(crate) fn put_next(&mut self, to: &mut BytesMut) -> bool {
        let part = match &self.source {
            Source::Shared(reader) => {
                let mut held = reader.drawn.held();
                let next = self.sent / MAX_OUTPUT_BYTES;
                let part = next.checked_sub(held.gone).and_then(|at| held.parts.get(at)).cloned();
                held.readers.insert(reader.number, next + 1);
                part.unwrap_or_default()
            }
            Source::Own(bytes) => {
                let end = bytes.len().min(self.sent + MAX_OUTPUT_BYTES);
                bytes.slice(self.sent.min(end)..end)
            }
        };
        self.sent += part.len();
        let more = self.sent < self.len();
        let header = SnapshotHeader { offset: self.at, size: self.size, reason: self.reason, more };
        frame::put_snapshot(to, header, &part);
        more
    }

    /// The client took so many bytes.
    pub(crate) fn note_taken(&mut self, bytes: usize, now: Instant) {
        self.reading.note_taken(bytes, now);
    }

    /// Whether others may have to wait for the room it takes.
    pub(crate) fn takes_room(&self) -> bool {
        matches!(&self.source, Source::Shared(reader) if reader.drawn.held().lease.is_some())
    }

    /// When [`Parts::make_room`] is to be called next, as long as it takes room; and whenever somebody comes to wait.
    pub(crate) fn room_due(&self) -> Option<Instant> {
        self.takes_room().then(|| self.reading.poll_timeout())
    }

    /// Makes room for those who wait for it, if any do: lets go what all its readers have, and, if that was not enough and this
    /// one is slow, the rest of it.
    pub(crate) fn make_room(&mut self, drawings: &Drawings, now: Instant) -> Kept {
        let is_slow = self.reading.is_slow(now);
        let Source::Shared(reader) = &self.source else { return Kept::All };
        let owner = reader.drawn.held().lease.as_ref().map(|lease| lease.owner);
        let is_wanted = || owner.is_some_and(|owner| drawings.is_wanted_from(owner));
        if !is_wanted() {
            return Kept::All;
        }
        reader.drawn.held().let_go();
        if !is_slow || !is_wanted() {
            return Kept::All;
        }
        let Some(alone) = reader.drawn.alone.clone() else { return Kept::TooSlow };
        if reader.len - self.sent <= alone.len() {
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
