//! How long others wait for the client whose paste a worker kill cut. Knows neither what waits nor what was written.

use std::time::{Duration, Instant};

/// How long others wait for a client that is away, as long as a program for a client that holds it back.
pub const PASTE_WAIT: Duration = Duration::from_secs(10);
/// How long they wait for one that is attached and may be sending: longer than any message takes, since a peer that says
/// nothing for 45 s is dropped (PROTOCOL section 1).
pub const ATTACHED_PASTE_WAIT: Duration = Duration::from_mins(1);
/// How long anybody waits, however often that client comes and goes.
pub const MOST_PASTE_WAIT: Duration = Duration::from_mins(2);

/// The wait for the rest of one paste.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Until then the client may come or send; none: nobody has asked yet.
    until: Option<Instant>,
    /// Since when others wait.
    waited_for_since: Option<Instant>,
}

impl Patience {
    /// The client gets this long from here on.
    pub(super) fn begin(&mut self, wait: Duration, now: Instant) {
        self.until = Some(now + wait);
    }

    /// Notes whether others wait; true: they have waited long enough.
    pub(super) fn handle_timeout(&mut self, others_wait: bool, now: Instant) -> bool {
        self.until.get_or_insert(now + PASTE_WAIT);
        if others_wait {
            self.waited_for_since.get_or_insert(now);
        } else {
            self.waited_for_since = None;
        }
        others_wait && self.poll_timeout().is_some_and(|until| until <= now)
    }

    /// When others have waited long enough, if any do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let most = self.waited_for_since.map(|since| since + MOST_PASTE_WAIT);
        self.until.into_iter().chain(most).min()
    }
}
