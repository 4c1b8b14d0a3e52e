//! From fork to exec. Everything a child does stands here and is async-signal-safe: what allocates or looks things up
//! is done before, in the plan. Knows nothing of what the child is for.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// The descriptor a child may be given beside its standard ones; a second one comes behind it.
pub(in crate::keeper) const EXTRA: RawFd = 3;
const SECOND: RawFd = 4;
/// Where the failure report and the program to run are put until exec closes them.
const REPORT: RawFd = 5;
const PROGRAM: RawFd = 6;
/// Sources are moved out of the way of the numbers above first.
const FIRST_SAFE: RawFd = 16;

/// All there is to know to make one child.
pub(in crate::keeper) struct Plan<'a> {
    /// Becomes 0, 1 and 2.
    pub(in crate::keeper) standard: [BorrowedFd<'a>; 3],
    /// 0 becomes the controlling terminal.
    pub(in crate::keeper) terminal: bool,
    /// Becomes [`EXTRA`] and stays open.
    pub(in crate::keeper) extra: Option<BorrowedFd<'a>>,
    /// The same, behind it.
    pub(in crate::keeper) second: Option<BorrowedFd<'a>>,
    /// A pipe that gets a [`Failed`] when the program cannot be started, and is closed when it could.
    pub(in crate::keeper) report: Option<BorrowedFd<'a>>,
    /// Open `cgroup.procs` files to enter.
    pub(in crate::keeper) cgroup: Option<BorrowedFd<'a>>,
    /// Text for /proc/self/oom_score_adj.
    pub(in crate::keeper) oom_score: Option<&'a CStr>,
    /// Resource, soft limit, hard limit.
    pub(in crate::keeper) limits: &'a [(libc::__rlimit_resource_t, u64, u64)],
    /// It and its children can never have more rights than it begins with.
    pub(in crate::keeper) confined: bool,
    /// Whom to become.
    pub(in crate::keeper) identity: Option<Identity<'a>>,
    /// Where to go by default, if that is possible at all.
    pub(in crate::keeper) home: Option<&'a CStr>,
    /// Where to go, from there.
    pub(in crate::keeper) directory: Option<&'a CStr>,
    /// What to run.
    pub(in crate::keeper) program: Program<'a>,
    /// Its environment.
    pub(in crate::keeper) environment: &'a [CString],
}

/// A user as the kernel sees it.
#[derive(Clone, Copy)]
pub(in crate::keeper) struct Identity<'a> {
    /// User id.
    pub(in crate::keeper) uid: libc::uid_t,
    /// Group id.
    pub(in crate::keeper) gid: libc::gid_t,
    /// Supplementary groups.
    pub(in crate::keeper) groups: &'a [libc::gid_t],
}

/// What a child runs.
pub(in crate::keeper) enum Program<'a> {
    /// An open executable, and its arguments.
    Open(BorrowedFd<'a>, &'a [CString]),
    /// The first of these paths that can be run, each with its arguments.
    Paths(&'a [(CString, Vec<CString>)]),
}

/// The step a child could not do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::keeper) enum Step {
    /// Descriptors, session, terminal, limits.
    SetUp,
    /// Becoming the user.
    Identity,
    /// Going to the working directory.
    Directory,
    /// Running the program.
    Exec,
}

/// What a child reports when it does not get to run its program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::keeper) struct Failed {
    /// What failed.
    pub(in crate::keeper) step: Step,
    /// Why.
    pub(in crate::keeper) errno: Errno,
}

impl Failed {
    /// Size of a report, in bytes.
    pub(in crate::keeper) const BYTES: usize = 5;

    /// Reads a report.
    pub(in crate::keeper) fn read(bytes: [u8; Self::BYTES]) -> Self {
        let [step, errno @ ..] = bytes;
        let step = match step {
            1 => Step::Identity,
            2 => Step::Directory,
            3 => Step::Exec,
            _ => Step::SetUp,
        };
        Self { step, errno: Errno::from_raw(i32::from_ne_bytes(errno)) }
    }

    fn bytes(self) -> [u8; Self::BYTES] {
        let step = match self.step {
            Step::SetUp => 0,
            Step::Identity => 1,
            Step::Directory => 2,
            Step::Exec => 3,
        };
        let [a, b, c, d] = (self.errno as i32).to_ne_bytes();
        [step, a, b, c, d]
    }
}

