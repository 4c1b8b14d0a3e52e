//! Who asks about which sessions: identity, path and query of a request.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::ErrorCode;
use uuid::Uuid;

use super::super::current_user::CurrentUser;
use super::super::request::RequestId;
use super::requests::wanted;
use crate::domain::identity::Identity;
use crate::domain::sessions::{Caller, Wanted};
use crate::problem::{FieldError, Problem};
use crate::state::AppState;
use crate::store::SessionFilter;

/// Sessions on a page unless asked for otherwise, and at most (API.md section 1).
pub(super) const PAGE: i64 = 50;
pub(super) const MAX_PAGE: i64 = 100;

/// Who asks, and in which request.
pub(super) struct Asking {
    pub(super) identity: Identity,
    request_id: RequestId,
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

/// The parameters of a request's query, each once.
pub(super) struct Parameters {
    values: HashMap<String, String>,
    errors: Vec<FieldError>,
}

impl FromRequestParts<AppState> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Query(values) = query.map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        Ok(Self { values, errors: Vec::new() })
    }
}

impl Parameters {
    pub(super) fn text(&self, field: &'static str) -> Option<&str> {
        self.values.get(field).map(String::as_str)
    }

    pub(super) fn number(&mut self, field: &'static str, least: i64, most: i64) -> Option<i64> {
        let number = self.text(field)?.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(field, format!("must be a number from {least} to {most}"));
        }
        number
    }

    fn flag(&mut self, field: &'static str) -> bool {
        match self.text(field) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.wrong(field, "must be true or false".to_owned());
                false
            }
        }
    }

    pub(super) fn wrong(&mut self, field: &'static str, message: String) {
        self.errors.push(FieldError { field, code: "out_of_range", message });
    }

    pub(super) fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.errors)) }
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
        let wanted = match query.text("status").map(str::to_owned) {
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
