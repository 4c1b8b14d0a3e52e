//! What every handler may use, made once at start.

use std::sync::Arc;

use ipnet::IpNet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::accounts::Accounts;
use crate::domain::answers::Answers;
use crate::domain::coordination::Coordination;
use crate::domain::limits::Limiter;
use crate::domain::origins::Origin;
use crate::domain::sessions::Sessions;
use crate::http::metrics::MetricsAccess;
use crate::link::Link;
use crate::store::Database;

/// Shared by all requests of one api; cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    /// Who is who.
    pub accounts: Arc<Accounts>,
    /// What was answered to requests with a key.
    pub answers: Arc<Answers>,
    /// Which sessions there are, and what is done with them.
    pub sessions: Arc<Sessions>,
    /// The way to the sessions.
    pub link: Arc<Link>,
    /// Asked by the health checks alone; everything else goes through a service.
    pub database: Database,
    /// What the apis agree on.
    pub coordination: Arc<dyn Coordination>,
    /// Counts what each api counts for itself.
    pub own_limiter: Arc<dyn Limiter>,
    /// Requests are counted (`RATE_LIMITS`).
    pub limits: bool,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// Whose pages may use the api from a browser.
    pub cors_origins: Arc<[Origin]>,
    /// Whether `PUBLIC_URL` is https: then browsers are told to stay there (HSTS).
    pub behind_tls: bool,
    /// The OpenAPI document, written once.
    pub document: Arc<[u8]>,
    /// What `/metrics` shows, and to whom.
    pub metrics: MetricsAccess,
    /// What outlives the request that began it: a socket's pump.
    pub tasks: TaskTracker,
    /// Cancelled when the api is told to stop: it serves on for a while, but nobody should begin anything long.
    pub draining: CancellationToken,
    /// Cancelled when the api stops.
    pub stop: CancellationToken,
}
