//! The system calls the keeper needs that have no safe wrapper; knows nothing of sessions or workers.

pub(super) mod child;

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use devpocket_shared::ids::TerminalSize;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;

/// Milliseconds of the monotonic clock, which runs on over a re-exec and stands still while the host sleeps.
pub(super) type Millis = u64;

/// The monotonic clock.
pub(super) fn monotonic() -> Millis {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec of ours; CLOCK_MONOTONIC exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

/// The time of day as RFC 3339 text, in UTC with milliseconds.
pub(super) fn utc_now() -> String {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let mut parts = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: both point to values of ours; an all-zero `tm` is valid, so `parts` is initialised even on failure.
    let parts = unsafe {
        libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time);
        libc::gmtime_r(&raw const time.tv_sec, parts.as_mut_ptr());
        parts.assume_init()
    };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        parts.tm_year + 1900,
        parts.tm_mon + 1,
        parts.tm_mday,
        parts.tm_hour,
        parts.tm_min,
        parts.tm_sec,
        time.tv_nsec / 1_000_000
    )
}

/// Sets a terminal's size (ioctl_tty(2), TIOCSWINSZ).
pub(super) fn set_size(terminal: BorrowedFd<'_>, size: TerminalSize) -> Result<(), Errno> {
    let size = libc::winsize { ws_row: size.rows(), ws_col: size.cols(), ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads one winsize, which lives until the call returns.
    Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }).map(drop)
}

/// Opens the slave of a pseudo-terminal by its master, close-on-exec and not as our controlling terminal: no path, so
/// no other mount of devpts can be meant (ioctl_tty(2), TIOCGPTPEER).
pub(super) fn open_slave(master: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: TIOCGPTPEER takes flags by value and touches no memory of ours.
    let fd = Errno::result(unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Says whether exec closes a descriptor.
pub(super) fn set_close_on_exec(fd: RawFd, close: bool) -> Result<(), Errno> {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: changes a flag; on a number that is no open descriptor it fails with EBADF and does nothing else.
    Errno::result(unsafe { libc::fcntl(fd, libc::F_SETFD, flags) }).map(drop)
}

/// Takes possession of a descriptor that came through exec, and makes it close-on-exec again. `None`: it is not open.
/// Each number may be taken once only.
pub(super) fn take_inherited(fd: RawFd) -> Option<OwnedFd> {
    let open = fd > 2 && set_close_on_exec(fd, true).is_ok();
    // SAFETY: it is open, and the caller takes each number once; what ran before in this process is gone.
    open.then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets how many processes of its user may exist for `pid` to make another; `hard` as well only for root.
pub(super) fn raise_process_limit(pid: Pid, most: u64, hard: bool) -> Result<(), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: prlimit writes one rlimit of ours and reads none.
    Errno::result(unsafe {
        libc::prlimit(pid.as_raw(), libc::RLIMIT_NPROC, std::ptr::null(), &raw mut limit)
    })?;
    limit.rlim_max = if hard { most } else { limit.rlim_max };
    limit.rlim_cur = most.min(limit.rlim_max);
    // SAFETY: prlimit reads one rlimit of ours and writes none.
    Errno::result(unsafe {
        libc::prlimit(pid.as_raw(), libc::RLIMIT_NPROC, &raw const limit, std::ptr::null_mut())
    })
    .map(drop)
}

/// Makes sure 0, 1 and 2 are open, so that no descriptor of ours gets one of these numbers.
pub(super) fn fill_standard_descriptors() {
    loop {
        // SAFETY: the path is a literal C string; nothing else is touched.
        let fd = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC) };
        match fd {
            0 | 1 => continue,
            2 => return,
            3.. => {
                // SAFETY: opened just above, and known to nobody else.
                drop(unsafe { OwnedFd::from_raw_fd(fd) });
                return;
            }
            _ => return,
        }
    }
}
