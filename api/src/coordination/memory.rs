//! Limits of one api alone, in its memory.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::time::Instant;

use crate::domain::limits::{Class, Limiter, Quota, Subject, Taken, micros};

/// Subjects remembered, at about 100 bytes each. Full: those that have earned all back are forgotten, and if there is none,
/// all of them: an attacker with so many addresses is not held back by a limit for each.
const CAPACITY: usize = 100_000;

/// Counts in memory.
#[derive(Debug)]
pub struct MemoryLimiter {
    began: Instant,
    used_until: Mutex<HashMap<(Class, Subject), u64>>,
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self { began: Instant::now(), used_until: Mutex::default() }
    }
}

impl MemoryLimiter {
    /// Takes a unit, at once.
    pub fn take_now(&self, class: Class, subject: &Subject, quota: Quota) -> Taken {
        let now = micros(self.began.elapsed());
        // A map operation leaves nothing half done, so a poisoned lock is fine.
        let mut held = self.used_until.lock().unwrap_or_else(PoisonError::into_inner);
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
impl Limiter for MemoryLimiter {
    async fn take(&self, class: Class, subject: &Subject, quota: Quota) -> Taken {
        self.take_now(class, subject, quota)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::user::Tier;

    #[test]
    fn classes_and_subjects_are_counted_apart_and_memory_is_bounded() {
        let limiter = MemoryLimiter::default();
        let quota = Class::Auth.quota(Tier::Free);
        let take = |class, n: u32| limiter.take_now(class, &Subject::Address(n.to_be_bytes().into()), quota);
        for _ in 0..10 {
            assert!(take(Class::Auth, 1).refused_for.is_none());
        }
        assert!(take(Class::Auth, 1).refused_for.is_some());
        assert!(take(Class::General, 1).refused_for.is_none() && take(Class::Auth, 2).refused_for.is_none());
        for n in 0..=u32::try_from(CAPACITY).unwrap() {
            take(Class::General, n);
        }
        assert!(limiter.used_until.lock().unwrap().len() <= CAPACITY);
    }
}
