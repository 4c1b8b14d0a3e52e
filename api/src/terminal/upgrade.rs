//! Opens a terminal socket: who asks, from which page, in which encoding (PROTOCOL section 1).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use devpocket_shared::wire::codec::MAX_CONTROL_BYTES;
use serde::Deserialize;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use utoipa::IntoParams;

use super::deflate::{Compressors, Deflate};
use super::sink::ClientSink;
use super::{Credential, Encoding, Terminal, inbound, outbound, socket};
use crate::http::current_user::bearer;
use crate::http::metrics::OpenSocket;
use crate::problem::Problem;

/// Subprotocol that carries terminal bytes in binary frames.
const BINARY: &str = "devpocket.bin.v1";
/// The same, compressed towards the client.
const DEFLATE: &str = "devpocket.bin.v1.deflate";
/// Largest client message (PROTOCOL section 1).
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Largest message read at all: one over [`MAX_MESSAGE_BYTES`] is read to its end, so that the close code arrives.
const MAX_READ_BYTES: usize = 4 << 20;
/// When to connect again to whoever serves then.
const DRAINING_SECS: u64 = 1;
/// How long what is still to be said may take once a socket has ended.
const FAREWELL: Duration = Duration::from_secs(5);
/// Room to read into, kept with every socket; most messages are key presses.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// Bytes waiting for a client's socket; the outbound task waits when they are there.
const WRITE_BUFFER_BYTES: usize = 64 << 10;
/// A message that does not fit ends the socket, so this is beyond the largest: a page of history as JSON, in which a byte
/// takes up to six.
const MAX_WRITE_BUFFER_BYTES: usize = 6 * MAX_CONTROL_BYTES + (1 << 20);

/// The query of a terminal socket.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Opening {
    /// A ticket, which this uses up.
    ticket: Option<String>,
    /// An access token, for clients that can send nothing else.
    token: Option<String>,
}

/// Opens a socket of the terminal stream.
#[utoipa::path(get, path = "/ws/terminal", tag = "terminal", operation_id = "open_terminal", security((), ("bearer" = [])),
    params(Opening, ("device_id" = Option<String>, Query, description = "Has no meaning: the device is the one that signed in")),
    responses(
        (status = 101, description = "A WebSocket"),
        (status = 400, description = "No WebSocket was asked for"),
        (status = 401, description = "`not_authenticated`, `token_invalid`, `token_expired`, `token_revoked`"),
        (status = 403, description = "`origin_not_allowed`"),
        (status = 426, description = "This connection cannot become a WebSocket, or not one of this version"),
    ))]
pub(super) async fn upgrade(
    State(terminal): State<Arc<Terminal>>,
    Query(opening): Query<Opening>,
    headers: HeaderMap,
    mut request: Request,
) -> Result<Response, Problem> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("null"));
    if !terminal.gate.origin_allowed(text(header::ORIGIN), text(header::HOST)) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", "Origin not allowed"));
    }
    if terminal.draining.is_cancelled() {
        // Before a ticket is used up: it is good at another api.
        let title = "This server is going away, connect to another";
        return Err(
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", title).with_retry_after(DRAINING_SECS)
        );
    }
    // Before a ticket is used up, too.
    if let Some(answer) = socket::other_version(&headers) {
        return Ok(answer);
    }
    let credential = credential(&headers, &opening)?;
    let shaken = socket::shake_hands(&mut request);
    if let (Err(problem), Credential::Ticket(_)) = (&shaken, credential) {
        return Err(problem.clone());
    }
    let identity = terminal.gate.identify(credential).await?;
    let mut handshake = shaken?;
    let offered =
        headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let agreed = agree(offered.flat_map(|value| value.split(',')).map(str::trim), &terminal.compressors);
    let encoding = if agreed.protocol.is_some() { Encoding::Binary } else { Encoding::Json };
    if let Some(protocol) = agreed.protocol {
        handshake.speak(protocol);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_READ_BYTES))
        .max_frame_size(Some(MAX_READ_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(MAX_WRITE_BUFFER_BYTES);
    let tasks = terminal.tasks.clone();
    tasks.spawn(async move {
        // A client that left meanwhile is no event of ours.
        let Ok(connection) = handshake.upgrade.await else { return };
        let _counted = OpenSocket::count();
        let Some((socket, contact)) = socket::open(connection, config).await else { return };
        let (sink, stream) = futures_util::StreamExt::split(socket);
        let (to_client, outgoing) = outbound::queue();
        let writing =
            terminal.tasks.spawn(outbound::run(ClientSink::new(sink, agreed.deflate), outgoing, encoding));
        inbound::run(&terminal, identity, encoding, stream, contact, to_client).await;
        // The outbound task ends when everything that was to be said is said; a client that does not read is not waited
        // for, least of all one whose device was signed out.
        let abort = writing.abort_handle();
        if tokio::time::timeout(FAREWELL, writing).await.is_err() {
            abort.abort();
        }
    });
    Ok(handshake.answer)
}

/// What server and client speak.
struct Agreed {
    /// The subprotocol, out of those offered.
    protocol: Option<&'static str>,
    deflate: Option<Deflate>,
}

/// Chooses a subprotocol. Who asks for compression gets it while there are compressors; after that the plain one if it was
/// offered as well, else a stream that is not compressed but valid.
fn agree<'a>(offered: impl Iterator<Item = &'a str>, compressors: &Compressors) -> Agreed {
    let (mut binary, mut deflate) = (false, false);
    for name in offered {
        binary |= name == BINARY;
        deflate |= name == DEFLATE;
    }
    if deflate && let Some(compressed) = compressors.take() {
        return Agreed { protocol: Some(DEFLATE), deflate: Some(compressed) };
    }
    if binary {
        return Agreed { protocol: Some(BINARY), deflate: None };
    }
    Agreed { protocol: deflate.then_some(DEFLATE), deflate: deflate.then(Deflate::stored) }
}

/// The first credential that is there: header, ticket, token.
fn credential<'a>(headers: &'a HeaderMap, opening: &'a Opening) -> Result<Credential<'a>, Problem> {
    if let Some(token) = bearer(headers)? {
        return Ok(Credential::Access(token));
    }
    match (&opening.ticket, &opening.token) {
        (Some(ticket), _) => Ok(Credential::Ticket(ticket)),
        (None, Some(token)) => Ok(Credential::Access(token)),
        (None, None) => Err(Problem::new(StatusCode::UNAUTHORIZED, "not_authenticated", "Sign in first")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_what_it_offered_and_no_more_compressors_than_there_are() {
        let compressors = Compressors::default();
        let check = |offered: &[&str], expected: Option<&str>| {
            let agreed = agree(offered.iter().copied(), &compressors);
            assert_eq!(agreed.protocol, expected, "{offered:?}");
            agreed.deflate
        };
        assert!(check(&[], None).is_none());
        assert!(check(&["chat"], None).is_none());
        assert!(check(&["chat", BINARY], Some(BINARY)).is_none());
        let held: Vec<_> = std::iter::from_fn(|| compressors.take()).collect();
        assert!(check(&[DEFLATE, BINARY], Some(BINARY)).is_none());
        assert!(check(&[DEFLATE], Some(DEFLATE)).is_some());
        drop(held);
        assert!(check(&[BINARY, DEFLATE], Some(DEFLATE)).is_some());
    }
}
