//! Who a request speaks for: its bearer token, and nothing else (no cookie, no query).

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use crate::domain::identity::{AuthError, Identity};
use crate::problem::Problem;
use crate::state::AppState;

/// A signed-in device; a handler that takes it answers 401 to everybody else.
#[derive(Clone, Copy, Debug)]
pub struct CurrentUser(pub Identity);

/// What was found out of a request's bearer token already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identified(pub(super) Result<Identity, AuthError>);

impl FromRequestParts<AppState> for CurrentUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        if let Some(Identified(identified)) = parts.extensions.get() {
            return Ok(Self((*identified)?));
        }
        let token = bearer(&parts.headers)?
            .ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "not_authenticated", "Sign in first"))?;
        Ok(Self(state.accounts.identify_access(token).await?))
    }
}

/// The token of `Authorization: Bearer`; none without that header.
///
/// # Errors
/// Another scheme, an empty token, or two headers, of which somebody on the way may have read the other.
pub fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let refused = || Problem::new(StatusCode::UNAUTHORIZED, "token_invalid", "One bearer token is needed");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused());
    }
    let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(refused)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(refused());
    }
    Ok(Some(token))
}
