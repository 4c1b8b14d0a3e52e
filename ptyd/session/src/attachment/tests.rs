use devpocket_shared::ids::ClientId;
use devpocket_shared::wire::AttachMode;
use proptest::prelude::*;

use super::*;
use crate::holds::MOST_HOLD;
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
        let view = region.view(attachment.cursor(), attachment.told_size());
        let outgoing = attachment.poll_send(&view, 100, t0());
        if let Some(Outgoing::Snapshot(_)) = outgoing {
            assert!(attachment.take_snapshot(&view, 1 << 20, t0()), "one that just came gets it at any size");
        }
        (outgoing, attachment.cursor())
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

/// The story: with a window and no client id, each answer that the client's connection took began the ten seconds anew.
#[test]
fn what_else_a_client_takes_is_no_progress_where_it_has_a_window() {
    let mut phone = fresh(&Attach { client_id: None, ..windowed(1000) });
    let view = held(0..5000);
    assert_eq!(phone.poll_send(&view, 1000, t0()), output(0, 1000));
    for second in 0..10 {
        // All of it is taken, and answers with it.
        let now = t0() + Duration::from_secs(second);
        phone.handle_written(1000, true, now);
        assert_eq!(phone.poll_send(&view, 1000, now), None);
        assert_eq!(phone.hold(), Some(Offset(1000)), "after {second} s");
    }
    assert_eq!(phone.poll_timeout(), Some(t0() + STALL_LIMIT));
    phone.handle_timeout(t0() + STALL_LIMIT);
    assert_eq!(phone.hold(), None);
}

/// The story: a client that came back every five seconds and never acknowledged held the program for ever.
#[test]
fn a_client_that_comes_back_without_getting_further_holds_for_a_bounded_time() {
    let (view, mut now, mut behind) = (held(0..5000), t0(), None);
    let mut held_for = Duration::ZERO;
    while held_for < 2 * MOST_HOLD {
        let mut phone = fresh(&windowed(1000));
        if let Some((offset, since)) = behind {
            assert_eq!(offset, Offset(0));
            phone.carry_on(since, now);
        }
        phone.poll_send(&view, 1000, now);
        if phone.hold().is_none() {
            break;
        }
        now += Duration::from_secs(5);
        held_for = now.duration_since(t0());
        behind = phone.behind();
    }
    assert_eq!(held_for, MOST_HOLD);
    // One that gets further is given its time anew; so is one that had all there was.
    let mut phone = fresh(&windowed(1000));
    phone.carry_on(t0(), t0() + Duration::from_secs(1));
    phone.poll_send(&view, 1000, now);
    phone.handle_ack(Offset(10), now);
    assert_eq!(phone.behind(), Some((Offset(10), now)));
    phone.handle_ack(Offset(1000), now);
    phone.poll_send(&held(0..1000), 1000, now);
    assert_eq!(phone.behind(), None);
}

/// One that has all there is waits for nothing, however rarely it acknowledges.
#[test]
fn who_has_everything_is_not_stuck() {
    let mut phone = fresh(&Attach { client_id: None, ..windowed(1000) });
    let view = held(0..500);
    assert_eq!(phone.poll_send(&view, 1000, t0()), output(0, 500));
    phone.handle_written(500, true, t0());
    assert_eq!(phone.poll_send(&view, 1000, t0()), None);
    assert_eq!(phone.poll_timeout(), None);
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
    let moved = t0() + STALL_LIMIT + Duration::from_secs(1);
    phone.handle_ack(Offset(500), moved);
    assert!(gets_snapshot(&mut phone, &gone, moved));
    let later = moved + Duration::from_millis(200);
    assert_eq!(phone.poll_send(&held(17_000..19_000), 1000, later), None);
    assert_eq!(phone.hold(), None);
    phone.handle_ack(Offset(9000), later);
    assert_eq!(phone.hold(), Some(Offset(9000)));
    assert!(gets_snapshot(&mut phone, &held(17_000..19_000), later));
}

/// The story: the transport got stuck with the last bytes there were. The client counted as caught up, nothing ran, and
/// the program was held for ever.
#[test]
fn a_transport_stuck_with_the_very_last_bytes_holds_for_ten_seconds_only() {
    let mut phone = fresh(&Attach { delivery: Delivery::Lossless, ..plain() });
    assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), output(0, 5000));
    assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), None);
    phone.handle_written(100, false, t0());
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
    phone.handle_written(100, false, later);
    assert_eq!(phone.poll_timeout(), Some(later + STALL_LIMIT));
    phone.handle_timeout(later + STALL_LIMIT);
    assert_eq!(phone.hold(), None);
    // A snapshot that only fills the transport's buffers does not make it hold again; having taken it all does.
    phone.handle_written(100, true, later);
    assert!(gets_snapshot(&mut phone, &held(7000..9000), later));
    phone.handle_written(100, false, later);
    assert_eq!(phone.poll_send(&held(7000..9000), 5000, later), None);
    assert_eq!(phone.hold(), None);
    phone.handle_written(100, true, later);
    assert_eq!(phone.poll_send(&held(7000..9000), 5000, later), None);
    assert_eq!(phone.hold(), Some(Offset(9000)));
}

