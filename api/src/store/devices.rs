//! Signed-in devices and their refresh tokens in SQL.

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{DeviceStore, NewRefresh, Rotation, Sqlite, Standing, StoreError, from_micros, micros};
use crate::domain::secret_token::SecretHash;
use crate::domain::user::{DeviceKind, NewDevice};

#[derive(FromRow)]
struct ChainRow {
    user_id: Uuid,
    device_id: Uuid,
    expires_at: i64,
    spent_at: Option<i64>,
}

#[async_trait]
impl DeviceStore for Sqlite {
    async fn sign_in(
        &self,
        device: &NewDevice,
        refresh: NewRefresh,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        sqlx::query(
            "insert into devices (id, user_id, name, device_type, created_at, last_seen_at)
             values ($1, $2, $3, $4, $5, $5)",
        )
        .bind(device.id.uuid())
        .bind(device.user_id.uuid())
        .bind(&device.info.name)
        .bind(device.info.kind.map(DeviceKind::as_str))
        .bind(micros(now))
        .execute(&mut *transaction)
        .await?;
        insert_refresh(&mut transaction, device.id.uuid(), refresh, now).await?;
        sqlx::query("update users set last_login_at = $2 where id = $1")
            .bind(device.user_id.uuid())
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn rotate(
        &self,
        spent: SecretHash,
        next: NewRefresh,
        grace: Duration,
        now: OffsetDateTime,
    ) -> Result<Rotation, StoreError> {
        let mut transaction = self.pool.begin_with("begin immediate").await?;
        let row: Option<ChainRow> = sqlx::query_as(
            "select devices.user_id, refresh_tokens.device_id, refresh_tokens.expires_at, refresh_tokens.spent_at
             from refresh_tokens
             join devices on devices.id = refresh_tokens.device_id
             join users on users.id = devices.user_id
             where refresh_tokens.token_hash = $1 and devices.revoked_at is null and users.is_active = 1",
        )
        .bind(spent.as_bytes())
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(row) = row else { return Ok(Rotation::Refused) };
        let rotation = Rotation::Spent(UserId::new(row.user_id), DeviceId::new(row.device_id));
        if from_micros(row.expires_at)? <= now {
            return Ok(Rotation::Refused);
        }
        if let Some(spent_at) = row.spent_at {
            if from_micros(spent_at)? + grace > now {
                return Ok(rotation);
            }
            sign_out(&mut transaction, row.device_id, now).await?;
            transaction.commit().await?;
            return Ok(Rotation::Reused(DeviceId::new(row.device_id)));
        }
        sqlx::query("update refresh_tokens set spent_at = $2 where token_hash = $1")
            .bind(spent.as_bytes())
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?;
        insert_refresh(&mut transaction, row.device_id, next, now).await?;
        sqlx::query("update devices set last_seen_at = $2 where id = $1")
            .bind(row.device_id)
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?;
        // One that has ended is refused whether it is known or not.
        sqlx::query("delete from refresh_tokens where device_id = $1 and expires_at <= $2")
            .bind(row.device_id)
            .bind(micros(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(rotation)
    }

    async fn standing(&self, user_id: UserId, device_id: DeviceId) -> Result<Standing, StoreError> {
        let is_admin: Option<bool> = sqlx::query_scalar(
            "select users.is_admin from devices join users on users.id = devices.user_id
             where devices.id = $1 and devices.user_id = $2 and devices.revoked_at is null and users.is_active = 1",
        )
        .bind(device_id.uuid())
        .bind(user_id.uuid())
        .fetch_optional(&self.pool)
        .await?;
        Ok(is_admin.map_or(Standing::SignedOut, |is_admin| Standing::SignedIn { is_admin }))
    }

    async fn sign_out(&self, device_id: DeviceId, now: OffsetDateTime) -> Result<(), StoreError> {
        let mut connection = self.pool.acquire().await?;
        sign_out(&mut connection, device_id.uuid(), now).await
    }
}

async fn insert_refresh(
    connection: &mut sqlx::SqliteConnection,
    device_id: Uuid,
    refresh: NewRefresh,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into refresh_tokens (token_hash, device_id, created_at, expires_at) values ($1, $2, $3, $4)",
    )
    .bind(refresh.hash.as_bytes())
    .bind(device_id)
    .bind(micros(now))
    .bind(micros(refresh.expires_at))
    .execute(connection)
    .await?;
    Ok(())
}

async fn sign_out(
    connection: &mut sqlx::SqliteConnection,
    device_id: Uuid,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    sqlx::query("update devices set revoked_at = $2 where id = $1 and revoked_at is null")
        .bind(device_id)
        .bind(micros(now))
        .execute(connection)
        .await?;
    Ok(())
}
