//! What /proc says about processes (proc_pid_stat(5)); of our sessions it knows the variable that names them, no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;

use devpocket_shared::ids::SessionId;
use nix::unistd::Pid;

/// What names a session in the environment of its program, and so of all that come from it.
const SESSION_VARIABLE: &str = "DEVPOCKET_SESSION";
/// How far into an environment it is looked for, in bytes.
const MAX_ENVIRONMENT_BYTES: u64 = 1 << 20;

/// A process's place in the kernel's job control.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: Pid,
    /// Its parent.
    pub(super) parent: Pid,
    /// Its process group.
    pub(super) group: Pid,
    /// Its process session, named after its leader.
    pub(super) session: Pid,
    /// It has ended and waits for its parent.
    pub(super) zombie: bool,
}

/// Every process that can be seen, except the first.
pub(super) fn all() -> Vec<Process> {
    pids().filter_map(|pid| parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)).collect()
}

/// The living processes of the process session `leader`. Empty when the number has come to name somebody else: the
/// kernel gives a number out again only after the last process of its session is gone.
pub(super) fn of_session(all: &[Process], leader: Pid, leader_reaped: bool) -> Vec<Pid> {
    let reused = leader_reaped && all.iter().any(|process| process.pid == leader);
    if reused || leader.as_raw() <= 1 {
        return Vec::new();
    }
    let members = all.iter().filter(|process| process.session == leader && !process.zombie);
    members.map(|process| process.pid).filter(|pid| pid.as_raw() > 1).collect()
}

/// The living descendants of `ancestor` that left the process sessions of these `leaders`, by the session that the
/// environment they began with names.
///
/// For where no control group knows them. Nobody else's is among them: another program may have come by the variable (a
/// service manager that a shell told its environment, a job for later), but is no descendant; and what was orphaned
/// stays one of whoever is its subreaper (prctl(2)). One that cleared its environment is missed.
pub(super) fn by_environment(
    all: &[Process],
    ancestor: Pid,
    leaders: &BTreeSet<Pid>,
) -> BTreeMap<SessionId, Vec<Pid>> {
    let mut found: BTreeMap<SessionId, Vec<Pid>> = BTreeMap::new();
    let left = |process: &Process| !process.zombie && !leaders.contains(&process.session);
    for process in descendants(all, ancestor).into_iter().filter(left) {
        let mut environment = Vec::new();
        let path = format!("/proc/{}/environ", process.pid);
        let read =
            File::open(path).and_then(|file| file.take(MAX_ENVIRONMENT_BYTES).read_to_end(&mut environment));
        // It may have ended, or become another user (sudo), whom we could not signal either.
        if let (Ok(_), Some(session_id)) = (read, session_of(&environment)) {
            found.entry(session_id).or_default().push(process.pid);
        }
    }
    found
}

fn descendants(all: &[Process], ancestor: Pid) -> Vec<Process> {
    let mut children: BTreeMap<Pid, Vec<Process>> = BTreeMap::new();
    for process in all {
        children.entry(process.parent).or_default().push(*process);
    }
    let mut found = Vec::new();
    let mut parents = vec![ancestor];
    while let Some(parent) = parents.pop() {
        // Taken out, so that no circle of numbers given out again can keep us here.
        let own = children.remove(&parent).unwrap_or_default();
        parents.extend(own.iter().map(|process| process.pid));
        found.extend(own);
    }
    found
}

/// The session an environment names (proc_pid_environ(5)).
fn session_of(environment: &[u8]) -> Option<SessionId> {
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables
        .find_map(|variable| variable.strip_prefix(SESSION_VARIABLE.as_bytes())?.strip_prefix(b"="))?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// How many tasks (processes and threads) count against the process limit of a user.
pub(super) fn tasks_of(uid: u32) -> u64 {
    pids().filter_map(|pid| tasks(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, uid)).sum()
}

fn pids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid > 1)
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name in parentheses may hold anything, parentheses included.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = Pid::from_raw(fields.next()?.parse().ok()?);
    let (group, session) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let pid = Pid::from_raw(pid);
    let zombie = matches!(state, "Z" | "X");
    Some(Process { pid, parent, group: Pid::from_raw(group), session: Pid::from_raw(session), zombie })
}

fn tasks(status: &str, uid: u32) -> Option<u64> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()
    };
    let real: u32 = field("Uid:")?.parse().ok()?;
    if real == uid { field("Threads:")?.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, session: i32, zombie: bool) -> Process {
        Process {
            pid: Pid::from_raw(pid),
            parent: Pid::from_raw(1),
            group: Pid::from_raw(session),
            session: Pid::from_raw(session),
            zombie,
        }
    }

    #[test]
    fn a_name_full_of_parentheses_hides_nothing() {
        assert_eq!(
            parse(7, "7 (a) Z (b)) S 1 70 71 0 0"),
            Some(Process { group: Pid::from_raw(70), ..process(7, 71, false) })
        );
        assert_eq!(parse(7, "7 (sh) Z 1 70 71 0 0").map(|process| process.zombie), Some(true));
        assert_eq!(parse(7, "7 (sh) S 1"), None);
    }

    #[test]
    fn a_session_ends_with_its_last_process_and_its_number_is_somebody_elses() {
        let all =
            [process(10, 10, false), process(11, 10, false), process(12, 10, true), process(13, 13, false)];
        let leader = Pid::from_raw(10);
        assert_eq!(of_session(&all, leader, false), [10, 11].map(Pid::from_raw));
        assert_eq!(of_session(&all, leader, true), [], "10 was given out again");
        assert_eq!(of_session(&all[1..], leader, true), [11].map(Pid::from_raw));
        assert_eq!(of_session(&[process(1, 1, false)], Pid::from_raw(1), false), []);
    }

    #[test]
    fn threads_count_as_tasks_of_their_real_user() {
        let status = "Name:\tx\nUid:\t1000\t0\t0\t0\nThreads:\t3\n";
        assert_eq!(tasks(status, 1000), Some(3));
        assert_eq!(tasks(status, 0), None);
    }

    #[test]
    fn descendants_are_found_over_all_generations_and_a_circle_ends() {
        let born = |pid, parent| Process { parent: Pid::from_raw(parent), ..process(pid, pid, false) };
        let all =
            [born(10, 1), born(11, 10), born(12, 11), born(13, 1), born(14, 10), born(20, 21), born(21, 20)];
        let of = |ancestor| {
            let mut found: Vec<i32> = descendants(&all, Pid::from_raw(ancestor))
                .iter()
                .map(|process| process.pid.as_raw())
                .collect();
            found.sort_unstable();
            found
        };
        assert_eq!(of(10), [11, 12, 14]);
        assert_eq!(of(12), [0; 0]);
        assert_eq!(of(20), [20, 21]);
    }

    #[test]
    fn an_environment_names_its_session_by_the_whole_name_of_the_variable() {
        let id = SessionId::new(uuid::Uuid::from_u128(7));
        let named = format!("HOME=/\0{SESSION_VARIABLE}={id}\0TERM=x\0");
        assert_eq!(session_of(named.as_bytes()), Some(id));
        for other in
            [format!("X{SESSION_VARIABLE}={id}\0"), format!("{SESSION_VARIABLE}X={id}\0"), "a\0".into()]
        {
            assert_eq!(session_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn this_process_is_seen() {
        let me = nix::unistd::getpid();
        assert!(all().iter().any(|process| process.pid == me && process.group == nix::unistd::getpgrp()));
        assert!(tasks_of(nix::unistd::getuid().as_raw()) >= 1);
    }
}
