//! The unprivileged users that the processes run as when the tests run as root. Must not know which process is whose.

use std::fs::File;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Uid, User};

/// Runs the api.
pub const API: &str = "devpocket";
/// Runs ptyd's worker.
pub const WORKER: &str = "devpocket-worker";
/// Runs the shells.
pub const SHELL: &str = "devpocket-shell";

/// Whether users can be changed at all.
pub fn is_root() -> bool {
    Uid::effective().is_root()
}

/// The user of that name, made if it is missing. As root only.
pub fn ensure(name: &str) -> User {
    if let Some(user) = find(name) {
        return user;
    }
    // Tests run in parallel processes, and useradd refuses to work beside another one.
    let lock = std::env::temp_dir().join("devpocket-tests-users.lock");
    let _held = Flock::lock(File::create(&lock).expect("a lock file"), FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .expect("the lock");
    if let Some(user) = find(name) {
        return user;
    }
    let mut useradd = Command::new("useradd");
    if name == SHELL {
        useradd.args(["--create-home", "--shell", "/bin/bash"]);
    } else {
        useradd.args(["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]);
    }
    let made = useradd.arg(name).status().expect("useradd runs");
    assert!(made.success(), "useradd {name}: {made}");
    find(name).expect("the user just made")
}

fn find(name: &str) -> Option<User> {
    User::from_name(name).expect("the user database can be read")
}
