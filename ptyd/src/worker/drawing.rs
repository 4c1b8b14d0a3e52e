//! Pictures that take milliseconds to be drawn: each from a copy, beside the runtime, in its turn, within the memory that
//! all of them may take. Small ones are drawn where they are wanted, and wait for nobody here. Knows no client.

mod drawn;
mod reading;
mod room;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devpocket_shared::ids::UserId;
use ptyd_screen::{History, MAX_SNAPSHOT_BYTES};
use ptyd_session::{Followed, Still};
use tokio::sync::{oneshot, watch};

use self::drawn::MAX_ALONE_BYTES;
pub(crate) use self::drawn::{Drawn, Kept, Parts};
use self::room::{Asked, Bounds, Granted, Room, Wanted};
use super::drive::now;

/// What is to be looked at for a picture that is drawn at once, in bytes: less than a millisecond.
pub(crate) const SMALL_BYTES: u64 = 64 << 10;
/// Longest snapshot that takes none of the room, in bytes: what is thought small comes to four times as much at most, but for
/// links and characters of many marks.
pub(crate) const MAX_SMALL_BYTES: usize = 256 << 10;
/// What a snapshot may come to, with the screen alone beside it; what it does not need is given back once it is drawn.
const LARGEST_BYTES: usize = MAX_SNAPSHOT_BYTES + MAX_ALONE_BYTES;
/// Most bytes of large snapshots that wait for slow clients, in the whole worker. Full means: the next ones are drawn when
/// some of it is free again, or without scrollback.
const ROOM_BYTES: usize = 16 * LARGEST_BYTES;
/// Share of one owner's clients. What they have beyond it is the first to give way, and leaves as much free: another finds
/// room for its own at once.
const OWNER_BYTES: usize = ROOM_BYTES / 4;
/// How long a snapshot waits for memory that others hold; then its client is better served with the screen alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same where its own owner's clients hold it and read well: that much brings the scrollback of a dozen sessions over a
/// phone's connection, and nobody looks at nothing for longer.
const OWN_PATIENCE: Duration = Duration::from_secs(30);
/// How often one that has waited so long is looked at again: it may have waited for a turn alone.
const LOOK: Duration = Duration::from_millis(250);

/// Turns to draw, and room for what is drawn.
#[derive(Clone, Debug)]
pub(crate) struct Drawings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// Somebody waits for memory that readers hold.
    wanted: watch::Sender<()>,
}

#[derive(Debug)]
struct Inner {
    room: Room,
    /// Who is told of its turn.
    waiting: BTreeMap<Asked, oneshot::Sender<Turn>>,
}

/// The right to draw one large picture now, and to keep what is drawn.
#[derive(Debug)]
pub(crate) struct Turn {
    right: Right,
    lease: Lease,
}

/// A turn, until it is over.
#[derive(Debug)]
struct Right(Drawings);

/// A request for a turn, until it is there or given up.
struct Waiting {
    drawings: Drawings,
    owner: UserId,
    asked: Asked,
    turn: oneshot::Receiver<Turn>,
}

/// What came of the wish to draw a snapshot.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It may be drawn now.
    Turn(Turn),
    /// Others hold the memory for it.
    NoRoom,
}

/// Bytes of the room that an owner holds.
#[derive(Debug)]
struct Lease {
    drawings: Drawings,
    owner: UserId,
    bytes: usize,
}

