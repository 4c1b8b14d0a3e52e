//! The link between hosts: QUIC with mutual TLS, a bidirectional stream per request or attachment. Reset and
//! connection-id keys outlive the worker, so that connections of the one before are answered with a reset at once.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use devpocket_shared::wire::stream::{self, MAX_UDP_PAYLOAD};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, IdleTimeout, Incoming, TransportConfig, VarInt};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::LinkError;
use crate::worker::{Context, serve};

/// How long a handshake may take; each has a task of its own, so that a silent peer delays nobody.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Handshakes at once; further ones are refused.
const MAX_HANDSHAKES: usize = 64;
/// Handshakes at once with peers that have not shown that they get what is sent to their address.
const UNPROVED_HANDSHAKES: usize = 8;
/// Connections at once: one per api process is the rule.
const MAX_CONNECTIONS: usize = 256;
/// Without a sign of life for this long a connection is over.
const IDLE_MS: u32 = 20_000;
/// Least time between two warnings of peers turned away.
const SAY_AGAIN: Duration = Duration::from_secs(60);
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
const MAX_STREAMS_PER_CONNECTION: u32 = 4096;
/// Room for the datagrams an api sends as signs of life; nobody reads them.
const SIGNS_OF_LIFE_BYTES: usize = 1 << 10;

pub(super) fn listen(
    udp: OwnedFd,
    tls: rustls::ServerConfig,
    secrets: &[u8],
    context: &Arc<Context>,
    permits: &Arc<Semaphore>,
) -> Result<(), LinkError> {
    let (reset, connection_ids) = secrets.split_at_checked(32).ok_or(LinkError::Secrets)?;
    let connection_ids = connection_ids.get(..8).ok_or(LinkError::Secrets)?;
    let key = u64::from_le_bytes(connection_ids.try_into().map_err(|_| LinkError::Secrets)?);
    let mut endpoint_config =
        EndpointConfig::new(Arc::new(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, reset)));
    endpoint_config.max_udp_payload_size(MAX_UDP_PAYLOAD).map_err(|_| LinkError::PacketSize)?;
    endpoint_config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    let crypto = QuicServerConfig::try_from(tls).map_err(|_| LinkError::Tls)?;
    let mut server = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    server.transport_config(Arc::new(transport()));
    // An api that moves to another address connects again; nobody else should take a connection along.
    server.migration(false);
    let socket = std::net::UdpSocket::from(udp);
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint =
        Endpoint::new(endpoint_config, Some(server), socket, runtime).map_err(LinkError::Socket)?;
    info!("link listens on QUIC");
    context.tasks.spawn(accept(endpoint, Arc::clone(context), Arc::clone(permits)));
    Ok(())
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(MAX_STREAMS_PER_CONNECTION))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_MS))))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW_BYTES))
        .mtu_discovery_config(Some(stream::packet_sizes()))
        .datagram_receive_buffer_size(Some(SIGNS_OF_LIFE_BYTES));
    transport
}

async fn accept(endpoint: Endpoint, context: Arc<Context>, permits: Arc<Semaphore>) {
    let turned_away = Arc::new(TurnedAway::default());
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = context.stop.cancelled() => break,
        };
        let Some(incoming) = incoming else { break };
        // From here on who calls has to prove its address first, which costs it a round trip and us no memory: packets that
        // only begin a handshake would hold all of them.
        let busy = handshakes.available_permits() + UNPROVED_HANDSHAKES <= MAX_HANDSHAKES;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Refused by quinn only where it may not be asked again, which was just looked at.
            let _asked = incoming.retry();
            continue;
        }
        let Ok(handshake) = Arc::clone(&handshakes).try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        if endpoint.open_connections() > MAX_CONNECTIONS {
            incoming.refuse();
            continue;
        }
        let (serving, permits) = (Arc::clone(&context), Arc::clone(&permits));
        let turned_away = Arc::clone(&turned_away);
        context.tasks.spawn(async move {
            let connection = connect(incoming, &turned_away).await;
            drop(handshake);
            if let Some(connection) = connection {
                serve_connection(connection, serving, permits).await;
            }
        });
    }
    endpoint.close(VarInt::from_u32(0), b"draining");
    endpoint.wait_idle().await;
}

/// Peers whose handshake failed. An operator must hear of an api that is turned away, but anybody can knock at the port.
#[derive(Debug, Default)]
struct TurnedAway {
    /// When it was last said, and how many came since.
    said: Mutex<(Option<Instant>, u32)>,
}

impl TurnedAway {
    /// Takes note of one. If it is time to say so: how many came unsaid before it.
    fn note(&self, now: Instant) -> Option<u32> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = &mut *said;
        if last.is_some_and(|last| now < last + SAY_AGAIN) {
            *unsaid = unsaid.saturating_add(1);
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(unsaid))
    }
}

async fn connect(incoming: Incoming, turned_away: &TurnedAway) -> Option<quinn::Connection> {
    let from = incoming.remote_address();
    match tokio::time::timeout(HANDSHAKE, async { incoming.accept()?.await }).await {
        Ok(Ok(connection)) => Some(connection),
        Ok(Err(err)) => {
            match turned_away.note(Instant::now()) {
                Some(unsaid) => warn!(
                    %err,
                    unsaid,
                    "a peer was turned away from the link, and {unsaid} since this was last said: {err}"
                ),
                None => debug!(%err, "a peer was turned away from the link"),
            }
            None
        }
        Err(_) => {
            debug!(port = from.port(), "a peer did not finish its handshake");
            None
        }
    }
}

async fn serve_connection(connection: quinn::Connection, context: Arc<Context>, permits: Arc<Semaphore>) {
    loop {
        let accepted = tokio::select! {
            accepted = connection.accept_bi() => accepted,
            () = context.stop.cancelled() => return,
        };
        let Ok((send, receive)) = accepted else { return };
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let (reader, writer) = stream::over_quic(send, receive);
        let serving = serve::serve(Arc::clone(&context), reader, writer);
        context.tasks.spawn(async move {
            serving.await;
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_turned_away_are_told_of_once_a_minute_with_their_number() {
        let (turned_away, t0) = (TurnedAway::default(), Instant::now());
        assert_eq!(turned_away.note(t0), Some(0));
        assert_eq!(turned_away.note(t0), None);
        assert_eq!(turned_away.note(t0 + SAY_AGAIN - Duration::from_millis(1)), None);
        assert_eq!(turned_away.note(t0 + SAY_AGAIN), Some(2));
        assert_eq!(turned_away.note(t0 + 2 * SAY_AGAIN), Some(0));
    }
}
