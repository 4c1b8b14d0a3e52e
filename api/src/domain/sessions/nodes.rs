//! Which node is where this api's link leads, and which is another's. Several apis may lead to several nodes and share their
//! books: a session is lost when its own node says so, or is known not to come back, and not because another does not know it.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use devpocket_shared::ids::{NodeId, SessionId};
use time::{Duration, OffsetDateTime};

use super::{SessionError, Sessions};
use crate::domain::session::Session;

/// How long a node may be unheard of by every api until what it had is given up. It is taken up again if it comes back.
const UNHEARD_OF: Duration = Duration::days(1);
/// How often it is noted that a node answers.
const NOTED_EVERY: Duration = Duration::minutes(10);

/// What this api has seen of nodes; not state: without it a session stays unreachable for longer.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// Those that have answered over this api's link.
    here: BTreeSet<NodeId>,
    /// The one that was noted last, and when.
    noted: Option<(NodeId, OffsetDateTime)>,
}

impl Sessions {
    /// Notes that a node has answered over this api's link.
    pub(super) async fn note_node(
        &self,
        node: Option<NodeId>,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let Some(node) = node else { return Ok(()) };
        let is_noted = {
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.here.insert(node);
            nodes.noted.is_some_and(|(noted, at)| noted == node && now < at + NOTED_EVERY)
        };
        if !is_noted {
            self.store.note_node(node, now).await?;
            let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
            nodes.noted = Some((node, now));
        }
        Ok(())
    }

    /// Whether a session's node is known not to come back, now that another has answered. There is one place for a node at the
    /// end of a link, so that one which was there before is gone; of another api's node its api says that it is there.
    pub(super) async fn is_replaced(&self, node: NodeId, now: OffsetDateTime) -> Result<bool, SessionError> {
        Ok(self.was_here(node) || self.store.node_seen(node, now).await? + UNHEARD_OF <= now)
    }

    /// Whether a session was where nothing runs now: at the end of this api's link.
    pub(super) async fn is_from_here(&self, session: &Session) -> Result<bool, SessionError> {
        let Some(node) = session.node else { return Ok(true) };
        Ok(self.was_here(node) || !self.store.knows_another_node(node).await?)
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

    fn was_here(&self, node: NodeId) -> bool {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner).here.contains(&node)
    }
}
