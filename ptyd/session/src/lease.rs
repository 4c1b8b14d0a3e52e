//! The geometry lease: the client that last acted sets the terminal's size, and nobody else changes it by coming, going or
//! being small (PROTOCOL section 7).

use std::time::{Duration, Instant};

use devpocket_shared::ids::{ClientId, TerminalSize};

/// How long a client whose connection was lost keeps the lease.
pub const LOST_KEEPS: Duration = Duration::from_secs(60);

/// Who may hold the lease: a client by its id, or an attachment that has none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Holder {
    /// A client, over all its attachments.
    Client(ClientId),
    /// An attachment without client id, by its number in the session.
    Attachment(u64),
}

/// Who sets a session's size.
#[derive(Debug, Default)]
pub struct Lease {
    holder: Option<Holder>,
    lost_until: Option<Instant>,
}

impl Lease {
    /// A client attached with a screen of `size`: it takes the lease if nobody holds it, or goes on with its own. Returns
    /// the size to set.
    pub fn attach(&mut self, who: &Holder, size: Option<TerminalSize>, now: Instant) -> Option<TerminalSize> {
        self.handle_timeout(now);
        if self.holder.as_ref() == Some(who) {
            self.lost_until = None;
            return size;
        }
        if self.holder.is_none() && size.is_some() {
            self.take(who);
            return size;
        }
        None
    }

    /// A client acted (typed, pasted, claimed) and has a screen of `size`, if that is known. Returns the size to set.
    pub fn act(&mut self, who: &Holder, size: Option<TerminalSize>) -> Option<TerminalSize> {
        let size = size?;
        self.take(who);
        Some(size)
    }

    /// A client's screen changed without a claim: it counts only if the client holds the lease.
    pub fn report(&self, who: &Holder, size: TerminalSize) -> Option<TerminalSize> {
        (self.holder.as_ref() == Some(who)).then_some(size)
    }

    /// A client left on purpose.
    pub fn detach(&mut self, who: &Holder) {
        if self.holder.as_ref() == Some(who) {
            *self = Self::default();
        }
    }

    /// A client's connection was lost: it keeps the lease for [`LOST_KEEPS`], one without an id loses it at once.
    pub fn lose(&mut self, who: &Holder, now: Instant) {
        if self.holder.as_ref() != Some(who) {
            return;
        }
        match who {
            Holder::Client(_) => self.lost_until = Some(now + LOST_KEEPS),
            Holder::Attachment(_) => *self = Self::default(),
        }
    }

    /// Frees the lease of a client that stayed away; too early or twice is harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.lost_until.is_some_and(|until| until <= now) {
            *self = Self::default();
        }
    }

    fn take(&mut self, who: &Holder) {
        self.holder = Some(who.clone());
        self.lost_until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    #[test]
    fn an_open_phone_does_not_shrink_the_laptop_until_somebody_types_on_it() {
        let now = t0();
        let mut lease = Lease::default();
        assert_eq!(lease.attach(&client("laptop"), Some(LARGE), now), Some(LARGE));
        assert_eq!(lease.attach(&client("phone"), Some(SMALL), now), None);
        assert_eq!(lease.report(&client("phone"), SMALL), None);
        assert_eq!(lease.act(&client("phone"), Some(SMALL)), Some(SMALL));
        assert_eq!(lease.report(&client("laptop"), LARGE), None);
    }

    #[test]
    fn typing_without_a_known_screen_takes_nothing() {
        let mut lease = Lease::default();
        assert_eq!(lease.act(&client("script"), None), None);
        assert_eq!(lease.attach(&client("laptop"), Some(LARGE), t0()), Some(LARGE));
    }

    #[test]
    fn a_lost_client_keeps_the_lease_for_a_minute() {
        let now = t0();
        let mut lease = Lease::default();
        lease.attach(&client("laptop"), Some(LARGE), now);
        lease.lose(&client("laptop"), now);
        assert_eq!(lease.attach(&client("phone"), Some(SMALL), now + LOST_KEEPS / 2), None);
        assert_eq!(lease.attach(&client("phone"), Some(SMALL), now + LOST_KEEPS), Some(SMALL));
    }

    #[test]
    fn detaching_frees_the_lease() {
        let now = t0();
        let mut lease = Lease::default();
        lease.attach(&client("laptop"), Some(LARGE), now);
        lease.detach(&client("laptop"));
        assert_eq!(lease.attach(&client("phone"), Some(SMALL), now), Some(SMALL));
    }

    const LARGE: TerminalSize = match TerminalSize::new(50, 200) {
        Ok(size) => size,
        Err(_) => TerminalSize::DEFAULT,
    };
    const SMALL: TerminalSize = match TerminalSize::new(20, 40) {
        Ok(size) => size,
        Err(_) => TerminalSize::DEFAULT,
    };

    fn client(name: &str) -> Holder {
        Holder::Client(ClientId::try_from(name.to_owned()).unwrap())
    }
}
