//! Signals to sessions, and ending what does not end by itself. Nothing here ever signals a process that may have been
//! reaped, or process 1. Knows nothing of who asked.

use std::collections::{BTreeMap, BTreeSet};

use devpocket_shared::ids::SessionId;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpid, getsid, tcgetpgrp};

use super::Keeper;
use super::processes::{self, Process};
use super::session::{Kill, Session};
use super::sys::Millis;
use crate::handover::Target;

/// How long a session has to end after SIGHUP (PROTOCOL section 3), in milliseconds.
pub(super) const HANGUP_GRACE: Millis = 5000;
/// Between two rounds of killing, in milliseconds.
const ROUND: Millis = 100;
/// Rounds after which what is left cannot be killed: it hangs in the kernel.
const MAX_ROUNDS: u8 = 50;
/// How often a round looks for processes made while it stopped the ones it knew.
const PASSES: usize = 8;

/// What a client may send (PROTOCOL section 3).
const ALLOWED: [Signal; 10] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGKILL,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

/// The processes there are, at one moment.
struct Seen {
    all: Vec<Process>,
    /// Those that name a session by their environment, where there are no control groups.
    by_environment: BTreeMap<SessionId, Vec<Pid>>,
}

impl Keeper {
    fn see(&self) -> Seen {
        let all = processes::all();
        let by_environment = match &self.cgroups {
            Some(_) => BTreeMap::new(),
            None => {
                let leaders = self.sessions.iter().map(|(_, session)| session.pid).collect();
                processes::by_environment(&all, getpid(), &leaders)
            }
        };
        Seen { all, by_environment }
    }

    /// Sends a signal to a session.
    pub(super) fn signal(&self, session_id: SessionId, signal: i32, target: Target) {
        let Some(session) = self.sessions.find(session_id).filter(|session| session.starting.is_none())
        else {
            return self.unknown(session_id);
        };
        let Some(signal) = ALLOWED.into_iter().find(|allowed| *allowed as i32 == signal) else {
            return self.log.warn("a signal that is not for sessions", &[("signal", &signal)]);
        };
        match target {
            Target::Foreground => {
                if let Some(group) = foreground(session) {
                    // The programs may have ended meanwhile, or be another user's (sudo): nothing can be done then.
                    let _refused = killpg(group, signal);
                }
            }
            Target::Session => signal_all(&self.members(session_id, session, &self.see()), signal),
        }
    }

    /// Ends a session: SIGHUP to all of it at once, SIGKILL to what is left after a grace.
    pub(super) fn terminate(&mut self, session_id: SessionId, now: Millis) {
        if self.sessions.find(session_id).is_none() {
            return self.unknown(session_id);
        }
        self.hang_up(&[session_id], now);
    }

    /// Ends every session.
    pub(super) fn terminate_all(&mut self, now: Millis) {
        let all: Vec<SessionId> = self.sessions.iter().map(|(session_id, _)| session_id).collect();
        self.hang_up(&all, now);
    }

