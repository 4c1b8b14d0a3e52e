//! Accounts that were deleted and of which something may still run, in SQL. Knows nothing of them but their ids.

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, UserId};
use uuid::Uuid;

use super::database::Transaction;
use super::statement::sql;
use super::{Database, StoreError};

/// Deleted accounts.
#[async_trait]
pub trait GoneStore: Send + Sync {
    /// Whether an account of this id was deleted, and what runs of it is to end.
    async fn noted_gone(&self, owner: UserId) -> Result<bool, StoreError>;
    /// Deleted accounts of which something may run at this node: those noted for it, and those of which no node is known.
    async fn gone_at(&self, node: Option<NodeId>) -> Result<Vec<UserId>, StoreError>;
    /// Nothing runs of a deleted account at this node any more; while others are to be told the note stays for them.
    async fn forget_gone(&self, owner: UserId, node: Option<NodeId>) -> Result<(), StoreError>;
}

#[async_trait]
impl GoneStore for Database {
    async fn noted_gone(&self, owner: UserId) -> Result<bool, StoreError> {
        let select = sql("select true from gone_accounts where id = $1").bind(owner);
        Ok(self.optional::<(bool,)>(select).await?.is_some())
    }

    async fn gone_at(&self, node: Option<NodeId>) -> Result<Vec<UserId>, StoreError> {
        let select = sql("select id from gone_accounts
             where not exists (select 1 from gone_account_nodes where account_id = gone_accounts.id)
                 or exists (select 1 from gone_account_nodes where account_id = gone_accounts.id and node_id = $1)");
        let rows: Vec<(Uuid,)> = self.all(select.bind(node)).await?;
        Ok(rows.into_iter().map(|(id,)| UserId::new(id)).collect())
    }

    async fn forget_gone(&self, owner: UserId, node: Option<NodeId>) -> Result<(), StoreError> {
        let told = sql("delete from gone_account_nodes where account_id = $1 and node_id = $2");
        self.execute(told.bind(owner).bind(node)).await?;
        let forget = sql("delete from gone_accounts where id = $1
             and not exists (select 1 from gone_account_nodes where account_id = $1)");
        self.execute(forget.bind(owner)).await?;
        Ok(())
    }
}

/// Notes that an account is being deleted, and the nodes that are to be told: those of sessions that live, that may turn up
/// again, or that its owner deleted while their node was away.
pub(super) async fn note_gone(
    transaction: &mut Transaction,
    id: UserId,
    now: time::OffsetDateTime,
) -> Result<(), StoreError> {
    // Changes nothing: a session that is being entered comes before this, or meets no account any more.
    let lock = sql("update users set is_active = is_active where id = $1").bind(id);
    transaction.execute(lock).await?;
    let note = sql("insert into gone_accounts (id, gone_at) values ($1, $2) on conflict do nothing");
    transaction.execute(note.bind(id).bind(now)).await?;
    let nodes = sql("insert into gone_account_nodes (account_id, node_id)
         select owner_id, node_id from sessions
         where owner_id = $1 and node_id is not null
             and (ended_at is null or (status = 'lost' and node_id in (select id from nodes)))
         union
         select owner_id, node_id from unwanted_sessions where owner_id = $1 and node_id is not null");
    transaction.execute(nodes.bind(id)).await?;
    Ok(())
}
