//! Several apis on one database: started, stopped and killed in any order.

use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use serde_json::json;

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
