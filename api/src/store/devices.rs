//! Signed-in devices and their refresh tokens in SQL.

use std::net::IpAddr;

use async_trait::async_trait;
use devpocket_shared::ids::{DeviceId, UserId};
use secrecy::ExposeSecret;
use sqlx::FromRow;
use time::{Duration, OffsetDateTime};
use tokio::time::timeout;
use uuid::Uuid;

use super::database::Transaction;
use super::statement::{sql, timed_out};
use super::{
    Database, DeviceStore, NewRefresh, Part, Rotation, Standing, StoreError, Successor, from_micros,
};
use crate::domain::secret_token::{Salt, SecretHash};
use crate::domain::user::{Device, DeviceInfo, DeviceKind, NewDevice, Tier};

/// How long a device is kept that cannot go on: whoever looks into what happened has a month.
const KEPT: Duration = Duration::days(30);

/// Addresses of an account that are looked at: more than a person has been at within a month or two.
const MOST_ADDRESSES: i64 = 200;

/// How long a look at a device may take: each request and each socket waits for one first, and can do without its answer
/// (DESIGN section 9). Longer than the wait for a connection.
const STANDING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);

#[derive(FromRow)]
struct ChainRow {
    user_id: Uuid,
    device_id: Uuid,
    expires_at: i64,
    spent_at: Option<i64>,
    successor_salt: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct DeviceRow {
    id: Uuid,
    name: Option<String>,
    device_type: Option<String>,
    created_at: i64,
    last_seen_at: i64,
    address: Option<String>,
    revoked_at: Option<i64>,
    total: i64,
}

#[async_trait]
impl DeviceStore for Database {
    async fn sign_in(
        &self,
        device: &NewDevice,
        refresh: NewRefresh,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        // First: it locks the account, so that a new password comes before this, and is seen, or after, and signs this out.
        let update = sql("update users set last_login_at = $3
             where id = $1 and is_active and password_hash is not distinct from $2");
        let password = device.password_hash.as_ref().map(ExposeSecret::expose_secret);
        if transaction.execute(update.bind(device.user_id).bind(password).bind(now)).await? == 0 {
            return Ok(false);
        }
        let insert =
            sql("insert into devices (id, user_id, name, device_type, created_at, last_seen_at, address)
             values ($1, $2, $3, $4, $5, $5, $6)");
        transaction
            .execute(
                insert
                    .bind(device.id)
                    .bind(device.user_id)
                    .bind(device.info.name.as_deref())
                    .bind(device.info.kind.map(DeviceKind::as_str))
                    .bind(now)
                    .bind(device.address.to_canonical().to_string()),
            )
            .await?;
        insert_refresh(&mut transaction, device.id, refresh, now).await?;
        // Nobody asks for these any more; without it an account would grow by a row with each login for ever.
        let delete = sql("delete from devices
             where user_id = $1 and (revoked_at <= $2
                 or not exists (select 1 from refresh_tokens where device_id = devices.id and expires_at > $2))");
        transaction.execute(delete.bind(device.user_id).bind(now - KEPT)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    async fn rotate(
        &self,
        spent: SecretHash,
        next: Successor,
        grace: Duration,
        address: IpAddr,
        now: OffsetDateTime,
    ) -> Result<Rotation, StoreError> {
        let mut transaction = self.begin().await?;
        // The device before its token, as a deletion of its account does, so that the two never wait for each other. Not by
        // an update that changes nothing: PostgreSQL would ask for the account at the next one, and wait for its deletion.
        let lock = sql("select 1 from devices
             where id = (select device_id from refresh_tokens where token_hash = $1) for no key update");
        transaction.lock_in_postgres(lock.bind(spent.as_bytes())).await?;
        // Changes nothing: it locks the token, in either dialect, so that of many who show it one spends it.
        let lock = sql("update refresh_tokens set spent_at = spent_at where token_hash = $1");
        transaction.execute(lock.bind(spent.as_bytes())).await?;
        let select = sql(
            "select devices.user_id, refresh_tokens.device_id, refresh_tokens.expires_at, refresh_tokens.spent_at,
                 refresh_tokens.successor_salt
             from refresh_tokens
             join devices on devices.id = refresh_tokens.device_id
             join users on users.id = devices.user_id
             where refresh_tokens.token_hash = $1 and devices.revoked_at is null and users.is_active",
        );
        let row: Option<ChainRow> = transaction.optional(select.bind(spent.as_bytes())).await?;
        let Some(row) = row else { return Ok(Rotation::Refused) };
        let (user_id, device_id) = (UserId::new(row.user_id), DeviceId::new(row.device_id));
        if from_micros(row.expires_at)? <= now {
            return Ok(Rotation::Refused);
        }
        if let Some(spent_at) = row.spent_at {
            if from_micros(spent_at)? + grace > now {
                // A release that knows no salts spent it: its successor cannot be told.
                let salt = row.successor_salt.as_deref().and_then(Salt::from_bytes);
                return Ok(
                    salt.map_or(Rotation::Refused, |salt| Rotation::SpentBefore(user_id, device_id, salt))
                );
            }
            let update = sql("update devices set revoked_at = $2 where id = $1 and revoked_at is null");
            transaction.execute(update.bind(device_id).bind(now)).await?;
            transaction.commit().await?;
            return Ok(Rotation::Reused(device_id));
        }
        // Nobody is given those any more, and with an old token they would lead to the newest.
        let forget =
            sql("update refresh_tokens set successor_salt = null where device_id = $1 and spent_at <= $2");
        transaction.execute(forget.bind(device_id).bind(now - grace)).await?;
        let update =
            sql("update refresh_tokens set spent_at = $2, successor_salt = $3 where token_hash = $1");
        let update = update.bind(spent.as_bytes()).bind(now).bind(next.salt.as_bytes());
        transaction.execute(update).await?;
        insert_refresh(&mut transaction, device_id, next.refresh, now).await?;
        let update = sql("update devices set last_seen_at = $2, address = $3 where id = $1");
        let address = address.to_canonical().to_string();
        transaction.execute(update.bind(device_id).bind(now).bind(address)).await?;
        // One that has ended is refused whether it is known or not.
        let delete = sql("delete from refresh_tokens where device_id = $1 and expires_at <= $2");
        transaction.execute(delete.bind(device_id).bind(now)).await?;
        transaction.commit().await?;
        Ok(Rotation::Spent(user_id, device_id))
    }

    async fn standing(
        &self,
        user_id: UserId,
        device_id: DeviceId,
        now: OffsetDateTime,
    ) -> Result<Standing, StoreError> {
        let select = sql("select users.is_admin,
                 case when users.subscription_expires_at <= $3 then 'free' else users.subscription_tier end
             from devices join users on users.id = devices.user_id
             where devices.id = $1 and devices.user_id = $2 and devices.revoked_at is null and users.is_active");
        let asked = self.optional(select.bind(device_id).bind(user_id).bind(now));
        let answer = timeout(STANDING_TIMEOUT, asked).await;
        let row: Option<(bool, String)> = answer.map_err(|_| StoreError::from(timed_out()))??;
        let Some((is_admin, tier)) = row else { return Ok(Standing::SignedOut) };
        let tier = Tier::from_word(&tier).ok_or_else(|| StoreError::corrupt("a tier that is none"))?;
        Ok(Standing::SignedIn { is_admin, tier })
    }

    async fn sign_out(
        &self,
        user_id: UserId,
        device_id: DeviceId,
        now: OffsetDateTime,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        // What the device does to its account at this moment comes before this, or after, and is refused.
        let lock = sql("select 1 from users where id = $1 for no key update");
        transaction.lock_in_postgres(lock.bind(user_id)).await?;
        let update =
            sql("update devices set revoked_at = $3 where id = $1 and user_id = $2 and revoked_at is null");
        let signed_out = transaction.execute(update.bind(device_id).bind(user_id).bind(now)).await?;
        transaction.commit().await?;
        Ok(signed_out > 0)
    }

    async fn devices(
        &self,
        user_id: UserId,
        part: Part,
        now: OffsetDateTime,
    ) -> Result<(Vec<Device>, i64), StoreError> {
        // The count stands beside every row: one statement, so that the two agree. A part beyond the end has no row.
        let select = sql("select id, name, device_type, created_at, last_seen_at, address, revoked_at,
                 count(*) over () as total
             from devices
             where user_id = $1 and revoked_at is null
                 and exists (select 1 from refresh_tokens where device_id = devices.id and expires_at > $2)
             order by last_seen_at desc, id desc
             limit $3 offset $4");
        let select = select.bind(user_id).bind(now).bind(part.limit).bind(part.offset);
        let rows: Vec<DeviceRow> = self.all(select).await?;
        let total = match rows.first() {
            Some(row) => row.total,
            None => {
                let count = sql("select count(*) from devices
                     where user_id = $1 and revoked_at is null
                         and exists (select 1 from refresh_tokens where device_id = devices.id and expires_at > $2)");
                self.optional::<(i64,)>(count.bind(user_id).bind(now)).await?.map_or(0, |(total,)| total)
            }
        };
        Ok((rows.into_iter().map(Device::try_from).collect::<Result<_, _>>()?, total))
    }

    async fn addresses(
        &self,
        user_id: UserId,
        since_before: OffsetDateTime,
    ) -> Result<Vec<IpAddr>, StoreError> {
        let select = sql("select address from devices
             where user_id = $1 and address is not null and created_at < $2
             group by address
             order by max(last_seen_at) desc
             limit $3");
        let select = select.bind(user_id).bind(since_before).bind(MOST_ADDRESSES);
        let rows: Vec<(String,)> = self.all(select).await?;
        Ok(rows.into_iter().filter_map(|(address,)| address.parse().ok()).collect())
    }

    async fn all_devices(&self, user_id: UserId) -> Result<Vec<Device>, StoreError> {
        let select = sql("select id, name, device_type, created_at, last_seen_at, address, revoked_at,
                 count(*) over () as total
             from devices where user_id = $1
             order by last_seen_at desc, id desc");
        let rows: Vec<DeviceRow> = self.all(select.bind(user_id)).await?;
        rows.into_iter().map(Device::try_from).collect()
    }
}

impl TryFrom<DeviceRow> for Device {
    type Error = StoreError;

    fn try_from(row: DeviceRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: DeviceId::new(row.id),
            info: DeviceInfo {
                name: row.name,
                kind: row.device_type.as_deref().and_then(DeviceKind::from_word),
            },
            created_at: from_micros(row.created_at)?,
            last_seen_at: from_micros(row.last_seen_at)?,
            address: row.address.and_then(|address| address.parse().ok()),
            signed_out_at: row.revoked_at.map(from_micros).transpose()?,
        })
    }
}

/// Signs every device of an account out but one; which those are. The account is locked.
pub(super) async fn sign_out_but(
    transaction: &mut Transaction,
    user_id: UserId,
    kept: Option<DeviceId>,
    now: OffsetDateTime,
) -> Result<Vec<DeviceId>, StoreError> {
    let update = sql("update devices set revoked_at = $3
         where user_id = $1 and ($2 is null or id <> $2) and revoked_at is null
         returning id");
    let update = update.bind(user_id).bind(kept.map(DeviceId::uuid)).bind(now);
    let signed_out: Vec<(Uuid,)> = transaction.all(update).await?;
    Ok(signed_out.into_iter().map(|(id,)| DeviceId::new(id)).collect())
}

async fn insert_refresh(
    transaction: &mut Transaction,
    device_id: DeviceId,
    refresh: NewRefresh,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let insert = sql(
        "insert into refresh_tokens (token_hash, device_id, created_at, expires_at) values ($1, $2, $3, $4)",
    );
    let insert = insert.bind(refresh.hash.as_bytes()).bind(device_id).bind(now).bind(refresh.expires_at);
    transaction.execute(insert).await?;
    Ok(())
}
