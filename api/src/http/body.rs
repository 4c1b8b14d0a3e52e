//! A request's body, read whole within its bounds. Knows no field.

use std::error::Error;
use std::io;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;

use super::MAX_BODY_BYTES;
use crate::problem::Problem;

/// The whole body. One that is announced as too large is refused before a byte of it is read, or asked for: who waits for
/// `100 Continue` never sends it.
pub(super) async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
        return Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|err| Problem::of_status(status_of(&err)))
}

fn status_of(err: &axum::Error) -> StatusCode {
    let mut cause = err.source();
    while let Some(err) = cause {
        if err.is::<LengthLimitError>() {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        if err.downcast_ref::<io::Error>().is_some_and(|err| err.kind() == io::ErrorKind::TimedOut) {
            return StatusCode::REQUEST_TIMEOUT;
        }
        cause = err.source();
    }
    StatusCode::BAD_REQUEST
}
