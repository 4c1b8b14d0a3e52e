//! Whether this api runs, and whether what it needs does.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tracing::warn;

use crate::state::AppState;

/// What a health check says; no versions, hosts or causes: it is public.
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    dependencies: Dependencies,
}

#[derive(Serialize)]
struct Dependencies {
    database: &'static str,
}

/// 200 if everything needed answers, else 503.
pub async fn all(State(state): State<AppState>) -> (StatusCode, Json<Health>) {
    let (status, word) = match state.database.ping().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(err) => {
            warn!(error = &err as &dyn std::error::Error, "database check failed: {err}");
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
        }
    };
    (status, Json(Health { status: word, dependencies: Dependencies { database: word } }))
}

/// 200: the process answers. Never looks at anything else.
pub async fn live() -> StatusCode {
    StatusCode::OK
}
