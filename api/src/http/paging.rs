//! Which part of a list a request asks for (API.md section 1).

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::problem::{FieldError, Problem};
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
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        let Query(query) = query.map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        let mut errors = Vec::new();
        let offset = number(&query, &mut errors, "offset", 0, 0, i64::MAX);
        let limit = number(&query, &mut errors, "limit", LIMIT, 1, MAX_LIMIT);
        if errors.is_empty() {
            Ok(Self(Part { offset, limit }))
        } else {
            Err(Problem::invalid_fields(errors))
        }
    }
}

fn number(
    query: &HashMap<String, String>,
    errors: &mut Vec<FieldError>,
    field: &'static str,
    otherwise: i64,
    least: i64,
    most: i64,
) -> i64 {
    let Some(text) = query.get(field) else { return otherwise };
    text.parse().ok().filter(|number| (least..=most).contains(number)).unwrap_or_else(|| {
        let message = format!("must be a number from {least} to {most}");
        errors.push(FieldError { field, code: "out_of_range", message });
        otherwise
    })
}
