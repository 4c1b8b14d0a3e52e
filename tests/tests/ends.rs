//! How sessions end: by themselves, by a signal, on request; what is said, and when.

use std::time::Duration;

use devpocket_tests::client::start::{command, raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{DatabaseKind, Options, Stack, proc};
use devpocket_tests::wait_until;
use devpocket_tests::witness::Witness;
use serde_json::json;
use tokio::time::Instant;

const BOTH: [Framing; 2] = [Framing::Json, Framing::Binary];
/// A program that ignores HUP is killed after so long.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_exit_code_is_reported_with_the_final_offset_after_the_last_byte() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let (mut socket, attached) =
            session(&stack, framing, raw_script("printf 'last words'; exit 7")).await;
        let (output, exited) = socket.read_to_end(attached.session).await;
        assert_eq!(output, "last words", "{framing:?}");
        assert_eq!(exited.data()["exit"], json!({"code": 7}), "{}", exited.body);
        assert!(exited.data()["reason"].is_null(), "{}", exited.body);
        assert_eq!(exited.offset(), Some(10), "{}", exited.body);
    }
}

#[tokio::test]
async fn a_last_burst_arrives_whole_before_the_exit() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let mut data = raw_script("seq 1 100000");
        data["delivery"] = "lossless".into();
        let (mut socket, attached) = session(&stack, framing, data).await;
        let (output, exited) = socket.read_to_end(attached.session).await;
        let expected: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        assert!(output == expected, "{framing:?}: {} bytes of {}", output.len(), expected.len());
        assert_eq!(exited.offset(), Some(expected.len() as u64), "{}", exited.body);
    }
}

#[tokio::test]
async fn the_signal_that_ended_a_program_is_named() {
    let stack = Stack::start().await;
    for signal in ["SIGKILL", "SIGTERM", "SIGSEGV", "SIGUSR1"] {
        let script = format!("kill -{} $$", signal.trim_start_matches("SIG"));
        let (mut socket, attached) = session(&stack, Framing::Json, raw_script(&script)).await;
        let (_output, exited) = socket.read_to_end(attached.session).await;
        assert_eq!(exited.data()["exit"], json!({"signal": signal}), "{}", exited.body);
    }
}

#[tokio::test]
async fn terminate_ends_the_program_and_says_so_to_everybody_attached() {
    let stack = Stack::start().await;
    let (mut owner, attached) = session(&stack, Framing::Json, command(&["cat"])).await;
    let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    other.attach(attached.session, json!({})).await;
    let answer = owner.ask(json!({"type": "terminate", "session_id": attached.session})).await;
    assert_eq!(answer.error(), None, "{}", answer.body);
    // The answer may be the end itself, or come before it.
    let exited = if answer.status() == Some("exited") {
        answer
    } else {
        owner.wait_status(attached.session, "exited").await
    };
    for exited in [exited, other.wait_status(attached.session, "exited").await] {
        assert_eq!(exited.data()["reason"], "terminated", "{}", exited.body);
        assert_eq!(exited.data()["exit"], json!({"signal": "SIGHUP"}), "{}", exited.body);
    }
}

#[tokio::test]
async fn terminate_needs_no_attach() {
    let stack = Stack::start().await;
    let (mut owner, attached) = session(&stack, Framing::Json, command(&["cat"])).await;
    let mut other = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let answer = other.ask(json!({"type": "terminate", "session_id": attached.session})).await;
    assert_eq!(answer.error(), None, "{}", answer.body);
    owner.wait_status(attached.session, "exited").await;
}

#[tokio::test]
async fn a_program_that_ignores_the_request_is_killed_with_its_children_after_five_seconds() {
    let stack = Stack::start().await;
    let script = "trap '' HUP; sleep 1234567 & echo \"child $!\"; while :; do sleep 1; done";
    let (mut socket, attached) = session(&stack, Framing::Json, raw_script(script)).await;
    let output = socket.read_until(attached.session, "\n").await;
    let child = output.trim().strip_prefix("child ").and_then(|pid| pid.parse().ok()).expect("a pid");
    let child = nix::unistd::Pid::from_raw(child);
    let began = Instant::now();
    socket.send(&json!({"type": "terminate", "session_id": attached.session}));
    let exited = socket.wait_status(attached.session, "exited").await;
    let took = began.elapsed();
    assert_eq!(exited.data()["exit"], json!({"signal": "SIGKILL"}), "{}", exited.body);
    assert_eq!(exited.data()["reason"], "terminated", "{}", exited.body);
    assert!(took > GRACE - Duration::from_millis(500) && took < GRACE * 3, "killed after {took:?}");
    wait_until("the child is gone as well", GRACE, async || proc::facts(child).is_none()).await;
}

