//! What a client says on the terminal stream, parsed and checked (PROTOCOL sections 2 and 3). Knows neither socket nor
//! link.

use std::str::FromStr;

use devpocket_shared::ids::{BadClientId, ClientId, Offset, Seq, SessionId, TerminalSize};
use devpocket_shared::wire::message::MAX_HISTORY_LINES;
use devpocket_shared::wire::private::Private;
use devpocket_shared::wire::{Attach, AttachMode, CreationKey, Delivery, ErrorCode, Signal, Spec};
use serde_json::{Map, Value, json};

/// Longest `request_id`, in bytes: it names a repeated `connect`.
pub(super) const MAX_REQUEST_ID_BYTES: usize = 128;
/// Most scrollback lines in a snapshot (PROTOCOL section 6).
const MAX_SCROLLBACK_LINES: u64 = 10_000;

/// A client's message with its envelope.
#[derive(Debug)]
pub(super) struct ClientMessage {
    pub(super) session_id: Option<SessionId>,
    pub(super) request_id: Option<String>,
    pub(super) body: Body,
}

/// The message itself.
#[derive(Debug)]
pub(super) enum Body {
    Connect(Connect),
    Attach(Attach),
    Input { text: Private<String>, seq: Option<Seq> },
    Paste { text: Private<String>, seq: Option<Seq> },
    Ack(Offset),
    Resize { size: TerminalSize, claim: bool },
    Signal(Signal),
    Key(u8),
    Detach,
    Terminate,
    History { before_line: Option<u64>, lines: u32 },
    PromptReply,
    Auth { token: Private<String> },
    Ping(Value),
}

/// A session to make, or with a `session_id` in the envelope to attach to.
#[derive(Debug)]
pub(super) struct Connect {
    pub(super) ssh: bool,
    pub(super) spec: Spec,
    pub(super) attach: Attach,
}

impl Connect {
    /// What a repeat of it is known by (PROTOCOL section 3).
    pub(super) fn key(&self, request_id: Option<&str>) -> Option<CreationKey> {
        let client_id = self.attach.client_id.clone()?;
        Some(CreationKey { client_id, request_id: request_id?.to_owned() })
    }
}

/// Why a message was not taken, ready to be told.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) session_id: Option<SessionId>,
    pub(super) request_id: Option<String>,
    pub(super) code: ErrorCode,
    pub(super) message: String,
    pub(super) details: Value,
}

/// A field that is not as it should be.
struct BadField {
    code: ErrorCode,
    field: &'static str,
    message: String,
}

/// Parses one text message. `default` is the delivery of who names none.
pub(super) fn parse(text: &str, default: Delivery) -> Result<ClientMessage, Complaint> {
    let bad = |code, message: &str| Complaint {
        session_id: None,
        request_id: None,
        code,
        message: message.to_owned(),
        details: Value::Null,
    };
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return Err(bad(ErrorCode::BadJson, "the message is not JSON"));
    };
    let Value::Object(envelope) = value else {
        return Err(bad(ErrorCode::BadJson, "the message is not a JSON object"));
    };
    // Whatever is wrong with the rest, the answer names the session and repeats the request id.
    let session_id =
        envelope.get("session_id").and_then(Value::as_str).and_then(|id| SessionId::from_str(id).ok());
    let request_id = envelope.get("request_id").and_then(Value::as_str).map(str::to_owned);
    let request_id = request_id.filter(|id| id.len() <= MAX_REQUEST_ID_BYTES);
    match parse_body(&envelope, session_id, default) {
        Ok(body) => Ok(ClientMessage { session_id, request_id, body }),
        Err(BadField { code, field, message }) => {
            Err(Complaint { session_id, request_id, code, message, details: json!({ "field": field }) })
        }
    }
}

