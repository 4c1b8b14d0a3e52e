//! Several apis on one database: started, stopped and killed in any order.

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::{Account, Options, Stack};
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
