//! Making, attaching, leaving and ending sessions for a client: what needs the link's requests.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use devpocket_shared::ids::{NodeId, Offset, Seq, SessionId};
use devpocket_shared::wire::stream::StreamError;
use devpocket_shared::wire::{
    self, Answer, AttachMode, Create, Delivery, ErrorCode, FrameKind, Request, ToApi, ToPtyd,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::super::message::Connect;
use super::super::outbound::{Feed, Out};
use super::super::{Channel, Names, Terminal, reply};
use super::openings::{Opened, Outcome, Subject};
use super::{Attached, End, Inbound, Tags};
use crate::domain::limits::Class;
use crate::domain::session::Session;
use crate::domain::sessions::{Caller, SessionError};
use crate::link::{Link, LinkError, LinkStream};

/// Sessions one socket carries (PROTOCOL section 1).
const MAX_SESSIONS: usize = 64;
/// How long the end of a session is waited for: HUP, five seconds, KILL, and some.
const TERMINATE: Duration = Duration::from_secs(12);

impl Inbound<'_> {
    /// Makes a session and attaches to it.
    pub(super) async fn connect(&mut self, connect: Connect, request_id: Option<String>) -> Result<(), End> {
        if connect.ssh {
            let message = "SSH sessions are not offered by this release";
            let error = reply::error(None, ErrorCode::InvalidField, message, Value::Null);
            return self.complain(error.answering(request_id)).await;
        }
        if !self.terminal.gate.may_open_local(&self.identity) {
            let message = reply::NO_LOCAL_SESSIONS;
            let error = reply::error(None, ErrorCode::LocalSessionsUnavailable, message, Value::Null);
            return self.complain(error.answering(request_id)).await;
        }
        let key = connect.key(request_id.as_deref());
        let subject = match &key {
            Some(key) => Subject::Key(key.clone()),
            None => self.openings.unnamed(),
        };
        let create = Create {
            owner: self.identity.user_id,
            session_id: SessionId::new(Uuid::now_v7()),
            key,
            spec: connect.spec,
            attach: Some(connect.attach),
        };
        self.open(Request::Create(create), subject, request_id).await
    }

    /// Attaches to a session that exists.
    pub(super) async fn attach(
        &mut self,
        session_id: SessionId,
        attach: wire::Attach,
        request_id: Option<String>,
    ) -> Result<(), End> {
        let request = Request::Attach { owner: self.identity.user_id, session_id, attach };
        self.open(request, Subject::Session(session_id), request_id).await
    }

    /// Leaves a session on purpose; it lives on.
    pub(super) async fn detach(
        &mut self,
        session_id: SessionId,
        request_id: Option<String>,
    ) -> Result<(), End> {
        if let Some(mut attached) = self.attached.remove(&session_id) {
            self.by_channel.remove(&attached.names.channel);
            // First, so that the feed's end is no interruption.
            self.out(Out::Left(attached.names.channel)).await?;
            // If that fails the node is restarting, and the client is gone from it anyway.
            drop(attached.writer.send(&ToPtyd::Detach).await);
        }
        let status = reply::status("detached", Some(session_id), "the session lives on", None);
        Ok(self.reply(status.answering(request_id)).await?)
    }

    /// Ends a session that is not attached here, and tells when it has ended.
    pub(super) async fn terminate_elsewhere(
        &mut self,
        session_id: SessionId,
        request_id: Option<String>,
    ) -> Result<(), End> {
        let Ok(ending_permit) = Arc::clone(&self.endings).try_acquire_owned() else {
            let message = "too many sessions are being ended at once";
            let error = reply::error(Some(session_id), ErrorCode::RateLimited, message, Value::Null);
            // Who tidies up does nothing bad: this counts towards no close.
            return Ok(self.reply(error.answering(request_id)).await?);
        };
        let (terminal, owner) = (Arc::clone(self.terminal), self.identity.user_id);
        let (to_client, link_id) = (self.to_client.clone(), self.request_id.clone());
        self.terminal.tasks.spawn(async move {
            let ending = end_session(&terminal, &link_id, owner, session_id);
            let reply = match timeout(TERMINATE, ending).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) | Err(_) => unavailable(Some(session_id)),
            };
            // A client that left needs no answer.
            drop(to_client.send(Out::Reply(reply.answering(request_id).into_text(), None)).await);
            drop(ending_permit);
        });
        Ok(())
    }

    /// Begins to make or attach a session. The socket goes on meanwhile: a node that is slow holds up nothing else.
    async fn open(
        &mut self,
        request: Request,
        subject: Subject,
        request_id: Option<String>,
    ) -> Result<(), End> {
        let session_id = subject.session();
        let replaces = session_id.is_some_and(|id| self.attached.contains_key(&id));
        self.attached.retain(|_, attached| !attached.over.load(std::sync::atomic::Ordering::Acquire));
        let attached = &self.attached;
        self.by_channel.retain(|_, id| attached.contains_key(id));
        let under_way = self.openings.len();
        let channels = usize::from(u16::MAX - self.last_channel) > under_way;
        if !channels || (!replaces && self.attached.len() + under_way >= MAX_SESSIONS) {
            let message = format!("a socket carries {MAX_SESSIONS} sessions; open another");
            let error = reply::error(session_id, ErrorCode::RateLimited, &message, Value::Null);
            return self.complain(error.answering(request_id)).await;
        }
        let class = if session_id.is_some() { Class::Connect } else { Class::General };
        if let Some(wait) = self.terminal.gate.admit(&self.identity, class).await {
            let message = format!("too many requests; wait {} s", wait.as_secs() + 1);
            let error = reply::error(session_id, ErrorCode::RateLimited, &message, Value::Null);
            return self.complain(error.answering(request_id)).await;
        }
        self.note_replaced(session_id, true);
        let (terminal, link_id) = (Arc::clone(self.terminal), self.request_id.clone());
        self.openings.begin(
            subject,
            request_id,
            async move { open_at_node(&terminal, &link_id, &request).await },
        );
        Ok(())
    }

    /// An opening was answered.
    pub(super) async fn opened(&mut self, opened: Opened) -> Result<(), End> {
        let Opened { subject, request_id, outcome } = opened;
        let session_id = subject.session();
        if !matches!(outcome, Outcome::Answered(Answer::Attached(_) | Answer::AttachedWaiting { .. }, _)) {
            self.note_replaced(session_id, false);
        }
        let (answer, stream) = match outcome {
            Outcome::Answered(answer, stream) => (answer, stream),
            Outcome::Gone(session) => return Ok(self.reply(gone(&session).answering(request_id)).await?),
            Outcome::Unreachable(err) => return self.unreachable(&err, session_id, request_id).await,
        };
        match answer {
            Answer::Attached(attached) => {
                let taken = attached.input_seq;
                self.attached_now(&attached, taken, stream, request_id).await
            }
            Answer::AttachedWaiting { attached, input_queued } => {
                self.attached_now(&attached, Some(input_queued), stream, request_id).await
            }
            Answer::Failed(failure) => {
                self.complain(reply::failure(session_id, &failure).answering(request_id)).await
            }
            Answer::Created { .. }
            | Answer::Sessions(_)
            | Answer::Node(_)
            | Answer::Done
            | Answer::Screen { .. }
            | Answer::History { .. }
            | Answer::Details(_)
            | Answer::Roll { .. }
            | Answer::DetailsCounted(_)
            | Answer::Commands { .. }
            | Answer::CommandStarted { .. }
            | Answer::CommandResult(_) => {
                let error = reply::error(
                    session_id,
                    ErrorCode::Internal,
                    "the node answered out of turn",
                    Value::Null,
                );
                self.complain(error.answering(request_id)).await
            }
        }
    }

    fn note_replaced(&self, session_id: Option<SessionId>, replaced: bool) {
        if let Some(attached) = session_id.and_then(|id| self.attached.get(&id)) {
            attached.replaced.store(replaced, std::sync::atomic::Ordering::Release);
        }
    }

    async fn attached_now(
        &mut self,
        answer: &wire::Attached,
        input_queued: Option<Seq>,
        stream: LinkStream,
        request_id: Option<String>,
    ) -> Result<(), End> {
        // There is one: openings are counted when they begin.
        self.last_channel = self.last_channel.saturating_add(1);
        let channel = Channel(self.last_channel);
        let LinkStream { reader, writer, presence, node_id: _ } = stream;
        let names = Names { session_id: answer.session_id, channel };
        let over = Arc::new(AtomicBool::new(false));
        let (replaced, tags) = (Arc::new(AtomicBool::new(false)), Tags::default());
        let feed = Feed {
            names,
            reader,
            over: Arc::clone(&over),
            replaced: Arc::clone(&replaced),
            tags: tags.clone(),
            presence,
        };
        let attached = Attached { names, writer, over, replaced, tags };
        if let Some(before) = self.attached.insert(answer.session_id, attached) {
            self.by_channel.remove(&before.names.channel);
            self.out(Out::Left(before.names.channel)).await?;
        }
        self.by_channel.insert(channel, answer.session_id);
        let reply = reply::connected(answer, input_queued, channel).answering(request_id);
        self.out(Out::Attached { reply, feed: Box::new(feed) }).await
    }

    async fn unreachable(
        &mut self,
        err: &LinkError,
        session_id: Option<SessionId>,
        request_id: Option<String>,
    ) -> Result<(), End> {
        tracing::warn!(err = %crate::chain(err), "a node could not be reached for a client");
        self.complain(unavailable(session_id).answering(request_id)).await
    }

    async fn out(&self, out: Out) -> Result<(), End> {
        self.to_client.send(out).await.map_err(|_: mpsc::error::SendError<Out>| End::Left)
    }
}

