//! The devices an account is signed in on, as an operator sees and ends them.

use std::time::Duration;

use devpocket_shared::ids::DeviceId;
use secrecy::SecretString;
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{AdminError, Outcome, Page, find_user, table, written};
use crate::config::AgreementArgs;
use crate::coordination::RedisCoordination;
use crate::domain::coordination::Coordination;
use crate::domain::token::outliving;
use crate::domain::user::{Device, DeviceKind};
use crate::store::{AdminStore, Database, DeviceStore, Part};

/// How long Redis is tried, and how often.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(200);
/// What is said if it could not be told.
pub(super) const NOT_TOLD: &str = "; Redis did not answer: should the database be away within the life of an access token, they are \
    taken for signed in until it is back";

/// `list-devices`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListDevices {
    /// Name, mail address or id of the account.
    user: String,
    #[command(flatten)]
    page: Page,
}

/// `revoke-devices`.
#[derive(clap::Args, Clone, Debug)]
pub struct RevokeDevices {
    /// Name, mail address or id of the account.
    user: String,
    /// This device alone, by its id.
    #[arg(long)]
    device: Option<Uuid>,
    #[command(flatten)]
    agreement: AgreementArgs,
}

pub(super) async fn list(
    database: &Database,
    args: &ListDevices,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let user = find_user(database, &args.user).await?;
    let Page { offset, limit } = args.page;
    let (devices, total) = database.devices(user.id, Part { offset, limit }, now).await?;
    let rows: Vec<[String; 5]> = devices
        .iter()
        .map(|device| {
            [
                device.id.to_string(),
                device.info.name.clone().unwrap_or_default(),
                device.info.kind.map_or("", DeviceKind::as_str).to_owned(),
                written(device.last_seen_at),
                device.address.map(|address| address.to_string()).unwrap_or_default(),
            ]
        })
        .collect();
    let devices: Vec<Value> = devices.iter().map(view).collect();
    Ok(Outcome::done(
        table(["ID", "NAME", "TYPE", "LAST SEEN", "ADDRESS"], &rows),
        json!({"devices": devices, "total": total, "offset": offset, "limit": limit}),
    ))
}

pub(super) async fn revoke(
    database: &Database,
    args: &RevokeDevices,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let redis = args.agreement.redis()?;
    let user = find_user(database, &args.user).await?;
    let revoked = match args.device.map(DeviceId::new) {
        None => database.sign_out_all(user.id, now).await?,
        Some(id) if database.sign_out(user.id, id, now).await? => vec![id],
        Some(id) => return Err(AdminError::NotFound { kind: "device", name: id.to_string() }),
    };
    let told = tell(redis, &args.agreement, &revoked).await?;
    let mut text = format!("{} devices of {} are signed out", revoked.len(), user.username);
    if !told {
        text.push_str(NOT_TOLD);
    }
    let json = json!({"user_id": user.id.uuid(), "revoked": revoked.len(), "redis_told": told});
    Ok(Outcome::done(text, json))
}

/// Has apis know of devices that were signed out also while the database is away; false if Redis does not answer. Without
/// Redis there is nobody to tell.
pub(super) async fn tell(
    redis: Option<SecretString>,
    agreement: &AgreementArgs,
    revoked: &[DeviceId],
) -> Result<bool, AdminError> {
    let Some(url) = redis else { return Ok(true) };
    let coordination = RedisCoordination::new(&url)?;
    let (life, given_up) = (outliving(agreement.access_life()), Instant::now() + PATIENCE);
    while !coordination.revoke(revoked, life).await {
        if Instant::now() >= given_up {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}

fn view(device: &Device) -> Value {
    json!({
        "id": device.id.uuid(),
        "name": device.info.name,
        "device_type": device.info.kind.map(DeviceKind::as_str),
        "created_at": written(device.created_at),
        "last_seen_at": written(device.last_seen_at),
        "address": device.address,
    })
}