fn parse_body(
    envelope: &Map<String, Value>,
    session_id: Option<SessionId>,
    default: Delivery,
) -> Result<Body, BadField> {
    let kind = text(envelope, "type")?.ok_or_else(|| missing("type"))?;
    if let Some(id) = text(envelope, "request_id")?
        && id.len() > MAX_REQUEST_ID_BYTES
    {
        return Err(invalid("request_id", &format!("at most {MAX_REQUEST_ID_BYTES} bytes")));
    }
    if session_id.is_none()
        && let Some(id) = text(envelope, "session_id")?
        && !id.is_empty()
    {
        // No UUID names no session; the same answer as for one that is not there.
        return Err(BadField {
            code: ErrorCode::SessionNotFound,
            field: "session_id",
            message: "no such session".to_owned(),
        });
    }
    let needs_session = || session_id.map(|_| ()).ok_or_else(|| missing("session_id"));
    let nothing = Map::new();
    let data = match envelope.get("data") {
        None | Some(Value::Null) => Ok(&nothing),
        Some(Value::Object(data)) => Ok(data),
        Some(_) => Err(invalid("data", "an object")),
    };
    let body = match kind {
        "connect" => Body::Connect(connect(data?, default, session_id.is_some())?),
        "attach" => {
            needs_session()?;
            Body::Attach(attach(data?, default)?)
        }
        "input" | "paste" => {
            needs_session()?;
            let text = Private(text(envelope, "data")?.ok_or_else(|| missing("data"))?.to_owned());
            let seq = number(envelope, "seq")?;
            if seq == Some(0) {
                return Err(invalid("seq", "1 or more"));
            }
            let seq = seq.map(Seq);
            if kind == "input" { Body::Input { text, seq } } else { Body::Paste { text, seq } }
        }
        "ack" => {
            needs_session()?;
            Body::Ack(Offset(number(data?, "offset")?.ok_or_else(|| missing("offset"))?))
        }
        "resize" => {
            needs_session()?;
            let data = data?;
            Body::Resize { size: size(data)?, claim: flag(data, "claim")?.unwrap_or(true) }
        }
        "signal" => {
            needs_session()?;
            signal(data?)?
        }
        "detach" | "disconnect" => {
            needs_session()?;
            Body::Detach
        }
        "terminate" => {
            needs_session()?;
            Body::Terminate
        }
        "history" => {
            needs_session()?;
            history(data?)?
        }
        "prompt_reply" => {
            needs_session()?;
            Body::PromptReply
        }
        "auth" => {
            Body::Auth { token: Private(text(data?, "token")?.ok_or_else(|| missing("token"))?.to_owned()) }
        }
        "ping" => Body::Ping(envelope.get("data").cloned().unwrap_or(Value::Null)),
        _ => {
            return Err(BadField {
                code: ErrorCode::UnknownType,
                field: "type",
                message: "the message's type is not known".to_owned(),
            });
        }
    };
    Ok(body)
}

/// `attaches`: a session is named, so what kind to make need not be said.
fn connect(data: &Map<String, Value>, default: Delivery, attaches: bool) -> Result<Connect, BadField> {
    let profile = text(data, "ssh_profile_id")?;
    let ssh = match text(data, "session_type")? {
        Some("local" | "terminal") => false,
        Some("ssh") => true,
        None if profile.is_some() => true,
        None if attaches => false,
        None => return Err(missing("session_type")),
        Some(_) => return Err(invalid("session_type", "local or ssh")),
    };
    let attach = attach(data, default)?;
    let spec = Spec {
        name: text(data, "name")?.map(str::to_owned),
        command: texts(data, "command")?,
        working_directory: text(data, "working_directory")?.or(text(data, "cwd")?).map(str::to_owned),
        environment: variables(data)?,
        size: attach.size.unwrap_or(TerminalSize::DEFAULT),
    };
    match spec.check() {
        Ok(()) => Ok(Connect { ssh, spec, attach }),
        Err(field) => Err(invalid(field, "within its bounds (docs/protocol.md)")),
    }
}

