//! What a session's leader is now, as /proc shows it to everybody: the shell that was started, or what that put in its place. It
//! knows no terminal and no session.

use std::fs;

use nix::unistd::Pid;

/// What the leader is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leader {
    /// The bash that was started with its script.
    Bash,
    /// The same of zsh, as far as can be seen, or of fish.
    OtherShell,
    /// A shell that was started by the shell in its own place, without the script (`exec bash`).
    Successor,
    /// Another program in the shell's place (`exec ssh`).
    Program,
    /// Not to be seen, or not alone in its process group, as where it waits for what a `$(fzf)` prints: the keys may be
    /// somebody else's.
    Unknown,
}

impl Leader {
    /// Looks at the leader of a process session. It may be gone by now; its number is not given out while its session's terminal has
    /// it as its leader.
    pub(crate) fn look(pid: Pid) -> Self {
        Self::seen(pid).unwrap_or(Self::Unknown)
    }

    fn seen(pid: Pid) -> Option<Self> {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let is_alone = children
            .split_whitespace()
            .filter_map(|child| fs::read_to_string(format!("/proc/{child}/stat")).ok())
            .all(|stat| group(&stat).is_some_and(|group| group != pid));
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some(if is_alone { Self::named(name.trim_end(), &arguments) } else { Self::Unknown })
    }

    /// By the name of the program and its arguments, each with a NUL behind it. The keeper starts bash and fish with one that nobody
    /// else has a use for.
    fn named(name: &str, arguments: &[u8]) -> Self {
        let has = |wanted: &[u8]| arguments.split(|byte| *byte == 0).any(|argument| argument == wanted);
        match name {
            "bash" if has(b"--posix") => Self::Bash,
            "fish" if has(b"--init-command") => Self::OtherShell,
            "zsh" => Self::OtherShell,
            "bash" | "fish" => Self::Successor,
            _ => Self::Program,
        }
    }
}

/// The process group in a line of /proc/pid/stat (proc_pid_stat(5)): the name before it may hold anything.
fn group(stat: &str) -> Option<Pid> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_whitespace().nth(2)?.parse().ok().map(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_what_it_was_started_with() {
        for (name, arguments, expected) in [
            ("bash", &b"-bash\0--posix\0"[..], Leader::Bash),
            ("bash", b"bash\0--posix\0-l\0", Leader::Bash),
            ("bash", b"bash\0", Leader::Successor),
            ("bash", b"bash\0-c\0x --posix\0", Leader::Successor),
            ("fish", b"fish\0--init-command\0begin; read\0", Leader::OtherShell),
            ("fish", b"fish\0", Leader::Successor),
            ("zsh", b"-zsh\0", Leader::OtherShell),
            ("ssh", b"ssh\0host\0bash\0--posix\0", Leader::Program),
        ] {
            assert_eq!(Leader::named(name, arguments), expected, "{name} {arguments:?}");
        }
    }

    #[test]
    fn a_group_is_read_behind_any_name() {
        assert_eq!(group("7 (a) b) (c) S 3 42 5 34817 42"), Some(Pid::from_raw(42)));
        assert_eq!(group("7 (a"), None);
    }

    #[test]
    fn who_is_gone_is_unknown() {
        assert_eq!(Leader::look(Pid::from_raw(i32::MAX)), Leader::Unknown);
    }
}
