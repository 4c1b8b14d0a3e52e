//! What the server says on the terminal stream, as JSON text (PROTOCOL section 4). Knows neither socket nor link.

use devpocket_shared::ids::{CommandId, Offset, Seq, SessionId, TerminalSize};
use devpocket_shared::wire::frame::SnapshotHeader;
use devpocket_shared::wire::{
    Attached, Command, EndReason, ErrorCode, Exit, Failure, Resume, SnapshotReason,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Channel;
use super::message::Complaint;

/// What an account is told that may not open local sessions.
pub(super) const NO_LOCAL_SESSIONS: &str = "this account may not open local sessions here";

/// One message, being put together.
pub(super) struct Reply {
    envelope: Map<String, Value>,
}

impl Reply {
    fn new(kind: &str, session_id: Option<SessionId>, data: Value) -> Self {
        let mut envelope = Map::new();
        envelope.insert("type".to_owned(), kind.into());
        envelope.insert("session_id".to_owned(), session_id.map(|id| id.to_string()).into());
        envelope.insert("timestamp".to_owned(), now_text().into());
        envelope.insert("data".to_owned(), data);
        Self { envelope }
    }

    /// Repeats the `request_id` of the message this answers.
    pub(super) fn answering(mut self, request_id: Option<String>) -> Self {
        if let Some(request_id) = request_id {
            self.envelope.insert("request_id".to_owned(), request_id.into());
        }
        self
    }

    /// The `request_id` it repeats.
    pub(super) fn answered(&self) -> Option<String> {
        self.envelope.get("request_id").and_then(Value::as_str).map(str::to_owned)
    }

    fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.envelope.insert(field.to_owned(), value.into());
        self
    }

    /// The message as text.
    pub(super) fn into_text(self) -> String {
        Value::Object(self.envelope).to_string()
    }
}

/// `status: connected`. `input_queued`: the last input of the client that was taken, applied or not.
pub(super) fn connected(attached: &Attached, input_queued: Option<Seq>, channel: Channel) -> Reply {
    let (kind, message) = match attached.resume {
        Resume::Fresh => ("fresh", "session started"),
        Resume::Replay => ("replay", "session resumed where you left off"),
        Resume::Snapshot => ("snapshot", "session resumed with a fresh picture"),
    };
    let mut resume = json!({
        "kind": kind,
        "offset": attached.offset.0,
        "input_seq": attached.input_seq.map(|seq| seq.0),
        "input_queued": input_queued.map(|seq| seq.0),
        "window": attached.window,
    });
    if let Some(Seq(seq)) = attached.input_uncertain {
        resume["input_uncertain"] = seq.into();
    }
    let data = json!({
        "status": "connected",
        "message": message,
        "terminal_size": size(attached.size),
        "channel": channel.0,
        "resume": resume,
        "server_info": { "version": env!("CARGO_PKG_VERSION") },
    });
    Reply::new("status", Some(attached.session_id), data)
}

/// `status` without more to it than a reason.
pub(super) fn status(
    status: &str,
    session_id: Option<SessionId>,
    message: &str,
    reason: Option<&str>,
) -> Reply {
    let mut data = json!({ "status": status, "message": message });
    if let Some(reason) = reason {
        data["reason"] = reason.into();
    }
    Reply::new("status", session_id, data)
}

/// `status: exited`.
pub(super) fn exited(session_id: SessionId, offset: Offset, exit: &Exit, reason: Option<EndReason>) -> Reply {
    let (exit, message) = match exit {
        Exit::Code(code) => (json!({ "code": code }), format!("the program ended with code {code}")),
        Exit::Signal(signal) => (json!({ "signal": signal }), format!("the program was ended by {signal}")),
    };
    let mut data = json!({ "status": "exited", "message": message, "exit": exit, "offset": offset.0 });
    if let Some(reason) = reason {
        data["reason"] = reason.as_str().into();
    }
    Reply::new("status", Some(session_id), data).with("offset", offset.0)
}

/// `output` of a JSON client.
pub(super) fn output(session_id: SessionId, text: super::text::Text) -> Reply {
    Reply::new("output", Some(session_id), text.text.into())
        .with("offset", text.offset.0)
        .with("end", text.end.0)
}

/// `snapshot` of a JSON client.
pub(super) fn snapshot(session_id: SessionId, header: SnapshotHeader, text: String) -> Reply {
    let reason = match header.reason {
        SnapshotReason::Attach => "attach",
        SnapshotReason::Lagged => "lagged",
        SnapshotReason::Recovered => "recovered",
    };
    Reply::new("snapshot", Some(session_id), text.into())
        .with("offset", header.offset.0)
        .with("terminal_size", size(header.size))
        .with("reason", reason)
}

/// How a `snapshot` begins whose text follows in pieces, each [`snapshot_piece`]. What it is of is told at its end alone:
/// by then it may have turned out to be none.
pub(super) const SNAPSHOT_START: &str = r#"{"data":""#;