/// Starts a child by `plan`, in a process session of its own, with default signals and an empty mask.
pub(in crate::keeper) fn start(plan: &Plan<'_>) -> Result<Pid, Errno> {
    // execve wants arrays of pointers; the child must not allocate them.
    let environment = pointers(plan.environment);
    let arguments: Vec<Vec<*const libc::c_char>> = match &plan.program {
        Program::Open(_, arguments) => vec![pointers(arguments)],
        Program::Paths(paths) => paths.iter().map(|(_, arguments)| pointers(arguments)).collect(),
    };
    // SAFETY: the keeper has one thread; the child calls async-signal-safe functions only, then exec or _exit.
    match Errno::result(unsafe { libc::fork() })? {
        0 => {
            let mut report_to = plan.report.map(|report| report.as_raw_fd());
            // SAFETY: this is the child, and both arrays end with null and hold C strings that `plan` keeps alive.
            let Err(failed) = unsafe { run(plan, &environment, &arguments, &mut report_to) };
            let report = failed.bytes();
            // SAFETY: writes bytes of ours; a failure has nobody to go to. _exit runs no destructor.
            unsafe {
                if let Some(fd) = report_to {
                    libc::write(fd, report.as_ptr().cast(), report.len());
                }
                libc::_exit(127)
            }
        }
        pid => Ok(Pid::from_raw(pid)),
    }
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// The child's life up to exec.
///
/// # Safety
/// To be called in a child just forked; `environment` and each of `arguments` end with a null pointer, and there are as
/// many `arguments` as programs to try. `report_to` follows the report's descriptor.
unsafe fn run(
    plan: &Plan<'_>,
    environment: &[*const libc::c_char],
    arguments: &[Vec<*const libc::c_char>],
    report_to: &mut Option<RawFd>,
) -> Result<Infallible, Failed> {
    let at = |step| move |errno| Failed { step, errno };
    // SAFETY: system calls on our own descriptors and on memory that `plan` keeps alive; all async-signal-safe.
    unsafe {
        default_signals();
        check(libc::setsid()).map_err(at(Step::SetUp))?;
        if let Some(cgroup) = plan.cgroup {
            // Best effort, as is the group itself; "0" is the process that writes.
            libc::write(cgroup.as_raw_fd(), c"0".as_ptr().cast(), 1);
        }
        if let Some(score) = plan.oom_score {
            let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            libc::write(file, score.as_ptr().cast(), score.count_bytes());
        }
        descriptors(plan, report_to).map_err(at(Step::SetUp))?;
        if plan.terminal {
            check(libc::ioctl(0, libc::TIOCSCTTY, 0)).map_err(at(Step::SetUp))?;
        }
        for &(resource, soft, hard) in plan.limits {
            let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
            check(libc::setrlimit(resource, &raw const limit)).map_err(at(Step::SetUp))?;
        }
        libc::umask(0o022);
        if plan.confined {
            confine().map_err(at(Step::SetUp))?;
        }
        if let Some(identity) = plan.identity {
            become_user(identity).map_err(at(Step::Identity))?;
        }
        if let Some(home) = plan.home
            && libc::chdir(home.as_ptr()) != 0
        {
            // As login does: a home that is not there is no reason to refuse.
            libc::chdir(c"/".as_ptr());
        }
        if let Some(directory) = plan.directory {
            check(libc::chdir(directory.as_ptr())).map_err(at(Step::Directory))?;
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        check(libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut()))
            .map_err(at(Step::SetUp))?;
        Err(Failed { step: Step::Exec, errno: exec(&plan.program, environment, arguments) })
    }
}

/// Ignored signals would stay ignored through exec (nohup, a service manager): everything goes to its default. By the
/// system call itself, because the C library would leave out the two signals it keeps for itself.
unsafe fn default_signals() {
    // The kernel's sigaction, all zero: SIG_DFL, no flags, an empty mask. No architecture's is larger.
    let default = [0u64; 8];
    const SET_BYTES: usize = 8;
    for signal in 1..=64 {
        // SAFETY: the kernel reads one sigaction from `default`; KILL and STOP are refused, which is right.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                ptr::null_mut::<u64>(),
                SET_BYTES,
            );
        }
    }
}

