//! Which sessions this worker has, ended ones included, and which creations were asked for lately. Its lock is never held
//! over I/O.

mod tombstones;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devpocket_shared::ids::{SessionId, UserId};
use devpocket_shared::wire::CreationKey;
use tokio::sync::Notify;

use self::tombstones::Tombstones;
use super::Context;
use super::drive::now;
use super::session::Session;
use crate::handover::{ExitStatus, ToKeeper};

/// Exits kept for sessions that are on their way here; each is there a moment later.
const MAX_EARLY_EXITS: usize = 1024;
/// How long a repeated creation gives the session made before (PROTOCOL section 3).
pub(crate) const KEY_LIFE: Duration = Duration::from_mins(1);

/// All sessions of this worker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    inner: Mutex<Inner>,
    /// A creation was completed or given up.
    created: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    sessions: BTreeMap<SessionId, Arc<Session>>,
    tombstones: Tombstones,
    creations: BTreeMap<(UserId, CreationKey), Creation>,
    /// Exits told by the keeper before the session was put here.
    early_exits: VecDeque<(SessionId, ExitStatus)>,
}

#[derive(Clone, Copy, Debug)]
enum Creation {
    Running,
    Done { session_id: SessionId, until: Instant },
}

/// Numbers of sessions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    pub(crate) live: usize,
    /// Ended ones that are still kept.
    pub(crate) ended: usize,
    /// Clients attached to any of them.
    pub(crate) attachments: usize,
}

/// What a creation with a key has to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reserved {
    /// Make the session, then call [`Registry::settle`].
    New,
    /// It was made before.
    Made(SessionId),
}

impl Registry {
    /// A session of `owner`; somebody else's is not there.
    pub(crate) fn find(&self, owner: UserId, session_id: SessionId) -> Option<Arc<Session>> {
        let session = self.lock().sessions.get(&session_id).cloned();
        session.filter(|session| session.owner == owner && !session.is_discarded())
    }

    /// The sessions of `owner`, oldest first.
    pub(crate) fn of_owner(&self, owner: UserId) -> Vec<Arc<Session>> {
        let sessions = self.lock().sessions.values().cloned().collect::<Vec<_>>();
        let mut own: Vec<_> = sessions
            .into_iter()
            .filter(|session| session.owner == owner && !session.is_discarded())
            .collect();
        own.sort_by_key(|session| (session.record().created_at_ms, session.id));
        own
    }

    /// At most `most` sessions of `owner`, or of everybody, from the one after `after` on, in the order of their ids; and
    /// whether there are more.
    pub(crate) fn roll(
        &self,
        owner: Option<UserId>,
        after: Option<SessionId>,
        most: usize,
    ) -> (Vec<Arc<Session>>, bool) {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let inner = self.lock();
        let wanted = |session: &&Arc<Session>| {
            owner.is_none_or(|owner| session.owner == owner) && !session.is_discarded()
        };
        let mut rest =
            inner.sessions.range((from, Bound::Unbounded)).map(|(_, session)| session).filter(wanted);
        let page = rest.by_ref().take(most).cloned().collect();
        (page, rest.next().is_some())
    }

    /// Live sessions.
    pub(crate) fn live(&self) -> usize {
        let inner = self.lock();
        inner.sessions.len() - inner.tombstones.len()
    }

    /// How many there are now.
    pub(crate) fn census(&self) -> Census {
        let inner = self.lock();
        let ended = inner.tombstones.len();
        let live = inner.sessions.len() - ended;
        let sessions = inner.sessions.values().cloned().collect::<Vec<_>>();
        drop(inner);
        Census { live, ended, attachments: sessions.iter().map(|session| session.attachments()).sum() }
    }

    /// Puts a session in. An id that is there already is refused.
    pub(crate) fn insert(&self, session: &Arc<Session>) -> bool {
        let mut inner = self.lock();
        if inner.sessions.contains_key(&session.id) {
            return false;
        }
        inner.sessions.insert(session.id, Arc::clone(session));
        if let Some(at) = inner.early_exits.iter().position(|(id, _)| *id == session.id)
            && let Some((_, exit)) = inner.early_exits.remove(at)
        {
            session.exited(exit);
        }
        true
    }

