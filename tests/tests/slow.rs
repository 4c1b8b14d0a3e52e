//! Clients that are slow, or come and go: what they see, how soon their Ctrl-C acts, and that nobody else pays for it.
//! Measured more closely by the figures `ctrl-c` and `slow` of the benchmarks.

use std::time::Duration;

use devpocket_tests::client::{Event, Framing, Socket, Watcher};
use devpocket_tests::stack::{Stack, proc};
use devpocket_tests::{Throttle, wait_for, wait_until};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(60);
/// What may lie between a key and its effect on a busy machine; without control of what is on its way it is many seconds.
const SOON: Duration = Duration::from_secs(2);
const RING_BYTES: u64 = 1 << 20;
const WINDOW_BYTES: u64 = 512 << 10;
const MIB: u64 = 1 << 20;

/// A session that floods after a line was typed, until Ctrl-C, and then says so.
async fn flood(stack: &Stack) -> (Socket, Uuid) {
    let script = "trap : INT; stty -echo; printf ready; read -r go; yes; stty echo; printf 'the flood is over> '; exec cat";
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let data = json!({"session_type": "local", "command": ["sh", "-c", script], "delivery": "lossless"});
    let session = socket.connect(data).await.session;
    socket.read_until(session, "ready").await;
    (socket, session)
}

/// The lines of the screen at the end of [`flood`].
fn expect_end(watcher: &Watcher) {
    let text = watcher.text();
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    let (last, rest) = lines.split_last().expect("something was drawn");
    assert!(last.ends_with("the flood is over>"), "{lines:?}");
    assert!(rest.len() >= 20 && rest.iter().rev().take(20).all(|line| *line == "y"), "{lines:?}");
}

/// The story: a prompt waited behind all that was on its way: 9 s over ssh, 16 KiB at least, and once the rest of half a
/// second of output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_at_one_megabit_sees_the_prompt_right_after_its_ctrl_c() {
    let stack = Stack::start().await;
    let worker = stack.worker_ready().await;
    let (mut socket, session) = flood(&stack).await;
    socket.send_input(session, None, b"go\n");
    let mut printed = 0;
    // With the ring full and the screen's scrollback there, memory is what it stays at.
    while printed < 16 * RING_BYTES {
        if let Event::Output { end, .. } = socket.next_event().await {
            printed = end;
        }
    }
    socket.ask(json!({"type": "detach", "session_id": session})).await;
    let before = proc::resident_bytes(worker).expect("the worker lives");
    let throttle = Throttle::start(stack.address(0), 125_000).await;
    let opening = stack.opening_at(throttle.address, Framing::Binary);
    let mut phone = Watcher::attach(&opening, session, WINDOW_BYTES, json!({"client_id": "phone"})).await;
    let (mut most, from) = (before, phone.drawn());
    // Far more is printed than its link carries within the limit: it holds nobody.
    phone
        .watch("it is brought up by snapshots", LIMIT, |phone| {
            most = most.max(proc::resident_bytes(worker).expect("the worker lives"));
            phone.lagged >= 50 && phone.drawn() > from + 8 * RING_BYTES
        })
        .await;
    let began = Instant::now();
    phone.input(b"\x03");
    phone.watch("it shows the prompt", LIMIT, |phone| phone.text().contains("over> ")).await;
    assert!(began.elapsed() < SOON, "{:?} to the prompt", began.elapsed());
    expect_end(&phone);
    let grown = most.max(proc::resident_bytes(worker).expect("the worker lives")) - before;
    assert!(grown <= MIB, "the worker grew by {grown} bytes");
}

