//! Facts about processes from /proc (proc(5)). Must not know which process matters to whom.

use std::fs;

use nix::unistd::Pid;

/// One process as the kernel shows it.
#[derive(Clone, Debug)]
pub struct ProcessFacts {
    /// Its id.
    pub pid: Pid,
    /// Its parent.
    pub parent: Pid,
    /// Its process session, the pid of whoever called setsid.
    pub session: Pid,
    /// `Z` is a zombie: dead, not reaped.
    pub state: char,
    /// When it began, in clock ticks since boot: tells a process from a later one with the same pid.
    pub began: u64,
    /// Its effective user.
    pub uid: u32,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The process with that id, if there is one.
pub fn facts(pid: Pid) -> Option<ProcessFacts> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses included: the fields begin after the last one.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid =
        status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(ProcessFacts {
        pid,
        state: fields.first()?.chars().next()?,
        parent: Pid::from_raw(fields.get(1)?.parse().ok()?),
        session: Pid::from_raw(fields.get(3)?.parse().ok()?),
        began: fields.get(19)?.parse().ok()?,
        uid,
        arguments: arguments
            .split(|byte| *byte == 0)
            .filter(|argument| !argument.is_empty())
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect(),
    })
}

/// The memory a process has in use, shared memory included, in bytes; none if it is gone.
pub fn resident_bytes(pid: Pid) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Every process there is, zombies excluded.
pub fn all() -> Vec<ProcessFacts> {
    let entries = fs::read_dir("/proc").expect("/proc can be read");
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| facts(Pid::from_raw(pid)))
        .filter(|process| process.state != 'Z')
        .collect()
}

/// The processes started by `parent`, zombies excluded.
pub fn children(parent: Pid) -> Vec<ProcessFacts> {
    all().into_iter().filter(|process| process.parent == parent).collect()
}

/// How many tasks a user has (threads count, as RLIMIT_NPROC counts them).
pub fn tasks_of(uid: u32) -> usize {
    let threads = |pid: Pid| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    all().into_iter().filter(|process| process.uid == uid).map(|process| threads(process.pid)).sum()
}
