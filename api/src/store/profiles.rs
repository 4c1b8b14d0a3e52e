//! What an account changes about itself, and its end, in SQL.

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value as Json};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::gone::note_gone;
use super::statement::sql;
use super::{Changed, Database, ProfileStore, StoreError};
use crate::domain::profile::{Preferences, ProfileChange, Settings, SettingsChange};

#[derive(FromRow)]
struct SettingsRow {
    theme: String,
    timezone: String,
    language: String,
    terminal_preferences: String,
    ai_preferences: String,
    sync_enabled: bool,
    notifications_enabled: bool,
}

impl TryFrom<SettingsRow> for Settings {
    type Error = StoreError;

    fn try_from(row: SettingsRow) -> Result<Self, StoreError> {
        let object = |text: &str| -> Result<Preferences, StoreError> {
            serde_json::from_str::<Map<String, Json>>(text)
                .map_err(|_| StoreError::corrupt("preferences that are no JSON object"))
        };
        Ok(Self {
            terminal_preferences: object(&row.terminal_preferences)?,
            ai_preferences: object(&row.ai_preferences)?,
            theme: row.theme,
            timezone: row.timezone,
            language: row.language,
            sync_enabled: row.sync_enabled,
            notifications_enabled: row.notifications_enabled,
        })
    }
}

#[async_trait]
impl ProfileStore for Database {
    async fn change_profile(&self, id: UserId, change: &ProfileChange) -> Result<Changed, StoreError> {
        let mut transaction = self.begin().await?;
        if let Some(name) = &change.display_name {
            let update = sql("update users set display_name = $2 where id = $1");
            if transaction.execute(update.bind(id).bind(name.as_deref())).await? == 0 {
                return Ok(Changed::NoAccount);
            }
        }
        if let Some(email) = &change.email {
            // Its own address in other letters is no new one.
            let update = sql("update users
                 set is_verified = case when email_key = $3 then is_verified else false end, email = $2, email_key = $3
                 where id = $1 and not exists (select 1 from users where email_key = $3 and id <> $1)");
            match transaction.execute(update.bind(id).bind(email.as_str()).bind(email.key())).await {
                Ok(1..) => {}
                Ok(0) => {
                    let account = sql("select true from users where id = $1").bind(id);
                    let is_there = transaction.optional::<(bool,)>(account).await?.is_some();
                    return Ok(if is_there { Changed::EmailTaken } else { Changed::NoAccount });
                }
                // Of two accounts that take an address at once the constraint lets one have it.
                Err(err) if err.is_duplicate() => return Ok(Changed::EmailTaken),
                Err(err) => return Err(err),
            }
            let delete = sql("delete from mail_tokens where user_id = $1 and email_key <> $2");
            transaction.execute(delete.bind(id).bind(email.key())).await?;
        }
        transaction.commit().await?;
        Ok(Changed::Done)
    }

    async fn settings(&self, id: UserId) -> Result<Option<Settings>, StoreError> {
        let select =
            sql("select theme, timezone, language, terminal_preferences, ai_preferences, sync_enabled,
                 notifications_enabled
             from user_settings where user_id = $1");
        self.optional::<SettingsRow>(select.bind(id)).await?.map(Settings::try_from).transpose()
    }

    async fn change_settings(
        &self,
        id: UserId,
        change: &SettingsChange,
        otherwise: &Settings,
        now: OffsetDateTime,
    ) -> Result<Option<Settings>, StoreError> {
        // One statement, so that of two changes made at once none is lost.
        let upsert = sql("insert into user_settings
                (user_id, theme, timezone, language, terminal_preferences, ai_preferences, sync_enabled,
                 notifications_enabled, updated_at)
             values ($1, coalesce($2, $10), coalesce($3, $11), coalesce($4, $12), coalesce($5, $13),
                 coalesce($6, $14), coalesce($7, $15), coalesce($8, $16), $9)
             on conflict (user_id) do update set
                 theme = coalesce($2, user_settings.theme),
                 timezone = coalesce($3, user_settings.timezone),
                 language = coalesce($4, user_settings.language),
                 terminal_preferences = coalesce($5, user_settings.terminal_preferences),
                 ai_preferences = coalesce($6, user_settings.ai_preferences),
                 sync_enabled = coalesce($7, user_settings.sync_enabled),
                 notifications_enabled = coalesce($8, user_settings.notifications_enabled),
                 updated_at = $9
             returning theme, timezone, language, terminal_preferences, ai_preferences, sync_enabled,
                 notifications_enabled");
        let text = |preferences: &Preferences| Json::Object(preferences.clone()).to_string();
        let upsert = upsert
            .bind(id)
            .bind(change.theme.as_deref())
            .bind(change.timezone.as_deref())
            .bind(change.language.as_deref())
            .bind(change.terminal_preferences.as_ref().map(text).as_deref())
            .bind(change.ai_preferences.as_ref().map(text).as_deref())
            .bind(change.sync_enabled)
            .bind(change.notifications_enabled)
            .bind(now)
            .bind(otherwise.theme.as_str())
            .bind(otherwise.timezone.as_str())
            .bind(otherwise.language.as_str())
            .bind(text(&otherwise.terminal_preferences))
            .bind(text(&otherwise.ai_preferences))
            .bind(otherwise.sync_enabled)
            .bind(otherwise.notifications_enabled);
        match self.optional::<SettingsRow>(upsert).await {
            Ok(row) => row.map(Settings::try_from).transpose(),
            Err(err) if err.is_orphan() => Ok(None),
            Err(err) => Err(err),
        }
    }

    async fn reset_settings(&self, id: UserId) -> Result<bool, StoreError> {
        // Waits for the account's deletion, if that is under way: then it is gone.
        self.execute(sql("delete from user_settings where user_id = $1").bind(id)).await?;
        let account = sql("select true from users where id = $1").bind(id);
        Ok(self.optional::<(bool,)>(account).await?.is_some())
    }

    async fn delete_user(
        &self,
        id: UserId,
        verified: Option<&SecretString>,
        by: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        match self.try_to_delete(id, verified, by, now).await {
            // It waited for one that waited for it (see `Database::execute`), and nothing of it is done.
            Err(err) if err.is_deadlock() => self.try_to_delete(id, verified, by, now).await,
            done => done,
        }
    }
}

impl Database {
    async fn try_to_delete(
        &self,
        id: UserId,
        verified: Option<&SecretString>,
        by: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Option<Vec<DeviceId>>, StoreError> {
        let mut transaction = self.begin().await?;
        // Before the device is looked at: a statement that waited for the account would still see the device as it was
        // before whoever held the account signed it out.
        let lock = sql("select 1 from users where id = $1 for update");
        transaction.lock_in_postgres(lock.bind(id)).await?;
        note_gone(&mut transaction, id, now).await?;
        let select = sql("select id from devices where user_id = $1 and revoked_at is null");
        let devices: Vec<(Uuid,)> = transaction.all(select.bind(id)).await?;
        // Every table that holds something of an account refers to it, and goes with it.
        let delete = sql("delete from users
             where id = $1 and is_active and password_hash is not distinct from $2
                 and exists (select 1 from devices where id = $3 and user_id = $1 and revoked_at is null)");
        let verified = verified.map(ExposeSecret::expose_secret);
        if transaction.execute(delete.bind(id).bind(verified).bind(by)).await? == 0 {
            return Ok(None);
        }
        transaction.commit().await?;
        Ok(Some(devices.into_iter().map(|(id,)| DeviceId::new(id)).collect()))
    }
}