/// Puts every descriptor of `plan` in its place and closes all others.
unsafe fn descriptors(plan: &Plan<'_>, report_to: &mut Option<RawFd>) -> Result<(), Errno> {
    // SAFETY: only this child's descriptor table changes, and nothing of ours is used after.
    unsafe {
        if let Some(report) = plan.report {
            *report_to = Some(away(report)?);
        }
        let [a, b, c] = plan.standard;
        let standard = [away(a)?, away(b)?, away(c)?];
        let extra = match plan.extra {
            Some(extra) => Some(away(extra)?),
            None => None,
        };
        let second = match plan.second {
            Some(second) => Some(away(second)?),
            None => None,
        };
        let program = match plan.program {
            Program::Open(program, _) => Some(away(program)?),
            Program::Paths(_) => None,
        };
        for (number, fd) in (0..).zip(standard) {
            place(fd, number, 0)?;
        }
        match extra {
            Some(extra) => place(extra, EXTRA, 0)?,
            None => drop(libc::close(EXTRA)),
        }
        match second {
            Some(second) => place(second, SECOND, 0)?,
            None => drop(libc::close(SECOND)),
        }
        match program {
            Some(program) => place(program, PROGRAM, libc::O_CLOEXEC)?,
            None => drop(libc::close(PROGRAM)),
        }
        match *report_to {
            Some(report) => {
                place(report, REPORT, libc::O_CLOEXEC)?;
                *report_to = Some(REPORT);
            }
            None => drop(libc::close(REPORT)),
        }
        // Belt and braces: everything of the keeper's is close-on-exec, and a kernel before 5.9 lacks the call.
        libc::syscall(libc::SYS_close_range, PROGRAM + 1, libc::c_uint::MAX, 0);
    }
    Ok(())
}

unsafe fn away(fd: BorrowedFd<'_>) -> Result<RawFd, Errno> {
    // SAFETY: makes a descriptor in this child's table only.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FIRST_SAFE) })
}

unsafe fn place(fd: RawFd, number: RawFd, flags: libc::c_int) -> Result<(), Errno> {
    // SAFETY: replaces a descriptor in this child's table only.
    check(unsafe { libc::dup3(fd, number, flags) }).map(drop)
}

/// Gives up the ways to more rights: set-user-id programs and file capabilities (prctl(2)).
unsafe fn confine() -> Result<(), Errno> {
    /// More than any kernel has: it refuses the numbers above its own.
    const CAPABILITIES: libc::c_ulong = 64;
    // SAFETY: flags of this child only; no memory is touched.
    unsafe {
        for capability in 0..CAPABILITIES {
            // Only root may, and who is not root has none to lose: the call below is what binds everybody.
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)).map(drop)
    }
}

unsafe fn become_user(identity: Identity<'_>) -> Result<(), Errno> {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: reads `groups.len()` ids; changes this process only, which has one thread.
    unsafe {
        check(libc::setgroups(groups.len(), groups.as_ptr()))?;
        check(libc::setresgid(gid, gid, gid))?;
        check(libc::setresuid(uid, uid, uid))?;
    }
    Ok(())
}

/// Returns only when nothing could be run, with the most telling reason (as execvp: EACCES before ENOENT).
unsafe fn exec(
    program: &Program<'_>,
    environment: &[*const libc::c_char],
    arguments: &[Vec<*const libc::c_char>],
) -> Errno {
    let mut reason = Errno::ENOENT;
    for (number, arguments) in arguments.iter().enumerate() {
        // SAFETY: both arrays end with a null pointer, and their C strings live until exec replaces us.
        unsafe {
            match program {
                Program::Open(..) => libc::fexecve(PROGRAM, arguments.as_ptr(), environment.as_ptr()),
                Program::Paths(paths) => match paths.get(number) {
                    Some((path, _)) => libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()),
                    None => -1,
                },
            };
        }
        let errno = Errno::last();
        if errno == Errno::EACCES {
            reason = errno;
        } else if !matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
            return errno;
        }
    }
    reason
}

fn check(result: libc::c_int) -> Result<libc::c_int, Errno> {
    if result < 0 { Err(Errno::last()) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        for step in [Step::SetUp, Step::Identity, Step::Directory, Step::Exec] {
            let failed = Failed { step, errno: Errno::ENOENT };
            assert_eq!(Failed::read(failed.bytes()), failed);
        }
    }
}
