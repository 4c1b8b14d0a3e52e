//! Sessions on real memory: what it costs, and what becomes of one whose memory is damaged.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::worker::drawing::Drawings;
use devpocket_shared::ids::{BootId, NodeId, Offset, UserId};
use devpocket_shared::wire::{Attach, AttachMode, Delivery, Exit, Limits, Resume};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::*;
use crate::handover::{ExitStatus, MAX_PACKET_BYTES, ToKeeper, socket};
use crate::worker::keeper::Keeper;
use crate::worker::registry::Registry;

const RING_BYTES: u64 = 1 << 20;
const MINUTE: Duration = Duration::from_mins(1);

fn memory() -> File {
    let memory = memfd_create(c"ring", MFdFlags::MFD_CLOEXEC).unwrap();
    let file = File::from(memory);
    file.set_len(memory_bytes(RING_BYTES)).unwrap();
    file
}

/// What it takes of the system's memory, in KiB.
fn taken_kib(memory: &File) -> u64 {
    memory.metadata().unwrap().blocks() / 2
}

/// A worker's context, and the keeper's end of its socket.
fn context() -> (Arc<Context>, OwnedFd) {
    let (ours, keepers) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap();
    let context = Context {
        node_id: NodeId::new(Uuid::nil()),
        boot_id: BootId::new(Uuid::nil()),
        capacity: 100,
        ring_bytes: RING_BYTES,
        link_uid: None,
        keeper: Keeper::new(ours).unwrap(),
        registry: Registry::default(),
        drawings: Drawings::new(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    };
    (Arc::new(context), keepers)
}

fn record(ended_at_ms: Option<u64>) -> Record {
    Record {
        name: None,
        created_at_ms: now_ms(),
        key: None,
        reason: None,
        limits: Limits::default(),
        ended_at_ms,
        discarded: false,
    }
}

fn owner() -> UserId {
    UserId::new(Uuid::nil())
}

/// Takes over session `number`, which has ended or not.
async fn take_over(context: &Arc<Context>, number: u64, memory: &File, ended: Option<u64>) -> Arc<Session> {
    let adopted = Adopt {
        session_id: SessionId::new(Uuid::from_u128(number.into())),
        owner: owner(),
        pid: 1,
        record: record(ended).to_bytes().unwrap(),
        exit: ended.map(|_| ExitStatus::Code(0)),
    };
    let session_id = adopted.session_id;
    adopt(context, adopted, vec![memory.try_clone().unwrap().into()]).await.unwrap();
    context.registry.find(owner(), session_id).unwrap()
}

/// A session that printed as a long build does, and its memory.
fn print_a_build(memory: &File) {
    let maps = Maps::of(&memory.try_clone().unwrap().into()).unwrap();
    let fresh = maps.fresh(TerminalSize::DEFAULT, None, Integration::Unknown);
    let Memory { mut region, mut cutter, mut picture, commands: _ } = fresh.unwrap();
    let text: String =
        (0..12_000).map(|line| format!("\x1b[3{}m{line} compiling something\x1b[m\r\n", line % 8)).collect();
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let space = region.space(Some(picture.hold()));
        let len = space.len().min(rest.len());
        space[..len].copy_from_slice(&rest[..len]);
        region.commit(len);
        rest = &rest[len..];
        cutter.cut(&mut region, Overflow::Drop);
        picture.feed(&mut region, usize::MAX, &mut Vec::new());
    }
    picture.keep_checkpoint();
}

fn shows_its_last_screen(session: &Session) {
    let text = session.lock().picture.screen().render_text(1 << 20).unwrap();
    assert!(text.contains("11999 compiling something"), "{text}");
    assert_eq!(session.info().exit, Some(Exit::Code(0)));
}

