//! A control group per session with a limit of processes, where the host lets us: version 2, or version 1's pids
//! controller. Best effort everywhere; knows nothing of sessions but their ids.

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use devpocket_shared::ids::{NodeId, SessionId};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::limits;

const V1_ROOT: &str = "/sys/fs/cgroup/pids";
const V2_ROOT: &str = "/sys/fs/cgroup";
/// How often what a lost session left is looked for, at most.
const KILL_ROUNDS: u32 = 8;

/// How often a group that another keeper just removed is made again.
const MAKE_TRIES: u32 = 3;

/// Another keeper holds the group of this node: it runs on a copy of the same state directory.
#[derive(Debug, thiserror::Error)]
#[error(
    "another keeper runs as node {0}, whose sessions would be ended: PTYD_STATE_DIR is a copy of its; a node of its own \
     begins with an empty directory"
)]
pub struct NodeTaken(pub NodeId);

/// The group that holds the groups of this node's sessions.
#[derive(Debug)]
pub(super) struct Cgroups {
    base: PathBuf,
    /// Held for as long as the keeper lives: the state directory's lock does not know of copies, which have the same node
    /// id and so the same group.
    lock: Option<OwnedFd>,
}

impl Cgroups {
    /// Makes the node's group and takes it for this keeper alone; `None` where that is not possible.
    pub(super) fn make(node_id: NodeId) -> Result<Option<Self>, NodeTaken> {
        for _ in 0..MAKE_TRIES {
            let Some(base) = make_base(node_id) else { return Ok(None) };
            match lock(&base) {
                Ok(Some(held)) => return Ok(Some(Self { base, lock: Some(held) })),
                // Removed between the two by a keeper that ended.
                Ok(None) => {}
                Err(TryLockError::WouldBlock) => return Err(NodeTaken(node_id)),
                Err(TryLockError::Error(_)) => break,
            }
        }
        Ok(None)
    }

    /// Goes on with the group of the keeper that ran in this process before, and with its lock if it had one.
    pub(super) fn resume(base: PathBuf, held: Option<OwnedFd>) -> Self {
        let held = held.or_else(|| lock(&base).ok().flatten());
        Self { base, lock: held }
    }

    /// Where it is.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// What holds the lock as long as it is open anywhere.
    pub(super) fn lock(&self) -> Option<&OwnedFd> {
        self.lock.as_ref()
    }

    /// Makes a session's group; a process that writes to the file enters it.
    pub(super) fn enter(&mut self, session_id: SessionId) -> io::Result<File> {
        let group = self.group(session_id);
        match make_dir(&group) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_again()?;
                make_dir(&group)?;
            }
            made => made?,
        }
        fs::write(group.join("pids.max"), limits::PROCESSES.to_string())?;
        // A lone thread that enters by itself needs none of the kernel's locks on forks, which cost milliseconds; version
        // 2 has no such file.
        let open = |file| OpenOptions::new().write(true).open(group.join(file));
        open("tasks").or_else(|_| open("cgroup.procs"))
    }

    /// Somebody removed the node's group while no session was in it.
    fn make_again(&mut self) -> io::Result<()> {
        make_dir(&self.base)?;
        let control = self.base.join("cgroup.subtree_control");
        if control.exists() {
            fs::write(control, "+pids")?;
        }
        self.lock = lock(&self.base).ok().flatten();
        Ok(())
    }

    /// The processes in a session's group, wherever they went with setsid(2).
    pub(super) fn members(&self, session_id: SessionId) -> Vec<Pid> {
        let text = fs::read_to_string(self.group(session_id).join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).filter(|pid| *pid > 1).map(Pid::from_raw).collect()
    }

    /// Kills what is left of sessions of a keeper before that was killed itself, and says how many processes: nobody can
    /// reach them, and who waits for their end waits in vain. Only the one keeper of the node may.
    pub(super) fn kill_lost(&self) -> usize {
        let mut killed = BTreeSet::new();
        // Again, for those that made others meanwhile.
        for _ in 0..KILL_ROUNDS {
            let lost: Vec<Pid> = self.sessions().flat_map(|session_id| self.members(session_id)).collect();
            if lost.is_empty() {
                break;
            }
            for pid in lost {
                let _ended = kill(pid, Signal::SIGKILL);
                killed.insert(pid);
            }
        }
        killed.len()
    }

    /// Removes a session's group, if nobody is left in it.
    pub(super) fn remove(&self, session_id: SessionId) {
        // Who is left in it keeps it: `sweep` comes again.
        let _in_use = fs::remove_dir(self.group(session_id));
    }

    /// Removes the groups of all sessions but these that nobody is left in.
    pub(super) fn sweep(&self, held: &BTreeSet<SessionId>) {
        for session_id in self.sessions().filter(|session_id| !held.contains(session_id)) {
            self.remove(session_id);
        }
    }

    /// The sessions that have a group.
    fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let groups = fs::read_dir(&self.base).into_iter().flatten().flatten();
        groups.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    }

    /// Removes the node's group, if nobody is left in any session's; says whether it is gone.
    pub(super) fn remove_all(&self) -> bool {
        self.sweep(&BTreeSet::new());
        fs::remove_dir(&self.base).is_ok()
    }

    fn group(&self, session_id: SessionId) -> PathBuf {
        self.base.join(session_id.to_string())
    }
}

