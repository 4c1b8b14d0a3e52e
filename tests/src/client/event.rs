//! What a server says, parsed and checked against the protocol's sections 2, 4 and 5. Must not know what is done about it.

use bytes::Bytes;
use serde_json::Value;
use uuid::Uuid;

/// The server broke the protocol, or a promise that the test relies on.
#[derive(Debug)]
pub struct Violation(pub String);

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Violation {}

/// Something the server said, or the end of the connection.
#[derive(Clone, Debug)]
pub enum Event {
    /// Terminal output; in JSON mode its text as UTF-8.
    Output { session: Uuid, offset: u64, end: u64, bytes: Bytes },
    /// A snapshot, or a part of one.
    Snapshot { session: Uuid, offset: u64, cols: u16, rows: u16, reason: Reason, more: bool, bytes: Bytes },
    /// Input up to `seq` was handed to the terminal.
    InputAck { session: Uuid, seq: u64 },
    /// What the terminal does with typed text from `offset` on.
    Echo {
        session: Uuid,
        offset: u64,
        echo: bool,
        canonical: bool,
        alternate_screen: bool,
        input_seq: Option<u64>,
    },
    /// What the program said: `kind` is `title`, `bell`, `clipboard`, `cwd` or `notify`.
    Said { session: Uuid, kind: String, text: String },
    /// Any other message.
    Message(ServerMessage),
    /// The connection is over; with the close code, if there was a close frame.
    Closed { code: Option<u16>, reason: String },
}

/// Why a snapshot was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The client has nothing to go on from.
    Attach,
    /// The client fell too far behind.
    Lagged,
    /// The daemon recovered.
    Recovered,
}

impl Reason {
    /// The reason behind the number of a binary frame.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Attach, Self::Lagged, Self::Recovered].get(usize::from(number)).copied()
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "attach" => Some(Self::Attach),
            "lagged" => Some(Self::Lagged),
            "recovered" => Some(Self::Recovered),
            _ => None,
        }
    }
}

/// A text message that carries no terminal bytes.
#[derive(Clone, Debug)]
pub struct ServerMessage {
    /// Its `type`.
    pub kind: String,
    /// Which session it is about.
    pub session: Option<Uuid>,
    /// The request it answers.
    pub request_id: Option<String>,
    /// The whole message.
    pub body: Value,
}

impl ServerMessage {
    /// Its `data`.
    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    /// The `status` of a status message.
    pub fn status(&self) -> Option<&str> {
        if self.kind == "status" { self.data()["status"].as_str() } else { None }
    }

    /// The code of an error message.
    pub fn error(&self) -> Option<&str> {
        if self.kind == "error" { self.data()["error"].as_str() } else { None }
    }

    /// Whether an error says that the same message may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.data()["retryable"] == true
    }

    /// The `offset`, in the envelope or else in the data.
    pub fn offset(&self) -> Option<u64> {
        self.body["offset"].as_u64().or_else(|| self.data()["offset"].as_u64())
    }
}

/// A page of scrollback, as `history` carries it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct History {
    /// The number of the first line.
    pub first_line: u64,
    /// The lines, oldest first.
    pub lines: Vec<String>,
    /// Lines so far.
    pub total: u64,
}

impl History {
    /// Reads the data of a `history`; none if something is missing.
    pub fn read(data: &Value) -> Option<Self> {
        let lines = data["lines"].as_array()?.iter().map(|line| line.as_str().map(str::to_owned));
        let (first_line, total) = (data["first_line"].as_u64()?, data["total"].as_u64()?);
        Some(Self { first_line, lines: lines.collect::<Option<_>>()?, total })
    }
}

