//! Snapshots, their memory and their readers, on a paused clock.

use bytes::BytesMut;
use devpocket_shared::ids::{Offset, TerminalSize};
use devpocket_shared::wire::SnapshotReason;
use devpocket_shared::wire::frame::{Frame, MAX_OUTPUT_BYTES};
use ptyd_screen::{Screen, Size};
use tokio::time::{Instant, advance, timeout};
use uuid::Uuid;

use super::*;
use crate::worker::wait::Wait;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a reader at 90 kB/s takes in a tenth of a second.
const SLOW: usize = 9000;
/// The largest snapshots that one owner has room for, and those of its share.
const MOST: usize = 12;
const SHARE: usize = 4;

fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

fn drawings() -> Drawings {
    Drawings::within(Bounds { turns: 1, bytes: ROOM_BYTES, owner_bytes: OWNER_BYTES })
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..=u8::MAX).cycle().take(bytes).collect()
}

/// A snapshot of `bytes` for `number`, and the screen alone if that is given.
async fn drawn(drawings: &Drawings, number: u128, bytes: &[u8], alone: Option<&[u8]>) -> Arc<Drawn> {
    let Outcome::Turn(Turn { right, lease }) = drawings.snapshot_turn(owner(number)).await else {
        panic!("there is no room for {number}");
    };
    drop(right);
    let size = TerminalSize::DEFAULT.into();
    Arc::new(Drawn::large(bytes, alone.map(<[u8]>::to_vec), lease, Offset(7), size, 100))
}

fn read(drawn: &Arc<Drawn>) -> Parts {
    drawn.read(SnapshotReason::Attach, now()).expect("all of it is there")
}

/// The next part, and whether more follow.
fn next_part(parts: &mut Parts) -> (Vec<u8>, bool) {
    let mut wire = BytesMut::new();
    let more = parts.put_next(&mut wire).unwrap();
    let frame = Frame::take(&mut wire).unwrap().unwrap();
    let (header, part) = frame.snapshot().unwrap();
    assert_eq!((header.offset, header.more, wire.is_empty()), (Offset(7), more, true));
    (part.to_vec(), more)
}

fn rest(parts: &mut Parts) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let (part, more) = next_part(parts);
        all.extend(part);
        if !more {
            return all;
        }
    }
}

