//! Nodes in SQL: which have answered, and when.

use async_trait::async_trait;
use devpocket_shared::ids::NodeId;
use time::{Duration, OffsetDateTime};

use super::statement::sql;
use super::{Database, StoreError, from_micros};

/// How long a node is remembered that does not answer: longer than anybody waits for what it had.
const KEPT: Duration = Duration::days(30);

/// Nodes.
#[async_trait]
pub trait NodeStore: Send + Sync {
    /// Notes that a node has answered.
    async fn note_node(&self, node: NodeId, now: OffsetDateTime) -> Result<(), StoreError>;
    /// When a node last answered; of one that is not known, that it is asked for now is noted.
    async fn node_seen(&self, node: NodeId, now: OffsetDateTime) -> Result<OffsetDateTime, StoreError>;
    /// Whether any node but this is known.
    async fn knows_another_node(&self, node: NodeId) -> Result<bool, StoreError>;
}

#[async_trait]
impl NodeStore for Database {
    async fn note_node(&self, node: NodeId, now: OffsetDateTime) -> Result<(), StoreError> {
        let note = sql("insert into nodes (id, seen_at) values ($1, $2)
             on conflict (id) do update set seen_at = excluded.seen_at where nodes.seen_at < excluded.seen_at");
        self.execute(note.bind(node).bind(now)).await?;
        self.execute(sql("delete from nodes where seen_at <= $1").bind(now - KEPT)).await?;
        Ok(())
    }

    async fn node_seen(&self, node: NodeId, now: OffsetDateTime) -> Result<OffsetDateTime, StoreError> {
        let note = sql("insert into nodes (id, seen_at) values ($1, $2) on conflict do nothing");
        self.execute(note.bind(node).bind(now)).await?;
        let select = sql("select seen_at from nodes where id = $1").bind(node);
        self.optional::<(i64,)>(select).await?.map_or(Ok(now), |(seen_at,)| from_micros(seen_at))
    }

    async fn knows_another_node(&self, node: NodeId) -> Result<bool, StoreError> {
        let select = sql("select true from nodes where id <> $1 limit 1").bind(node);
        Ok(self.optional::<(bool,)>(select).await?.is_some())
    }
}
