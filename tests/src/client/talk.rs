//! A conversation for tests that look at single messages: ask and wait for the answer, wait for an event or for text.
//! Must not know any scenario. Everything here panics with what it waited for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::event::{Event, History, ServerMessage, size};
use super::opening::Opening;
use super::socket::Socket;
use crate::wait_for;

/// How long anything may take that happens at once on an idle machine.
pub const EVENT_LIMIT: Duration = Duration::from_secs(20);
/// How long the answer to a bad message may take.
pub const ERROR_LIMIT: Duration = Duration::from_secs(10);

/// What `status: connected` said.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The session.
    pub session: Uuid,
    /// Its number on this socket, in binary mode.
    pub channel: Option<u16>,
    /// `fresh`, `replay` or `snapshot`.
    pub kind: String,
    /// Where the output goes on.
    pub offset: u64,
    /// The last input applied of this client.
    pub input_seq: Option<u64>,
    /// The last input taken of this client, applied or not.
    pub input_queued: Option<u64>,
    /// The input that a worker kill interrupted.
    pub input_uncertain: Option<u64>,
    /// The window in force.
    pub window: Option<u64>,
    /// Rows and columns at `offset`.
    pub size: (u16, u16),
}

impl Attached {
    /// Reads a `status: connected`; none if something is missing.
    pub fn read(message: &ServerMessage) -> Option<Self> {
        let data = message.data();
        let resume = &data["resume"];
        Some(Self {
            session: message.session?,
            channel: data["channel"].as_u64().and_then(|number| number.try_into().ok()),
            kind: resume["kind"].as_str()?.to_owned(),
            offset: resume["offset"].as_u64()?,
            input_seq: resume["input_seq"].as_u64(),
            input_queued: resume["input_queued"].as_u64(),
            input_uncertain: resume["input_uncertain"].as_u64().or_else(|| data["input_uncertain"].as_u64()),
            window: resume["window"].as_u64(),
            size: size(&data["terminal_size"])?,
        })
    }
}

impl Socket {
    /// Opens a socket that must be let in.
    pub async fn must_open(opening: &Opening) -> Self {
        Self::open(opening).await.unwrap_or_else(|err| panic!("a socket must open: {err:?}"))
    }

    /// Sends a message with a request id and waits for its direct answer.
    pub async fn ask(&mut self, mut message: Value) -> ServerMessage {
        self.requests += 1;
        let request_id = format!("request-{}", self.requests);
        message["request_id"] = request_id.clone().into();
        self.send(&message);
        self.wait(&format!("the answer to {message}"), |event| match event {
            // `connecting` announces the answer, it is none.
            Event::Message(answer) if answer.request_id.as_ref() == Some(&request_id) => {
                (answer.status() != Some("connecting")).then(|| answer.clone())
            }
            _ => None,
        })
        .await
    }

    /// Sends a message that must be answered by an error, and gives its code.
    pub async fn ask_error(&mut self, message: Value) -> ServerMessage {
        let answer = self.ask(message.clone()).await;
        assert!(answer.error().is_some(), "{message} must fail, but: {}", answer.body);
        answer
    }

    /// Opens a session and attaches to it.
    pub async fn connect(&mut self, data: Value) -> Attached {
        self.attached(json!({"type": "connect", "data": data})).await
    }

    /// Attaches to a session.
    pub async fn attach(&mut self, session: Uuid, data: Value) -> Attached {
        self.attached(json!({"type": "attach", "session_id": session, "data": data})).await
    }

    /// Asks for a page of scrollback.
    pub async fn history(&mut self, session: Uuid, before_line: Option<u64>, lines: u32) -> History {
        let data = json!({"before_line": before_line, "lines": lines});
        let answer = self.ask(json!({"type": "history", "session_id": session, "data": data})).await;
        assert_eq!(answer.kind, "history", "{}", answer.body);
        History::read(answer.data()).unwrap_or_else(|| panic!("checked when it was read: {}", answer.body))
    }

    /// Attaches over a new socket, as often as it takes while the server is coming back.
    pub async fn attach_patiently(opening: &Opening, session: Uuid, data: &Value) -> (Self, Attached) {
        wait_for("an attach succeeds again", EVENT_LIMIT, async || {
            let mut socket = Self::open(opening).await.ok()?;
            socket.send(&json!({"type": "attach", "session_id": session, "data": data}));
            // The server may be killed again or not be whole yet: anything but the answer is another attempt.
            let answer = loop {
                match timeout(ERROR_LIMIT, socket.next()).await.ok()?.ok()? {
                    Event::Message(message) if message.status() == Some("connected") => break message,
                    Event::Message(message) if message.error().is_some() => {
                        assert!(
                            message.is_retryable(),
                            "the attach must succeed in the end: {}",
                            message.body
                        );
                        return None;
                    }
                    Event::Closed { .. } => return None,
                    _ => {}
                }
            };
            let attached =
                Attached::read(&answer).unwrap_or_else(|| panic!("connected lacks a field: {}", answer.body));
            Some((socket, attached))
        })
        .await
    }

