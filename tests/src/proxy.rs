//! A TCP proxy that breaks connections: resets, half-closes, stalls, delays, each after a given number of bytes. Must
//! not know what the bytes mean.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Random;

/// How long a half-closed connection may go on in the other direction.
const HALF_CLOSED_LIMIT: Duration = Duration::from_millis(200);

/// How a connection ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// Both sides get a reset; what is in flight is lost.
    Reset,
    /// One direction ends orderly, the other goes on for a moment, then both are reset.
    HalfClose,
    /// Nothing moves for so long, then both sides get a reset.
    Stall(Duration),
}

/// What one connection has before it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Cut after so many bytes towards the client.
    pub to_client: u64,
    /// Cut after so many bytes towards the server.
    pub to_server: u64,
    /// How.
    pub cut: Cut,
    /// Each chunk is held so long.
    pub delay: Option<Duration>,
}

impl Plan {
    /// Never cut.
    pub const UNBROKEN: Self =
        Self { to_client: u64::MAX, to_server: u64::MAX, cut: Cut::Reset, delay: None };

    /// A plan by chance: most cuts come somewhere in the output, some in the input, a few in the handshake.
    pub fn random(random: &mut Random) -> Self {
        let (mut to_client, mut to_server) = (u64::MAX, u64::MAX);
        match random.between(0, 9) {
            0 => to_client = random.between(0, 300),
            1 => to_server = random.between(0, 600),
            2 | 3 => to_server = random.between_magnitudes(300, 6_000),
            _ => to_client = random.between_magnitudes(300, 200_000),
        }
        let cut = match random.between(0, 9) {
            0 => Cut::Stall(Duration::from_millis(random.between(20, 300))),
            1..=3 => Cut::HalfClose,
            _ => Cut::Reset,
        };
        let delay = random.one_in(4).then(|| Duration::from_micros(random.between(100, 5_000)));
        Self { to_client, to_server, cut, delay }
    }
}

/// A running proxy; ends in `Drop`.
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    cuts: Arc<AtomicU64>,
    silenced: Arc<AtomicU64>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// Whether a connection carries anything any more.
#[derive(Clone)]
struct Silence {
    times: Arc<AtomicU64>,
    at_its_start: u64,
}

impl Silence {
    /// Pends for ever once the connection was silenced.
    async fn pass(&self) {
        if self.times.load(Ordering::SeqCst) != self.at_its_start {
            std::future::pending::<()>().await;
        }
    }
}

impl Proxy {
    /// Listens in front of `target`; `plan` is asked for each connection.
    pub async fn start(target: SocketAddr, mut plan: impl FnMut() -> Plan + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (cuts, stop, tasks) = (Arc::new(AtomicU64::new(0)), CancellationToken::new(), TaskTracker::new());
        let (counter, stopped, connections) = (Arc::clone(&cuts), stop.clone(), tasks.clone());
        let silenced = Arc::new(AtomicU64::new(0));
        let times = Arc::clone(&silenced);
        tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
            while let Ok((client, _peer)) = listener.accept().await {
                let (plan, counter) = (plan(), Arc::clone(&counter));
                let silence =
                    Silence { times: Arc::clone(&times), at_its_start: times.load(Ordering::SeqCst) };
                connections.spawn(stopped.clone().run_until_cancelled_owned(async move {
                    if carry(client, target, plan, &silence).await {
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }));
            }
        }));
        Self { address, cuts, silenced, stop, tasks }
    }

    /// How many connections were cut by plan.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// From here on carries nothing over the connections there are, and closes none of them, as when a host vanishes.
    pub fn silence(&self) {
        self.silenced.fetch_add(1, Ordering::SeqCst);
    }

    /// Cuts every connection at once, new ones included.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Whose limit was reached, or that somebody closed.
enum Pumped {
    Limit,
    Closed,
}

/// Carries one connection to its end; true if that was the plan's.
async fn carry(mut client: TcpStream, target: SocketAddr, plan: Plan, silence: &Silence) -> bool {
    let Ok(mut server) = TcpStream::connect(target).await else { return false };
    // Without this a cut would fall where Nagle's algorithm allows it, not where the plan says.
    client.set_nodelay(true).and_then(|()| server.set_nodelay(true)).expect("TCP_NODELAY can be set");
    let by_plan = {
        let (from_client, mut to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let down = pump(from_server, &mut to_client, plan.to_client, plan.delay, silence);
        let up = pump(from_client, &mut to_server, plan.to_server, plan.delay, silence);
        tokio::pin!(down, up);
        // An orderly end of one side is passed on, and the other goes on until it ends as well.
        tokio::select! {
            pumped = &mut down => match (pumped, plan.cut) {
                (Pumped::Limit, Cut::HalfClose) => { let _late = timeout(HALF_CLOSED_LIMIT, up).await; true }
                (Pumped::Limit, _) => true,
                (Pumped::Closed, _) => matches!(up.await, Pumped::Limit),
            },
            pumped = &mut up => match (pumped, plan.cut) {
                (Pumped::Limit, Cut::HalfClose) => { let _late = timeout(HALF_CLOSED_LIMIT, down).await; true }
                (Pumped::Limit, _) => true,
                (Pumped::Closed, _) => matches!(down.await, Pumped::Limit),
            },
        }
    };
    if by_plan {
        if let Cut::Stall(pause) = plan.cut {
            sleep(pause).await;
        }
        for side in [&client, &server] {
            // Fails where the peer was faster.
            let _reset = side.set_zero_linger();
        }
    }
    by_plan
}

/// Copies until `limit` bytes or the end; the end of the copy is an orderly end for the reader.
async fn pump(
    mut from: ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    limit: u64,
    delay: Option<Duration>,
    silence: &Silence,
) -> Pumped {
    let mut buffer = vec![0; 64 << 10];
    let mut left = limit;
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = from.read(&mut buffer[..room]).await;
        silence.pass().await;
        let read = match read {
            Ok(0) | Err(_) => {
                let _gone = to.shutdown().await;
                return Pumped::Closed;
            }
            Ok(read) => read,
        };
        if let Some(delay) = delay {
            sleep(delay).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return Pumped::Closed;
        }
        left -= read as u64;
    }
    Pumped::Limit
}
