//! A client's socket below its messages: the handshake, and whether the client is still there. Knows no message.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Parts, Upgraded};
use hyper_util::rt::TokioIo;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpUserTimeout;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tracing::debug;

use crate::problem::Problem;
use crate::server::Counted;

/// A client's socket.
pub(super) type Socket = WebSocketStream<Watched<Counted<TcpStream>>>;

/// A handshake that was right: the answer to send, and the connection that follows it.
pub(super) struct Handshake {
    pub(super) answer: Response,
    pub(super) upgrade: OnUpgrade,
}

/// The version of the protocol (RFC 6455 section 4.1).
const VERSION: &str = "13";

/// The answer to a handshake of another version of the protocol: which one is spoken here (RFC 6455 section 4.2.2).
pub(super) fn other_version(headers: &HeaderMap) -> Option<Response> {
    let asked = headers.get(header::SEC_WEBSOCKET_VERSION)?;
    if asked == VERSION {
        return None;
    }
    let title = format!("WebSocket is spoken in version {VERSION} here");
    let problem = Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", title);
    Some(([(header::SEC_WEBSOCKET_VERSION, VERSION)], problem).into_response())
}

/// Answers the opening handshake (RFC 6455 section 4.2.2), without a subprotocol.
pub(super) fn shake_hands(request: &mut Request) -> Result<Handshake, Problem> {
    for (name, word) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")] {
        if asks_for(request.headers(), &name, word) {
            // In one of several lines, or beside others, which the library does not take.
            request.headers_mut().insert(name, HeaderValue::from_static(word));
        }
    }
    let answer = create_response_with_body(request, Body::empty).map_err(|err| {
        Problem::new(
            StatusCode::BAD_REQUEST,
            "websocket_expected",
            format!("No WebSocket was asked for: {err}"),
        )
    })?;
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| {
        let title = "This connection cannot become a WebSocket";
        Problem::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", title)
    })?;
    Ok(Handshake { answer, upgrade })
}

/// Whether a header that is a list has a word, in whatever case.
fn asks_for(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|asked| asked.trim().eq_ignore_ascii_case(word))
}

impl Handshake {
    /// Says which subprotocol it is to be.
    pub(super) fn speak(&mut self, protocol: &'static str) {
        let protocol = HeaderValue::from_static(protocol);
        self.answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
}

/// The socket on a connection, and what it tells of its client. None: it is no connection that this server accepted.
pub(super) async fn open(connection: Upgraded, config: WebSocketConfig) -> Option<(Socket, Contact)> {
    let Parts { io, read_buf, .. } = connection.downcast::<TokioIo<Counted<TcpStream>>>().ok()?;
    let stream = io.into_inner();
    // That of HTTP ends one that takes what it is sent, but slowly; here silence is looked for.
    if let Err(err) = setsockopt(stream.get_ref(), TcpUserTimeout, &0) {
        debug!("socket option refused: {err}");
    }
    let contact = Contact::default();
    let stream = Watched { stream, is_stuck: false, contact: contact.clone() };
    let socket =
        WebSocketStream::from_partially_read(stream, read_buf.into(), Role::Server, Some(config)).await;
    Some((socket, contact))
}

/// When a client last sent something, be it a part of a message, or took something that had had to wait for it: what the network's
/// buffers take by themselves, of a ping to a client that is gone for one, tells nothing.
#[derive(Clone, Debug)]
pub(super) struct Contact {
    opened: Instant,
    /// Milliseconds after that.
    last_ms: Arc<AtomicU64>,
}

impl Default for Contact {
    fn default() -> Self {
        Self { opened: Instant::now(), last_ms: Arc::default() }
    }
}

impl Contact {
    fn note(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// That time; the socket's opening, if there was none.
    pub(super) fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// A stream that notes when its peer sends something, or takes what it did not take at once.
pub(super) struct Watched<S> {
    stream: S,
    /// The last bytes to be written were not taken.
    is_stuck: bool,
    contact: Contact,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, into));
        if into.filled().len() > before {
            self.contact.note();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let was_stuck = std::mem::replace(&mut self.is_stuck, true);
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.is_stuck = false;
        if was_stuck && written.as_ref().is_ok_and(|bytes| *bytes > 0) {
            self.contact.note();
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::advance;

    use super::*;

    const BUFFER_BYTES: usize = 8;

    /// The story: a ping to a client that was gone, every 20 s, went into a buffer.
    #[tokio::test(start_paused = true)]
    async fn what_a_buffer_takes_tells_nothing_and_what_waited_does() {
        let (near, mut far) = duplex(BUFFER_BYTES);
        let contact = Contact::default();
        let mut near = Watched { stream: near, is_stuck: false, contact: contact.clone() };
        let opened = contact.last();
        advance(Duration::from_secs(20)).await;
        near.write_all(&[0; BUFFER_BYTES]).await.unwrap();
        assert_eq!(contact.last(), opened, "it had room");
        {
            let mut waiting = pin!(near.write_all(&[1]));
            assert!(waiting.as_mut().now_or_never().is_none());
            advance(Duration::from_secs(20)).await;
            assert_eq!(contact.last(), opened, "it waits");
            far.read_exact(&mut [0; BUFFER_BYTES]).await.unwrap();
            waiting.await.unwrap();
        }
        assert_eq!(contact.last(), opened + Duration::from_secs(40));
        advance(Duration::from_secs(20)).await;
        near.write_all(&[2]).await.unwrap();
        assert_eq!(contact.last(), opened + Duration::from_secs(40), "it had room again");
    }
}
