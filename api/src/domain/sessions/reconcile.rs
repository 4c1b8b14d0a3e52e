//! The books follow the truth: what a ptyd's roll says and the books do not is entered, whatever died in between. Asked
//! for one owner before a list is shown, and for everybody every few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use devpocket_shared::ids::{NodeId, SessionId, UserId};
use devpocket_shared::wire::details::MAX_DETAILS;
use devpocket_shared::wire::{Answer, Request, RollEntry};
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Caller, SessionError, Sessions};
use crate::domain::session::{Session, Status, Told};
use crate::store::Unended;

/// How often the books are compared with the roll: an end that nobody asks for may be entered so late.
const EVERY: Duration = Duration::from_secs(5);
/// How long a session may be starting, unless its node is known not to be asked for it any more: longer than any request for
/// one is tried.
pub(super) const STARTING: time::Duration = time::Duration::minutes(1);
/// How long a ptyd keeps ended sessions, and some.
const TOMBSTONES: time::Duration = time::Duration::hours(25);

/// What a ptyd said it has.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    /// Which ptyd.
    pub node: Option<NodeId>,
    /// Its sessions, ended ones included.
    pub sessions: BTreeMap<SessionId, RollEntry>,
}

impl Roll {
    /// Those that live.
    pub fn live(&self) -> impl Iterator<Item = &RollEntry> {
        self.sessions.values().filter(|entry| entry.exit.is_none())
    }
}

