//! The end of an account: its sessions are over and its devices signed out.

use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::account::PASSWORD;
use devpocket_tests::stack::{DatabaseKind, Options, Stack};
use devpocket_tests::wait_until;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

async fn ask(stack: &Stack, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Client::new().request(method, format!("http://{}{path}", stack.address(0)));
    let request = request.bearer_auth(&stack.admin.access_token).json(&body);
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_deleted_account_takes_its_running_sessions_with_it() {
    for database in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let stack = Stack::start_with(Options { database, ..Options::default() }).await;
        let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
        let marker = stack.place.work("runs");
        let script =
            format!("trap '' HUP; touch {0}; while [ -e {0} ]; do sleep 0.1; done", marker.display());
        let session =
            socket.connect(json!({"session_type": "local", "command": ["sh", "-c", script]})).await.session;
        let runs = || {
            devpocket_tests::stack::proc::all()
                .iter()
                .any(|process| process.arguments.iter().any(|word| word.contains(&*marker.to_string_lossy())))
        };
        wait_until("the program runs", Duration::from_secs(20), async || marker.exists() && runs()).await;
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
