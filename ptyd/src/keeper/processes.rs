//! What /proc says about processes (proc_pid_stat(5)); knows nothing of sessions beyond the kernel's own.

use std::fs;

use nix::unistd::Pid;

/// A process's place in the kernel's job control.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Process {
    /// Its id.
    pub(super) pid: Pid,
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
    let _parent = fields.next()?;
    let (group, session) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let pid = Pid::from_raw(pid);
    let zombie = matches!(state, "Z" | "X");
    Some(Process { pid, group: Pid::from_raw(group), session: Pid::from_raw(session), zombie })
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
    fn this_process_is_seen() {
        let me = nix::unistd::getpid();
        assert!(all().iter().any(|process| process.pid == me && process.group == nix::unistd::getpgrp()));
        assert!(tasks_of(nix::unistd::getuid().as_raw()) >= 1);
    }
}
