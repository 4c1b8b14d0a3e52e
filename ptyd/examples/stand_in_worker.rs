//! A worker for the keeper's tests: gives its end of the keeper's socket to the test, which then plays the worker, and
//! is itself the process that can be killed, stopped or looked at. Knows nothing of what is said.

use std::io::Read;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use anyhow::Context;
use ptyd::handover::socket;

fn main() -> anyhow::Result<()> {
    let path = std::env::args_os().nth(1).context("the path of the test's socket is missing")?;
    let mut test = UnixStream::connect(path)?;
    // SAFETY: descriptor 3 is what the keeper gave us, and nobody else in this process knows it.
    let keeper = unsafe { OwnedFd::from_raw_fd(3) };
    socket::send(test.as_fd(), &std::process::id(), &[keeper.as_fd()])?;
    drop(keeper);
    // The test lets us go by closing its end.
    let _end = test.read(&mut [0]);
    Ok(())
}
