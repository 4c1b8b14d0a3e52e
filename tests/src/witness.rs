//! A session on a socket of its own that must not notice what happens to others. Must not know what that is.

use serde_json::json;
use uuid::Uuid;

use crate::client::{Framing, Socket};
use crate::stack::Stack;

/// An attached session whose program repeats what is typed.
pub struct Witness {
    socket: Socket,
    session: Uuid,
    asked: u64,
}

impl Witness {
    /// Opens the session at the first api.
    pub async fn start(stack: &Stack) -> Self {
        let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
        let command = json!(["sh", "-c", "stty raw -echo; printf ready; exec cat"]);
        let connect = json!({"session_type": "local", "command": command, "client_id": "witness"});
        let session = socket.connect(connect).await.session;
        socket.read_until(session, "ready").await;
        Self { socket, session, asked: 0 }
    }

    /// The witness's session.
    pub const fn session(&self) -> Uuid {
        self.session
    }

    /// Panics unless the session still answers, over the same socket, with every input so far applied once.
    pub async fn is_undisturbed(&mut self) {
        self.asked += 1;
        let text = format!("<{}>", self.asked);
        self.socket.send_input(self.session, Some(self.asked), text.as_bytes());
        let seen = self.socket.read_until(self.session, ">").await;
        assert_eq!(seen, text, "the witness reads back exactly what it typed");
    }
}
