//! The devices an account is signed in on, as an operator sees and ends them.

use devpocket_shared::ids::DeviceId;
use serde_json::{Value, json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{AdminError, Outcome, Page, find_user, table, written};
use crate::domain::user::{Device, DeviceKind};
use crate::store::{AdminStore, Database, DeviceStore, Part};

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
    let user = find_user(database, &args.user).await?;
    let revoked = match args.device {
        None => database.sign_out_all(user.id, now).await?,
        Some(id) if database.sign_out(user.id, DeviceId::new(id), now).await? => 1,
        Some(id) => return Err(AdminError::NotFound { kind: "device", name: id.to_string() }),
    };
    let text = format!("{revoked} devices of {} are signed out", user.username);
    Ok(Outcome::done(text, json!({"user_id": user.id.uuid(), "revoked": revoked})))
}

fn view(device: &Device) -> Value {
    json!({
        "id": device.id.uuid(),
        "name": device.info.name,
        "type": device.info.kind.map(DeviceKind::as_str),
        "created_at": written(device.created_at),
        "last_seen_at": written(device.last_seen_at),
        "address": device.address,
    })
}
