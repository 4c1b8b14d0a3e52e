//! Large pictures: ten thousand coloured lines, attached to many times at once. Everybody gets the right one, nobody else waits
//! for them, and those who do not read them cost little.

use std::time::Duration;

use devpocket_tests::Throttle;
use devpocket_tests::client::{Credential, Event, Framing, Opening, Socket};
use devpocket_tests::coloured::{LINES, coloured, print_coloured};
use devpocket_tests::stack::{Account, Options, Stack, proc};
use nix::unistd::Pid;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// What all of it may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
/// What an attach to another session, or a key in it, may take on a busy machine. It failed after ten seconds.
const SOON: Duration = Duration::from_secs(5);
/// A snapshot of more is one with its scrollback.
const LARGE_BYTES: usize = 2 << 20;
const READERS: usize = 24;
const STUCK: usize = 60;
/// How long a reader is waited for before the others are looked at again: each look is an attach, and those are counted.
const PACE: Duration = Duration::from_millis(100);
/// Bytes of output that each reader checks after its snapshot.
const CHECKED_BYTES: u64 = 4000;
/// What those who read nothing may cost the worker together. Each cost it the whole snapshot, some 4 MiB.
const STUCK_BYTES: u64 = 64 << 20;
/// Snapshots of some 4 MiB that are more than the 64 MiB kept for them, and what the worker may grow by then: what is being
/// drawn, and what the allocator keeps, come on top.
const MORE_THAN_FIT: u64 = 24;
const MOST_BYTES: u64 = 128 << 20;
/// So many large snapshots are all the memory kept for them.
const SLOW_READERS: usize = 16;
const SLOW_BYTES_PER_SECOND: u32 = 90_000;
/// Sixteen of these together are slower than what a node waits for.
const SLOWEST_BYTES_PER_SECOND: u32 = 15_000;
/// How the screen alone begins behind what was sent of a whole snapshot.
const ANEW: &str = "\x1bc\x1b[3J";

/// Attaches, and reads the whole snapshot and what comes after it: that goes on where the snapshot ends.
async fn read(opening: Opening, session: Uuid, delivery: &str) -> usize {
    let mut socket = Socket::must_open(&opening).await;
    socket.attach(session, json!({"scrollback": LINES, "mode": "view", "delivery": delivery})).await;
    let (mut bytes, mut next) = (0, None);
    let mut until = u64::MAX;
    while next.is_none_or(|next| next < until) {
        match socket.event("the snapshot, and output").await {
            Event::Snapshot { bytes: part, offset, more, .. } => {
                assert_eq!(next, None, "one snapshot");
                bytes += part.len();
                if !more {
                    (next, until) = (Some(offset), offset + CHECKED_BYTES);
                }
            }
            Event::Output { offset, end, .. } => {
                assert_eq!(next, Some(offset), "output goes on from the snapshot, each byte once");
                next = Some(end);
            }
            _ => {}
        }
    }
    bytes
}

/// The story: large snapshots were drawn one after the other, each for a sixth of a second on the worker's only thread, and
/// everybody's turn came after theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_attaches_to_ten_thousand_coloured_lines_keep_nobody_else_waiting() {
    let stack = Stack::start().await;
    let session = coloured(&stack, "while :; do echo tick; sleep 0.01; done").await;
    let opening = stack.opening(0, Framing::Binary);
    let mut other = Socket::must_open(&opening).await;
    let small = other.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let mut readers = JoinSet::new();
    for number in 0..READERS {
        let delivery = if number % 2 == 0 { "lossless" } else { "realtime" };
        readers.spawn(read(opening.clone(), session, delivery));
    }
    let (mut round, mut read) = (0, 0);
    while read < READERS {
        round += 1;
        let began = Instant::now();
        let mut again = Socket::must_open(&opening).await;
        again.attach(small, json!({"mode": "view"})).await;
        assert!(began.elapsed() < SOON, "{:?} for attach {round} to a small session", began.elapsed());
        let began = Instant::now();
        other.send_input(small, None, format!("key {round};\n").as_bytes());
        other.read_until(small, &format!("key {round};")).await;
        assert!(began.elapsed() < SOON, "{:?} for echo {round}", began.elapsed());
        while let Ok(Some(bytes)) = timeout(PACE, readers.join_next()).await {
            let bytes = bytes.expect("its snapshot and its output were right");
            assert!(bytes > LARGE_BYTES, "a snapshot of {bytes} bytes");
            read += 1;
        }
    }
}

