//! Requests that make something are done once by their `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07), and
//! to their end even if the client has gone.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tracing::{Instrument, Span, warn};
use utoipa::IntoParams;
use uuid::Uuid;

use super::body;
use super::current_user::CurrentUser;
use super::request::RequestId;
use crate::domain::answers::{ATTEMPT, MAX_KEY_BYTES, Once, RequestKey};
use crate::domain::identity::AuthError;
use crate::problem::Problem;
use crate::state::AppState;
use crate::store::{Begun, KeptAnswer};

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// The POSTs that make something.
const CREATING: [&str; 1] = ["/api/sessions"];
/// What signs devices out, or ends an account: whoever asks for it may be gone before it is answered, and every api is to know
/// of it all the same.
pub(super) const SIGNING_OUT: [(Method, &str); 6] = [
    (Method::POST, "/api/auth/logout"),
    (Method::POST, "/api/auth/refresh"),
    (Method::POST, "/api/auth/change-password"),
    (Method::POST, "/api/auth/reset-password"),
    (Method::DELETE, "/api/auth/devices/{id}"),
    (Method::DELETE, "/api/profile"),
];
/// Longest answer that is kept; of what is made, none is longer.
const MAX_KEPT_BYTES: usize = 1 << 20;

/// The header of [`once`], for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub(super) struct IdempotencyHeader {
    /// Made at random, such as a UUID. The same key gives the same answer for 24 hours; of a command with at most the last 64 KiB
    /// of its output.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 255, pattern = "^[ -~]+$")]
    idempotency_key: Option<String>,
}

/// The id for what a request makes: the same when the request comes again.
#[derive(Clone, Copy, Debug)]
pub(super) struct CreationId(pub(super) Uuid);

impl<S: Sync> FromRequestParts<S> for CreationId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().copied().unwrap_or_else(|| Self(Uuid::now_v7())))
    }
}

/// The key of a request that sees to it by itself that it is done once.
pub(super) struct Key(pub(super) Option<RequestKey>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        key(&parts.headers).map(Self)
    }
}

/// Does what makes something, or signs devices out, in a task of its own; what makes something once by its key.
pub(super) async fn once(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    if SIGNING_OUT.iter().any(|(method, signing_out)| request.method() == method && path == *signing_out) {
        return to_its_end(&state, next.run(request)).await;
    }
    if request.method() != Method::POST || !CREATING.contains(&path) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(user) = CurrentUser::from_request_parts(&mut parts, &state).await else {
        // The handler says so.
        return next.run(Request::from_parts(parts, body)).await;
    };
    let key = match key(&parts.headers) {
        Ok(key) => key,
        Err(problem) => return problem.into_response(),
    };
    let content = match body::whole(&parts.headers, body).await {
        Ok(content) => content,
        Err(problem) => return problem.into_response(),
    };
    let route = parts.extensions.get::<MatchedPath>().map_or("none", MatchedPath::as_str);
    let once = key.map(|key| Once::new(user.0.user_id, route, &key, &content));
    let doing = state.clone();
    let done = async move {
        match once {
            None => within_time(next.run(again(parts, content))).await,
            Some(once) => keyed(&doing, once, parts, content, next).await,
        }
    };
    to_its_end(&state, done).await
}

/// A client that goes away takes its connection's tasks with it, but not this one.
pub(super) async fn to_its_end(
    state: &AppState,
    doing: impl Future<Output = Response> + Send + 'static,
) -> Response {
    let done = state.tasks.spawn(doing.instrument(Span::current())).await;
    done.unwrap_or_else(|err| Problem::internal(&err).into_response())
}

async fn keyed(state: &AppState, once: Once, mut parts: Parts, content: Bytes, next: Next) -> Response {
    let id = match state.answers.begin(&once).await {
        Ok(Begun::Now(id)) => id,
        Ok(Begun::Done(answer)) => return replayed(answer),
        Ok(Begun::UnderWay(until)) => {
            return under_way(state.answers.secs_until(until)).into_response();
        }
        Ok(Begun::Reused) => return reused().into_response(),
        Ok(Begun::OwnerGone) => return Problem::from(AuthError::SignedOut).into_response(),
        Err(err) => return Problem::from(err).into_response(),
    };
    parts.extensions.insert(CreationId(id));
    let request_id = parts.extensions.get::<RequestId>().cloned();
    let response = within_time(next.run(again(parts, content))).await;
    // An error has no body yet; `http::request` would write it.
    let response = match (response.extensions().get::<Problem>(), request_id) {
        (Some(problem), Some(id)) if !problem.status().is_server_error() => problem.respond(id.as_str()),
        _ => response,
    };
    if !is_lasting(response.status()) {
        if let Err(err) = state.answers.release(&once).await {
            warn!(
                error = &err as &dyn std::error::Error,
                "a request that failed cannot be tried again at once: {err}"
            );
        }
        return response;
    }
    let (head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, MAX_KEPT_BYTES).await else {
        return Problem::of_status(StatusCode::INTERNAL_SERVER_ERROR).into_response();
    };
    let answer = KeptAnswer { status: head.status.as_u16(), body: body.to_vec() };
    if let Err(err) = state.answers.keep(&once, &answer).await {
        // What was made stands; the same request finds it again by its id.
        warn!(error = &err as &dyn std::error::Error, "an answer is not kept: {err}");
    }
    Response::from_parts(head, Body::from(body))
}

/// Whether the same request would be answered so again: not what is about this moment, or about the caller's credential.
fn is_lasting(status: StatusCode) -> bool {
    !status.is_server_error()
        && ![
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::TOO_MANY_REQUESTS,
        ]
        .contains(&status)
}

async fn within_time(response: impl Future<Output = Response>) -> Response {
    let timed_out = || Problem::of_status(StatusCode::REQUEST_TIMEOUT).into_response();
    timeout(ATTEMPT, response).await.unwrap_or_else(|_| timed_out())
}

fn again(parts: Parts, content: Bytes) -> Request {
    Request::from_parts(parts, Body::from(content))
}

fn key(headers: &HeaderMap) -> Result<Option<RequestKey>, Problem> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().and_then(RequestKey::parse).filter(|_| values.next().is_none());
    key.map(Some).ok_or_else(|| {
        let detail =
            format!("one Idempotency-Key of 1 to {MAX_KEY_BYTES} printable ASCII characters is needed");
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", "Not a usable Idempotency-Key")
            .with_detail(detail)
    })
}

pub(super) fn replayed(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    let mut response = (status, answer.body).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    response
}

/// After so many seconds nobody waits for the attempt any more, should its api have died.
pub(super) fn under_way(secs: u64) -> Problem {
    let title = "The same request is being answered";
    Problem::new(StatusCode::CONFLICT, "idempotency_in_progress", title).with_retry_after(secs)
}

pub(super) fn reused() -> Problem {
    let title = "This Idempotency-Key was used for another request";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", title)
}
