//! The one worker process: its packets, its life signs, and when the next one may start. Knows the order of a handover,
//! but not what a request does.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::codec;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::session::{Session, Sessions};
use super::sys::Millis;
use crate::handover::socket::{self, HandoverError};
use crate::handover::{Adopt, BATCH, ToKeeper, ToWorker};

/// A worker silent for longer hangs.
const SILENCE: Millis = 5000;
/// A worker told to stop gets this long to tell its clients.
const STOP_GRACE: Millis = 5000;
/// Back-off between failures doubles from the first to the second.
const FIRST_DELAY: Millis = 50;
const MOST_DELAY: Millis = 5000;
/// A worker that lived this long did not fail at its start: whatever ended it, the next one may come at once, and a
/// restart a second costs nobody anything.
const GOOD_LIFE: Millis = 1000;
/// Pause when the kernel has no room although the socket says it has.
const BUSY_PAUSE: Millis = 5;
/// Packets waiting for the worker. A worker that lets more pile up asks without listening, and is replaced.
const MAX_OUTBOX: usize = 16_384;
/// Packets read at a time, so that what they ask for keeps nobody else waiting: starting a session takes a millisecond.
const MAX_READS: usize = 32;

/// The place of the worker, taken or free.
#[derive(Debug)]
pub(super) struct Worker {
    life: Life,
    failures: u32,
}

#[derive(Debug)]
enum Life {
    /// None runs; the next one may start at this time.
    Down { start_at: Millis },
    /// One runs, or at least has not been reaped.
    Up(Box<Up>),
}

#[derive(Debug)]
struct Up {
    pid: Pid,
    socket: OwnedFd,
    started_at: Millis,
    heard_at: Millis,
    stage: Stage,
    outbox: VecDeque<Outgoing>,
    blocked: Blocked,
    /// It was told to stop, and must have by this time.
    stop_by: Option<Millis>,
    /// It was killed; nothing more is said or heard.
    killed: bool,
    /// It closed its end of the socket.
    closed: bool,
}

/// How far a worker has taken over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// It knows the sessions up to this one; so many since its last `BatchTaken`.
    Adopting { up_to: Option<SessionId>, in_batch: u32 },
    /// It knows all.
    Serving,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Blocked {
    No,
    UntilWritable,
    Until(Millis),
}

#[derive(Debug)]
struct Outgoing {
    packet: Vec<u8>,
    /// Whose ring and master go beside it; borrowed when it is sent, so that waiting holds nothing open.
    with: Option<SessionId>,
}

/// What became of a worker that was reaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gone {
    /// It went because it was told to.
    pub(super) asked: bool,
    /// How long until the next one.
    pub(super) delay: Millis,
}

impl Worker {
    /// No worker; one may start at once.
    pub(super) fn down(now: Millis) -> Self {
        Self { life: Life::Down { start_at: now }, failures: 0 }
    }

    /// A worker that knows all sessions, started by the keeper that ran in this process before.
    pub(super) fn resume(pid: Pid, socket: OwnedFd, now: Millis) -> Self {
        Self { life: Life::Up(Box::new(Up::new(pid, socket, Stage::Serving, now))), failures: 0 }
    }

    /// A worker just started, which has been sent its `Welcome`.
    pub(super) fn started(&mut self, pid: Pid, socket: OwnedFd, now: Millis) {
        let stage = Stage::Adopting { up_to: None, in_batch: 0 };
        self.life = Life::Up(Box::new(Up::new(pid, socket, stage, now)));
    }

    /// It could not even be started; says how long until the next attempt.
    pub(super) fn not_started(&mut self, now: Millis) -> Millis {
        let delay = delay(self.failures);
        self.failures += 1;
        self.life = Life::Down { start_at: now + delay };
        delay
    }

    /// Whether a worker should be started now.
    pub(super) fn start_due(&self, now: Millis) -> bool {
        matches!(self.life, Life::Down { start_at } if start_at <= now)
    }

