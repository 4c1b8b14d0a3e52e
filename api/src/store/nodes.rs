//! Nodes and apis in SQL: which have answered, and when.

use async_trait::async_trait;
use devpocket_shared::ids::NodeId;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::statement::sql;
use super::{Database, StoreError, from_micros};

/// How long what is to be done at a node that does not answer is remembered, and it: longer than anybody waits for it.
const KEPT: Duration = Duration::days(30);
/// How long an api is remembered that is not seen.
const API_KEPT: Duration = Duration::days(1);

/// Names one process of an api.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ApiId(Uuid);

impl ApiId {
    /// Names this one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

/// A node that has answered, by the clocks of the apis that noted it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SeenNode {
    /// Which.
    pub id: NodeId,
    /// When it answered first.
    pub first_at: OffsetDateTime,
    /// When it answered last.
    pub seen_at: OffsetDateTime,
}

/// Nodes, and the apis that reach them.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// Notes that a node has answered.
    async fn note_node(&self, node: NodeId, now: OffsetDateTime) -> Result<(), StoreError>;
    /// Nodes that have answered.
    async fn seen_nodes(&self) -> Result<Vec<SeenNode>, StoreError>;
    /// Whether any other node has answered since this one first did.
    async fn knows_node_beside(&self, node: NodeId) -> Result<bool, StoreError>;
    /// Notes that an api runs.
    async fn note_api(&self, api: ApiId, now: OffsetDateTime) -> Result<(), StoreError>;
    /// Apis, and when they noted last that they run.
    async fn seen_apis(&self) -> Result<Vec<(ApiId, OffsetDateTime)>, StoreError>;
    /// Forgets what was noted too long ago to matter: nodes, apis, and what was to be done at nodes that never came back.
    async fn forget_old(&self, now: OffsetDateTime) -> Result<(), StoreError>;
    /// Gives up what a node that is gone for good had, and forgets it: how many sessions live no more; none: nothing is known
    /// of it.
    async fn forget_node(
        &self,
        node: NodeId,
        message: &str,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, StoreError>;
}

#[async_trait]
impl NodeStore for Database {
    async fn note_node(&self, node: NodeId, now: OffsetDateTime) -> Result<(), StoreError> {
        // Also an earlier time: the clock that it is from may have been wrong before.
        let note = sql("insert into nodes (id, seen_at, first_at) values ($1, $2, $2)
             on conflict (id) do update set seen_at = excluded.seen_at");
        self.execute(note.bind(node).bind(now)).await?;
        Ok(())
    }

    async fn seen_nodes(&self) -> Result<Vec<SeenNode>, StoreError> {
        let rows: Vec<(Uuid, i64, i64)> = self.all(sql("select id, first_at, seen_at from nodes")).await?;
        let seen = |(id, first_at, seen_at)| {
            Ok(SeenNode {
                id: NodeId::new(id),
                first_at: from_micros(first_at)?,
                seen_at: from_micros(seen_at)?,
            })
        };
        rows.into_iter().map(seen).collect()
    }

    async fn knows_node_beside(&self, node: NodeId) -> Result<bool, StoreError> {
        let select = sql("select true from nodes
             where id <> $1 and seen_at >= coalesce((select first_at from nodes where id = $1), 0) limit 1");
        Ok(self.optional::<(bool,)>(select.bind(node)).await?.is_some())
    }

    async fn note_api(&self, api: ApiId, now: OffsetDateTime) -> Result<(), StoreError> {
        let note = sql("insert into apis (id, seen_at) values ($1, $2)
             on conflict (id) do update set seen_at = excluded.seen_at");
        self.execute(note.bind(api.0).bind(now)).await?;
        Ok(())
    }

    async fn seen_apis(&self) -> Result<Vec<(ApiId, OffsetDateTime)>, StoreError> {
        let rows: Vec<(Uuid, i64)> = self.all(sql("select id, seen_at from apis")).await?;
        rows.into_iter().map(|(id, seen_at)| Ok((ApiId(id), from_micros(seen_at)?))).collect()
    }

    async fn forget_old(&self, now: OffsetDateTime) -> Result<(), StoreError> {
        self.execute(sql("delete from apis where seen_at <= $1").bind(now - API_KEPT)).await?;
        for delete in [
            sql("delete from nodes where seen_at <= $1"),
            sql("delete from unwanted_sessions where noted_at <= $1"),
            sql("delete from gone_accounts where gone_at <= $1"),
        ] {
            self.execute(delete.bind(now - KEPT)).await?;
        }
        Ok(())
    }

    async fn forget_node(
        &self,
        node: NodeId,
        message: &str,
        now: OffsetDateTime,
    ) -> Result<Option<u64>, StoreError> {
        let mut transaction = self.begin().await?;
        let update = sql("update sessions set status = 'lost', error_message = $2, ended_at = $3
             where node_id = $1 and ended_at is null");
        let lost = transaction.execute(update.bind(node).bind(message).bind(now)).await?;
        let unwanted = sql("delete from unwanted_sessions where node_id = $1").bind(node);
        let unwanted = transaction.execute(unwanted).await?;
        // Who is noted for no node is forgotten at the next look at any.
        let told = sql("delete from gone_account_nodes where node_id = $1").bind(node);
        transaction.execute(told).await?;
        let known = transaction.execute(sql("delete from nodes where id = $1").bind(node)).await?;
        transaction.commit().await?;
        Ok((known + unwanted + lost > 0).then_some(lost))
    }
}
