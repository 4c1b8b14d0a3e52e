//! One process of the stack: started with a clean environment, its log in a file, ended by pid. Must not know what it
//! is for.

use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{self, Signal};
use nix::unistd::{Pid, User};

/// How much of each log a failing test prints, in bytes.
const LOG_TAIL_BYTES: usize = 8 << 10;

/// What to start.
pub struct Launch<'a> {
    /// Names its log files.
    pub name: &'a str,
    /// The executable.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Its whole environment, beside PATH.
    pub environment: &'a [(String, String)],
    /// Who runs it; none: the user of the test.
    pub user: Option<&'a User>,
    /// Where its logs go.
    pub logs: &'a Path,
}

/// A running (or ended) process.
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts it. Output is appended to the logs of an earlier process of the same name.
    pub fn start(launch: &Launch<'_>) -> Self {
        let stdout = launch.logs.join(format!("{}.out", launch.name));
        let stderr = launch.logs.join(format!("{}.log", launch.name));
        let mut command = Command::new(launch.program);
        command.args(launch.arguments).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.envs(launch.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(append(&stdout)).stderr(append(&stderr)).current_dir("/");
        if let Some(user) = launch.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let child = command
            .spawn()
            .unwrap_or_else(|err| panic!("{} does not start: {err}", launch.program.display()));
        Self { name: launch.name.to_owned(), child, stdout, stderr }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().expect("a pid"))
    }

    /// What it and its predecessors of the same name have printed.
    pub fn printed(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// What it and its predecessors of the same name have logged.
    pub fn logged(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be waited for")
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            send(self.pid(), signal);
        }
    }

    /// Ends it without warning and waits until it is gone.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let _status = self.child.wait();
    }

    /// Asks it to end, waits at most `grace`, then kills it. True if it went by itself.
    pub fn end(&mut self, grace: Duration) -> bool {
        self.signal(Signal::SIGTERM);
        let (ended, end) = mpsc::sync_channel(1);
        let went = std::thread::scope(|scope| {
            let child = &mut self.child;
            let pid = Pid::from_raw(child.id().try_into().expect("a pid"));
            scope.spawn(move || {
                let _status = child.wait();
                let _received = ended.send(());
            });
            let went = end.recv_timeout(grace).is_ok();
            if !went {
                send(pid, Signal::SIGKILL);
            }
            went
        });
        if !went {
            eprintln!("{} had to be killed after {grace:?}", self.name);
        }
        went
    }

    /// Prints the end of its log, for a test that fails.
    fn print_log(&self) {
        for path in [&self.stdout, &self.stderr] {
            let log = fs::read(path).unwrap_or_default();
            let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
            if !tail.is_empty() {
                eprintln!("--- {} ({} bytes)\n{}", path.display(), log.len(), String::from_utf8_lossy(tail));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.print_log();
        }
    }
}

/// Sends a signal to a process that may be gone already.
pub fn send(pid: Pid, signal: Signal) {
    assert!(pid.as_raw() > 1, "never signal pid {pid}");
    match signal::kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("kill {pid} with {signal}: {errno}"),
    }
}

fn append(path: &Path) -> File {
    OpenOptions::new().create(true).append(true).open(path).expect("a log file")
}
