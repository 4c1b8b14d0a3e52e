//! Connecting and attaching: the same session again, exact resumes, several sessions on a socket, several sockets on a
//! session.

use devpocket_tests::client::start::{command, raw_script, session};
use devpocket_tests::client::{Event, Framing, ServerMessage, Socket};
use devpocket_tests::stack::{Options, Stack};
use serde_json::{Value, json};
use uuid::Uuid;

const BOTH: [Framing; 2] = [Framing::Json, Framing::Binary];

/// Sends `connect` with a request id of the test's choice.
async fn connect_as(socket: &mut Socket, client_id: &str, request_id: &str) -> ServerMessage {
    let data = json!({"session_type": "local", "command": ["cat"], "client_id": client_id});
    socket.send(&json!({"type": "connect", "request_id": request_id, "data": data}));
    let answer = socket.wait("connected", |event| match event {
        Event::Message(message) if message.request_id.as_deref() == Some(request_id) => {
            (message.status() != Some("connecting")).then(|| message.clone())
        }
        _ => None,
    });
    let answer = answer.await;
    assert_eq!(answer.status(), Some("connected"), "{}", answer.body);
    answer
}

#[tokio::test]
async fn the_same_connect_again_gives_the_same_session_through_any_api() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let mut first = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = connect_as(&mut first, "me", "one").await.session;
    assert!(session.is_some());
    drop(first);
    for api in [0, 1] {
        let mut again = Socket::must_open(&stack.opening(api, Framing::Json)).await;
        assert_eq!(connect_as(&mut again, "me", "one").await.session, session, "the same, api {api}");
        assert_ne!(connect_as(&mut again, "me", "two").await.session, session, "another request, api {api}");
        assert_ne!(connect_as(&mut again, "you", "one").await.session, session, "another client, api {api}");
    }
    // Two at once, before either is answered.
    let mut sockets = Vec::new();
    for api in [0, 1] {
        sockets.push(Socket::must_open(&stack.opening(api, Framing::Json)).await);
    }
    let [one, two] = &mut sockets[..] else { unreachable!() };
    let (one, two) = tokio::join!(connect_as(one, "me", "race"), connect_as(two, "me", "race"));
    assert_eq!(one.session, two.session, "two at once");
}

#[tokio::test]
async fn a_connect_with_the_id_of_a_session_attaches_to_it() {
    let stack = Stack::start().await;
    let (_socket, attached) = session(&stack, Framing::Json, command(&["cat"])).await;
    let mut other = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let connect =
        json!({"type": "connect", "session_id": attached.session, "data": {"session_type": "local"}});
    let answer = other.ask(connect).await;
    assert_eq!(
        (answer.status(), answer.session),
        (Some("connected"), Some(attached.session)),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn a_connect_takes_the_names_that_older_clients_use() {
    let stack = Stack::start().await;
    let data = json!({"session_type": "terminal", "command": ["sh", "-c", "pwd; echo $COLOUR; stty size"],
        "cwd": "/usr/share", "env": {"COLOUR": "blue"}, "terminal_size": {"rows": 33, "cols": 111}});
    let (mut socket, attached) = session(&stack, Framing::Json, data).await;
    assert_eq!((attached.kind.as_str(), attached.offset, attached.size), ("fresh", 0, (33, 111)));
    let (output, _exited) = socket.read_to_end(attached.session).await;
    assert_eq!(output, "/usr/share\r\nblue\r\n33 111\r\n");
}

#[tokio::test]
async fn a_login_shell_is_started_where_no_command_is_given() {
    let stack = Stack::start().await;
    let (mut socket, attached) = session(&stack, Framing::Binary, json!({"session_type": "local"})).await;
    socket.send_input(attached.session, None, b"echo $((6*7)) \"[$0]\" $PWD\n");
    let seen = socket.read_until(attached.session, "42 [-").await;
    assert!(seen.contains("42 [-"), "{seen}");
}

#[tokio::test]
async fn a_second_attach_of_a_client_supersedes_the_first() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    for framing in BOTH {
        let mut data = raw_script("printf ready; exec cat");
        data["client_id"] = "me".into();
        let (mut first, attached) = session(&stack, framing, data).await;
        first.read_until(attached.session, "ready").await;
        let mut second = Socket::must_open(&stack.opening(1, framing)).await;
        let resumed = second.attach(attached.session, json!({"client_id": "me", "offset": 5})).await;
        assert_eq!((resumed.kind.as_str(), resumed.offset), ("replay", 5));
        let detached = first.wait_status(attached.session, "detached").await;
        assert_eq!(detached.data()["reason"], "superseded", "{}", detached.body);
        let typed = json!({"type": "input", "session_id": attached.session, "data": "too late"});
        assert_eq!(first.ask_error(typed).await.error(), Some("not_attached"));
        second.send_input(attached.session, Some(1), b"in time");
        assert_eq!(second.read_until(attached.session, "in time").await, "in time", "{framing:?}");
    }
}

#[tokio::test]
async fn sessions_on_one_socket_do_not_mix_and_come_back_on_new_channels() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
        let mut sessions = Vec::new();
        for _ in 0..5 {
            sessions.push(socket.connect(raw_script("printf ready; exec cat")).await.session);
        }
        for session in &sessions {
            socket.read_until(*session, "ready").await;
        }
        for round in 0..3 {
            for session in &sessions {
                socket.send_input(*session, None, format!("<{session} {round}>").as_bytes());
            }
            for session in &sessions {
                let seen = socket.read_until(*session, ">").await;
                assert_eq!(seen, format!("<{session} {round}>"), "{framing:?}");
            }
            // The socket itself panics at a channel that was used before.
            for session in &sessions {
                leave(&mut socket, *session, if round == 0 { "detach" } else { "disconnect" }).await;
                let offset = (5 + (round + 1) * (36 + 4)) as u64;
                let resumed = socket.attach(*session, json!({"offset": offset})).await;
                assert_eq!((resumed.kind.as_str(), resumed.offset), ("replay", offset), "{framing:?}");
            }
        }
    }
}