    /// Whether there is none.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.life, Life::Down { .. })
    }

    /// Its process and our end of its socket.
    pub(super) fn process(&self) -> Option<(Pid, BorrowedFd<'_>)> {
        self.up().map(|up| (up.pid, up.socket.as_fd()))
    }

    /// Whether it knows all sessions and nothing waits to be sent: all there is of it can be put in writing.
    pub(super) fn is_quiet(&self) -> bool {
        self.up()
            .is_none_or(|up| !up.killed && !up.closed && up.stage == Stage::Serving && up.outbox.is_empty())
    }

    /// Whether it serves; before, it must not ask for sessions.
    pub(super) fn serves(&self) -> bool {
        self.up().is_some_and(|up| up.stage == Stage::Serving && up.stop_by.is_none())
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopping(&self) -> bool {
        self.up().is_some_and(|up| up.stop_by.is_some())
    }

    /// Whether it is process `pid`.
    pub(super) fn is(&self, pid: Pid) -> bool {
        self.up().is_some_and(|up| up.pid == pid)
    }

    /// What to wait for on its socket: readable, writable.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, bool)> {
        let up = self.up().filter(|up| !up.killed && !up.closed)?;
        Some((up.socket.as_fd(), up.blocked == Blocked::UntilWritable))
    }

    /// The next time at which [`Self::expire`] or a start is due.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match &self.life {
            Life::Down { start_at } => Some(*start_at),
            Life::Up(up) if up.killed => None,
            Life::Up(up) => {
                let retry = if let Blocked::Until(at) = up.blocked { Some(at) } else { None };
                [Some(up.heard_at + SILENCE), up.stop_by, retry].into_iter().flatten().min()
            }
        }
    }

    /// Kills a worker that did not stop when told to; says so.
    pub(super) fn expire(&mut self, now: Millis) -> bool {
        let Some(up) = self.up_mut().filter(|up| !up.killed) else { return false };
        if matches!(up.blocked, Blocked::Until(at) if at <= now) {
            up.blocked = Blocked::No;
        }
        let late = up.stop_by.is_some_and(|at| at <= now);
        if late {
            up.kill();
        }
        late
    }

    /// Kills a worker that hangs; says so. To be called when there is nothing of it left to read: after a pause of ours
    /// its life signs are still waiting.
    pub(super) fn expire_silent(&mut self, now: Millis) -> bool {
        let Some(up) = self.up_mut().filter(|up| !up.killed && up.heard_at + SILENCE <= now) else {
            return false;
        };
        up.kill();
        true
    }

    /// Kills it: it broke the rules.
    pub(super) fn kill(&mut self) {
        if let Some(up) = self.up_mut() {
            up.kill();
        }
    }

    /// Tells it to stop, so that the next one takes over.
    pub(super) fn stop(&mut self, now: Millis) {
        self.tell(&ToWorker::Stop, None);
        if let Some(up) = self.up_mut() {
            up.stop_by = Some(now + STOP_GRACE);
        }
    }

    /// Queues a message; with the ring and master of `with`.
    pub(super) fn tell(&mut self, message: &ToWorker, with: Option<SessionId>) {
        let Some(up) = self.up_mut().filter(|up| !up.killed && !up.closed) else { return };
        match codec::encode(message) {
            Ok(packet) if up.outbox.len() < MAX_OUTBOX => up.outbox.push_back(Outgoing { packet, with }),
            // Every message of ours is far smaller than the codec's limit: only the queue can be the reason.
            Ok(_) | Err(_) => up.kill(),
        }
    }

    /// Tells it of a session's exit, unless its `Adopt` will.
    pub(super) fn tell_exit(&mut self, session_id: SessionId, session: &Session) {
        let knows = self.up().is_some_and(|up| match up.stage {
            Stage::Adopting { up_to, .. } => up_to >= Some(session_id),
            Stage::Serving => true,
        });
        if let Some(exit) = session.exit().filter(|_| knows) {
            self.tell(&ToWorker::Exited { session_id, exit }, None);
        }
    }

    /// Sends what waits and can be sent.
    pub(super) fn flush(&mut self, sessions: &Sessions) -> Result<(), HandoverError> {
        match self.up_mut().filter(|up| !up.killed && !up.closed && up.blocked == Blocked::No) {
            Some(up) => up.flush(sessions),
            None => Ok(()),
        }
    }

    /// Its socket took bytes again.
    pub(super) fn writable(&mut self, sessions: &Sessions, now: Millis) -> Result<(), HandoverError> {
        let Some(up) = self.up_mut() else { return Ok(()) };
        up.blocked = Blocked::No;
        let before = up.outbox.len();
        up.flush(sessions)?;
        if up.blocked == Blocked::UntilWritable && up.outbox.len() == before {
            up.blocked = Blocked::Until(now + BUSY_PAUSE);
        }
        Ok(())
    }

    /// Reads what it says, up to a bound. `buffer` is a packet long.
    /// What came before an error counts.
    pub(super) fn read(&mut self, buffer: &mut [u8], now: Millis) -> (Vec<ToKeeper>, Option<HandoverError>) {
        let mut messages = Vec::new();
        let Some(up) = self.up_mut().filter(|up| !up.killed) else { return (messages, None) };
        let mut failed = None;
        while messages.len() < MAX_READS && failed.is_none() {
            match socket::receive(up.socket.as_fd(), buffer) {
                Ok((message, _uncalled_for)) => messages.push(message),
                Err(HandoverError::NotReady) => break,
                Err(error) => failed = Some(error),
            }
        }
        if !messages.is_empty() {
            up.heard_at = now;
        }
        (messages, failed)
    }

    /// Its end of the socket is closed: it is about to be reaped, or will be killed for its silence.
    pub(super) fn closed(&mut self) {
        if let Some(up) = self.up_mut() {
            up.closed = true;
            up.outbox.clear();
        }
    }

    /// It has taken over a batch.
    pub(super) fn batch_taken(&mut self) {
        if let Some(Up { stage: Stage::Adopting { in_batch, .. }, .. }) = self.up_mut() {
            *in_batch = 0;
        }
    }

    /// Takes note that process `pid` was reaped, if it is the worker's.
    pub(super) fn reaped(&mut self, pid: Pid, now: Millis) -> Option<Gone> {
        let up = self.up().filter(|up| up.pid == pid)?;
        let asked = up.stop_by.is_some() && !up.killed;
        if asked || up.started_at + GOOD_LIFE <= now {
            self.failures = 0;
        }
        let delay = if asked { 0 } else { delay(self.failures) };
        self.failures += u32::from(!asked);
        self.life = Life::Down { start_at: now + delay };
        Some(Gone { asked, delay })
    }

    fn up(&self) -> Option<&Up> {
        if let Life::Up(up) = &self.life { Some(up) } else { None }
    }

    fn up_mut(&mut self) -> Option<&mut Up> {
        if let Life::Up(up) = &mut self.life { Some(up) } else { None }
    }
}

