//! Sessions with much to draw: ten thousand lines, each letter of another colour. Their snapshots are of some four megabytes.

use serde_json::json;
use uuid::Uuid;

use crate::client::{Framing, Opening, Socket};
use crate::stack::Stack;

/// Lines of scrollback to ask for: all that a session keeps.
pub const LINES: u64 = 10_000;

/// Prints the lines, `printed`, and does `then`; nobody is attached to it.
pub async fn coloured(stack: &Stack, then: &str) -> Uuid {
    let opening = stack.opening(0, Framing::Binary);
    let (mut socket, session) = print_coloured(&opening, then).await;
    socket.ask(json!({"type": "detach", "session_id": session})).await;
    session
}

/// The same, with whoever opened it still there.
pub async fn print_coloured(opening: &Opening, then: &str) -> (Socket, Uuid) {
    let script = format!(
        "awk 'BEGIN {{ for (i = 0; i < {}; i++) {{ s = \"\"; for (j = 0; j < 70; j++) \
         s = s sprintf(\"\\033[3%dm%c\", j % 8, 97 + (i + j) % 26); print s \"\\033[m\" }} }}'; printf printed; {then}",
        LINES + 100,
    );
    let mut socket = Socket::must_open(opening).await;
    let data = json!({"session_type": "local", "command": ["sh", "-c", script], "delivery": "lossless"});
    let session = socket.connect(data).await.session;
    socket.read_until(session, "printed").await;
    (socket, session)
}
