//! A TCP proxy that carries so many bytes per second and no more, each way, as a slow network does. Must not know what the
//! bytes mean.

use std::net::{Ipv4Addr, SocketAddr};
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
    stop: CancellationToken,
}

impl Throttle {
    /// Listens in front of `target`.
    pub async fn start(target: SocketAddr, bytes_per_second: u32) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let (stopped, connections) = (stop.clone(), tasks.clone());
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _peer)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(target).await else { continue };
                for side in [&client, &server] {
                    side.set_nodelay(true).expect("TCP_NODELAY can be set");
                    setsockopt(side, sockopt::RcvBuf, &BUFFER_BYTES).expect("SO_RCVBUF can be set");
                }
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                for (from, to) in [(from_client, to_server), (from_server, to_client)] {
                    let carrying = carry(from, to, bytes_per_second);
                    connections.spawn(stopped.clone().run_until_cancelled_owned(carrying));
                }
            }
        }));
        Self { address, stop }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Carries one direction to its end: each byte arrives when the last of those before it and its own time have passed.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes_per_second: u32) {
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
        if to.write_all(&chunk[..read]).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _gone = to.shutdown().await;
}
