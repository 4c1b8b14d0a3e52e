//! What every request passes through: an id, a span, the shape of errors, and whether it is meant for us at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error_span};
use uuid::Uuid;

use super::metrics;
use crate::counts;
use crate::domain::sessions::SessionError;
use crate::logs::ACCESS;
use crate::problem::{Problem, RETRY_SECS};
use crate::state::AppState;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id taken from a client; also the link's bound.
const MAX_ID_BYTES: usize = 64;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The route that waits for a program, for five minutes if it is asked to; and how long that may take.
const WAITING: &str = "/api/sessions/{id}/commands";
/// Where input is typed that was perhaps typed, and must not be typed again by whoever is told to come back.
const TYPING: [&str; 2] = [WAITING, "/api/sessions/{id}/input"];
const WAITING_TIMEOUT: Duration = Duration::from_secs(330);

/// How long a request may wait for its answer once this api stops: a second before its connection is closed.
const ANSWERED_WITHIN: Duration = Duration::from_secs(4);

/// Longest path with its query, in bytes; the HTTP parser takes no more than 64 KiB.
const MAX_TARGET_BYTES: usize = 32 << 10;
/// Most bytes of all headers together; a token has about one KiB.
const MAX_HEADER_BYTES: usize = 32 << 10;

/// Names a request in logs, answers and on the link: the client's own word for it, if that is a short token, else made.
#[derive(Clone, Debug)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// As text, at most 64 bytes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(request: &Request) -> Self {
        let given = request.headers().get(&X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(|id| {
            (1..=MAX_ID_BYTES).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        });
        Self(given.map_or_else(|| Uuid::now_v7().to_string().into(), Into::into))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self("none".into())))
    }
}

/// Names the request, runs it in a span, and gives every error its one shape.
pub(super) async fn trace(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    // Never the path or query as sent: a query may hold a token.
    let span = error_span!("request", request.id = id.as_str(), http.method = %request.method(), http.route = &route);
    let method = request.method().clone();
    async move {
        let began = Instant::now();
        let mut response = shaped(next.run(request).await, &id);
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(&X_REQUEST_ID, value);
        }
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        metrics::count_request(&method, &route, status, began.elapsed());
        debug!(target: ACCESS, { http.status = status, took_ms }, "answered {status}");
        response
    }
    .instrument(span)
    .await
}

/// Gives up a request that takes too long from its last header byte to its answer's first, or longer than this api has once it
/// stops; a socket's upgrade counts as answered.
pub(super) async fn in_time(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let patience = if route == WAITING { WAITING_TIMEOUT } else { REQUEST_TIMEOUT };
    tokio::select! {
        answered = timeout(patience, next.run(request)) => {
            answered.map_err(|_| Problem::of_status(StatusCode::REQUEST_TIMEOUT))
        }
        () = last_moment(&state.stop) => {
            if TYPING.contains(&route.as_str()) {
                return Err(SessionError::CommandUnknown.into());
            }
            let title = "This server ends, and this request had no answer yet";
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", title)
                .with_detail("it may have been done: Retry-After says when another api answers, or this one again")
                .with_retry_after(RETRY_SECS))
        }
    }
}

async fn last_moment(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(ANSWERED_WITHIN).await;
}

/// Refuses a request whose head is beyond our bounds. They are below those of the HTTP parser, which answers without a body.
pub(super) async fn check_head(request: Request, next: Next) -> Result<Response, Problem> {
    let target_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > MAX_TARGET_BYTES {
        return Err(Problem::of_status(StatusCode::URI_TOO_LONG)
            .with_detail(format!("a path with its query has at most {MAX_TARGET_BYTES} bytes")));
    }
    let header_bytes: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if header_bytes > MAX_HEADER_BYTES {
        return Err(Problem::of_status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
            .with_detail(format!("all headers together have at most {MAX_HEADER_BYTES} bytes")));
    }
    Ok(next.run(request).await)
}

/// Refuses a request whose `Host` cannot mean this listener, or of which nobody can tell what it means (RFC 9112 section
/// 3.2: one `Host` exactly, since HTTP/1.1).
pub(super) async fn check_host(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().map(|host| host.to_str().unwrap_or_default());
    if hosts.next().is_some() || host.is_none() && request.version() >= Version::HTTP_11 {
        return Err(Problem::of_status(StatusCode::BAD_REQUEST).with_detail("one Host header is needed"));
    }
    if host.is_none_or(|host| state.accounts.host_reaches(host)) {
        Ok(next.run(request).await)
    } else {
        let status = StatusCode::MISDIRECTED_REQUEST;
        let detail = "this server listens on loopback; to reach it by another name, set PUBLIC_URL";
        Err(Problem::new(status, "misdirected_request", "Not a name of this server").with_detail(detail))
    }
}

fn shaped(response: Response, id: &RequestId) -> Response {
    let status = response.status();
    if let Some(problem) = response.extensions().get::<Problem>() {
        counts::problem(problem.code());
        return keeping_headers(problem.respond(id.as_str()), &response);
    }
    let is_error = status.is_client_error() || status.is_server_error();
    let has_shape = response.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        // A health check's 503 says which dependency it is, in JSON of its own.
        kind.as_bytes().starts_with(b"application/")
    });
    if is_error && !has_shape {
        let problem = Problem::of_status(status);
        counts::problem(problem.code());
        return keeping_headers(problem.respond(id.as_str()), &response);
    }
    response
}

/// The headers that stood on the answer (`Allow`, the security headers) and are not of its old body.
fn keeping_headers(mut shaped: Response, plain: &Response) -> Response {
    for (name, value) in plain.headers() {
        if !["content-type", "content-length"].contains(&name.as_str())
            && !shaped.headers().contains_key(name)
        {
            shaped.headers_mut().append(name, value.clone());
        }
    }
    shaped
}
