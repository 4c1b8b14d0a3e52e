//! Pictures that take milliseconds to be drawn: each from a copy, beside the runtime, in its turn, within the memory that
//! all of them may take. Small ones are drawn where they are wanted, and wait for nobody here. Knows no client.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::SnapshotReason;
use devpocket_shared::wire::frame::{self, MAX_OUTPUT_BYTES, SnapshotHeader};
use ptyd_screen::{History, MAX_SNAPSHOT_BYTES};
use ptyd_session::Still;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is to be looked at for a picture that is drawn at once, in bytes: less than a millisecond.
pub(crate) const SMALL_BYTES: u64 = 64 << 10;
/// Memory is given out in pieces of so many bytes.
const PIECE_BYTES: usize = 1 << 10;
/// Most bytes of large snapshots that wait for slow clients, in the whole worker. Full means: the next ones are drawn when
/// some of it is free again.
const ROOM_BYTES: usize = 64 << 20;

/// Turns to draw, and room for what is drawn.
#[derive(Debug)]
pub(crate) struct Drawings {
    turns: Arc<Semaphore>,
    room: Arc<Semaphore>,
}

/// The right to draw one large picture now.
#[derive(Debug)]
pub(crate) struct Turn {
    turn: OwnedSemaphorePermit,
    room: Option<OwnedSemaphorePermit>,
}

impl Drawings {
    /// Half the cores draw at a time: the others are for those who type.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            turns: Arc::new(Semaphore::new((cores / 2).max(1))),
            room: Arc::new(Semaphore::new(ROOM_BYTES / PIECE_BYTES)),
        }
    }

    /// A turn to draw a snapshot, with room for the largest there is. None: the worker ends.
    pub(crate) async fn snapshot_turn(&self) -> Option<Turn> {
        // First the room: who waits for that keeps nobody from drawing.
        let room = Arc::clone(&self.room).acquire_many_owned(pieces(MAX_SNAPSHOT_BYTES)).await.ok()?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn { turn, room: Some(room) })
    }

    /// A turn to draw a page of history. None: the worker ends.
    pub(crate) async fn page_turn(&self) -> Option<Turn> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        Some(Turn { turn, room: None })
    }

    /// Whether there is no room for another snapshot.
    pub(crate) fn is_full(&self) -> bool {
        self.room.available_permits() < pieces(MAX_SNAPSHOT_BYTES) as usize
    }
}

/// A snapshot that is to be drawn.
#[derive(Debug)]
pub(crate) struct Sketch {
    pub(crate) still: Still,
    pub(crate) size: TerminalSize,
    /// Lines above the screen.
    pub(crate) lines: u32,
    pub(crate) turn: Turn,
}

impl Sketch {
    /// Draws it. Takes milliseconds: not for a thread of the runtime.
    pub(crate) fn draw(self) -> Arc<Drawn> {
        let Self { still, size, lines, turn: Turn { turn, room } } = self;
        let mut bytes = still.draw(|screen| screen.snapshot(lines)).unwrap_or_default();
        bytes.shrink_to_fit();
        let at = still.at();
        drop(still);
        drop(turn);
        // What it does not need is given back.
        let room = room.and_then(|mut room| room.split(pieces(bytes.len()) as usize));
        Arc::new(Drawn { bytes: Bytes::from(bytes), at, size, lines, room })
    }
}

/// A snapshot, for everybody who wants the same.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) bytes: Bytes,
    /// It is of the screen as the output before this byte made it.
    pub(crate) at: Offset,
    pub(crate) size: TerminalSize,
    /// Lines above the screen that were asked for.
    pub(crate) lines: u32,
    /// What it takes of the room, until the last of its readers has it.
    room: Option<OwnedSemaphorePermit>,
}

impl Drawn {
    /// A small one.
    pub(crate) fn small(bytes: Vec<u8>, at: Offset, size: TerminalSize, lines: u32) -> Self {
        Self { bytes: Bytes::from(bytes), at, size, lines, room: None }
    }
}

/// A snapshot on its way to one client.
#[derive(Debug)]
pub(crate) struct Parts {
    drawn: Arc<Drawn>,
    reason: SnapshotReason,
    sent: usize,
}

impl Parts {
    pub(crate) fn new(drawn: Arc<Drawn>, reason: SnapshotReason) -> Self {
        Self { drawn, reason, sent: 0 }
    }

    /// Appends the next part as a frame; true: more follow.
    pub(crate) fn put_next(&mut self, to: &mut BytesMut) -> bool {
        let Drawn { bytes, at, size, .. } = &*self.drawn;
        let end = bytes.len().min(self.sent + MAX_OUTPUT_BYTES);
        let more = end < bytes.len();
        let header = SnapshotHeader { offset: *at, size: *size, reason: self.reason, more };
        frame::put_snapshot(to, header, &bytes[self.sent..end]);
        self.sent = end;
        more
    }

    /// Whether others may have to wait for the room it takes.
    pub(crate) fn takes_room(&self) -> bool {
        self.drawn.room.is_some()
    }
}

/// Draws a page of history in its turn. Takes milliseconds: not for a thread of the runtime.
pub(crate) fn draw_page(still: &Still, turn: Turn, before_line: Option<u64>, lines: u32) -> Option<History> {
    let page = still.draw(|screen| screen.history(before_line, lines));
    drop(turn);
    page
}

fn pieces(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(bytes: usize) -> Arc<Drawn> {
        let size = TerminalSize::DEFAULT;
        Arc::new(Drawn::small((0..=u8::MAX).cycle().take(bytes).collect(), Offset(7), size, 0))
    }

    #[test]
    fn the_parts_of_a_snapshot_are_all_of_it_and_only_the_last_says_so() {
        for bytes in [0, 1, MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES + 1, 3 * MAX_OUTPUT_BYTES] {
            let drawn = drawn(bytes);
            let mut parts = Parts::new(Arc::clone(&drawn), SnapshotReason::Attach);
            let (mut all, mut more) = (Vec::new(), true);
            while more {
                let mut wire = BytesMut::new();
                more = parts.put_next(&mut wire);
                let frame = frame::Frame::take(&mut wire).unwrap().unwrap();
                let (header, part) = frame.snapshot().unwrap();
                assert_eq!((header.offset, header.more), (Offset(7), more));
                all.extend_from_slice(part);
            }
            assert_eq!(all, drawn.bytes, "{bytes} bytes");
        }
    }

    #[tokio::test]
    async fn what_is_drawn_takes_its_room_until_its_last_reader_is_gone() {
        let drawings = Drawings::new();
        let all = drawings.room.available_permits();
        let Turn { turn, room } = drawings.snapshot_turn().await.unwrap();
        assert_eq!(drawings.room.available_permits(), all - MAX_SNAPSHOT_BYTES / PIECE_BYTES);
        let room = room.and_then(|mut room| room.split(pieces(5000) as usize));
        drop(turn);
        assert_eq!(drawings.room.available_permits(), all - 5);
        let size = TerminalSize::DEFAULT;
        let drawn = Arc::new(Drawn { bytes: Bytes::new(), at: Offset(0), size, lines: 0, room });
        let (one, other) = (Parts::new(Arc::clone(&drawn), SnapshotReason::Attach), drawn);
        assert!(one.takes_room() && !drawings.is_full());
        drop(one);
        assert_eq!(drawings.room.available_permits(), all - 5);
        drop(other);
        assert_eq!(drawings.room.available_permits(), all);
    }
}
