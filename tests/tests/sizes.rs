//! A terminal's sizes: told between the right bytes, and set by whom they belong to, whoever leaves and however.

use std::time::Duration;

use devpocket_tests::client::event::size;
use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::proxy::{Plan, Proxy};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::Stack;
use devpocket_tests::wait_until;
use serde_json::{Value, json};
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

/// The place and the size of a `resized`.
fn resized(event: &Event) -> Option<(u64, (u16, u16))> {
    match event {
        Event::Message(message) if message.kind == "resized" => {
            Some((message.offset()?, size(message.data())?))
        }
        _ => None,
    }
}

/// Prints and is resized in turn; gives all that was printed, and where it was resized to what.
async fn print_at_sizes(socket: &mut Socket, id: Uuid) -> (Vec<u8>, Vec<(u64, (u16, u16))>) {
    let large = "x".repeat(150_000);
    let (mut printed, mut sizes) = (b"ready|".to_vec(), Vec::new());
    for (number, (places, text)) in
        [(1, "a"), (3, "\u{65e5}\u{672c}"), (1, &large), (1, ""), (2, &large), (1, "\u{e9}")]
            .iter()
            .enumerate()
    {
        for nth in 0..*places {
            let size = (20 + number as u16, 70 + nth);
            let data = json!({"rows": size.0, "cols": size.1});
            socket.send(&json!({"type": "resize", "session_id": id, "data": data}));
            let told = socket.wait("the size", resized).await;
            assert_eq!(told, (printed.len() as u64, size), "who is there is told");
            sizes.push(told);
        }
        let text = format!("{text}|");
        socket.send_input(id, None, text.as_bytes());
        socket.read_until(id, "|").await;
        printed.extend_from_slice(text.as_bytes());
    }
    (printed, sizes)
}

/// What who attaches at the first byte is sent: all that was printed, and where among it which size was told.
async fn replay(stack: &Stack, framing: Framing, id: Uuid, end: usize) -> (Vec<u8>, Vec<(u64, (u16, u16))>) {
    let data = json!({"offset": 0, "delivery": "lossless"});
    let (mut socket, attached) = Socket::attach_patiently(&stack.opening(0, framing), id, &data).await;
    assert_eq!((attached.kind.as_str(), attached.offset, attached.size), ("replay", 0, (24, 80)));
    let (mut printed, mut sizes) = (Vec::new(), Vec::new());
    while printed.len() < end {
        match socket.event("the rest of the replay").await {
            Event::Output { offset, bytes, .. } => {
                assert_eq!(offset, printed.len() as u64, "{framing:?}: without a gap");
                printed.extend_from_slice(&bytes);
            }
            event => {
                if let Some((offset, size)) = resized(&event) {
                    assert_eq!(offset, printed.len() as u64, "{framing:?}: {size:?} is told in its place");
                    sizes.push((offset, size));
                }
            }
        }
    }
    (printed, sizes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_tells_each_size_between_the_bytes_where_it_changed_in_every_framing() {
    let stack = Stack::start().await;
    let script = raw_script("printf 'ready|'; exec cat");
    let (mut socket, attached) = session(&stack, Framing::Binary, script).await;
    let id = attached.session;
    socket.read_until(id, "|").await;
    let (printed, sizes) = print_at_sizes(&mut socket, id).await;
    for worker in ["the worker that saw them", "the next worker"] {
        for framing in [Framing::Json, Framing::Binary, Framing::Deflate] {
            let (replayed, told) = replay(&stack, framing, id, printed.len()).await;
            assert_eq!(told, sizes, "{framing:?}, {worker}");
            assert!(replayed == printed, "{framing:?}, {worker}: other bytes");
        }
        assert!(stack.kill_worker());
        stack.worker_ready().await;
    }
}

/// The story: a phone in a tunnel, whose link was dead and not known to be, was sent the sizes of a laptop, came back at that very
/// place and had lines of its own. What was sent has not arrived: sizes that come and go while nothing is printed are told to
/// whoever comes back to their place, each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_is_told_every_size_between_two_bytes_though_they_were_sent_before() {
    let stack = Stack::start().await;
    let script = raw_script("printf ready; exec cat");
    let (mut laptop, attached) = session(&stack, Framing::Binary, script).await;
    let id = attached.session;
    laptop.read_until(id, "ready").await;
    let tunnel = Proxy::start(stack.address(0), || Plan::UNBROKEN).await;
    let mut opening = stack.opening(0, Framing::Binary);
    opening.address = tunnel.address;
    let mut phone = Socket::must_open(&opening).await;
    let place = phone.attach(id, json!({"client_id": "phone"})).await.offset;
    tunnel.silence();
    for cols in [20, 33, 80] {
        laptop.send(&json!({"type": "resize", "session_id": id, "data": {"rows": 24, "cols": cols}}));
        assert_eq!(laptop.wait("the size", resized).await.1, (24, cols));
    }
    let told = async |client: Value| {
        let mut data = json!({"offset": place, "delivery": "lossless"});
        data["client_id"] = client;
        let mut phone = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
        let answer = phone.ask(json!({"type": "attach", "session_id": id, "data": data})).await;
        let mut told: Vec<u16> =
            size(&answer.data()["terminal_size"]).map(|(_, cols)| cols).into_iter().collect();
        loop {
            match phone.event("sizes, and what comes after them").await {
                Event::Output { .. } => return told,
                event => told.extend(resized(&event).map(|(_, (_, cols))| cols)),
            }
        }
    };
    laptop.send_input(id, None, b"more");
    laptop.read_until(id, "more").await;
    assert_eq!(told(json!("phone")).await, [20, 33, 80], "who was in a tunnel");
    assert_eq!(told(json!("phone")).await, [20, 33, 80], "who comes back once more");
    assert_eq!(told(Value::Null).await, [20, 33, 80], "who is not known");
    assert!(stack.kill_worker());
    stack.worker_ready().await;
    assert_eq!(told(json!("phone")).await, [20, 33, 80], "after a worker kill");
}

/// How a client leaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaves {
    /// It says `detach`.
    WithDetach,
    /// Its connection breaks.
    WithoutAWord,
    /// It closes its WebSocket in order, and says no `detach`.
    WithACloseFrame,
}

