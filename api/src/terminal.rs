//! The terminal stream: WebSocket clients on one side, attachments at a ptyd on the other (PROTOCOL.md). A socket is a pump
//! between the two; nothing about a session is kept here that is not also at its ptyd.

mod deflate;
mod gate;
mod inbound;
mod message;
mod outbound;
mod reply;
mod sink;
mod socket;
mod text;
mod upgrade;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use devpocket_shared::ids::SessionId;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::deflate::Compressors;
use crate::domain::identity::{AuthError, Identity};
use crate::domain::limits::Class;
use crate::domain::sessions::Sessions;
use crate::link::Link;

/// How a client proves who it is.
#[derive(Clone, Copy)]
pub enum Credential<'a> {
    /// An access token.
    Access(&'a str),
    /// A ticket, which this uses up.
    Ticket(&'a str),
}

/// Who may come in, and what for: the one authority the terminal stream asks.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Who a credential speaks for.
    async fn identify(&self, credential: Credential<'_>) -> Result<Identity, AuthError>;
    /// Whether that device is still signed in, by keys that are accepted still; an answer up to a second old will do. Yes
    /// while nobody can tell.
    async fn still_signed_in(&self, identity: &Identity) -> bool;
    /// Counts a session to be made ([`Class::General`]) or attached ([`Class::Connect`]); gives how long to wait if there is
    /// no room for it now.
    async fn admit(&self, identity: &Identity, class: Class) -> Option<Duration>;
    /// Whether this account may open local sessions here.
    fn may_open_local(&self, identity: &Identity) -> bool;
    /// Whether what sent this `Origin` may connect over this `Host`; no origin: no browser.
    fn origin_allowed(&self, origin: Option<&str>, host: Option<&str>) -> bool;
}

/// What every socket needs.
pub struct Terminal {
    /// Who may come in.
    pub gate: Arc<dyn Gate>,
    /// The way to the sessions.
    pub link: Arc<Link>,
    /// The books that sessions made here are entered into.
    pub sessions: Arc<Sessions>,
    /// Owns the sockets' tasks.
    pub tasks: TaskTracker,
    /// The api will go away soon: no new sockets.
    pub draining: CancellationToken,
    /// The api is going away.
    pub stop: CancellationToken,
    /// What compressed sockets need one of.
    pub compressors: Compressors,
}

/// The routes of the terminal stream.
pub fn routes() -> OpenApiRouter<Arc<Terminal>> {
    OpenApiRouter::default().routes(routes!(upgrade::upgrade))
}

/// A session's number on one socket, never used twice there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
struct Channel(u16);

/// How terminal bytes travel on a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Encoding {
    /// Everything is JSON text.
    Json,
    /// `devpocket.bin.v1`, compressed or not: terminal bytes in binary frames.
    Binary,
}

/// Names the messages about a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Names {
    session_id: SessionId,
    channel: Channel,
}
