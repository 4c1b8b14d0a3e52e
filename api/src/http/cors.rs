//! Which pages of other origins may use the api from a browser: those of `CORS_ORIGINS`, exactly (API.md section 10). No
//! cookie is ever looked at, so none is let through.

use std::time::Duration;

use axum::http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::domain::origins::Origin;

/// How long a browser may keep what a preflight said.
const KEPT: Duration = Duration::from_secs(3600);

/// None without such origins: then nothing is said of any.
pub(super) fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> =
        origins.iter().filter_map(|origin| HeaderValue::from_str(origin.as_str()).ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let name = HeaderName::from_static;
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            name("idempotency-key"),
            name("x-ai-key"),
            name("x-request-id"),
        ])
        .expose_headers([
            CONTENT_DISPOSITION,
            RETRY_AFTER,
            name("idempotent-replayed"),
            name("ratelimit"),
            name("ratelimit-policy"),
            name("x-ratelimit-limit"),
            name("x-ratelimit-remaining"),
            name("x-ratelimit-reset"),
            name("x-request-id"),
        ])
        .max_age(KEPT);
    Some(layer)
}
