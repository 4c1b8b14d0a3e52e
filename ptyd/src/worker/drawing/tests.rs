//! Snapshots, their memory and their readers, on a paused clock.

use bytes::BytesMut;
use devpocket_shared::ids::Offset;
use devpocket_shared::wire::SnapshotReason;
use devpocket_shared::wire::frame::{Frame, MAX_OUTPUT_BYTES};
use ptyd_screen::{Screen, Size};
use tokio::time::{Instant, advance, timeout};
use uuid::Uuid;

use super::*;
use crate::worker::drive::now;

const SECOND: Duration = Duration::from_secs(1);
/// Bytes that a reader at 90 kB/s takes in a tenth of a second.
const SLOW: usize = 9000;

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
    let size = TerminalSize::DEFAULT;
    Arc::new(Drawn::large(bytes, alone.map(<[u8]>::to_vec), lease, Offset(7), size, 100))
}

fn read(drawn: &Arc<Drawn>) -> Parts {
    drawn.read(SnapshotReason::Attach, now()).expect("all of it is there")
}

/// The next part, and whether more follow.
fn next_part(parts: &mut Parts) -> (Vec<u8>, bool) {
    let mut wire = BytesMut::new();
    let more = parts.put_next(&mut wire);
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
    let small = Arc::new(Drawn::small(pattern(100), Offset(7), TerminalSize::DEFAULT, 0));
    assert_eq!(rest(&mut read(&small)), pattern(100));
    assert!(!read(&small).takes_room());
}

#[tokio::test(start_paused = true)]
async fn what_is_drawn_takes_its_room_until_its_last_reader_is_gone() {
    let drawings = drawings();
    let drawn = drawn(&drawings, 1, &pattern(5000), None).await;
    assert_eq!(held(&drawings), 5000);
    let (one, other) = (read(&drawn), read(&drawn));
    drop(drawn);
    assert!(one.takes_room());
    drop(one);
    assert_eq!(held(&drawings), 5000);
    drop(other);
    assert_eq!(held(&drawings), 0);
}

/// The largest snapshot there is, for the first owner.
async fn large(drawings: &Drawings) -> Arc<Drawn> {
    drawn(drawings, 1, &pattern(MAX_SNAPSHOT_BYTES), None).await
}

/// Fills the owner's share with snapshots, each of which is read by one.
async fn fill_share(drawings: &Drawings, number: u128, alone: Option<&[u8]>) -> Vec<Parts> {
    let mut readers = Vec::new();
    for _ in 0..OWNER_BYTES / MAX_SNAPSHOT_BYTES {
        readers.push(read(&drawn(drawings, number, &pattern(MAX_SNAPSHOT_BYTES), alone).await));
    }
    readers
}

/// The story: sixteen readers at 90 kB/s kept every other large snapshot of the node waiting, for 36 s.
#[tokio::test(start_paused = true)]
async fn the_slow_readers_of_one_owner_do_not_hold_up_another() {
    let drawings = drawings();
    let _slow = fill_share(&drawings, 1, None).await;
    let began = Instant::now();
    assert!(matches!(drawings.snapshot_turn(owner(1)).await, Outcome::NoRoom));
    assert_eq!(began.elapsed(), PATIENCE, "its own next one has the screen alone after that");
    for number in 2..5 {
        let _others = fill_share(&drawings, number, None).await;
    }
    assert_eq!(began.elapsed(), PATIENCE, "nobody else waited");
}

