//! Counts each request of the api against its limit, and says in every answer what is left (API.md section 2).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use time::OffsetDateTime;

use super::current_user::{Identified, bearer};
use super::peer::address_of;
use crate::counts;
use crate::domain::limits::{Class, Counted, Subject};
use crate::domain::user::Tier;
use crate::problem::Problem;
use crate::state::AppState;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Takes a unit before anything is done, and answers 429 if there is none.
pub(super) async fn count(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if !state.limits {
        return next.run(request).await;
    }
    let mut class = class_of(request.uri().path());
    if request.uri().path() == "/metrics" && state.metrics.admits(request.headers(), address_of(&request)) {
        class = Class::Uncounted;
    }
    // Who asks is found out once; a handler that needs to know takes it from the request.
    let identified = match bearer(request.headers()) {
        _ if matches!(class, Class::Open | Class::Uncounted) => None,
        Ok(Some(token)) => Some(state.accounts.identify_access(token).await),
        Ok(None) | Err(_) => None,
    };
    let (subject, tier) = match &identified {
        Some(Ok(identity)) => (Subject::User(identity.user_id), identity.tier),
        Some(Err(_)) | None => (Subject::of_address(address_of(&request)), Tier::Free),
    };
    if let Some(identified) = identified {
        request.extensions_mut().insert(Identified(identified));
    }
    let quota = class.quota(tier);
    let taken = match class {
        Class::Uncounted => quota.told(0, None),
        Class::Open => state.own_limiter.take(class, &subject, quota).await,
        Class::General | Class::Auth | Class::Connect => {
            state.coordination.take(class, &subject, quota).await
        }
    };
    let counted = Counted { bucket: class.as_str(), quota, taken };
    let mut response = match taken.refused_for {
        None => next.run(request).await,
        Some(_) => {
            counts::rate_limited(counted.bucket);
            too_many(counted).into_response()
        }
    };
    // One that was refused further in, by its name, is told of that bucket.
    let told = response.extensions().get::<Problem>().and_then(Problem::refused).unwrap_or(counted);
    tell(response.headers_mut(), told);
    response
}

/// Says it in answers to what [`count`] never saw, too: a browser's question before a request.
pub(super) async fn tell_all(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if state.limits && !response.headers().contains_key(&RATE_LIMIT) {
        let quota = Class::Uncounted.quota(Tier::Free);
        let counted = Counted { bucket: Class::Uncounted.as_str(), quota, taken: quota.told(0, None) };
        tell(response.headers_mut(), counted);
    }
    response
}

/// The answer to one request too many.
pub(crate) fn too_many(refused: Counted) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", "Too many requests, please wait")
        .with_refused(refused)
}

/// What a path counts as.
fn class_of(path: &str) -> Class {
    if path.starts_with("/ws/") {
        return Class::Connect;
    }
    // What decides whether this api is sent requests, or restarted, hears the truth however often it asks.
    if path == "/health" || path.starts_with("/health/") {
        return Class::Uncounted;
    }
    let Some(path) = path.strip_prefix("/api/") else { return Class::Open };
    let path = path.trim_end_matches('/');
    let auth = [
        "auth/register",
        "auth/login",
        "auth/first-run",
        "auth/change-password",
        "auth/forgot-password",
        "auth/reset-password",
        "auth/verify-email-request",
    ];
    if path == "auth/ws-ticket" {
        Class::Connect
    } else if auth.contains(&path) || path.starts_with("auth/verify-email/") {
        Class::Auth
    } else {
        Class::General
    }
}

/// `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-11), and the older three, of which the last is
/// the time of day when all is there again.
fn tell(headers: &mut HeaderMap, told: Counted) {
    let Counted { bucket: name, quota, taken } = told;
    let full_in = taken.full_in.as_millis().div_ceil(1000);
    let policy = format!("\"{name}\";q={};w={}", quota.units, quota.per.as_secs());
    let left = format!("\"{name}\";r={};t={full_in}", taken.remaining);
    let full_at = OffsetDateTime::now_utc() + taken.full_in;
    for (header, value) in [
        (&RATE_LIMIT_POLICY, policy),
        (&RATE_LIMIT, left),
        (&X_LIMIT, taken.limit.to_string()),
        (&X_REMAINING, taken.remaining.to_string()),
        (&X_RESET, full_at.unix_timestamp().to_string()),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(header, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_counts_as_what_it_does() {
        for (path, class) in [
            ("/api/auth/login", Class::Auth),
            ("/api/auth/login/", Class::Auth),
            ("/api/auth/verify-email/abc", Class::Auth),
            ("/api/auth/me", Class::General),
            ("/api/auth/refresh", Class::General),
            ("/api/auth/ws-ticket", Class::Connect),
            ("/ws/terminal", Class::Connect),
            ("/api/profile", Class::General),
            ("/api/nothing", Class::General),
            ("/", Class::Open),
            ("/healthy", Class::Open),
            ("/metrics", Class::Open),
            ("/health", Class::Uncounted),
            ("/health/live", Class::Uncounted),
            ("/assets/index.js", Class::Open),
        ] {
            assert_eq!(class_of(path), class, "{path}");
        }
    }
}
