//! A client that goes on at the exact byte over any number of lost connections, api kills and worker kills, and checks
//! on the way that nothing is missing, doubled or out of order. Must not know what breaks the connections.

mod inputs;
mod options;
mod resume;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until, timeout, timeout_at};
use uuid::Uuid;

use self::inputs::Inputs;
pub use self::options::{Counts, DurableOptions, End};
use super::event::{Event, ServerMessage, Violation};
use super::opening::Opening;
use super::sink::Sink;
use super::socket::Socket;
use crate::Random;

/// A client with a window acks at least this often while output flows (protocol section 3); half of the 50 ms allowed.
const ACK_EVERY: Duration = Duration::from_millis(25);
/// How long one attempt to open a socket may take.
const OPEN_LIMIT: Duration = Duration::from_secs(3);
/// How long an attach may wait for its answer before the connection is given up: the server waits 10 s for a worker.
const ATTACH_LIMIT: Duration = Duration::from_secs(12);
/// First and longest pause between attempts.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

enum Link {
    /// No socket; the next attempt is due then.
    Down { retry: Instant },
    /// A socket without attachment; the next attempt is due then.
    Idle { socket: Box<Socket>, retry: Instant },
    /// The answer to connect or attach is awaited until then.
    Joining { socket: Box<Socket>, until: Instant },
    /// Attached.
    Joined { socket: Box<Socket> },
}

/// The client. Drive it with [`Durable::drive`].
pub struct Durable<S> {
    options: DurableOptions,
    /// Where the output goes.
    pub sink: S,
    /// What happened so far.
    pub counts: Counts,
    /// Inputs that may have been applied or not: the daemon was killed handing them over.
    pub uncertain: Vec<u64>,
    connect: Option<Value>,
    session: Option<Uuid>,
    link: Link,
    next_opening: usize,
    backoff: Duration,
    random: Random,
    tick: Interval,
    received: u64,
    acked: u64,
    /// Where the window counts from: the last ack, or a snapshot after it.
    window_from: u64,
    window: Option<u64>,
    inputs: Inputs,
    end: Option<End>,
}

impl<S: Sink> Durable<S> {
    /// A client that will open a session: `connect` is the data of that message, without client id, window, delivery.
    pub fn connecting(options: DurableOptions, connect: Value, sink: S) -> Self {
        Self::new(options, Some(connect), None, sink)
    }

    /// A client of a session that exists, from its first byte on.
    pub fn attaching(options: DurableOptions, session: Uuid, sink: S) -> Self {
        Self::new(options, None, Some(session), sink)
    }

    fn new(options: DurableOptions, connect: Option<Value>, session: Option<Uuid>, sink: S) -> Self {
        let mut tick = interval(ACK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            random: Random::new(options.seed),
            window: options.window,
            options,
            sink,
            counts: Counts::default(),
            uncertain: Vec::new(),
            connect,
            session,
            link: Link::Down { retry: Instant::now() },
            next_opening: 0,
            backoff: BACKOFF.0,
            tick,
            received: 0,
            acked: 0,
            window_from: 0,
            inputs: Inputs::default(),
            end: None,
        }
    }

    /// The session, once it is known.
    pub const fn session(&self) -> Option<Uuid> {
        self.session
    }

    /// Bytes of output received, which is the offset of the next one.
    pub const fn received(&self) -> u64 {
        self.received
    }

    /// How the session ended, if it has.
    pub const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Which of the openings the socket there is was opened by.
    pub const fn opening_in_use(&self) -> usize {
        (self.next_opening + self.options.openings.len() - 1) % self.options.openings.len()
    }

    /// Whether it is attached now.
    pub const fn is_joined(&self) -> bool {
        matches!(self.link, Link::Joined { .. })
    }

    /// Inputs given and not known to be applied.
    pub fn unacknowledged(&self) -> usize {
        self.inputs.unacknowledged()
    }

    /// Replaces where sockets are opened from now on.
    pub fn set_openings(&mut self, openings: Vec<Opening>) {
        self.options.openings = openings;
    }

    /// Types; gives the input's number. It is sent again after every loss until it is known to be applied.
    pub fn input(&mut self, bytes: impl Into<Bytes>) -> u64 {
        let (seq, bytes) = self.inputs.push(bytes.into());
        if let (Link::Joined { socket }, Some(session)) = (&mut self.link, self.session) {
            socket.send_input(session, Some(seq), &bytes);
        }
        seq
    }

    /// Sends a message about the session now, if it is attached; the answer goes nowhere.
    pub fn tell(&mut self, mut message: Value) {
        if let (Link::Joined { socket }, Some(session)) = (&mut self.link, self.session) {
            message["session_id"] = session.to_string().into();
            socket.send(&message);
        }
    }

