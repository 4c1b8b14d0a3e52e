//! Which part of a list a request asks for (API.md section 1).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::IntoParams;

use super::query::Parameters;
use crate::problem::Problem;
use crate::store::Part;

/// Items of a part unless asked for otherwise.
const LIMIT: i64 = 50;
/// Most items of a part.
const MAX_LIMIT: i64 = 100;

/// The query of [`Paging`], for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its description is used")]
pub struct PageQuery {
    /// Items left out before the part.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807i64, default = 0)]
    offset: Option<i64>,
    /// Most items of the part.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
}

/// `offset` and `limit`.
#[derive(Clone, Copy, Debug)]
pub struct Paging(pub Part);

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let mut query = Parameters::from_request_parts(parts, state).await?;
        let offset = query.number("offset", 0, i64::MAX).unwrap_or(0);
        let limit = query.number("limit", 1, MAX_LIMIT).unwrap_or(LIMIT);
        query.done()?;
        Ok(Self(Part { offset, limit }))
    }
}
