//! A Redis of a test's own: in a private directory, on a loopback port, ended by pid. Must not know what is kept in it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::process::{Launch, Process};
use super::{START_LIMIT, place};
use crate::wait_until;

/// A running Redis that keeps nothing on disk.
pub struct Redis {
    address: SocketAddr,
    starts: usize,
    process: Process,
    directory: TempDir,
}

impl Redis {
    /// Starts one and waits until it takes connections.
    pub async fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("devpocket-redis-").tempdir().expect("a directory");
        let address = place::free_address();
        let process = launch(address, directory.path());
        let mut redis = Self { address, starts: 1, process, directory };
        redis.ready().await;
        redis
    }

    /// What `REDIS_URL` names it by.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Ends it without warning, and with it everything it held.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, after [`Redis::stop`].
    pub async fn start_again(&mut self) {
        self.starts += 1;
        self.process = launch(self.address, self.directory.path());
        self.ready().await;
    }

    /// Stops it without ending it: connections stay open and nobody answers.
    pub fn freeze(&mut self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`Redis::freeze`].
    pub fn thaw(&mut self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Makes it forget everything.
    pub fn flush(&self) {
        let mut stream = TcpStream::connect(self.address).expect("Redis takes connections");
        stream.write_all(b"FLUSHALL\r\n").expect("Redis reads");
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).expect("Redis answers");
        assert_eq!(&answer, b"+OK\r\n");
    }

    async fn ready(&mut self) {
        let process = &mut self.process;
        wait_until("Redis takes connections", START_LIMIT, async || {
            assert!(process.ended().is_none(), "Redis ended at once: {}", process.printed());
            process.printed().matches("Ready to accept connections").count() == self.starts
        })
        .await;
    }
}

fn launch(address: SocketAddr, directory: &Path) -> Process {
    let (port, place) = (address.port().to_string(), directory.display().to_string());
    Process::start(&Launch {
        name: "redis",
        program: Path::new("redis-server"),
        arguments: &[
            "--bind",
            "127.0.0.1",
            "--port",
            &port,
            "--dir",
            &place,
            "--save",
            "",
            "--appendonly",
            "no",
        ],
        environment: &[],
        user: None,
        logs: directory,
    })
}
