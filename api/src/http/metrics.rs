//! `/metrics`: what this api counts, for Prometheus (docs/metrics.md), and who may read it on the main port.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, FORWARDED};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use devpocket_shared::metrics::{MEDIA_TYPE, Metrics};
use metrics::{counter, gauge, histogram};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::current_user::bearer;
use super::peer::PeerAddress;
use crate::problem::Problem;
use crate::state::AppState;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What there is to show, and to whom.
#[derive(Clone, Debug, Default)]
pub struct MetricsAccess {
    metrics: Option<Metrics>,
    token: Option<SecretString>,
}

impl MetricsAccess {
    /// Shows `metrics` on the main port to this machine, and to who has the token if there is one.
    pub const fn new(metrics: Metrics, token: Option<SecretString>) -> Self {
        Self { metrics: Some(metrics), token }
    }

    fn admits(&self, headers: &HeaderMap, PeerAddress(peer): PeerAddress) -> bool {
        // What a proxy on this machine passes on comes from elsewhere.
        let passed_on = headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        if peer.to_canonical().is_loopback() && !passed_on {
            return true;
        }
        let shown = bearer(headers).ok().flatten().unwrap_or_default();
        self.token
            .as_ref()
            .is_some_and(|token| bool::from(token.expose_secret().as_bytes().ct_eq(shown.as_bytes())))
    }
}

/// The route of the numbers.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(page))
}

/// All numbers; 404 for who may not know that there are any.
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "show_metrics", security((), ("metrics_token" = [])),
    responses(
        (status = 200, description = "All numbers, for Prometheus", body = String, content_type = "text/plain"),
        (status = 404, description = "Who asks may not know that there are any"),
    ))]
pub async fn page(
    State(state): State<AppState>,
    peer: PeerAddress,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let refused = || Problem::of_status(StatusCode::NOT_FOUND);
    let metrics = state
        .metrics
        .metrics
        .as_ref()
        .filter(|_| state.metrics.admits(&headers, peer))
        .ok_or_else(refused)?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], metrics.page()).into_response())
}

/// Counts a request that was answered. `route` is the pattern that matched, never the path.
pub fn count_request(method: &Method, route: &str, status: u16, took: Duration) {
    // Anybody may make up a method.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    };
    let route = route.to_owned();
    counter!("devpocket_http_requests_total", "method" => method, "route" => route.clone(), "status" => status.to_string())
        .increment(1);
    histogram!("devpocket_http_request_seconds", "route" => route).record(took);
}

/// An open WebSocket: counts from its making to its end.
#[derive(Debug)]
pub struct OpenSocket(());

impl OpenSocket {
    /// One more.
    pub fn count() -> Self {
        counter!("devpocket_websockets_opened_total").increment(1);
        gauge!("devpocket_websockets").increment(1.0);
        Self(())
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        gauge!("devpocket_websockets").decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;

    use super::*;

    fn admits(token: Option<&str>, peer: &str, headers: &[(HeaderName, &str)]) -> bool {
        let access = MetricsAccess { metrics: None, token: token.map(|token| token.to_owned().into()) };
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap()));
        access.admits(&headers.collect(), PeerAddress(peer.parse::<IpAddr>().unwrap()))
    }

    #[test]
    fn this_machine_and_who_has_the_token_may_read() {
        let right = [(AUTHORIZATION, "Bearer right")];
        let wrong = [(AUTHORIZATION, "Bearer righ")];
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(admits(None, local, &[]));
            assert!(!admits(None, local, &[(X_FORWARDED_FOR, "203.0.113.9")]), "a proxy's client");
            assert!(!admits(None, local, &[(FORWARDED, "for=203.0.113.9")]), "a proxy's client");
            assert!(admits(Some("right"), local, &[(X_FORWARDED_FOR, "203.0.113.9"), right[0].clone()]));
        }
        assert!(!admits(None, "203.0.113.9", &[]));
        assert!(!admits(None, "203.0.113.9", &right), "no token, no way in");
        assert!(!admits(None, "203.0.113.9", &[(AUTHORIZATION, "Bearer ")]));
        assert!(admits(Some("right"), "203.0.113.9", &right));
        assert!(!admits(Some("right"), "203.0.113.9", &wrong));
        assert!(!admits(Some("right"), "203.0.113.9", &[]));
    }
}
