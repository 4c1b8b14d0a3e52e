//! Who asks about which sessions: identity, path and query of a request.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::ErrorCode;
use uuid::Uuid;

use super::super::current_user::CurrentUser;
use super::super::query::Parameters;
use super::super::request::RequestId;
use super::requests::wanted;
use crate::domain::identity::Identity;
use crate::domain::sessions::{Caller, Wanted};
use crate::problem::Problem;
use crate::state::AppState;
use crate::store::SessionFilter;

/// Sessions on a page unless asked for otherwise, and at most (API.md section 1).
pub(super) const PAGE: i64 = 50;
pub(super) const MAX_PAGE: i64 = 100;

/// Who asks, and in which request.
pub(super) struct Asking {
    pub(super) identity: Identity,
    pub(super) request_id: RequestId,
}

impl Asking {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller { owner: self.identity.user_id, request_id: self.request_id.as_str() }
    }
}

impl FromRequestParts<AppState> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let CurrentUser(identity) = CurrentUser::from_request_parts(parts, state).await?;
        let Ok(request_id) = RequestId::from_request_parts(parts, state).await;
        Ok(Self { identity, request_id })
    }
}

/// The session of a path. A malformed id names none, like one that is not there.
pub(super) struct PathSession(pub(super) SessionId);

impl FromRequestParts<AppState> for PathSession {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(SessionId::new(id))).map_err(|_| {
            Problem::new(StatusCode::NOT_FOUND, ErrorCode::SessionNotFound.as_str(), "No such session")
        })
    }
}

/// Which part of which list.
pub(super) struct ListQuery {
    pub(super) wanted: Wanted,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

impl FromRequestParts<AppState> for ListQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let mut query = Parameters::from_request_parts(parts, state).await?;
        let offset = query.number("offset", 0, i64::MAX).unwrap_or(0);
        let limit = query.number("limit", 1, MAX_PAGE).unwrap_or(PAGE);
        let live_only = query.flag("active_only");
        let filter = SessionFilter { live_only, ..SessionFilter::default() };
        let wanted = match query.text("status") {
            None => Some(Wanted::Filtered(filter)),
            Some(word) => wanted(&word, filter),
        };
        if wanted.is_none() {
            query.wrong("status", super::requests::STATUS_WORDS.to_owned());
        }
        query.done()?;
        let wanted = wanted.unwrap_or_else(|| Wanted::Filtered(SessionFilter::default()));
        Ok(Self { wanted, offset, limit })
    }
}
