//! How much the host lets the keeper hold, and how much a session may take. Knows nothing of single sessions.

use std::fs;

use nix::errno::Errno;
use nix::libc::{self, RLIM_INFINITY};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::processes;
use super::sys::Millis;

/// Processes a session may have beyond those its user has already, or in its own control group.
pub(super) const PROCESSES: u64 = 512;
/// Pseudo-terminals left to the rest of the host.
const TERMINALS_LEFT: u64 = 64;
/// Open files a session's programs see as their soft limit at least, unless the hard one is lower.
const OPEN_FILES_SOFT: u64 = 4096;
/// How long a count of processes is good for: reading /proc costs milliseconds on a full host.
const COUNT_LIFE: Millis = 1000;
/// What goes back into oom_score_adj(5) for everyone but the keeper.
const OOM_KEEPER: &str = "-900";

/// What the keeper was allowed when it started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Soft limit of open files, before the keeper raised its own.
    pub(super) inherited_files: u64,
    /// Hard limit of open files.
    pub(super) files: u64,
}

impl Limits {
    /// Raises the keeper's own limit of open files to the hard one. `inherited_files`: what a keeper before this one in
    /// the same process found.
    pub(super) fn raise(inherited_files: Option<u64>) -> Result<Self, Errno> {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        Ok(Self { inherited_files: inherited_files.unwrap_or(soft), files: hard })
    }

    /// As [`Self::raise`] did for the keeper before this one in the same process, whose limits this one has: if they cannot
    /// be read again, they are taken to be as low as they were then.
    pub(super) fn resume(inherited_files: u64) -> Self {
        Self::raise(Some(inherited_files)).unwrap_or(Self { inherited_files, files: inherited_files })
    }

    /// The soft limit of open files for a session's programs: select(2) and loops over all descriptors fail above.
    pub(super) fn session_files(self) -> (u64, u64) {
        (self.inherited_files.max(OPEN_FILES_SOFT).min(self.files), self.files)
    }

    /// Most live sessions, when `held` of the host's terminals are ours.
    pub(super) fn capacity(self, configured: u32, held: u64) -> u32 {
        let read =
            |name| fs::read_to_string(format!("/proc/sys/kernel/pty/{name}")).ok()?.trim().parse().ok();
        capacity(configured, self.files, read("max").zip(read("nr")), held)
    }

    /// Most ended sessions kept, each of which holds a ring open.
    pub(super) fn tombstones(self, configured: usize) -> usize {
        usize::try_from(self.files / 4).map_or(configured, |most| most.min(configured))
    }
}

fn capacity(configured: u32, files: u64, terminals: Option<(u64, u64)>, held: u64) -> u32 {
    let by_terminals = terminals.map_or(u64::MAX, |(most, used)| {
        most.saturating_sub(used.saturating_sub(held)).saturating_sub(TERMINALS_LEFT)
    });
    u32::try_from(by_terminals.min(files / 4)).unwrap_or(u32::MAX).min(configured)
}

/// Counts the tasks of the shells' user, at most once a second.
#[derive(Debug, Default)]
pub(super) struct TaskCount {
    counted: Option<(Millis, u64)>,
}

impl TaskCount {
    /// How many tasks of `uid` may exist for a session started now to make another. `fresh`: counted just now.
    pub(super) fn limit(&mut self, uid: u32, now: Millis) -> (u64, bool) {
        match &mut self.counted {
            Some((at, tasks)) if now < *at + COUNT_LIFE => {
                *tasks += 1;
                (*tasks + PROCESSES, false)
            }
            counted => {
                let tasks = processes::tasks_of(uid) + 1;
                *counted = Some((now, tasks));
                (tasks + PROCESSES, true)
            }
        }
    }
}

/// The soft and hard limit to give where `limit` is wanted. Hard stays as inherited without root, who alone could
/// raise it again for a session whose user came to have more processes elsewhere.
pub(super) fn process_limit(limit: u64, by_root: bool) -> (u64, u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_NPROC).unwrap_or((RLIM_INFINITY, RLIM_INFINITY));
    if by_root { (limit, limit) } else { (limit.min(hard), hard) }
}

/// Soft and hard limit of core files: none, they would hold what was typed.
pub(super) const NO_CORE: (libc::__rlimit_resource_t, u64, u64) = (libc::RLIMIT_CORE, 0, 0);

/// Asks the kernel to spare the keeper when memory runs out, best effort. The score children must set for themselves.
pub(super) fn protect_from_oom() -> Option<&'static std::ffi::CStr> {
    let protected = fs::write("/proc/self/oom_score_adj", OOM_KEEPER).is_ok();
    protected.then_some(c"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_the_smallest_of_what_is_configured_and_what_the_host_has() {
        assert_eq!(capacity(100, 20_000, Some((4096, 1)), 0), 100);
        assert_eq!(capacity(10_000, 20_000, Some((4096, 32)), 0), 4000);
        assert_eq!(capacity(10_000, 20_000, Some((4096, 32)), 32), 4032, "our own terminals are no loss");
        assert_eq!(capacity(10_000, 1024, Some((4096, 0)), 0), 256);
        assert_eq!(capacity(10_000, 1024, Some((10, 20)), 0), 0);
        assert_eq!(capacity(7, u64::MAX, None, 0), 7);
    }

    #[test]
    fn processes_are_counted_once_a_second() {
        let mut count = TaskCount::default();
        let uid = nix::unistd::getuid().as_raw();
        let (first, fresh) = count.limit(uid, 5000);
        assert!(fresh && first > PROCESSES);
        assert_eq!(count.limit(uid, 5999), (first + 1, false));
        assert!(count.limit(uid, 6000).1);
    }
}
