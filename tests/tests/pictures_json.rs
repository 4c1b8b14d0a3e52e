//! Large pictures for JSON clients: each is one message, and the api keeps none of them.

use std::collections::BTreeSet;
use std::time::Duration;

use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::coloured::{LINES, coloured, print_coloured};
use devpocket_tests::metrics::value;
use devpocket_tests::stack::{Stack, proc};
use devpocket_tests::{Throttle, wait_until};
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

/// What all of it may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// A snapshot of more is one with its scrollback.
const LARGE_BYTES: usize = 2 << 20;
const SESSIONS: usize = 3;
const SLOW: usize = 40;
const SLOW_BYTES_PER_SECOND: u32 = 15_000;
/// That takes longer at this rate than a client may be silent.
const SLOW_MESSAGE_BYTES: usize = 750_000;
/// What a client that reads slowly may cost the api. It cost some 8 MiB.
const SLOW_BYTES: u64 = 1 << 20;
/// A snapshot takes seconds at this rate: time enough to do something meanwhile.
const BYTES_PER_SECOND: u32 = 1 << 20;
/// More than anything but a snapshot has.
const BEGUN_BYTES: u64 = 128 << 10;
/// When a client that takes nothing is gone: 45 s, five for its farewell, and what a busy machine takes.
const GONE: Duration = Duration::from_secs(75);
/// More messages than wait for a client.
const MANY: u64 = 2000;

async fn attach(socket: &mut Socket, session: Uuid) {
    socket.attach(session, json!({"scrollback": LINES, "mode": "view"})).await;
}

/// Reads to the end of the next snapshot, which is whole.
async fn read_snapshot(socket: &mut Socket) -> Uuid {
    let reading = async {
        loop {
            if let Event::Snapshot { session, bytes, more, .. } = socket.next_event().await {
                let text = String::from_utf8_lossy(&bytes);
                assert!(!more && bytes.len() > LARGE_BYTES, "{} bytes", bytes.len());
                assert!(text.contains("printed"), "it ends with the screen");
                return session;
            }
        }
    };
    timeout(LIMIT, reading).await.expect("it gets its snapshot")
}

/// The next messages, by their type or status.
async fn next_messages(socket: &mut Socket, count: usize) -> Vec<String> {
    let mut messages = Vec::new();
    while messages.len() < count {
        match timeout(2 * LIMIT, socket.next_event()).await.expect("a message") {
            Event::Message(message) => {
                messages.push(message.status().map_or_else(|| message.kind.clone(), str::to_owned));
            }
            Event::Echo { .. } => {}
            Event::Closed { code, .. } => panic!("the connection ended: {code:?}"),
            Event::Snapshot { .. } => messages.push("snapshot".to_owned()),
            Event::Output { .. } | Event::InputAck { .. } | Event::Said { .. } => {}
        }
    }
    messages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_has_the_large_snapshots_of_all_its_sessions() {
    let stack = Stack::start().await;
    let opening = stack.opening(0, Framing::Binary);
    let printed = join_all((0..SESSIONS).map(|_| print_coloured(&opening, "exec cat"))).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    for (_, session) in &printed {
        let data = json!({"scrollback": LINES, "mode": "view"});
        socket.send(&json!({"type": "attach", "session_id": session, "data": data}));
    }
    let mut missing: BTreeSet<Uuid> = printed.iter().map(|(_, session)| *session).collect();
    while !missing.is_empty() {
        let session = read_snapshot(&mut socket).await;
        assert!(missing.remove(&session), "one each");
    }
}

/// The story: each snapshot was put together in the api, and sixty clients that read nothing cost it 544 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_slowly_cost_the_api_no_snapshot_each() {
    let stack = Stack::start().await;
    let session = coloured(&stack, "exec cat").await;
    let throttle = Throttle::start(stack.address(0), SLOW_BYTES_PER_SECOND).await;
    let before = proc::resident_bytes(stack.api_pid(0)).expect("the api lives");
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        let mut socket = Socket::must_open(&stack.opening_at(throttle.address, Framing::Json)).await;
        attach(&mut socket, session).await;
        slow.push(socket);
    }
    let begun = SLOW as u64 * BEGUN_BYTES;
    wait_until("each has begun to read", LIMIT, async || throttle.carried_back() > begun).await;
    // One that reads gets all of it all the same.
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    attach(&mut socket, session).await;
    read_snapshot(&mut socket).await;
    let grown = proc::resident_bytes(stack.api_pid(0)).expect("the api lives").saturating_sub(before);
    assert!(grown < SLOW as u64 * SLOW_BYTES, "the api grew by {grown} bytes");
}

