//! How long a session may live: ended when nobody was there and nothing was printed for a while, or when its time is over.
//! It knows no clock: what lies before it, in a worker that is gone, comes in as durations.

use std::time::{Duration, Instant};

use devpocket_shared::wire::{EndReason, Limits};

/// What a session's limits have to know of it.
#[derive(Debug)]
pub struct Life {
    limits: Limits,
    /// When this worker took the session up, and how old it was then.
    taken_up: Instant,
    age: Duration,
    /// Since when it is quiet, and for how long it was before that.
    quiet_since: Instant,
    quiet_before: Duration,
    /// Its end was asked for: once is enough.
    over: bool,
}

impl Life {
    /// A session that is `age` old at `now` and has been quiet for the last `quiet` of it.
    pub fn new(limits: Limits, age: Duration, quiet: Duration, now: Instant) -> Self {
        Self { limits, taken_up: now, age, quiet_since: now, quiet_before: quiet.min(age), over: false }
    }

    /// It printed something, or a client came or went.
    pub fn note_activity(&mut self, now: Instant) {
        (self.quiet_since, self.quiet_before) = (now, Duration::ZERO);
    }

    /// Its limits are these from here on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Its limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Its end was asked for, by whomever: no limit asks for it again.
    pub fn note_ending(&mut self) {
        self.over = true;
    }

    /// Whether its time is over at `now`, and by which limit: told once. Too early is harmless.
    pub fn handle_timeout(&mut self, is_attached: bool, now: Instant) -> Option<EndReason> {
        let (at, reason) = self.next(is_attached)?;
        if now < at {
            return None;
        }
        self.over = true;
        Some(reason)
    }

    /// When [`Life::handle_timeout`] is next due.
    pub fn poll_timeout(&self, is_attached: bool) -> Option<Instant> {
        self.next(is_attached).map(|(at, _)| at)
    }

    fn next(&self, is_attached: bool) -> Option<(Instant, EndReason)> {
        if self.over {
            return None;
        }
        let after = |from: Instant, secs: u32, spent: Duration| {
            from + Duration::from_secs(secs.into()).saturating_sub(spent)
        };
        let idle = self.limits.idle_timeout_secs.filter(|_| !is_attached);
        let idle =
            idle.map(|secs| (after(self.quiet_since, secs, self.quiet_before), EndReason::IdleTimeout));
        let longest = self.limits.max_duration_secs;
        let longest = longest.map(|secs| (after(self.taken_up, secs, self.age), EndReason::MaxDuration));
        [idle, longest].into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::t0;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_mins(1);

    fn limits(idle_timeout_secs: Option<u32>, max_duration_secs: Option<u32>) -> Limits {
        Limits { idle_timeout_secs, max_duration_secs }
    }

    fn new(limits: Limits) -> Life {
        Life::new(limits, Duration::ZERO, Duration::ZERO, t0())
    }

    #[test]
    fn without_limits_a_session_lives_for_ever() {
        let mut life = new(Limits::default());
        assert_eq!(life.poll_timeout(false), None);
        assert_eq!(life.handle_timeout(false, t0() + MINUTE * 1_000_000), None);
    }

    #[test]
    fn quiet_for_its_limit_with_nobody_there_it_ends_once() {
        let mut life = new(limits(Some(60), None));
        assert_eq!(life.poll_timeout(false), Some(t0() + MINUTE));
        assert_eq!(life.handle_timeout(false, t0() + MINUTE - SECOND), None);
        assert_eq!(life.handle_timeout(false, t0() + MINUTE), Some(EndReason::IdleTimeout));
        assert_eq!(life.handle_timeout(false, t0() + MINUTE), None);
        assert_eq!(life.poll_timeout(false), None);
    }

    #[test]
    fn output_and_clients_that_come_and_go_begin_the_wait_anew() {
        let mut life = new(limits(Some(60), None));
        life.note_activity(t0() + MINUTE / 2);
        assert_eq!(life.handle_timeout(false, t0() + MINUTE), None);
        assert_eq!(life.poll_timeout(false), Some(t0() + MINUTE * 3 / 2));
    }

    #[test]
    fn while_somebody_is_attached_no_quiet_ends_it() {
        let mut life = new(limits(Some(60), None));
        assert_eq!(life.poll_timeout(true), None);
        assert_eq!(life.handle_timeout(true, t0() + MINUTE * 100), None);
        // Who leaves begins the wait.
        life.note_activity(t0() + MINUTE * 100);
        assert_eq!(life.poll_timeout(false), Some(t0() + MINUTE * 101));
    }

    #[test]
    fn its_longest_time_counts_from_its_creation_whoever_is_there() {
        let mut life = new(limits(Some(60), Some(90)));
        life.note_activity(t0() + MINUTE);
        assert_eq!(life.poll_timeout(true), Some(t0() + SECOND * 90));
        assert_eq!(life.handle_timeout(true, t0() + SECOND * 90), Some(EndReason::MaxDuration));
    }

    #[test]
    fn a_worker_kill_changes_neither_limit() {
        let (age, quiet) = (SECOND * 80, SECOND * 50);
        let life = Life::new(limits(Some(60), Some(100)), age, quiet, t0());
        assert_eq!(life.poll_timeout(false), Some(t0() + SECOND * 10));
        assert_eq!(life.poll_timeout(true), Some(t0() + SECOND * 20));
        // Over already: at once.
        let mut late = Life::new(limits(Some(60), None), MINUTE * 3, MINUTE * 2, t0());
        assert_eq!(late.handle_timeout(false, t0()), Some(EndReason::IdleTimeout));
    }

    #[test]
    fn a_session_that_is_younger_than_its_quiet_was_quiet_all_its_life() {
        // Its clock was set back meanwhile.
        let life = Life::new(limits(Some(60), None), SECOND, MINUTE, t0());
        assert_eq!(life.poll_timeout(false), Some(t0() + SECOND * 59));
    }

    #[test]
    fn limits_may_change_and_an_end_that_was_asked_for_is_not_asked_for_again() {
        let mut life = new(limits(Some(60), None));
        life.set_limits(limits(None, Some(30)));
        assert_eq!(life.poll_timeout(false), Some(t0() + SECOND * 30));
        life.note_ending();
        assert_eq!(life.handle_timeout(false, t0() + MINUTE), None);
    }
}