/// Opens a session; one that is not where it was is looked up in the books, so that its client need not try for ever.
async fn open_at_node(terminal: &Terminal, link_id: &str, request: &Request) -> Outcome {
    let answered = request_attached(terminal, link_id, request).await;
    if let Request::Attach { owner, session_id, .. } = request {
        let caller = Caller { owner: *owner, request_id: link_id };
        match fate(terminal, caller, *session_id, &answered).await {
            Ok(Some(session)) => return Outcome::Gone(Box::new(session)),
            Ok(None) => {}
            Err(err) => return Outcome::Unreachable(err),
        }
    }
    match answered {
        Ok((answer, stream)) => Outcome::Answered(answer, stream),
        Err(err) => Outcome::Unreachable(err),
    }
}

/// What the books know of a session that is not where it was; none: the node's answer stands. An error: its node is another
/// than the one that answered.
async fn fate(
    terminal: &Terminal,
    caller: Caller<'_>,
    session_id: SessionId,
    answered: &Result<(Answer, LinkStream), LinkError>,
) -> Result<Option<Session>, LinkError> {
    let fate = match answered {
        Ok((Answer::Failed(failure), _)) if failure.code == ErrorCode::SessionNotFound => {
            terminal.sessions.fate(caller, session_id).await
        }
        Err(err) if err.is_absence() => terminal.sessions.fate_without_node(caller, session_id).await,
        Ok(_) | Err(_) => Ok(None),
    };
    match fate {
        Ok(fate) => Ok(fate),
        Err(SessionError::Elsewhere) => Err(LinkError::Away),
        // The client hears what the node said, and may ask again.
        Err(err) => {
            tracing::debug!(err = %crate::chain(&err), "the books do not tell what became of a session");
            Ok(None)
        }
    }
}

