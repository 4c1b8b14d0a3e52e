//! What the worker asks for, done. Knows nothing of sockets and packets.

use std::fmt::Display;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::ErrorCode;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use ptyd_session::{Integration, Nonce};

use super::Keeper;
use super::session::{MAX_TOMBSTONES, Session};
use super::spawn::{Refusal, Report};
use super::sys::Millis;
use crate::handover::{ExitStatus, MAX_RECORD_BYTES, Spawn, ToKeeper, ToWorker};

/// Most sessions asked for that wait for a re-exec; it waits for no longer than a child takes to start. Beyond them a
/// session is started as ever.
const MAX_HELD_BACK: usize = 1024;

impl Keeper {
    /// Does what a message asks for.
    pub(super) fn handle(&mut self, message: ToKeeper, now: Millis) {
        match message {
            ToKeeper::Heartbeat => {}
            ToKeeper::BatchTaken => self.worker.batch_taken(),
            ToKeeper::Ready => self.log.info("the worker serves", &[("sessions", &self.sessions.live())]),
            ToKeeper::Spawn(spawn) => self.start_session_soon(*spawn, None, now),
            ToKeeper::SpawnMarked { spawn, nonce } => {
                self.start_session_soon(*spawn, Some(Nonce::new(nonce)), now)
            }
            ToKeeper::Signal { session_id, signal, target } => self.signal(session_id, signal, target),
            ToKeeper::Terminate { session_id } => self.terminate(session_id, now),
            ToKeeper::Record { session_id, record } => match self.sessions.find_mut(session_id) {
                Some(_) if record.len() > MAX_RECORD_BYTES => {
                    self.log.warn("a record is too long to keep", &[("session.id", &session_id)]);
                }
                Some(session) => session.record = record,
                None => self.unknown(session_id),
            },
            ToKeeper::Drained { session_id } => match self.sessions.find_mut(session_id) {
                Some(Session { end: Some(_), master, .. }) => *master = None,
                Some(_) => self.log.warn("a live session cannot be drained", &[("session.id", &session_id)]),
                None => self.unknown(session_id),
            },
            ToKeeper::Forget { session_id } => match self.sessions.find(session_id) {
                Some(session) if session.is_live() => {
                    self.log.warn("a live session cannot be forgotten", &[("session.id", &session_id)]);
                }
                Some(_) => drop(self.sessions.remove(session_id)),
                None => self.unknown(session_id),
            },
        }
    }

    /// Starts a session, or keeps it until a re-exec that waits is done. A worker that has been told to stop, and still asked,
    /// hears no more: whoever waits there asks the next one.
    fn start_session_soon(&mut self, spawn: Spawn, nonce: Option<Nonce>, now: Millis) {
        if self.worker.is_stopping() && self.shutdown.is_none() {
            return;
        }
        if self.reexec.waits() && self.held_back.len() < MAX_HELD_BACK {
            self.held_back.push((spawn, nonce));
        } else {
            self.start_session(spawn, nonce, now);
        }
    }

    fn start_session(&mut self, spawn: Spawn, nonce: Option<Nonce>, now: Millis) {
        let (request, session_id) = (spawn.request, spawn.session_id);
        if let Err(refusal) = self.spawn(spawn, nonce, now) {
            self.refuse(request, session_id, refusal);
        }
    }

    /// Starts what was asked for while a re-exec waited, once none does.
    pub(super) fn start_held_back(&mut self, now: Millis) {
        if !self.reexec.waits() {
            for (spawn, nonce) in std::mem::take(&mut self.held_back) {
                self.start_session(spawn, nonce, now);
            }
        }
    }

    /// Hears what starting children say, and gives up on those that say nothing.
    pub(super) fn hear_starting(&mut self, now: Millis) {
        let heard: Vec<(SessionId, u32, Option<Integration>, Report)> = self
            .sessions
            .iter()
            .filter_map(|(session_id, session)| {
                let starting = session.starting.as_ref()?;
                let report = match starting.hear() {
                    Report::Nothing if starting.deadline > now => return None,
                    report @ (Report::Nothing | Report::Started | Report::Failed(_)) => report,
                };
                Some((session_id, starting.request, starting.integration, report))
            })
            .collect();
        for (session_id, request, integration, report) in heard {
            match report {
                Report::Started => self.started(session_id, request, integration),
                Report::Failed(failed) => self.abandon(session_id, request, Refusal::failed(failed)),
                Report::Nothing => {
                    let refusal = Refusal::new(ErrorCode::SpawnFailed, "the program did not start in time");
                    self.abandon(session_id, request, refusal);
                }
            }
        }
    }

