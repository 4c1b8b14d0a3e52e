//! The sessions the keeper holds, running, starting and ended; knows nothing of how they are started or of workers.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::os::fd::OwnedFd;

use devpocket_shared::ids::{SessionId, UserId};
use nix::unistd::Pid;
use ptyd_session::Integration;

use super::sys::Millis;
use crate::handover::ExitStatus;

/// How long an ended session waits for its `Forget` (DESIGN section 9), in milliseconds.
const TOMBSTONE_LIFE: Millis = 24 * 60 * 60 * 1000;
/// Most ended sessions kept (DESIGN section 9).
pub(super) const MAX_TOMBSTONES: usize = 1000;

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// Whose it is.
    pub(super) owner: UserId,
    /// Its leader.
    pub(super) pid: Pid,
    /// The memfd of its ring, which the keeper never maps.
    pub(super) ring: OwnedFd,
    /// The terminal's master; `None` once an ended session's is read to its end.
    pub(super) master: Option<OwnedFd>,
    /// What its shell's script is read from, once, at whatever time ([`super::shell::read_once`]).
    pub(super) script: Option<OwnedFd>,
    /// What the worker keeps with it.
    pub(super) record: Vec<u8>,
    /// How and when the leader ended, once it has been reaped.
    pub(super) end: Option<(ExitStatus, Millis)>,
    /// Its program is not known to run yet.
    pub(super) starting: Option<Starting>,
    /// What is left of it is to be killed.
    pub(super) kill: Option<Kill>,
    /// The process limit its leader has, where no control group sets one.
    pub(super) process_limit: Option<u64>,
}

/// A child between fork and exec.
#[derive(Debug)]
pub(super) struct Starting {
    /// The worker's number of the request.
    pub(super) request: u32,
    /// Tells of failure, and by its end of success.
    pub(super) report: OwnedFd,
    /// When patience with it ends.
    pub(super) deadline: Millis,
    /// Whether its output will be marked, if the worker wants to know.
    pub(super) integration: Option<Integration>,
}

/// A session that is being ended by force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kill {
    /// When the next round is due.
    pub(super) at: Millis,
    /// Rounds done: what forks while being killed takes more than one.
    pub(super) rounds: u8,
}

impl Session {
    /// Whether the leader has not been reaped.
    pub(super) fn is_live(&self) -> bool {
        self.end.is_none()
    }

    /// How its leader ended, if it has.
    pub(super) fn exit(&self) -> Option<ExitStatus> {
        self.end.map(|(exit, _)| exit)
    }
}

/// All sessions, by id.
#[derive(Debug, Default)]
pub(super) struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    /// Adds a session.
    pub(super) fn insert(&mut self, session_id: SessionId, session: Session) {
        self.0.insert(session_id, session);
    }

    /// Drops a session with its descriptors.
    pub(super) fn remove(&mut self, session_id: SessionId) -> Option<Session> {
        self.0.remove(&session_id)
    }

    /// One session.
    pub(super) fn find(&self, session_id: SessionId) -> Option<&Session> {
        self.0.get(&session_id)
    }

    /// One session, to change it.
    pub(super) fn find_mut(&mut self, session_id: SessionId) -> Option<&mut Session> {
        self.0.get_mut(&session_id)
    }

    /// The live session of this leader.
    pub(super) fn led_by(&mut self, pid: Pid) -> Option<(SessionId, &mut Session)> {
        let found = self.0.iter_mut().find(|(_, session)| session.is_live() && session.pid == pid);
        found.map(|(id, session)| (*id, session))
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.0.iter().map(|(id, session)| (*id, session))
    }

    /// All of them, to change.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (SessionId, &mut Session)> {
        self.0.iter_mut().map(|(id, session)| (*id, session))
    }

    /// The first that a worker must be told of, in the order of ids, after `after`. One that is starting is not.
    pub(super) fn next_to_adopt(&self, after: Option<SessionId>) -> Option<(SessionId, &Session)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.0.range((from, Bound::Unbounded));
        rest.find(|(_, session)| session.starting.is_none()).map(|(id, session)| (*id, session))
    }

    /// How many a worker must be told of.
    pub(super) fn adoptable(&self) -> usize {
        self.0.values().filter(|session| session.starting.is_none()).count()
    }

    /// How many live.
    pub(super) fn live(&self) -> usize {
        self.0.values().filter(|session| session.is_live()).count()
    }

    /// The ids of all.
    pub(super) fn ids(&self) -> BTreeSet<SessionId> {
        self.0.keys().copied().collect()
    }

    /// Drops ended sessions that are too old, and the oldest beyond `most`; says which.
    pub(super) fn drop_old(&mut self, most: usize, now: Millis) -> Vec<SessionId> {
        let mut ended: Vec<(Millis, SessionId)> =
            self.0.iter().filter_map(|(id, session)| Some((session.end?.1, *id))).collect();
        ended.sort_unstable();
        let beyond = ended.len().saturating_sub(most);
        let old = |(number, (ended_at, id)): (usize, (Millis, SessionId))| {
            (number < beyond || ended_at + TOMBSTONE_LIFE <= now).then_some(id)
        };
        let dropped: Vec<SessionId> = ended.into_iter().enumerate().filter_map(old).collect();
        for id in &dropped {
            self.0.remove(id);
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const HOUR: Millis = 60 * 60 * 1000;

    fn session(ended_at: Option<Millis>) -> Session {
        Session {
            owner: UserId::new(Uuid::nil()),
            pid: Pid::from_raw(1000),
            ring: std::fs::File::open("/dev/null").unwrap().into(),
            master: None,
            script: None,
            record: Vec::new(),
            end: ended_at.map(|at| (ExitStatus::Code(0), at)),
            starting: None,
            kill: None,
            process_limit: None,
        }
    }

    fn id(number: u128) -> SessionId {
        SessionId::new(Uuid::from_u128(number))
    }

    #[test]
    fn the_oldest_tombstones_go_and_live_sessions_stay() {
        let mut sessions = Sessions::default();
        sessions.insert(id(1), session(None));
        for number in 2..=6 {
            sessions.insert(id(number), session(Some(HOUR * Millis::try_from(10 - number).unwrap())));
        }
        assert_eq!(sessions.drop_old(3, 10 * HOUR), [id(6), id(5)]);
        assert_eq!(sessions.drop_old(3, 10 * HOUR), []);
        assert_eq!(sessions.drop_old(3, 31 * HOUR), [id(4), id(3)]);
        assert_eq!(sessions.ids(), BTreeSet::from([id(1), id(2)]));
    }

    #[test]
    fn adopting_goes_through_all_in_order_and_leaves_out_what_is_starting() {
        let mut sessions = Sessions::default();
        for number in [3, 1, 2] {
            sessions.insert(id(number), session(None));
        }
        let report = std::fs::File::open("/dev/null").unwrap().into();
        sessions.find_mut(id(2)).unwrap().starting =
            Some(Starting { request: 1, report, deadline: 0, integration: None });
        let first = sessions.next_to_adopt(None).map(|(id, _)| id);
        assert_eq!(first, Some(id(1)));
        assert_eq!(sessions.next_to_adopt(first).map(|(id, _)| id), Some(id(3)));
        assert!(sessions.next_to_adopt(Some(id(3))).is_none());
        assert_eq!((sessions.adoptable(), sessions.live()), (2, 3));
    }
}