impl Sessions {
    /// Compares again and again until `stop`.
    pub async fn keep_books(&self, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut missed, mut failing) = (BTreeSet::new(), false);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            let compared = tokio::select! {
                () = stop.cancelled() => return,
                compared = self.compare(&mut missed) => compared,
            };
            match &compared {
                Ok(()) if failing => info!("the books of sessions follow their nodes again"),
                // Told once for each time that something is away.
                Err(err) if !failing => {
                    warn!(err = %crate::chain(err), "the books of sessions cannot follow their nodes");
                }
                Ok(()) | Err(_) => {}
            }
            failing = compared.is_err();
        }
    }

    /// Compares once; `missed` is what the last time left of sessions whose account is gone.
    pub(crate) async fn compare(&self, missed: &mut BTreeSet<SessionId>) -> Result<(), SessionError> {
        self.be_seen().await?;
        let roll = self.reconcile(None, "books").await?;
        self.end_orphans(&roll, missed).await
    }

    /// Enters what the ptyd knows better, of an owner or of everybody, and gives its roll.
    pub(super) async fn reconcile(
        &self,
        owner: Option<UserId>,
        request_id: &str,
    ) -> Result<Roll, SessionError> {
        // First the books: what is entered after this is of no concern.
        let booked = self.store.unended_sessions(owner).await?;
        let now = self.clock.now();
        let mut roll = self.roll(owner, request_id).await?;
        self.note_node(roll.node, now).await?;
        if owner.is_none() {
            self.look_around(&booked, roll.node, now).await?;
            self.discard_unwanted(&mut roll, now).await?;
        }
        let known: BTreeSet<SessionId> = booked.iter().map(|session| session.id).collect();
        for session in &booked {
            match roll.sessions.get(&session.id) {
                None => self.give_up(session, roll.node, now).await?,
                Some(entry) if entry.exit.is_none() && session.status == Status::Starting => {
                    self.store.session_started(session.id, roll.node, now).await?;
                }
                Some(_) => {}
            }
        }
        self.recall_settled(&roll, owner, now).await?;
        let mut news: BTreeMap<UserId, Vec<SessionId>> = BTreeMap::new();
        for entry in roll.sessions.values().filter(|entry| self.is_news(entry, &known)) {
            news.entry(entry.owner).or_default().push(entry.session_id);
        }
        for (owner, ids) in news {
            let caller = Caller { owner, request_id };
            for told in self.details(caller, &ids).await? {
                self.enter(owner, roll.node, &told, &known).await?;
            }
        }
        Ok(roll)
    }

    /// All that the ptyd knows of these sessions; of those it does not know, nothing.
    pub(super) async fn details(
        &self,
        caller: Caller<'_>,
        ids: &[SessionId],
    ) -> Result<Vec<Told>, SessionError> {
        let mut all = Vec::new();
        for ids in ids.chunks(MAX_DETAILS) {
            let request = Request::Details { owner: caller.owner, session_ids: ids.to_vec() };
            let (answer, _) = self.ask(caller.request_id, &request).await?;
            if let Answer::DetailsCounted(counted) = answer {
                let told =
                    counted.into_iter().map(|(details, command_count)| Told { details, command_count });
                all.extend(told);
            } else if let Answer::Details(details) = answer {
                // A node of an earlier release, which counts no commands.
                all.extend(details.into_iter().map(|details| Told { details, command_count: 0 }));
            } else {
                return Err(SessionError::OutOfTurn);
            }
        }
        Ok(all)
    }

    /// Enters the end of a session, as its ptyd told it.
    pub(super) async fn note_end(&self, session: &Session) -> Result<(), SessionError> {
        self.store.session_ended(session).await?;
        self.settled().insert(session.id);
        Ok(())
    }

    async fn roll(&self, owner: Option<UserId>, request_id: &str) -> Result<Roll, SessionError> {
        let mut roll = Roll::default();
        let mut after = None;
        loop {
            let (answer, stream) = self.ask(request_id, &Request::Roll { owner, after }).await?;
            let Answer::Roll { sessions, more } = answer else { return Err(SessionError::OutOfTurn) };
            roll.node = stream.node_id;
            after = sessions.last().map(|entry| entry.session_id);
            roll.sessions.extend(sessions.into_iter().map(|entry| (entry.session_id, entry)));
            if !more || after.is_none() {
                return Ok(roll);
            }
        }
    }

    /// The ptyd that answered does not know this session.
    async fn give_up(
        &self,
        session: &Unended,
        node: Option<NodeId>,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let is_starting = session.status == Status::Starting;
        let asked_until = session.asked_until.filter(|_| is_starting);
        let is_late = asked_until.unwrap_or(session.created_at + STARTING) < now;
        let message = match session.node {
            Some(_) if is_starting && !is_late => return Ok(()),
            None if is_late => "the server stopped while it was being started",
            Some(its_node) if Some(its_node) == node && is_starting => {
                "the server stopped while it was being started"
            }
            Some(its_node) if Some(its_node) == node => "its node does not know it any more",
            // If it comes back after all, the session is taken up again.
            Some(its_node) if node.is_some() && self.is_replaced(its_node) => {
                "another node answers in place of its own"
            }
            // Not started yet, on another api's node, or nobody says who answered.
            None | Some(_) => return Ok(()),
        };
        info!(session.id = %session.id, "session {} is lost: {message}", session.id);
        Ok(self.store.session_lost(session, message, now).await?)
    }

    /// Whether the books lack this.
    fn is_news(&self, entry: &RollEntry, known: &BTreeSet<SessionId>) -> bool {
        match &entry.exit {
            None => !known.contains(&entry.session_id),
            Some(_) => !self.settled().contains(&entry.session_id),
        }
    }

    async fn enter(
        &self,
        owner: UserId,
        node: Option<NodeId>,
        told: &Told,
        known: &BTreeSet<SessionId>,
    ) -> Result<(), SessionError> {
        let found = Session::found(owner, node, told);
        if !known.contains(&found.id) {
            let begun = Session { status: Status::Running, ..found.clone() };
            self.store.adopt_session(&begun).await?;
        }
        if found.has_ended() {
            self.note_end(&found).await?;
        }
        Ok(())
    }

    /// After a start nothing is settled yet: the books tell which ends they have.
    async fn recall_settled(
        &self,
        roll: &Roll,
        owner: Option<UserId>,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let ended = roll.sessions.values().filter(|entry| entry.exit.is_some());
        let ended: BTreeSet<SessionId> = ended.map(|entry| entry.session_id).collect();
        if owner.is_none() {
            // What the node has forgotten need not be remembered.
            self.settled().retain(|id| ended.contains(id));
        }
        let Some(node) = roll.node.filter(|_| !ended.is_subset(&self.settled())) else { return Ok(()) };
        let booked = self.store.ended_sessions(node, now - TOMBSTONES).await?;
        self.settled().extend(booked.into_iter().filter(|id| ended.contains(id)));
        Ok(())
    }

    fn settled(&self) -> MutexGuard<'_, BTreeSet<SessionId>> {
        // Whatever panicked left a set.
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
