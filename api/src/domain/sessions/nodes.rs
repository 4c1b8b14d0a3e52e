//! Which node is where this api's link leads, and which is another's. Several apis may lead to several nodes and share their
//! books: a session is lost when its own node says so, or is known not to come back, and not because another does not know it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use devpocket_shared::ids::{NodeId, SessionId};
use time::{Duration, OffsetDateTime};

use super::watch::Watch;
use super::{SessionError, Sessions};
use crate::domain::session::Session;
use crate::store::{ApiId, Unended};

/// How long a node may be unheard of by every api until what it had is given up: three times the longest between two notes of
/// one that answers. What it had is taken up again if it comes back.
const UNHEARD_OF: Duration = Duration::minutes(30);
/// How often it is noted that a node answers.
const NOTED_EVERY: Duration = Duration::minutes(10);
/// How often an api notes that it runs.
const SEEN_EVERY: Duration = Duration::seconds(15);
/// How often what was noted long ago is forgotten.
const SWEPT_EVERY: Duration = Duration::hours(1);
/// How long an api may note nothing until it counts as gone.
const ALONE: Duration = Duration::minutes(1);

/// What this api has seen of nodes and apis; not state: without it a session stays unreachable for longer.
#[derive(Debug)]
pub(super) struct Nodes {
    me: ApiId,
    /// When this api noted last that it runs.
    seen: Option<OffsetDateTime>,
    /// When it forgot last what was noted long ago.
    swept: Option<OffsetDateTime>,
    /// Those that have answered over this api's link.
    here: BTreeSet<NodeId>,
    /// The one that was noted last, and when.
    noted: Option<(NodeId, OffsetDateTime)>,
    apis: Watch<ApiId>,
    nodes: Watch<NodeId>,
    /// When each node answered some api first and last.
    times: BTreeMap<NodeId, (OffsetDateTime, OffsetDateTime)>,
}

impl Default for Nodes {
    fn default() -> Self {
        Self {
            me: ApiId::random(),
            seen: None,
            swept: None,
            here: BTreeSet::new(),
            noted: None,
            apis: Watch::default(),
            nodes: Watch::default(),
            times: BTreeMap::new(),
        }
    }
}

impl Nodes {
    /// Whether a node is known not to come back, now that another has answered. There is one place for a node at the end of a
    /// link, so that one which was there before is gone; of another api's node its api says that it is there.
    fn is_replaced(&self, node: NodeId) -> bool {
        self.here.contains(&node)
            || self.nodes.silence(node) >= UNHEARD_OF
            || (self.apis.is_alone(self.me, ALONE) && self.was_followed(node))
    }

    /// Whether the node that answers here answered for the first time after this one did for the last time: where no other api
    /// runs, it came in its place.
    fn was_followed(&self, node: NodeId) -> bool {
        let here = self.noted.and_then(|(here, _)| self.times.get(&here));
        let there = self.times.get(&node);
        here.zip(there).is_some_and(|((first_at, _), (_, seen_at))| seen_at < first_at)
    }
}

impl Sessions {
    /// Notes that this api runs.
    pub(crate) async fn be_seen(&self) -> Result<(), SessionError> {
        let now = self.clock.now();
        let (me, seen, swept) = {
            let nodes = self.nodes();
            (nodes.me, nodes.seen, nodes.swept)
        };
        if is_due(seen, SEEN_EVERY, now) {
            self.store.note_api(me, now).await?;
            self.nodes().seen = Some(now);
        }
        if is_due(swept, SWEPT_EVERY, now) {
            self.store.forget_old(now).await?;
            self.nodes().swept = Some(now);
        }
        Ok(())
    }

    /// Notes that a node has answered over this api's link.
    pub(super) async fn note_node(
        &self,
        node: Option<NodeId>,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let Some(node) = node else { return Ok(()) };
        let is_noted = {
            let mut nodes = self.nodes();
            nodes.here.insert(node);
            nodes.noted.is_some_and(|(noted, at)| noted == node && !is_due(Some(at), NOTED_EVERY, now))
        };
        if !is_noted {
            self.store.note_node(node, now).await?;
            self.nodes().noted = Some((node, now));
        }
        Ok(())
    }

    /// Looks at what other apis note, for the sake of sessions that are not on the node here.
    pub(super) async fn look_around(
        &self,
        booked: &[Unended],
        here: Option<NodeId>,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let elsewhere: BTreeSet<NodeId> =
            booked.iter().filter_map(|session| session.node).filter(|node| Some(*node) != here).collect();
        if elsewhere.is_empty() {
            return Ok(());
        }
        let (nodes, apis) = (self.store.seen_nodes().await?, self.store.seen_apis().await?);
        let mut known = self.nodes();
        known.times = nodes.iter().map(|node| (node.id, (node.first_at, node.seen_at))).collect();
        let written: Vec<_> = elsewhere
            .iter()
            .map(|node| (*node, known.times.get(node).map(|(_, seen_at)| *seen_at)))
            .collect();
        known.nodes.look(now, written.into_iter());
        known.apis.look(now, apis.into_iter().map(|(api, seen_at)| (api, Some(seen_at))));
        Ok(())
    }

    pub(super) fn is_replaced(&self, node: NodeId) -> bool {
        self.nodes().is_replaced(node)
    }

    /// The node that answered last over this api's link.
    pub(super) fn node_here(&self) -> Option<NodeId> {
        self.nodes().noted.map(|(node, _)| node)
    }

    /// Whether this node, if it is any, is not the one that answered last over this api's link.
    pub(super) fn is_elsewhere(&self, node: Option<NodeId>) -> bool {
        let here = self.node_here();
        here.is_some() && node.is_some() && node != here
    }

    /// Whether a session was where nothing runs now: at the end of this api's link.
    pub(super) async fn is_from_here(&self, session: &Session) -> Result<bool, SessionError> {
        let Some(node) = session.node else { return Ok(true) };
        let was_here = self.nodes().here.contains(&node);
        Ok(was_here || !self.store.knows_node_beside(node).await?)
    }

    /// What a session is to whoever asks for what only its node has, which is not the one that answered.
    pub(super) async fn elsewhere(
        &self,
        caller: super::Caller<'_>,
        id: SessionId,
        otherwise: SessionError,
    ) -> SessionError {
        match self.show(caller, id).await {
            Ok(shown) if shown.session.has_ended() => otherwise,
            Ok(_) => SessionError::Elsewhere,
            Err(err) => err,
        }
    }

    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // Whatever panicked left what was seen.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether what was done then is to be done again. A clock that was put back is no reason to wait.
fn is_due(done: Option<OffsetDateTime>, every: Duration, now: OffsetDateTime) -> bool {
    done.is_none_or(|done| !(done..done + every).contains(&now))
}
