//! Reads one client's socket: parses what it says, attaches sessions, passes input on. Everything it has to say goes
//! through the outbound side, so that a client that does not read delays nothing here but its own replies.

mod attach;
mod openings;
mod tags;

use std::collections::{BTreeMap, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use devpocket_shared::ids::{Offset, Seq, SessionId};
use devpocket_shared::wire::stream::FrameWriter;
use devpocket_shared::wire::{Delivery, ErrorCode, ToPtyd, frame};
use futures_util::StreamExt;
use futures_util::stream::SplitStream;
use serde_json::Value;
use time::OffsetDateTime;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::{self, Message};

use openings::{Opened, Openings, Subject, Waiting};
pub(super) use tags::Tags;

use super::message::{self, Body, ClientMessage};
use super::outbound::{Out, code};
use super::socket::{Contact, Socket};
use super::upgrade::MAX_MESSAGE_BYTES;
use super::{Channel, Credential, Encoding, Names, Terminal, reply};
use crate::counts::{self, ClosedBy};
use crate::domain::accounts::FRESH;
use crate::domain::identity::Identity;

/// A peer that says nothing and takes nothing for this long is dropped (PROTOCOL section 1). One that is sent much over a slow
/// network answers a ping only once it has all that was sent before.
const SILENCE: Duration = Duration::from_secs(45);
/// How often a socket asks whether its device is still signed in.
const RECHECK: Duration = Duration::from_millis(200);
// What is promised of a device that was signed out somewhere, less what a query takes.
const _: () = assert!(FRESH.as_millis() + RECHECK.as_millis() <= 900, "a second is promised");
/// How long before its token's end a client is told.
const EXPIRY_NOTICE: Duration = Duration::from_secs(120);
/// How often the clock is looked at for that, at least.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(10);
/// Messages that were not taken, within [`FLOOD_SPAN`], that end a socket.
const FLOOD: u32 = 200;
const FLOOD_SPAN: Duration = Duration::from_secs(10);
/// How long what a client is still sending is read after its close, so that the close code reaches it.
const DRAIN: Duration = Duration::from_secs(2);

/// Bytes of replies that may wait for a client's socket.
const MAX_WAITING_BYTES: u32 = 256 << 10;

/// Sessions not attached here that a client may be ending at once.
const MAX_ENDINGS: usize = 16;
/// How long the close of a socket may wait for room among what is still to be written.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Nobody writes to the client any more.
struct Gone;

/// Why a socket's loop ends.
enum End {
    /// The client left, or is silent, or cannot be written to.
    Left,
    /// The socket is closed with this code.
    Close(u16, &'static str),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Left
    }
}

/// What a socket's loop has to see to.
enum Event {
    Said(Message),
    Opened(Box<Opened>, VecDeque<Waiting>),
    /// The client's token ends soon.
    Expires,
}

struct Inbound<'a> {
    terminal: &'a Arc<Terminal>,
    identity: Identity,
    encoding: Encoding,
    to_client: mpsc::Sender<Out>,
    /// A permit for each byte of replies that may wait.
    room: Arc<Semaphore>,
    /// A permit for each session that may be ended from afar at once.
    endings: Arc<Semaphore>,
    attached: BTreeMap<SessionId, Attached>,
    by_channel: BTreeMap<Channel, SessionId>,
    openings: Openings,
    last_channel: u16,
    request_id: String,
    complaints: u32,
    complaints_since: Instant,
    /// The code of the client's own close.
    said_goodbye: Option<u16>,
    contact: Contact,
}

/// A session attached on this socket.
struct Attached {
    names: Names,
    writer: FrameWriter,
    /// Nothing more comes from it: it ended or was interrupted.
    over: Arc<AtomicBool>,
    /// The same session is being attached again on this socket.
    replaced: Arc<AtomicBool>,
    tags: Tags,
}

/// Serves a client until it leaves or has to.
pub(super) async fn run(
    terminal: &Arc<Terminal>,
    identity: Identity,
    encoding: Encoding,
    mut stream: SplitStream<Socket>,
    contact: Contact,
    to_client: mpsc::Sender<Out>,
) {
    let mut inbound = Inbound {
        terminal,
        identity,
        encoding,
        to_client,
        room: Arc::new(Semaphore::new(MAX_WAITING_BYTES as usize)),
        endings: Arc::new(Semaphore::new(MAX_ENDINGS)),
        attached: BTreeMap::new(),
        by_channel: BTreeMap::new(),
        openings: Openings::default(),
        last_channel: 0,
        request_id: uuid::Uuid::new_v4().simple().to_string(),
        complaints: 0,
        complaints_since: Instant::now(),
        said_goodbye: None,
        contact,
    };
    let end = inbound.serve(&mut stream).await;
    counts::socket_closed(match &end {
        Err(End::Close(code, _)) => ClosedBy::Server(*code),
        Ok(()) | Err(End::Left) => ClosedBy::Client(inbound.said_goodbye),
    });
    if let Err(End::Close(code, reason)) = end {
        drop(timeout(CLOSE_WAIT, inbound.to_client.send(Out::Close(code, reason))).await);
        drop(inbound);
        let draining = async { while let Some(Ok(_)) = stream.next().await {} };
        drop(timeout(DRAIN, draining).await);
    }
}

