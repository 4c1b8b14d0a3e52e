//! What is known of an account's sessions, whether their ptyd can be reached or not: for what must be answered in any case.

use super::{Caller, Roll, SessionError, Sessions};
use crate::domain::session::Status;

/// An account's sessions in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Known {
    /// All in the books.
    pub all: u64,
    /// Those of them that have not ended, as far as is known.
    pub live: u64,
}

impl Sessions {
    /// How many sessions there are, by the books, which follow a ptyd that can be reached.
    pub async fn count_known(&self, caller: Caller<'_>) -> Result<Known, SessionError> {
        self.reached(caller).await?;
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

    /// The roll of an owner at the node here, which the books have followed; none: it does not answer, as is known within a
    /// second or so.
    pub(super) async fn reached(&self, caller: Caller<'_>) -> Result<Option<Roll>, SessionError> {
        if !self.link.answers().await {
            return Ok(None);
        }
        match self.reconcile(Some(caller.owner), caller.request_id).await {
            Ok(roll) => Ok(Some(roll)),
            Err(SessionError::Link(_)) => Ok(None),
            Err(err) => Err(err),
        }
    }
}
