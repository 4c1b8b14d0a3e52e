//! Making and attaching sessions while a node is slow: nothing else on the socket waits, nothing is left over.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::stack::process::send;
use devpocket_tests::stack::{Options, Stack, proc};
use devpocket_tests::{wait_for, wait_until};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
/// An api may try this long, then the worker looks once more.
const GIVEN_UP: Duration = Duration::from_secs(45);

/// A process that stands still until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(pid: Pid) -> Self {
        send(pid, Signal::SIGSTOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        send(self.0, Signal::SIGCONT);
    }
}

/// The story: one `connect` that the node took its time for, and every other session of that socket stood still.
#[tokio::test]
async fn a_slow_connect_holds_up_no_other_session_of_the_socket() {
    let stack = Stack::start().await;
    for framing in [Framing::Json, Framing::Binary] {
        let (mut socket, attached) = session(&stack, framing, raw_script("exec cat")).await;
        let slow = Stopped::new(stack.keeper_pid());
        let mut data = raw_script("printf 'the new one'; exec cat");
        data["client_id"] = "phone".into();
        socket.send(&json!({"type": "connect", "request_id": format!("slow {framing:?}"), "data": data}));
        socket.send_input(attached.session, None, b"meanwhile");
        socket.read_until(attached.session, "meanwhile").await;
        let pong = socket.ask(json!({"type": "ping", "data": 1})).await;
        assert_eq!(pong.kind, "pong", "{}", pong.body);
        drop(slow);
        let made = socket.wait("the new session", |event| match event {
            Event::Message(message) => {
                assert_eq!(message.error(), None, "{}", message.body);
                let wanted = message.request_id.as_deref() == Some(&format!("slow {framing:?}"));
                wanted.then_some(message.session)?
            }
            _ => None,
        });
        let made = made.await;
        socket.read_until(made, "the new one").await;
    }
}

#[tokio::test]
async fn what_is_said_about_a_session_while_it_is_being_attached_comes_after_that() {
    let stack = Stack::start().await;
    let (_laptop, attached) = session(&stack, Framing::Json, raw_script("exec cat")).await;
    let id = attached.session;
    let mut phone = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let slow = Stopped::new(stack.worker_ready().await);
    phone.send(&json!({"type": "attach", "session_id": id, "data": {"offset": 0}}));
    for word in ["one ", "two ", "three "] {
        phone.send_input(id, None, word.as_bytes());
    }
    phone.send(&json!({"type": "attach", "session_id": id, "request_id": "again", "data": {"offset": 0}}));
    phone.send_input(id, None, b"four");
    phone.flush().await.expect("sent");
    drop(slow);
    let again = phone.wait("the second attach", |event| match event {
        Event::Message(message) => {
            assert_eq!(message.error(), None, "{}", message.body);
            (message.request_id.as_deref() == Some("again")).then(|| message.status().map(str::to_owned))
        }
        _ => None,
    });
    assert_eq!(again.await.as_deref(), Some("connected"));
    assert!(phone.read_until(id, "four").await.ends_with("one two three four"), "in the order typed");
}

/// The story: a client gave up on a `connect`, the node made the session all the same, and a shell ran for nobody.
#[tokio::test]
async fn a_session_whose_client_gave_up_is_ended_unless_a_repeat_can_find_it() {
    let keeper_environment = vec![("PTYD_LOG".to_owned(), "debug".to_owned())];
    let stack = Stack::start_with(Options { keeper_environment, ..Options::default() }).await;
    let slow = Stopped::new(stack.keeper_pid());
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let pid_of = |name: &str| stack.place.work(name);
    let script = |name: &str| {
        let path = pid_of(name).display().to_string();
        raw_script(&format!("echo $$ > {path}.new; mv {path}.new {path}; exec cat"))
    };
    let mut found = script("found");
    found["client_id"] = "phone".into();
    socket.send(&json!({"type": "connect", "request_id": "found", "data": found}));
    socket.send(&json!({"type": "connect", "data": script("lost")}));
    socket.flush().await.expect("sent");
    wait_until("the worker has begun both", LIMIT, async || {
        stack.keeper_log().matches("creating a session").count() == 2
    })
    .await;
    drop(socket);
    drop(slow);
    let pid = async |name: &str| {
        let path = pid_of(name);
        wait_for("the program runs", LIMIT, async || {
            fs::read_to_string(&path).ok()?.trim().parse().ok().map(Pid::from_raw)
        })
        .await
    };
    let (lost, kept) = (pid("lost").await, pid("found").await);
    wait_until("the session nobody can name is ended", GIVEN_UP, async || proc::facts(lost).is_none()).await;
    assert!(proc::facts(kept).is_some(), "the other one waits for its client");
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let mut again = script("found");
    again["client_id"] = "phone".into();
    let answer = socket.ask(json!({"type": "connect", "request_id": "found", "data": again})).await;
    assert_eq!(answer.status(), Some("connected"), "{}", answer.body);
}
