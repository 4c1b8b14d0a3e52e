//! New sessions: over HTTP the books come first, so that names are unique and no session is unknown; over a socket the
//! session does, for its books may wait and a keystroke not.

use devpocket_shared::ids::{NodeId, SessionId, UserId};
use devpocket_shared::wire::{Answer, Create, Failure, Limits, Request, Spec};
use tracing::warn;

use super::reconcile::STARTING;
use super::{Caller, SessionError, Sessions, Shown, refused};
use crate::domain::session::{Session, Status};
use crate::link::{LinkError, OnceError};
use crate::store::Added;

/// A session to make.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// What to run, within its bounds.
    pub spec: Spec,
    /// What it is for.
    pub description: Option<String>,
    /// How long it may live, within their bounds.
    pub limits: Limits,
}

impl Sessions {
    /// Starts a session that nobody is attached to. One without a name is given one. An api that died half way may have
    /// begun with the same id: then it is gone on with, at the same node alone.
    pub async fn create(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        new: NewSession,
    ) -> Result<Shown, SessionError> {
        let NewSession { mut spec, description, limits } = new;
        spec.name.get_or_insert_with(|| made_name(id));
        let mut session = Session::new(id, caller.owner, &spec, limits, self.clock.now());
        session.description = description;
        // Before it is asked: another node must not make the same session a second time. Nor is anything entered, a name
        // above all, for a node that is away.
        session.node = self.node_to_ask(caller).await?;
        let mut is_first = true;
        if !self.add(&session).await? {
            let begun = self.booked(caller, id).await?.ok_or(SessionError::NameTaken)?;
            match begun.status {
                Status::Starting if begun.node.is_some() && begun.node != session.node => {
                    return Err(SessionError::Elsewhere);
                }
                Status::Starting => {
                    is_first = false;
                    self.store.note_asking(id, Some(self.clock.now() + STARTING)).await?;
                }
                // Its ptyd had no room, say; now it may have. Or nobody was told that it runs, and it does not.
                Status::Failed | Status::Lost if begun.started_at.is_none() => {
                    self.store.delete_session(caller.owner, id).await?;
                    if !self.add(&session).await? {
                        return Err(SessionError::NameTaken);
                    }
                }
                Status::Running | Status::Exited | Status::Terminated | Status::Failed | Status::Lost => {
                    return self.show(caller, id).await;
                }
            }
        }
        let create = Create { owner: caller.owner, session_id: id, key: None, spec, attach: None };
        let asked =
            self.link.request_now(caller.request_id, &Request::CreateLimited { create, limits }).await;
        match asked {
            Err(OnceError::NotSent(_)) if is_first => self.note_unsent(caller.owner, id).await,
            // Nobody knows whether it runs; the next look at the node's roll tells.
            Err(_) => self.note_unanswered(id).await,
            Ok(_) => {}
        }
        match refused(asked.map_err(LinkError::from)?) {
            Ok((Answer::Created { .. }, stream)) => {
                self.note_started(id, stream.node_id).await;
                if self.booked(caller, id).await?.is_none() {
                    // Nobody could reach it: it or its account was deleted while it was being made.
                    self.ask(caller.request_id, &Request::Discard { owner: caller.owner, session_id: id })
                        .await?;
                    let owned = self.store.has_owner(caller.owner).await?;
                    return Err(if owned { SessionError::NotFound } else { SessionError::OwnerGone });
                }
                self.show(caller, id).await
            }
            Ok(_) => Err(SessionError::OutOfTurn),
            Err(err) => {
                if let SessionError::Refused(failure) = &err {
                    self.note_failed(id, failure).await;
                }
                Err(err)
            }
        }
    }

    /// The node at the end of the link, which answers; none: it does not say which it is.
    async fn node_to_ask(&self, caller: Caller<'_>) -> Result<Option<NodeId>, SessionError> {
        if let Some(here) = self.node_here()
            && self.link.answers().await
        {
            return Ok(Some(here));
        }
        // Its worker may be starting again.
        let asked = self.link.request_now(caller.request_id, &Request::Info).await;
        let (_, stream) = asked.map_err(LinkError::from)?;
        Ok(stream.node_id)
    }

    /// Enters a session that was made over a socket.
    pub async fn note_made(&self, owner: UserId, id: SessionId, spec: &Spec, node: Option<NodeId>) {
        let now = self.clock.now();
        let mut session = Session::new(id, owner, spec, Limits::default(), now);
        (session.status, session.node, session.started_at) = (Status::Running, node, Some(now));
        if let Err(err) = self.store.adopt_session(&session).await {
            warn!(session.id = %id, err = %crate::chain(&err), "session {id} is entered into the books later");
        }
    }

    /// Whether the books took it; false: its name is taken.
    async fn add(&self, session: &Session) -> Result<bool, SessionError> {
        match self.store.add_session(session).await? {
            Added::Done => Ok(true),
            Added::NameTaken => Ok(false),
            Added::OwnerGone => Err(SessionError::OwnerGone),
        }
    }

    async fn note_started(&self, id: SessionId, node: Option<NodeId>) {
        if let Err(err) = self.store.session_started(id, node, self.clock.now()).await {
            warn!(session.id = %id, err = %crate::chain(&err), "the start of session {id} is entered later");
        }
    }

    /// Takes back what its node was never asked for.
    async fn note_unsent(&self, owner: UserId, id: SessionId) {
        if let Err(err) = self.store.delete_session(owner, id).await {
            warn!(session.id = %id, err = %crate::chain(&err), "session {id}, which was not begun, is lost later");
        }
    }

    async fn note_unanswered(&self, id: SessionId) {
        if let Err(err) = self.store.note_asking(id, None).await {
            warn!(session.id = %id, err = %crate::chain(&err), "what became of session {id} is told later");
        }
    }

    async fn note_failed(&self, id: SessionId, failure: &Failure) {
        let (now, message) = (self.clock.now(), &failure.message);
        if let Err(err) = self.store.session_given_up(id, Status::Failed, message, now).await {
            warn!(session.id = %id, err = %crate::chain(&err), "the failure of session {id} is not entered");
        }
    }
}

/// The end of an id is random.
fn made_name(id: SessionId) -> String {
    let id = id.uuid().simple().to_string();
    format!("session-{}", &id[id.len() - 8..])
}