#[tokio::test]
async fn a_detached_child_that_keeps_the_terminal_open_does_not_delay_the_end() {
    let stack = Stack::start().await;
    let script = "setsid sleep 40 & sleep 0.2; printf 'gone'";
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(script)).await;
    let began = Instant::now();
    let (output, exited) = socket.read_to_end(attached.session).await;
    assert_eq!((output.as_str(), &exited.data()["exit"]), ("gone", &json!({"code": 0})));
    assert!(began.elapsed() < Duration::from_secs(15), "the end came after {:?}", began.elapsed());
}

#[tokio::test]
async fn an_attach_to_an_ended_session_gets_its_last_snapshot_and_then_the_end() {
    let stack = Stack::start().await;
    for framing in BOTH {
        let (mut socket, attached) =
            session(&stack, framing, raw_script("printf 'last words'; exit 3")).await;
        socket.read_to_end(attached.session).await;
        let mut late = Socket::must_open(&stack.opening(0, framing)).await;
        late.send(&json!({"type": "attach", "session_id": attached.session, "data": {}}));
        let snapshot = late
            .wait("the last snapshot", |event| match event {
                Event::Snapshot { bytes, offset, .. } => {
                    Some((String::from_utf8_lossy(bytes).into_owned(), *offset))
                }
                Event::Message(message) => {
                    assert_ne!(message.status(), Some("exited"), "the snapshot comes first");
                    assert_eq!(message.error(), None, "{}", message.body);
                    None
                }
                _ => None,
            })
            .await;
        assert!(snapshot.0.contains("last words"), "{snapshot:?}");
        assert_eq!(snapshot.1, 10);
        let exited = late.wait_status(attached.session, "exited").await;
        assert_eq!(exited.data()["exit"], json!({"code": 3}), "{}", exited.body);
        assert_eq!(exited.offset(), Some(10), "{}", exited.body);
        // Nobody can type at it any more.
        let typed = json!({"type": "input", "session_id": attached.session, "data": "x"});
        let error = late.ask_error(typed).await;
        assert!(matches!(error.error(), Some("session_ended" | "not_attached")), "{}", error.body);
    }
}

#[tokio::test]
async fn an_exit_while_everything_but_the_keeper_is_dead_is_reported_afterwards() {
    let mut stack = Stack::start().await;
    let done = stack.place.work("done");
    let go = stack.place.work("go");
    let script = format!(
        "printf ready; while [ ! -e {} ]; do sleep 0.05; done; touch {}; exit 9",
        go.display(),
        done.display()
    );
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(&script)).await;
    socket.read_until(attached.session, "ready").await;
    stack.kill_api(0);
    assert!(stack.kill_worker());
    stack.place.write_work("go", b"");
    stack.start_api(0);
    stack.api_ready(0).await;
    wait_until("the program is about to exit", GRACE * 4, async || done.exists()).await;
    let (mut late, _resumed) =
        Socket::attach_patiently(&stack.opening(0, Framing::Binary), attached.session, &json!({})).await;
    let exited = late.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["exit"], json!({"code": 9}), "{}", exited.body);
}

/// The story: a terminal whose other side is closed is reported as writable and readable for ever. With input waiting for it
/// the worker turned in a circle, and every session of the node stood still until the keeper killed the worker.
#[tokio::test]
async fn a_session_that_ends_with_input_waiting_disturbs_nobody() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let worker = stack.worker_pid();
    let (mut socket, attached) =
        session(&stack, Framing::Binary, raw_script("printf ready; exec sleep 100")).await;
    socket.read_until(attached.session, "ready").await;
    socket.send_input(attached.session, None, &vec![b'y'; 60_000]);
    socket.ask(json!({"type": "ping"})).await;
    socket.send(&json!({"type": "terminate", "session_id": attached.session}));
    let (_output, exited) = socket.read_to_end(attached.session).await;
    assert_eq!(exited.data()["reason"], json!("terminated"), "{}", exited.body);
    witness.is_undisturbed().await;
    assert_eq!(stack.worker_pid(), worker, "the worker was not killed for silence");
}

