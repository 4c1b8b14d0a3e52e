//! A Unix connection that is watched for reading only. The kernel reports a Unix socket as writable each time its peer has
//! read something, and tokio's own type asks to be told always: on a busy link that wakes a thread for nothing at every
//! message. Here a writer asks only while it cannot write.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

/// The reading half.
#[derive(Debug)]
pub(super) struct UnixReader(AsyncFd<Arc<UnixStream>>);

/// The writing half; its drop ends the direction.
#[derive(Debug)]
pub(super) struct UnixWriter {
    stream: Arc<UnixStream>,
    /// There while the socket is full.
    full: Option<AsyncFd<UnixStream>>,
}

/// Both halves of a connection.
pub(super) fn split(stream: tokio::net::UnixStream) -> io::Result<(UnixReader, UnixWriter)> {
    let stream = Arc::new(stream.into_std()?);
    let reader = UnixReader(watch(Arc::clone(&stream), Interest::READABLE)?);
    Ok((reader, UnixWriter { stream, full: None }))
}

#[expect(
    deprecated,
    reason = "its unsafe successor asks for an honest `AsRawFd`, and a `UnixStream` has one"
)]
fn watch<T: std::os::fd::AsRawFd>(stream: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for UnixReader {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let space = buf.initialize_unfilled();
            let len = space.len();
            match guard.try_io(|inner| (&**inner.get_ref()).read(space)) {
                Ok(read) => {
                    let read = read?;
                    // A short read has emptied the socket; what comes after it is reported anew.
                    if read > 0 && read < len {
                        guard.clear_ready();
                    }
                    buf.advance(read);
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for UnixWriter {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            match (&*this.stream).write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) if err.kind() == io::ErrorKind::Interrupted => continue,
                done => {
                    this.full = None;
                    return Poll::Ready(done);
                }
            }
            let full = match &mut this.full {
                Some(full) => {
                    // It was reported as writable and is not.
                    if let Poll::Ready(guard) = full.poll_write_ready(cx) {
                        guard?.clear_ready();
                    }
                    full
                }
                None => this.full.insert(watch(this.stream.try_clone()?, Interest::WRITABLE)?),
            };
            ready!(full.poll_write_ready(cx))?.retain_ready();
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.shutdown(std::net::Shutdown::Write))
    }
}

impl Drop for UnixWriter {
    fn drop(&mut self) {
        // The peer may be gone already; then there is nobody to tell.
        drop(self.stream.shutdown(std::net::Shutdown::Write));
    }
}
