//! Bad messages on an open socket: each gets its error, the socket goes on, and nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use devpocket_tests::Witness;
use devpocket_tests::client::{ERROR_LIMIT, Event, Framing, ServerMessage, Socket, frame};
use devpocket_tests::stack::Stack;
use serde_json::{Value, json};
use uuid::Uuid;

/// A message and the code it must be answered by.
type Row = (&'static str, Value, &'static str);

/// Waits for the next error, whatever it answers.
async fn next_error(socket: &mut Socket, what: &str) -> ServerMessage {
    socket
        .wait_at_most(ERROR_LIMIT, &format!("an error for {what}"), |event| match event {
            Event::Message(message) if message.error().is_some() => Some(message.clone()),
            _ => None,
        })
        .await
}

/// Panics unless the socket still answers.
async fn goes_on(socket: &mut Socket, after: &str) {
    let pong = socket.ask(json!({"type": "ping", "data": {"after": after}})).await;
    assert_eq!((pong.kind.as_str(), &pong.data()["after"]), ("pong", &json!(after)), "{}", pong.body);
}

/// A socket with a session whose program waits.
async fn attached(stack: &Stack, framing: Framing) -> (Socket, Uuid) {
    let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
    let session =
        socket.connect(json!({"session_type": "local", "command": ["cat"], "client_id": "me"})).await.session;
    (socket, session)
}

#[tokio::test]
async fn what_is_no_json_object_is_bad_json() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let (mut socket, _session) = attached(&stack, Framing::Json).await;
    let deep = "[".repeat(100_000);
    let deep_object = r#"{"type":"ping","data":"#.to_owned() + &deep;
    for text in
        ["", "hello", "{", "[1, 2]", "42", "null", "\"ping\"", "{\"type\": \"ping\"", &deep, &deep_object]
    {
        socket.send_text(text);
        let brief: String = text.chars().take(40).collect();
        let error = next_error(&mut socket, &brief).await;
        assert_eq!(error.error(), Some("bad_json"), "{brief}: {}", error.body);
        assert!(!error.is_retryable(), "{brief}: {}", error.body);
        goes_on(&mut socket, &brief).await;
    }
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn every_bad_message_gets_its_code_and_the_socket_goes_on() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let (mut socket, session) = attached(&stack, Framing::Json).await;
    for (name, message, code) in [envelope_rows(session), connect_rows(), session_rows(session)].concat() {
        let error = socket.ask_error(message).await;
        assert_eq!(error.error(), Some(code), "{name}: {}", error.body);
        assert!(error.data()["message"].is_string(), "{name}: {}", error.body);
        goes_on(&mut socket, name).await;
    }
    witness.is_undisturbed().await;
}

fn envelope_rows(session: Uuid) -> Vec<Row> {
    vec![
        ("no type", json!({}), "missing_field"),
        ("type of a wrong type", json!({"type": 5}), "invalid_field"),
        ("unknown type", json!({"type": "frobnicate"}), "unknown_type"),
        (
            "a type of the server",
            json!({"type": "output", "session_id": session, "data": "x"}),
            "unknown_type",
        ),
        ("attach without session", json!({"type": "attach", "data": {}}), "missing_field"),
        ("session of a wrong type", json!({"type": "attach", "session_id": 7, "data": {}}), "invalid_field"),
        (
            "unknown session",
            json!({"type": "attach", "session_id": Uuid::new_v4(), "data": {}}),
            "session_not_found",
        ),
        (
            "connect with an unknown session",
            json!({"type": "connect", "session_id": Uuid::new_v4(), "data": {"session_type": "local"}}),
            "session_not_found",
        ),
        (
            "terminate an unknown session",
            json!({"type": "terminate", "session_id": Uuid::new_v4()}),
            "session_not_found",
        ),
        ("input without session", json!({"type": "input", "data": "x"}), "missing_field"),
        (
            "input without attach",
            json!({"type": "input", "session_id": Uuid::new_v4(), "data": "x"}),
            "not_attached",
        ),
        ("detach without attach", json!({"type": "detach", "session_id": Uuid::new_v4()}), "not_attached"),
        (
            "resize without attach",
            json!({"type": "resize", "session_id": Uuid::new_v4(), "data": {"rows": 24, "cols": 80}}),
            "not_attached",
        ),
        (
            "history without attach",
            json!({"type": "history", "session_id": Uuid::new_v4(), "data": {"lines": 1}}),
            "not_attached",
        ),
        (
            "history without lines",
            json!({"type": "history", "session_id": session, "data": {}}),
            "missing_field",
        ),
        (
            "history of no lines",
            json!({"type": "history", "session_id": session, "data": {"lines": 0}}),
            "invalid_field",
        ),
        (
            "history of 5001 lines",
            json!({"type": "history", "session_id": session, "data": {"lines": 5001}}),
            "invalid_field",
        ),
        (
            "history before a text",
            json!({"type": "history", "session_id": session, "data": {"lines": 1, "before_line": "1"}}),
            "invalid_field",
        ),
    ]
}

