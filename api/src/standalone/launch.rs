//! The moment between the supervisor and ptyd: a new process session, so that no terminal's Ctrl-C or hang-up reaches it.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Leaves the terminal's process session and becomes `program`. Returns only when that failed.
///
/// A hidden subcommand rather than a call between fork and exec, which would be unsafe code. `program` gets SIGPIPE
/// ignored by Rust's start-up, as every Rust program does.
pub fn launch_keeper(program: &Path) -> io::Error {
    match nix::unistd::setsid() {
        Ok(_) => Command::new(program).exec(),
        Err(errno) => errno.into(),
    }
}
