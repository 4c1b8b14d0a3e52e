//! An id in a path. One that is malformed names nothing, like one that is not there: 404.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::problem::Problem;

/// The one id of a path.
#[derive(Clone, Copy, Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub struct PathId(pub Uuid);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<Uuid>::from_request_parts(parts, state).await;
        id.map(|Path(id)| Self(id)).map_err(|_| Problem::of_status(StatusCode::NOT_FOUND))
    }
}
