//! Whether this api runs, and whether what it needs does.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::AppState;
use crate::store::Answering;

/// What a health check says; no versions, hosts or causes: it is public.
#[derive(Serialize, ToSchema)]
pub struct Health {
    status: Word,
    dependencies: Dependencies,
}

#[derive(Serialize, ToSchema)]
struct Dependencies {
    database: Word,
    redis: Word,
    /// The ptyd, and the link to it.
    node: Word,
}

/// Of one dependency.
#[derive(Serialize, ToSchema)]
#[schema(as = DependencyHealth)]
pub struct One {
    status: Word,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = HealthWord)]
enum Word {
    Ok,
    Unavailable,
    /// It answers, and refused the last write: its disk is full, or it only reads.
    ReadOnly,
    /// It serves, and will end in a moment.
    Draining,
    /// There is none, and none is needed.
    NotConfigured,
}

/// The routes of health checks.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(all))
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(database))
        .routes(routes!(redis))
}

/// Whether everything needed answers.
#[utoipa::path(get, path = "/health", tag = "operations", operation_id = "show_health", security(()),
    responses(
        (status = 200, description = "Good", body = Health),
        (status = 503, description = "Not good", body = Health),
    ))]
pub async fn all(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    let dependencies = dependencies(&state).await;
    let Dependencies { database, redis, node } = dependencies;
    let all = [database, redis, node];
    let is_good = |word: &Word| code(*word) == StatusCode::OK;
    let status = if all.iter().all(is_good) { Word::Ok } else { Word::Unavailable };
    (code(status), Json(Health { status, dependencies }))
}

/// Whether requests can be answered, and will be in a moment: without Redis they can, and without a node those about accounts.
///
/// With a database that takes no writes those can that only read, and terminals go on.
#[utoipa::path(get, path = "/health/ready", tag = "operations", operation_id = "show_readiness", security(()),
    responses(
        (status = 200, description = "Good", body = Health),
        (status = 503, description = "Not good", body = Health),
    ))]
pub async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    let dependencies = dependencies(&state).await;
    let status = match dependencies.database {
        _ if state.draining.is_cancelled() => Word::Draining,
        Word::ReadOnly => Word::Ok,
        word @ (Word::Ok | Word::Unavailable | Word::Draining | Word::NotConfigured) => word,
    };
    (code(status), Json(Health { status, dependencies }))
}

/// Whether the database answers, and takes writes, as the last one tells.
#[utoipa::path(get, path = "/health/db", tag = "operations", operation_id = "show_database_health", security(()),
    responses(
        (status = 200, description = "Good", body = One),
        (status = 503, description = "Not good", body = One),
    ))]
pub async fn database(State(state): State<AppState>) -> (StatusCode, Json<One>) {
    one(database_word(&state).await)
}

/// Whether Redis does.
#[utoipa::path(get, path = "/health/redis", tag = "operations", operation_id = "show_redis_health", security(()),
    responses(
        (status = 200, description = "Good", body = One),
        (status = 503, description = "Not good", body = One),
    ))]
pub async fn redis(State(state): State<AppState>) -> (StatusCode, Json<One>) {
    one(redis_word(&state).await)
}

/// Whether the process answers; never looks at anything else.
#[utoipa::path(get, path = "/health/live", tag = "operations", operation_id = "show_life", security(()),
    responses((status = 200, description = "It answers")))]
pub async fn live() -> StatusCode {
    StatusCode::OK
}

async fn dependencies(state: &AppState) -> Dependencies {
    let (database, redis, node) = tokio::join!(database_word(state), redis_word(state), node_word(state));
    Dependencies { database, redis, node }
}

async fn node_word(state: &AppState) -> Word {
    if state.link.answers().await { Word::Ok } else { Word::Unavailable }
}

async fn database_word(state: &AppState) -> Word {
    match state.database.ping().await {
        Ok(Answering::Everything) => Word::Ok,
        Ok(Answering::ReadsAlone) => Word::ReadOnly,
        Err(err) => {
            warn!("database check failed: {}", crate::chain(&err));
            Word::Unavailable
        }
    }
}

async fn redis_word(state: &AppState) -> Word {
    match state.coordination.reachable().await {
        None => Word::NotConfigured,
        Some(true) => Word::Ok,
        Some(false) => Word::Unavailable,
    }
}

fn one(status: Word) -> (StatusCode, Json<One>) {
    (code(status), Json(One { status }))
}

fn code(word: Word) -> StatusCode {
    match word {
        Word::Ok | Word::NotConfigured => StatusCode::OK,
        Word::Unavailable | Word::ReadOnly | Word::Draining => StatusCode::SERVICE_UNAVAILABLE,
    }
}
