//! What a client does to a session: typing, pasting, signals, sizes.

use std::time::Duration;

use devpocket_tests::client::event::size;
use devpocket_tests::client::start::{command, raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::stack::Stack;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

const BOTH: [Framing; 2] = [Framing::Json, Framing::Binary];

#[tokio::test]
async fn unsequenced_input_is_typed_as_it_comes() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let (mut socket, attached) = session(&stack, framing, raw_script("printf ready; exec cat")).await;
        socket.read_until(attached.session, "ready").await;
        for number in 0..200 {
            socket.send_input(attached.session, None, format!("{number} é🦀 ").as_bytes());
        }
        socket.send_input(attached.session, None, b"|");
        let expected: String =
            (0..200).map(|number| format!("{number} é🦀 ")).chain(["|".to_owned()]).collect();
        assert_eq!(socket.read_until(attached.session, "|").await, expected, "{framing:?}");
    }
}

#[tokio::test]
async fn every_byte_value_reaches_the_program() {
    let stack = Stack::start().await;
    let script =
        "printf ready; dd bs=1 count=256 2>/dev/null | od -An -v -tu1 | tr -s ' \\n' ' '; printf '|'";
    let mut data = raw_script(script);
    data["client_id"] = "me".into();
    let (mut socket, attached) = session(&stack, Framing::Binary, data).await;
    socket.read_until(attached.session, "ready").await;
    let all: Vec<u8> = (0..=255).collect();
    socket.send_input(attached.session, Some(1), &all);
    let seen = socket.read_until(attached.session, "|").await;
    let bytes: Vec<u8> =
        seen.trim_end_matches('|').split_whitespace().map(|word| word.parse().expect("a byte")).collect();
    assert_eq!(bytes, all);
}

#[tokio::test]
async fn a_paste_counts_with_the_inputs_and_is_applied_once() {
    let stack = Stack::start().await;
    let mut data = raw_script("printf ready; exec cat");
    data["client_id"] = "me".into();
    let (mut socket, attached) = session(&stack, Framing::Json, data).await;
    let id = attached.session;
    socket.read_until(id, "ready").await;
    for (kind, seq, text) in
        [("input", 1, "typed "), ("paste", 2, "pasted "), ("paste", 2, "pasted "), ("input", 3, "on|")]
    {
        socket.send(&json!({"type": kind, "session_id": id, "seq": seq, "data": text}));
    }
    assert_eq!(socket.read_until(id, "|").await, "typed pasted on|");
}

#[tokio::test]
async fn more_input_than_can_wait_is_refused_and_can_be_sent_again() {
    let stack = Stack::start().await;
    let go = stack.place.work("go");
    let script = format!("printf ready; while [ ! -e {} ]; do sleep 0.05; done; exec wc -c", go.display());
    let mut data = raw_script(&script);
    data["client_id"] = "me".into();
    let (mut socket, attached) = session(&stack, Framing::Binary, data).await;
    socket.read_until(attached.session, "ready").await;
    let chunk = vec![b'x'; 256 << 10];
    for seq in 1..=8 {
        socket.send_input(attached.session, Some(seq), &chunk);
    }
    let error = socket.wait("input_full", |event| match event {
        Event::Message(message) => message.error().map(|code| (code.to_owned(), message.is_retryable())),
        _ => None,
    });
    assert_eq!(error.await, ("input_full".to_owned(), true));
    // The program begins to read; everything refused is sent again until it is taken.
    stack.place.write_work("go", b"");
    let mut applied = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while applied < 8 {
        assert!(Instant::now() < deadline, "applied {applied} of 8");
        let seq = applied + 1;
        socket.send_input(attached.session, Some(seq), &chunk);
        applied = socket
            .wait("an ack or a refusal", |event| match event {
                Event::InputAck { seq, .. } => Some(*seq),
                Event::Message(message) if message.error().is_some() => Some(applied),
                _ => None,
            })
            .await
            .max(applied);
    }
    // End of file cannot be typed at a raw terminal: the session is ended instead, after what was read was counted.
    socket.send(&json!({"type": "signal", "session_id": attached.session, "data": {"signal": "SIGKILL"}}));
    let exited = socket.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["exit"], json!({"signal": "SIGKILL"}), "{}", exited.body);
}

