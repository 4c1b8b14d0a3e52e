//! Control groups that a killed keeper leaves behind, which only a next keeper of the same node would remove. Must not know
//! what a test does with a node.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROOT: &str = "/sys/fs/cgroup";
/// How deep below it a keeper's group may be.
const DEPTH: u32 = 4;
/// How often, and with what pauses, what was killed is waited for.
const TRIES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// Removes the groups of the node whose state directory this was, with what is left in them.
pub fn remove_of(state: &Path) {
    let Ok(node_id) = fs::read_to_string(state.join("node_id")) else { return };
    for group in named(Path::new(ROOT), &format!("devpocket-{}", node_id.trim()), DEPTH) {
        for _ in 0..TRIES {
            if empty(&group) && fs::remove_dir(&group).is_ok() {
                break;
            }
            let _paused = poll(&mut [], PollTimeout::try_from(PAUSE).expect("a short time"));
        }
    }
}

fn named(under: &Path, name: &str, depth: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(under).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories
        .flat_map(|entry| match (entry.file_name() == *name, depth) {
            (true, _) => vec![entry.path()],
            (false, 0) => Vec::new(),
            (false, _) => named(&entry.path(), name, depth - 1),
        })
        .collect()
}

/// Kills who is in the groups of sessions and removes them; whether all are gone.
fn empty(group: &Path) -> bool {
    let sessions = fs::read_dir(group).into_iter().flatten().flatten();
    let directories = sessions.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut gone = true;
    for session in directories.map(|entry| entry.path()) {
        for pid in fs::read_to_string(session.join("cgroup.procs")).unwrap_or_default().lines() {
            if let Ok(pid @ 2..) = pid.parse() {
                let _ended = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        gone &= fs::remove_dir(session).is_ok();
    }
    gone
}
