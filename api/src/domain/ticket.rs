//! Remembers which one-time tickets were used, for as long as they could be used again. Holds no clock.

use std::collections::{HashSet, VecDeque};

use time::OffsetDateTime;
use uuid::Uuid;

/// Tickets remembered at once. Each lives 30 s, so this is 3,300 sockets a second; beyond it tickets are refused, since
/// forgetting a used one would let it in twice.
const CAPACITY: usize = 100_000;

/// What became of a ticket that was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Taken {
    /// Its first use.
    First,
    /// It was used before.
    Again,
    /// There is no room to remember it: it must be refused.
    Full,
}

/// Tickets used and not yet expired.
#[derive(Debug, Default)]
pub struct UsedTickets {
    used: HashSet<Uuid>,
    /// In the order they were used, which is nearly that of their ends: one that ends early is merely kept a little longer.
    order: VecDeque<(OffsetDateTime, Uuid)>,
}

impl UsedTickets {
    /// Uses the ticket with this id, which nobody accepts after `gone_at`.
    pub fn take(&mut self, id: Uuid, gone_at: OffsetDateTime, now: OffsetDateTime) -> Taken {
        while self.order.front().is_some_and(|(gone_at, _)| *gone_at <= now) {
            if let Some((_, old)) = self.order.pop_front() {
                self.used.remove(&old);
            }
        }
        if self.used.contains(&id) {
            return Taken::Again;
        }
        if self.order.len() >= CAPACITY {
            return Taken::Full;
        }
        self.used.insert(id);
        self.order.push_back((gone_at, id));
        Taken::First
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_ticket_is_used_once_and_forgotten_when_it_is_over() {
        let t0 = OffsetDateTime::UNIX_EPOCH;
        let mut tickets = UsedTickets::default();
        let id = Uuid::from_u128(1);
        assert_eq!(tickets.take(id, t0 + Duration::seconds(35), t0), Taken::First);
        assert_eq!(tickets.take(id, t0 + Duration::seconds(35), t0 + Duration::seconds(34)), Taken::Again);
        tickets.take(Uuid::from_u128(2), t0 + Duration::seconds(90), t0 + Duration::seconds(35));
        assert_eq!((tickets.used.len(), tickets.order.len()), (1, 1));
    }

    #[test]
    fn a_full_memory_refuses_rather_than_forgets() {
        let t0 = OffsetDateTime::UNIX_EPOCH;
        let mut tickets = UsedTickets::default();
        for id in 0..CAPACITY as u128 {
            assert_eq!(tickets.take(Uuid::from_u128(id), t0 + Duration::seconds(35), t0), Taken::First);
        }
        assert_eq!(tickets.take(Uuid::max(), t0 + Duration::seconds(35), t0), Taken::Full);
        assert_eq!(tickets.take(Uuid::from_u128(0), t0 + Duration::seconds(35), t0), Taken::Again);
        assert_eq!(
            tickets.take(Uuid::max(), t0 + Duration::seconds(70), t0 + Duration::seconds(35)),
            Taken::First
        );
    }
}
