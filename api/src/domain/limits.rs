//! How many requests who may make (API.md section 2). Rules only: holds no counter and no clock.
//!
//! The generic cell rate algorithm (ITU-T I.371): of each subject one instant is kept, when all it has used is earned
//! back. A burst may use the whole limit; in any span of the limit's own length at most twice the limit less one pass.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use devpocket_shared::ids::UserId;

use super::secret_token::{SecretHash, hex};
use super::user::Tier;

/// What requests are counted apart by.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Class {
    /// Everything that is nothing else; a new session too.
    General,
    /// Registering, signing in, passwords, proofs.
    Auth,
    /// Tickets, sockets, and attaching to sessions that are there.
    Connect,
    /// What is open to everybody and costs nothing: the page. Each api counts it for itself.
    Open,
    /// What is never refused, and takes no unit: health checks, and the numbers for who may read them.
    Uncounted,
}

/// So many units in such a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    /// At least one.
    pub units: u32,
    /// At least a microsecond for each unit.
    pub per: Duration,
}

/// Who a unit is taken from.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Subject {
    /// An account.
    User(UserId),
    /// A client that is not signed in; an IPv6 host counts as its /64.
    Address(IpAddr),
    /// A name that somebody tries.
    Name(String),
}

/// What became of taking a unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Taken {
    /// How long until the same would be allowed; none: it was.
    pub refused_for: Option<Duration>,
    /// Units in all.
    pub limit: u32,
    /// Units left now.
    pub remaining: u32,
    /// How long until all are there again.
    pub full_in: Duration,
}

/// A unit that was taken or refused, and of which bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counted {
    /// The bucket's name in headers.
    pub bucket: &'static str,
    /// What it holds.
    pub quota: Quota,
    /// What became of the unit.
    pub taken: Taken,
}

impl Counted {
    /// Whole seconds until the same would be allowed, at least 1.
    pub fn retry_after_secs(&self) -> u64 {
        self.taken.refused_for.unwrap_or_default().as_secs() + 1
    }
}

/// Counts, for all apis or for this one.
#[async_trait]
pub trait Limiter: Send + Sync {
    /// Takes a unit. Never fails: what counts for all apis counts for this one alone while the others cannot be asked.
    async fn take(&self, class: Class, subject: &Subject, quota: Quota) -> Taken;
}

const MINUTE: Duration = Duration::from_secs(60);

impl Class {
    /// The word in headers and storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Auth => "auth",
            Self::Connect => "connect",
            Self::Open => "open",
            Self::Uncounted => "uncounted",
        }
    }

    /// What an account of this tier may do; who is not signed in counts as free.
    pub const fn quota(self, tier: Tier) -> Quota {
        let units = match (self, tier) {
            (Self::General, Tier::Free) => 60,
            (Self::General, Tier::Pro) => 300,
            (Self::General, Tier::Team) => 1000,
            (Self::General, Tier::Enterprise) => 5000,
            (Self::Auth, Tier::Free) => 10,
            (Self::Auth, Tier::Pro) => 20,
            (Self::Auth, Tier::Team) => 50,
            (Self::Auth, Tier::Enterprise) => 100,
            (Self::Connect, _) => 600,
            (Self::Open | Self::Uncounted, _) => 6000,
        };
        Quota { units, per: MINUTE }
    }
}

/// The bucket of [`BY_NAME`].
pub const NAME_BUCKET: &str = "name";

/// How often a name may be tried for one thing, by whomever.
pub const BY_NAME: Quota = Quota { units: 10, per: MINUTE };

impl Quota {
    /// Takes a unit of what is left at `now`. `used_until` is what the last unit left behind, 0 at first, in microseconds of
    /// any clock that does not go back. Gives what this one leaves behind, if it is allowed.
    pub fn take(self, used_until: u64, now: u64) -> (Option<u64>, Taken) {
        let per = micros(self.per);
        let cost = per / u64::from(self.units);
        let before = used_until.max(now);
        let after = before + cost;
        let allowed = after - now <= per;
        let used_until = if allowed { after } else { before };
        let full_in = used_until - now;
        let refused_for = (!allowed).then(|| after - now - per);
        (allowed.then_some(after), self.told(full_in, refused_for))
    }

    /// What is said of a unit after which all is there again in `full_in`, and which was refused for so long; microseconds.
    pub fn told(self, full_in: u64, refused_for: Option<u64>) -> Taken {
        let per = micros(self.per);
        let remaining = per.saturating_sub(full_in) / (per / u64::from(self.units));
        Taken {
            refused_for: refused_for.map(Duration::from_micros),
            limit: self.units,
            remaining: u32::try_from(remaining).unwrap_or(self.units).min(self.units),
            full_in: Duration::from_micros(full_in),
        }
    }
}