    /// Drops the connection without a word, as a lost network does.
    pub fn lose_connection(&mut self) {
        self.link = Link::Down { retry: Instant::now() };
    }

    /// Steps until `done`, which may type. It is asked after every step: while attached at least every 25 ms, otherwise
    /// after each attempt to attach.
    pub async fn drive(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Violation> {
        let deadline = Instant::now() + limit;
        while !done(self) {
            match timeout_at(deadline, self.step()).await {
                Ok(stepped) => stepped?,
                Err(_elapsed) => {
                    return Err(self.violation(&format!("waited {limit:?} in vain until {what}")));
                }
            }
        }
        Ok(())
    }

    /// Does the next thing that is due: a connection, a message, an ack.
    pub async fn step(&mut self) -> Result<(), Violation> {
        match &mut self.link {
            Link::Down { retry } => {
                sleep_until(*retry).await;
                self.open().await
            }
            Link::Idle { socket, retry } => {
                let retry = *retry;
                tokio::select! {
                    event = socket.next() => self.handle(event?),
                    () = sleep_until(retry) => { self.join(); Ok(()) }
                }
            }
            Link::Joining { socket, until } => {
                let until = *until;
                tokio::select! {
                    event = socket.next() => self.handle(event?),
                    () = sleep_until(until) => { self.down(); Ok(()) }
                }
            }
            Link::Joined { socket } => tokio::select! {
                event = socket.next() => self.handle(event?),
                _ = self.tick.tick() => { self.ack(); self.resend_if_refused(); Ok(()) }
            },
        }
    }

    async fn open(&mut self) -> Result<(), Violation> {
        let opening = &self.options.openings[self.next_opening % self.options.openings.len()];
        self.next_opening += 1;
        match timeout(OPEN_LIMIT, Socket::open(opening)).await {
            Ok(Ok(socket)) => {
                self.counts.sockets += 1;
                self.link = Link::Idle { socket: Box::new(socket), retry: Instant::now() };
                self.join();
                Ok(())
            }
            Ok(Err(super::OpenError::Violation(what))) => Err(self.violation(what)),
            Ok(Err(super::OpenError::Refused(status))) if status.is_client_error() => {
                Err(self.violation(&format!("the upgrade was refused: {status}")))
            }
            Ok(Err(_)) | Err(_) => {
                self.down();
                Ok(())
            }
        }
    }

    /// Asks for the session on the socket there is.
    fn join(&mut self) {
        let options = &self.options;
        let mut data = json!({"client_id": options.client_id, "delivery": options.delivery});
        if let Some(window) = options.window {
            data["window"] = window.into();
        }
        let message = match (self.session, &self.connect) {
            (Some(session), _) => {
                data["offset"] = self.received.into();
                json!({"type": "attach", "session_id": session, "request_id": "attach", "data": data})
            }
            (None, connect) => {
                for (name, value) in connect.as_ref().and_then(Value::as_object).into_iter().flatten() {
                    data[name] = value.clone();
                }
                json!({"type": "connect", "request_id": options.client_id, "data": data})
            }
        };
        self.link = match std::mem::replace(&mut self.link, Link::Down { retry: Instant::now() }) {
            Link::Idle { mut socket, .. } => {
                socket.send(&message);
                Link::Joining { socket, until: Instant::now() + ATTACH_LIMIT }
            }
            other => other,
        };
    }

    fn handle(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Output { session, offset, end, bytes } => self.output(session, offset, end, &bytes),
            Event::Snapshot { session, offset, bytes, reason, .. } => {
                self.expect_session(session)?;
                if self.options.exact {
                    return Err(
                        self.violation(&format!("a snapshot ({reason:?}) at {offset} to a lossless client"))
                    );
                }
                self.counts.snapshots += 1;
                (self.received, self.window_from) = (offset, offset);
                self.sink.snapshot(&bytes);
                Ok(())
            }
            Event::InputAck { session, seq } => {
                self.expect_session(session)?;
                self.inputs.acknowledge(seq).map_err(|what| self.violation(&what))
            }
            Event::Message(message) => self.message(&message),
            // These do not change what is received.
            Event::Echo { .. } | Event::Said { .. } => Ok(()),
            Event::Closed { code: Some(4401), reason } => {
                Err(self.violation(&format!("closed with 4401 {reason}")))
            }
            Event::Closed { .. } => {
                self.down();
                Ok(())
            }
        }
    }

