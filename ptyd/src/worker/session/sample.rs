//! A session for unit tests, in memory of this process, without a terminal. Must not know what is tested on it.

use devpocket_shared::ids::{SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{Attach, AttachMode, Delivery, Limits};
use memmap2::MmapMut;
use ptyd_session::{Checkpoints, Commands, Cutter, Integration, Picture, Region, memory_bytes, parts};

use super::{Memory, Session};
use crate::worker::create::now_ms;
use crate::worker::drive::now;
use crate::worker::record::Record;

/// A session that may be quiet for a minute, made now.
pub(crate) fn session() -> Session {
    let parts = parts(memory_bytes(128 << 10), None).unwrap();
    let map = |part: std::ops::Range<u64>| {
        MmapMut::map_anon(usize::try_from(part.end - part.start).unwrap()).unwrap()
    };
    let region = Region::create(map(parts.region), 1, TerminalSize::DEFAULT).unwrap();
    let checkpoints = Checkpoints::new(map(parts.checkpoints)).unwrap();
    let picture = Picture::new(&region, map(parts.scrollback), checkpoints);
    let commands = Commands::create(map(parts.commands), None, Integration::Unknown).unwrap();
    let memory = Memory { cutter: Cutter::recover(&region), region, picture, commands };
    let record = Record {
        name: Some("one".to_owned()),
        created_at_ms: now_ms(),
        key: None,
        reason: None,
        limits: Limits { idle_timeout_secs: Some(60), max_duration_secs: None },
        ended_at_ms: None,
        discarded: false,
    };
    let (id, owner) = (SessionId::new(uuid::Uuid::nil()), UserId::new(uuid::Uuid::nil()));
    Session::new(id, owner, record, memory, None, now())
}

/// An attach without a client id, from a screen of 50 rows and 150 columns.
pub(crate) fn attach(mode: AttachMode) -> Attach {
    Attach {
        client_id: None,
        offset: None,
        size: TerminalSize::new(50, 150).ok(),
        mode,
        delivery: Delivery::Realtime,
        window: None,
        scrollback: 0,
    }
}

/// Has its program print.
pub(crate) fn print(session: &Session, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let mut shared = session.lock();
        let hold = shared.lowest_hold();
        let space = shared.region.space(hold);
        let len = space.len().min(bytes.len());
        space[..len].copy_from_slice(&bytes[..len]);
        shared.region.commit(len);
        shared.cut();
        shared.feed(usize::MAX);
        bytes = &bytes[len..];
    }
}