fn connect_rows() -> Vec<Row> {
    let many: Vec<&str> = vec!["x"; 300];
    let long = "x".repeat(70_000);
    let data: Vec<(&str, Value, &str)> = vec![
        ("no session type", json!({}), "missing_field"),
        ("an unknown session type", json!({"session_type": "mainframe"}), "invalid_field"),
        ("a session type of a wrong type", json!({"session_type": 5}), "invalid_field"),
        ("a command that is text", json!({"command": "ls"}), "invalid_field"),
        ("a command of numbers", json!({"command": [1]}), "invalid_field"),
        ("a command without a program", json!({"command": [""]}), "invalid_field"),
        ("a NUL in a command", json!({"command": ["echo", "a\u{0}b"]}), "invalid_field"),
        ("300 arguments", json!({"command": many}), "invalid_field"),
        ("an argument of 70,000 bytes", json!({"command": ["echo", long]}), "invalid_field"),
        ("an environment that is a list", json!({"environment": ["A=B"]}), "invalid_field"),
        ("a variable with = in its name", json!({"environment": {"A=B": "x"}}), "invalid_field"),
        ("a variable without a name", json!({"environment": {"": "x"}}), "invalid_field"),
        ("a variable that is a number", json!({"environment": {"A": 5}}), "invalid_field"),
        (
            "the variable that names the session",
            json!({"environment": {"DEVPOCKET_SESSION": "x"}}),
            "invalid_field",
        ),
        ("a working directory that is a number", json!({"working_directory": 5}), "invalid_field"),
        ("a name of a wrong type", json!({"name": ["x"]}), "invalid_field"),
        ("no rows", json!({"terminal_size": {"rows": 0, "cols": 80}}), "invalid_field"),
        ("negative rows", json!({"terminal_size": {"rows": -5, "cols": 80}}), "invalid_field"),
        ("1001 columns", json!({"terminal_size": {"rows": 24, "cols": 1001}}), "invalid_field"),
        (
            "huge sizes",
            json!({"terminal_size": {"rows": 4_000_000_000_u64, "cols": u64::MAX}}),
            "invalid_field",
        ),
        ("half a row", json!({"terminal_size": {"rows": 0.5, "cols": 80}}), "invalid_field"),
        ("rows in words", json!({"terminal_size": {"rows": "24", "cols": 80}}), "invalid_field"),
        ("a size without columns", json!({"terminal_size": {"rows": 24}}), "missing_field"),
        ("an empty client id", json!({"client_id": ""}), "invalid_field"),
        ("a client id of 65 bytes", json!({"client_id": "x".repeat(65)}), "invalid_field"),
        ("a client id that is a number", json!({"client_id": 5}), "invalid_field"),
        ("a negative window", json!({"window": -1}), "invalid_field"),
        ("an unknown delivery", json!({"delivery": "sometimes"}), "invalid_field"),
        ("a program that does not exist", json!({"command": ["/no/such/program"]}), "spawn_failed"),
        (
            "a directory that does not exist",
            json!({"working_directory": "/no/such/directory"}),
            "spawn_failed",
        ),
    ];
    let rows = data.into_iter().map(|(name, mut data, code)| {
        if name != "no session type" && data["session_type"].is_null() {
            data["session_type"] = "local".into();
        }
        (name, json!({"type": "connect", "data": data}), code)
    });
    rows.chain([
        ("connect without data", json!({"type": "connect"}), "missing_field"),
        ("connect with text for data", json!({"type": "connect", "data": "local"}), "invalid_field"),
    ])
    .collect()
}