fn held(drawings: &Drawings) -> usize {
    drawings.lock().room.held()
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_a_snapshot_are_all_of_it_and_only_the_last_says_so() {
    let drawings = drawings();
    for bytes in [0, 1, MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES + 1, 3 * MAX_OUTPUT_BYTES] {
        let drawn = drawn(&drawings, 1, &pattern(bytes), None).await;
        assert_eq!(rest(&mut read(&drawn)), pattern(bytes), "{bytes} bytes");
    }
    // The story: a small one that came to more than a frame holds was sent as one, and cut the client off at every attach.
    for bytes in [0, 1, 100, MAX_OUTPUT_BYTES, MAX_OUTPUT_BYTES + 1, MAX_SMALL_BYTES] {
        let small = Arc::new(Drawn::small(pattern(bytes), Offset(7), TerminalSize::DEFAULT.into(), 0));
        assert_eq!(rest(&mut read(&small)), pattern(bytes), "{bytes} bytes");
        assert_eq!(read(&small).room_due(), None, "it takes none of the room");
    }
}

/// The story: an empty part stood in for one that was missing, with more to follow, without end.
#[tokio::test(start_paused = true)]
async fn a_part_that_is_missing_ends_the_attachment() {
    let drawings = drawings();
    let mut parts = read(&drawn(&drawings, 1, &pattern(3 * MAX_OUTPUT_BYTES), None).await);
    next_part(&mut parts);
    parts.lose_the_rest();
    let mut wire = BytesMut::new();
    assert!(parts.put_next(&mut wire).is_err() && wire.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_drawn_takes_its_room_until_its_last_reader_is_gone() {
    let drawings = drawings();
    let drawn = drawn(&drawings, 1, &pattern(5000), None).await;
    assert_eq!(held(&drawings), 5000);
    let (one, other) = (read(&drawn), read(&drawn));
    drop(drawn);
    assert!(one.room_due().is_some());
    drop(one);
    assert_eq!(held(&drawings), 5000);
    drop(other);
    assert_eq!(held(&drawings), 0);
}

/// The largest snapshot there is, for the first owner.
async fn large(drawings: &Drawings) -> Arc<Drawn> {
    drawn(drawings, 1, &pattern(MAX_SNAPSHOT_BYTES), None).await
}

/// Fills the room with `count` of the largest snapshots for an owner, each of which is read by one.
async fn fill(drawings: &Drawings, number: u128, count: usize, alone: Option<&[u8]>) -> Vec<Parts> {
    let mut readers = Vec::new();
    for _ in 0..count {
        readers.push(read(&drawn(drawings, number, &pattern(MAX_SNAPSHOT_BYTES), alone).await));
    }
    readers
}

/// Waits for room for `number`.
fn wait(drawings: &Drawings, number: u128) -> Waiting {
    drawings.ask(owner(number), LARGEST_BYTES)
}

fn make_room(readers: &mut [Parts], drawings: &Drawings) -> Vec<Kept> {
    readers.iter_mut().map(|reader| reader.make_room(drawings, now())).collect()
}

/// The story: sixteen readers at 90 kB/s kept every other large snapshot of the node waiting, for 36 s.
#[tokio::test(start_paused = true)]
async fn the_slow_readers_of_one_owner_do_not_hold_up_another() {
    let drawings = drawings();
    let mut slow = fill(&drawings, 1, MOST, Some(b"the screen")).await;
    let began = Instant::now();
    assert!(matches!(drawings.snapshot_turn(owner(1)).await, Outcome::NoRoom));
    assert!(began.elapsed() < 4 * SECOND, "its own next one has the screen alone after that");
    let began = Instant::now();
    let _others = fill(&drawings, 2, SHARE, None).await;
    assert_eq!(began.elapsed(), Duration::ZERO, "nobody else waited");
    slow.iter_mut().for_each(|reader| reader.reading = reading::Reading::new(now()));
    let mut third = wait(&drawings, 3);
    assert_eq!(make_room(&mut slow, &drawings), [Kept::All; MOST], "they may be quick");
    assert_eq!(slow[0].room_due(), Some(now() + SECOND / 2));
    advance(SECOND / 2).await;
    assert_eq!(slow[0].make_room(&drawings, now()), Kept::CutShort, "what is beyond a share gives way");
    assert!(third.turn.try_recv().is_ok());
    assert_eq!(make_room(&mut slow, &drawings), [Kept::All; MOST], "one was enough");
}

/// The story: ten sessions of one account, over a connection on which each alone is slow, had half their scrollback.
#[tokio::test(start_paused = true)]
async fn the_readers_of_one_owner_wait_for_each_other_while_they_read_well_together() {
    let drawings = drawings();
    let mut readers = fill(&drawings, 1, MOST, Some(b"the screen")).await;
    let (own, began) = (drawings.clone(), Instant::now());
    let mut next = Wait::new(async move { own.snapshot_turn(owner(1)).await });
    for _ in 0..100 {
        advance(SECOND / 10).await;
        readers.iter_mut().for_each(|reader| reader.note_taken(SLOW, now()));
        assert_eq!(make_room(&mut readers, &drawings), [Kept::All; MOST]);
        assert!(timeout(Duration::ZERO, next.done()).await.is_err(), "after {:?}", began.elapsed());
    }
    assert!(readers.iter_mut().all(|reader| reader.reading.is_slow(now())));
    let _all = rest(&mut readers[0]);
    drop(readers.swap_remove(0));
    assert!(matches!(timeout(SECOND, next.done()).await, Ok(Outcome::Turn(_))));
}

#[tokio::test(start_paused = true)]
async fn the_parts_that_all_readers_have_make_room_for_who_waits_and_are_kept_for_others_before() {
    let drawings = drawings();
    let (first, second) = (large(&drawings).await, large(&drawings).await);
    let mut full = vec![read(&first), read(&second)];
    full.extend(fill(&drawings, 1, MOST - 2, None).await);
    let mut wanted = drawings.wanted();
    for reader in &mut full {
        // Nobody waits: the next one who attaches may share it.
        next_part(reader);
        assert_eq!(reader.make_room(&drawings, now()), Kept::All);
    }
    assert_eq!(held(&drawings), MOST * MAX_SNAPSHOT_BYTES);
    let mut late = read(&first);
    let waiting = wait(&drawings, 1);
    wanted.changed().await.unwrap();
    assert_eq!(make_room(&mut full, &drawings), [Kept::All; MOST]);
    let let_go = (MOST - 1) * MAX_OUTPUT_BYTES;
    assert_eq!(held(&drawings), MOST * MAX_SNAPSHOT_BYTES - let_go, "one has a reader that has nothing yet");
    assert_eq!(rest(&mut late), pattern(MAX_SNAPSHOT_BYTES));
    assert!(second.read(SnapshotReason::Attach, now()).is_none(), "its first part is gone");
    drop(waiting);
    let all = rest(&mut full[1]);
    assert_eq!(all, pattern(MAX_SNAPSHOT_BYTES)[MAX_OUTPUT_BYTES..]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_goes_on_with_the_screen_alone_once_another_waits() {
    let drawings = drawings();
    let mut readers = fill(&drawings, 1, MOST, Some(b"the screen")).await;
    let _others = fill(&drawings, 2, SHARE, None).await;
    for _ in 0..30 {
        advance(SECOND / 10).await;
        readers.iter_mut().for_each(|reader| reader.note_taken(SLOW, now()));
    }
    let quick = readers.last_mut().unwrap();
    quick.note_taken(MAX_SNAPSHOT_BYTES / 2, now());
    next_part(quick);
    advance(2 * SECOND).await;
    assert_eq!(make_room(&mut readers, &drawings), [Kept::All; MOST], "nobody waits");
    let mut waiting = wait(&drawings, 3);
    let mut expected = [Kept::All; MOST];
    expected[0] = Kept::CutShort;
    assert_eq!(make_room(&mut readers, &drawings), expected, "one is enough");
    let turn = timeout(SECOND, &mut waiting.turn).await.unwrap().unwrap();
    drop(turn);
    let screen = b"\x1bc\x1b[3Jthe screen";
    let before = held(&drawings);
    assert_eq!(rest(&mut readers[0]), screen);
    drop(readers.swap_remove(0));
    assert_eq!(held(&drawings), before - screen.len(), "it takes room too");
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_is_cut_short_holds_nothing_back_of_what_others_have() {
    let drawings = drawings();
    let shared = drawn(&drawings, 1, &pattern(MAX_SNAPSHOT_BYTES), Some(b"the screen")).await;
    let (mut slow, mut quick) = (read(&shared), read(&shared));
    drop(shared);
    let _others = [fill(&drawings, 1, MOST - 1, None).await, fill(&drawings, 2, SHARE, None).await];
    (0..5).for_each(|_| drop(next_part(&mut quick)));
    quick.note_taken(MAX_SNAPSHOT_BYTES / 4, now());
    advance(2 * SECOND).await;
    let before = held(&drawings);
    let _waiting = wait(&drawings, 3);
    assert_eq!(quick.make_room(&drawings, now()), Kept::All);
    assert_eq!(held(&drawings), before, "the slow one has nothing yet");
    assert_eq!(slow.make_room(&drawings, now()), Kept::CutShort);
    let granted = LARGEST_BYTES;
    assert_eq!(held(&drawings), before - 5 * MAX_OUTPUT_BYTES + granted);
    assert_eq!(rest(&mut quick), pattern(MAX_SNAPSHOT_BYTES)[5 * MAX_OUTPUT_BYTES..]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_screen_alone_is_large_is_too_slow_and_one_that_is_nearly_done_is_not_cut() {
    let drawings = drawings();
    let mut large = fill(&drawings, 1, MOST, Some(&pattern(MAX_ALONE))).await;
    let mut done = fill(&drawings, 2, SHARE, Some(&pattern(MAX_OUTPUT_BYTES))).await;
    for _ in 0..MAX_SNAPSHOT_BYTES / MAX_OUTPUT_BYTES - 1 {
        done.iter_mut().for_each(|reader| drop(next_part(reader)));
    }
    advance(2 * SECOND).await;
    let _waiting = wait(&drawings, 3);
    assert_eq!(large[0].make_room(&drawings, now()), Kept::TooSlow);
    assert_eq!(make_room(&mut done, &drawings), [Kept::All; SHARE]);
}

/// The story: a slow client of a large screen was interrupted over and over while others waited: what it had was the screen
/// alone, and counted as too large.
#[tokio::test(start_paused = true)]
async fn a_screen_that_is_not_large_is_kept_by_who_takes_anything_of_it() {
    let drawings = drawings();
    let Outcome::Turn(Turn { right, lease }) = drawings.snapshot_turn(owner(1)).await else {
        panic!("no room")
    };
    drop(right);
    let screen =
        Arc::new(Drawn::large(&pattern(200_000), None, lease, Offset(7), TerminalSize::DEFAULT.into(), 0));
    let mut reader = read(&screen);
    let _others = [fill(&drawings, 1, MOST - 1, None).await, fill(&drawings, 2, SHARE, None).await];
    let _waiting = [wait(&drawings, 3), wait(&drawings, 3)];
    for _ in 0..20 {
        advance(9 * SECOND).await;
        assert_eq!(reader.make_room(&drawings, now()), Kept::All);
        reader.note_taken(1, now());
    }
    advance(10 * SECOND).await;
    assert_eq!(reader.make_room(&drawings, now()), Kept::TooSlow, "it takes nothing");
}

/// More than is kept beside a large snapshot.
const MAX_ALONE: usize = MAX_ALONE_BYTES + 1;

#[test]
fn a_terminal_shows_the_screen_alone_wherever_the_rest_was_cut() {
    let screen = |bytes: &[u8]| {
        let mut screen = Screen::new(Size::new(24, 80), vec![0; 1 << 20], 1000);
        screen.feed(bytes, &mut Vec::new());
        screen
    };
    let mut text = String::from("\x1b]0;title\x07");
    for line in 0..200 {
        text += &format!(
            "\x1b[3{}m\x1b]8;;http://host/{line}\x07line {line} \u{6f22}\u{5b57}\x1b]8;;\x07\r\n",
            line % 8
        );
    }
    for end in ["$ ", "\x1b[?1049h\x1b[5;20r\x1b[?2004;1000h\x1b[31mfull screen"] {
        let program = screen(format!("{text}{end}").as_bytes());
        let (whole, alone) = (program.snapshot(1000), program.snapshot(0));
        let expected = screen(&alone).inspect();
        for cut in (0..whole.len() - alone.len()).step_by(7) {
            let shown = screen(&[&whole[..cut], b"\x1bc\x1b[3J", &alone].concat());
            assert_eq!(shown.scrollback_rows(), 0);
            assert_eq!(shown.inspect(), expected, "cut after {cut} bytes");
        }
    }
}
