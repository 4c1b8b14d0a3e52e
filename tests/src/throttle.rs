//! A TCP proxy that carries so many bytes per second and no more, each way, as a slow network does. Must not know what the
//! bytes mean.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What is carried at a time takes so long: short against every time that is measured.
const AT_A_TIME: Duration = Duration::from_millis(5);
/// What the kernel holds on this side of the narrow place, in bytes: the network's own buffers.
const BUFFER_BYTES: usize = 16 << 10;

/// A running proxy; ends in `Drop`.
pub struct Throttle {
    /// Where it listens.
    pub address: SocketAddr,
    back: Arc<Back>,
    stop: CancellationToken,
}

/// The way back, from the server to all clients.
#[derive(Default)]
struct Back {
    carried_bytes: AtomicU64,
    is_stalled: AtomicBool,
}

impl Throttle {
    /// Listens in front of `target`.
    pub async fn start(target: SocketAddr, bytes_per_second: u32) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, connections) = (stop.clone(), tasks.clone());
        let back = Arc::<Back>::default();
        let way_back = Arc::clone(&back);
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _peer)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(target).await else { continue };
                for side in [&client, &server] {
                    side.set_nodelay(true).expect("TCP_NODELAY can be set");
                    setsockopt(side, sockopt::RcvBuf, &BUFFER_BYTES).expect("SO_RCVBUF can be set");
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let ways =
                    [(from_client, to_server, None), (from_server, to_client, Some(Arc::clone(&way_back)))];
                for (from, to, back) in ways {
                    let carrying = carry(from, to, bytes_per_second, back);
                    connections.spawn(stopped.clone().run_until_cancelled_owned(carrying));
                }
            }
        }));
        Self { address, back, stop }
    }

    /// Bytes carried from the server to clients so far.
    pub fn carried_back(&self) -> u64 {
        self.back.carried_bytes.load(Ordering::Relaxed)
    }

    /// Carries nothing more from the server to clients, whose connections stay.
    pub fn stall(&self) {
        self.back.is_stalled.store(true, Ordering::Relaxed);
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Carries one direction to its end: each byte arrives when the last of those before it and its own time have passed.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    bytes_per_second: u32,
    back: Option<Arc<Back>>,
) {
    let at_a_time = (f64::from(bytes_per_second) * AT_A_TIME.as_secs_f64()).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
    let mut chunk = vec![0; at_a_time as usize];
    let mut free_at = Instant::now();
    while let Ok(read) = from.read(&mut chunk).await
        && read > 0
    {
        let read_bytes = u32::try_from(read).expect("a small chunk");
        let takes = Duration::from_secs(1) * read_bytes / bytes_per_second;
        free_at = free_at.max(Instant::now()) + takes;
        sleep_until(free_at).await;
        if let Some(back) = &back {
            if back.is_stalled.load(Ordering::Relaxed) {
                pending::<()>().await;
            }
            back.carried_bytes.fetch_add(u64::from(read_bytes), Ordering::Relaxed);
        }
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _gone = to.shutdown().await;
}