    fn output(&mut self, session: Uuid, offset: u64, end: u64, bytes: &[u8]) -> Result<(), Violation> {
        self.expect_session(session)?;
        if !self.is_joined() {
            return Err(self.violation("output without an attachment"));
        }
        if offset != self.received || end <= offset {
            let what = if offset < self.received { "twice" } else { "with a gap" };
            return Err(
                self.violation(&format!("output {what}: {offset}..{end}, expected {}", self.received))
            );
        }
        if let Some(window) = self.window
            && end - self.window_from > window
        {
            return Err(self
                .violation(&format!("output up to {end}, a window of {window} from {}", self.window_from)));
        }
        self.sink.output(bytes);
        self.received = end;
        if self.window.is_some_and(|window| self.received - self.acked >= window / 4) {
            self.ack();
        }
        Ok(())
    }

    fn ack(&mut self) {
        if let (Link::Joined { socket }, Some(session), Some(_)) = (&mut self.link, self.session, self.window)
            && self.acked < self.received
        {
            socket.send_ack(session, self.received);
            (self.acked, self.window_from) = (self.received, self.received);
        }
    }

    fn resend_if_refused(&mut self) {
        if let (Link::Joined { socket }, Some(session)) = (&mut self.link, self.session)
            && self.inputs.take_refused()
        {
            for (seq, bytes) in self.inputs.waiting() {
                socket.send_input(session, Some(seq), bytes);
            }
        }
    }

    fn message(&mut self, message: &ServerMessage) -> Result<(), Violation> {
        match (message.status(), message.error()) {
            (Some("connected"), _) => self.joined(message),
            (Some("connecting" | "token_expiring"), _) => Ok(()),
            (Some("interrupted"), _) => {
                self.counts.interrupted += 1;
                self.idle();
                Ok(())
            }
            (Some("draining"), _) => {
                self.counts.draining += 1;
                self.down();
                Ok(())
            }
            (Some("exited"), _) => self.exited(message),
            (Some(_), _) => Err(self.violation(&format!("an unexpected status: {}", message.body))),
            (_, Some("input_uncertain")) => {
                self.uncertain.extend(message.data()["details"]["seq"].as_u64());
                Ok(())
            }
            (_, Some("input_full" | "seq_gap")) => {
                self.counts.input_full += 1;
                self.inputs.refuse();
                Ok(())
            }
            // What was on its way when the attachment was interrupted comes to nothing; it is sent again.
            (_, Some("not_attached")) if !self.is_joined() => Ok(()),
            (_, Some(_)) if message.is_retryable() => {
                self.idle();
                Ok(())
            }
            (_, Some(_)) => Err(self.violation(&format!("an error: {}", message.body))),
            // Sizes and the like do not change what is received.
            (None, None) => Ok(()),
        }
    }

    fn exited(&mut self, message: &ServerMessage) -> Result<(), Violation> {
        let offset = message
            .offset()
            .ok_or_else(|| self.violation(&format!("exited without offset: {}", message.body)))?;
        if offset != self.received {
            return Err(self.violation(&format!("exited at {offset}, but received {}", self.received)));
        }
        let data = message.data();
        self.end =
            Some(End { exit: data["exit"].clone(), reason: data["reason"].as_str().map(str::to_owned) });
        Ok(())
    }

    /// Gives the socket up and tries again after a pause.
    fn down(&mut self) {
        if self.is_joined() {
            self.counts.lost += 1;
        }
        self.link = Link::Down { retry: self.next_retry() };
    }

    /// Keeps the socket and attaches again after a pause.
    fn idle(&mut self) {
        let retry = self.next_retry();
        self.link = match std::mem::replace(&mut self.link, Link::Down { retry }) {
            Link::Joined { socket } | Link::Joining { socket, .. } | Link::Idle { socket, .. } => {
                Link::Idle { socket, retry }
            }
            down @ Link::Down { .. } => down,
        };
    }

    fn next_retry(&mut self) -> Instant {
        let pause = self.backoff;
        self.backoff = (pause * 2).min(BACKOFF.1);
        let half = u64::try_from(pause.as_micros() / 2).unwrap_or(u64::MAX);
        Instant::now() + Duration::from_micros(half + self.random.between(0, half))
    }

    fn expect_session(&self, session: Uuid) -> Result<(), Violation> {
        if self.session == Some(session) {
            return Ok(());
        }
        Err(self.violation(&format!("something about another session: {session}")))
    }

    fn violation(&self, what: &str) -> Violation {
        let state = match self.link {
            Link::Down { .. } => "down",
            Link::Idle { .. } => "not attached",
            Link::Joining { .. } => "attaching",
            Link::Joined { .. } => "attached",
        };
        Violation(format!(
            "{what} [{state}, session {:?}, received {}, acked {}, unacknowledged inputs {:?}, {:?}]",
            self.session,
            self.received,
            self.acked,
            self.inputs.span(),
            self.counts,
        ))
    }
}
