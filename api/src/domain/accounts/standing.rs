//! What the database last said of devices, for less than a second: sockets ask five times a second, and many
//! sockets are one device.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use devpocket_shared::ids::{DeviceId, UserId};
use tokio::time::Instant;

use super::locked;
use crate::store::Standing;

/// How long an answer is used. With the time between two looks of a socket and that of a query, revoking a device closes its
/// terminals within a second.
pub(crate) const FRESH: Duration = Duration::from_millis(700);
/// Devices remembered; at about 100 bytes each. Full: all are forgotten and asked again.
const CAPACITY: usize = 50_000;

#[derive(Clone, Copy, Debug)]
struct Known {
    user_id: UserId,
    standing: Standing,
    at: Instant,
}

/// Last known standings by device.
#[derive(Debug, Default)]
pub(super) struct Standings {
    known: Mutex<HashMap<DeviceId, Known>>,
    /// When nobody knew a device as signed out, while the database could not be asked.
    unrevoked: Mutex<HashMap<DeviceId, Instant>>,
}

impl Standings {
    /// The standing of a device of this account, if the answer is fresh.
    pub(super) fn fresh(&self, user_id: UserId, device_id: DeviceId) -> Option<Standing> {
        self.of(user_id, device_id).filter(|known| known.at.elapsed() < FRESH).map(|known| known.standing)
    }

    /// The standing of a device of this account when it was last asked, however long ago that is.
    pub(super) fn last(&self, user_id: UserId, device_id: DeviceId) -> Option<Standing> {
        self.of(user_id, device_id).map(|known| known.standing)
    }

    /// Notes an answer to a question asked at `asked`. A sign-out noted since stands.
    pub(super) fn note(&self, user_id: UserId, device_id: DeviceId, standing: Standing, asked: Instant) {
        let mut held = locked(&self.known);
        if held.get(&device_id).is_some_and(|known| known.user_id == user_id && known.at > asked) {
            return;
        }
        if held.len() >= CAPACITY {
            held.clear();
        }
        held.insert(device_id, Known { user_id, standing, at: asked });
    }

    /// Notes that a device was signed out by this process.
    pub(super) fn signed_out(&self, device_id: DeviceId) {
        if let Some(known) = locked(&self.known).get_mut(&device_id) {
            *known = Known { standing: Standing::SignedOut, at: Instant::now(), ..*known };
        }
    }

    /// Whether nobody knew a device as signed out when that was last asked, which is not long ago.
    pub(super) fn lately_unrevoked(&self, device_id: DeviceId) -> bool {
        locked(&self.unrevoked).get(&device_id).is_some_and(|at| at.elapsed() < FRESH)
    }

    /// Notes that nobody did when it was asked at `asked`.
    pub(super) fn note_unrevoked(&self, device_id: DeviceId, asked: Instant) {
        let mut held = locked(&self.unrevoked);
        if held.len() >= CAPACITY {
            held.clear();
        }
        held.insert(device_id, asked);
    }

    fn of(&self, user_id: UserId, device_id: DeviceId) -> Option<Known> {
        locked(&self.known).get(&device_id).copied().filter(|known| known.user_id == user_id)
    }
}
