//! The same for many sessions.

use devpocket_shared::ids::SessionId;
use time::Duration;

use super::{Caller, SessionError, Sessions};
use crate::domain::session::at_ms;
use crate::link::LinkError;

/// What is done with each.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchAction {
    /// HUP, then KILL.
    Terminate,
    /// KILL.
    Kill,
    /// Ended and forgotten.
    Delete,
}

/// What became of one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The account has no such session.
    NotFound,
    /// Its node cannot be reached, and the books do not know it.
    Unavailable,
}

impl Sessions {
    /// Does it with each in turn.
    ///
    /// # Errors
    /// The database is away: what was done already stays done, and may be asked for again.
    pub async fn batch(
        &self,
        caller: Caller<'_>,
        action: BatchAction,
        ids: &[SessionId],
    ) -> Result<Vec<Outcome>, SessionError> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for &id in ids {
            let done = match action {
                BatchAction::Terminate => self.terminate(caller, id).await.map(|_| ()),
                BatchAction::Kill => self.kill(caller, id).await.map(|_| ()),
                BatchAction::Delete => self.delete(caller, id).await,
            };
            outcomes.push(match done {
                Ok(()) => Outcome::Done,
                Err(SessionError::NotFound) => Outcome::NotFound,
                Err(SessionError::Link(_) | SessionError::Elsewhere) => Outcome::Unavailable,
                Err(err) => return Err(err),
            });
        }
        Ok(outcomes)
    }

    /// Ends the sessions that nobody is attached to and that have done nothing for `quiet`; which.
    pub async fn end_inactive(
        &self,
        caller: Caller<'_>,
        quiet: Duration,
    ) -> Result<Vec<SessionId>, SessionError> {
        let roll = self.reached(caller).await?.ok_or(SessionError::Link(LinkError::Away))?;
        let detached = roll.live().filter(|entry| entry.attached_clients == 0);
        let detached: Vec<SessionId> = detached.map(|entry| entry.session_id).collect();
        let since = self.clock.now() - quiet;
        let mut ended = Vec::new();
        for told in self.details(caller, &detached).await? {
            let details = told.details;
            let id = details.info.session_id;
            let still = details.info.exit.is_none() && details.info.attached_clients == 0;
            if still && at_ms(details.last_activity_at_ms) <= since {
                self.terminate(caller, id).await?;
                ended.push(id);
            }
        }
        Ok(ended)
    }
}