/// The close that fits a broken rule of WebSocket itself (RFC 6455 section 7.4.1).
const fn violation(err: &tungstenite::Error) -> End {
    if matches!(err, tungstenite::Error::Capacity(_)) {
        return End::Close(code::TOO_BIG, "message_too_big");
    }
    if matches!(err, tungstenite::Error::Utf8(_)) {
        return End::Close(code::NOT_UTF8, "invalid_utf8");
    }
    // Gone without a word.
    if matches!(err, tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) {
        return End::Left;
    }
    if matches!(err, tungstenite::Error::Protocol(_)) {
        return End::Close(code::PROTOCOL, "protocol_error");
    }
    End::Left
}

/// Completes when a socket has to end whatever it is doing: its device is signed out, the key that vouched for it was dropped,
/// or the api goes away. Beside what the
/// socket does, so that a database that takes its time to answer delays no key.
async fn ended(terminal: Arc<Terminal>, identity: Identity) -> End {
    loop {
        tokio::select! {
            () = sleep(RECHECK) => {}
            () = terminal.stop.cancelled() => return End::Close(code::GOING_AWAY, "server_going_away"),
        }
        let expired = identity.expires_at <= OffsetDateTime::now_utc();
        if expired || !terminal.gate.still_signed_in(&identity).await {
            return End::Close(code::TOKEN, "token_expired_or_revoked");
        }
    }
}

/// Completes when a client is to be told that its token ends soon. By the wall clock, which may be set anew meanwhile.
async fn expiring(identity: Identity) {
    loop {
        let left = identity.expires_at - EXPIRY_NOTICE - OffsetDateTime::now_utc();
        // What is negative is none.
        let Ok(left) = Duration::try_from(left) else { return };
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK_AT_CLOCK)).await;
    }
}

