//! A request's body, read whole within its bounds. Knows no field.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use super::MAX_BODY_BYTES;
use crate::problem::Problem;

/// How long a body may take, from its first byte read to its last: as long as a request that waits for nothing else.
const READ_WITHIN: Duration = Duration::from_secs(30);

/// The whole body. One that is announced as too large is refused before a byte of it is read, or asked for: who waits for
/// `100 Continue` never sends it.
pub(super) async fn whole(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > MAX_BODY_BYTES as u64) {
        return Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    match timeout(READ_WITHIN, to_bytes(body, MAX_BODY_BYTES)).await {
        Ok(read) => read.map_err(|err| Problem::of_status(status_of(&err))),
        Err(_) => Err(Problem::of_status(StatusCode::REQUEST_TIMEOUT)),
    }
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

#[cfg(test)]
mod tests {
    use futures_util::stream::unfold;
    use tokio::time::{Instant, sleep};

    use super::*;

    /// The story: each byte of a body bought its connection another few seconds, up to the patience of a command.
    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_given_up() {
        let dripping = unfold((), |()| async {
            sleep(Duration::from_secs(5)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b" ")), ()))
        });
        let began = Instant::now();
        let refused = whole(&HeaderMap::new(), Body::from_stream(dripping)).await.unwrap_err();
        assert_eq!((refused.code(), began.elapsed()), ("request_timeout", READ_WITHIN));
    }
}
