//! A descriptor that lines are written to without ever waiting for whoever reads them. Knows nothing of what is in a line.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::write;

/// Where lines go.
#[derive(Debug)]
pub(super) struct Sink {
    way: Way,
    /// Lines lost since one was last written.
    lost: AtomicU64,
}

#[derive(Debug)]
enum Way {
    /// Opened anew for us alone: others who write to the same one, the worker above all, may fill it between our look
    /// and our write, and must not find it changed.
    Own(OwnedFd),
    /// A socket, which can be asked not to wait.
    Socket(OwnedFd),
    /// A file or terminal, or what cannot be opened anew: written to when it is ready.
    AsItIs(OwnedFd),
    /// There is none.
    None,
}

impl Sink {
    /// Standard error. Its number is looked up once, and never closed.
    pub(super) fn of_stderr() -> Self {
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(stderr) => Self::new(stderr),
            // Out of descriptors before anything began: there is no log then, and the keeper will say so by ending.
            Err(_) => Self { way: Way::None, lost: AtomicU64::new(0) },
        }
    }

    fn new(to: OwnedFd) -> Self {
        let kind =
            fstat(&to).map_or(SFlag::empty(), |stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT);
        let way = if kind == SFlag::S_IFIFO {
            let again = OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK)
                .open(format!("/proc/self/fd/{}", to.as_raw_fd()));
            again.map_or(Way::AsItIs(to), |own| Way::Own(own.into()))
        } else if kind == SFlag::S_IFSOCK {
            Way::Socket(to)
        } else {
            Way::AsItIs(to)
        };
        Self { way, lost: AtomicU64::new(0) }
    }

    /// Writes a line, if that can be done at once; before it, `told` of the number of lines lost, if there are any.
    pub(super) fn write(&self, told: impl FnOnce(u64) -> String, line: &str) {
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 && self.put(told(lost).as_bytes()).is_ok() {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if self.put(line.as_bytes()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn put(&self, line: &[u8]) -> Result<(), Errno> {
        match &self.way {
            Way::Own(own) => write(own, line),
            Way::Socket(socket) => {
                send(socket.as_raw_fd(), line, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)
            }
            Way::AsItIs(to) => write_if_ready(to.as_fd(), line),
            Way::None => Ok(0),
        }
        .map(drop)
    }
}

fn write_if_ready(to: BorrowedFd<'_>, line: &[u8]) -> Result<usize, Errno> {
    let mut ready = [PollFd::new(to, PollFlags::POLLOUT)];
    match poll(&mut ready, PollTimeout::ZERO)? {
        1 => write(to, line),
        _ => Err(Errno::EAGAIN),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use nix::unistd::{pipe, read};

    use super::*;

    /// Fills what nobody reads, and then more; reads it, and what is said of what was lost.
    fn check(sink: &Sink, from: &OwnedFd) {
        let line = format!("{}\n", "x".repeat(4000));
        let told = |lost| format!("lost {lost}\n");
        let mut written = 0;
        while sink.lost.load(Ordering::Relaxed) < 10 {
            sink.write(told, &line);
            written += 1;
            assert!(written < 10_000, "nothing is ever lost");
        }
        let mut text = read_all(from);
        sink.write(told, "after\n");
        text.push_str(&read_all(from));
        let mut lines = text.lines();
        assert_eq!(lines.next_back(), Some("after"));
        let lost = lines.clone().filter_map(|line| line.strip_prefix("lost ")?.parse::<i32>().ok());
        let whole = lines.filter(|line| line.len() == 4000);
        assert_eq!(i32::try_from(whole.count()).unwrap() + lost.sum::<i32>(), written);
    }

    fn read_all(from: &OwnedFd) -> String {
        let (mut text, mut bytes) = (String::new(), vec![0; 1 << 20]);
        let mut ready = [PollFd::new(from.as_fd(), PollFlags::POLLIN)];
        while poll(&mut ready, PollTimeout::ZERO) == Ok(1) {
            let length = read(from, &mut bytes).unwrap();
            text.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        }
        text
    }

    /// A look whether there is room and then a write is what another writer comes between: nobody may look.
    #[test]
    fn a_full_pipe_or_socket_costs_lines_and_no_time_and_what_was_lost_is_told() {
        let (from, to) = pipe().unwrap();
        let sink = Sink::new(to.try_clone().unwrap());
        assert!(matches!(sink.way, Way::Own(_)), "a pipe is opened anew");
        check(&sink, &from);
        let flags = nix::fcntl::fcntl(&to, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_eq!(flags & libc::O_NONBLOCK, 0, "the pipe of others is as it was");
        let (from, to) = UnixStream::pair().unwrap();
        check(&Sink::new(to.into()), &from.into());
    }
}
