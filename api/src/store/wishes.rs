//! Ends that are wished for in SQL: what is to happen to a session once its node is reached.

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, SessionId, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::sessions::lock_names;
use super::statement::sql;
use super::{Database, StoreError};

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
    /// Deletes a session of an owner and notes that it is to be gone at its node too, so that the books do not take it in
    /// again; false: there is none.
    async fn unwant_session(
        &self,
        owner: UserId,
        id: SessionId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError>;
    /// Notes the same of a session that its node had, whether the books know it yet or not.
    async fn note_unwanted(&self, session: WantedEnd, now: OffsetDateTime) -> Result<(), StoreError>;
    /// Sessions that are to be gone at a node, or at whichever has them.
    async fn unwanted_sessions(&self, node: NodeId) -> Result<Vec<WantedEnd>, StoreError>;
    /// Forgets those noted for a node before a time, and those of which no node is known noted before another.
    async fn forget_unwanted(
        &self,
        node: NodeId,
        before: OffsetDateTime,
        of_no_node_before: OffsetDateTime,
    ) -> Result<(), StoreError>;
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
        transaction.execute(lock_names(owner)).await?;
        let note = sql("insert into unwanted_sessions (id, owner_id, node_id, noted_at)
             select id, owner_id, node_id, $3 from sessions where owner_id = $1 and id = $2
             on conflict (id) do nothing");
        transaction.execute(note.bind(owner).bind(id).bind(now)).await?;
        let delete = sql("delete from sessions where owner_id = $1 and id = $2").bind(owner).bind(id);
        let deleted = transaction.execute(delete).await?;
        transaction.commit().await?;
        Ok(deleted > 0)
    }

    async fn note_unwanted(&self, session: WantedEnd, now: OffsetDateTime) -> Result<(), StoreError> {
        let WantedEnd { owner, id, node } = session;
        let mut transaction = self.begin().await?;
        transaction.execute(lock_names(owner)).await?;
        let note = sql("insert into unwanted_sessions (id, owner_id, node_id, noted_at)
             select $1, $2, $3, $4 where exists (select 1 from users where id = $2)
             on conflict (id) do update set noted_at = excluded.noted_at");
        transaction.execute(note.bind(id).bind(owner).bind(node).bind(now)).await?;
        transaction.commit().await
    }

    async fn unwanted_sessions(&self, node: NodeId) -> Result<Vec<WantedEnd>, StoreError> {
        let select = sql("select owner_id, id, node_id from unwanted_sessions
             where node_id = $1 or node_id is null");
        let rows: Vec<(Uuid, Uuid, Option<Uuid>)> = self.all(select.bind(node)).await?;
        Ok(rows.into_iter().map(|(owner, id, node)| wanted_end(owner, id, node)).collect())
    }

    async fn forget_unwanted(
        &self,
        node: NodeId,
        before: OffsetDateTime,
        of_no_node_before: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let forget = sql("delete from unwanted_sessions
             where (node_id = $1 and noted_at < $2) or (node_id is null and noted_at < $3)");
        self.execute(forget.bind(node).bind(before).bind(of_no_node_before)).await?;
        Ok(())
    }
}

fn wanted_end(owner: Uuid, id: Uuid, node: Option<Uuid>) -> WantedEnd {
    WantedEnd { owner: UserId::new(owner), id: SessionId::new(id), node: node.map(NodeId::new) }
}