#[tokio::test(start_paused = true)]
async fn the_parts_that_all_readers_have_make_room_for_who_waits_and_are_kept_for_others_before() {
    let drawings = drawings();
    let (first, second) = (large(&drawings).await, large(&drawings).await);
    let mut full =
        vec![read(&first), read(&second), read(&large(&drawings).await), read(&large(&drawings).await)];
    let mut wanted = drawings.wanted();
    for reader in &mut full {
        // Nobody waits: the next one who attaches may share it.
        next_part(reader);
        assert_eq!(reader.make_room(&drawings, now()), Kept::All);
    }
    assert_eq!(held(&drawings), OWNER_BYTES);
    let mut late = read(&first);
    let waiting = drawings.ask(owner(1), MAX_SNAPSHOT_BYTES);
    wanted.changed().await.unwrap();
    full.iter_mut().for_each(|reader| assert_eq!(reader.make_room(&drawings, now()), Kept::All));
    assert_eq!(held(&drawings), OWNER_BYTES - 3 * MAX_OUTPUT_BYTES, "one has a reader that has nothing yet");
    assert_eq!(rest(&mut late), pattern(MAX_SNAPSHOT_BYTES));
    assert!(second.read(SnapshotReason::Attach, now()).is_none(), "its first part is gone");
    drop(waiting);
    let all = rest(&mut full[1]);
    assert_eq!(all, pattern(MAX_SNAPSHOT_BYTES)[MAX_OUTPUT_BYTES..]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_goes_on_with_the_screen_alone_once_another_waits() {
    let drawings = drawings();
    let mut readers = fill_share(&drawings, 1, Some(b"the screen")).await;
    for _ in 0..30 {
        advance(SECOND / 10).await;
        readers.iter_mut().for_each(|reader| reader.note_taken(SLOW, now()));
    }
    let quick = readers.last_mut().unwrap();
    quick.note_taken(MAX_SNAPSHOT_BYTES / 2, now());
    next_part(quick);
    advance(2 * SECOND).await;
    let kept = |readers: &mut Vec<Parts>| -> Vec<Kept> {
        readers.iter_mut().map(|reader| reader.make_room(&drawings, now())).collect()
    };
    assert_eq!(kept(&mut readers), [Kept::All; 4], "nobody waits");
    let mut waiting = drawings.ask(owner(1), MAX_SNAPSHOT_BYTES);
    let expected = [Kept::CutShort, Kept::All, Kept::All, Kept::All];
    assert_eq!(kept(&mut readers), expected, "one is enough");
    let turn = timeout(SECOND, &mut waiting.turn).await.unwrap().unwrap();
    drop(turn);
    assert_eq!(rest(&mut readers[0]), b"\x1bc\x1b[3Jthe screen");
    assert!(!readers[0].takes_room());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_that_is_cut_short_holds_nothing_back_of_what_others_have() {
    let drawings = drawings();
    let shared = drawn(&drawings, 1, &pattern(MAX_SNAPSHOT_BYTES), Some(b"the screen")).await;
    let (mut slow, mut quick) = (read(&shared), read(&shared));
    drop(shared);
    let _others = [large(&drawings).await, large(&drawings).await, large(&drawings).await];
    (0..5).for_each(|_| drop(next_part(&mut quick)));
    quick.note_taken(MAX_SNAPSHOT_BYTES / 4, now());
    advance(2 * SECOND).await;
    let _waiting = drawings.ask(owner(1), MAX_SNAPSHOT_BYTES);
    assert_eq!(quick.make_room(&drawings, now()), Kept::All);
    assert_eq!(held(&drawings), OWNER_BYTES, "the slow one has nothing yet");
    assert_eq!(slow.make_room(&drawings, now()), Kept::CutShort);
    assert_eq!(held(&drawings), OWNER_BYTES - 5 * MAX_OUTPUT_BYTES);
    assert_eq!(rest(&mut quick), pattern(MAX_SNAPSHOT_BYTES)[5 * MAX_OUTPUT_BYTES..]);
}

#[tokio::test(start_paused = true)]
async fn one_whose_screen_alone_is_large_is_too_slow_and_one_that_is_nearly_done_is_not_cut() {
    let drawings = drawings();
    let mut large = fill_share(&drawings, 1, Some(&pattern(MAX_ALONE))).await;
    let mut done = fill_share(&drawings, 2, Some(&pattern(MAX_OUTPUT_BYTES))).await;
    for _ in 0..MAX_SNAPSHOT_BYTES / MAX_OUTPUT_BYTES - 1 {
        done.iter_mut().for_each(|reader| drop(next_part(reader)));
    }
    advance(2 * SECOND).await;
    let _waiting = [drawings.ask(owner(1), MAX_SNAPSHOT_BYTES), drawings.ask(owner(2), MAX_SNAPSHOT_BYTES)];
    assert_eq!(large[0].make_room(&drawings, now()), Kept::TooSlow);
    done.iter_mut().for_each(|reader| assert_eq!(reader.make_room(&drawings, now()), Kept::All));
}

/// One byte more than is kept beside a large snapshot.
const MAX_ALONE: usize = (256 << 10) + 1;

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