fn attach(data: &Map<String, Value>, default: Delivery) -> Result<Attach, BadField> {
    let client_id = text(data, "client_id")?.map(|id| ClientId::try_from(id.to_owned()));
    let client_id = client_id
        .transpose()
        .map_err(|BadClientId| invalid("client_id", &format!("of 1 to {} bytes", ClientId::MAX_BYTES)))?;
    let mode = match text(data, "mode")? {
        None | Some("control") => AttachMode::Control,
        Some("view") => AttachMode::View,
        Some(_) => return Err(invalid("mode", "control or view")),
    };
    let delivery = match text(data, "delivery")? {
        Some("lossless") => Delivery::Lossless,
        Some("realtime") => Delivery::Realtime,
        None => default,
        Some(_) => return Err(invalid("delivery", "lossless or realtime")),
    };
    let window = number(data, "window")?;
    if window == Some(0) {
        return Err(invalid("window", "1 or more bytes"));
    }
    let scrollback = number(data, "scrollback")?.unwrap_or(0);
    if scrollback > MAX_SCROLLBACK_LINES {
        return Err(invalid("scrollback", &format!("at most {MAX_SCROLLBACK_LINES} lines")));
    }
    Ok(Attach {
        client_id,
        offset: number(data, "offset")?.map(Offset),
        size: match data.get("terminal_size") {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => Some(size(object)?),
            Some(_) => return Err(invalid("terminal_size", "an object with rows and cols")),
        },
        mode,
        delivery,
        window,
        scrollback: u32::try_from(scrollback).unwrap_or(0),
    })
}

fn size(data: &Map<String, Value>) -> Result<TerminalSize, BadField> {
    let side = |field| {
        let value = number(data, field)?.ok_or_else(|| missing(field))?;
        u16::try_from(value).map_err(|_| invalid(field, "1 to 1000"))
    };
    let (rows, cols) = (side("rows")?, side("cols")?);
    let field = if (1..=TerminalSize::MAX).contains(&rows) { "cols" } else { "rows" };
    TerminalSize::new(rows, cols).map_err(|_| invalid(field, "1 to 1000"))
}

fn signal(data: &Map<String, Value>) -> Result<Body, BadField> {
    if let Some(name) = text(data, "signal")? {
        let signal = match name.strip_prefix("SIG").unwrap_or(name) {
            "INT" => Signal::Int,
            "QUIT" => Signal::Quit,
            "TSTP" => Signal::Tstp,
            "CONT" => Signal::Cont,
            "TERM" => Signal::Term,
            "HUP" => Signal::Hup,
            "KILL" => Signal::Kill,
            "USR1" => Signal::Usr1,
            "USR2" => Signal::Usr2,
            "WINCH" => Signal::Winch,
            _ => return Err(invalid("signal", "one of the protocol's signals")),
        };
        return Ok(Body::Signal(signal));
    }
    let key = text(data, "key")?.ok_or_else(|| missing("signal"))?;
    let control = key.to_ascii_lowercase();
    let byte = match (control.as_str(), control.strip_prefix("ctrl+").map(str::as_bytes)) {
        ("esc" | "escape", _) => 0x1B,
        (_, Some([letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')])) => letter & 0x1F,
        _ => return Err(invalid("key", "ctrl+ and a letter or one of @[\\]^_, or esc")),
    };
    Ok(Body::Key(byte))
}

fn history(data: &Map<String, Value>) -> Result<Body, BadField> {
    let lines = number(data, "lines")?.ok_or_else(|| missing("lines"))?;
    let lines = u32::try_from(lines).ok().filter(|lines| (1..=MAX_HISTORY_LINES).contains(lines));
    let lines = lines.ok_or_else(|| invalid("lines", &format!("1 to {MAX_HISTORY_LINES}")))?;
    Ok(Body::History { before_line: number(data, "before_line")?, lines })
}

fn texts(data: &Map<String, Value>, field: &'static str) -> Result<Vec<String>, BadField> {
    let wrong = || invalid(field, "a list of texts");
    match data.get(field) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= Spec::MAX_ARGUMENTS => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

fn variables(data: &Map<String, Value>) -> Result<Vec<(String, String)>, BadField> {
    let wrong = || invalid("environment", "an object of texts");
    match data.get("environment").or_else(|| data.get("env")) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(entries)) if entries.len() <= Spec::MAX_VARIABLES => entries
            .iter()
            .map(|(name, value)| Ok((name.clone(), value.as_str().ok_or_else(wrong)?.to_owned())))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn text<'a>(data: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, BadField> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(field, "a text")),
    }
}

fn number(data: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, BadField> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => whole(value).map(Some).ok_or_else(|| invalid(field, "a whole number, 0 or more")),
    }
}

/// A whole number, also as the writers of JSON put it that know floating point only (`24.0`).
fn whole(value: &Value) -> Option<u64> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number =
            value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(number))?;
        format!("{number:.0}").parse().ok()
    })
}

