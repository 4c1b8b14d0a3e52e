//! The end of an account: its sessions are over and its devices signed out.

use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::account::PASSWORD;
use devpocket_tests::stack::process::send;
use devpocket_tests::stack::{DatabaseKind, Options, Place, Stack, proc};
use devpocket_tests::wait_until;
use nix::sys::signal::Signal;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

async fn ask(stack: &Stack, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Client::new().request(method, format!("http://{}{path}", stack.address(0)));
    let request = request.bearer_auth(&stack.admin.access_token).json(&body);
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// A program that ignores HUP, and what tells whether it runs.
fn resisting(place: &Place) -> (Value, impl Fn() -> bool + use<>) {
    let marker = place.work("runs");
    let script = format!("trap '' HUP; touch {0}; while [ -e {0} ]; do sleep 0.1; done", marker.display());
    let runs = move || {
        let is_it = |word: &String| word.contains(&*marker.to_string_lossy());
        marker.exists() && proc::all().iter().any(|process| process.arguments.iter().any(is_it))
    };
    (json!({"session_type": "local", "command": ["sh", "-c", script]}), runs)
}

#[tokio::test]
async fn a_deleted_account_takes_its_running_sessions_with_it() {
    for database in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let stack = Stack::start_with(Options { database, ..Options::default() }).await;
        let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
        let (command, runs) = resisting(&stack.place);
        let session = socket.connect(command).await.session;
        wait_until("the program runs", Duration::from_secs(20), async || runs()).await;
        let (status, export) = ask(&stack, Method::GET, "/api/profile/export", Value::Null).await;
        assert_eq!((status, &export["sessions"][0]["id"]), (StatusCode::OK, &json!(session)));

        let wrong = json!({"password": "Wrong-horse-7-battery"});
        assert_eq!(ask(&stack, Method::DELETE, "/api/profile", wrong).await.0, StatusCode::BAD_REQUEST);
        assert!(runs());
        let right = json!({"password": PASSWORD});
        let (status, body) = ask(&stack, Method::DELETE, "/api/profile", right).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        // It ignores HUP: after 5 s it is killed.
        wait_until("the program has ended", Duration::from_secs(20), async || !runs()).await;
        assert_eq!(socket.wait_closed(Duration::from_secs(10)).await, Some(4401), "{database:?}");
        assert_eq!(ask(&stack, Method::GET, "/api/auth/me", Value::Null).await.0, StatusCode::UNAUTHORIZED);
    }
}

/// The story: while its node was away, an account could be neither deleted nor exported, with 503.
#[tokio::test]
async fn an_account_is_deleted_while_its_node_hangs_and_its_sessions_end_once_it_is_back() {
    let mut stack = Stack::start().await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let (command, runs) = resisting(&stack.place);
    let session = socket.connect(command).await.session;
    wait_until("the program runs", Duration::from_secs(20), async || runs()).await;
    let (status, list) = ask(&stack, Method::GET, "/api/sessions", Value::Null).await;
    assert_eq!((status, &list["total"]), (StatusCode::OK, &json!(1)));
    let node = [stack.keeper_pid(), stack.worker_ready().await];
    for pid in node {
        send(pid, Signal::SIGSTOP);
    }

    let (status, stats) = ask(&stack, Method::GET, "/api/profile/stats", Value::Null).await;
    assert_eq!((status, &stats["active_sessions"]), (StatusCode::OK, &json!(1)), "{stats}");
    let (status, export) = ask(&stack, Method::GET, "/api/profile/export", Value::Null).await;
    assert_eq!((status, &export["sessions"][0]["id"]), (StatusCode::OK, &json!(session)), "{export}");
    let right = json!({"password": PASSWORD});
    let (status, body) = ask(&stack, Method::DELETE, "/api/profile", right).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    // Whoever comes after it finds the wish, not the memory of who took it.
    stack.kill_api(0);
    stack.start_api(0);
    stack.api_ready(0).await;
    assert!(runs());
    for pid in node {
        send(pid, Signal::SIGCONT);
    }
    wait_until("the program has ended", Duration::from_secs(60), async || !runs()).await;
}