/// Takes a group for this process alone. `None`: it is gone, or another one is in its place.
fn lock(base: &Path) -> Result<Option<OwnedFd>, TryLockError> {
    let Ok(group) = File::open(base) else { return Ok(None) };
    group.try_lock()?;
    let inode = |metadata: io::Result<Metadata>| metadata.map(|metadata| (metadata.dev(), metadata.ino()));
    let same = inode(group.metadata()).ok() == inode(fs::metadata(base)).ok();
    Ok(same.then(|| group.into()))
}

fn make_base(node_id: NodeId) -> Option<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let name = format!("devpocket-{node_id}");
    let made = own_group(&own, "pids").and_then(|own| make_v1(Path::new(V1_ROOT), own, &name).ok());
    made.or_else(|| make_v2(Path::new(V2_ROOT), own_group(&own, "")?, &name).ok())
}

/// The path of our own group in /proc/self/cgroup (cgroups(7)): `controller` is empty for version 2.
fn own_group<'a>(text: &'a str, controller: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/'))
    })
}

fn make_v1(root: &Path, own: &str, name: &str) -> io::Result<PathBuf> {
    let base = root.join(own).join(name);
    make_dir(&base)?;
    // The group of a container is elsewhere than its path says: only one that has the controller will do.
    fs::metadata(base.join("pids.max")).map(|_| base)
}

/// A group with members of its own cannot have groups with controllers below it, so the keeper moves to a group beside
/// its sessions first. Only a group that is ours alone, as systemd's `Delegate=` gives, may be arranged like that.
fn make_v2(root: &Path, own: &str, name: &str) -> io::Result<PathBuf> {
    let own = root.join(own);
    let base = own.join(name);
    if own == root {
        make_dir(&base)?;
    } else {
        let alone = fs::read_to_string(own.join("cgroup.procs"))?.trim() == std::process::id().to_string();
        if !alone {
            return Err(io::Error::other("the control group is not ours alone"));
        }
        let keeper = own.join("keeper");
        make_dir(&keeper)?;
        fs::write(keeper.join("cgroup.procs"), "0")?;
        if let Err(error) =
            fs::write(own.join("cgroup.subtree_control"), "+pids").and_then(|()| make_dir(&base))
        {
            fs::write(own.join("cgroup.procs"), "0")?;
            fs::remove_dir(&keeper)?;
            return Err(error);
        }
    }
    match fs::write(base.join("cgroup.subtree_control"), "+pids") {
        Ok(()) => Ok(base),
        Err(error) => {
            fs::remove_dir(&base)?;
            Err(error)
        }
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_group_is_found_in_either_version() {
        let text = "9:name=systemd:/\n8:cpu,pids:/a/b:c\n0::/user.slice/x\n";
        assert_eq!(own_group(text, "pids"), Some("a/b:c"));
        assert_eq!(own_group(text, ""), Some("user.slice/x"));
        assert_eq!(own_group("8:cpu:/a\n", "pids"), None);
    }

    #[test]
    fn in_a_group_of_its_own_the_keeper_steps_aside_for_its_sessions() {
        let root = tempfile::tempdir().unwrap();
        let own = root.path().join("ours");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("cgroup.procs"), format!("{}\n", std::process::id())).unwrap();
        let base = make_v2(root.path(), "ours", "devpocket").unwrap();
        assert_eq!(base, own.join("devpocket"));
        let read = |path: &str| fs::read_to_string(own.join(path)).unwrap();
        assert_eq!(read("keeper/cgroup.procs"), "0");
        assert_eq!(
            (read("cgroup.subtree_control"), read("devpocket/cgroup.subtree_control")),
            ("+pids".into(), "+pids".into())
        );
    }

    #[test]
    fn a_group_that_others_are_in_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("shared")).unwrap();
        fs::write(root.path().join("shared/cgroup.procs"), "10\n11\n").unwrap();
        assert!(make_v2(root.path(), "shared", "devpocket").is_err());
        assert!(!root.path().join("shared/keeper").exists());
    }
}
