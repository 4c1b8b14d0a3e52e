//! What every handler may use, made once at start.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::accounts::Accounts;
use crate::domain::sessions::Sessions;
use crate::link::Link;
use crate::store::Database;

/// Shared by all requests of one api; cloning is cheap.
#[derive(Clone)]
pub struct AppState {
    /// Who is who.
    pub accounts: Arc<Accounts>,
    /// Which sessions there are, and what is done with them.
    pub sessions: Arc<Sessions>,
    /// The way to the sessions.
    pub link: Arc<Link>,
    /// Asked by the health checks alone; everything else goes through a service.
    pub database: Database,
    /// Whether `PUBLIC_URL` is https: then browsers are told to stay there (HSTS).
    pub behind_tls: bool,
    /// What outlives the request that began it: a socket's pump.
    pub tasks: TaskTracker,
    /// Cancelled when the api stops.
    pub stop: CancellationToken,
}
