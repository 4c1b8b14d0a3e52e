//! Sessions in SQL.

mod row;

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, SessionId, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use self::row::SessionRow;
pub(super) use self::row::status as row_status;
use super::statement::{Statement, sql};
use super::{Database, GoneStore, NodeStore, StoreError, WishStore, from_micros, micros};
use crate::domain::session::{Changes, Session, Status};

/// Which sessions of an owner.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SessionFilter {
    /// Those that have not ended alone.
    pub live_only: bool,
    /// Those of this status alone.
    pub status: Option<Status>,
    /// Those that hold this text, in lower case.
    pub text: Option<String>,
    /// Those made at this time or later.
    pub created_after: Option<OffsetDateTime>,
    /// Those made before this time.
    pub created_before: Option<OffsetDateTime>,
}

/// A session that has not ended, as far as the books know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unended {
    /// Its id.
    pub id: SessionId,
    /// Where it is.
    pub node: Option<NodeId>,
    /// `Starting` or `Running`.
    pub status: Status,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// Until when somebody may be asking its node for it, if that was noted since.
    pub asked_until: Option<OffsetDateTime>,
}

/// What became of [`SessionStore::add_session`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Added {
    /// It stands.
    Done,
    /// Another living session of the owner has this name, or any this id.
    NameTaken,
    /// There is no such account.
    OwnerGone,
}

/// What became of [`SessionStore::describe`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Described {
    /// It stands.
    Done,
    /// Another living session of the owner has this name.
    NameTaken,
    /// The owner has no such session.
    NotFound,
}

/// How many sessions of a status an owner has, and their output together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Count {
    /// The status.
    pub status: Status,
    /// How many.
    pub sessions: i64,
    /// Their output, in bytes, as far as the books know.
    pub bytes_out: i64,
}