/// What is said of a session that is over and that no node holds.
fn gone(session: &Session) -> reply::Reply {
    if let Some(exit) = &session.exit {
        return reply::exited(session.id, Offset(session.bytes_out), exit, session.reason);
    }
    let message = "the session is gone, and with it what was on its screen: its node stopped";
    reply::status("lost", Some(session.id), message, None)
}

/// Sends a request that ends in an attachment, or in a failure.
async fn request_attached(
    terminal: &Terminal,
    link_id: &str,
    request: &Request,
) -> Result<(Answer, LinkStream), LinkError> {
    let (answer, mut stream) = terminal.link.request(link_id, request).await?;
    if let Answer::Created { session_id, existing } = answer {
        if let Request::Create(create) = request
            && !existing
        {
            enter_made(terminal, create, session_id, stream.node_id);
        }
        let answer = Link::next_answer(&mut stream).await?;
        return Ok((answer, stream));
    }
    Ok((answer, stream))
}

/// Has a session entered into the books; its client does not wait for that.
fn enter_made(terminal: &Terminal, create: &Create, session_id: SessionId, node: Option<NodeId>) {
    let (sessions, owner) = (Arc::clone(&terminal.sessions), create.owner);
    let spec = create.spec.clone();
    terminal.tasks.spawn(async move { sessions.note_made(owner, session_id, &spec, node).await });
}

fn unavailable(session_id: Option<SessionId>) -> reply::Reply {
    let message = "the session's node cannot be reached now; try again";
    reply::error(session_id, ErrorCode::NodeUnavailable, message, Value::Null)
}

/// Asks for a session's end and waits for it, as a client that watches would see it.
async fn end_session(
    terminal: &Terminal,
    link_id: &str,
    owner: devpocket_shared::ids::UserId,
    session_id: SessionId,
) -> Result<reply::Reply, LinkError> {
    let terminate = Request::Terminate { owner, session_id };
    let (link, caller) = (&terminal.link, Caller { owner, request_id: link_id });
    let answered = link.request(link_id, &terminate).await;
    if let Some(session) = fate(terminal, caller, session_id, &answered).await? {
        return Ok(gone(&session));
    }
    if let (Answer::Failed(failure), _) = answered? {
        return Ok(reply::failure(Some(session_id), &failure));
    }
    let attach = wire::Attach {
        client_id: None,
        offset: None,
        size: None,
        mode: AttachMode::View,
        delivery: Delivery::Realtime,
        window: None,
        scrollback: 0,
    };
    let watch = Request::Attach { owner, session_id, attach };
    let (answer, mut stream) = link.request(link_id, &watch).await?;
    if let Answer::Failed(failure) = answer {
        return Ok(reply::failure(Some(session_id), &failure));
    }
    while let Some(frame) = stream.reader.next().await? {
        if frame.kind == FrameKind::Control
            && let ToApi::Ended { offset, exit, reason } = frame.control().map_err(StreamError::from)?
        {
            return Ok(reply::exited(session_id, offset, &exit, reason));
        }
    }
    Err(LinkError::Closed)
}