/// The story: pages of history were drawn on the same thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_pages_asked_for_at_once_all_come_and_keep_no_key_waiting() {
    let stack = Stack::start().await;
    let session = coloured(&stack, "stty -echo; printf ready; exec cat").await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    socket.attach(session, json!({})).await;
    for page in 0..30_u64 {
        let data = json!({"before_line": LINES - 100 * page, "lines": 50});
        let request_id = page.to_string();
        socket
            .send(&json!({"type": "history", "session_id": session, "request_id": request_id, "data": data}));
    }
    socket.send_input(session, None, b"typed meanwhile\n");
    socket.read_until(session, "typed meanwhile").await;
    for page in 0..30_u64 {
        let answer = socket.wait("a page", |event| match event {
            Event::Message(message) if message.request_id.as_deref() == Some(&page.to_string()) => {
                Some(message.clone())
            }
            _ => None,
        });
        let answer = answer.await;
        assert_eq!(answer.kind, "history", "{}", answer.body);
        assert_eq!(answer.data()["first_line"], json!(LINES - 100 * page - 50));
    }
}

/// What the worker has grown by since `before`, in bytes, once a client that reads has its whole snapshot.
async fn growth_when_read(opening: &Opening, session: Uuid, lines: u64, worker: Pid, before: u64) -> u64 {
    let reading = read_large_snapshot(opening, session, lines);
    timeout(LIMIT, reading).await.expect("it gets its snapshot");
    proc::resident_bytes(worker).expect("the worker lives").saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_their_snapshots_share_them() {
    let stack = Stack::start().await;
    let worker = stack.worker_ready().await;
    let session = coloured(&stack, "exec cat").await;
    let opening = stack.opening(0, Framing::Binary);
    let before = proc::resident_bytes(worker).expect("the worker lives");
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        stuck.push(attach_and_read_nothing(&opening, session, LINES).await);
    }
    // One that reads gets all of it all the same, and by then the others have got theirs as far as they take them.
    let grown = growth_when_read(&opening, session, LINES, worker, before).await;
    assert!(grown < STUCK_BYTES, "the worker grew by {grown} bytes");
}

/// Attaches for as many lines as there are, and gives its snapshot.
async fn slow_reader(opening: Opening, session: Uuid, lines: u64, began: mpsc::Sender<()>) -> Vec<u8> {
    let mut socket = Socket::must_open(&opening).await;
    socket.attach(session, json!({"scrollback": lines, "mode": "view"})).await;
    let mut bytes = Vec::new();
    loop {
        if let Event::Snapshot { bytes: part, more, .. } = socket.event("a part of its snapshot").await {
            if bytes.is_empty() {
                began.send(()).await.expect("the test counts");
            }
            bytes.extend_from_slice(&part);
            if !more {
                return bytes;
            }
        }
    }
}

/// As many as the room is for, each of another snapshot, once each has some of it.
async fn slow_readers(stack: &Stack, session: Uuid, bytes_per_second: u32) -> (Throttle, JoinSet<Vec<u8>>) {
    let throttle = Throttle::start(stack.address(0), bytes_per_second).await;
    let (began, mut begun) = mpsc::channel(SLOW_READERS);
    let mut slow = JoinSet::new();
    for number in 0..SLOW_READERS {
        let opening = stack.opening_at(throttle.address, Framing::Binary);
        slow.spawn(slow_reader(opening, session, LINES - number as u64, began.clone()));
    }
    for _ in 0..SLOW_READERS {
        timeout(LIMIT, begun.recv()).await.expect("each has some of it").expect("they count");
    }
    (throttle, slow)
}