impl Drawings {
    /// Half the cores draw at a time: the others are for those who type.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::within(Bounds { turns: (cores / 2).max(1), bytes: ROOM_BYTES, owner_bytes: OWNER_BYTES })
    }

    fn within(bounds: Bounds) -> Self {
        let inner = Mutex::new(Inner { room: Room::new(bounds), waiting: BTreeMap::new() });
        Self(Arc::new(Shared { inner, wanted: watch::Sender::new(()) }))
    }

    /// A turn to draw a snapshot for a client of `owner`, with room for the largest there is.
    pub(crate) async fn snapshot_turn(&self, owner: UserId) -> Outcome {
        let mut asked = self.ask(owner, LARGEST_BYTES);
        let since = now();
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + PATIENCE, LOOK);
        loop {
            tokio::select! {
                biased;
                turn = &mut asked.turn => return turn.map_or(Outcome::NoRoom, Outcome::Turn),
                _ = look.tick() => if self.is_hopeless(owner, asked.asked, since, now()) {
                    return Outcome::NoRoom;
                },
            }
        }
    }

    /// A turn to draw a page of history for `owner`. None: the worker ends.
    pub(crate) async fn page_turn(&self, owner: UserId) -> Option<Turn> {
        let mut asked = self.ask(owner, 0);
        (&mut asked.turn).await.ok()
    }

    /// Whether what was asked for at `since` is not waited for any more.
    fn is_hopeless(&self, owner: UserId, asked: Asked, since: Instant, now: Instant) -> bool {
        let waited = now.saturating_duration_since(since);
        let mut inner = self.lock();
        waited >= PATIENCE
            && inner.room.lacks_bytes(owner, asked)
            && (waited >= OWN_PATIENCE
                || !inner.room.is_beyond_share(owner, asked)
                || inner.room.reads_slowly(owner, now))
    }

    /// Who waits for memory that clients of `owner` hold.
    fn wanted_from(&self, owner: UserId) -> Wanted {
        self.lock().room.wanted_from(owner)
    }

    /// Whether the clients of `owner` together read slowly.
    fn reads_slowly(&self, owner: UserId, now: Instant) -> bool {
        self.lock().room.reads_slowly(owner, now)
    }

    /// Changes when that may be so.
    pub(crate) fn wanted(&self) -> watch::Receiver<()> {
        self.0.wanted.subscribe()
    }

    fn ask(&self, owner: UserId, bytes: usize) -> Waiting {
        let (sender, turn) = oneshot::channel();
        let asked = self.change(|inner| {
            let asked = inner.room.ask(owner, bytes);
            inner.waiting.insert(asked, sender);
            asked
        });
        if self.lock().room.lacks_bytes(owner, asked) {
            self.0.wanted.send_replace(());
        }
        Waiting { drawings: self.clone(), owner, asked, turn }
    }

    /// Changes something, and gives the turns that there are then.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut inner = self.lock();
        let changed = change(&mut inner);
        let mut given = Vec::new();
        while let Some(granted) = inner.room.poll_grant() {
            given.push((granted, inner.waiting.remove(&granted.asked)));
        }
        let lacks = !given.is_empty() && inner.room.anybody_lacks_bytes();
        drop(inner);
        for (Granted { owner, bytes, .. }, sender) in given {
            let lease = Lease { drawings: self.clone(), owner, bytes };
            let turn = Turn { right: Right(self.clone()), lease };
            // Whoever does not listen any more gives it back by that: not under the lock.
            drop(sender.map(|sender| sender.send(turn)));
        }
        if lacks {
            self.0.wanted.send_replace(());
        }
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let (owner, asked) = (self.owner, self.asked);
        self.drawings.change(|inner| {
            inner.waiting.remove(&asked);
            inner.room.give_up(owner, asked);
        });
    }
}

impl Drop for Right {
    fn drop(&mut self) {
        self.0.change(|inner| inner.room.end_turn());
    }
}

impl Lease {
    /// So many of its bytes as one of its own.
    fn split(&mut self, bytes: usize) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { drawings: self.drawings.clone(), owner: self.owner, bytes }
    }

    /// A reader of what is in there took so many bytes.
    fn note_taken(&self, bytes: usize, now: Instant) {
        self.drawings.lock().room.note_taken(self.owner, bytes, now);
    }

    /// Gives back what is more than so many bytes.
    fn shrink_to(&mut self, bytes: usize) {
        let unused = self.bytes.saturating_sub(bytes);
        if unused > 0 {
            self.bytes -= unused;
            self.drawings.change(|inner| inner.room.give_back(self.owner, unused));
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A snapshot that is to be drawn.
#[derive(Debug)]
pub(crate) struct Sketch {
    pub(crate) still: Still,
    pub(crate) size: Followed,
    /// Lines above the screen.
    pub(crate) lines: u32,
    pub(crate) turn: Turn,
}

impl Sketch {
    /// Draws it. Takes milliseconds: not for a thread of the runtime.
    pub(crate) fn draw(self) -> Arc<Drawn> {
        let Self { still, size, lines, turn: Turn { right, lease } } = self;
        let bytes = still.draw(|screen| screen.snapshot(lines)).unwrap_or_default();
        // For who turns out to be too slow for all of it; without lines that is all of it.
        let alone = (lines > 0).then(|| still.draw(|screen| screen.snapshot(0))).flatten();
        let at = still.at();
        drop(still);
        drop(right);
        Arc::new(Drawn::large(&bytes, alone, lease, at, size, lines))
    }
}

/// Draws a page of history in its turn. Takes milliseconds: not for a thread of the runtime.
pub(crate) fn draw_page(still: &Still, turn: Turn, before_line: Option<u64>, lines: u32) -> Option<History> {
    let page = still.draw(|screen| screen.history(before_line, lines));
    drop(turn);
    page
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
