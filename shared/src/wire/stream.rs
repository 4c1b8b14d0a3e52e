//! A link stream over tokio: frames in and out of a Unix connection or a QUIC stream, which differ in nothing else.

mod unix;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;

use self::unix::{UnixReader, UnixWriter};
use super::codec::Message;
use super::frame::{self, Frame, FrameError};

/// First size of a reader's buffer, in bytes: most streams carry little.
const SMALL_READ_BYTES: usize = 2 << 10;
/// Size of a reader's buffer in a flood, in bytes.
const LARGE_READ_BYTES: usize = 128 << 10;

/// Largest UDP payload that QUIC looks for a way to send and that it takes, in bytes: networks with jumbo frames, and
/// loopback, carry it, and packets cost by number. Ten of them, which quinn hands to the system at once, must not be more
/// than a UDP send takes (65,507).
pub const MAX_UDP_PAYLOAD: u16 = 6_500;

/// A link stream failed.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The transport failed, or ended inside a frame.
    #[error("link stream broke")]
    Io(#[from] io::Error),
    /// The other side broke the rules of frames.
    #[error("link stream carried a bad frame")]
    Frame(#[from] FrameError),
}

/// Reads frames.
#[derive(Debug)]
pub struct FrameReader {
    inner: Reading,
    buffer: BytesMut,
    read_bytes: usize,
}

/// Writes encoded frames.
#[derive(Debug)]
pub struct FrameWriter {
    inner: Writing,
}

#[derive(Debug)]
enum Reading {
    Unix(UnixReader),
    Quic(quinn::RecvStream),
}

#[derive(Debug)]
enum Writing {
    Unix(UnixWriter),
    Quic(quinn::SendStream),
}

/// Both directions of a Unix connection.
pub fn over_unix(stream: UnixStream) -> io::Result<(FrameReader, FrameWriter)> {
    let (read, write) = unix::split(stream)?;
    Ok((FrameReader::new(Reading::Unix(read)), FrameWriter { inner: Writing::Unix(write) }))
}

/// How QUIC finds out how large its packets may be; the other end has to take [`MAX_UDP_PAYLOAD`].
pub fn packet_sizes() -> quinn::MtuDiscoveryConfig {
    let mut sizes = quinn::MtuDiscoveryConfig::default();
    sizes.upper_bound(MAX_UDP_PAYLOAD);
    sizes
}

/// Both directions of a QUIC stream.
pub fn over_quic(write: quinn::SendStream, read: quinn::RecvStream) -> (FrameReader, FrameWriter) {
    (FrameReader::new(Reading::Quic(read)), FrameWriter { inner: Writing::Quic(write) })
}

impl FrameReader {
    fn new(inner: Reading) -> Self {
        Self { inner, buffer: BytesMut::new(), read_bytes: SMALL_READ_BYTES }
    }

    /// The next frame; none at a clean end. Cancel-safe: a cut call loses nothing.
    pub async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        loop {
            if let Some(frame) = Frame::take(&mut self.buffer)? {
                return Ok(Some(frame));
            }
            self.buffer.reserve(self.read_bytes);
            let space = self.buffer.capacity() - self.buffer.len();
            let read = self.inner.read_buf(&mut self.buffer).await?;
            if read == 0 && self.buffer.is_empty() {
                return Ok(None);
            }
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            // Reads that fill the buffer mean a flood; small ones that it is over.
            self.read_bytes = if read == space {
                (self.read_bytes * 4).min(LARGE_READ_BYTES)
            } else if read < self.read_bytes / 8 {
                (self.read_bytes / 2).max(SMALL_READ_BYTES)
            } else {
                self.read_bytes
            };
        }
    }

    /// The next frame, which is to be a control message; none at a clean end. Cancel-safe.
    pub async fn next_control<T: Message>(&mut self) -> Result<Option<T>, StreamError> {
        match self.next().await? {
            Some(frame) => Ok(Some(frame.control()?)),
            None => Ok(None),
        }
    }

    /// A frame that has arrived whole already, without waiting.
    pub fn next_ready(&mut self) -> Result<Option<Frame>, StreamError> {
        Ok(Frame::take(&mut self.buffer)?)
    }
}

impl FrameWriter {
    /// Writes some of `bytes` and says how many. Cancel-safe.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.write(bytes).await
    }

    /// Writes all of `bytes`. Not cancel-safe.
    pub async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes).await
    }

    /// Writes one control frame. Not cancel-safe.
    pub async fn send<T: Message>(&mut self, message: &T) -> Result<(), StreamError> {
        let mut bytes = BytesMut::new();
        frame::put_control(&mut bytes, message)?;
        Ok(self.write_all(&bytes).await?)
    }

    /// Says that nothing more follows; what was written still arrives.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.inner.shutdown().await
    }
}

impl AsyncRead for Reading {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(read) => Pin::new(read).poll_read(cx, buf),
            Self::Quic(read) => AsyncRead::poll_read(Pin::new(read), cx, buf),
        }
    }
}

impl AsyncWrite for Writing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(write) => Pin::new(write).poll_write(cx, buf),
            Self::Quic(write) => {
                Poll::Ready(ready!(Pin::new(write).poll_write(cx, buf)).map_err(io::Error::from))
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(write) => Pin::new(write).poll_flush(cx),
            Self::Quic(write) => AsyncWrite::poll_flush(Pin::new(write), cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(write) => Pin::new(write).poll_shutdown(cx),
            Self::Quic(write) => AsyncWrite::poll_shutdown(Pin::new(write), cx),
        }
    }
}
