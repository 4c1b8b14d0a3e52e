//! What an operator does beside the api, in SQL: whose account it is does not matter here.

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, SessionId, UserId};
use time::OffsetDateTime;
use uuid::Uuid;

use super::database::Turn;
use super::devices::sign_out_but;
use super::sessions::row_status;
use super::statement::sql;
use super::users::{UserRow, with_account};
use super::{Created, Database, NewUser, Part, StoreError, from_micros, micros};
use crate::domain::session::Status;
use crate::domain::user::{Tier, User};

/// What an operator gives an account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// May do what administrators may.
    pub is_admin: bool,
    /// What it may use.
    pub tier: Tier,
    /// Until when; none: for good.
    pub tier_until: Option<OffsetDateTime>,
}

/// Which sessions are to end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// One.
    One(SessionId),
    /// All of an account.
    Of(UserId),
    /// All.
    All,
}

/// A session, and whose it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedSession {
    /// Its id.
    pub id: SessionId,
    /// Its owner's name.
    pub username: String,
    /// A name for people.
    pub name: Option<String>,
    /// What became of it, as far as the books know.
    pub status: Status,
    /// When it was asked for.
    pub created_at: OffsetDateTime,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// An operator wants it to end.
    pub end_wanted: bool,
}

/// What an operator does.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Adds an account whose address the operator vouches for.
    async fn add_account(&self, new: &NewUser, grant: Grant) -> Result<Created, StoreError>;
    /// Gives an account another tier; false if there is none.
    async fn set_tier(
        &self,
        id: UserId,
        tier: Tier,
        until: Option<OffsetDateTime>,
    ) -> Result<bool, StoreError>;
    /// A part of the accounts, oldest first, and how many there are.
    async fn accounts(&self, part: Part) -> Result<(Vec<User>, i64), StoreError>;
    /// Sessions that live, or all of them, newest first: a part, and how many there are.
    async fn list_sessions(
        &self,
        owner: Option<UserId>,
        live_only: bool,
        part: Part,
    ) -> Result<(Vec<ListedSession>, i64), StoreError>;
    /// Notes that sessions are to end; those that have not ended yet.
    async fn want_end(&self, which: Ending, now: OffsetDateTime) -> Result<Vec<SessionId>, StoreError>;
    /// Whether there is such a session, of whomever.
    async fn has_session(&self, id: SessionId) -> Result<bool, StoreError>;
    /// Signs every device of an account out; which those are.
    async fn sign_out_all(&self, id: UserId, now: OffsetDateTime) -> Result<Vec<DeviceId>, StoreError>;
    /// Closes an account and signs every device of it out; which those are, none if there is no such account.
    async fn disable_account(
        &self,
        id: UserId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError>;
    /// Opens a closed account again; false if there is none.
    async fn enable_account(&self, id: UserId) -> Result<bool, StoreError>;
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: Uuid,
    username: String,
    name: Option<String>,
    status: String,
    created_at: i64,
    ended_at: Option<i64>,
    end_wanted_at: Option<i64>,
}

