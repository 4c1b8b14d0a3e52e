//! The keeper's orderly end: sessions first, while a worker still tells their clients, then the worker. Knows nothing
//! of signals.

use super::Keeper;
use super::ending::HANGUP_GRACE;
use super::sys::Millis;

/// Beyond the sessions' own grace: time in which what was killed is reaped.
const KILL_GRACE: Millis = 2000;
/// How long a worker may take to read ended sessions to their end and tell their clients.
const DRAIN_GRACE: Millis = 1000;
/// How long a worker may take to stop.
const STOP_GRACE: Millis = 1000;
/// Between two looks at what ended sessions left behind: each reads all of /proc.
const SETTLE_PAUSE: Millis = 100;

/// What an orderly end waits for, and for how long.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shutdown {
    /// Sessions to end.
    Ending { until: Millis },
    /// The worker to read them to their end.
    Draining { until: Millis },
    /// The worker to stop.
    Stopping { until: Millis },
    /// Nothing.
    Done,
}

impl Shutdown {
    /// When patience ends.
    pub(super) fn deadline(self) -> Option<Millis> {
        match self {
            Self::Ending { until } | Self::Draining { until } | Self::Stopping { until } => Some(until),
            Self::Done => None,
        }
    }
}

impl Keeper {
    /// Begins the end; the second time, brings it about at once.
    pub(super) fn shut_down(&mut self, now: Millis) {
        if self.shutdown == Some(Shutdown::Done) {
            return;
        }
        if self.shutdown.is_some() {
            self.log.warn("ending at once", &[]);
            self.kill_all(now);
            self.worker.kill();
            self.shutdown = Some(Shutdown::Done);
            return;
        }
        self.log.info("ending", &[("sessions", &self.sessions.live())]);
        self.shutdown = Some(Shutdown::Ending { until: now + HANGUP_GRACE + KILL_GRACE });
        self.terminate_all(now);
    }

    /// Goes on with the end. True: it has come.
    pub(super) fn advance_shutdown(&mut self, now: Millis) -> bool {
        let Some(mut stage) = self.shutdown else { return false };
        self.settle(now);
        loop {
            let over = stage.deadline().is_some_and(|until| until <= now);
            stage = match stage {
                Shutdown::Ending { .. } if over || !self.has_processes() => {
                    Shutdown::Draining { until: now + DRAIN_GRACE }
                }
                Shutdown::Draining { .. } if over || self.worker.is_down() || self.is_drained() => {
                    self.worker.stop(now);
                    Shutdown::Stopping { until: now + STOP_GRACE }
                }
                Shutdown::Stopping { .. } if over || self.worker.is_down() => {
                    self.worker.kill();
                    Shutdown::Done
                }
                Shutdown::Done => return true,
                waiting @ (Shutdown::Ending { .. }
                | Shutdown::Draining { .. }
                | Shutdown::Stopping { .. }) => {
                    self.shutdown = Some(waiting);
                    return false;
                }
            };
        }
    }

    /// Looks, not too often, which ended sessions left nothing to be killed.
    fn settle(&mut self, now: Millis) {
        if self.settle_at <= now {
            self.settle_at = now + SETTLE_PAUSE;
            self.spare_ended();
        }
    }

    /// Whether any session lives, or left processes that are still to be killed.
    fn has_processes(&self) -> bool {
        self.sessions.iter().any(|(_, session)| session.is_live() || session.kill.is_some())
    }

    /// Whether every terminal is read to its end.
    fn is_drained(&self) -> bool {
        self.sessions.iter().all(|(_, session)| session.master.is_none())
    }
}