/// A session whose client set 50 rows and 150 columns, and has left; its lease is there or free.
async fn left(stack: &Stack, leaves: Leaves) -> Uuid {
    let mut data = raw_script("printf 'ready|'; exec cat");
    data["terminal_size"] = json!({"rows": 50, "cols": 150});
    // One of its own each time: the same one would ask for the same session.
    data["client_id"] = format!("laptop {leaves:?}").into();
    let (mut laptop, attached) = session(stack, Framing::Binary, data).await;
    let id = attached.session;
    laptop.read_until(id, "|").await;
    match leaves {
        Leaves::WithDetach => {
            let answer = laptop.ask(json!({"type": "detach", "session_id": id})).await;
            assert_eq!(answer.status(), Some("detached"), "{}", answer.body);
        }
        Leaves::WithoutAWord => drop(laptop),
        Leaves::WithACloseFrame => {
            laptop.send_close();
            laptop.wait_closed(LIMIT).await;
        }
    }
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    wait_until("the session has no clients", LIMIT, async || {
        rest.get(&format!("/api/sessions/{id}/health")).await.expect(200)["attached_clients"] == 0
    })
    .await;
    id
}

/// Attaches with a screen of 20 rows and 40 columns, in `mode`; gives the size that the session has then.
async fn size_after_attach(stack: &Stack, id: Uuid, mode: &str) -> (u16, u16) {
    let mut phone = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let screen = json!({"rows": 20, "cols": 40});
    phone.attach(id, json!({"client_id": "phone", "mode": mode, "terminal_size": screen})).await;
    // What somebody without a screen types comes back after any resize that the attach had caused.
    let mut nobody = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    nobody.attach(id, json!({})).await;
    nobody.send_input(id, None, b"typed|");
    nobody.read_until(id, "|").await;
    nobody.attach(id, json!({})).await.size
}

#[tokio::test]
async fn who_says_goodbye_frees_the_size_and_whose_connection_ends_keeps_it_for_a_while() {
    let stack = Stack::start().await;
    for (leaves, expected) in [
        (Leaves::WithDetach, (20, 40)),
        (Leaves::WithoutAWord, (50, 150)),
        (Leaves::WithACloseFrame, (50, 150)),
    ] {
        let id = left(&stack, leaves).await;
        assert_eq!(size_after_attach(&stack, id, "control").await, expected, "{leaves:?}");
    }
}

#[tokio::test]
async fn who_only_watches_sets_no_size_though_nobody_has_it() {
    let stack = Stack::start().await;
    let id = left(&stack, Leaves::WithDetach).await;
    assert_eq!(size_after_attach(&stack, id, "view").await, (50, 150));
    let mut watching = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    watching.attach(id, json!({"mode": "view", "client_id": "tablet"})).await;
    let resize: Value =
        json!({"type": "resize", "session_id": id, "data": {"rows": 20, "cols": 40, "claim": true}});
    assert_eq!(watching.ask_error(resize).await.error(), Some("not_allowed"));
    // Nor has it taken the right to: that is still there for who may act.
    assert_eq!(size_after_attach(&stack, id, "control").await, (20, 40));
}
