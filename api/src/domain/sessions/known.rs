//! What is known of an account's sessions, whether their ptyd can be reached or not: for what must be answered in any case.

use super::{Caller, SessionError, Sessions, Shown, Wanted};
use crate::domain::session::Status;
use crate::store::SessionFilter;

/// An account's sessions in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// All in the books.
    pub all: u64,
    /// Those of them that have not ended, as far as is known.
    pub live: u64,
}

impl Sessions {
    /// The newest sessions, at most `limit`. Of a ptyd that cannot be reached, what the books have.
    pub async fn list_known(&self, caller: Caller<'_>, limit: i64) -> Result<Vec<Shown>, SessionError> {
        if self.link.answers().await {
            match self.list(caller, Wanted::Filtered(SessionFilter::default()), 0, limit).await {
                Ok((sessions, _)) => return Ok(sessions),
                Err(SessionError::Link(_)) => {}
                Err(err) => return Err(err),
            }
        }
        let (sessions, _) = self.store.sessions(caller.owner, &SessionFilter::default(), 0, limit).await?;
        Ok(sessions.into_iter().map(|session| Shown { session, attached_clients: 0 }).collect())
    }

    /// How many sessions there are, by the books, which follow a ptyd that can be reached.
    pub async fn count_known(&self, caller: Caller<'_>) -> Result<Known, SessionError> {
        if self.link.answers().await {
            match self.reconcile(Some(caller.owner), caller.request_id).await {
                Ok(_) | Err(SessionError::Link(_)) => {}
                Err(err) => return Err(err),
            }
        }
        let mut known = Known::default();
        for count in self.store.count_sessions(caller.owner).await? {
            let sessions = u64::try_from(count.sessions).unwrap_or(0);
            known.all += sessions;
            if matches!(count.status, Status::Starting | Status::Running) {
                known.live += sessions;
            }
        }
        Ok(known)
    }
}