/// The story: sixteen clients at 90 kB/s, each of another large snapshot, kept every other large snapshot of the node waiting
/// for 36 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_slow_readers_of_one_account_hold_up_no_other() {
    let api_environment = vec![("LOCAL_SESSIONS".to_owned(), "all".to_owned())];
    let stack = Stack::start_with(Options { api_environment, ..Options::default() }).await;
    let (mut socket, session) = print_coloured(&stack.opening(0, Framing::Binary), "").await;
    socket.read_to_end(session).await;
    // What the first account left is still there for it, and a second one has the node.
    std::fs::remove_file(stack.place.path("ptyd/owner")).expect("the node's owner");
    let other = Account::register(stack.address(0), "other").await;
    let other = stack.opening(0, Framing::Binary).with_credential(Credential::Bearer(other.access_token));
    let (_open, others) = print_coloured(&other, "exec cat").await;

    let (_throttle, _slow) = slow_readers(&stack, session, SLOW_BYTES_PER_SECOND).await;
    let asked = Instant::now();
    let bytes = timeout(LIMIT, read_snapshot(&other, others, LINES)).await.expect("it has all of it");
    assert!(asked.elapsed() < SOON, "{:?} for a large snapshot of another account", asked.elapsed());
    assert!(bytes > LARGE_BYTES, "a snapshot of {bytes} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_too_slow_for_others_of_their_account_end_with_the_screen() {
    let stack = Stack::start().await;
    let session = coloured(&stack, "exec cat").await;
    let (_throttle, mut slow) = slow_readers(&stack, session, SLOWEST_BYTES_PER_SECOND).await;
    let own = stack.opening(0, Framing::Binary);
    timeout(LIMIT, read_large_snapshot(&own, session, LINES - SLOW_READERS as u64))
        .await
        .expect("it has all of it");
    let mut is_cut = false;
    while !is_cut {
        let ended = timeout(2 * LIMIT, slow.join_next()).await.expect("one is cut short");
        let bytes = ended.expect("one was cut short").expect("its snapshot came to an end");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("printed"), "{} bytes do not end with the screen", bytes.len());
        is_cut = text.contains(ANEW);
    }
}

/// Each wants another snapshot, and all of them together are more than a worker keeps.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_read_nothing_make_room_for_those_who_read() {
    let stack = Stack::start().await;
    let worker = stack.worker_ready().await;
    let session = coloured(&stack, "exec cat").await;
    let opening = stack.opening(0, Framing::Binary);
    let before = proc::resident_bytes(worker).expect("the worker lives");
    let mut stuck = Vec::new();
    for number in 0..MORE_THAN_FIT {
        stuck.push(attach_and_read_nothing(&opening, session, LINES - number).await);
    }
    let grown = growth_when_read(&opening, session, LINES - MORE_THAN_FIT, worker, before).await;
    assert!(grown < MOST_BYTES, "the worker grew by {grown} bytes");
    // Each of them has a snapshot when it reads at last: all of it, or the screen alone.
    for mut socket in stuck {
        loop {
            match timeout(LIMIT, socket.next_event()).await.expect("its snapshot ends") {
                // The api drops a socket that reads nothing for 45 s.
                Event::Snapshot { more: false, .. } | Event::Closed { .. } => break,
                Event::Message(message) => assert_ne!(message.status(), Some("interrupted")),
                _ => {}
            }
        }
    }
}

async fn attach_and_read_nothing(opening: &Opening, session: Uuid, lines: u64) -> Socket {
    let mut socket = Socket::must_open(opening).await;
    let data = json!({"scrollback": lines, "mode": "view"});
    socket.send(&json!({"type": "attach", "session_id": session, "data": data}));
    socket.flush().await.expect("sent");
    socket
}

/// Attaches and reads the whole snapshot, again where it has the screen alone; gives its length.
async fn read_large_snapshot(opening: &Opening, session: Uuid, lines: u64) -> usize {
    loop {
        let bytes = read_snapshot(opening, session, lines).await;
        if bytes > LARGE_BYTES {
            return bytes;
        }
    }
}

/// Attaches and reads the whole snapshot; gives its length.
async fn read_snapshot(opening: &Opening, session: Uuid, lines: u64) -> usize {
    let mut socket = Socket::must_open(opening).await;
    socket.attach(session, json!({"scrollback": lines, "mode": "view"})).await;
    let mut bytes = 0;
    loop {
        // Those who are stuck have their time first: longer than an event is waited for elsewhere.
        if let Event::Snapshot { bytes: part, more, .. } = socket.next_event().await {
            bytes += part.len();
            if !more {
                return bytes;
            }
        }
    }
}