fn session_rows(session: Uuid) -> Vec<Row> {
    let rows = [
        ("a negative offset", "attach", json!({"offset": -1}), "invalid_field"),
        ("an offset in words", "attach", json!({"offset": "0"}), "invalid_field"),
        ("an offset beyond u64", "attach", json!({"offset": 1e30}), "invalid_field"),
        ("an unknown mode", "attach", json!({"mode": "owner"}), "invalid_field"),
        ("input that is no text", "input", json!(5), "invalid_field"),
        ("input without text", "input", Value::Null, "missing_field"),
        ("a negative ack", "ack", json!({"offset": -1}), "invalid_field"),
        ("an ack without offset", "ack", json!({}), "missing_field"),
        ("resize to nothing", "resize", json!({"rows": 0, "cols": 0}), "invalid_field"),
        ("resize to less", "resize", json!({"rows": -24, "cols": -80}), "invalid_field"),
        ("resize to too much", "resize", json!({"rows": 1001, "cols": 80}), "invalid_field"),
        ("resize without columns", "resize", json!({"rows": 24}), "missing_field"),
        ("a claim in words", "resize", json!({"rows": 24, "cols": 80, "claim": "yes"}), "invalid_field"),
        ("a signal that is not offered", "signal", json!({"signal": "SIGSEGV"}), "invalid_field"),
        ("a signal by number", "signal", json!({"signal": 9}), "invalid_field"),
        ("a key that is none", "signal", json!({"key": "ctrl+everything"}), "invalid_field"),
        ("a signal without name", "signal", json!({}), "missing_field"),
    ];
    let mut rows: Vec<Row> = rows
        .into_iter()
        .map(|(name, kind, data, code)| {
            let mut message = json!({"type": kind, "session_id": session});
            if !data.is_null() {
                message["data"] = data;
            }
            (name, message, code)
        })
        .collect();
    for (name, seq) in [("a negative seq", json!(-1)), ("a seq in words", json!("1"))] {
        let message = json!({"type": "input", "session_id": session, "seq": seq, "data": "x"});
        rows.push((name, message, "invalid_field"));
    }
    rows
}

#[tokio::test]
async fn a_message_of_two_mebibytes_closes_its_socket_with_1009() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    for framing in [Framing::Json, Framing::Binary] {
        let (mut socket, session) = attached(&stack, framing).await;
        let much = vec![b'x'; 2 << 20];
        socket.send_input(session, None, &much);
        assert_eq!(socket.wait_closed(ERROR_LIMIT).await, Some(1009), "{framing:?}");
        witness.is_undisturbed().await;
        // The session itself lives on.
        let mut again = Socket::must_open(&stack.opening(0, framing)).await;
        again.attach(session, json!({})).await;
    }
}

#[tokio::test]
async fn a_binary_frame_cut_short_or_of_an_unknown_kind_is_a_bad_frame() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let (mut socket, session) = attached(&stack, Framing::Binary).await;
    let channel = socket.channel(session).expect("a channel");
    let mut frames = Vec::new();
    for whole in [frame::input(channel, 1, b""), frame::ack(channel, 0)] {
        frames.extend((0..whole.len()).map(|cut| whole.slice(..cut)));
    }
    for kind in [0x00, 0x01, 0x02, 0x05, 0x06, 0x7F, 0xFF] {
        let mut other = frame::input(channel, 0, b"payload").to_vec();
        other[0] = kind;
        frames.push(other.into());
    }
    for bytes in frames {
        let name = format!("{bytes:?}");
        socket.send_binary(bytes);
        let error = next_error(&mut socket, &name).await;
        assert_eq!(error.error(), Some("bad_frame"), "{name}: {}", error.body);
        goes_on(&mut socket, &name).await;
    }
    let unknown = channel.wrapping_add(7);
    for bytes in [frame::input(unknown, 0, b"x"), frame::ack(unknown, 0), frame::input(u16::MAX, 1, b"x")] {
        let name = format!("{bytes:?}");
        socket.send_binary(bytes);
        let error = next_error(&mut socket, &name).await;
        assert_eq!(error.error(), Some("not_attached"), "{name}: {}", error.body);
        goes_on(&mut socket, &name).await;
    }
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn a_binary_frame_in_json_mode_is_a_bad_frame() {
    let stack = Stack::start().await;
    let (mut socket, _session) = attached(&stack, Framing::Json).await;
    socket.send_binary(Bytes::from_static(b"\x03\0\0\0\0\0\0\0\0\0\0x"));
    assert_eq!(next_error(&mut socket, "a binary frame").await.error(), Some("bad_frame"));
    goes_on(&mut socket, "a binary frame").await;
}

#[tokio::test]
async fn an_offset_beyond_the_end_gets_a_snapshot() {
    let stack = Stack::start().await;
    let (_first, session) = attached(&stack, Framing::Binary).await;
    for offset in [1, 1 << 40, u64::MAX - 1, u64::MAX] {
        for framing in [Framing::Binary, Framing::Json] {
            let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
            let resumed = socket.attach(session, json!({"offset": offset})).await;
            assert_eq!((resumed.kind.as_str(), resumed.offset), ("snapshot", 0), "offset {offset}");
            let at = socket.wait("the snapshot", |event| match event {
                Event::Snapshot { offset, .. } => Some(*offset),
                _ => None,
            });
            assert_eq!(at.await, 0, "offset {offset}");
        }
    }
}

