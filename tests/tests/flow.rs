//! Who waits for whom when output comes faster than it is read: windows, holds, and their bounds.

use std::time::Duration;

use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::flood::Flood;
use devpocket_tests::stack::{Options, Stack};
use devpocket_tests::wait_until;
use serde_json::{Value, json};
use tokio::time::Instant;

/// A lossless client holds the program back for so long without progress.
const HOLD: Duration = Duration::from_secs(10);
/// How much a session keeps, and what may lie in the terminal besides.
const RING_BYTES: u64 = 1 << 20;
const SLACK_BYTES: u64 = 256 << 10;
const LIMIT: Duration = Duration::from_secs(40);

/// A stack with a flood that one client is attached to, as `data` says; the flood has begun.
async fn flooded(framing: Framing, data: Value) -> (Stack, Flood, Socket, u64) {
    let stack = Stack::start().await;
    let flood = Flood::open(&stack, &stack.opening(0, framing), "flood").await;
    let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
    let mut data = data;
    data["offset"] = 7.into();
    let attached = socket.attach(flood.session, data).await;
    assert_eq!((attached.kind.as_str(), attached.offset), ("replay", 7), "after `ready`");
    socket.send_input(flood.session, None, b"go\n");
    socket.flush().await.expect("the socket stays open");
    let window = attached.window.unwrap_or(0);
    (stack, flood, socket, window)
}

/// Reads what is there until the program has printed nothing for a second; gives what it has printed then.
async fn read_until_held(flood: &Flood, socket: &mut Socket, mut output: impl FnMut(&Event)) -> u64 {
    let (mut printed, mut since) = (flood.printed(), Instant::now());
    let deadline = Instant::now() + LIMIT;
    while since.elapsed() < Duration::from_secs(1) || printed < 1000 {
        assert!(Instant::now() < deadline, "the program is not held back: {printed} bytes");
        if let Ok(event) = tokio::time::timeout(Duration::from_millis(50), socket.next()).await {
            output(&event.expect("the protocol is kept"));
        }
        let now = flood.printed();
        if now != printed {
            (printed, since) = (now, Instant::now());
        }
    }
    printed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_the_window_is_sent_beyond_the_last_ack() {
    for framing in [Framing::Binary, Framing::Json] {
        let (_stack, flood, mut socket, window) =
            flooded(framing, json!({"client_id": "me", "window": 65_536, "delivery": "lossless"})).await;
        assert_eq!(window, 65_536);
        let (mut end, mut acked) = (7, 7);
        for round in 0..20 {
            // What may come comes; then three round trips in which nothing more may.
            let mut quiet = 0;
            while quiet < 3 {
                match socket.event("output within the window").await {
                    Event::Output { offset, end: now, .. } => {
                        assert_eq!(offset, end, "{framing:?}: without a gap");
                        end = now;
                        assert!(end - acked <= window, "{framing:?}: {} bytes beyond the ack", end - acked);
                        if end - acked > window / 2 && quiet == 0 {
                            socket.send(&json!({"type": "ping", "data": round}));
                            quiet = 1;
                        }
                    }
                    Event::Message(message) if message.kind == "pong" => {
                        quiet += 1;
                        socket.send(&json!({"type": "ping", "data": round}));
                    }
                    _ => {}
                }
            }
            acked = end;
            socket.send_ack(flood.session, acked);
        }
    }
}

#[tokio::test]
async fn a_window_is_at_most_half_the_ring() {
    let keeper_environment = vec![("PTYD_RING_BYTES".to_owned(), "524288".to_owned())];
    let stack = Stack::start_with(Options { keeper_environment, ..Options::default() }).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    for (asked, most) in [(1000, 1000), (262_144, 262_144), (1 << 20, 262_144), (u64::MAX, 262_144)] {
        let data = json!({"session_type": "local", "command": ["cat"], "client_id": "me", "window": asked});
        let window = socket.connect(data).await.window.expect("a window");
        assert!(window > 0 && window <= most, "asked for {asked}, got {window}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossless_client_that_stops_acking_holds_the_program_for_ten_seconds_only() {
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "lossless"});
    let (_stack, flood, mut socket, _window) = flooded(Framing::Binary, data).await;
    let began = Instant::now();
    let held_at = read_until_held(&flood, &mut socket, |event| {
        assert!(!matches!(event, Event::Snapshot { .. }), "no snapshot while the program is held");
    })
    .await;
    assert!(held_at < RING_BYTES + SLACK_BYTES, "held after {held_at} bytes");
    wait_until("the program goes on", LIMIT, async || flood.printed() > held_at).await;
    let held = began.elapsed();
    assert!(
        held > HOLD - Duration::from_secs(2) && held < HOLD + Duration::from_secs(8),
        "held for {held:?}"
    );
    // The client has still not caught up, so it holds nothing back: neither at the next ring of output nor later.
    let free = Instant::now();
    wait_until("the program is free", HOLD * 4, async || flood.printed() > held_at + 16 * RING_BYTES).await;
    assert!(free.elapsed() < HOLD / 2, "the program was held again: {:?} for 16 rings", free.elapsed());
    flood.expect_same_program();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossless_client_that_vanishes_holds_the_program_until_it_comes_back() {
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "lossless"});
    let (stack, flood, mut socket, _window) = flooded(Framing::Binary, data.clone()).await;
    let mut end = 7;
    read_until_held(&flood, &mut socket, |event| {
        if let Event::Output { end: now, .. } = event {
            end = *now;
        }
    })
    .await;
    drop(socket);
    // A new connection goes on at the exact byte, in the middle of the flood.
    let (mut again, resumed) =
        Socket::attach_patiently(&stack.opening(0, Framing::Binary), flood.session, &{
            let mut data = data;
            data["offset"] = end.into();
            data
        })
        .await;
    assert_eq!((resumed.kind.as_str(), resumed.offset), ("replay", end));
    while end < 4 * RING_BYTES {
        if let Event::Output { offset, end: now, .. } = again.event("more of the flood").await {
            assert_eq!(offset, end);
            end = now;
            again.send_ack(flood.session, end);
        }
    }
}