    /// Whether an id is taken.
    pub(crate) fn contains(&self, session_id: SessionId) -> bool {
        self.lock().sessions.contains_key(&session_id)
    }

    /// The leader of a session was reaped.
    pub(crate) fn exited(&self, session_id: SessionId, exit: ExitStatus) {
        let mut inner = self.lock();
        match inner.sessions.get(&session_id).cloned() {
            Some(session) => session.exited(exit),
            None => {
                // Some never come: the session could not be opened here.
                if inner.early_exits.len() >= MAX_EARLY_EXITS {
                    inner.early_exits.pop_front();
                }
                inner.early_exits.push_back((session_id, exit));
            }
        }
    }

    /// A session has ended at `ended` and becomes a tombstone.
    pub(crate) fn ended(&self, session: &Session, ended: Instant) {
        let bytes = session.memory_bytes();
        self.lock().tombstones.insert(session.id, session.owner, bytes, ended);
    }

    /// Has tombstones that are old, large, or followed by many, keep their last screen alone; a few at a time. Those that do
    /// put away what somebody had a look at. Gives how many bytes that set free, about.
    pub(crate) fn shrink_tombstones(&self) -> usize {
        let shrunk: Vec<_> = {
            let inner = self.lock();
            inner.tombstones.shrunk().filter_map(|id| inner.sessions.get(&id).cloned()).collect()
        };
        shrunk.iter().for_each(|session| session.put_away());
        let mut freed = 0;
        for session in self.next_to_shrink() {
            let before = session.memory_bytes();
            let done = session.keep_last_screen();
            let left = session.memory_bytes();
            freed += before.saturating_sub(left);
            self.lock().tombstones.note_shrunk(session.id, done, left, now());
        }
        freed
    }

    /// Drops tombstones that are too many, too large together or too old, here and at the keeper.
    pub(crate) async fn forget_old_tombstones(&self, context: &Context) {
        while let Some(session_id) = self.next_to_forget() {
            if context.keeper.send(&ToKeeper::Forget { session_id }).await.is_err() {
                return;
            }
        }
    }

    /// Begins a creation with a key, waiting while the same one runs.
    pub(crate) async fn reserve(&self, owner: UserId, key: &CreationKey) -> Reserved {
        loop {
            let created = self.created.notified();
            tokio::pin!(created);
            created.as_mut().enable();
            {
                let mut inner = self.lock();
                let now = now();
                inner
                    .creations
                    .retain(|_, creation| !matches!(creation, Creation::Done { until, .. } if *until <= now));
                match inner.creations.get(&(owner, key.clone())) {
                    None => {
                        inner.creations.insert((owner, key.clone()), Creation::Running);
                        return Reserved::New;
                    }
                    Some(Creation::Done { session_id, .. }) => return Reserved::Made(*session_id),
                    Some(Creation::Running) => {}
                }
            }
            created.await;
        }
    }

    /// Ends a creation begun with [`Registry::reserve`]; none: it failed and may be tried again. `life` is how long a
    /// repeat finds it.
    pub(crate) fn settle(&self, owner: UserId, key: CreationKey, made: Option<SessionId>, life: Duration) {
        let mut inner = self.lock();
        match made {
            Some(session_id) => {
                let done = Creation::Done { session_id, until: now() + life };
                inner.creations.insert((owner, key), done);
            }
            None => drop(inner.creations.remove(&(owner, key))),
        }
        drop(inner);
        self.created.notify_waiters();
    }

    fn next_to_shrink(&self) -> Vec<Arc<Session>> {
        let inner = self.lock();
        let sessions = &inner.sessions;
        let is_unread = |id| sessions.get(&id).is_some_and(|session| session.attachments() == 0);
        let due = inner.tombstones.next_to_shrink(now(), is_unread);
        due.iter().filter_map(|id| sessions.get(id).cloned()).collect()
    }

    fn next_to_forget(&self) -> Option<SessionId> {
        let mut inner = self.lock();
        let Inner { sessions, tombstones, .. } = &mut *inner;
        let is_discarded = |id| sessions.get(&id).is_none_or(|session| session.is_discarded());
        let session_id = tombstones.take_forgotten(now(), is_discarded)?;
        sessions.remove(&session_id);
        Some(session_id)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