    async fn attached(&mut self, message: Value) -> Attached {
        let answer = self.ask(message.clone()).await;
        assert_eq!(answer.status(), Some("connected"), "{message} must attach, but: {}", answer.body);
        Attached::read(&answer).unwrap_or_else(|| panic!("connected lacks a field: {}", answer.body))
    }

    /// The next event, from the inbox or from the connection.
    pub async fn event(&mut self, what: &str) -> Event {
        if let Some(event) = self.inbox.pop_front() {
            return event;
        }
        self.fresh_event(what, Instant::now() + EVENT_LIMIT).await
    }

    /// Waits for an event that `found` takes; events it does not take stay for later.
    pub async fn wait<T>(&mut self, what: &str, found: impl FnMut(&Event) -> Option<T>) -> T {
        self.wait_at_most(EVENT_LIMIT, what, found).await
    }

    /// The same with a deadline of its own.
    pub async fn wait_at_most<T>(
        &mut self,
        limit: Duration,
        what: &str,
        mut found: impl FnMut(&Event) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + limit;
        let mut looked_at = 0;
        loop {
            while let Some(event) = self.inbox.get(looked_at) {
                if let Some(value) = found(event) {
                    self.inbox.remove(looked_at);
                    return value;
                }
                looked_at += 1;
            }
            let event = self.fresh_event(what, deadline).await;
            self.inbox.push_back(event);
        }
    }

    /// Waits for a status of a session.
    pub async fn wait_status(&mut self, session: Uuid, status: &str) -> ServerMessage {
        self.wait(&format!("status {status}"), |event| match event {
            Event::Message(message)
                if message.session == Some(session) && message.status() == Some(status) =>
            {
                Some(message.clone())
            }
            _ => None,
        })
        .await
    }

    /// Takes the output of a session until `needle` was in it, and gives all of it. A snapshot counts as output.
    pub async fn read_until(&mut self, session: Uuid, needle: &str) -> String {
        let what = format!("{needle:?} in the output");
        let mut seen = Vec::new();
        loop {
            let bytes = self
                .wait(&what, |event| match event {
                    Event::Output { session: of, bytes, .. } | Event::Snapshot { session: of, bytes, .. }
                        if *of == session =>
                    {
                        Some(bytes.clone())
                    }
                    Event::Message(message)
                        if message.status() == Some("exited") && message.session == Some(session) =>
                    {
                        panic!("the session ended before {what}: {}", message.body)
                    }
                    _ => None,
                })
                .await;
            seen.extend_from_slice(&bytes);
            if seen.windows(needle.len()).any(|part| part == needle.as_bytes()) {
                return String::from_utf8_lossy(&seen).into_owned();
            }
        }
    }

    /// Takes all output of a session until it has exited; gives the output and the message.
    pub async fn read_to_end(&mut self, session: Uuid) -> (String, ServerMessage) {
        let mut seen = Vec::new();
        loop {
            let ended = self
                .wait("output or exited", |event| match event {
                    Event::Output { session: of, bytes, .. } if *of == session => Some(Err(bytes.clone())),
                    Event::Message(message)
                        if message.session == Some(session) && message.status() == Some("exited") =>
                    {
                        Some(Ok(message.clone()))
                    }
                    _ => None,
                })
                .await;
            match ended {
                Err(bytes) => seen.extend_from_slice(&bytes),
                Ok(message) => return (String::from_utf8_lossy(&seen).into_owned(), message),
            }
        }
    }

    /// Waits for the end of the connection and gives the close code.
    pub async fn wait_closed(&mut self, limit: Duration) -> Option<u16> {
        self.wait_at_most(limit, "the connection is closed", |event| match event {
            Event::Closed { code, .. } => Some(*code),
            _ => None,
        })
        .await
    }

    async fn fresh_event(&mut self, what: &str, deadline: Instant) -> Event {
        let event = match timeout_at(deadline, self.next()).await {
            Ok(event) => event.unwrap_or_else(|violation| panic!("while waiting for {what}: {violation}")),
            Err(_elapsed) => panic!("waited in vain for {what}; meanwhile: {:?}", Brief(self)),
        };
        // Nothing can follow, so a test that waits for something else must not wait for the deadline.
        if let Event::Closed { code, reason } = &event
            && !what.contains("closed")
        {
            panic!(
                "the connection ended ({code:?} {reason}) while waiting for {what}; before: {:?}",
                Brief(self)
            );
        }
        event
    }
}

/// The inbox, short enough to read.
struct Brief<'a>(&'a Socket);

impl std::fmt::Debug for Brief<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = self.0.inbox.len().saturating_sub(12);
        for event in self.0.inbox.iter().skip(from) {
            let text: String = format!("{event:?}").chars().take(400).collect();
            writeln!(f, "{text}")?;
        }
        Ok(())
    }
}
