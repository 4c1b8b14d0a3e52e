//! What is known of an account's sessions, whether their ptyd can be reached or not: for what must be answered in any case.

use time::{Duration, OffsetDateTime};

use super::{Caller, Roll, SessionError, Sessions, Shown, Wanted};
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

/// A place among sessions, newest first; the default is before all of them. By their times: what is made or deleted while
/// they are read moves nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Further {
    /// Those made before this time,
    before: Option<OffsetDateTime>,
    /// without the first so many of them, which are as old as each other.
    skip: i64,
}

impl Further {
    fn after(self, page: &[Shown]) -> Option<Self> {
        let last = page.last()?.session.created_at;
        // Times are kept in microseconds.
        let before = Some(last + Duration::MICROSECOND);
        let as_old = page.iter().rev().take_while(|shown| shown.session.created_at == last).count();
        let skipped = if self.before == before { self.skip } else { 0 };
        Some(Self { before, skip: skipped + i64::try_from(as_old).unwrap_or(i64::MAX) })
    }
}

impl Sessions {
    /// Sessions from a place on, newest first, at most `limit`, and the place after them, if there may be more. Of a ptyd
    /// that cannot be reached, what the books have.
    pub async fn list_known(
        &self,
        caller: Caller<'_>,
        from: Further,
        limit: i64,
    ) -> Result<(Vec<Shown>, Option<Further>), SessionError> {
        let filter = SessionFilter { created_before: from.before, ..SessionFilter::default() };
        let (page, _) = self.list(caller, Wanted::Filtered(filter), from.skip, limit).await?;
        let further = from.after(&page).filter(|_| i64::try_from(page.len()) == Ok(limit));
        Ok((page, further))
    }

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
