//! One WebSocket: messages out, events in, both at once, so that neither side can wait for the other for ever. Must not
//! know what the events are for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::{Sink as _, Stream as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};
use uuid::Uuid;

use super::event::{self, Event, Reason, Violation};
use super::frame::{self, ServerFrame};
use super::inflate::Inflate;
use super::opening::{Framing, OpenError, Opening};

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<TcpStream>,
    framing: Framing,
    /// The server's compressed stream.
    inflate: Inflate,
    /// Events of a message that held several.
    ready: VecDeque<Event>,
    binary_bytes: u64,
    text_bytes: u64,
    sent_bytes: u64,
    /// Messages that the connection has not taken yet.
    outgoing: VecDeque<Message>,
    unflushed: bool,
    /// The session behind each open channel.
    channels: BTreeMap<u16, Uuid>,
    /// Every channel of this socket's life: none is used twice (section 9).
    used_channels: BTreeSet<u16>,
    over: bool,
    /// Events read while another was waited for (see `talk`).
    pub(super) inbox: VecDeque<Event>,
    pub(super) requests: u64,
}

impl Socket {
    /// Opens a socket.
    pub async fn open(opening: &Opening) -> Result<Self, OpenError> {
        let (stream, framing) = opening.open().await?;
        Ok(Self {
            stream,
            framing,
            inflate: Inflate::default(),
            ready: VecDeque::new(),
            binary_bytes: 0,
            text_bytes: 0,
            sent_bytes: 0,
            outgoing: VecDeque::new(),
            unflushed: false,
            channels: BTreeMap::new(),
            used_channels: BTreeSet::new(),
            over: false,
            inbox: VecDeque::new(),
            requests: 0,
        })
    }

    /// The bare connection. What was read from it and not looked at yet is lost.
    pub(super) fn into_stream(self) -> std::io::Result<std::net::TcpStream> {
        self.stream.into_inner().into_std()
    }

    /// How terminal bytes travel.
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// Bytes of binary messages read so far, WebSocket headers included (RFC 6455 section 5.2).
    pub const fn binary_bytes(&self) -> u64 {
        self.binary_bytes
    }

    /// Bytes of all messages read so far, counted the same way.
    pub const fn received_bytes(&self) -> u64 {
        self.binary_bytes + self.text_bytes
    }

    /// Bytes of binary messages queued so far, counted the same way, with the key that masks each.
    pub const fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The channel of a session that is attached here, in binary mode.
    pub fn channel(&self, session: Uuid) -> Option<u16> {
        self.channels.iter().find(|(_, attached)| **attached == session).map(|(channel, _)| *channel)
    }

    /// Queues a text message, which need not be a good one.
    pub fn send_text(&mut self, text: impl Into<String>) {
        self.outgoing.push_back(Message::text(text.into()));
    }

    /// Queues a JSON message.
    pub fn send(&mut self, message: &Value) {
        self.send_text(message.to_string());
    }

    /// Queues a binary message, which need not be a good one.
    pub fn send_binary(&mut self, bytes: Bytes) {
        self.sent_bytes += on_wire(bytes.len()) + 4;
        self.outgoing.push_back(Message::Binary(bytes));
    }

    /// Queues typed bytes in the socket's framing; in JSON mode they must be UTF-8.
    pub fn send_input(&mut self, session: Uuid, seq: Option<u64>, bytes: &[u8]) {
        match self.channel(session) {
            Some(channel) => self.send_binary(frame::input(channel, seq.unwrap_or(0), bytes)),
            None => {
                let text = str::from_utf8(bytes).expect("UTF-8 in JSON mode");
                let mut message = json!({"type": "input", "session_id": session, "data": text});
                if let Some(seq) = seq {
                    message["seq"] = seq.into();
                }
                self.send(&message);
            }
        }
    }

    /// Queues an ack in the socket's framing.
    pub fn send_ack(&mut self, session: Uuid, offset: u64) {
        match self.channel(session) {
            Some(channel) => self.send_binary(frame::ack(channel, offset)),
            None => self.send(&json!({"type": "ack", "session_id": session, "data": {"offset": offset}})),
        }
    }

    /// Queues a close frame.
    pub fn send_close(&mut self) {
        self.outgoing.push_back(Message::Close(None));
    }

