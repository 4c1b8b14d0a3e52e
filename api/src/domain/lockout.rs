//! Five wrong passwords for an account from one address close that pair for a while. Rules only: holds no clock.
//!
//! By pair, so that nobody locks an owner out from afar, and before any account is looked up, so that unknown names
//! behave like known ones.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Wrong passwords before the door closes.
pub const FAILURES: u32 = 5;
/// How long a failure counts, and the door stays closed.
pub const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Pairs remembered; beyond it the oldest is forgotten. At about 100 bytes each this bounds memory, and an attacker with
/// so many addresses does not need the oldest back.
const CAPACITY: usize = 50_000;

/// Failures of one pair.
#[derive(Debug)]
struct Failures {
    count: u32,
    until: Instant,
}

/// Counts failures by key.
#[derive(Debug)]
pub struct Lockout<K> {
    failures: HashMap<K, Failures>,
    /// Keys in the order they came in; each stands here once.
    order: VecDeque<K>,
}

impl<K> Default for Lockout<K> {
    fn default() -> Self {
        Self { failures: HashMap::new(), order: VecDeque::new() }
    }
}

impl<K: Clone + Eq + Hash> Lockout<K> {
    /// How long `key` stays closed; none if it is open. Ask before looking at a password *and* before using a right one:
    /// guesses that ran side by side then gain nothing.
    pub fn closed_for(&self, key: &K, now: Instant) -> Option<Duration> {
        let failures = self.failures.get(key)?;
        (failures.count >= FAILURES && failures.until > now).then(|| failures.until - now)
    }

    /// How many failures of `key` count now.
    pub fn failures(&self, key: &K, now: Instant) -> u32 {
        self.failures.get(key).filter(|failures| failures.until > now).map_or(0, |failures| failures.count)
    }

    /// Counts a wrong password.
    pub fn failed(&mut self, key: &K, now: Instant) {
        match self.failures.get_mut(key) {
            Some(failures) if failures.until > now => {
                failures.count += 1;
                // The wait runs from the failure that closed the door; trying on does not prolong it.
                if failures.count <= FAILURES {
                    failures.until = now + WINDOW;
                }
            }
            Some(failures) => *failures = Failures { count: 1, until: now + WINDOW },
            None => {
                self.make_room(now);
                self.failures.insert(key.clone(), Failures { count: 1, until: now + WINDOW });
                self.order.push_back(key.clone());
            }
        }
    }

    /// Forgets the failures of `key`: its password was right.
    pub fn succeeded(&mut self, key: &K) {
        if self.failures.remove(key).is_some() {
            self.order.retain(|held| held != key);
        }
    }

    fn make_room(&mut self, now: Instant) {
        while let Some(oldest) = self.order.front() {
            let over = self.failures.get(oldest).is_none_or(|failures| failures.until <= now);
            if !over && self.order.len() < CAPACITY {
                break;
            }
            self.failures.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed_times(times: u32, t0: Instant) -> Lockout<&'static str> {
        let mut lockout = Lockout::default();
        for _ in 0..times {
            lockout.failed(&"ann from home", t0);
        }
        lockout
    }

    fn t0() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[test]
    fn the_fifth_failure_closes_the_door_for_fifteen_minutes() {
        let t0 = t0();
        assert_eq!(failed_times(4, t0).closed_for(&"ann from home", t0), None);
        let lockout = failed_times(5, t0);
        assert_eq!(lockout.failures(&"ann from home", t0), 5);
        assert_eq!(lockout.failures(&"ann from home", t0 + WINDOW), 0);
        assert_eq!(lockout.closed_for(&"ann from home", t0), Some(WINDOW));
        assert_eq!(lockout.closed_for(&"ann from home", t0 + WINDOW), None);
        assert_eq!(lockout.closed_for(&"ann from work", t0), None);
    }

    #[test]
    fn trying_on_does_not_prolong_the_wait() {
        let t0 = t0();
        let mut lockout = failed_times(5, t0);
        lockout.failed(&"ann from home", t0 + WINDOW / 2);
        assert_eq!(lockout.closed_for(&"ann from home", t0 + WINDOW), None);
    }

    #[test]
    fn success_and_time_forget_failures() {
        let t0 = t0();
        let mut lockout = failed_times(4, t0);
        lockout.succeeded(&"ann from home");
        lockout.failed(&"ann from home", t0);
        assert_eq!(lockout.closed_for(&"ann from home", t0), None);
        for _ in 0..4 {
            lockout.failed(&"ann from home", t0 + WINDOW * 2);
        }
        assert_eq!(lockout.closed_for(&"ann from home", t0 + WINDOW * 2), None);
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_goes_first() {
        let t0 = t0();
        let mut lockout = Lockout::default();
        for key in 0..=CAPACITY {
            for _ in 0..FAILURES {
                lockout.failed(&key, t0);
            }
        }
        assert_eq!((lockout.failures.len(), lockout.order.len()), (CAPACITY, CAPACITY));
        assert_eq!(lockout.closed_for(&0, t0), None);
        assert!(lockout.closed_for(&CAPACITY, t0).is_some());
    }
}