/// Reads the flood of `yes` for a while, then interrupts it by `message` and waits for what follows.
async fn interrupt_a_flood(framing: Framing, interrupt: impl FnOnce(&mut Socket, Uuid)) {
    let stack = Stack::start().await;
    let script = "trap : INT; yes; stty -opost; printf '\\nstopped by'; exit 5";
    let mut data = command(&["sh", "-c", script]);
    data["delivery"] = "lossless".into();
    let (mut socket, attached) = session(&stack, framing, data).await;
    let mut received = 0;
    let mut interrupted = None;
    let mut interrupt = Some(interrupt);
    let mut tail = Vec::new();
    loop {
        match socket.event("the end of the flood").await {
            Event::Output { bytes, .. } => {
                received += bytes.len();
                tail.extend_from_slice(&bytes);
                let surplus = tail.len().saturating_sub(100);
                tail.drain(..surplus);
            }
            Event::Message(message) if message.status() == Some("exited") => {
                assert_eq!(message.data()["exit"], json!({"code": 5}), "{}", message.body);
                break;
            }
            _ => {}
        }
        if received > 2_000_000
            && let Some(interrupt) = interrupt.take()
        {
            interrupt(&mut socket, attached.session);
            interrupted = Some(Instant::now());
        }
    }
    let took = interrupted.expect("the flood was interrupted").elapsed();
    assert!(String::from_utf8_lossy(&tail).ends_with("stopped by"), "{framing:?}: {tail:?}");
    assert!(took < Duration::from_secs(5), "{framing:?}: it took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_interrupted_by_signal_by_key_and_by_typing() {
    let message = |data: Value| {
        move |socket: &mut Socket, session: Uuid| {
            socket.send(&json!({"type": "signal", "session_id": session, "data": data}));
        }
    };
    for framing in BOTH {
        interrupt_a_flood(framing, message(json!({"signal": "SIGINT"}))).await;
        interrupt_a_flood(framing, message(json!({"key": "ctrl+c"}))).await;
        interrupt_a_flood(framing, |socket, session| socket.send_input(session, None, b"\x03")).await;
    }
}

#[tokio::test]
async fn every_signal_on_offer_reaches_the_foreground_program() {
    let stack = Stack::start().await;
    let signals = ["INT", "QUIT", "TSTP", "CONT", "TERM", "HUP", "USR1", "USR2"];
    let traps: String =
        signals.iter().map(|name| format!("trap 'printf \"got {name}.\"' {name}; ")).collect();
    let script = format!("{traps} printf ready; while :; do sleep 0.02; done");
    let (mut socket, attached) = session(&stack, Framing::Json, raw_script(&script)).await;
    socket.read_until(attached.session, "ready").await;
    for name in signals {
        let data = json!({"signal": format!("SIG{name}")});
        socket.send(&json!({"type": "signal", "session_id": attached.session, "data": data}));
        socket.read_until(attached.session, &format!("got {name}.")).await;
    }
    socket.send(&json!({"type": "signal", "session_id": attached.session, "data": {"signal": "SIGKILL"}}));
    let exited = socket.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["exit"], json!({"signal": "SIGKILL"}), "{}", exited.body);
}

