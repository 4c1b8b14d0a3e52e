//! Accepts connections and speaks HTTP/1 on them, with a deadline from the first byte. Knows no route.
//!
//! hyper directly rather than axum's plain serve loop: that one has no timers.

mod awaited;
mod connection;
mod waiting;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, TcpUserTimeout};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

pub(crate) use self::connection::Counted;
use self::connection::serve_one;
use self::waiting::{Place, Waiting};

/// Bytes the kernel holds for a client that reads slowly; more, and Ctrl-C in a flood waits behind it (DESIGN section 9).
const SEND_BUFFER_BYTES: usize = 128 << 10;
/// How long bytes may wait for a client that takes none, in milliseconds; a socket's silence ends it sooner.
const STUCK_MS: u32 = 60_000;
/// How long requests may still run once the server stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long one that is told to go has for it before the next is told, too.
const GOING: Duration = Duration::from_millis(50);
/// How long to wait before accepting again when there are no descriptors left.
const STARVED: Duration = Duration::from_millis(100);

/// Bounds of one server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open connections, sockets included. For a further one that which has waited longest for a request, or for more of its
    /// body, is closed; if a request is under way in all of them, it waits.
    pub connections: usize,
    /// From the first moment of a connection, or the end of the answer before, to a request's last header byte.
    pub header: Duration,
    /// Longest time without a byte while the body of a request is read.
    pub body: Duration,
}

impl Limits {
    /// For a process that may open `files` descriptors: a socket takes one to its client and one or more to ptyd.
    pub fn for_open_files(files: u64) -> Self {
        let connections = usize::try_from(files / 2).unwrap_or(usize::MAX).clamp(16, 8192);
        Self { connections, header: Duration::from_secs(10), body: Duration::from_secs(10) }
    }
}

/// Serves until `stop`, then lets running requests end for a few seconds. Sockets are not waited for here: whoever took
/// them over is.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, stop: &CancellationToken) {
    let connections = TaskTracker::new();
    let permits = Arc::new(Semaphore::new(limits.connections));
    let waiting = Arc::new(Waiting::default());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &permits, &waiting) => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = Place::new(waiting.clone());
                connections.spawn(serve_one(stream, peer, router.clone(), limits, place, stop.clone()));
            }
            // The client is gone before it was here.
            Err(err)
                if matches!(
                    err.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                ) => {}
            Err(err) => {
                warn!(error = &err as &dyn std::error::Error, "cannot accept a connection: {err}");
                sleep(STARVED).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if timeout(GRACE, connections.wait()).await.is_err() {
        warn!(left = connections.len(), "requests still running after {GRACE:?}");
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
    waiting: &Waiting,
) -> io::Result<(Counted<TcpStream>, std::net::SocketAddr)> {
    let (stream, peer) = listener.accept().await?;
    tune(&stream);
    let permit = permit(permits, waiting).await.map_err(io::Error::other)?;
    Ok((Counted::new(stream, permit), peer))
}

/// Waits for a place. Whoever opens connections and says nothing keeps nobody out: theirs go first.
async fn permit(
    permits: &Arc<Semaphore>,
    waiting: &Waiting,
) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
    if let Ok(permit) = permits.clone().try_acquire_owned() {
        return Ok(permit);
    }
    loop {
        waiting.dismiss_oldest();
        if let Ok(permit) = timeout(GOING, permits.clone().acquire_owned()).await {
            return permit;
        }
    }
}

/// A connection that refuses an option still works, only less well.
fn tune(stream: &TcpStream) {
    let tuned = stream
        .set_nodelay(true)
        .and_then(|()| Ok(setsockopt(stream, SndBuf, &SEND_BUFFER_BYTES)?))
        .and_then(|()| Ok(setsockopt(stream, TcpUserTimeout, &STUCK_MS)?));
    if let Err(err) = tuned {
        debug!("socket option refused: {err}");
    }
}

#[cfg(test)]
mod tests;
