//! Devices that were signed out a short while ago, as one api remembers them. Knows neither Redis nor the database.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use devpocket_shared::ids::DeviceId;
use tokio::time::Instant;

/// Most devices remembered, at about 100 bytes each. Full: that goes first whose tokens end first.
const CAPACITY: usize = 100_000;

/// Devices whose tokens are worth nothing, each for as long as it may have one.
#[derive(Debug, Default)]
pub(super) struct Revocations {
    until: HashMap<DeviceId, Instant>,
    /// The same, by their ends.
    ends: BTreeSet<(Instant, DeviceId)>,
}

impl Revocations {
    /// Remembers a device until its last token has ended.
    pub(super) fn note(&mut self, device_id: DeviceId, until: Instant, now: Instant) {
        self.forget_ended(now);
        if let Some(before) = self.until.insert(device_id, until) {
            self.ends.remove(&(before, device_id));
        }
        self.ends.insert((until, device_id));
        while self.until.len() > CAPACITY
            && let Some((_, first)) = self.ends.pop_first()
        {
            self.until.remove(&first);
        }
    }

    /// Whether a device is remembered.
    pub(super) fn hold(&self, device_id: DeviceId, now: Instant) -> bool {
        self.until.get(&device_id).is_some_and(|until| *until > now)
    }

    /// All that are remembered, and for how much longer.
    pub(super) fn left(&self, now: Instant) -> Vec<(DeviceId, Duration)> {
        let left = self.ends.iter().filter(|(until, _)| *until > now);
        left.map(|(until, device_id)| (*device_id, *until - now)).collect()
    }

    fn forget_ended(&mut self, now: Instant) {
        while let Some((until, device_id)) = self.ends.first().copied()
            && until <= now
        {
            self.ends.pop_first();
            self.until.remove(&device_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const LIFE: Duration = Duration::from_secs(60);

    fn device(n: usize) -> DeviceId {
        DeviceId::new(Uuid::from_u128(n as u128))
    }

    #[test]
    fn a_device_is_remembered_until_its_last_token_has_ended() {
        let (mut revocations, t0) = (Revocations::default(), Instant::now());
        revocations.note(device(1), t0 + LIFE, t0);
        revocations.note(device(1), t0 + 2 * LIFE, t0);
        revocations.note(device(2), t0 + LIFE, t0);
        assert!(revocations.hold(device(1), t0) && !revocations.hold(device(3), t0));
        assert!(!revocations.hold(device(2), t0 + LIFE));
        assert_eq!(revocations.left(t0 + LIFE), [(device(1), LIFE)]);
        revocations.note(device(3), t0 + 3 * LIFE, t0 + 2 * LIFE);
        assert_eq!((revocations.until.len(), revocations.ends.len()), (1, 1), "ended ones are forgotten");
    }

    #[test]
    fn memory_is_bounded_and_what_ends_last_is_kept() {
        let (mut revocations, t0) = (Revocations::default(), Instant::now());
        for n in 0..=CAPACITY {
            revocations.note(device(n), t0 + LIFE + Duration::from_millis(n as u64), t0);
        }
        assert_eq!((revocations.until.len(), revocations.ends.len()), (CAPACITY, CAPACITY));
        assert!(!revocations.hold(device(0), t0) && revocations.hold(device(CAPACITY), t0));
    }
}
