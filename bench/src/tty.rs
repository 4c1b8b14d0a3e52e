//! A program on a terminal without DevPocket: on a PTY of this process, or behind an ssh client. Must not know what is
//! measured on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::stack::users;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::unistd::{Uid, User};

use crate::sys;

/// Bytes asked for in one read; the kernel gives at most about 4 KiB of a PTY at a time.
const READ_BYTES: usize = 64 << 10;

/// A running program; ends in `Drop`.
pub struct Tty {
    input: File,
    output: File,
    child: Child,
}

impl Tty {
    /// Starts `command` on a new PTY of 24 rows and 80 columns.
    pub fn bare(mut command: Command) -> anyhow::Result<Self> {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).context("openpty")?;
        for end in [&pty.master, &pty.slave] {
            // openpty knows no close-on-exec: else each program would keep the terminals of those before it open.
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        let home = home()?;
        command.current_dir(&home).env("HOME", home);
        command.stdin(pty.slave.try_clone()?).stdout(pty.slave.try_clone()?).stderr(pty.slave);
        sys::lead_terminal(&mut command);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let output = File::from(pty.master);
        Ok(Self { input: output.try_clone()?, output, child })
    }

    /// Starts `command`, a client whose terminal is elsewhere, on pipes.
    pub fn piped(mut command: Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let input = child.stdin.take().context("stdin is a pipe")?;
        let output = child.stdout.take().context("stdout is a pipe")?;
        Ok(Self {
            input: std::os::fd::OwnedFd::from(input).into(),
            output: std::os::fd::OwnedFd::from(output).into(),
            child,
        })
    }

    /// Types.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.input.write_all(bytes)
    }

    /// Waits for output and gives how many bytes came. The end of the program is an error.
    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.output.read(into)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Waits for output; false if none came within `limit`.
    pub fn waits_for_output(&self, limit: Duration) -> anyhow::Result<bool> {
        let mut wanted = [PollFd::new(self.output.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit).context("too long for poll")?;
        Ok(poll(&mut wanted, limit)? > 0)
    }

    /// Reads up to `marker`, which must be the last that comes until something is typed.
    pub fn read_until(&mut self, marker: &str) -> anyhow::Result<()> {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        while !seen.ends_with(marker.as_bytes()) {
            let read = self.read(&mut chunk).with_context(|| {
                format!("the program ended before {marker:?}: {:?}", String::from_utf8_lossy(&seen))
            })?;
            seen.extend_from_slice(&chunk[..read]);
        }
        Ok(())
    }

    /// Reads exactly `bytes` into the end of `into`, whose capacity holds them.
    pub fn read_exactly(&mut self, bytes: usize, into: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut chunk = vec![0; READ_BYTES];
        let mut left = bytes;
        while left > 0 {
            let read = self.read(&mut chunk)?;
            ensure!(read <= left, "{} bytes more than expected", read - left);
            into.extend_from_slice(&chunk[..read]);
            left -= read;
        }
        Ok(())
    }

    /// Its input and output, for a thread that serves many.
    pub fn clone_files(&self) -> io::Result<(File, File)> {
        Ok((self.input.try_clone()?, self.output.try_clone()?))
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// The home that all contenders' programs have: a shell reads its start-up files there, and what is in them differs.
pub fn home() -> anyhow::Result<PathBuf> {
    let user = if users::is_root() {
        users::ensure(users::SHELL)
    } else {
        User::from_uid(Uid::effective())?.context("the user of this process has a name")?
    };
    Ok(user.dir)
}

/// A command that runs a shell script.
pub fn script(text: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", text]);
    command
}
