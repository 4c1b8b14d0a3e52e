//! The test's side of a worker, and the sessions it is given; knows the handover and terminals, not what is tested.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use devpocket_shared::ids::{SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{ErrorCode, Spec};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, read, write};
use ptyd::handover::socket::{self, HandoverError};
use ptyd::handover::{
    Adopt, BATCH, ExitStatus, MAX_PACKET_BYTES, Spawn, Target, ToKeeper, ToWorker, Welcome,
};
use uuid::Uuid;

use crate::node::{PATIENCE, clock, wait_readable};

pub const REGION_BYTES: u64 = (1 << 20) + 4096;

pub struct Worker {
    /// Its process, which does nothing.
    pub pid: Pid,
    /// While it is open, the process stays.
    stay: Option<UnixStream>,
    keeper: OwnedFd,
    buffer: Vec<u8>,
    requests: u32,
    /// Exits heard while waiting for something else.
    exits: BTreeMap<SessionId, ExitStatus>,
}

/// A session the worker was given.
pub struct Session {
    pub id: SessionId,
    pub owner: UserId,
    pub pid: Pid,
    pub ring: OwnedFd,
    pub master: Option<OwnedFd>,
    pub record: Vec<u8>,
    pub exit: Option<ExitStatus>,
}

impl Worker {
    pub fn new(stay: UnixStream) -> Self {
        let mut buffer = vec![0; MAX_PACKET_BYTES];
        wait_readable("the worker's process gives us its socket", &stay);
        let (pid, mut descriptors): (u32, _) = socket::receive(stay.as_fd(), &mut buffer).unwrap();
        let pid = Pid::from_raw(i32::try_from(pid).unwrap());
        Self {
            pid,
            stay: Some(stay),
            keeper: descriptors.pop().unwrap(),
            buffer,
            requests: 0,
            exits: BTreeMap::new(),
        }
    }

    /// Takes the welcome and every session.
    pub fn take_over(&mut self) -> (Welcome, Vec<OwnedFd>, Vec<Session>) {
        let (message, descriptors) = self.next();
        let ToWorker::Welcome(welcome) = message else { panic!("no welcome: {message:?}") };
        let mut sessions = Vec::new();
        loop {
            match self.next() {
                (ToWorker::Adopt(adopt), descriptors) => sessions.push(Session::adopted(adopt, descriptors)),
                (ToWorker::AllAdopted, _) => break,
                (other, _) => panic!("not in a handover: {other:?}"),
            }
            if sessions.len() % BATCH as usize == 0 {
                assert!(
                    !self.hears_within(Duration::from_millis(50)),
                    "the keeper must wait for a batch to be taken"
                );
                self.say(&ToKeeper::BatchTaken);
            }
        }
        self.say(&ToKeeper::Ready);
        (*welcome, descriptors, sessions)
    }

    pub fn say(&self, message: &ToKeeper) {
        let until = clock() + PATIENCE;
        while let Err(error) = socket::send(self.keeper.as_fd(), message, &[]) {
            assert!(matches!(error, HandoverError::NotReady) && clock() < until, "{error}");
            poll(&mut [PollFd::new(self.keeper.as_fd(), PollFlags::POLLOUT)], PollTimeout::from(100u8))
                .unwrap();
        }
    }

    /// Says what no keeper understands.
    pub fn babble(&self) {
        socket::send_bytes(self.keeper.as_fd(), &[0xFF; 40], &[]).unwrap();
    }

    /// The next message; gives life signs while it waits.
    pub fn next(&mut self) -> (ToWorker, Vec<OwnedFd>) {
        let until = clock() + PATIENCE;
        while !self.hears_within(Duration::from_millis(500)) {
            assert!(clock() < until, "timed out: the keeper says something");
            self.say(&ToKeeper::Heartbeat);
        }
        socket::receive(self.keeper.as_fd(), &mut self.buffer).unwrap()
    }

    /// The exit of a session.
    pub fn exit_of(&mut self, id: SessionId) -> ExitStatus {
        loop {
            if let Some(exit) = self.exits.remove(&id) {
                return exit;
            }
            if let Some((other, _)) = self.next_but_exits() {
                panic!("not an exit: {other:?}");
            }
        }
    }

    /// The next message; an exit is remembered instead.
    fn next_but_exits(&mut self) -> Option<(ToWorker, Vec<OwnedFd>)> {
        match self.next() {
            (ToWorker::Exited { session_id, exit }, _) => {
                assert_eq!(self.exits.insert(session_id, exit), None, "an exit is told once");
                None
            }
            other => Some(other),
        }
    }

    /// Asks for a session of the first account.
    pub fn spawn(&mut self, spec: Spec) -> Session {
        self.try_spawn(owner(1), spec).expect("a session is started")
    }

    pub fn sh(&mut self, script: &str) -> Session {
        self.spawn(command(&["/bin/sh", "-c", script]))
    }