impl Subject {
    /// A client's address, as it is counted.
    pub fn of_address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        })
    }
}

impl fmt::Display for Subject {
    /// As it is kept: of a name the hash alone, so that nobody reads names, nor fills memory with long ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{}", id.uuid()),
            Self::Address(address) => write!(f, "address:{address}"),
            Self::Name(name) => write!(f, "name:{}", hex(&SecretHash::of(name).as_bytes()[..16])),
        }
    }
}

/// In whole microseconds; five hundred thousand years fit.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Takes a unit at each time; says which were allowed.
    fn takes(quota: Quota, times: &[u64]) -> Vec<bool> {
        let mut used_until = 0;
        times
            .iter()
            .map(|now| {
                let (after, taken) = quota.take(used_until, *now);
                used_until = after.unwrap_or(used_until);
                assert_eq!(after.is_none(), taken.refused_for.is_some());
                taken.refused_for.is_none()
            })
            .collect()
    }

    #[test]
    fn each_tier_has_its_own_limits_and_all_connect_alike() {
        for (tier, general, auth) in [
            (Tier::Free, 60, 10),
            (Tier::Pro, 300, 20),
            (Tier::Team, 1000, 50),
            (Tier::Enterprise, 5000, 100),
        ] {
            for (class, units) in [(Class::General, general), (Class::Auth, auth), (Class::Connect, 600)] {
                assert_eq!(class.quota(tier), Quota { units, per: MINUTE }, "{class:?} of {tier:?}");
            }
        }
        assert_eq!(BY_NAME, Quota { units: 10, per: MINUTE });
    }

    #[test]
    fn a_burst_may_use_it_all_and_earns_it_back_one_by_one() {
        let quota = Class::General.quota(Tier::Free);
        let mut times = vec![5 * SECOND; 62];
        times.extend([6 * SECOND, 6 * SECOND, 8 * SECOND, 8 * SECOND, 8 * SECOND]);
        let allowed = takes(quota, &times);
        assert!(allowed[..60].iter().all(|it| *it) && !allowed[60] && !allowed[61]);
        assert_eq!(allowed[62..], [true, false, true, true, false]);
    }

    #[test]
    fn what_is_left_and_when_it_comes_back_is_said() {
        let quota = Quota { units: 10, per: MINUTE };
        let (first, taken) = quota.take(0, 100 * SECOND);
        let expected = Taken { refused_for: None, limit: 10, remaining: 9, full_in: Duration::from_secs(6) };
        assert_eq!((first, taken), (Some(106 * SECOND), expected));
        let (none, refused) = quota.take(160 * SECOND, 100 * SECOND);
        assert_eq!((none, refused.remaining, refused.full_in), (None, 0, MINUTE));
        assert_eq!(refused.refused_for, Some(Duration::from_secs(6)));
        // Exactly then it is allowed.
        assert!(quota.take(160 * SECOND, 106 * SECOND).0.is_some());
        assert!(quota.take(160 * SECOND, 106 * SECOND - 1).0.is_none());
    }

    proptest! {
        #[test]
        fn in_any_minute_at_most_twice_the_limit_less_one_pass(
            units in prop_oneof![Just(1_u32), Just(10), Just(60), Just(300)],
            mut times in proptest::collection::vec(0_u64..180 * SECOND, 1..2000),
        ) {
            times.sort_unstable();
            let quota = Quota { units, per: MINUTE };
            let allowed: Vec<u64> =
                takes(quota, &times).into_iter().zip(&times).filter(|(it, _)| *it).map(|(_, at)| *at).collect();
            for (first, at) in allowed.iter().enumerate() {
                let within = allowed[first..].iter().take_while(|later| **later < at + 60 * SECOND).count();
                prop_assert!(within < 2 * units as usize, "{within} of {units}");
            }
        }

        #[test]
        fn what_is_said_to_be_left_is_left(used in 0_u64..60 * SECOND, at in 0_u64..60 * SECOND) {
            let quota = Class::General.quota(Tier::Free);
            let (after, taken) = quota.take(used, at);
            let mut used = after.unwrap_or(used);
            for _ in 0..taken.remaining {
                let (after, _) = quota.take(used, at);
                prop_assert!(after.is_some());
                used = after.unwrap_or_default();
            }
            prop_assert!(quota.take(used, at).0.is_none());
        }
    }

    #[test]
    fn subjects_are_told_apart_and_a_network_is_one() {
        let address = |text: &str| Subject::of_address(text.parse().unwrap());
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        let name = Subject::Name("ann@example.com".to_owned()).to_string();
        assert!(name.len() == 37 && !name.contains("ann"), "{name}");
    }
}
