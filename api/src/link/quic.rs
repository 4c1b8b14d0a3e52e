//! One QUIC connection to a ptyd, made again when it is lost, with a stream for each request.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use devpocket_shared::certificates::PTYD_NAME;
use devpocket_shared::wire::stream::{self, FrameReader, FrameWriter, MAX_UDP_PAYLOAD};
use nix::sys::socket::{setsockopt, sockopt};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::LinkError;

/// Sign of life while attachments are there: a new worker answers a packet of an old connection with a reset, so this is
/// how long a client that only receives waits to hear of a worker kill.
const BUSY_KEEP_ALIVE: Duration = Duration::from_millis(100);
/// Sign of life otherwise.
const IDLE_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a handshake may take.
const CONNECT: Duration = Duration::from_secs(3);
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
    connection: Mutex<Option<Connection>>,
    streams: Arc<AtomicUsize>,
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
        Ok(Self { endpoint, address, connection: Mutex::default(), streams: Arc::default() })
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
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|connection| connection.close_reason().is_none()) {
            return Ok(connection.clone());
        }
        let address = tokio::net::lookup_host(&self.address).await?.next().ok_or(LinkError::NoAddress)?;
        let connecting = self.endpoint.connect(address, PTYD_NAME)?;
        let connected = tokio::time::timeout(CONNECT, connecting).await.map_err(|_| LinkError::TimedOut)?;
        let connection = connected.map_err(LinkError::Quic)?;
        tasks.spawn(keep_alive(connection.clone(), Arc::clone(&self.streams), tasks.clone()));
        *current = Some(connection.clone());
        Ok(connection)
    }
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
