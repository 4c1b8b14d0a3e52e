//! One QUIC connection to a ptyd, made again when it is lost, with a stream for each request.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use devpocket_shared::certificates::PTYD_NAME;
use devpocket_shared::wire::stream::{self, FrameReader, FrameWriter, MAX_UDP_PAYLOAD};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use nix::sys::socket::{setsockopt, sockopt};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::task::TaskTracker;

use super::LinkError;

/// Sign of life while attachments are there: a new worker answers a packet of an old connection with a reset, so this is
/// how long a client that only receives waits to hear of a worker kill.
const BUSY_KEEP_ALIVE: Duration = Duration::from_millis(100);
/// Sign of life otherwise.
const IDLE_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long it may take until a handshake with any address is done.
const CONNECT: Duration = Duration::from_secs(3);
/// How long an address has before the next one is tried beside it (RFC 8305 section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// Most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
const IDLE_MS: u32 = 20_000;
/// Receive buffer asked for on the UDP socket, in bytes.
const UDP_BUFFER_BYTES: usize = 2 << 20;
/// Small, or Ctrl-C waits behind what a client has not read yet.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// QUIC cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum QuicSetupError {
    /// No UDP socket.
    #[error("no UDP socket for the link")]
    Socket(#[source] std::io::Error),
    /// The certificates' TLS settings do not suit QUIC.
    #[error("the link's TLS settings do not suit QUIC")]
    Tls,
    /// QUIC does not take our packet size.
    #[error("the link's packet size does not suit QUIC")]
    PacketSize,
}

/// The way to one ptyd over QUIC.
#[derive(Debug)]
pub struct Quic {
    endpoint: Endpoint,
    /// `host:port`, looked up at each connection.
    address: String,
    /// Held while connecting, so that one connection serves all.
    current: Mutex<Current>,
    streams: Arc<AtomicUsize>,
}

/// The connection there is.
#[derive(Debug, Default)]
struct Current {
    connection: Option<Connection>,
    /// The address that answered last, which is tried first.
    answered: Option<SocketAddr>,
}