async fn leave(socket: &mut Socket, session: Uuid, kind: &str) {
    let answer = socket.ask(json!({"type": kind, "session_id": session})).await;
    assert_eq!((answer.status(), answer.session), (Some("detached"), Some(session)), "{}", answer.body);
}

#[tokio::test]
async fn an_attach_gets_exactly_what_was_missed_while_nobody_was_there() {
    let stack = Stack::start().await;
    let go = stack.place.work("go");
    for (round, framing) in BOTH.into_iter().enumerate() {
        let script = format!(
            "printf 'before.'; while [ ! -e {go}{round} ]; do sleep 0.02; done; printf 'während.'; touch {go}{round}-done; exec cat",
            go = go.display(),
        );
        let (mut socket, attached) = session(&stack, framing, raw_script(&script)).await;
        socket.read_until(attached.session, "before.").await;
        leave(&mut socket, attached.session, "detach").await;
        stack.place.write_work(&format!("go{round}"), b"");
        let done = stack.place.work(&format!("go{round}-done"));
        devpocket_tests::wait_until(
            "the program has gone on",
            devpocket_tests::client::EVENT_LIMIT,
            async || done.exists(),
        )
        .await;
        for offset in [7, 0, 3] {
            let mut late = Socket::must_open(&stack.opening(0, framing)).await;
            let resumed = late.attach(attached.session, json!({"offset": offset})).await;
            assert_eq!((resumed.kind.as_str(), resumed.offset), ("replay", offset));
            let seen = late.read_until(attached.session, "hrend.").await;
            let whole = "before.während.";
            assert_eq!(seen, whole[usize::try_from(offset).expect("small")..], "{framing:?} from {offset}");
        }
    }
}

