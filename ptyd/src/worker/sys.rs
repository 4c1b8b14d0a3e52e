//! The system calls the worker needs on a session's descriptors. Knows no session.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use devpocket_shared::ids::TerminalSize;
use memmap2::{MmapMut, MmapOptions};
use nix::errno::Errno;
use nix::sys::mman::{MmapAdvise, madvise};
use nix::unistd::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What memory is given back in; a multiple of it where pages are larger is zeroed and stays.
const PAGE_BYTES: usize = 4096;

nix::ioctl_write_ptr_bad!(
    /// Sets a terminal's size (ioctl_tty(2)); the foreground process group gets SIGWINCH.
    set_window_size,
    nix::libc::TIOCSWINSZ,
    nix::libc::winsize
);

/// Takes the keeper's socket, which stands at descriptor 3. Called once, first thing.
pub(crate) fn take_keeper_socket() -> io::Result<OwnedFd> {
    const KEEPER_SOCKET: RawFd = 3;
    // SAFETY: fcntl on a number is harmless whatever it names.
    let flags = unsafe { nix::libc::fcntl(KEEPER_SOCKET, nix::libc::F_SETFD, nix::libc::FD_CLOEXEC) };
    if flags < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open, and nothing else in this process has had time to take it.
    Ok(unsafe { OwnedFd::from_raw_fd(KEEPER_SOCKET) })
}

/// Gives memory of this process back that nothing is in. The allocator keeps what small pieces between free ones hold down: of
/// large screens that were put away, most of it. Takes milliseconds: not for a thread of the runtime.
pub(crate) fn give_back_free() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes the allocator's own locks and touches nothing that is in use (malloc_trim(3)).
    let _given = unsafe { nix::libc::malloc_trim(0) };
}

/// Length of a session's memory, in bytes.
pub(crate) fn memory_bytes(memory: &OwnedFd) -> io::Result<u64> {
    let stat = nix::sys::stat::fstat(memory)?;
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// The first bytes of a session's memory.
pub(crate) fn read_first<const BYTES: usize>(memory: &OwnedFd) -> io::Result<[u8; BYTES]> {
    let mut first = [0; BYTES];
    nix::sys::uio::pread(memory, &mut first, 0)?;
    Ok(first)
}

/// Maps a part of a session's memory; `part` begins at a multiple of the page size. No two mappings may overlap.
pub(crate) fn map(memory: &OwnedFd, part: &Range<u64>) -> io::Result<MmapMut> {
    let len = usize::try_from(part.end - part.start).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the keeper never maps the memfd and starts one worker at a time, only after the one before was reaped; the
    // memfd is sealed against resizing, and callers map no byte twice. So nobody else reads, writes or shortens it while
    // this mapping lives.
    unsafe { MmapOptions::new().offset(part.start).len(len).map_mut(memory) }
}

/// Gives the memory behind bytes of a mapped memfd back to the system, in whole pages; zeros stand there from then on. What
/// cannot be given back is zeroed.
pub(crate) fn give_back(bytes: &mut [u8]) {
    let whole = bytes.as_ptr().align_offset(PAGE_BYTES) == 0 && bytes.len().is_multiple_of(PAGE_BYTES);
    let given = whole
        && std::ptr::NonNull::new(bytes.as_mut_ptr()).is_some_and(|start| {
            // SAFETY: the bytes are borrowed for nobody else, and stay mapped; all that changes of them is that they are zero
            // (madvise(2) MADV_REMOVE, which frees the pages in the file too).
            unsafe { madvise(start.cast(), bytes.len(), MmapAdvise::MADV_REMOVE) }.is_ok()
        });
    if !given {
        bytes.fill(0);
    }
}

/// Has the runtime watch a non-blocking descriptor.
pub(crate) fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` owns a valid descriptor, always the same one, and `AsyncFd` owns it from here on.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

/// Has the runtime watch a non-blocking descriptor for one thing only.
pub(crate) fn watch_for(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: as above.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, interest) }?)
}

/// Sets the size of the terminal behind its master.
pub(crate) fn resize(master: BorrowedFd<'_>, size: TerminalSize) -> io::Result<()> {
    let size = nix::libc::winsize { ws_row: size.rows(), ws_col: size.cols(), ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: `size` is a live winsize for the length of the call, and the descriptor is borrowed.
    unsafe { set_window_size(master.as_fd().as_raw_fd(), &raw const size) }?;
    Ok(())
}

/// Reads what a terminal printed; 0 when its other side is closed now, which does not mean that the session is over.
pub(crate) fn read(master: BorrowedFd<'_>, to: &mut [u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::read(master, to) {
            Err(Errno::EINTR) => {}
            Err(Errno::EIO) => return Ok(0),
            other => return other.map_err(io::Error::from),
        }
    }
}

/// Whether the terminal repeats what is typed, and whether it gathers lines (termios(3) ECHO and ICANON).
pub(crate) fn line_discipline(master: BorrowedFd<'_>) -> io::Result<(bool, bool)> {
    use nix::sys::termios::{LocalFlags, tcgetattr};
    let flags = tcgetattr(master)?.local_flags;
    Ok((flags.contains(LocalFlags::ECHO), flags.contains(LocalFlags::ICANON)))
}

/// The leader of the terminal's session, if it reads keys one by one and shows them itself, as line editors do: the terminal does
/// neither for it, and its process group is in the foreground (ioctl_tty(2) TIOCGSID, TIOCGPGRP).
pub(crate) fn key_reader(master: BorrowedFd<'_>) -> Option<Pid> {
    let (echo, canonical) = line_discipline(master).ok()?;
    // SAFETY: the descriptor is borrowed for the length of the call, which takes nothing else.
    let leader = unsafe { nix::libc::tcgetsid(master.as_raw_fd()) };
    let foreground = nix::unistd::tcgetpgrp(master).ok()?;
    (!echo && !canonical && leader > 0 && foreground.as_raw() == leader).then_some(foreground)
}

/// Writes typed bytes to a terminal.
pub(crate) fn write(master: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match nix::unistd::write(master, bytes) {
            Err(Errno::EINTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}