/// Waits for `resized` and checks that it comes before output that shows the new size.
async fn expect_resized(socket: &mut Socket, session: Uuid, rows: u16, cols: u16) {
    let mut resized_at = None;
    let mut seen = String::new();
    let shown = format!("{rows} {cols}.");
    while !seen.contains(&shown) {
        match socket.event("resized, then output of the new size").await {
            Event::Message(message)
                if message.kind == "resized"
                    && message.session == Some(session)
                    && size(message.data()) == Some((rows, cols)) =>
            {
                resized_at = message.body["offset"].as_u64();
            }
            Event::Output { offset, bytes, .. } => {
                seen.push_str(&String::from_utf8_lossy(&bytes));
                if seen.contains(&shown) {
                    let at = resized_at.unwrap_or_else(|| panic!("{shown} came before resized"));
                    assert!(at <= offset, "resized at {at}, output of the new size at {offset}");
                }
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_resize_reaches_the_program_and_stands_in_the_stream_before_its_effect() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let script =
            "trap 'printf \"%s.\" \"$(stty size)\"' WINCH; printf ready; while :; do sleep 0.02; done";
        let mut data = raw_script(script);
        data["terminal_size"] = json!({"rows": 24, "cols": 80});
        let (mut socket, attached) = session(&stack, framing, data).await;
        socket.read_until(attached.session, "ready").await;
        for (rows, cols) in [(40, 120), (1, 1), (1000, 1000), (24, 80)] {
            let size = json!({"rows": rows, "cols": cols});
            socket.send(&json!({"type": "resize", "session_id": attached.session, "data": size}));
            expect_resized(&mut socket, attached.session, rows, cols).await;
        }
    }
}

#[tokio::test]
async fn the_client_that_acts_has_the_size_and_attaching_changes_nothing() {
    let stack = Stack::start().await;
    let script = "trap 'printf \"%s.\" \"$(stty size)\"' WINCH; printf ready; while :; do sleep 0.02; done";
    let mut data = raw_script(script);
    data["terminal_size"] = json!({"rows": 50, "cols": 150});
    data["client_id"] = "laptop".into();
    let (mut laptop, attached) = session(&stack, Framing::Json, data).await;
    let id = attached.session;
    laptop.read_until(id, "ready").await;
    laptop.send_input(id, None, b"x");
    let mut phone = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let phone_size = json!({"rows": 20, "cols": 40});
    let joined = phone.attach(id, json!({"client_id": "phone", "terminal_size": phone_size})).await;
    assert_eq!(joined.size, (50, 150), "attaching does not resize");
    // The phone opens its keyboard: it does not claim the size, so nothing changes; then it is typed at.
    let smaller = json!({"rows": 10, "cols": 40, "claim": false});
    phone.send(&json!({"type": "resize", "session_id": id, "data": smaller}));
    phone.send_input(id, None, b"y");
    expect_resized(&mut phone, id, 10, 40).await;
    expect_resized(&mut laptop, id, 10, 40).await;
    laptop.send_input(id, None, b"z");
    expect_resized(&mut laptop, id, 50, 150).await;
}

/// The story: a client that came back only to watch, and left, freed the size it had set, and the next one that came took it.
#[tokio::test]
async fn a_client_that_only_watches_neither_keeps_nor_frees_the_size_by_leaving() {
    let stack = Stack::start().await;
    let mut data = raw_script("printf ready; exec cat");
    data["terminal_size"] = json!({"rows": 50, "cols": 150});
    data["client_id"] = "laptop".into();
    let (mut laptop, attached) = session(&stack, Framing::Json, data).await;
    let id = attached.session;
    laptop.read_until(id, "ready").await;
    let mut watching = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    watching.attach(id, json!({"client_id": "laptop", "mode": "view"})).await;
    laptop.wait_status(id, "detached").await;
    watching.send(&json!({"type": "detach", "session_id": id}));
    watching.wait_status(id, "detached").await;
    let mut phone = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let size = json!({"rows": 20, "cols": 40});
    phone.attach(id, json!({"client_id": "phone", "terminal_size": size})).await;
    // What somebody without a screen types comes back after any resize that the attach had caused.
    let mut nobody = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    nobody.attach(id, json!({})).await;
    nobody.send_input(id, None, b"typed");
    nobody.read_until(id, "typed").await;
    assert_eq!(nobody.attach(id, json!({})).await.size, (50, 150), "the laptop's size is kept for a minute");
}
