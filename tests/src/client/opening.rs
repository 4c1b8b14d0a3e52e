//! How a socket is opened: address, credential, framing, origin (protocol section 1). Must not know what is said on it.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, http};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::frame::SUBPROTOCOL;
use super::inflate;

/// What a client shows to be let in.
#[derive(Clone, Debug)]
pub enum Credential {
    /// An access token in the `Authorization` header.
    Bearer(String),
    /// A one-time ticket in the query.
    Ticket(String),
    /// An access token in the query.
    QueryToken(String),
    /// Nothing.
    None,
}

/// How terminal bytes travel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framing {
    /// Everything is JSON text.
    Json,
    /// Terminal bytes are binary frames.
    Binary,
    /// Binary frames, those of the server compressed.
    Deflate,
    /// Offers both; what the server chose is then [`Socket::framing`](super::Socket::framing).
    DeflateOrBinary,
}

impl Framing {
    /// The subprotocols it offers, and what each leads to.
    const fn offered(self) -> &'static [(&'static str, Self)] {
        const BINARY: (&str, Framing) = (SUBPROTOCOL, Framing::Binary);
        const DEFLATE: (&str, Framing) = (inflate::SUBPROTOCOL, Framing::Deflate);
        match self {
            Self::Json => &[],
            Self::Binary => &[BINARY],
            Self::Deflate => &[DEFLATE],
            Self::DeflateOrBinary => &[DEFLATE, BINARY],
        }
    }
}

/// How to open a socket.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Where an api, or a proxy in front of it, listens.
    pub address: SocketAddr,
    /// What is shown.
    pub credential: Credential,
    /// How terminal bytes travel.
    pub framing: Framing,
    /// The `Origin` header of a browser.
    pub origin: Option<String>,
}

/// A socket was not opened.
#[derive(Debug)]
pub enum OpenError {
    /// The server answered with this status in place of 101.
    Refused(StatusCode),
    /// There was no whole answer.
    Failed(Box<tungstenite::Error>),
    /// The answer was 101, but breaks the protocol.
    Violation(&'static str),
}

impl Opening {
    /// An opening without an origin, as a native client's.
    pub const fn new(address: SocketAddr, framing: Framing, credential: Credential) -> Self {
        Self { address, credential, framing, origin: None }
    }

    /// The same with another credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// The same with the `Origin` that a browser would send.
    #[must_use]
    pub fn with_origin(mut self, origin: &str) -> Self {
        self.origin = Some(origin.to_owned());
        self
    }

    /// Opens the connection and upgrades it; says in which framing.
    pub(super) async fn open(&self) -> Result<(WebSocketStream<TcpStream>, Framing), OpenError> {
        let failed = |err| OpenError::Failed(Box::new(err));
        let stream = TcpStream::connect(self.address).await.map_err(|err| failed(err.into()))?;
        stream.set_nodelay(true).map_err(|err| failed(err.into()))?;
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let answer = client_async_with_config(self.request(), stream, Some(config)).await;
        let (socket, response) = answer.map_err(|err| match err {
            tungstenite::Error::Http(response) => OpenError::Refused(response.status()),
            // The server must echo the subprotocol that was offered; tungstenite looks at it first.
            tungstenite::Error::Protocol(
                tungstenite::error::ProtocolError::SecWebSocketSubProtocolError(_),
            ) => OpenError::Violation("the subprotocol was not echoed, or one was that was not offered"),
            other => failed(other),
        })?;
        let echoed = response.headers().get(http::header::SEC_WEBSOCKET_PROTOCOL);
        let offered = self.framing.offered();
        let chosen = match echoed.map(HeaderValue::as_bytes) {
            None => offered.is_empty().then_some(Framing::Json),
            Some(name) => {
                offered.iter().find(|(offer, _)| offer.as_bytes() == name).map(|(_, framing)| *framing)
            }
        };
        let violation = OpenError::Violation("the subprotocol in the answer is not one that was offered");
        chosen.map(|framing| (socket, framing)).ok_or(violation)
    }

    fn request(&self) -> Request<()> {
        let query = match &self.credential {
            Credential::Ticket(ticket) => format!("?ticket={ticket}"),
            Credential::QueryToken(token) => format!("?token={token}"),
            Credential::Bearer(_) | Credential::None => String::new(),
        };
        let url = format!("ws://{}/ws/terminal{query}", self.address);
        let mut request = url.into_client_request().expect("a valid URL");
        let headers = request.headers_mut();
        if let Credential::Bearer(token) = &self.credential {
            headers.insert(http::header::AUTHORIZATION, header(&format!("Bearer {token}")));
        }
        let names: Vec<&str> = self.framing.offered().iter().map(|(name, _)| *name).collect();
        if !names.is_empty() {
            headers.insert(http::header::SEC_WEBSOCKET_PROTOCOL, header(&names.join(", ")));
        }
        if let Some(origin) = &self.origin {
            headers.insert(http::header::ORIGIN, header(origin));
        }
        request
    }
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a header value")
}