/// Reads a text message.
pub fn parse(text: &str) -> Result<Event, Violation> {
    let broken = |what: &str| Violation(format!("{what}: {}", text.chars().take(500).collect::<String>()));
    let mut body: Value = serde_json::from_str(text).map_err(|_| broken("a message is no JSON"))?;
    let kind = body["type"].as_str().ok_or_else(|| broken("a message has no type"))?.to_owned();
    let session = match &body["session_id"] {
        Value::Null => None,
        Value::String(id) => Some(id.parse().map_err(|_| broken("a session_id is no UUID"))?),
        _ => return Err(broken("a session_id is no text")),
    };
    if body["timestamp"].as_str().is_none_or(|time| !time.contains('T')) {
        return Err(broken("a message has no timestamp"));
    }
    let number =
        |name: &str| body[name].as_u64().ok_or_else(|| broken(&format!("no {name} in the envelope")));
    let needed = session.ok_or_else(|| broken("no session_id"));
    match kind.as_str() {
        "output" => {
            let (session, offset, end) = (needed?, number("offset")?, number("end")?);
            let Value::String(bytes) = body["data"].take() else { return Err(broken("output without text")) };
            Ok(Event::Output { session, offset, end, bytes: bytes.into() })
        }
        "snapshot" => {
            let (session, offset) = (needed?, number("offset")?);
            let (rows, cols) = size(&body["terminal_size"]).ok_or_else(|| broken("no terminal_size"))?;
            let word = body["reason"].as_str().or_else(|| body["data"]["reason"].as_str());
            let reason = word.and_then(Reason::from_word).ok_or_else(|| broken("no reason"))?;
            let Value::String(bytes) = body["data"].take() else {
                return Err(broken("snapshot without text"));
            };
            Ok(Event::Snapshot { session, offset, cols, rows, reason, more: false, bytes: bytes.into() })
        }
        "input_ack" => {
            let seq = body["data"]["seq"].as_u64().ok_or_else(|| broken("no seq"))?;
            Ok(Event::InputAck { session: needed?, seq })
        }
        "echo" => {
            let data = &body["data"];
            let flag = |name: &str| data[name].as_bool().ok_or_else(|| broken(&format!("no {name}")));
            let input_seq = data["input_seq"].as_u64();
            if input_seq.is_none() && !data["input_seq"].is_null() {
                return Err(broken("input_seq is no number"));
            }
            Ok(Event::Echo {
                session: needed?,
                offset: number("offset")?,
                echo: flag("echo")?,
                canonical: flag("canonical")?,
                alternate_screen: flag("alternate_screen")?,
                input_seq,
            })
        }
        "title" | "bell" | "clipboard" | "cwd" | "notify" => {
            let session = needed?;
            let Value::String(text) = body["data"].take() else { return Err(broken("data is no text")) };
            Ok(Event::Said { session, kind, text })
        }
        "history" if History::read(&body["data"]).is_none() => Err(broken("an incomplete history")),
        "error" if body["data"]["error"].as_str().is_none() => Err(broken("an error without a code")),
        "error" if !body["data"]["retryable"].is_boolean() => Err(broken("an error without retryable")),
        "status" if body["data"]["status"].as_str().is_none() => Err(broken("a status without a status")),
        _ => {
            let request_id = body["request_id"].as_str().map(str::to_owned);
            Ok(Event::Message(ServerMessage { kind, session, request_id, body }))
        }
    }
}

/// Rows and columns of a `terminal_size`.
pub fn size(value: &Value) -> Option<(u16, u16)> {
    let side = |name: &str| u16::try_from(value[name].as_u64()?).ok();
    Some((side("rows")?, side("cols")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a0a0-0000-7000-8000-000000000001";

    fn parsed(more: &str) -> Result<Event, Violation> {
        parse(&format!(r#"{{"session_id":"{ID}","timestamp":"2031-05-07T12:00:00Z",{more}}}"#))
    }

    #[test]
    fn what_a_program_says_is_text() {
        for kind in ["title", "bell", "clipboard", "cwd", "notify"] {
            let event = parsed(&format!(r#""type":"{kind}","data":"x""#)).unwrap();
            assert!(matches!(event, Event::Said { kind: of, text, .. } if of == kind && text == "x"));
            assert!(parsed(&format!(r#""type":"{kind}","data":null"#)).is_err(), "{kind}");
        }
    }

    #[test]
    fn an_echo_says_everything() {
        let echo = r#""type":"echo","offset":9,"data":{"echo":true,"canonical":false,"alternate_screen":true,"input_seq":N}"#;
        for (number, expected) in [("null", None), ("4", Some(4))] {
            let event = parsed(&echo.replace('N', number)).unwrap();
            assert!(matches!(event, Event::Echo { offset: 9, echo: true, canonical: false, input_seq, .. }
                if input_seq == expected));
        }
        for broken in [("N", "-1"), ("N", "true"), (r#""offset":9,"#, ""), ("false", "0"), ("alternate_", "")]
        {
            assert!(parsed(&echo.replace(broken.0, broken.1)).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn a_page_of_history_has_its_numbers() {
        let page = r#""type":"history","request_id":"r","data":{"first_line":3,"lines":["a","b"],"total":9}"#;
        let Event::Message(message) = parsed(page).unwrap() else { panic!("no message") };
        let lines = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(History::read(message.data()), Some(History { first_line: 3, lines, total: 9 }));
        assert!(parsed(&page.replace("\"b\"", "7")).is_err());
        assert!(parsed(&page.replace("total", "all")).is_err());
    }
}