/// The story: 30 builds that had ended kept 155 MB for a day.
#[tokio::test(start_paused = true)]
async fn a_tombstone_gives_its_memory_back_after_ten_minutes_and_keeps_its_last_screen() {
    let (memory, (context, _keeper)) = (memory(), context());
    print_a_build(&memory);
    let session = take_over(&context, 1, &memory, Some(now_ms())).await;
    let _freed = context.registry.shrink_tombstones();
    let before = taken_kib(&memory);
    assert!(before > 512 && !session.history(&context, None, 10).await.lines.is_empty(), "{before} KiB");

    tokio::time::advance(MINUTE * 9).await;
    let _freed = context.registry.shrink_tombstones();
    assert_eq!(taken_kib(&memory), before, "it is of use for ten minutes");
    tokio::time::advance(MINUTE * 2).await;
    let _freed = context.registry.shrink_tombstones();
    let after = taken_kib(&memory);
    assert!(after < 100, "{after} of {before} KiB");
    shows_its_last_screen(&session);
    let history = session.history(&context, None, 10).await;
    assert!(history.lines.is_empty() && history.first_line == history.total && history.total > 11_000);
    let from_the_start = Attach {
        client_id: None,
        offset: Some(Offset(0)),
        size: None,
        mode: AttachMode::View,
        delivery: Delivery::Realtime,
        window: None,
        scrollback: 0,
    };
    assert_eq!(session.attach(&from_the_start, false, now()).unwrap().answer.resume, Resume::Snapshot);

    // The next worker: it ended long ago, and is small at once.
    let (context, _keeper) = self::context();
    let session = take_over(&context, 1, &memory, Some(now_ms() - 660_000)).await;
    shows_its_last_screen(&session);
    let _freed = context.registry.shrink_tombstones();
    assert!(taken_kib(&memory) < 100, "{} KiB", taken_kib(&memory));
    shows_its_last_screen(&session);
}

/// The story: there was less room for checkpoints in the memory of sessions that a release before began, and it is divided as
/// that release did.
#[tokio::test(start_paused = true)]
async fn a_session_that_an_earlier_release_began_goes_on() {
    let (memory, (context, _keeper)) = (memory(), context());
    memory.set_len(ptyd_session::region_bytes(RING_BYTES) + (20 << 20)).unwrap();
    print_a_build(&memory);
    let session = take_over(&context, 1, &memory, Some(now_ms())).await;
    shows_its_last_screen(&session);
    tokio::time::advance(MINUTE * 11).await;
    let _freed = context.registry.shrink_tombstones();
    assert!(taken_kib(&memory) < 100, "{} KiB", taken_kib(&memory));
    shows_its_last_screen(&session);
}

#[tokio::test]
async fn of_many_tombstones_the_last_32_alone_keep_their_output() {
    let (context, _keeper) = context();
    let mut ended = Vec::new();
    for number in 0..40 {
        let memory = memory();
        print_a_build(&memory);
        // Taken over in another order than they ended in.
        let session = take_over(&context, number, &memory, Some(now_ms() - 1000 * number)).await;
        ended.push((memory, session));
    }
    let _freed = context.registry.shrink_tombstones();
    for (number, (memory, session)) in ended.iter().enumerate() {
        assert_eq!(taken_kib(memory) < 100, number >= 32, "{number}: {} KiB", taken_kib(memory));
        shows_its_last_screen(session);
    }
}

#[tokio::test]
async fn a_session_whose_memory_is_damaged_is_ended_and_its_owner_is_told() {
    let (memory, (context, keeper)) = (memory(), context());
    print_a_build(&memory);
    // The head, beyond all that was filled.
    memory.write_all_at(&[0xFF; 8], 32).unwrap();
    let session = take_over(&context, 1, &memory, None).await;
    let mut buffer = vec![0; MAX_PACKET_BYTES];
    let (stored, _) = socket::receive::<ToKeeper>(keeper.as_fd(), &mut buffer).unwrap();
    let ToKeeper::Record { record, .. } = stored else { panic!("{stored:?}") };
    assert_eq!(Record::from_bytes(&record).unwrap().reason, Some(EndReason::Terminated));
    let (told, _) = socket::receive::<ToKeeper>(keeper.as_fd(), &mut buffer).unwrap();
    assert!(matches!(told, ToKeeper::Terminate { session_id } if session_id == session.id), "{told:?}");
}