#[async_trait]
impl AdminStore for Database {
    async fn add_account(&self, new: &NewUser, grant: Grant) -> Result<Created, StoreError> {
        let mut transaction = self.begin().await?;
        // Beside a registration that would become the first account's.
        transaction.take(Turn::FirstAccount).await?;
        let insert = sql("insert into users
                (id, email, email_key, username, username_key, display_name, password_hash, subscription_tier,
                 is_active, is_verified, is_admin, created_at, subscription_expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, true, true, $9, $10, $11)
             on conflict do nothing
             returning id, email, username, display_name, password_hash, subscription_tier, is_active, is_verified,
                 is_admin, created_at, last_login_at, subscription_expires_at");
        let insert = with_account(insert, new)
            .bind(grant.tier.as_str())
            .bind(grant.is_admin)
            .bind(new.created_at)
            .bind(grant.tier_until.map(micros));
        if let Some(row) = transaction.optional::<UserRow>(insert).await? {
            transaction.commit().await?;
            return Ok(Created::User(Box::new(row.try_into()?)));
        }
        let taken = sql("select true from users where email_key = $1").bind(new.email.key());
        let email_taken = transaction.optional::<(bool,)>(taken).await?.is_some();
        Ok(if email_taken { Created::EmailTaken } else { Created::UsernameTaken })
    }

    async fn set_tier(
        &self,
        id: UserId,
        tier: Tier,
        until: Option<OffsetDateTime>,
    ) -> Result<bool, StoreError> {
        let update =
            sql("update users set subscription_tier = $2, subscription_expires_at = $3 where id = $1");
        let update = update.bind(id).bind(tier.as_str()).bind(until.map(micros));
        Ok(self.execute(update).await? > 0)
    }

    async fn accounts(&self, part: Part) -> Result<(Vec<User>, i64), StoreError> {
        let select =
            sql("select id, email, username, display_name, password_hash, subscription_tier, is_active,
                 is_verified, is_admin, created_at, last_login_at, subscription_expires_at
             from users order by created_at, id limit $1 offset $2");
        let rows: Vec<UserRow> = self.all(select.bind(part.limit).bind(part.offset)).await?;
        let total: Option<(i64,)> = self.optional(sql("select count(*) from users")).await?;
        let users = rows.into_iter().map(User::try_from).collect::<Result<_, _>>()?;
        Ok((users, total.map_or(0, |(total,)| total)))
    }

    async fn list_sessions(
        &self,
        owner: Option<UserId>,
        live_only: bool,
        part: Part,
    ) -> Result<(Vec<ListedSession>, i64), StoreError> {
        let (owner, live_only) = (owner.map(UserId::uuid), i64::from(live_only));
        let select =
            sql("select sessions.id, users.username, sessions.name, sessions.status, sessions.created_at,
                 sessions.ended_at, sessions.end_wanted_at
             from sessions join users on users.id = sessions.owner_id
             where ($1 is null or sessions.owner_id = $1) and ($2 = 0 or sessions.ended_at is null)
             order by sessions.created_at desc, sessions.id desc limit $3 offset $4");
        let select = select.bind(owner).bind(live_only).bind(part.limit).bind(part.offset);
        let rows: Vec<ListedRow> = self.all(select).await?;
        let count = sql("select count(*) from sessions
             where ($1 is null or owner_id = $1) and ($2 = 0 or ended_at is null)");
        let total: Option<(i64,)> = self.optional(count.bind(owner).bind(live_only)).await?;
        let sessions = rows.into_iter().map(ListedSession::try_from).collect::<Result<_, _>>()?;
        Ok((sessions, total.map_or(0, |(total,)| total)))
    }

    async fn want_end(&self, which: Ending, now: OffsetDateTime) -> Result<Vec<SessionId>, StoreError> {
        let (id, owner) = match which {
            Ending::One(id) => (Some(id.uuid()), None),
            Ending::Of(owner) => (None, Some(owner.uuid())),
            Ending::All => (None, None),
        };
        let update = sql("update sessions set end_wanted_at = coalesce(end_wanted_at, $1)
             where ended_at is null and ($2 is null or id = $2) and ($3 is null or owner_id = $3)
             returning id");
        let rows: Vec<(Uuid,)> = self.all(update.bind(now).bind(id).bind(owner)).await?;
        Ok(rows.into_iter().map(|(id,)| SessionId::new(id)).collect())
    }

    async fn has_session(&self, id: SessionId) -> Result<bool, StoreError> {
        let select = sql("select true from sessions where id = $1").bind(id);
        Ok(self.optional::<(bool,)>(select).await?.is_some())
    }

    async fn sign_out_all(&self, id: UserId, now: OffsetDateTime) -> Result<Vec<DeviceId>, StoreError> {
        let mut transaction = self.begin().await?;
        // Changes nothing: it locks the account, so that a login comes before this, and is signed out, or after.
        let lock = sql("update users set is_active = is_active where id = $1");
        transaction.execute(lock.bind(id)).await?;
        let signed_out = sign_out_but(&mut transaction, id, None, now).await?;
        transaction.commit().await?;
        Ok(signed_out)
    }

    async fn disable_account(
        &self,
        id: UserId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut transaction = self.begin().await?;
        let update = sql("update users set is_active = false where id = $1");
        if transaction.execute(update.bind(id)).await? == 0 {
            return Ok(None);
        }
        let signed_out = sign_out_but(&mut transaction, id, None, now).await?;
        transaction.commit().await?;
        Ok(Some(signed_out))
    }

    async fn enable_account(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.execute(sql("update users set is_active = true where id = $1").bind(id)).await? > 0)
    }
}

impl TryFrom<ListedRow> for ListedSession {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: SessionId::new(row.id),
            username: row.username,
            name: row.name,
            status: row_status(&row.status)?,
            created_at: from_micros(row.created_at)?,
            ended_at: row.ended_at.map(from_micros).transpose()?,
            end_wanted: row.end_wanted_at.is_some(),
        })
    }
}