/// A socket that has begun to read a large snapshot, and its session.
async fn in_the_middle(stack: &Stack) -> (Throttle, Socket, Uuid) {
    let session = coloured(stack, "exec cat").await;
    let throttle = Throttle::start(stack.address(0), BYTES_PER_SECOND).await;
    let mut socket = Socket::must_open(&stack.opening_at(throttle.address, Framing::Json)).await;
    attach(&mut socket, session).await;
    wait_until("it has begun to read", LIMIT, async || throttle.carried_back() > BEGUN_BYTES).await;
    (throttle, socket, session)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_a_worker_kill_cuts_is_none_and_comes_again_whole() {
    let stack = Stack::start().await;
    let (_throttle, mut socket, session) = in_the_middle(&stack).await;
    assert!(stack.kill_worker());
    assert_eq!(next_messages(&mut socket, 2).await, ["snapshot_cut", "interrupted"]);
    attach(&mut socket, session).await;
    assert_eq!(read_snapshot(&mut socket).await, session);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_within_a_snapshot_does_not_wait_for_its_end() {
    let stack = Stack::start().await;
    let (_throttle, mut socket, session) = in_the_middle(&stack).await;
    socket.send(&json!({"type": "ping", "data": 1}));
    socket.send(&json!({"type": "history", "session_id": session, "data": {"lines": 5}}));
    socket.send(&json!({"type": "connect", "data": {"session_type": "local", "command": ["cat"]}}));
    let detach = json!({"type": "detach", "session_id": session});
    socket.send(&detach);
    let mut messages = next_messages(&mut socket, 4).await;
    assert_eq!(messages.remove(0), "snapshot_cut");
    // The page may be too late to be asked for by somebody who has left.
    messages.retain(|message| message != "history");
    messages.sort();
    assert!(messages.starts_with(&["connected".to_owned(), "detached".to_owned()]), "{messages:?}");
}

/// The story: what was attached and left again while another snapshot was being sent came to life after it, and then was
/// interrupted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_within_the_snapshot_of_another_session_stays_left() {
    let stack = Stack::start().await;
    let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let script = "while :; do echo tick; sleep 0.01; done";
    let ticking =
        other.connect(json!({"session_type": "local", "command": ["sh", "-c", script]})).await.session;
    let (_throttle, mut socket, session) = in_the_middle(&stack).await;
    for kind in ["attach", "detach", "attach", "attach", "detach"] {
        socket.send(&json!({"type": kind, "session_id": ticking, "data": {}}));
    }
    assert_eq!(read_snapshot(&mut socket).await, session);
    let mut messages = next_messages(&mut socket, 5).await;
    socket.send(&json!({"type": "ping", "data": 1}));
    messages.extend(next_messages(&mut socket, 1).await);
    let expected = ["connected", "detached", "connected", "connected", "detached", "pong"];
    assert_eq!(messages, expected);
}

/// The story: a message took longer to send than a client may be silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_a_large_message_slowly_is_not_silent() {
    let stack = Stack::start().await;
    let throttle = Throttle::start(stack.address(0), SLOW_BYTES_PER_SECOND).await;
    let mut socket = Socket::must_open(&stack.opening_at(throttle.address, Framing::Json)).await;
    socket.send(&json!({"type": "nonsense", "data": "x".repeat(SLOW_MESSAGE_BYTES)}));
    assert_eq!(next_messages(&mut socket, 1).await, ["error"]);
}

/// The story: one whose messages filled the queue of answers was not looked at any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_nothing_are_dropped_whatever_they_say() {
    let stack = Stack::start().await;
    let session = coloured(&stack, "exec cat").await;
    let throttle = Throttle::start(stack.address(0), BYTES_PER_SECOND).await;
    let mut stuck = Vec::new();
    for pings in [0, MANY] {
        for framing in [Framing::Json, Framing::Binary] {
            let mut socket = Socket::must_open(&stack.opening_at(throttle.address, framing)).await;
            attach(&mut socket, session).await;
            for number in 0..pings {
                socket.send(&json!({"type": "ping", "data": "x".repeat(500) + &number.to_string()}));
            }
            socket.flush().await.expect("sent");
            stuck.push(socket);
        }
    }
    throttle.stall();
    let metrics = format!("http://{}/metrics", stack.address(0));
    wait_until("they are gone", GONE, async || {
        let page = reqwest::get(&metrics).await.expect("an answer").text().await.expect("a page");
        value(&page, "devpocket_websockets") == Some(0.0)
    })
    .await;
}