/// Sessions, the nodes that they are on, and what is wished of them.
#[async_trait]
pub trait SessionStore: NodeStore + WishStore + GoneStore {
    /// Adds a session whose name is to be its own among the living.
    async fn add_session(&self, session: &Session) -> Result<Added, StoreError>;
    /// Whether there is an account of this id.
    async fn has_owner(&self, owner: UserId) -> Result<bool, StoreError>;
    /// Adds a session that its ptyd has made already, under whatever name. One that was believed lost lives again. Nothing
    /// if its owner is gone, or has deleted it.
    async fn adopt_session(&self, session: &Session) -> Result<(), StoreError>;
    /// A session that was starting runs.
    async fn session_started(
        &self,
        id: SessionId,
        node: Option<NodeId>,
        at: OffsetDateTime,
    ) -> Result<(), StoreError>;
    /// Until when somebody may be asking its node for a session that is starting; none: nobody is any more.
    async fn note_asking(&self, id: SessionId, until: Option<OffsetDateTime>) -> Result<(), StoreError>;
    /// A session that has not ended is over without its ptyd saying how: `Failed` or `Lost`.
    async fn session_given_up(
        &self,
        id: SessionId,
        status: Status,
        message: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError>;
    /// A session is lost, if it is still as it was when that was found.
    async fn session_lost(
        &self,
        session: &Unended,
        message: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError>;
    /// A session ended as it says, if it has not before; one that was believed lost, too.
    async fn session_ended(&self, session: &Session) -> Result<(), StoreError>;
    /// A session of an owner.
    async fn session(&self, owner: UserId, id: SessionId) -> Result<Option<Session>, StoreError>;
    /// Sessions of an owner, newest first: `limit` of them after the first `offset`, and how many there are.
    async fn sessions(
        &self,
        owner: UserId,
        filter: &SessionFilter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Session>, i64), StoreError>;
    /// Sessions that have not ended, of an owner or of everybody.
    async fn unended_sessions(&self, owner: Option<UserId>) -> Result<Vec<Unended>, StoreError>;
    /// Sessions of a node that have ended since.
    async fn ended_sessions(&self, node: NodeId, since: OffsetDateTime)
    -> Result<Vec<SessionId>, StoreError>;
    /// Changes name, description, size and limits of a session of an owner: what is given of them, and nothing else.
    async fn describe(
        &self,
        owner: UserId,
        id: SessionId,
        changes: &Changes,
    ) -> Result<Described, StoreError>;
    /// Takes a session of an owner out of the books, which may enter it again; false if there is none.
    async fn delete_session(&self, owner: UserId, id: SessionId) -> Result<bool, StoreError>;
    /// An owner's sessions by status.
    async fn count_sessions(&self, owner: UserId) -> Result<Vec<Count>, StoreError>;
}

#[async_trait]
impl SessionStore for Database {
    async fn add_session(&self, session: &Session) -> Result<Added, StoreError> {
        let mut transaction = self.begin().await?;
        if transaction.execute(lock_names(session.owner)).await? == 0 {
            return Ok(Added::OwnerGone);
        }
        let name = session.name.as_deref();
        let added: Option<(Uuid,)> = transaction.optional(insert(INSERT_NEW, session, name)).await?;
        transaction.commit().await?;
        Ok(if added.is_some() { Added::Done } else { Added::NameTaken })
    }

    async fn has_owner(&self, owner: UserId) -> Result<bool, StoreError> {
        let select = sql("select true from users where id = $1").bind(owner);
        Ok(self.optional::<(bool,)>(select).await?.is_some())
    }

    async fn adopt_session(&self, session: &Session) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        // Its deletion comes before this and is seen, or after it and deletes what is entered here.
        if transaction.execute(lock_names(session.owner)).await? == 0 {
            return Ok(());
        }
        let name = session.name.as_deref();
        let new: Option<(Uuid,)> = transaction.optional(insert(INSERT_NEW, session, name)).await?;
        if new.is_none() {
            // It is there, or its name is taken: names are not refused to who asks over a socket.
            transaction.execute(insert(INSERT_OR_REVIVE, session, None)).await?;
        }
        transaction.commit().await
    }

    async fn session_started(
        &self,
        id: SessionId,
        node: Option<NodeId>,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = sql("update sessions set status = 'running', node_id = $2, started_at = $3
             where id = $1 and status = 'starting'");
        self.execute(update.bind(id).bind(node).bind(at)).await?;
        Ok(())
    }

    async fn note_asking(&self, id: SessionId, until: Option<OffsetDateTime>) -> Result<(), StoreError> {
        let update = sql("update sessions set asked_until = $2 where id = $1 and status = 'starting'");
        self.execute(update.bind(id).bind(until.map_or(0, micros))).await?;
        Ok(())
    }

    async fn session_given_up(
        &self,
        id: SessionId,
        status: Status,
        message: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = sql("update sessions set status = $2, error_message = $3, ended_at = $4
             where id = $1 and ended_at is null");
        self.execute(update.bind(id).bind(status.as_str()).bind(message).bind(at)).await?;
        Ok(())
    }

    async fn session_lost(
        &self,
        session: &Unended,
        message: &str,
        at: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let update = sql("update sessions set status = 'lost', error_message = $2, ended_at = $3
             where id = $1 and ended_at is null and status = $4 and coalesce(asked_until, -1) = $5");
        let update = update.bind(session.id).bind(message).bind(at).bind(session.status.as_str());
        self.execute(update.bind(session.asked_until.map_or(-1, micros))).await?;
        Ok(())
    }

    async fn session_ended(&self, session: &Session) -> Result<(), StoreError> {
        // The start is by an api's clock, the rest by its node's: whatever they say, it comes first.
        let update = sql("update sessions set status = $2,
                 ended_at = case when started_at > $3 then started_at else $3 end,
                 last_activity_at = case when started_at > $4 then started_at else $4 end, exit_code = $5,
                 exit_signal = $6, reason = $7, title = $8, cwd = $9, bytes_out = $10, rows = $11, cols = $12,
                 error_message = null, search_text = search_text || $13,
                 node_id = coalesce(node_id, $14), started_at = coalesce(started_at, created_at), command_count = $15
             where id = $1 and (ended_at is null or status = 'lost')");
        let (code, signal) = row::exit_columns(session.exit.as_ref());
        let title = session.title.as_deref().map(|title| format!("\n{}", title.to_lowercase()));
        self.execute(
            update
                .bind(session.id)
                .bind(session.status.as_str())
                .bind(session.ended_at.map(micros))
                .bind(session.last_activity_at.map(micros))
                .bind(code)
                .bind(signal)
                .bind(session.reason.map(devpocket_shared::wire::EndReason::as_str))
                .bind(session.title.as_deref())
                .bind(session.cwd.as_deref())
                .bind(row::count_column(session.bytes_out))
                .bind(i64::from(session.size.rows()))
                .bind(i64::from(session.size.cols()))
                .bind(title.unwrap_or_default())
                .bind(session.node)
                .bind(row::count_column(session.command_count)),
        )
        .await?;
        Ok(())
    }

    async fn session(&self, owner: UserId, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.optional::<SessionRow>(one(owner, id)).await?.map(Session::try_from).transpose()
    }

    async fn sessions(
        &self,
        owner: UserId,
        filter: &SessionFilter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<Session>, i64), StoreError> {
        let filtered = |statement: Statement| {
            let pattern = filter.text.as_deref().map(row::pattern);
            statement
                .bind(owner)
                .bind(i64::from(filter.live_only))
                .bind(filter.status.map(Status::as_str))
                .bind(pattern.as_deref())
                .bind(filter.created_after.map(micros))
                .bind(filter.created_before.map(micros))
        };
        let select = sql("select id, owner_id, node_id, name, description, command, working_directory, rows, cols,
                 idle_timeout, max_duration, status, created_at, started_at, ended_at, last_activity_at, exit_code,
                 exit_signal, reason, error_message, title, cwd, bytes_out, command_count
             from sessions
             where owner_id = $1 and ($2 = 0 or ended_at is null) and ($3 is null or status = $3)
                 and ($4 is null or search_text like $4 escape '\\') and ($5 is null or created_at >= $5)
                 and ($6 is null or created_at < $6)
             order by created_at desc, id desc limit $7 offset $8");
        let rows: Vec<SessionRow> = self.all(filtered(select).bind(limit).bind(offset)).await?;
        let count = sql("select count(*) from sessions
             where owner_id = $1 and ($2 = 0 or ended_at is null) and ($3 is null or status = $3)
                 and ($4 is null or search_text like $4 escape '\\') and ($5 is null or created_at >= $5)
                 and ($6 is null or created_at < $6)");
        let total: Option<(i64,)> = self.optional(filtered(count)).await?;
        let sessions = rows.into_iter().map(Session::try_from).collect::<Result<_, _>>()?;
        Ok((sessions, total.map_or(0, |(total,)| total)))
    }

    async fn unended_sessions(&self, owner: Option<UserId>) -> Result<Vec<Unended>, StoreError> {
        let select = match owner {
            Some(owner) => sql("select id, node_id, status, created_at, asked_until from sessions
                 where owner_id = $1 and ended_at is null")
            .bind(owner),
            None => sql("select id, node_id, status, created_at, asked_until from sessions
                 where ended_at is null"),
        };
        let rows: Vec<(Uuid, Option<Uuid>, String, i64, Option<i64>)> = self.all(select).await?;
        rows.into_iter()
            .map(|(id, node, status, created_at, asked_until)| {
                Ok(Unended {
                    id: SessionId::new(id),
                    node: node.map(NodeId::new),
                    status: row::status(&status)?,
                    created_at: from_micros(created_at)?,
                    asked_until: asked_until.map(from_micros).transpose()?,
                })
            })
            .collect()
    }

    async fn ended_sessions(
        &self,
        node: NodeId,
        since: OffsetDateTime,
    ) -> Result<Vec<SessionId>, StoreError> {
        // One that is believed lost may turn out to have ended, or to live.
        let select =
            sql("select id from sessions where node_id = $1 and ended_at >= $2 and status <> 'lost'");
        let rows: Vec<(Uuid,)> = self.all(select.bind(node).bind(since)).await?;
        Ok(rows.into_iter().map(|(id,)| SessionId::new(id)).collect())
    }

    async fn describe(
        &self,
        owner: UserId,
        id: SessionId,
        changes: &Changes,
    ) -> Result<Described, StoreError> {
        let mut transaction = self.begin().await?;
        transaction.execute(lock_names(owner)).await?;
        // Changes nothing: of two that change a session at once, one waits and sees what the other did.
        let lock = sql("update sessions set status = status where owner_id = $1 and id = $2");
        transaction.execute(lock.bind(owner).bind(id)).await?;
        let Some(row) = transaction.optional::<SessionRow>(one(owner, id)).await? else {
            return Ok(Described::NotFound);
        };
        let mut session = Session::try_from(row)?;
        session.change(changes);
        let names = !changes.update.name.is_keep();
        if names && !session.has_ended() {
            let taken = sql("select true from sessions
                 where owner_id = $1 and name_key = $2 and id <> $3 and ended_at is null");
            let taken = taken.bind(owner).bind(session.name.as_deref()).bind(id);
            if transaction.optional::<(bool,)>(taken).await?.is_some() {
                return Ok(Described::NameTaken);
            }
        }
        let update = sql("update sessions set name = $3, name_key = case when $4 = 1 then $3 else name_key end,
                 description = $5, rows = $6, cols = $7, idle_timeout = $8, max_duration = $9, search_text = $10
             where owner_id = $1 and id = $2");
        transaction
            .execute(
                update
                    .bind(session.owner)
                    .bind(session.id)
                    .bind(session.name.as_deref())
                    .bind(i64::from(names))
                    .bind(session.description.as_deref())
                    .bind(i64::from(session.size.rows()))
                    .bind(i64::from(session.size.cols()))
                    .bind(session.limits.idle_timeout_secs.map(i64::from))
                    .bind(session.limits.max_duration_secs.map(i64::from))
                    .bind(session.search_text()),
            )
            .await?;
        transaction.commit().await?;
        Ok(Described::Done)
    }

    async fn delete_session(&self, owner: UserId, id: SessionId) -> Result<bool, StoreError> {
        let delete = sql("delete from sessions where owner_id = $1 and id = $2");
        Ok(self.execute(delete.bind(owner).bind(id)).await? > 0)
    }

    async fn count_sessions(&self, owner: UserId) -> Result<Vec<Count>, StoreError> {
        let select = sql("select status, count(*), cast(coalesce(sum(bytes_out), 0) as bigint) from sessions
             where owner_id = $1 group by status");
        let rows: Vec<(String, i64, i64)> = self.all(select.bind(owner)).await?;
        rows.into_iter()
            .map(|(status, sessions, bytes_out)| {
                Ok(Count { status: row::status(&status)?, sessions, bytes_out })
            })
            .collect()
    }
}

const INSERT_NEW: &str = "insert into sessions
        (id, owner_id, node_id, name, name_key, description, command, working_directory, rows, cols, idle_timeout,
         max_duration, status, created_at, started_at, bytes_out, search_text)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16
     where exists (select 1 from users where id = $2) and not exists (select 1 from unwanted_sessions where id = $1)
     on conflict do nothing
     returning id";

const INSERT_OR_REVIVE: &str = "insert into sessions
        (id, owner_id, node_id, name, name_key, description, command, working_directory, rows, cols, idle_timeout,
         max_duration, status, created_at, started_at, bytes_out, search_text)
     select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16
     where exists (select 1 from users where id = $2) and not exists (select 1 from unwanted_sessions where id = $1)
     on conflict (id) do update set
         command = coalesce(sessions.command, excluded.command),
         working_directory = coalesce(sessions.working_directory, excluded.working_directory),
         node_id = case when sessions.status in ('starting', 'lost') then coalesce(excluded.node_id, sessions.node_id)
             else coalesce(sessions.node_id, excluded.node_id) end,
         started_at = coalesce(sessions.started_at, excluded.started_at),
         status = case when sessions.status in ('starting', 'lost') then 'running' else sessions.status end,
         ended_at = case when sessions.status = 'lost' then null else sessions.ended_at end,
         error_message = case when sessions.status = 'lost' then null else sessions.error_message end,
         name_key = case when sessions.status = 'lost' then null else sessions.name_key end
     where sessions.owner_id = excluded.owner_id";

fn insert(text: &'static str, session: &Session, name_key: Option<&str>) -> Statement {
    sql(text)
        .bind(session.id)
        .bind(session.owner)
        .bind(session.node)
        .bind(session.name.as_deref())
        .bind(name_key)
        .bind(session.description.as_deref())
        .bind(row::command_column(&session.command).as_deref())
        .bind(session.working_directory.as_deref())
        .bind(i64::from(session.size.rows()))
        .bind(i64::from(session.size.cols()))
        .bind(session.limits.idle_timeout_secs.map(i64::from))
        .bind(session.limits.max_duration_secs.map(i64::from))
        .bind(session.status.as_str())
        .bind(session.created_at)
        .bind(session.started_at.map(micros))
        .bind(session.search_text())
}

/// A session of an owner.
fn one(owner: UserId, id: SessionId) -> Statement {
    let select = sql("select id, owner_id, node_id, name, description, command, working_directory, rows, cols,
             idle_timeout, max_duration, status, created_at, started_at, ended_at, last_activity_at, exit_code,
             exit_signal, reason, error_message, title, cwd, bytes_out, command_count
         from sessions where owner_id = $1 and id = $2");
    select.bind(owner).bind(id)
}

/// Changes nothing: of two that name, enter or delete a session of one owner at once, one waits.
pub(super) fn lock_names(owner: UserId) -> Statement {
    sql("update users set is_active = is_active where id = $1").bind(owner)
}

#[cfg(test)]
mod tests;