/// Completes when a client has sent nothing, and taken nothing that waited for it, for too long.
async fn silence(contact: Contact) {
    loop {
        let until = contact.last() + SILENCE;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}

/// Which opening a message has to wait for, should it run.
fn subject(message: &ClientMessage) -> Option<Subject> {
    match (&message.body, message.session_id) {
        (Body::Ping(_) | Body::Auth { .. }, _) => None,
        (_, Some(session_id)) => Some(Subject::Session(session_id)),
        (Body::Connect(connect), None) => connect.key(message.request_id.as_deref()).map(Subject::Key),
        (_, None) => None,
    }
}

impl Inbound<'_> {
    async fn serve(&mut self, stream: &mut SplitStream<Socket>) -> Result<(), End> {
        let mut known = self.identity;
        let mut expiry_told = false;
        // Made once, since each timer that is made anew for a key delays it.
        let mut watch = pin!(ended(Arc::clone(self.terminal), known));
        let mut notice = pin!(expiring(known));
        let mut silent = pin!(silence(self.contact.clone()));
        loop {
            if known != self.identity {
                known = self.identity;
                expiry_told = false;
                watch.set(ended(Arc::clone(self.terminal), known));
                notice.set(expiring(known));
            }
            let event = tokio::select! {
                message = stream.next() => {
                    match message {
                        Some(Ok(message)) => Event::Said(message),
                        Some(Err(err)) => return Err(violation(&err)),
                        None => return Err(End::Left),
                    }
                }
                (opened, waiting) = self.openings.next() => Event::Opened(Box::new(opened), waiting),
                () = &mut silent => return Err(End::Left),
                () = &mut notice, if !expiry_told => {
                    expiry_told = true;
                    Event::Expires
                }
                end = &mut watch => return Err(end),
            };
            tokio::select! {
                biased;
                // A message may wait for a client that does not read: a device signed out meanwhile does not.
                handled = self.handle(event) => handled?,
                end = &mut watch => return Err(end),
                () = &mut silent => return Err(End::Left),
            }
        }
    }

    async fn tell_expiry(&self) -> Result<(), End> {
        let message = "send auth with a fresh token soon";
        Ok(self.reply(reply::status("token_expiring", None, message, None)).await?)
    }

    async fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Said(message) => self.handle_message(message).await,
            Event::Opened(opened, waiting) => self.handle_opened(*opened, waiting).await,
            Event::Expires => self.tell_expiry().await,
        }
    }

    /// An opening was answered: what was said about its session meanwhile has its turn.
    async fn handle_opened(&mut self, opened: Opened, mut waiting: VecDeque<Waiting>) -> Result<(), End> {
        let subject = opened.subject.clone();
        self.opened(opened).await?;
        while let Some((message, _)) = waiting.pop_front() {
            self.take(message).await?;
            if self.openings.holds(&subject) {
                // It was another attach: the rest waits again.
                for (message, bytes) in waiting.drain(..) {
                    self.openings.defer(&subject, message, bytes);
                }
            }
        }
        Ok(())
    }

    async fn handle_message(&mut self, message: Message) -> Result<(), End> {
        match message {
            Message::Text(text) => {
                if text.len() > MAX_MESSAGE_BYTES {
                    return Err(End::Close(code::TOO_BIG, "message_too_big"));
                }
                self.handle_text(text.as_str()).await
            }
            Message::Binary(bytes) => {
                if bytes.len() > MAX_MESSAGE_BYTES {
                    return Err(End::Close(code::TOO_BIG, "message_too_big"));
                }
                self.handle_binary(bytes).await
            }
            // The library answers pings and closes; it goes on being read until there is nothing more.
            Message::Close(close) => {
                // 1005 is what RFC 6455 section 7.1.5 calls a close without a code.
                self.said_goodbye = Some(close.map_or(1005, |close| close.code.into()));
                Ok(())
            }
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(()),
        }
    }

    async fn handle_text(&mut self, text: &str) -> Result<(), End> {
        let default = match self.encoding {
            Encoding::Json => Delivery::Lossless,
            Encoding::Binary => Delivery::Realtime,
        };
        let message = match message::parse(text, default) {
            Ok(message) => message,
            Err(complaint) => return self.complain(reply::complaint(complaint)).await,
        };
        let Some(subject) = subject(&message) else { return self.take(message).await };
        while self.openings.holds(&subject) {
            if self.openings.has_room(text.len()) {
                self.openings.defer(&subject, message, text.len());
                return Ok(());
            }
            // Too much waits already: now the whole socket does.
            let (opened, waiting) = self.openings.next().await;
            Box::pin(self.handle_opened(opened, waiting)).await?;
        }
        self.take(message).await
    }

    /// Does what a message asks for.
    async fn take(&mut self, message: ClientMessage) -> Result<(), End> {
        let ClientMessage { session_id, request_id, body } = message;
        match (body, session_id) {
            (Body::Ping(data), _) => {
                Ok(self.reply(reply::pong(session_id, data).answering(request_id)).await?)
            }
            (Body::Auth { token }, _) => self.renew(&token.0).await,
            (Body::Connect(connect), Some(session_id)) => {
                self.attach(session_id, connect.attach, request_id).await
            }
            (Body::Connect(connect), None) => self.connect(connect, request_id).await,
            (Body::Attach(attach), Some(session_id)) => self.attach(session_id, attach, request_id).await,
            (Body::Terminate, Some(session_id)) if !self.is_attached(session_id) => {
                self.terminate_elsewhere(session_id, request_id).await
            }
            (body, Some(session_id)) if self.is_attached(session_id) => {
                self.handle_attached(session_id, body, request_id).await
            }
            (
                Body::Ack(_) | Body::Input { seq: Some(_), .. } | Body::Paste { seq: Some(_), .. },
                Some(session_id),
            ) if self.attached.contains_key(&session_id) => {
                // On its way when the session was interrupted or ended: what is numbered is sent again after an attach.
                Ok(())
            }
            (_, session_id) => self.complain(reply::not_attached(session_id).answering(request_id)).await,
        }
    }

    /// A message about a session that is attached on this socket.
    async fn handle_attached(
        &mut self,
        session_id: SessionId,
        body: Body,
        request_id: Option<String>,
    ) -> Result<(), End> {
        let Some(attached) = self.attached.get_mut(&session_id) else { return Ok(()) };
        let tags = attached.tags.clone();
        let mut bytes = BytesMut::new();
        let control = match body {
            Body::Input { text, seq } => {
                frame::put_input(&mut bytes, tags.give(request_id), seq, text.0.as_bytes());
                None
            }
            Body::Paste { text, seq } => Some(ToPtyd::Paste { tag: tags.give(request_id), seq, text }),
            Body::Ack(offset) => Some(ToPtyd::Ack { offset }),
            Body::Resize { size, claim } => Some(ToPtyd::Resize { tag: tags.give(request_id), size, claim }),
            Body::Signal(signal) => Some(ToPtyd::Signal { tag: tags.give(request_id), signal }),
            Body::Key(byte) => Some(ToPtyd::Key { tag: tags.give(request_id), byte }),
            Body::Terminate => {
                tags.give_terminate(request_id.clone());
                Some(ToPtyd::Terminate { tag: tags.give(request_id) })
            }
            Body::History { before_line, lines } => {
                Some(ToPtyd::History { tag: tags.give(request_id), before_line, lines })
            }
            Body::Detach => return self.detach(session_id, request_id).await,
            Body::PromptReply => {
                let message = "no such prompt is open";
                let error = reply::error(Some(session_id), ErrorCode::PromptUnknown, message, Value::Null);
                return self.complain(error.answering(request_id)).await;
            }
            // Handled before: they need no attached session.
            Body::Connect(_) | Body::Attach(_) | Body::Auth { .. } | Body::Ping(_) => None,
        };
        if let Some(control) = control
            && frame::put_control(&mut bytes, &control).is_err()
        {
            let error = reply::error(
                Some(session_id),
                ErrorCode::InvalidField,
                "the message is too long",
                Value::Null,
            );
            return self.complain(error).await;
        }
        self.send(session_id, &bytes).await;
        Ok(())
    }

    async fn handle_binary(&mut self, mut bytes: Bytes) -> Result<(), End> {
        const INPUT: u8 = 0x03;
        const ACK: u8 = 0x04;
        const HEADER_BYTES: usize = 11;
        if self.encoding == Encoding::Json || bytes.len() < HEADER_BYTES {
            return self.complain_bad_frame("the frame is cut short, or binary was not agreed on").await;
        }
        let kind = bytes.get_u8();
        let channel = Channel(bytes.get_u16());
        let number = bytes.get_u64();
        if ![INPUT, ACK].contains(&kind) || (kind == ACK && !bytes.is_empty()) {
            return self.complain_bad_frame("the frame's kind is not known").await;
        }
        let named = self.by_channel.get(&channel).copied();
        let Some(session_id) = named.filter(|id| self.is_attached(*id)) else {
            let spent = (1..=self.last_channel).contains(&channel.0);
            if spent && (kind == ACK || number != 0) {
                // As for JSON clients, above.
                return Ok(());
            }
            if spent {
                // Typed across an interruption: lost and told, but no misbehaviour to be counted.
                return Ok(self.reply(reply::not_attached(named)).await?);
            }
            return self.complain(reply::not_attached(named)).await;
        };
        let mut out = BytesMut::new();
        if kind == INPUT {
            frame::put_input(&mut out, 0, (number != 0).then_some(Seq(number)), &bytes);
        } else if frame::put_control(&mut out, &ToPtyd::Ack { offset: Offset(number) }).is_err() {
            return Ok(());
        }
        self.send(session_id, &out).await;
        Ok(())
    }

    async fn renew(&mut self, token: &str) -> Result<(), End> {
        match self.terminal.gate.identify(Credential::Access(token)).await {
            Ok(fresh)
                if (fresh.user_id, fresh.device_id) == (self.identity.user_id, self.identity.device_id) =>
            {
                self.identity = fresh;
                Ok(())
            }
            Ok(_) | Err(_) => Err(End::Close(code::TOKEN, "token_not_accepted")),
        }
    }

    /// Sends encoded frames to a session. If that fails its feed fails too, and is the one to tell the client: before
    /// that nothing else about it is said.
    async fn send(&mut self, session_id: SessionId, bytes: &[u8]) {
        if let Some(attached) = self.attached.get_mut(&session_id) {
            drop(attached.writer.write_all(bytes).await);
        }
    }

    fn is_attached(&self, session_id: SessionId) -> bool {
        self.attached.get(&session_id).is_some_and(|attached| !attached.over.load(Ordering::Acquire))
    }

    /// Queues a reply, waiting while too many bytes of replies wait already: a client that asks and does not read waits
    /// for itself.
    async fn reply(&self, reply: reply::Reply) -> Result<(), Gone> {
        let text = reply.into_text();
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX).min(MAX_WAITING_BYTES);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Gone)?;
        self.to_client.send(Out::Reply(text, Some(room))).await.map_err(|_| Gone)
    }

    /// Says what was wrong with a message; a flood of such messages ends the socket.
    async fn complain(&mut self, error: reply::Reply) -> Result<(), End> {
        let now = Instant::now();
        if now.duration_since(self.complaints_since) > FLOOD_SPAN {
            (self.complaints, self.complaints_since) = (0, now);
        }
        self.complaints += 1;
        if self.complaints > FLOOD {
            return Err(End::Close(code::POLICY, "bad_message_flood"));
        }
        Ok(self.reply(error).await?)
    }

    async fn complain_bad_frame(&mut self, message: &str) -> Result<(), End> {
        self.complain(reply::error(None, ErrorCode::BadFrame, message, Value::Null)).await
    }
}
