//! Ends that are wished for in SQL: what is to happen to a session once its node is reached.

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, SessionId, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::statement::sql;
use super::{Database, StoreError, from_micros};

/// A session that somebody wants to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WantedEnd {
    /// Whose it is.
    pub owner: UserId,
    /// Its id.
    pub id: SessionId,
    /// Where it is; none: no node has answered for it yet.
    pub node: Option<NodeId>,
}

/// A session that is to be gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unwanted {
    /// The session.
    pub session: WantedEnd,
    /// Since when.
    pub noted_at: OffsetDateTime,
}

/// Wishes about sessions.
#[async_trait]
pub trait WishStore: Send + Sync {
    /// Notes that a session of an owner is to end, and frees its name; false: none lives.
    async fn want_end_of(
        &self,
        owner: UserId,
        id: SessionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// Sessions that have not ended and are to.
    async fn wanted_ends(&self) -> Result<Vec<WantedEnd>, StoreError>;
    /// Deletes a session of an owner and notes that it is to be gone at its node too; false: there is none.
    async fn unwant_session(
        &self,
        owner: UserId,
        id: SessionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// Sessions that are to be gone at a node, or at whichever has them.
    async fn unwanted_sessions(&self, node: NodeId) -> Result<Vec<Unwanted>, StoreError>;
    /// A session that was to be gone is.
    async fn session_is_gone(&self, id: SessionId) -> Result<(), StoreError>;
}

#[async_trait]
impl WishStore for Database {
    async fn want_end_of(
        &self,
        owner: UserId,
        id: SessionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let update = sql("update sessions set end_wanted_at = coalesce(end_wanted_at, $3), name_key = null
             where owner_id = $1 and id = $2 and ended_at is null");
        Ok(self.execute(update.bind(owner).bind(id).bind(now)).await? > 0)
    }

    async fn wanted_ends(&self) -> Result<Vec<WantedEnd>, StoreError> {
        let select = sql("select owner_id, id, node_id from sessions
             where end_wanted_at is not null and ended_at is null");
        let rows: Vec<(Uuid, Uuid, Option<Uuid>)> = self.all(select).await?;
        Ok(rows.into_iter().map(|(owner, id, node)| wanted_end(owner, id, node)).collect())
    }

    async fn unwant_session(
        &self,
        owner: UserId,
        id: SessionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let note = sql("insert into unwanted_sessions (id, owner_id, node_id, noted_at)
             select id, owner_id, node_id, $3 from sessions where owner_id = $1 and id = $2
             on conflict (id) do nothing");
        transaction.execute(note.bind(owner).bind(id).bind(now)).await?;
        let delete = sql("delete from sessions where owner_id = $1 and id = $2").bind(owner).bind(id);
        let deleted = transaction.execute(delete).await?;
        transaction.commit().await?;
        Ok(deleted > 0)
    }

    async fn unwanted_sessions(&self, node: NodeId) -> Result<Vec<Unwanted>, StoreError> {
        let select = sql("select owner_id, id, node_id, noted_at from unwanted_sessions
             where node_id = $1 or node_id is null");
        let rows: Vec<(Uuid, Uuid, Option<Uuid>, i64)> = self.all(select.bind(node)).await?;
        let unwanted = |(owner, id, node, noted_at)| {
            Ok(Unwanted { session: wanted_end(owner, id, node), noted_at: from_micros(noted_at)? })
        };
        rows.into_iter().map(unwanted).collect()
    }

    async fn session_is_gone(&self, id: SessionId) -> Result<(), StoreError> {
        self.execute(sql("delete from unwanted_sessions where id = $1").bind(id)).await?;
        Ok(())
    }
}

fn wanted_end(owner: Uuid, id: Uuid, node: Option<Uuid>) -> WantedEnd {
    WantedEnd { owner: UserId::new(owner), id: SessionId::new(id), node: node.map(NodeId::new) }
}
