//! Sessions that print what costs the daemon most: nobody else's keys wait for them.

use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::Stack;
use serde_json::json;
use tokio::time::Instant;

/// What a key may take on a busy machine; where the noisy ones had no budget it would take as long as they print.
const SOON: Duration = Duration::from_secs(3);
const KEYS: u32 = 50;

/// Marks without end, resets of a screen of a million cells, anything at all, plain text.
const NOISE: [&str; 4] = [
    r"while :; do printf 'a\314\201\314\202\314\203\314\204\314\205\314\206\314\207'; done",
    r"while :; do printf '\033c\033[44m\033[2J'; done",
    "cat /dev/urandom",
    "yes",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_waits_for_sessions_that_print_without_end() {
    let stack = Stack::start().await;
    let opening = stack.opening(0, Framing::Binary);
    let mut quiet = Socket::must_open(&opening).await;
    let session = quiet.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let mut noisy = Socket::must_open(&opening).await;
    for script in NOISE {
        let size = json!({"rows": 1000, "cols": 1000});
        let command = json!(["sh", "-c", script]);
        noisy.connect(json!({"session_type": "local", "command": command, "terminal_size": size})).await;
    }
    for key in 0..KEYS {
        let began = Instant::now();
        quiet.send_input(session, None, format!("key {key};\n").as_bytes());
        quiet.read_until(session, &format!("key {key};")).await;
        assert!(began.elapsed() < SOON, "{:?} for key {key}", began.elapsed());
    }
}
