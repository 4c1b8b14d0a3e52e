//! Sessions for tests that need one at once. Must not know what is tested on them.

use serde_json::{Value, json};

use super::opening::Framing;
use super::socket::Socket;
use super::talk::Attached;
use crate::stack::Stack;

/// What a session needs to run a shell script: the terminal passes bytes on as they are, so that what the script prints
/// is what the client gets.
pub fn raw_script(script: &str) -> Value {
    let script = format!("stty raw -echo; {script}");
    json!({"session_type": "local", "command": ["sh", "-c", script]})
}

/// What a session needs to run a command on a terminal as it comes.
pub fn command(words: &[&str]) -> Value {
    json!({"session_type": "local", "command": words})
}

/// Opens a socket at the first api and a session on it.
pub async fn session(stack: &Stack, framing: Framing, data: Value) -> (Socket, Attached) {
    let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
    let attached = socket.connect(data).await;
    (socket, attached)
}
