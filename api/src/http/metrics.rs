//! `/metrics`: what this api counts, for Prometheus (docs/metrics.md), and who may read it on the main port.

use std::net::IpAddr;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, FORWARDED, VIA};
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

/// What proxies add to a request that they pass on.
const PASSED_ON: [HeaderName; 5] = [
    FORWARDED,
    VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-real-ip"),
];

/// What there is to show, and to whom.
#[derive(Clone, Debug, Default)]
pub struct MetricsAccess {
    metrics: Option<Metrics>,
    token: Option<SecretString>,
    /// Who comes from this machine may read them.
    at_home: bool,
}

impl MetricsAccess {
    /// Shows `metrics` on the main port to who has the token, if there is one, and to this machine if no proxy is known
    /// (`at_home`): one on this machine comes from there, whomever it speaks for.
    pub const fn new(metrics: Metrics, token: Option<SecretString>, at_home: bool) -> Self {
        Self { metrics: Some(metrics), token, at_home }
    }

    /// Whether who asks from `peer` may read them.
    pub(super) fn admits(&self, headers: &HeaderMap, peer: IpAddr) -> bool {
        let passed_on = PASSED_ON.iter().any(|name| headers.contains_key(name));
        if self.at_home && peer.to_canonical().is_loopback() && !passed_on {
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
    PeerAddress(peer): PeerAddress,
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
    use axum::http::HeaderValue;

    use super::*;

    fn admits(access: &MetricsAccess, peer: &str, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        access.admits(&headers.collect(), peer.parse().unwrap())
    }

    fn access(token: Option<&str>, at_home: bool) -> MetricsAccess {
        MetricsAccess { metrics: None, token: token.map(|token| token.to_owned().into()), at_home }
    }

    #[test]
    fn this_machine_and_who_has_the_token_may_read() {
        let right = ("authorization", "Bearer right");
        let (open, closed) = (access(None, true), access(Some("right"), true));
        for local in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(admits(&open, local, &[]));
            for name in ["x-forwarded-for", "forwarded", "via", "x-real-ip", "x-forwarded-host"] {
                assert!(!admits(&open, local, &[(name, "203.0.113.9")]), "a proxy's client: {name}");
                assert!(admits(&closed, local, &[(name, "203.0.113.9"), right]));
            }
        }
        assert!(!admits(&open, "203.0.113.9", &[]));
        assert!(!admits(&open, "203.0.113.9", &[right]), "no token, no way in");
        assert!(!admits(&open, "203.0.113.9", &[("authorization", "Bearer ")]));
        assert!(admits(&closed, "203.0.113.9", &[right]));
        assert!(!admits(&closed, "203.0.113.9", &[("authorization", "Bearer righ")]));
        assert!(!admits(&closed, "203.0.113.9", &[]));
    }

    /// The story: a proxy that says nothing of whom it speaks for showed the numbers to the whole world.
    #[test]
    fn behind_a_proxy_this_machine_is_no_better_than_others() {
        for local in ["127.0.0.1", "::1"] {
            assert!(!admits(&access(None, false), local, &[]));
            assert!(!admits(&access(Some("right"), false), local, &[]));
            assert!(admits(&access(Some("right"), false), local, &[("authorization", "Bearer right")]));
        }
    }
}