#[tokio::test]
async fn a_skipped_seq_is_not_applied_and_a_repeated_one_only_once() {
    for framing in [Framing::Json, Framing::Binary] {
        let stack = Stack::start().await;
        let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
        let command = json!(["sh", "-c", "stty raw -echo; printf ready; exec cat"]);
        let connect = json!({"session_type": "local", "command": command, "client_id": "me"});
        let session = socket.connect(connect).await.session;
        socket.read_until(session, "ready").await;
        socket.send_input(session, Some(1), b"one;");
        socket.send_input(session, Some(3), b"three;");
        let gap = next_error(&mut socket, "a gap").await;
        assert_eq!(gap.error(), Some("seq_gap"), "{}", gap.body);
        assert_eq!(gap.data()["details"]["expected"], 2, "{}", gap.body);
        for (seq, text) in [(1, "one;"), (2, "two;"), (2, "two;"), (1, "one;"), (3, "three;")] {
            socket.send_input(session, Some(seq), text.as_bytes());
        }
        let mut acks = Vec::new();
        while acks.last() != Some(&3) {
            acks.push(
                socket
                    .wait("input_ack", |event| match event {
                        Event::InputAck { seq, .. } => Some(*seq),
                        _ => None,
                    })
                    .await,
            );
        }
        assert!(acks.is_sorted(), "acks never go back: {acks:?}");
        assert_eq!(socket.read_until(session, "three;").await, "one;two;three;", "{framing:?}");
    }
}

#[tokio::test]
async fn numbered_input_of_a_client_without_a_name_is_refused() {
    let stack = Stack::start().await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let error =
        socket.ask_error(json!({"type": "input", "session_id": session, "seq": 1, "data": "x"})).await;
    assert_eq!(error.error(), Some("invalid_field"), "{}", error.body);
    goes_on(&mut socket, "a number without a name").await;
}

#[tokio::test]
async fn two_hundred_bad_messages_at_once_close_their_socket_with_1008() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    for _ in 0..250 {
        socket.send_text("nonsense");
    }
    assert_eq!(socket.wait_closed(ERROR_LIMIT).await, Some(1008));
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn a_view_attachment_cannot_type_resize_or_signal() {
    let stack = Stack::start().await;
    let (mut owner, session) = attached(&stack, Framing::Json).await;
    let mut viewer = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    viewer.attach(session, json!({"mode": "view", "client_id": "viewer"})).await;
    for message in [
        json!({"type": "input", "session_id": session, "data": "intruder\n"}),
        json!({"type": "input", "session_id": session, "seq": 1, "data": "intruder\n"}),
        json!({"type": "paste", "session_id": session, "data": "intruder\n"}),
        json!({"type": "resize", "session_id": session, "data": {"rows": 5, "cols": 5}}),
        json!({"type": "signal", "session_id": session, "data": {"signal": "SIGKILL"}}),
        json!({"type": "signal", "session_id": session, "data": {"key": "ctrl+c"}}),
    ] {
        let error = viewer.ask_error(message.clone()).await;
        assert_eq!(error.error(), Some("not_allowed"), "{message}: {}", error.body);
    }
    owner.send_input(session, None, b"owner\n");
    // Once by the terminal's echo, once by the program.
    let seen = owner.read_until(session, "owner\r\nowner\r\n").await;
    assert!(!seen.contains("intruder"), "{seen}");
    viewer.read_until(session, "owner\r\nowner\r\n").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sixty_fifth_session_on_a_socket_is_refused() {
    let stack = Stack::start().await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let data = json!({"session_type": "local", "command": ["cat"]});
    let mut first = None;
    for _ in 0..64 {
        let session = socket.connect(data.clone()).await.session;
        first.get_or_insert(session);
    }
    let error = socket.ask_error(json!({"type": "connect", "data": data})).await;
    assert!(error.data()["message"].is_string(), "{}", error.body);
    // The 64 go on, and one that leaves makes room.
    let first = first.expect("64 sessions");
    socket.send_input(first, None, b"still here\n");
    socket.read_until(first, "still here\r\nstill here").await;
    let detached = socket.ask(json!({"type": "detach", "session_id": first})).await;
    assert_eq!(detached.status(), Some("detached"), "{}", detached.body);
    socket.connect(data).await;
}

#[tokio::test]
async fn a_socket_that_sends_nothing_does_not_disturb_and_garbage_is_no_upgrade() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(tokio::net::TcpStream::connect(stack.address(0)).await.expect("a connection"));
    }
    let mut garbage = tokio::net::TcpStream::connect(stack.address(0)).await.expect("a connection");
    garbage.write_all(b"\x16\x03\x01\x02\0garbage\r\n\r\n").await.expect("bytes can be sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), garbage.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "a connection of garbage is closed");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    witness.is_undisturbed().await;
}
