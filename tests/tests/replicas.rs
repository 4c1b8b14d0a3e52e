//! Several apis on one database: started, stopped and killed in any order.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::wait_until;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

#[tokio::test]
async fn apis_that_start_at_once_on_an_empty_database_all_serve() {
    let mut stack = Stack::start_with(Options { apis: 0, ..Options::default() }).await;
    for _ in 0..4 {
        stack.add_api();
    }
    for index in 0..4 {
        stack.api_ready(index).await;
    }
    stack.admin = Account::register(stack.address(3), "owner").await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    for index in 1..4 {
        let mut socket = Socket::must_open(&stack.opening(index, Framing::Json)).await;
        socket.attach(session, json!({})).await;
    }
}

#[tokio::test]
async fn an_api_that_is_told_to_end_sends_its_clients_to_another_where_they_go_on() {
    for (database, redis) in [(DatabaseKind::Sqlite, false), (DatabaseKind::Postgres, true)] {
        let options = Options { database, redis, apis: 2, ..Options::default() };
        let mut stack = Stack::start_with(options).await;
        let mut sockets = Vec::new();
        for framing in [Framing::Json, Framing::Binary] {
            let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
            let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
            socket.send_input(session, None, b"before\n");
            socket.read_until(session, "before\r\nbefore\r\n").await;
            sockets.push((socket, session));
        }
        assert!(stack.end_api(0), "it ends by itself, sockets or not");
        for (mut socket, session) in sockets {
            assert_eq!(socket.wait_closed(Duration::from_secs(10)).await, Some(1001));
            let mut socket = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
            let attached = socket.attach(session, json!({"offset": 16})).await;
            assert_eq!((attached.kind.as_str(), attached.offset), ("replay", 16), "at the exact byte");
            socket.send_input(session, None, b"after\n");
            socket.read_until(session, "after\r\nafter\r\n").await;
        }
    }
}

/// The story: whoever waited for a command at an api that was told to end had no answer at all, and could not know whether the
/// command had run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_waited_for_has_an_answer_before_its_api_ends() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let shell = Shell::bash(&stack, "").await;
    let other = Rest::new(stack.address(1), Some(&stack.admin.access_token));
    let go_on = shell.home.path().join("go-on");
    let waiting = format!("echo be''gun; until [ -e {} ]; do sleep 0.1; done; echo ended", go_on.display());
    let ending = async {
        wait_until("the command runs", Duration::from_secs(20), async || {
            let screen = other.get(&shell.path("screen")).await.expect(200);
            screen["content"].as_str().is_some_and(|text| text.contains("begun"))
        })
        .await;
        kill(stack.api_pid(0), Signal::SIGTERM).expect("it runs");
    };
    let (answer, ()) = tokio::join!(shell.try_run(&waiting, 60), ending);
    let result = answer.expect(200);
    assert_eq!((&result["timed_out"], &result["exit_code"]), (&json!(true), &Value::Null), "{result}");
    assert!(result["output"].as_str().is_some_and(|output| output.contains("begun")), "{result}");
    // It goes on, and the history has its end.
    fs::write(&go_on, "").expect("a file");
    wait_until("the command has ended", Duration::from_secs(20), async || {
        let history = other.get(&shell.path("history")).await.expect(200);
        let last = &history["commands"][0];
        (&last["id"], &last["exit_code"]) == (&result["id"], &json!(0))
    })
    .await;
}
