//! The HTTP surface: which path is whose, and what every request passes through. Decides nothing.

pub mod auth;
mod body;
mod cors;
pub mod current_user;
pub mod fields;
pub mod health;
pub mod id;
mod idempotency;
pub(crate) mod limit;
pub mod metrics;
mod numbers;
pub mod openapi;
pub mod page;
pub mod paging;
pub mod peer;
pub mod profile;
mod query;
pub mod request;
mod security_headers;
pub mod sessions;

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, Uri};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::Layer;
use tower::util::{MapRequestLayer, option_layer};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problem;
use crate::state::AppState;
use crate::terminal::{self, Compressors, Terminal};

/// Largest body of a request (API.md section 1).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Every route, ready to serve.
pub fn router(state: AppState) -> Router {
    // Around the router: it must see the path before a route is chosen.
    Router::new().fallback_service(MapRequestLayer::new(without_trailing_slash).layer(served(state)))
}

/// A path with slashes at its end is the one without. Those at its beginning stay, and nothing has such a path: a proxy that
/// keeps a path from the world compares it as it is written.
fn without_trailing_slash(mut request: Request) -> Request {
    let uri = request.uri();
    let path = uri.path().trim_end_matches('/');
    if path.len() == uri.path().len() || path.is_empty() {
        return request;
    }
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = target.parse().ok();
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}

fn served(state: AppState) -> Router {
    Router::from(routes())
        .merge(terminal::routes().with_state(terminal(&state)))
        .fallback(page::file)
        .method_not_allowed_fallback(async || Problem::of_status(StatusCode::METHOD_NOT_ALLOWED))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(state.clone(), idempotency::once))
        .layer(from_fn_with_state(state.clone(), request::in_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), request::check_host))
        .layer(from_fn(request::check_head))
        .layer(from_fn_with_state(state.clone(), limit::count))
        // Around the limits: a browser's question before a request is none.
        .layer(option_layer(cors::layer(&state.cors_origins)))
        .layer(from_fn_with_state(state.clone(), limit::tell_all))
        .layer(from_fn_with_state(state.clone(), peer::find))
        .layer(from_fn_with_state(state.clone(), security_headers::add))
        .layer(from_fn(request::trace))
        .with_state(state)
}

/// What is served over plain HTTP, as it is documented: `routes!` puts a handler into both, and nothing else adds a route
/// (`clippy.toml`).
fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .nest("/api/auth", auth::routes())
        .nest("/api/profile", profile::routes())
        .nest("/api/sessions", sessions::routes())
        .merge(health::routes())
        .merge(metrics::routes())
        .merge(openapi::routes())
}

fn terminal(state: &AppState) -> Arc<Terminal> {
    Arc::new(Terminal {
        gate: state.accounts.clone(),
        link: state.link.clone(),
        sessions: state.sessions.clone(),
        tasks: state.tasks.clone(),
        draining: state.draining.clone(),
        stop: state.stop.clone(),
        compressors: Compressors::default(),
    })
}

fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let said = cause.downcast_ref::<&str>().copied();
    let said = said.or_else(|| cause.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    error!("a handler panicked: {said}");
    Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response()
}

#[cfg(test)]
mod tests;