/// Counts a living stream.
#[derive(Debug)]
pub struct Presence(Arc<AtomicUsize>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Quic {
    /// A way to `address`, with the api's certificate in `tls`. Nothing is sent yet.
    pub fn new(address: String, tls: rustls::ClientConfig) -> Result<Self, QuicSetupError> {
        let crypto = QuicClientConfig::try_from(tls).map_err(|_| QuicSetupError::Tls)?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(Arc::new(transport()));
        // Both families over one socket, where the host has both.
        let socket = UdpSocket::bind("[::]:0")
            .or_else(|_| UdpSocket::bind("0.0.0.0:0"))
            .map_err(QuicSetupError::Socket)?;
        // Room for what arrives while this process waits for its turn. Best effort: the kernel caps it at net.core.rmem_max.
        let _capped = setsockopt(&socket, sockopt::RcvBuf, &UDP_BUFFER_BYTES);
        let runtime = Arc::new(quinn::TokioRuntime);
        let mut config = EndpointConfig::default();
        config.max_udp_payload_size(MAX_UDP_PAYLOAD).map_err(|_| QuicSetupError::PacketSize)?;
        let mut endpoint = Endpoint::new(config, None, socket, runtime).map_err(QuicSetupError::Socket)?;
        endpoint.set_default_client_config(client);
        Ok(Self { endpoint, address, current: Mutex::default(), streams: Arc::default() })
    }

    /// Where it leads, as configured.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    pub(super) async fn open(
        &self,
        tasks: &TaskTracker,
    ) -> Result<(FrameReader, FrameWriter, Presence), LinkError> {
        let connection = self.connection(tasks).await?;
        let (send, receive) = connection.open_bi().await.map_err(LinkError::Quic)?;
        let (reader, writer) = stream::over_quic(send, receive);
        self.streams.fetch_add(1, Ordering::Relaxed);
        Ok((reader, writer, Presence(Arc::clone(&self.streams))))
    }

    async fn connection(&self, tasks: &TaskTracker) -> Result<Connection, LinkError> {
        let mut current = self.current.lock().await;
        let open = |connection: &&Connection| connection.close_reason().is_none();
        if let Some(connection) = current.connection.as_ref().filter(open) {
            return Ok(connection.clone());
        }
        let found: Vec<SocketAddr> = tokio::net::lookup_host(&self.address).await?.collect();
        let connection = self.connect(in_order(found, current.answered)).await?;
        tasks.spawn(keep_alive(connection.clone(), Arc::clone(&self.streams), tasks.clone()));
        let answered = Some(connection.remote_address());
        *current = Current { connection: Some(connection.clone()), answered };
        Ok(connection)
    }

    /// A connection to the first of these addresses that answers. A name may have one of each family and ptyd listen on one
    /// alone; nobody says so of the other.
    async fn connect(&self, addresses: Vec<SocketAddr>) -> Result<Connection, LinkError> {
        let tried: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let attempts = (0u32..).zip(addresses).map(|(number, address)| async move {
            sleep(HEAD_START * number).await;
            self.endpoint.connect(address, PTYD_NAME)?.await.map_err(LinkError::Quic)
        });
        let mut attempts: FuturesUnordered<_> = attempts.collect();
        let mut failure = if attempts.is_empty() {
            LinkError::NoAddress
        } else {
            LinkError::NoAnswer { tried: tried.join(", ") }
        };
        let given_up = Instant::now() + CONNECT;
        // What one address says tells more than that another says nothing.
        while let Ok(Some(attempted)) = timeout_at(given_up, attempts.next()).await {
            match attempted {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// The addresses to try: first the one that answered last, if the name still has it.
fn in_order(mut found: Vec<SocketAddr>, answered: Option<SocketAddr>) -> Vec<SocketAddr> {
    // A socket of both families shows IPv4 addresses as IPv6 ones.
    let plain = |address: SocketAddr| (address.ip().to_canonical(), address.port());
    found.sort_by_key(|address| answered.map(plain) != Some(plain(*address)));
    found.truncate(MAX_ADDRESSES);
    found
}

/// Sends a sign of life often while streams live; quinn's own interval cannot be changed on a connection. Ends with the
/// connection, or when nothing is left of an api that ends: `tasks` are closed then.
async fn keep_alive(connection: Connection, streams: Arc<AtomicUsize>, tasks: TaskTracker) {
    let mut tick = tokio::time::interval(BUSY_KEEP_ALIVE);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let streams = streams.load(Ordering::Relaxed);
                if streams == 0 && tasks.is_closed() {
                    return;
                }
                if streams > 0
                    && connection.send_datagram(Bytes::from_static(b"k")).is_err()
                    && connection.close_reason().is_some()
                {
                    return;
                }
            }
            _ = connection.closed() => return,
        }
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .keep_alive_interval(Some(IDLE_KEEP_ALIVE))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .mtu_discovery_config(Some(stream::packet_sizes()));
    transport
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use devpocket_shared::certificates::{client_config, make_all, server_config};
    use quinn::crypto::rustls::QuicServerConfig;

    use super::*;

    /// Of a name with an address of each family the first alone was tried, and ptyd listened on the other.
    #[tokio::test]
    async fn every_address_of_a_name_is_tried_and_the_one_that_answered_is_first_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        make_all(dir.path()).unwrap();
        let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
        let tls = server_config(&read("ca.pem"), &read("ptyd.pem"), &read("ptyd.key")).unwrap();
        let server = quinn::ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        let ptyd = Endpoint::server(server, "127.0.0.1:0".parse().unwrap()).unwrap();
        let listening = ptyd.local_addr().unwrap();
        let accepting = async { ptyd.accept().await.unwrap().await.unwrap() };
        // Takes what it is sent and says nothing.
        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let addresses = vec![silent.local_addr().unwrap(), listening];

        let tls = client_config(&read("ca.pem"), &read("api.pem"), &read("api.key")).unwrap();
        let quic = Quic::new(String::new(), tls).unwrap();
        let (connection, _accepted) = tokio::join!(quic.connect(addresses.clone()), accepting);
        let answered = connection.unwrap().remote_address();
        assert_eq!(in_order(addresses.clone(), Some(answered)), [listening, addresses[0]]);
        assert_eq!(in_order(addresses.clone(), None), addresses);
        assert!(matches!(quic.connect(Vec::new()).await, Err(LinkError::NoAddress)));
    }
}
