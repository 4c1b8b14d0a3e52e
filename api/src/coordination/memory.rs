//! What one api alone agrees on with itself, in its memory.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use devpocket_shared::ids::DeviceId;
use time::OffsetDateTime;
use tokio::time::Instant;
use uuid::Uuid;

use super::revocations::Revocations;
use crate::domain::coordination::{Coordination, Failures};
use crate::domain::limits::{Class, Limiter, Quota, Subject, Taken, micros};
use crate::domain::lockout::Lockout;
use crate::domain::ticket::{self, UsedTickets};

/// Subjects remembered, at about 100 bytes each. Full: those that have earned all back are forgotten, and if there is none,
/// all of them: an attacker with so many addresses is not held back by a limit for each.
const CAPACITY: usize = 100_000;

/// Everything in memory.
#[derive(Debug)]
pub struct MemoryCoordination {
    began: Instant,
    used_until: Mutex<HashMap<(Class, Subject), u64>>,
    used_tickets: Mutex<UsedTickets>,
    lockout: Mutex<Lockout<String>>,
    revocations: Mutex<Revocations>,
}

impl Default for MemoryCoordination {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            used_until: Mutex::default(),
            used_tickets: Mutex::default(),
            lockout: Mutex::default(),
            revocations: Mutex::default(),
        }
    }
}

impl MemoryCoordination {
    /// Devices that are remembered as signed out, and for how much longer.
    pub(super) fn revoked(&self) -> Vec<(DeviceId, Duration)> {
        locked(&self.revocations).left(Instant::now())
    }

    fn take_now(&self, class: Class, subject: &Subject, quota: Quota) -> Taken {
        let now = micros(self.began.elapsed());
        let mut held = locked(&self.used_until);
        let key = (class, subject.clone());
        let (after, taken) = quota.take(held.get(&key).copied().unwrap_or_default(), now);
        if let Some(after) = after {
            if held.len() >= CAPACITY && !held.contains_key(&key) {
                held.retain(|_, used_until| *used_until > now);
                if held.len() >= CAPACITY {
                    held.clear();
                }
            }
            held.insert(key, after);
        }
        taken
    }
}

#[async_trait]
impl Limiter for MemoryCoordination {
    async fn take(&self, class: Class, subject: &Subject, quota: Quota) -> Taken {
        self.take_now(class, subject, quota)
    }
}

#[async_trait]
impl Coordination for MemoryCoordination {
    async fn use_ticket(&self, id: Uuid, gone_at: OffsetDateTime, now: OffsetDateTime) -> ticket::Taken {
        locked(&self.used_tickets).take(id, gone_at, now)
    }

    async fn failures(&self, key: &str) -> Failures {
        let (lockout, now) = (locked(&self.lockout), Instant::now().into_std());
        let key = key.to_owned();
        Failures { count: lockout.failures(&key, now), closed_for: lockout.closed_for(&key, now) }
    }

    async fn settle(&self, key: &str, right: bool) -> Option<Duration> {
        let (mut lockout, now) = (locked(&self.lockout), Instant::now().into_std());
        let key = key.to_owned();
        let closed_for = lockout.closed_for(&key, now);
        match (closed_for, right) {
            (Some(_), _) => {}
            (None, true) => lockout.succeeded(&key),
            (None, false) => lockout.failed(&key, now),
        }
        closed_for
    }

    async fn forget(&self, key: &str) {
        locked(&self.lockout).succeeded(&key.to_owned());
    }

    async fn revoke(&self, devices: &[DeviceId], life: Duration) -> bool {
        let (mut revocations, now) = (locked(&self.revocations), Instant::now());
        for device_id in devices {
            revocations.note(*device_id, now + life, now);
        }
        true
    }

    async fn is_revoked(&self, device_id: DeviceId) -> bool {
        locked(&self.revocations).hold(device_id, Instant::now())
    }

    async fn reachable(&self) -> Option<bool> {
        None
    }
}

/// Every section under these locks is a few map operations and leaves nothing half done, so a poisoned one is fine.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::user::Tier;

    #[test]
    fn memory_is_bounded() {
        let memory = MemoryCoordination::default();
        let quota = Class::Auth.quota(Tier::Free);
        for n in 0..=u32::try_from(CAPACITY).unwrap() {
            memory.take_now(Class::General, &Subject::Address(n.to_be_bytes().into()), quota);
        }
        assert!(locked(&memory.used_until).len() <= CAPACITY);
    }
}