    /// Kills what is left of sessions whose grace is over.
    pub(super) fn kill_due(&mut self, now: Millis) {
        let due = |session: &Session| session.kill.is_some_and(|kill| kill.at <= now);
        let due: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| due(session))
            .map(|(session_id, _)| session_id)
            .collect();
        if due.is_empty() {
            return;
        }
        let left = self.freeze(&due);
        for session_id in due {
            let members = left.get(&session_id);
            signal_all(members.into_iter().flatten(), Signal::SIGKILL);
            let Some(session) = self.sessions.find_mut(session_id) else { continue };
            let rounds = session.kill.map_or(0, |kill| kill.rounds);
            if members.is_none() {
                session.kill = None;
                if let Some(cgroups) = &self.cgroups {
                    cgroups.remove(session_id);
                }
            } else if rounds < MAX_ROUNDS {
                session.kill = Some(Kill { at: now + ROUND, rounds: rounds + 1 });
            } else {
                session.kill = None;
                self.log.error("a session cannot be killed", &[("session.id", &session_id)]);
            }
        }
    }

    /// Calls off the killing of ended sessions that left no process.
    pub(super) fn spare_ended(&mut self) {
        let waiting = |session: &Session| session.kill.is_some() && !session.is_live();
        if !self.sessions.iter().any(|(_, session)| waiting(session)) {
            return;
        }
        let seen = self.see();
        let gone = |(session_id, session): (SessionId, &Session)| {
            (waiting(session) && self.members(session_id, session, &seen).is_empty()).then_some(session_id)
        };
        let gone: Vec<SessionId> = self.sessions.iter().filter_map(gone).collect();
        for session_id in gone {
            if let Some(session) = self.sessions.find_mut(session_id) {
                session.kill = None;
            }
        }
    }

    /// Kills everything at once.
    pub(super) fn kill_all(&mut self, now: Millis) {
        for (_, session) in self.sessions.iter_mut() {
            session.kill = Some(Kill { at: now, rounds: 0 });
        }
        self.kill_due(now);
    }

    fn hang_up(&mut self, session_ids: &[SessionId], now: Millis) {
        let seen = self.see();
        for &session_id in session_ids {
            let Some(session) = self.sessions.find(session_id) else { continue };
            let members = self.members(session_id, session, &seen);
            signal_all(&members, Signal::SIGHUP);
            // What is stopped could not act on it.
            signal_all(&members, Signal::SIGCONT);
            if let Some(session) = self.sessions.find_mut(session_id).filter(|session| session.kill.is_none())
            {
                session.kill = Some(Kill { at: now + HANGUP_GRACE, rounds: 0 });
            }
        }
    }

    /// Stops all processes of these sessions, so that none can make more while they are killed. Sessions without any
    /// are left out.
    fn freeze(&self, session_ids: &[SessionId]) -> BTreeMap<SessionId, BTreeSet<Pid>> {
        let mut found: BTreeMap<SessionId, BTreeSet<Pid>> = BTreeMap::new();
        for _ in 0..PASSES {
            let seen = self.see();
            let mut more = false;
            for &session_id in session_ids {
                let Some(session) = self.sessions.find(session_id) else { continue };
                for pid in self.members(session_id, session, &seen) {
                    if found.entry(session_id).or_default().insert(pid) {
                        let _exiting = kill(pid, Signal::SIGSTOP);
                        more = true;
                    }
                }
            }
            if !more {
                break;
            }
        }
        found
    }

    /// The processes of a session: those of its kernel session, and those of its control group or else those whose
    /// environment names it.
    fn members(&self, session_id: SessionId, session: &Session, seen: &Seen) -> BTreeSet<Pid> {
        let mut members: BTreeSet<Pid> =
            processes::of_session(&seen.all, session.pid, !session.is_live()).into_iter().collect();
        if session.is_live() {
            // A child that has not called setsid(2) yet is in no session of its own.
            members.insert(session.pid);
        }
        if let Some(cgroups) = &self.cgroups {
            members.extend(cgroups.members(session_id));
        }
        members.extend(seen.by_environment.get(&session_id).into_iter().flatten());
        members
    }
}

fn signal_all<'a>(pids: impl IntoIterator<Item = &'a Pid>, signal: Signal) {
    for pid in pids {
        if pid.as_raw() > 1 {
            // It may have ended meanwhile, or be another user's (sudo): nothing can be done then.
            let _refused = kill(*pid, signal);
        }
    }
}

/// The foreground process group of a session, if it is really its own: the terminal remembers a group after its last
/// process is gone, and its number may be another's by now.
fn foreground(session: &Session) -> Option<Pid> {
    if !session.is_live() {
        return None;
    }
    let group = tcgetpgrp(session.master.as_ref()?).ok().filter(|group| group.as_raw() > 1)?;
    let ours = |process: &Process| process.group == group && process.session == session.pid;
    (getsid(Some(group)) == Ok(session.pid) || processes::all().iter().any(ours)).then_some(group)
}
