//! A client's socket below its messages: the handshake, and whether the client still takes what it is sent. Knows no
//! message.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use crate::problem::Problem;

/// A client's socket.
pub(super) type Socket = WebSocketStream<Watched<TokioIo<Upgraded>>>;

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

impl Handshake {
    /// Says which subprotocol it is to be.
    pub(super) fn speak(&mut self, protocol: &'static str) {
        let protocol = HeaderValue::from_static(protocol);
        self.answer.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    }
}

/// The socket on a connection, and what it tells of its client.
pub(super) async fn open(connection: Upgraded, config: WebSocketConfig) -> (Socket, Taken) {
    let taken = Taken::default();
    let stream = Watched { stream: TokioIo::new(connection), is_stuck: false, taken: taken.clone() };
    (WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await, taken)
}

/// When a client last took something that had had to wait for it: what the network's buffers take by themselves, of a ping to
/// a client that is gone for one, tells nothing.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    opened: Instant,
    /// Milliseconds after that.
    last_ms: Arc<AtomicU64>,
}

impl Default for Taken {
    fn default() -> Self {
        Self { opened: Instant::now(), last_ms: Arc::default() }
    }
}

impl Taken {
    fn note(&self) {
        let ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(ms, Ordering::Relaxed);
    }

    /// That time; the socket's opening, if there was none.
    pub(super) fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// A stream that notes when its peer takes what it did not take at once.
pub(super) struct Watched<S> {
    stream: S,
    /// The last bytes to be written were not taken.
    is_stuck: bool,
    taken: Taken,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let was_stuck = std::mem::replace(&mut self.is_stuck, true);
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        self.is_stuck = false;
        if was_stuck && written.as_ref().is_ok_and(|bytes| *bytes > 0) {
            self.taken.note();
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
        let taken = Taken::default();
        let mut near = Watched { stream: near, is_stuck: false, taken: taken.clone() };
        let opened = taken.last();
        advance(Duration::from_secs(20)).await;
        near.write_all(&[0; BUFFER_BYTES]).await.unwrap();
        assert_eq!(taken.last(), opened, "it had room");
        {
            let mut waiting = pin!(near.write_all(&[1]));
            assert!(waiting.as_mut().now_or_never().is_none());
            advance(Duration::from_secs(20)).await;
            assert_eq!(taken.last(), opened, "it waits");
            far.read_exact(&mut [0; BUFFER_BYTES]).await.unwrap();
            waiting.await.unwrap();
        }
        assert_eq!(taken.last(), opened + Duration::from_secs(40));
        advance(Duration::from_secs(20)).await;
        near.write_all(&[2]).await.unwrap();
        assert_eq!(taken.last(), opened + Duration::from_secs(40), "it had room again");
    }
}