/// The story: nothing that a client said was read before the whole of its snapshot was on its way, for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_does_not_wait_for_the_snapshot_that_is_on_its_way() {
    let stack = Stack::start().await;
    let script = "trap 'printf caught' INT; i=0; while [ $i -lt 6000 ]; do i=$((i + 1)); \
                  printf '\\033[38;5;%dmline %d\\033[m, \\033[4%dmand more of it, to be told apart %d\\033[m\\n' $((i % 256)) $i $((i % 8)) $((i * 7919)); \
                  done; printf printed; while :; do sleep 0.1; done";
    let mut laptop = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let data = json!({"session_type": "local", "command": ["sh", "-c", script], "delivery": "lossless"});
    let session = laptop.connect(data).await.session;
    laptop.read_until(session, "printed").await;
    // 400 KB at 16 KB/s.
    let throttle = Throttle::start(stack.address(0), 16_000).await;
    let mut phone = Socket::must_open(&stack.opening_at(throttle.address, Framing::Binary)).await;
    phone.attach(session, json!({"scrollback": 10_000})).await;
    phone.send(&json!({"type": "signal", "session_id": session, "data": {"signal": "SIGINT"}}));
    phone.flush().await.expect("sent");
    laptop.read_until(session, "caught").await;
    // Whatever of it has arrived by now is there to be read at once: the end of it is not.
    let mut bytes = 0;
    while let Ok(event) =
        tokio::time::timeout(Duration::from_millis(20), phone.event("a part of the snapshot")).await
    {
        let Event::Snapshot { bytes: part, more, .. } = event else { continue };
        bytes += part.len();
        assert!(more, "the whole snapshot, {bytes} bytes, came before the signal took effect");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_at_sixteen_kilobits_beside_twenty_fast_ones_costs_them_nothing() {
    let stack = Stack::start().await;
    let worker = stack.worker_ready().await;
    let (mut socket, session) = flood(&stack).await;
    let throttle = Throttle::start(stack.address(0), 2000).await;
    let slow = stack.opening_at(throttle.address, Framing::Binary);
    let mut slow = Watcher::attach(&slow, session, WINDOW_BYTES, json!({"client_id": "slow"})).await;
    let mut fast = JoinSet::new();
    for number in 0..20 {
        let data = json!({"client_id": format!("fast {number}"), "window": WINDOW_BYTES, "delivery": "lossless", "offset": 5});
        let mut fast_socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
        let attached = fast_socket.attach(session, data).await;
        assert_eq!((attached.kind.as_str(), attached.offset), ("replay", 5));
        fast.spawn(read_all(fast_socket, session));
    }
    socket.send_input(session, None, b"go\n");
    socket.ask(json!({"type": "detach", "session_id": session})).await;

    // From when the first ring is full: before that its pages are touched one by one.
    slow.watch("the ring has gone round", LIMIT, |slow| slow.drawn() > 2 * RING_BYTES).await;
    let (before, from) = (proc::resident_bytes(worker).expect("the worker lives"), slow.drawn());
    let mut most = before;
    // Far more is printed than its link carries within the limit: it holds nobody.
    slow.watch("it is brought up by snapshots", LIMIT, |slow| {
        most = most.max(proc::resident_bytes(worker).expect("the worker lives"));
        slow.lagged >= 20 && slow.drawn() > from + 8 * RING_BYTES
    })
    .await;
    assert!(most - before <= 8 * MIB, "the worker grew by {} bytes", most - before);

    let began = Instant::now();
    slow.input(b"\x03");
    let mut ends = Vec::new();
    let mut in_effect = None;
    slow.watch("it shows the end", LIMIT, |slow| {
        // Each fast one had every byte: it panics otherwise.
        while let Some(end) = fast.try_join_next() {
            in_effect.get_or_insert_with(|| began.elapsed());
            ends.push(end.expect("a fast client"));
        }
        slow.text().contains("over> ")
    })
    .await;
    let shown = began.elapsed();
    while let Some(end) = fast.join_next().await {
        in_effect.get_or_insert_with(|| began.elapsed());
        ends.push(end.expect("a fast client"));
    }
    let in_effect = in_effect.expect("twenty fast clients");
    assert!(in_effect < SOON, "its Ctrl-C took effect after {in_effect:?}");
    let late = shown.saturating_sub(in_effect);
    assert!(late < Duration::from_secs(1), "the slow one shows the end {late:?} after it");
    expect_end(&slow);
    assert_eq!(ends, [slow.drawn(); 20], "where each fast one saw the end");
}

/// Reads up to the end of the flood, every byte of it; gives where that is.
async fn read_all(mut socket: Socket, session: Uuid) -> u64 {
    const END: &[u8] = b"over> ";
    let (mut expected, mut acked, mut tail) = (5, 5, Vec::new());
    loop {
        match socket.next_event().await {
            Event::Output { offset, end, bytes, .. } => {
                assert_eq!(offset, expected, "every byte once and in order");
                expected = end;
                tail.extend_from_slice(&bytes[bytes.len().saturating_sub(END.len())..]);
                tail.drain(..tail.len().saturating_sub(END.len()));
                if end - acked >= WINDOW_BYTES / 8 || tail == END {
                    socket.send_ack(session, end);
                    acked = end;
                }
                if tail == END {
                    return end;
                }
            }
            Event::Snapshot { .. } => panic!("a snapshot for a lossless client that reads"),
            Event::Closed { code, reason } => panic!("the connection ended: {code:?} {reason}"),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_comes_and_goes_a_hundred_times_does_not_disturb_an_idle_laptop() {
    let stack = Stack::start().await;
    let sized = stack.place.work("sized");
    let program = format!(
        "$SIG{{WINCH}} = sub {{ open my $f, '>>', '{}'; print $f \"WINCH\\n\"; close $f; }}; $| = 1; \
         print \"line $_\\n\" for 1..500; print 'idle'; sleep 1000 while 1;",
        sized.display()
    );
    let mut laptop = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let data = json!({"session_type": "local", "command": ["perl", "-e", program], "client_id": "laptop",
        "terminal_size": {"rows": 50, "cols": 160}});
    let session = laptop.connect(data).await.session;
    let seen = laptop.read_until(session, "idle").await;
    let history = laptop.history(session, None, 5000).await;
    assert!(seen.contains("line 500") && history.lines.len() >= 400, "{} lines", history.lines.len());

    let data = json!({"client_id": "phone", "terminal_size": {"rows": 20, "cols": 40}, "window": 65_536,
        "scrollback": 100});
    let mut phone = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    for round in 0..100 {
        let attached = phone.attach(session, data.clone()).await;
        assert_eq!((attached.kind.as_str(), attached.size), ("snapshot", (50, 160)), "round {round}");
        phone.read_until(session, "idle").await;
        if round % 2 == 0 {
            phone.ask(json!({"type": "detach", "session_id": session})).await;
        } else {
            // Lost, without a word.
            drop(phone);
            phone = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
        }
    }
    // What was sent to the laptop meanwhile is here before the answer to this.
    assert_eq!(laptop.history(session, None, 5000).await, history, "the laptop's scrollback");
    laptop.send(&json!({"type": "ping", "data": "last"}));
    loop {
        match laptop.next_event().await {
            Event::Message(message) if message.kind == "pong" => break,
            Event::Message(message) if message.kind != "resized" => {}
            Event::Echo { .. } => {}
            disturbing => panic!("the laptop is disturbed: {disturbing:?}"),
        }
    }
    assert!(!sized.exists(), "the program got SIGWINCH");

    // It does get one where a phone asks for its size: the trap works.
    phone.attach(session, data).await;
    phone.send(&json!({"type": "resize", "session_id": session, "data": {"rows": 20, "cols": 40}}));
    phone.flush().await.expect("the socket stays open");
    let resized = laptop.wait("resized", |event| match event {
        Event::Message(message) if message.kind == "resized" => Some(message.data().clone()),
        _ => None,
    });
    assert_eq!(resized.await, json!({"rows": 20, "cols": 40}));
    wait_until("the program gets SIGWINCH", LIMIT, async || sized.exists()).await;
    let trapped = wait_for("it has written so", LIMIT, async || {
        std::fs::read_to_string(&sized).ok().filter(|text| !text.is_empty())
    });
    assert_eq!(trapped.await, "WINCH\n");
}