#[tokio::test]
async fn a_terminal_closed_and_opened_again_by_its_program_goes_on_and_disturbs_nobody() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let worker = stack.worker_pid();
    let script = "printf ready; T=$(tty); exec 0<&- 1>&- 2>&-; sleep 1; exec 0<$T 1>$T 2>$T; stty raw -echo; \
                  printf again; sleep 7; printf done; exec cat";
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(script)).await;
    socket.read_until(attached.session, "ready").await;
    socket.send_input(attached.session, None, &vec![b'y'; 60_000]);
    socket.read_until(attached.session, "again").await;
    witness.is_undisturbed().await;
    socket.read_until(attached.session, "done").await;
    witness.is_undisturbed().await;
    assert_eq!(stack.worker_pid(), worker, "the worker was not killed for silence");
}

#[tokio::test]
async fn an_end_that_a_killed_worker_did_not_see_is_told_although_a_child_keeps_the_terminal() {
    let stack = Stack::start().await;
    let script = "printf ready; read go; setsid sleep 300 & exit 3";
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script(script)).await;
    socket.read_until(attached.session, "ready").await;
    socket.send_input(attached.session, None, b"go\n");
    stack.kill_worker();
    let mut again = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    again.attach(attached.session, json!({"mode": "view"})).await;
    // The input may or may not have reached the program before the kill.
    let mut typist = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    typist.attach(attached.session, json!({})).await;
    typist.send_input(attached.session, None, b"go\n");
    typist.ask(json!({"type": "ping"})).await;
    let (_output, exited) = again.read_to_end(attached.session).await;
    assert_eq!(exited.data()["exit"], json!({"code": 3}), "{}", exited.body);
}

/// Who ended many sessions at once was sent away as if it had talked nonsense.
#[tokio::test]
async fn ends_that_are_too_many_at_once_are_refused_one_by_one_and_the_socket_stays() {
    // More than the bad messages that close a socket.
    const ASKED: usize = 230;
    let stack = Stack::start().await;
    let (mut other, attached) =
        session(&stack, Framing::Json, raw_script("trap '' HUP; printf ready; exec cat")).await;
    other.read_until(attached.session, "ready").await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    for _ in 0..ASKED {
        socket.send(&json!({"type": "terminate", "session_id": attached.session}));
    }
    let (mut ended, mut refused) = (0, 0);
    while ended + refused < ASKED {
        let told = socket.wait("each end, or why not", |event| match event {
            Event::Message(message) if message.status() == Some("exited") => Some(true),
            Event::Message(message) if message.error() == Some("rate_limited") => {
                assert!(message.is_retryable(), "{}", message.body);
                Some(false)
            }
            _ => None,
        });
        if told.await { ended += 1 } else { refused += 1 }
    }
    assert_eq!(ended, 16, "so many at a time, as docs/protocol.md has it");
    assert_eq!(socket.ask(json!({"type": "ping", "data": 1})).await.kind, "pong");
}

/// The story: a deletion that the database did not take was answered with 503, and had killed the session, which was lost to its owner
/// for ever after.
#[tokio::test]
async fn a_deletion_that_the_database_does_not_take_ends_nothing() {
    let options = Options { database: DatabaseKind::Postgres, redis: true, ..Options::default() };
    let stack = Stack::start_with(options).await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    let (mut socket, attached) = session(&stack, Framing::Json, command(&["cat"])).await;
    let (id, path) = (attached.session, format!("/api/sessions/{}", attached.session));
    wait_until("it is in the books", GRACE * 4, async || rest.get(&path).await.status == 200).await;
    let locking = stack.postgres.as_ref().expect("it is there").lock("sessions").await;
    rest.delete(&path).await.is_problem(503, "database_unavailable");
    rest.post("/api/sessions/batch", &json!({"action": "delete", "session_ids": [id]})).await;
    drop(locking);
    socket.send_input(id, None, b"alive\n");
    socket.read_until(id, "alive\r\nalive\r\n").await;
    assert_eq!(rest.get(&path).await.expect(200)["status"], "active");
    rest.delete(&path).await.expect(204);
    rest.get(&path).await.is_problem(404, "session_not_found");
    socket.read_to_end(id).await;
}
