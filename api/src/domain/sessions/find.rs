//! Which sessions there are: the books' order and words, with what their ptyd knows of those that live.

use std::collections::BTreeMap;

use devpocket_shared::ids::SessionId;

use super::{Caller, Roll, SessionError, Sessions};
use crate::domain::session::{Session, Status, Told};
use crate::store::SessionFilter;

/// Most living sessions of an owner that are looked through for those with, or without, clients: what a node takes.
const MAX_LIVE: i64 = 10_000;

/// A session to show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// As the books and its ptyd have it.
    pub session: Session,
    /// Clients attached now, as far as its node was asked.
    pub attached_clients: u32,
    /// Whether its node was asked and knows it; else it is as it was last seen, or over.
    pub is_answered: bool,
}

impl Shown {
    /// One that is over, or as it was last seen.
    pub(super) fn unasked(session: Session) -> Self {
        Self { session, attached_clients: 0, is_answered: false }
    }
}

/// Which sessions are wanted.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Those that pass a filter.
    Filtered(SessionFilter),
    /// Those that live and pass a filter, with clients or without.
    Live {
        /// The filter.
        filter: SessionFilter,
        /// With clients; else without.
        attached: bool,
    },
}

/// An owner's sessions in numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Overview {
    /// Living sessions with clients.
    pub active: u64,
    /// Living sessions without, or whose node cannot be asked.
    pub detached: u64,
    /// All sessions in the books, by what became of them.
    pub by_status: BTreeMap<Status, u64>,
    /// Bytes of output of all of them.
    pub bytes_out: u64,
}

impl Sessions {
    /// Sessions, newest first: `limit` of them after the first `offset`, and how many there are. What is on a node that cannot
    /// be reached is as it was last seen.
    pub async fn list(
        &self,
        caller: Caller<'_>,
        wanted: Wanted,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Shown>, i64), SessionError> {
        let reached = self.reached(caller).await?;
        let is_reached = reached.is_some();
        let roll = reached.unwrap_or_default();
        let (page, total) = match wanted {
            Wanted::Filtered(filter) => self.store.sessions(caller.owner, &filter, offset, limit).await?,
            Wanted::Live { filter, attached } => {
                let filter = SessionFilter { live_only: true, ..filter };
                let (mut all, _) = self.store.sessions(caller.owner, &filter, 0, MAX_LIVE).await?;
                all.retain(|session| is_attached(&roll, session) == Some(attached));
                let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
                let (skip, take) = (usize::try_from(offset), usize::try_from(limit));
                let page = all.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or(0));
                (page.collect(), total)
            }
        };
        let shown = if is_reached {
            self.with_details(caller, page).await?
        } else {
            page.into_iter().map(Shown::unasked).collect()
        };
        Ok((shown, total))
    }

    /// One session, as it is now.
    pub async fn show(&self, caller: Caller<'_>, id: SessionId) -> Result<Shown, SessionError> {
        let Some(session) = self.booked(caller, id).await? else {
            return self.show_unbooked(caller, id).await;
        };
        if session.has_ended() || !self.link.answers().await {
            return Ok(Shown::unasked(session));
        }
        match self.details(caller, &[id]).await {
            Ok(mut details) => {
                if let Some(told) = details.pop() {
                    return self.with_truth(session, &told).await;
                }
            }
            Err(SessionError::Link(_)) => return Ok(Shown::unasked(session)),
            Err(err) => return Err(err),
        }
        // Gone from there since: the books are told how, or that it is lost. Or it is on another api's node.
        self.reached(caller).await?;
        let session = self.booked(caller, id).await?.ok_or(SessionError::NotFound)?;
        Ok(Shown::unasked(session))
    }

    /// An owner's living sessions, with and without clients.
    pub async fn overview(&self, caller: Caller<'_>) -> Result<Overview, SessionError> {
        let roll = self.reached(caller).await?.unwrap_or_default();
        let mut overview = Overview::default();
        let mut attached = 0;
        for entry in roll.live() {
            attached += u64::from(entry.attached_clients > 0);
            overview.bytes_out += entry.bytes_out;
        }
        for count in self.store.count_sessions(caller.owner).await? {
            overview.by_status.insert(count.status, u64::try_from(count.sessions).unwrap_or(0));
            // Of those that live the books know nothing yet: it is on the roll.
            overview.bytes_out += u64::try_from(count.bytes_out).unwrap_or(0);
        }
        // The parts make the whole: what is on other nodes is in the books too, and on no roll here.
        let running = overview.by_status.get(&Status::Running).copied().unwrap_or(0);
        overview.active = attached.min(running);
        overview.detached = running - overview.active;
        Ok(overview)
    }

    async fn show_unbooked(&self, caller: Caller<'_>, id: SessionId) -> Result<Shown, SessionError> {
        // Made over a socket a moment ago, perhaps.
        let told = self.details(caller, &[id]).await?.pop().ok_or(SessionError::NotFound)?;
        Ok(shown(Session::found(caller.owner, None, &told), &told))
    }

    async fn with_details(&self, caller: Caller<'_>, page: Vec<Session>) -> Result<Vec<Shown>, SessionError> {
        let live: Vec<SessionId> =
            page.iter().filter(|session| !session.has_ended()).map(|session| session.id).collect();
        let details = match self.details(caller, &live).await {
            Ok(details) => details,
            Err(SessionError::Link(_)) => Vec::new(),
            Err(err) => return Err(err),
        };
        let mut details: BTreeMap<SessionId, Told> =
            details.into_iter().map(|told| (told.details.info.session_id, told)).collect();
        let mut all = Vec::with_capacity(page.len());
        for session in page {
            all.push(match details.remove(&session.id) {
                Some(told) => self.with_truth(session, &told).await?,
                None => Shown::unasked(session),
            });
        }
        Ok(all)
    }

    async fn with_truth(&self, mut session: Session, told: &Told) -> Result<Shown, SessionError> {
        session.update(told);
        if session.has_ended() {
            self.note_end(&session).await?;
        }
        Ok(shown(session, told))
    }
}

fn shown(session: Session, told: &Told) -> Shown {
    let attached_clients = if session.has_ended() { 0 } else { told.details.info.attached_clients };
    Shown { session, attached_clients, is_answered: true }
}

/// Whether anybody is attached, as far as is known; none: it does not live, or not yet.
fn is_attached(roll: &Roll, session: &Session) -> Option<bool> {
    match roll.sessions.get(&session.id) {
        Some(entry) => entry.exit.is_none().then_some(entry.attached_clients > 0),
        None => (session.status == Status::Running).then_some(false),
    }
}
