//! What an owner does with a session without attaching to it.

use devpocket_shared::ids::{SessionId, TerminalSize};
use devpocket_shared::wire::{Request, Update};
use tracing::warn;

use super::{Caller, SessionError, Sessions, Shown, done};
use crate::domain::session::{Changes, Session};
use crate::link::LinkError;
use crate::store::{Described, WantedEnd};

impl Sessions {
    /// Changes a session. Of one that is over, name and description may be changed.
    pub async fn change(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        changes: Changes,
    ) -> Result<Shown, SessionError> {
        let Shown { session, is_answered, .. } = self.show(caller, id).await?;
        let update = &changes.update;
        let acts = update.size.is_some()
            || !update.idle_timeout_secs.is_keep()
            || !update.max_duration_secs.is_keep();
        if session.has_ended() && acts {
            return Err(SessionError::Ended);
        }
        let names = !update.name.is_keep();
        // Before the books have it: what its node cannot be told is not done by half.
        if !session.has_ended() && !is_answered && (acts || names) {
            return Err(SessionError::Elsewhere);
        }
        let mut described = self.store.describe(caller.owner, id, &changes).await?;
        if matches!(described, Described::NotFound) {
            // Made over a socket a moment ago, perhaps, and not in the books yet.
            self.reached(caller).await?;
            described = self.store.describe(caller.owner, id, &changes).await?;
        }
        match described {
            Described::Done => {}
            Described::NameTaken => return Err(SessionError::NameTaken),
            Described::NotFound => return Err(SessionError::NotFound),
        }
        if !session.has_ended() && (acts || names) {
            let request =
                Request::Update { owner: caller.owner, session_id: id, update: changes.update.clone() };
            let told = self.ask_about(caller, id, SessionError::Ended, &request).await.and_then(done);
            if let Err(err) = told {
                self.undo(caller, &session, &changes).await;
                return Err(err);
            }
        }
        self.show(caller, id).await
    }

    /// Takes out of the books what a session's node was not told of.
    async fn undo(&self, caller: Caller<'_>, before: &Session, changes: &Changes) {
        let undone = self.store.describe(caller.owner, before.id, &changes.undoing(before)).await;
        if let Err(err) = undone {
            let id = before.id;
            warn!(session.id = %id, err = %crate::chain(&err), "a change of session {id} is in the books alone");
        }
    }

    /// Ends a session: HUP now, KILL to what is left after five seconds. One that is over stays so.
    pub async fn terminate(&self, caller: Caller<'_>, id: SessionId) -> Result<Shown, SessionError> {
        let request = Request::Terminate { owner: caller.owner, session_id: id };
        self.end(caller, id, &request).await
    }

    /// Kills a session at once.
    pub async fn kill(&self, caller: Caller<'_>, id: SessionId) -> Result<Shown, SessionError> {
        let request = Request::Kill { owner: caller.owner, session_id: id };
        self.end(caller, id, &request).await
    }

    /// Ends a session and forgets it everywhere; at a node that cannot be reached, once it is.
    pub async fn delete(&self, caller: Caller<'_>, id: SessionId) -> Result<(), SessionError> {
        // First in the books: where they do not answer, nothing has happened. And what they note is done at its node later, if not now;
        // whoever has asked the node before and enters it now sees that it was deleted.
        let was_booked = self.store.unwant_session(caller.owner, id, self.clock.now()).await?;
        let request = Request::Discard { owner: caller.owner, session_id: id };
        match self.ask_now(caller, &request).await {
            Ok(()) if was_booked => Ok(()),
            Ok(()) => {
                let session = WantedEnd { owner: caller.owner, id, node: self.node_here() };
                self.store.note_unwanted(session, self.clock.now()).await?;
                // It may have been entered in between.
                self.store.delete_session(caller.owner, id).await?;
                Ok(())
            }
            Err(_) if was_booked => Ok(()),
            // So it may have been of another node's.
            Err(SessionError::NotFound)
                if self.store.unwant_session(caller.owner, id, self.clock.now()).await? =>
            {
                Ok(())
            }
            Err(err) => Err(err),
        }
    }

    /// Types into a session. Nobody's geometry lease is taken, and nothing is typed twice.
    pub async fn input(&self, caller: Caller<'_>, id: SessionId, text: String) -> Result<(), SessionError> {
        let request = Request::Input { owner: caller.owner, session_id: id, bytes: text.into_bytes().into() };
        done(self.ask_once(caller, id, &request).await?)
    }

    /// Sets a session's size.
    pub async fn resize(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        size: TerminalSize,
    ) -> Result<(), SessionError> {
        let update = Update { size: Some(size), ..Update::default() };
        let request = Request::Update { owner: caller.owner, session_id: id, update };
        done(self.ask_about(caller, id, SessionError::Ended, &request).await?)
    }

    async fn end(&self, caller: Caller<'_>, id: SessionId, request: &Request) -> Result<Shown, SessionError> {
        match self.ask_now(caller, request).await {
            Ok(_) => self.show(caller, id).await,
            // Ended and forgotten there, perhaps: the books tell.
            Err(SessionError::NotFound) => {
                let shown = self.show(caller, id).await?;
                if !shown.session.has_ended() {
                    self.store.want_end_of(caller.owner, id, self.clock.now()).await?;
                }
                Ok(shown)
            }
            Err(err @ SessionError::Link(_)) => {
                // Who looks for it finds it as it was last seen, until its node is back and ends it.
                let session = self.booked(caller, id).await?.ok_or(err)?;
                self.store.want_end_of(caller.owner, id, self.clock.now()).await?;
                Ok(Shown::unasked(session))
            }
            Err(err) => Err(err),
        }
    }

    /// Asks what can be noted for later if the node does not answer.
    async fn ask_now(&self, caller: Caller<'_>, request: &Request) -> Result<(), SessionError> {
        if !self.link.answers().await {
            return Err(SessionError::Link(LinkError::Away));
        }
        self.ask(caller.request_id, request).await.map(|_| ())
    }
}