/// A piece of a snapshot's text.
pub(super) fn snapshot_piece(text: &str) -> String {
    let mut quoted = Value::from(text).to_string();
    quoted.pop();
    quoted.remove(0);
    quoted
}

/// The end of a `snapshot` in pieces.
pub(super) fn snapshot_end(session_id: SessionId, header: SnapshotHeader) -> String {
    end_of_pieces(snapshot(session_id, header, String::new()))
}

/// The end of one that is not to be whole: a message that says nothing.
pub(super) fn snapshot_cut(session_id: SessionId) -> String {
    end_of_pieces(Reply::new("snapshot_cut", Some(session_id), Value::Null))
}

/// Everything but the data, which stands before it.
fn end_of_pieces(mut reply: Reply) -> String {
    reply.envelope.remove("data");
    let mut text = reply.into_text();
    text.replace_range(..1, "\",");
    text
}

/// `input_ack`.
pub(super) fn input_ack(session_id: SessionId, seq: Seq) -> Reply {
    Reply::new("input_ack", Some(session_id), json!({ "seq": seq.0 }))
}

/// `error: input_uncertain`.
pub(super) fn input_uncertain(session_id: SessionId, seq: Seq) -> Reply {
    let message = "input that was cut by a restart of the server may have arrived in part; please check";
    error(Some(session_id), ErrorCode::InputUncertain, message, json!({ "seq": seq.0 }))
}

/// `resized`.
pub(super) fn resized(session_id: SessionId, offset: Offset, to: TerminalSize) -> Reply {
    Reply::new("resized", Some(session_id), size(to)).with("offset", offset.0)
}

/// What the program in the terminal said to the world around it: `title`, `bell`, `clipboard`, `cwd` or `notify`.
pub(super) fn said(kind: &str, session_id: SessionId, text: String) -> Reply {
    Reply::new(kind, Some(session_id), text.into())
}

/// `echo`.
pub(super) fn echo(session_id: SessionId, offset: Offset, echoing: Echoing) -> Reply {
    let Echoing { echo, canonical, alternate_screen, input_seq } = echoing;
    let data = json!({
        "echo": echo,
        "canonical": canonical,
        "alternate_screen": alternate_screen,
        "input_seq": input_seq.map(|seq| seq.0),
    });
    Reply::new("echo", Some(session_id), data).with("offset", offset.0)
}

/// What the terminal does with typed text.
pub(super) struct Echoing {
    pub(super) echo: bool,
    pub(super) canonical: bool,
    pub(super) alternate_screen: bool,
    pub(super) input_seq: Option<Seq>,
}

/// `command`.
pub(super) fn command(session_id: SessionId, phase: &str, command: Command) -> Reply {
    let mut data = json!({
        "id": CommandId::of(session_id, command.number),
        "phase": phase,
        "command": command.text(),
        "cwd": command.cwd,
    });
    if command.is_truncated {
        data["truncated"] = true.into();
    }
    if let Some(to) = command.to {
        data["exit_code"] = command.exit_code.into();
        data["duration_ms"] = command.duration_ms().into();
        data["output_range"] = json!([command.from.0, to.0]);
    }
    Reply::new("command", Some(session_id), data)
}

/// `history`.
pub(super) fn history(session_id: SessionId, first_line: u64, lines: Vec<String>, total: u64) -> Reply {
    let data = json!({ "first_line": first_line, "lines": lines, "total": total });
    Reply::new("history", Some(session_id), data)
}

/// `pong`.
pub(super) fn pong(session_id: Option<SessionId>, data: Value) -> Reply {
    Reply::new("pong", session_id, data)
}

/// `error` about a message that was not taken.
pub(super) fn complaint(complaint: Complaint) -> Reply {
    let Complaint { session_id, request_id, code, message, details } = complaint;
    error(session_id, code, &message, details).answering(request_id)
}

/// `error` as ptyd tells it.
pub(super) fn failure(session_id: Option<SessionId>, failure: &Failure) -> Reply {
    let details = failure.expected.map_or(Value::Null, |seq| json!({ "expected": seq.0 }));
    if failure.code == ErrorCode::LocalSessionsUnavailable {
        // Why, and what is to be done about it at the node, is its operator's to know.
        tracing::warn!("a node starts no session for this account: {}", failure.message);
        return error(session_id, failure.code, NO_LOCAL_SESSIONS, details);
    }
    error(session_id, failure.code, &failure.message, details)
}

/// `error`.
pub(super) fn error(session_id: Option<SessionId>, code: ErrorCode, message: &str, details: Value) -> Reply {
    let data = json!({
        "error": code.as_str(),
        "code": code.as_str(),
        "message": message,
        "details": if details.is_null() { json!({}) } else { details },
        "retryable": code.retryable(),
    });
    Reply::new("error", session_id, data)
}