impl Up {
    fn new(pid: Pid, socket: OwnedFd, stage: Stage, now: Millis) -> Self {
        let (outbox, blocked) = (VecDeque::new(), Blocked::No);
        let (started_at, heard_at) = (now, now);
        Self {
            pid,
            socket,
            started_at,
            heard_at,
            stage,
            outbox,
            blocked,
            stop_by: None,
            killed: false,
            closed: false,
        }
    }

    fn kill(&mut self) {
        // It cannot have been reaped: that takes its place away. So the pid is still its own.
        let _exiting = kill(self.pid, Signal::SIGKILL);
        self.killed = true;
        self.outbox.clear();
    }

    fn flush(&mut self, sessions: &Sessions) -> Result<(), HandoverError> {
        loop {
            let sent = if let Some(next) = self.outbox.front() {
                let session = next.with.map(|session_id| sessions.find(session_id));
                match session {
                    // It is gone before the worker heard of it.
                    Some(None) => Ok(()),
                    Some(Some(session)) => {
                        socket::send_bytes(self.socket.as_fd(), &next.packet, &descriptors(session))
                    }
                    None => socket::send_bytes(self.socket.as_fd(), &next.packet, &[]),
                }
                .map(|()| drop(self.outbox.pop_front()))
            } else {
                match self.stage {
                    Stage::Serving => return Ok(()),
                    Stage::Adopting { in_batch: BATCH.., .. } => return Ok(()),
                    Stage::Adopting { up_to, in_batch } => self.adopt_next(sessions, up_to, in_batch),
                }
            };
            match sent {
                Ok(()) => {}
                Err(HandoverError::NotReady) => {
                    self.blocked = Blocked::UntilWritable;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn adopt_next(
        &mut self,
        sessions: &Sessions,
        up_to: Option<SessionId>,
        in_batch: u32,
    ) -> Result<(), HandoverError> {
        let socket = self.socket.as_fd();
        let Some((session_id, session)) = sessions.next_to_adopt(up_to) else {
            socket::send(socket, &ToWorker::AllAdopted, &[])?;
            self.stage = Stage::Serving;
            return Ok(());
        };
        let Session { owner, pid, record, .. } = session;
        let (pid, record) = (pid.as_raw(), record.clone());
        let adopt = Adopt { session_id, owner: *owner, pid, record, exit: session.exit() };
        socket::send(socket, &ToWorker::Adopt(adopt), &descriptors(session))?;
        self.stage = Stage::Adopting { up_to: Some(session_id), in_batch: in_batch + 1 };
        Ok(())
    }
}

fn descriptors(session: &Session) -> Vec<BorrowedFd<'_>> {
    [Some(&session.ring), session.master.as_ref()].into_iter().flatten().map(AsFd::as_fd).collect()
}

fn delay(failures: u32) -> Millis {
    match failures {
        0 => 0,
        _ => (FIRST_DELAY << (failures - 1).min(16)).min(MOST_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_keeps_failing_is_restarted_ever_more_slowly() {
        let delays: Vec<Millis> = (0..10).map(delay).collect();
        assert_eq!(delays, [0, 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(delay(u32::MAX), 5000);
    }

    #[test]
    fn a_good_life_or_a_stop_on_request_is_no_failure() {
        let mut worker = Worker::down(0);
        let pid = Pid::from_raw(i32::MAX);
        let start = |worker: &mut Worker, now| worker.started(pid, socket::pair().unwrap().0, now);
        for expected in [0, 50, 100] {
            start(&mut worker, 0);
            assert_eq!(worker.reaped(pid, 999), Some(Gone { asked: false, delay: expected }));
        }
        start(&mut worker, 0);
        assert_eq!(worker.reaped(pid, 1000), Some(Gone { asked: false, delay: 0 }));
        start(&mut worker, 0);
        worker.stop(0);
        assert_eq!(worker.reaped(pid, 1), Some(Gone { asked: true, delay: 0 }));
        assert_eq!(worker.reaped(pid, 1), None);
    }

    #[test]
    fn silence_is_a_hang() {
        let mut worker = Worker::down(0);
        worker.started(Pid::from_raw(i32::MAX), socket::pair().unwrap().0, 100);
        assert_eq!(worker.deadline(), Some(5100));
        assert!(!worker.expire_silent(5099));
        assert!(worker.expire_silent(5100));
        assert!(!worker.expire_silent(5101), "once is enough");
    }

    #[test]
    fn a_stop_has_a_deadline_whatever_is_said() {
        let mut worker = Worker::down(0);
        worker.started(Pid::from_raw(i32::MAX), socket::pair().unwrap().0, 0);
        worker.stop(100);
        assert!(!worker.expire(5099));
        assert!(worker.expire(5100));
    }
}