    /// Queues a close frame with a code, which need not be a good one.
    pub fn send_close_with(&mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: "over".into() };
        self.outgoing.push_back(Message::Close(Some(frame)));
    }

    /// The next event. Cancel-safe. After `Closed` it must not be called again.
    pub async fn next(&mut self) -> Result<Event, Violation> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next event, from the inbox or from the connection; panics where the protocol is broken. Cancel-safe.
    pub async fn next_event(&mut self) -> Event {
        match self.inbox.pop_front() {
            Some(event) => event,
            None => self.next().await.unwrap_or_else(|violation| panic!("{violation}")),
        }
    }

    /// Waits until everything queued is with the kernel; what is read meanwhile waits in the inbox.
    pub async fn flush(&mut self) -> Result<(), Violation> {
        poll_fn(|context| {
            loop {
                if self.over || self.poll_write(context)?.is_ready() {
                    return Poll::Ready(Ok(()));
                }
                match self.poll_read(context) {
                    Poll::Ready(event) => {
                        let event = event?;
                        self.inbox.push_back(event);
                    }
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// Messages queued and not yet with the kernel.
    pub fn queued(&self) -> usize {
        self.outgoing.len()
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Violation>> {
        if let Poll::Ready(Err(violation)) = self.poll_write(context) {
            return Poll::Ready(Err(violation));
        }
        self.poll_read(context)
    }

    /// Ready once nothing is left to write. A connection that does not take any more is for `poll_read` to notice.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Violation>> {
        let mut stream = Pin::new(&mut self.stream);
        while !self.outgoing.is_empty() {
            match stream.as_mut().poll_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => break,
                Poll::Ready(Ok(())) => {}
            }
            let Some(message) = self.outgoing.pop_front() else { break };
            self.unflushed = true;
            if stream.as_mut().start_send(message).is_err() {
                break;
            }
        }
        if self.unflushed {
            match stream.poll_flush(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(_) => self.unflushed = false,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<Event, Violation>> {
        assert!(!self.over, "read after the end of the connection");
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Poll::Ready(Ok(event));
            }
            let message = match Pin::new(&mut self.stream).poll_next(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(message) => message,
            };
            let event = match message {
                Some(Ok(Message::Binary(bytes))) => match self.binary(bytes) {
                    Ok(()) => continue,
                    Err(violation) => Err(violation),
                },
                Some(Ok(Message::Text(text))) => {
                    self.text_bytes += on_wire(text.len());
                    event::parse(&text).and_then(|event| self.text(event))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(close))) => Ok(self.closed(close)),
                Some(Err(tungstenite::Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                )))
                | Some(Err(tungstenite::Error::Io(_) | tungstenite::Error::ConnectionClosed))
                | None => Ok(self.closed(None)),
                Some(Err(err)) => Err(Violation(format!("the server broke WebSocket: {err}"))),
            };
            return Poll::Ready(event);
        }
    }

    fn closed(&mut self, close: Option<CloseFrame>) -> Event {
        self.over = true;
        let (code, reason) =
            close.map_or((None, String::new()), |close| (Some(close.code.into()), close.reason.to_string()));
        Event::Closed { code, reason }
    }

    fn binary(&mut self, bytes: Bytes) -> Result<(), Violation> {
        self.binary_bytes += on_wire(bytes.len());
        let frames = match self.framing {
            Framing::Json => return Err(Violation("a binary frame in JSON mode".to_owned())),
            Framing::Binary => vec![bytes],
            Framing::Deflate | Framing::DeflateOrBinary => self.inflate.message(&bytes)?,
        };
        for frame in frames {
            let event = self.frame(frame)?;
            self.ready.push_back(event);
        }
        Ok(())
    }

    fn frame(&self, bytes: Bytes) -> Result<Event, Violation> {
        let head = bytes.slice(..bytes.len().min(16));
        let frame = frame::parse(bytes).ok_or_else(|| Violation(format!("a malformed frame: {head:?}")))?;
        let session = |channel: u16| {
            let session = self.channels.get(&channel).copied();
            session.ok_or_else(|| {
                Violation(format!("a frame on channel {channel}, which is not attached: {head:?}"))
            })
        };
        Ok(match frame {
            ServerFrame::Output { channel, offset, bytes } => {
                Event::Output { session: session(channel)?, offset, end: offset + bytes.len() as u64, bytes }
            }
            ServerFrame::Snapshot { channel, offset, cols, rows, reason, more, bytes } => {
                let reason = Reason::from_number(reason).expect("checked by the parser");
                Event::Snapshot { session: session(channel)?, offset, cols, rows, reason, more, bytes }
            }
            ServerFrame::InputAck { channel, seq } => Event::InputAck { session: session(channel)?, seq },
        })
    }

    fn text(&mut self, event: Event) -> Result<Event, Violation> {
        match (&event, self.framing) {
            (_, Framing::Json) => {}
            (Event::Output { .. } | Event::Snapshot { .. } | Event::InputAck { .. }, _) => {
                return Err(Violation(format!("terminal bytes as text in binary mode: {event:?}")));
            }
            (Event::Message(message), _) => match message.status() {
                Some("connected") => {
                    let session = message
                        .session
                        .ok_or_else(|| Violation("connected without session_id".to_owned()))?;
                    let channel =
                        message.data()["channel"].as_u64().and_then(|number| u16::try_from(number).ok());
                    let channel = channel
                        .ok_or_else(|| Violation(format!("connected without channel: {}", message.body)))?;
                    if !self.used_channels.insert(channel) {
                        return Err(Violation(format!("channel {channel} was used before on this socket")));
                    }
                    self.channels.retain(|_, attached| *attached != session);
                    self.channels.insert(channel, session);
                    // The first frame after an attach follows a full flush: nothing before it is needed.
                    self.inflate = Inflate::default();
                }
                Some("detached" | "exited" | "interrupted" | "lost") => {
                    self.channels.retain(|_, attached| Some(*attached) != message.session);
                }
                _ => {}
            },
            _ => {}
        }
        Ok(event)
    }
}

/// Bytes that an unmasked message of so many bytes takes with its header (RFC 6455 section 5.2).
const fn on_wire(payload: usize) -> u64 {
    let header = match payload {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    };
    (header + payload) as u64
}