/// `error` about a channel or session that is not attached on this socket.
pub(super) fn not_attached(session_id: Option<SessionId>) -> Reply {
    error(session_id, ErrorCode::NotAttached, "attach to the session on this socket first", Value::Null)
}

fn size(size: TerminalSize) -> Value {
    json!({ "rows": size.rows(), "cols": size.cols() })
}

/// To the millisecond: clients show it, and each digit travels with each message.
fn now_text() -> String {
    let now = OffsetDateTime::now_utc().truncate_to_millisecond();
    now.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const SESSION: SessionId = SessionId::new(Uuid::from_u128(7));

    fn check(reply: Reply, expected: &Value) {
        let mut message: Value = serde_json::from_str(&reply.into_text()).unwrap();
        assert!(message["timestamp"].as_str().unwrap().contains('T'));
        message.as_object_mut().unwrap().remove("timestamp");
        assert_eq!(&message, expected);
    }

    #[test]
    fn what_a_program_says_is_the_message_s_data() {
        let expected = json!({ "type": "title", "session_id": SESSION, "data": "vim \u{1F600}" });
        check(said("title", SESSION, "vim \u{1F600}".to_owned()), &expected);
        check(
            said("bell", SESSION, String::new()),
            &json!({ "type": "bell", "session_id": SESSION, "data": "" }),
        );
    }

    /// The story: any account was told of a file in the node's state directory.
    #[test]
    fn why_a_node_starts_nothing_for_an_account_is_not_told_to_it() {
        let message = "its operator removes the file owner in PTYD_STATE_DIR".to_owned();
        let code = ErrorCode::LocalSessionsUnavailable;
        let text = failure(None, &Failure { code, message, expected: None }).into_text();
        assert!(text.contains("local_sessions_unavailable") && !text.contains("PTYD_STATE_DIR"), "{text}");
    }

    #[test]
    fn a_snapshot_in_pieces_is_the_message_in_one_piece_or_one_that_says_nothing() {
        let header = SnapshotHeader {
            offset: Offset(9),
            size: TerminalSize::DEFAULT,
            reason: SnapshotReason::Lagged,
            more: false,
        };
        let pieces = ["\u{1b}[1m\"", "漢\\", "\u{1F600}\r\n"];
        let started =
            pieces.iter().fold(SNAPSHOT_START.to_owned(), |text, piece| text + &snapshot_piece(piece));
        let message = |end: String| serde_json::from_str::<Value>(&(started.clone() + &end)).unwrap();
        let whole = snapshot(SESSION, header, pieces.concat()).envelope;
        let mut got = message(snapshot_end(SESSION, header));
        got["timestamp"] = whole["timestamp"].clone();
        assert_eq!(got, Value::Object(whole));
        let cut = message(snapshot_cut(SESSION));
        assert_eq!((&cut["type"], &cut["session_id"]), (&json!("snapshot_cut"), &json!(SESSION)));
    }

    #[test]
    fn echo_has_its_offset_in_the_envelope() {
        let echoing =
            Echoing { echo: true, canonical: false, alternate_screen: true, input_seq: Some(Seq(4)) };
        let data = json!({ "echo": true, "canonical": false, "alternate_screen": true, "input_seq": 4 });
        let expected = json!({ "type": "echo", "session_id": SESSION, "offset": 9, "data": data });
        check(echo(SESSION, Offset(9), echoing), &expected);
    }

    #[test]
    fn a_command_has_an_exit_code_once_it_has_ended() {
        let begun = Command {
            number: 1,
            prompt: 1,
            text: Some("ls".to_owned().into()),
            is_truncated: false,
            cwd: None,
            from: Offset(5),
            to: None,
            started_at_ms: 1000,
            finished_at_ms: None,
            exit_code: None,
        };
        let id = CommandId::of(SESSION, 1);
        let data = json!({ "id": id, "phase": "started", "command": "ls", "cwd": null });
        let expected = |data| json!({ "type": "command", "session_id": SESSION, "data": data });
        check(command(SESSION, "started", begun.clone()), &expected(data));
        let text = None;
        let ended =
            Command { text, to: Some(Offset(9)), finished_at_ms: Some(1250), exit_code: Some(2), ..begun };
        let data = json!({
            "id": id, "phase": "finished", "command": null, "cwd": null, "exit_code": 2, "duration_ms": 250,
            "output_range": [5, 9],
        });
        check(command(SESSION, "finished", ended), &expected(data));
    }

    #[test]
    fn a_page_of_history_repeats_the_request_id() {
        let page = history(SESSION, 3, vec!["a\u{1b}[1mb".to_owned()], 4).answering(Some("r".to_owned()));
        let data = json!({ "first_line": 3, "lines": ["a\u{1b}[1mb"], "total": 4 });
        let expected = json!({ "type": "history", "session_id": SESSION, "request_id": "r", "data": data });
        check(page, &expected);
    }
}
