//! The one step between fork and exec that the standard library does not know. Must not know what is executed.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc;
use nix::unistd::setsid;

/// Makes the process that `command` starts the leader of a process session, with its stdin as controlling terminal.
pub fn lead_terminal(command: &mut Command) {
    // SAFETY: the closure runs between fork and exec and makes system calls only, which signal-safety(7) allows: it
    // takes no lock and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            match libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) {
                -1 => Err(io::Error::last_os_error()),
                _ => Ok(()),
            }
        });
    }
}