#[test]
fn a_client_that_has_everything_runs_against_no_clock() {
    for attach in [Attach { delivery: Delivery::Lossless, ..plain() }, windowed(10_000)] {
        let mut phone = fresh(&attach);
        phone.poll_send(&held(0..5000), 5000, t0());
        phone.handle_written(100, true, t0());
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
    assert!(gets_snapshot(&mut phone, &gone, t0()));
    assert_eq!(phone.poll_send(&gone, 1000, t0()), None);
    assert_eq!(phone.cursor(), Offset(9000));
}

#[test]
fn a_change_of_size_is_told_at_its_place_in_the_stream() {
    let mut phone = fresh(&plain());
    let size = TerminalSize::new(10, 20).unwrap();
    let before = View { next_change: Some(Offset(300)), size_now: size.into(), ..held(0..1000) };
    assert_eq!(phone.poll_send(&before, 1000, t0()), output(0, 300));
    let after = View { size_here: size.into(), size_now: size.into(), ..held(0..1000) };
    assert_eq!(phone.poll_send(&after, 1000, t0()), Some(Outgoing::Resized { offset: Offset(300), size }));
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
                1 => match attachment.poll_send(&region.view(attachment.cursor(), attachment.told_size()), 1 + amount as usize, t0()) {
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

/// The story: while a large snapshot was on its way nothing else was sent, so no clock ran: a client that read none of it held
/// its program for ever.
#[test]
fn a_client_stuck_in_its_first_snapshot_holds_for_ten_seconds_only() {
    for attach in [Attach { delivery: Delivery::Lossless, ..plain() }, windowed(10_000)] {
        let mut phone = Attachment::new(&attach, &region_after(0), false).0;
        assert_eq!(
            phone.poll_send(&held(0..5000), 5000, t0()),
            Some(Outgoing::Snapshot(SnapshotReason::Attach))
        );
        assert!(phone.take_snapshot(&held(0..5000), 4_000_000, t0()));
        assert!(phone.hold().is_some());
        assert_eq!(phone.poll_timeout(), Some(t0() + STALL_LIMIT));
        // It reads: slowly, but it does.
        let later = t0() + Duration::from_secs(9);
        phone.handle_written(100_000, false, later);
        assert_eq!(phone.poll_timeout(), Some(later + STALL_LIMIT));
        phone.handle_timeout(later + STALL_LIMIT);
        assert_eq!(phone.hold(), None);
    }
}

#[test]
fn output_goes_on_from_where_the_drawing_of_a_snapshot_was_begun() {
    for attach in [Attach { delivery: Delivery::Lossless, ..plain() }, windowed(10_000)] {
        let mut phone = Attachment::new(&attach, &region_after(0), false).0;
        let asks = Some(Outgoing::Snapshot(SnapshotReason::Attach));
        assert_eq!(phone.poll_send(&held(0..5000), 5000, t0()), asks);
        assert_eq!(phone.hold(), None, "as long as it waits for its turn, the program goes on");
        assert_eq!(phone.poll_send(&held(0..6000), 5000, t0()), asks);
        phone.begin_snapshot(Offset(6000), TerminalSize::DEFAULT.into(), t0());
        assert_eq!(phone.hold(), Some(Offset(6000)));
        // Something else is written meanwhile, and it acknowledges what it cannot have seen.
        phone.handle_written(100, true, t0());
        phone.handle_ack(Offset(9000), t0());
        assert_eq!(phone.poll_send(&held(0..9000), 5000, t0()), None, "nothing comes before its snapshot");
        assert_eq!((phone.hold(), phone.owes_snapshot()), (Some(Offset(6000)), true));
        assert!(phone.take_snapshot(&held(6000..9000), 4_000_000, t0()));
        assert_eq!((phone.cursor(), phone.owes_snapshot()), (Offset(6000), false));
        phone.handle_written(4_000_000, true, t0());
        assert_eq!(phone.poll_send(&held(6000..9000), 5000, t0()), output(6000, 3000));
    }
}

#[test]
fn a_drawing_that_does_not_end_holds_the_program_for_ten_seconds_only() {
    let mut phone = Attachment::new(&windowed(10_000), &region_after(0), false).0;
    phone.poll_send(&held(0..5000), 5000, t0());
    phone.begin_snapshot(Offset(5000), TerminalSize::DEFAULT.into(), t0());
    phone.handle_written(100, true, t0());
    assert_eq!(phone.poll_timeout(), Some(t0() + STALL_LIMIT));
    phone.handle_timeout(t0() + STALL_LIMIT);
    assert_eq!(phone.hold(), None);
}

#[test]
fn a_realtime_client_whose_output_is_gone_when_its_snapshot_is_drawn_gets_another() {
    let mut phone = Attachment::new(&plain(), &region_after(0), false).0;
    phone.poll_send(&held(0..5000), 5000, t0());
    phone.begin_snapshot(Offset(5000), TerminalSize::DEFAULT.into(), t0());
    assert_eq!(phone.hold(), None);
    let gone = held(7000..9000);
    assert!(phone.take_snapshot(&gone, 100_000, t0()), "it has the lines above the screen");
    assert_eq!(phone.cursor(), Offset(5000));
    phone.handle_written(100_000, true, t0());
    let later = t0() + Duration::from_secs(1);
    assert!(gets_snapshot(&mut phone, &gone, later));
    assert_eq!(phone.cursor(), Offset(9000));
}

#[test]
fn a_size_that_changed_while_a_snapshot_was_drawn_is_told_after_it() {
    let mut phone = Attachment::new(&plain(), &region_after(0), false).0;
    phone.poll_send(&held(0..5000), 5000, t0());
    phone.begin_snapshot(Offset(5000), TerminalSize::DEFAULT.into(), t0());
    let size = TerminalSize::new(10, 20).unwrap();
    let changed = View { size_here: size.into(), size_now: size.into(), ..held(0..6000) };
    assert!(phone.take_snapshot(&changed, 100_000, t0()));
    let resized = Some(Outgoing::Resized { offset: Offset(5000), size });
    assert_eq!(phone.poll_send(&changed, 5000, t0()), resized);
    assert_eq!(phone.poll_send(&changed, 5000, t0()), output(5000, 1000));
}

fn fresh(attach: &Attach) -> Attachment {
    Attachment::new(attach, &region_after(0), true).0
}

/// Whether it asks for a snapshot in place of what it missed; it is sent one of 100 bytes.
fn gets_snapshot(phone: &mut Attachment, view: &View, now: Instant) -> bool {
    let asks = phone.poll_send(view, 1000, now) == Some(Outgoing::Snapshot(SnapshotReason::Lagged));
    asks && phone.take_snapshot(view, 100, now)
}

fn held(range: Range<u64>) -> View {
    View {
        held: Offset(range.start)..Offset(range.end),
        size_here: TerminalSize::DEFAULT.into(),
        next_change: None,
        size_now: TerminalSize::DEFAULT.into(),
    }
}

fn output(offset: u64, len: usize) -> Option<Outgoing> {
    Some(Outgoing::Output { offset: Offset(offset), len })
}

pub(super) fn plain() -> Attach {
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

pub(super) fn windowed(window: u64) -> Attach {
    Attach {
        client_id: Some(ClientId::try_from("phone".to_owned()).unwrap()),
        window: Some(window),
        delivery: Delivery::Lossless,
        ..plain()
    }
}

#[test]
fn a_client_that_hangs_while_it_catches_up_with_what_is_gone_holds_nothing_back() {
    let mut phone = fresh(&windowed(4000));
    let (s, ms) = (Duration::from_secs(1), Duration::from_millis(1));
    // Lossless, slow (some 1.3 KB/s), then stuck for ten seconds: released.
    phone.poll_send(&held(0..5000), 4000, t0());
    for (offset, at) in [(1000, 1), (2000, 2), (3000, 3), (3990, 4)] {
        phone.handle_ack(Offset(offset), t0() + at * s);
    }
    let mut now = t0() + 15 * s;
    phone.poll_send(&held(0..5000), 4000, now);
    phone.handle_timeout(now);
    assert_eq!(phone.hold(), None);
    // It moves on, and is brought up by a snapshot.
    phone.handle_ack(Offset(4900), now);
    let view = held(70_000..90_000);
    let lagged = Some(Outgoing::Snapshot(SnapshotReason::Lagged));
    assert_eq!(phone.poll_send(&view, 1000, now), lagged);
    assert!(phone.take_snapshot(&view, 3000, now));
    phone.handle_written(3000, true, now);
    now += 12 * s;
    // A little more output: what it missed is less than a snapshot, and is sent instead.
    let view = held(70_000..91_300);
    assert_eq!(phone.poll_send(&view, 1000, now), lagged);
    assert!(!phone.take_snapshot(&view, 3000, now));
    while phone.poll_send(&view, 1000, now).is_some() {}
    phone.handle_written(1000, true, now);
    // It acknowledges the snapshot and a bit of that while a flood begins that goes round the ring; then it hangs.
    now += 30 * ms;
    phone.handle_ack(Offset(90_100), now);
    phone.poll_send(&held(400_000..500_000), 1000, now);
    assert_eq!(phone.hold(), None);
}