    /// Drops what was starting for a worker that is gone: nobody was told of it, and whoever asked will ask again.
    pub(super) fn drop_starting(&mut self) {
        self.held_back.clear();
        let starting: Vec<SessionId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.starting.is_some())
            .map(|(id, _)| id)
            .collect();
        for session_id in starting {
            self.drop_unstarted(session_id);
        }
    }

    /// Reaps every child that has ended.
    pub(super) fn reap(&mut self, now: Millis) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.reaped(pid, ExitStatus::Code(code), now),
                Ok(WaitStatus::Signaled(pid, signal, _)) => {
                    self.reaped(pid, ExitStatus::Signal(signal as i32), now);
                }
                Ok(WaitStatus::StillAlive) | Err(_) => break,
                // Stops and traces are not asked for.
                Ok(_) => {}
            }
        }
        self.drop_old(now);
    }

    /// Drops ended sessions that nobody will ask for any more.
    pub(super) fn drop_old(&mut self, now: Millis) {
        for session_id in self.sessions.drop_old(self.limits.tombstones(MAX_TOMBSTONES), now) {
            self.log.warn(
                "an ended session is dropped although it was not confirmed",
                &[("session.id", &session_id)],
            );
        }
    }

    /// Does what a worker that has ended still asked for. Nobody is left to tell of a new session.
    fn read_last_words(&mut self, now: Millis) {
        loop {
            let (messages, _closed) = self.worker.read(&mut self.buffer, now);
            if messages.is_empty() {
                return;
            }
            let spawns =
                |message: &ToKeeper| matches!(message, ToKeeper::Spawn(_) | ToKeeper::SpawnMarked { .. });
            for message in messages.into_iter().filter(|message| !spawns(message)) {
                self.handle(message, now);
            }
        }
    }

    fn reaped(&mut self, pid: Pid, exit: ExitStatus, now: Millis) {
        let status = match exit {
            ExitStatus::Code(code) => format!("code {code}"),
            ExitStatus::Signal(signal) => format!("signal {signal}"),
        };
        if self.worker.is(pid) {
            self.read_last_words(now);
        }
        if let Some(gone) = self.worker.reaped(pid, now) {
            let fields: [(&str, &dyn Display); 3] =
                [("worker.pid", &pid), ("exit", &status), ("restart_in_ms", &gone.delay)];
            if gone.asked {
                self.log.info("the worker stopped as asked", &fields);
            } else {
                self.log.error("the worker ended", &fields);
            }
            return self.drop_starting();
        }
        if self.check_reaped(pid, exit) {
            return;
        }
        if let Some((session_id, session)) = self.sessions.led_by(pid) {
            session.end = Some((exit, now));
            drop(session.script.take());
            // Of a child that never ran its program, its report tells.
            if session.starting.is_none() {
                self.ended(session_id);
            }
            return;
        }
        // An abandoned child, or somebody's orphan if we are process 1 or the sessions' subreaper.
        if let Some(cgroups) = &self.cgroups {
            cgroups.sweep(&self.sessions.ids());
        }
    }

    fn started(&mut self, session_id: SessionId, request: u32, integration: Option<Integration>) {
        let Some(session) = self.sessions.find_mut(session_id) else { return };
        session.starting = None;
        let (pid, ended) = (session.pid.as_raw(), !session.is_live());
        self.log.info(
            format_args!("session {session_id} started"),
            &[("session.id", &session_id), ("pid", &pid)],
        );
        let told = match integration {
            Some(integration) => ToWorker::SpawnedMarked { request, pid, integration },
            None => ToWorker::Spawned { request, pid },
        };
        self.worker.tell(&told, Some(session_id));
        if ended {
            self.ended(session_id);
        }
    }

    fn ended(&mut self, session_id: SessionId) {
        if let Some(session) = self.sessions.find(session_id) {
            self.log.info(format_args!("session {session_id} ended"), &[("session.id", &session_id)]);
            self.worker.tell_exit(session_id, session);
        }
        if let Some(cgroups) = &self.cgroups {
            cgroups.remove(session_id);
        }
    }

    fn abandon(&mut self, session_id: SessionId, request: u32, refusal: Refusal) {
        self.drop_unstarted(session_id);
        self.refuse(request, session_id, refusal);
    }

    fn drop_unstarted(&mut self, session_id: SessionId) {
        if let Some(session) = self.sessions.remove(session_id).filter(Session::is_live) {
            // Its process group is its own once it called setsid(2); before that it has no children.
            let _exiting = kill(Pid::from_raw(-session.pid.as_raw()), Signal::SIGKILL);
            let _exiting = kill(session.pid, Signal::SIGKILL);
        }
        if let Some(cgroups) = &self.cgroups {
            cgroups.remove(session_id);
        }
    }

    pub(super) fn refuse(&mut self, request: u32, session_id: SessionId, refusal: Refusal) {
        let Refusal { code, message } = refusal;
        self.log.info("no session was started", &[("session.id", &session_id), ("code", &code)]);
        self.worker.tell(&ToWorker::SpawnFailed { request, code, message }, None);
    }

    pub(super) fn unknown(&self, session_id: SessionId) {
        self.log.debug("a message for a session that is not held", &[("session.id", &session_id)]);
    }
}