/// Leaves a flood without a word and expects it to be held for ten seconds more; `between` happens while it is.
async fn expect_a_vanished_client_to_hold_for_ten_seconds(between: impl AsyncFnOnce(&Stack)) {
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "lossless"});
    let (stack, flood, mut socket, _window) = flooded(Framing::Binary, data).await;
    read_until_held(&flood, &mut socket, |_| {}).await;
    drop(socket);
    between(&stack).await;
    let began = Instant::now();
    let held_at = flood.printed();
    wait_until("the program goes on", LIMIT, async || flood.printed() > held_at + 4 * RING_BYTES).await;
    let held = began.elapsed();
    assert!(
        held > HOLD - Duration::from_secs(3) && held < HOLD + Duration::from_secs(8),
        "held for {held:?}"
    );
    flood.expect_same_program();
}

/// The story: a phone dies in a flood, for good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lossless_client_that_vanishes_for_good_holds_the_program_for_ten_seconds_only() {
    expect_a_vanished_client_to_hold_for_ten_seconds(async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vanished_client_holds_the_program_for_ten_seconds_after_a_worker_kill_too() {
    expect_a_vanished_client_to_hold_for_ten_seconds(async |stack| {
        assert!(stack.kill_worker());
        stack.worker_ready().await;
    })
    .await;
}

/// The story: each time it came back the ten seconds began anew, and the program waited for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_back_again_and_again_without_reading_holds_the_program_for_a_bounded_time() {
    const MOST_HOLD: Duration = Duration::from_secs(30);
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "lossless", "offset": 7});
    let (stack, flood, mut socket, _window) = flooded(Framing::Binary, data.clone()).await;
    let began = Instant::now();
    let held_at = read_until_held(&flood, &mut socket, |_| {}).await;
    while flood.printed() < held_at + 4 * RING_BYTES {
        assert!(
            began.elapsed() < MOST_HOLD + HOLD + Duration::from_secs(8),
            "held for {:?}",
            began.elapsed()
        );
        drop(socket);
        (socket, _) =
            Socket::attach_patiently(&stack.opening(0, Framing::Binary), flood.session, &data).await;
        // It stays for five seconds, in which it acknowledges nothing.
        let stays = Instant::now() + Duration::from_secs(5);
        while tokio::time::timeout_at(stays, socket.next()).await.is_ok() {}
    }
    assert!(began.elapsed() > 2 * HOLD, "held for {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_detaches_sets_the_program_free_at_once() {
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "lossless"});
    let (_stack, flood, mut socket, _window) = flooded(Framing::Binary, data).await;
    let held_at = read_until_held(&flood, &mut socket, |_| {}).await;
    let began = Instant::now();
    socket.ask(json!({"type": "detach", "session_id": flood.session})).await;
    wait_until("the program goes on", LIMIT, async || flood.printed() > held_at + 2 * RING_BYTES).await;
    assert!(began.elapsed() < HOLD / 2, "set free after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realtime_client_never_holds_the_program_and_gets_a_snapshot_of_what_it_missed() {
    let data = json!({"client_id": "me", "window": 65_536, "delivery": "realtime", "scrollback": 1000});
    let (_stack, flood, mut socket, _window) = flooded(Framing::Binary, data).await;
    let began = Instant::now();
    wait_until("the program prints much", LIMIT, async || flood.printed() > 8 * RING_BYTES).await;
    assert!(began.elapsed() < HOLD, "the program was held: {:?}", began.elapsed());
    let mut end = 7;
    let (offset, reason, lines) = loop {
        match socket.event("a snapshot in place of what was missed").await {
            Event::Output { offset, end: now, .. } => {
                assert_eq!(offset, end, "without a gap up to the snapshot");
                end = now;
                socket.send_ack(flood.session, end);
            }
            Event::Snapshot { offset, reason, more: false, bytes, .. } => {
                break (offset, reason, bytes.iter().filter(|byte| **byte == b'\n').count());
            }
            _ => {}
        }
    };
    assert_eq!(reason, devpocket_tests::client::event::Reason::Lagged);
    assert!(offset > end, "the snapshot at {offset} is beyond what was received, {end}");
    // Its scrollback is its own (PROTOCOL section 6): of what it asked for at the attach nothing comes again.
    assert!(lines < 24, "{lines} lines of 24 rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_nobody_attached_the_program_is_never_held() {
    let (_stack, flood, mut socket, _window) = flooded(Framing::Json, json!({"client_id": "me"})).await;
    socket.ask(json!({"type": "detach", "session_id": flood.session})).await;
    let began = Instant::now();
    let printed = flood.printed();
    wait_until("the program prints much", LIMIT, async || flood.printed() > printed + 8 * RING_BYTES).await;
    assert!(began.elapsed() < HOLD, "the program was held: {:?}", began.elapsed());
}

/// The story: what was handed to the transport counted as progress, so a client without a window that stopped reading held
/// the program until its connection died.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_json_client_that_stops_reading_holds_the_program_for_ten_seconds_only() {
    let (_stack, flood, _socket, _window) = flooded(Framing::Json, json!({})).await;
    let (mut printed, mut since) = (flood.printed(), Instant::now());
    wait_until("the program is held", LIMIT, async || {
        let now = flood.printed();
        if now != printed {
            (printed, since) = (now, Instant::now());
        }
        printed > 1000 && since.elapsed() > Duration::from_secs(1)
    })
    .await;
    wait_until("the program goes on", LIMIT, async || flood.printed() > printed + 4 * RING_BYTES).await;
    // What the kernel still takes into its buffers is progress, and starts the ten seconds again.
    assert!(since.elapsed() < HOLD + Duration::from_secs(15), "held for {:?}", since.elapsed());
}