#[tokio::test]
async fn an_attach_to_what_the_ring_no_longer_holds_gets_a_snapshot_and_goes_on_from_there() {
    let keeper_environment = vec![("PTYD_RING_BYTES".to_owned(), "524288".to_owned())];
    let stack = Stack::start_with(Options { keeper_environment, ..Options::default() }).await;
    for framing in BOTH {
        let script =
            "printf 'early words\\n'; head -n 1 > /dev/null; seq 1 200000; printf 'late words'; exec cat";
        let (mut socket, attached) = session(&stack, framing, raw_script(script)).await;
        socket.read_until(attached.session, "early words").await;
        // `head` wants a whole line, and the terminal is raw: a newline is one.
        socket.send_input(attached.session, None, b"\n");
        leave(&mut socket, attached.session, "detach").await;
        let (mut late, resumed) = snapshot_holding(&stack, framing, attached.session, "late words").await;
        assert_eq!(resumed, 12 + 1_288_895 + 10, "the snapshot stands at the end of the output");
        late.send_input(attached.session, None, b"<after>");
        let first = late.wait("output after the snapshot", |event| match event {
            Event::Output { offset, .. } => Some(*offset),
            _ => None,
        });
        assert_eq!(first.await, resumed, "{framing:?}: output goes on where the snapshot stands");
    }
}

/// Attaches at byte 0 until the snapshot that answers it holds `text`; gives the snapshot's offset.
async fn snapshot_holding(stack: &Stack, framing: Framing, session: Uuid, text: &str) -> (Socket, u64) {
    devpocket_tests::wait_for(
        "the snapshot holds the last words",
        devpocket_tests::client::EVENT_LIMIT,
        async || {
            let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
            let resumed = socket.attach(session, json!({"offset": 0})).await;
            if resumed.kind == "replay" {
                // The program has not printed enough yet.
                return None;
            }
            assert_eq!(resumed.kind, "snapshot");
            let mut drawn = Vec::new();
            loop {
                let (offset, more, bytes) = socket
                    .wait("the snapshot", |event| match event {
                        Event::Snapshot { offset, more, bytes, .. } => Some((*offset, *more, bytes.clone())),
                        _ => None,
                    })
                    .await;
                drawn.extend_from_slice(&bytes);
                if !more {
                    assert_eq!(offset, resumed.offset, "the offset announced");
                    return String::from_utf8_lossy(&drawn).contains(text).then_some((socket, offset));
                }
            }
        },
    )
    .await
}

#[tokio::test]
async fn two_devices_share_a_session_with_inputs_counted_for_each() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let mut data = raw_script("printf ready; exec cat");
    data["client_id"] = "phone".into();
    let (mut phone, attached) = session(&stack, Framing::Json, data).await;
    let id = attached.session;
    phone.read_until(id, "ready").await;
    let mut laptop = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
    laptop.attach(id, json!({"client_id": "laptop", "offset": 5})).await;
    for seq in 1..=20 {
        for (socket, other, name) in [(0, 1, "phone"), (1, 0, "laptop")] {
            let text = format!("<{name} {seq}>");
            let sockets = [&mut phone, &mut laptop];
            sockets[socket].send_input(id, Some(seq), text.as_bytes());
            for index in [socket, other] {
                assert_eq!(sockets[index].read_until(id, ">").await, text);
            }
        }
    }
    for (name, framing) in [("phone", Framing::Json), ("laptop", Framing::Binary)] {
        let mut again = Socket::must_open(&stack.opening(0, framing)).await;
        let resumed = again.attach(id, json!({"client_id": name})).await;
        assert_eq!(resumed.input_seq, Some(20), "{name}");
    }
    let mut stranger = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let resumed: Value = json!(stranger.attach(id, json!({"client_id": "tablet"})).await.input_seq);
    assert!(resumed.is_null() || resumed == 0, "a client the session does not know: {resumed}");
}

/// The story: a read is short at the end of the ring too, where it says nothing about what is left in the terminal.
#[tokio::test]
async fn what_is_printed_over_the_end_of_the_ring_arrives_without_more_being_printed() {
    const RING_BYTES: usize = 1 << 20;
    let stack = Stack::start().await;
    let script = format!(
        "head -c {} /dev/zero | tr '\\0' a; sleep 1; head -c 2000 /dev/zero | tr '\\0' b; printf END; sleep 100",
        RING_BYTES - 100
    );
    let mut data = devpocket_tests::client::start::raw_script(&script);
    data["delivery"] = "lossless".into();
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let attached = socket.connect(data).await;
    let printed = socket.read_until(attached.session, "END").await;
    assert_eq!(printed.len(), RING_BYTES - 100 + 2000 + 3);
}