    pub fn try_spawn(&mut self, owner: UserId, spec: Spec) -> Result<Session, (ErrorCode, String)> {
        let (request, id) = self.ask(owner, spec);
        let answer = loop {
            if let Some(answer) = self.next_but_exits() {
                break answer;
            }
        };
        match answer {
            (ToWorker::Spawned { request: answered, pid }, descriptors) => {
                assert_eq!(answered, request);
                let adopt = Adopt { session_id: id, owner, pid, record: Vec::new(), exit: None };
                Ok(Session::adopted(adopt, descriptors))
            }
            (ToWorker::SpawnFailed { request: answered, code, message }, descriptors) => {
                assert_eq!((answered, descriptors.len()), (request, 0));
                Err((code, message))
            }
            (other, _) => panic!("no answer to a spawn: {other:?}"),
        }
    }

    /// Asks for `count` sessions at once.
    pub fn spawn_many(&mut self, count: usize, spec: &Spec) -> Vec<Session> {
        let asked: BTreeMap<u32, SessionId> = (0..count).map(|_| self.ask(owner(1), spec.clone())).collect();
        let mut sessions = Vec::new();
        while sessions.len() < count {
            match self.next() {
                (ToWorker::Spawned { request, pid }, descriptors) => {
                    let (session_id, record) = (asked[&request], Vec::new());
                    let adopt = Adopt { session_id, owner: owner(1), pid, record, exit: None };
                    sessions.push(Session::adopted(adopt, descriptors));
                }
                (other, _) => panic!("no session: {other:?}"),
            }
        }
        sessions
    }

    /// Asks for a session and does not wait for the answer.
    pub fn ask(&mut self, owner: UserId, spec: Spec) -> (u32, SessionId) {
        let id = SessionId::new(Uuid::new_v4());
        self.requests += 1;
        let (request, record, region_bytes) = (self.requests, id.uuid().as_bytes().to_vec(), REGION_BYTES);
        self.say(&ToKeeper::Spawn(Box::new(Spawn {
            request,
            session_id: id,
            owner,
            spec,
            region_bytes,
            record,
        })));
        (request, id)
    }

    pub fn signal(&self, session: &Session, signal: Signal, target: Target) {
        self.say(&ToKeeper::Signal { session_id: session.id, signal: signal as i32, target });
    }

    /// SIGKILL to its process.
    pub fn kill(self) {
        kill(self.pid, Signal::SIGKILL).unwrap();
    }

    /// SIGSTOP to its process.
    pub fn hang(&self) {
        kill(self.pid, Signal::SIGSTOP).unwrap();
    }

    /// Lets its process end by itself, with what was said still unread.
    pub fn leave(mut self) {
        self.stay = None;
    }

    fn hears_within(&self, time: Duration) -> bool {
        let mut ready = [PollFd::new(self.keeper.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::try_from(time).unwrap()).unwrap() == 1
    }
}

impl Session {
    fn adopted(adopt: Adopt, descriptors: Vec<OwnedFd>) -> Self {
        let mut descriptors = descriptors.into_iter();
        let (ring, master) = (descriptors.next().unwrap(), descriptors.next());
        assert!(descriptors.next().is_none());
        let Adopt { session_id: id, owner, pid, record, exit } = adopt;
        Self { id, owner, pid: Pid::from_raw(pid), ring, master, record, exit }
    }

    pub fn type_text(&self, text: &str) {
        assert_eq!(write(self.master.as_ref().unwrap(), text.as_bytes()), Ok(text.len()));
    }

    /// Reads output until it holds `text`.
    pub fn output_with(&self, text: &str) -> String {
        self.output_until(&format!("output with {text:?}"), |output| output.contains(text))
    }

    /// Reads output to its end.
    pub fn all_output(&self) -> String {
        self.output_until("output to its end", |_| false)
    }

    fn output_until(&self, what: &str, done: impl Fn(&str) -> bool) -> String {
        let master = self.master.as_ref().unwrap();
        let (mut output, mut chunk) = (String::new(), [0; 4096]);
        let until = clock() + PATIENCE;
        while !done(&output) {
            assert!(clock() < until, "timed out: {what}; so far: {output}");
            poll(&mut [PollFd::new(master.as_fd(), PollFlags::POLLIN)], PollTimeout::from(100u8)).unwrap();
            match read(master, &mut chunk) {
                Ok(0) | Err(Errno::EIO) => return output,
                Ok(length) => output.push_str(&String::from_utf8_lossy(&chunk[..length])),
                Err(errno) => assert_eq!(errno, Errno::EAGAIN),
            }
        }
        output
    }

    /// Writes a word into the ring, for a later worker to find.
    pub fn mark(&self, word: &str) {
        let mut ring = std::fs::File::from(self.ring.try_clone().unwrap());
        ring.seek(SeekFrom::Start(64)).unwrap();
        ring.write_all(word.as_bytes()).unwrap();
    }

    pub fn marked(&self, word: &str) -> bool {
        let mut ring = std::fs::File::from(self.ring.try_clone().unwrap());
        let mut found = vec![0; word.len()];
        ring.seek(SeekFrom::Start(64)).unwrap();
        ring.read_exact(&mut found).unwrap();
        found == word.as_bytes()
    }
}

pub fn owner(number: u128) -> UserId {
    UserId::new(Uuid::from_u128(number))
}

/// What to run, everything else by default.
pub fn command(command: &[&str]) -> Spec {
    Spec {
        name: None,
        command: command.iter().map(|&text| text.to_owned()).collect(),
        working_directory: None,
        environment: Vec::new(),
        size: TerminalSize::DEFAULT,
    }
}
