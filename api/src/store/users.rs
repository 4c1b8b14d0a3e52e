//! Accounts in SQL.

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::database::Turn;
use super::devices::sign_out_but;
use super::statement::{Statement, sql};
use super::{Created, Database, NewUser, StoreError, UserStore, from_micros};
use crate::domain::user::{LoginName, Tier, User};

#[derive(FromRow)]
pub(super) struct UserRow {
    id: Uuid,
    email: String,
    username: String,
    display_name: Option<String>,
    password_hash: Option<String>,
    subscription_tier: String,
    is_active: bool,
    is_verified: bool,
    is_admin: bool,
    created_at: i64,
    last_login_at: Option<i64>,
    subscription_expires_at: Option<i64>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let tier = Tier::from_word(&row.subscription_tier)
            .ok_or_else(|| StoreError::corrupt("a tier that is none"))?;
        Ok(Self {
            id: UserId::new(row.id),
            email: row.email,
            username: row.username,
            display_name: row.display_name,
            password_hash: row.password_hash.map(SecretString::from),
            tier,
            tier_until: row.subscription_expires_at.map(from_micros).transpose()?,
            is_active: row.is_active,
            is_verified: row.is_verified,
            is_admin: row.is_admin,
            created_at: from_micros(row.created_at)?,
            last_login_at: row.last_login_at.map(from_micros).transpose()?,
        })
    }
}

/// Binds the first seven values of an account that is made.
pub(super) fn with_account(insert: Statement, new: &NewUser) -> Statement {
    insert
        .bind(new.id)
        .bind(new.email.as_str())
        .bind(new.email.key())
        .bind(new.username.as_str())
        .bind(new.username.key())
        .bind(new.display_name.as_deref())
        .bind(new.password_hash.as_ref().map(ExposeSecret::expose_secret))
}

#[async_trait]
impl UserStore for Database {
    async fn create_user(&self, new: &NewUser) -> Result<Created, StoreError> {
        let mut transaction = self.begin().await?;
        if new.if_first.is_some() {
            transaction.take(Turn::FirstAccount).await?;
        }
        let insert = sql("insert into users
                (id, email, email_key, username, username_key, display_name, password_hash, subscription_tier,
                 is_active, is_verified, is_admin, created_at)
             select $1, $2, $3, $4, $5, $6, $7, case when first.it then $8 else 'free' end, true, false, first.it, $9
             from (select $8 is not null and not exists (select 1 from users) as it) as first
             where true
             on conflict do nothing
             returning id, email, username, display_name, password_hash, subscription_tier, is_active, is_verified,
                 is_admin, created_at, last_login_at, subscription_expires_at");
        let row: Option<UserRow> = transaction
            .optional(with_account(insert, new).bind(new.if_first.map(Tier::as_str)).bind(new.created_at))
            .await?;
        if let Some(row) = row {
            transaction.commit().await?;
            return Ok(Created::User(Box::new(row.try_into()?)));
        }
        let email_taken: Option<(bool,)> = transaction
            .optional(sql("select true from users where email_key = $1").bind(new.email.key()))
            .await?;
        Ok(if email_taken.is_some() { Created::EmailTaken } else { Created::UsernameTaken })
    }

    async fn create_owner(&self, new: &NewUser, tier: Tier) -> Result<Option<User>, StoreError> {
        let mut transaction = self.begin().await?;
        transaction.take(Turn::FirstAccount).await?;
        let insert = sql("insert into users
                (id, email, email_key, username, username_key, display_name, password_hash, subscription_tier,
                 is_active, is_verified, is_admin, created_at)
             select $1, $2, $3, $4, $5, $6, null, $7, true, true, true, $8
             where not exists (select 1 from users)
             on conflict do nothing
             returning id, email, username, display_name, password_hash, subscription_tier, is_active, is_verified,
                 is_admin, created_at, last_login_at, subscription_expires_at");
        let row: Option<UserRow> = transaction
            .optional(
                insert
                    .bind(new.id)
                    .bind(new.email.as_str())
                    .bind(new.email.key())
                    .bind(new.username.as_str())
                    .bind(new.username.key())
                    .bind(new.display_name.as_deref())
                    .bind(tier.as_str())
                    .bind(new.created_at),
            )
            .await?;
        transaction.commit().await?;
        row.map(User::try_from).transpose()
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        let select =
            sql("select id, email, username, display_name, password_hash, subscription_tier, is_active,
                 is_verified, is_admin, created_at, last_login_at, subscription_expires_at
             from users where id = $1");
        self.optional::<UserRow>(select.bind(id)).await?.map(User::try_from).transpose()
    }

    async fn user_by_login(&self, name: &LoginName) -> Result<Option<User>, StoreError> {
        let (email, username) = keys(name);
        let select =
            sql("select id, email, username, display_name, password_hash, subscription_tier, is_active,
                 is_verified, is_admin, created_at, last_login_at, subscription_expires_at
             from users where email_key = $1 or username_key = $2");
        self.optional::<UserRow>(select.bind(email).bind(username)).await?.map(User::try_from).transpose()
    }

    async fn id_by_login(&self, name: &LoginName) -> Result<Option<UserId>, StoreError> {
        let (email, username) = keys(name);
        // A row either way, and as little of it.
        let select = sql("select (select id from users where email_key = $1 or username_key = $2)");
        let row: Option<(Option<Uuid>,)> = self.optional(select.bind(email).bind(username)).await?;
        Ok(row.and_then(|(id,)| id).map(UserId::new))
    }

    async fn oldest_admin(&self) -> Result<Option<User>, StoreError> {
        let select =
            sql("select id, email, username, display_name, password_hash, subscription_tier, is_active,
                 is_verified, is_admin, created_at, last_login_at, subscription_expires_at
             from users where is_admin and is_active
             order by created_at, id limit 1");
        self.optional::<UserRow>(select).await?.map(User::try_from).transpose()
    }

    async fn any_user(&self) -> Result<bool, StoreError> {
        let any: Option<(bool,)> = self.optional(sql("select true from users limit 1")).await?;
        Ok(any.is_some())
    }

    async fn change_password(
        &self,
        id: UserId,
        old: Option<&SecretString>,
        new: &SecretString,
        keep: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut transaction = self.begin().await?;
        // Before the device is looked at: a statement that waited for the account would still see the device as it was
        // before whoever held the account signed it out.
        let lock = sql("select 1 from users where id = $1 for no key update");
        transaction.lock_in_postgres(lock.bind(id)).await?;
        let update = sql("update users set password_hash = $3
             where id = $1 and is_active and password_hash is not distinct from $2
                 and exists (select 1 from devices where id = $4 and user_id = $1 and revoked_at is null)");
        let old = old.map(ExposeSecret::expose_secret);
        if transaction.execute(update.bind(id).bind(old).bind(new).bind(keep)).await? == 0 {
            return Ok(None);
        }
        let signed_out = sign_out_but(&mut transaction, id, Some(keep), now).await?;
        transaction.commit().await?;
        Ok(Some(signed_out))
    }
}

/// A name as the columns it may be in have it. One query for both kinds: it takes the same time whichever it is.
fn keys(name: &LoginName) -> (Option<&str>, Option<&str>) {
    match name {
        LoginName::Email(key) => (Some(key.as_str()), None),
        LoginName::Username(key) => (None, Some(key.as_str())),
    }
}