fn flag(data: &Map<String, Value>, field: &'static str) -> Result<Option<bool>, BadField> {
    match data.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_bool().map(Some).ok_or_else(|| invalid(field, "true or false")),
    }
}

fn missing(field: &'static str) -> BadField {
    BadField { code: ErrorCode::MissingField, field, message: format!("{field} is missing") }
}

fn invalid(field: &'static str, expected: &str) -> BadField {
    BadField { code: ErrorCode::InvalidField, field, message: format!("{field} must be {expected}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a0a0-0000-7000-8000-000000000001";

    #[test]
    fn what_a_client_id_must_be_is_said_in_words() {
        let long = "x".repeat(65);
        let text = format!(r#"{{"type":"attach","session_id":"{ID}","data":{{"client_id":"{long}"}}}}"#);
        let complaint = parse(&text, Delivery::Lossless).unwrap_err();
        assert_eq!(complaint.message, "client_id must be of 1 to 64 bytes");
    }

    #[test]
    fn what_is_wrong_with_a_message_is_said_with_its_field() {
        let check = |text: &str, code: &str, field: Option<&str>| {
            let complaint = parse(&text.replace("ID", ID), Delivery::Lossless).unwrap_err();
            assert_eq!(
                (complaint.code.as_str(), complaint.details["field"].as_str()),
                (code, field),
                "{text}"
            );
        };
        check("", "bad_json", None);
        check("[1]", "bad_json", None);
        check("{}", "missing_field", Some("type"));
        check(r#"{"type":5}"#, "invalid_field", Some("type"));
        check(r#"{"type":"reboot"}"#, "unknown_type", Some("type"));
        check(r#"{"type":"input","data":"x"}"#, "missing_field", Some("session_id"));
        check(
            r#"{"type":"input","session_id":"../etc","data":"x"}"#,
            "session_not_found",
            Some("session_id"),
        );
        check(r#"{"type":"input","session_id":"ID"}"#, "missing_field", Some("data"));
        check(r#"{"type":"input","session_id":"ID","data":7}"#, "invalid_field", Some("data"));
        check(r#"{"type":"input","session_id":"ID","data":"x","seq":0}"#, "invalid_field", Some("seq"));
        check(r#"{"type":"input","session_id":"ID","data":"x","seq":-1}"#, "invalid_field", Some("seq"));
        check(r#"{"type":"attach","session_id":"ID","data":{"offset":1e999}}"#, "bad_json", None);
        check(
            r#"{"type":"attach","session_id":"ID","data":{"offset":1.5}}"#,
            "invalid_field",
            Some("offset"),
        );
        check(r#"{"type":"attach","session_id":"ID","data":[]}"#, "invalid_field", Some("data"));
        check(r#"{"type":"attach","session_id":"ID","data":{"window":0}}"#, "invalid_field", Some("window"));
        check(
            r#"{"type":"attach","session_id":"ID","data":{"client_id":""}}"#,
            "invalid_field",
            Some("client_id"),
        );
        check(r#"{"type":"attach","session_id":"ID","data":{"mode":"root"}}"#, "invalid_field", Some("mode"));
        check(
            r#"{"type":"resize","session_id":"ID","data":{"rows":-5,"cols":1}}"#,
            "invalid_field",
            Some("rows"),
        );
        check(
            r#"{"type":"resize","session_id":"ID","data":{"rows":5,"cols":1001}}"#,
            "invalid_field",
            Some("cols"),
        );
        check(
            r#"{"type":"resize","session_id":"ID","data":{"rows":70000,"cols":1}}"#,
            "invalid_field",
            Some("rows"),
        );
        check(r#"{"type":"resize","session_id":"ID","data":{"cols":1}}"#, "missing_field", Some("rows"));
        check(
            r#"{"type":"signal","session_id":"ID","data":{"signal":"SIGSEGV"}}"#,
            "invalid_field",
            Some("signal"),
        );
        check(r#"{"type":"signal","session_id":"ID","data":{"key":"ctrl+ü"}}"#, "invalid_field", Some("key"));
        check(r#"{"type":"history","data":{"lines":1}}"#, "missing_field", Some("session_id"));
        check(r#"{"type":"history","session_id":"ID"}"#, "missing_field", Some("lines"));
        let history = |data: &str| format!(r#"{{"type":"history","session_id":"ID","data":{{{data}}}}}"#);
        check(&history(r#""lines":0"#), "invalid_field", Some("lines"));
        check(&history(r#""lines":5001"#), "invalid_field", Some("lines"));
        check(&history(r#""lines":4294967297"#), "invalid_field", Some("lines"));
        check(&history(r#""lines":1,"before_line":-1"#), "invalid_field", Some("before_line"));
        check(r#"{"type":"connect","data":{}}"#, "missing_field", Some("session_type"));
        let local = |more: &str| format!(r#"{{"type":"connect","data":{{"session_type":"local",{more}}}}}"#);
        check(&local(r#""command":"ls""#), "invalid_field", Some("command"));
        check(&local(r#""command":["a\u0000b"]"#), "invalid_field", Some("command"));
        check(&local(r#""env":{"A=B":"c"}"#), "invalid_field", Some("environment"));
        check(
            r#"{"type":"connect","data":{"session_type":"telnet"}}"#,
            "invalid_field",
            Some("session_type"),
        );
    }

    #[test]
    fn the_answer_to_a_bad_message_still_knows_session_and_request() {
        let complaint = parse(
            &format!(r#"{{"type":"ack","session_id":"{ID}","request_id":"r1","data":{{}}}}"#),
            Delivery::Lossless,
        );
        let complaint = complaint.unwrap_err();
        assert_eq!(complaint.session_id.map(|id| id.to_string()).as_deref(), Some(ID));
        assert_eq!(complaint.request_id.as_deref(), Some("r1"));
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_fraction_of_nothing() {
        let text = format!(r#"{{"type":"resize","session_id":"{ID}","data":{{"rows":24.0,"cols":80}}}}"#);
        assert!(
            matches!(parse(&text, Delivery::Lossless).unwrap().body, Body::Resize { size, .. } if size.rows() == 24)
        );
    }

    #[test]
    fn history_is_asked_for_in_pages_of_up_to_5000_lines() {
        let parsed = |data: &str| {
            let text = format!(r#"{{"type":"history","session_id":"{ID}","data":{data}}}"#);
            let Body::History { before_line, lines } = parse(&text, Delivery::Lossless).unwrap().body else {
                panic!("no history")
            };
            (before_line, lines)
        };
        assert_eq!(parsed(r#"{"lines":1}"#), (None, 1));
        assert_eq!(parsed(r#"{"lines":5000,"before_line":0}"#), (Some(0), 5000));
    }

    #[test]
    fn control_keys_become_their_bytes() {
        for (key, byte) in
            [("ctrl+c", 3), ("Ctrl+C", 3), ("ctrl+[", 27), ("ctrl+@", 0), ("esc", 27), ("ctrl+\\\\", 28)]
        {
            let text = format!(r#"{{"type":"signal","session_id":"{ID}","data":{{"key":"{key}"}}}}"#);
            assert!(
                matches!(parse(&text, Delivery::Lossless).unwrap().body, Body::Key(b) if b == byte),
                "{key}"
            );
        }
    }

    #[test]
    fn the_older_names_of_fields_are_taken_too() {
        let text = r#"{"type":"connect","data":{"session_type":"terminal","cwd":"/tmp","env":{"A":"b"}}}"#;
        let Body::Connect(connect) = parse(text, Delivery::Lossless).unwrap().body else {
            panic!("no connect")
        };
        assert_eq!(connect.spec.working_directory.as_deref(), Some("/tmp"));
        assert_eq!(connect.spec.environment, [("A".to_owned(), "b".to_owned())]);
    }
}
