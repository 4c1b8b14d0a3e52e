//! What the daemon's own screen is good for: queries answered once, what programs tell, history, pastes, and the right
//! picture after everything but the keeper was killed.

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::stack::Stack;
use devpocket_tests::until::{wait_for, wait_until};
use serde_json::json;
use std::time::Duration;
use uuid::Uuid;

const LIMIT: Duration = Duration::from_secs(20);

/// Waits for what a program told beside its text, and gives it.
async fn told(socket: &mut Socket, session: Uuid, wanted: &str) -> String {
    socket
        .wait(&format!("a {wanted} message"), |event| match event {
            Event::Said { session: of, kind, text } if *of == session && kind == wanted => {
                Some(text.to_string())
            }
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_query_is_answered_once_and_never_shown_whoever_is_attached() {
    let stack = Stack::start().await;
    for clients in [0, 1, 3] {
        let proof = stack.place.work(&format!("answer-{clients}"));
        let program = format!(
            "stty -icanon -echo; printf 'ready'; while [ ! -e '{0}.go' ]; do sleep 0.02; done; \
             printf '\\033[H\\033[Jabc\\033[6n\\033[c'; \
             dd bs=1 count=15 2>/dev/null | od -An -tx1 | tr -d ' \\n' > '{0}'; printf done; exec cat",
            proof.display()
        );
        let (mut socket, attached) = session(
            &stack,
            Framing::Binary,
            json!({"session_type": "local", "command": ["sh", "-c", program]}),
        )
        .await;
        let id = attached.session;
        socket.read_until(id, "ready").await;
        let mut others = Vec::new();
        for _ in 1..clients {
            let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
            other.attach(id, json!({})).await;
            others.push(other);
        }
        if clients == 0 {
            socket.send(&json!({"type": "detach", "session_id": id}));
            socket.wait_status(id, "detached").await;
        }
        std::fs::write(format!("{}.go", proof.display()), b"").expect("a file is written");
        wait_until("the program was answered", LIMIT, async || {
            std::fs::read_to_string(&proof).is_ok_and(|answer| answer.len() == 30)
        })
        .await;
        // ESC [1;4R and ESC [?62;22c, and not a byte more of either.
        let answer = std::fs::read_to_string(&proof).expect("the proof");
        assert_eq!(answer, "1b5b313b34521b5b3f36323b323263", "with {clients} clients");
        let mut late = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
        let offset = if clients == 0 { json!({}) } else { json!({"offset": 0}) };
        late.attach(id, offset).await;
        let shown = late.read_until(id, "done").await;
        assert!(
            !shown.contains("\x1b[6n") && !shown.contains("\x1b[c"),
            "a query reached a client: {shown:?}"
        );
        assert!(!shown.contains("[1;4R"), "an answer was typed: {shown:?}");
        // Nor is it answered again when somebody comes, or after a worker kill: `cat` would show it before what is typed now.
        assert!(stack.kill_worker());
        stack.worker_ready().await;
        let offset = if clients == 0 { json!({}) } else { json!({"offset": 0}) };
        let (mut again, _) = Socket::attach_patiently(&stack.opening(0, Framing::Binary), id, &offset).await;
        again.send_input(id, None, b"marker\n");
        let shown = again.read_until(id, "marker").await;
        assert!(!shown.contains("1;4R") && !shown.contains("62;22c"), "answered again: {shown:?}");
    }
}

/// Programs that look for the colours of a palette ask for hundreds at once.
#[tokio::test]
async fn as_many_queries_as_come_at_once_are_answered_and_nobody_waits_for_who_does_not_read() {
    let stack = Stack::start().await;
    let proof = stack.place.work("answers");
    let ask = "i=0; q=; while [ $i -lt 500 ]; do q=\"$q\\033[5n\"; i=$((i + 1)); done; printf \"$q\"";
    // Each answer has four bytes; 500 of them are more than a terminal's input holds at once only by far less than half.
    let program = format!(
        "{ask}; dd bs=1 count=2000 2>/dev/null | tr -d '\\033' > '{0}.part'; mv '{0}.part' '{0}'; \
         printf read; i=0; while [ $i -lt 20 ]; do {ask}; i=$((i + 1)); done; printf done; sleep 60",
        proof.display()
    );
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(&program)).await;
    let shown = socket.read_until(attached.session, "done").await;
    assert_eq!(std::fs::read_to_string(&proof).expect("the proof"), "[0n".repeat(500));
    assert!(shown.contains("read") && !shown.contains("[5n"), "a query reached a client: {shown:?}");
}

/// The story: a program that asked for its sixteen colours right behind other questions got four of them.
#[tokio::test]
async fn all_colours_asked_for_at_once_are_told_beside_other_answers() {
    let stack = Stack::start().await;
    let proof = stack.place.work("colours");
    let asked: String = (0..16).map(|index| format!(";{index};?")).collect();
    // 15 answers of 4 bytes, 10 colours of 26 and 6 of 27.
    let program = format!(
        "printf '{}\\033]4{asked}\\007'; dd bs=1 count=482 2>/dev/null | tr -d '\\033' > '{1}.part'; mv '{1}.part' '{1}'; \
         printf done; sleep 60",
        "\\033[5n".repeat(15),
        proof.display()
    );
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(&program)).await;
    socket.read_until(attached.session, "done").await;
    let told = std::fs::read_to_string(&proof).expect("the proof");
    let colours: String = told.split("]4;").skip(1).map(|one| format!("{one:.3}")).collect();
    assert_eq!(told.matches("[0n").count(), 15, "{told:?}");
    assert_eq!(colours, "0;r1;r2;r3;r4;r5;r6;r7;r8;r9;r10;11;12;13;14;15;", "{told:?}");
}

#[tokio::test]
async fn what_a_program_tells_beside_its_text_becomes_messages() {
    let stack = Stack::start().await;
    for framing in [Framing::Json, Framing::Binary] {
        let script = "printf ready; read -r go; printf '\\033]0;a title\\007\\007\\033]52;c;aGVsbG8=\\007'; \
             printf '\\033]7;file://host/tmp/a%%20b\\007\\033]9;all done\\007'; exec cat";
        let data = json!({"session_type": "local", "command": ["sh", "-c", script]});
        let (mut socket, attached) = session(&stack, framing, data).await;
        let id = attached.session;
        socket.read_until(id, "ready").await;
        let echo = socket
            .wait("what becomes of typed text", |event| match event {
                Event::Echo { session, echo, canonical, alternate_screen, .. } if *session == id => {
                    Some((*echo, *canonical, *alternate_screen))
                }
                _ => None,
            })
            .await;
        assert_eq!(echo, (true, true, false));
        socket.send_input(id, None, b"go\n");
        assert_eq!(told(&mut socket, id, "title").await, "a title");
        told(&mut socket, id, "bell").await;
        assert_eq!(told(&mut socket, id, "clipboard").await, "hello");
        assert_eq!(told(&mut socket, id, "cwd").await, "/tmp/a b");
        assert_eq!(told(&mut socket, id, "notify").await, "all done");
    }
}

#[tokio::test]
async fn history_gives_the_lines_above_the_screen_in_pages() {
    let stack = Stack::start().await;
    let script = "i=0; while [ $i -lt 300 ]; do echo \"line $i\"; i=$((i + 1)); done; printf ready; exec cat";
    let data = json!({"session_type": "local", "command": ["sh", "-c", script], "terminal_size": {"rows": 24, "cols": 80}});
    let (mut socket, attached) = session(&stack, Framing::Binary, data).await;
    let id = attached.session;
    socket.read_until(id, "ready").await;
    let page = socket.ask(json!({"type": "history", "session_id": id, "data": {"lines": 10}})).await;
    let data = page.data();
    // 300 lines and one begun: 277 are above the 24 rows.
    assert_eq!((&data["first_line"], &data["total"]), (&267.into(), &277.into()));
    assert_eq!(data["lines"][9], "line 276");
    let page = socket
        .ask(json!({"type": "history", "session_id": id, "data": {"before_line": 5, "lines": 10}}))
        .await;
    assert_eq!((&page.data()["first_line"], &page.data()["lines"][0]), (&0.into(), &"line 0".into()));
    let error = socket.ask_error(json!({"type": "history", "session_id": id, "data": {"lines": 0}})).await;
    assert_eq!(error.error(), Some("invalid_field"));
}

#[tokio::test]
async fn a_paste_is_framed_where_the_program_asked_for_it_and_cannot_end_itself() {
    let stack = Stack::start().await;
    let script = raw_script("printf '\\033[?2004hready'; exec cat");
    let (mut socket, attached) = session(&stack, Framing::Binary, script).await;
    let id = attached.session;
    socket.read_until(id, "ready").await;
    socket.send(&json!({"type": "paste", "session_id": id, "data": "one\ntwo\u{1b}[201~rm\n"}));
    let seen = socket.read_until(id, "\x1b[201~").await;
    assert_eq!(seen, "\x1b[200~one\rtworm\r\x1b[201~");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_is_the_same_after_a_worker_kill_wherever_it_stopped() {
    let stack = Stack::start().await;
    // In the alternate screen, in a synchronized update, in a sequence, in a character; how many bytes of it are held back; and
    // the rest of it. So much is printed before that the screen comes from a checkpoint and the ring.
    let cases: [(&str, u64, &[u8]); 4] = [
        ("\\033[?1049h\\033[3;4Hinside", 0, b"\x1b[?1049lback"),
        ("\\033[?2026hheld back", 0, b"\x1b[?2026lshown"),
        ("text\\033[1;3", 5, b"1mred\x1b[m"),
        ("caf\\303", 1, b"\xA9 au lait"),
    ];
    for (begun, cut_off, rest) in cases {
        let script = raw_script(&format!(
            "seq 9000 | awk '{{ printf \"\\033[3%dmline %d and more of it\\033[m\\r\\n\", $1 % 8, $1 }}'; \
             printf 'ready{begun}'; exec cat"
        ));
        let (mut twin, attached) = session(&stack, Framing::Binary, script.clone()).await;
        twin.read_until(attached.session, "ready").await;
        let expected_before = picture(&stack, attached.session).await;
        twin.send_input(attached.session, None, rest);
        twin.flush().await.expect("the socket stays open");
        let end = expected_before.0 + cut_off + rest.len() as u64;
        let expected = picture_at(&stack, attached.session, end).await;

        let (mut socket, attached) = session(&stack, Framing::Binary, script).await;
        let id = attached.session;
        socket.read_until(id, "ready").await;
        assert_eq!(picture(&stack, id).await, expected_before, "{begun}");
        assert!(stack.kill_worker());
        stack.worker_ready().await;
        assert_eq!(picture(&stack, id).await, expected_before, "{begun}, after the kill");
        let (mut again, _) =
            Socket::attach_patiently(&stack.opening(0, Framing::Binary), id, &json!({})).await;
        again.send_input(id, None, rest);
        again.flush().await.expect("the socket stays open");
        assert_eq!(picture_at(&stack, id, end).await, expected, "{begun}, gone on with");
    }
}

/// A window is dragged while nothing is printed, and while something is: lines are cut and laid out anew at each size on the
/// way, so that none may be forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_picture_is_the_same_after_a_worker_kill_whatever_sizes_the_terminal_had() {
    let stack = Stack::start().await;
    for (begun, sizes) in [("", 2), ("\\033[?1049h", 2), ("", 300)] {
        let script = raw_script(&format!(
            "printf '{begun}'; i=0; while [ $i -lt 30 ]; do printf 'line %d of some more than forty columns, so that it is cut\\r\\n' $i; \
             i=$((i + 1)); done; printf ready; while read -r line; do printf '%s\\r\\n' \"$line\"; done"
        ));
        let (mut socket, attached) = session(&stack, Framing::Binary, script).await;
        let id = attached.session;
        socket.read_until(id, "ready").await;
        for number in 0..sizes {
            let (rows, cols) = if number % 2 == 0 { (10, 20 + number % 7) } else { (24, 80) };
            socket.send(&json!({"type": "resize", "session_id": id, "data": {"rows": rows, "cols": cols}}));
            let resized = |event: &Event| match event {
                Event::Message(message) if message.kind == "resized" => Some(message.data()["rows"].clone()),
                _ => None,
            };
            assert_eq!(socket.wait("the size", resized).await, rows);
            if sizes > 2 {
                socket.send_input(id, None, format!("said {number}\n").as_bytes());
                socket.read_until(id, &format!("said {number}\r\n")).await;
            }
        }
        let before = picture(&stack, id).await;
        assert!(stack.kill_worker());
        stack.worker_ready().await;
        assert_eq!(picture(&stack, id).await, before, "{begun:?}, {sizes} sizes");
        // The bytes alone cannot be laid out at sizes that are forgotten. Who asks for the bytes gets them all the same.
        for (delivery, kind) in
            [("realtime", if sizes > 128 { "snapshot" } else { "replay" }), ("lossless", "replay")]
        {
            let mut late = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
            let attached = late.attach(id, json!({"offset": 0, "delivery": delivery})).await;
            assert_eq!(attached.kind, kind, "{delivery}, {sizes} sizes");
        }
    }
}

/// The same, once so much was printed.
async fn picture_at(stack: &Stack, id: Uuid, end: u64) -> (u64, bytes::Bytes) {
    wait_for("all is printed", LIMIT, async || {
        Some(picture(stack, id).await).filter(|(offset, _)| *offset == end)
    })
    .await
}

/// The session as it is shown to a new device, and where that is.
async fn picture(stack: &Stack, id: Uuid) -> (u64, bytes::Bytes) {
    let (mut socket, attached) =
        Socket::attach_patiently(&stack.opening(0, Framing::Binary), id, &json!({"scrollback": 1000})).await;
    assert_eq!(attached.kind, "snapshot");
    socket
        .wait("the snapshot", |event| match event {
            Event::Snapshot { bytes, offset, .. } => Some((*offset, bytes.clone())),
            _ => None,
        })
        .await
}
