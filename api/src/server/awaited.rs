//! A request's body while its client sends it: who is awaited can be dismissed, and is given up when nothing comes. Knows no
//! route.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::waiting::Place;

/// A body that waits in line while nothing of it is there: bodies that are begun and not sent keep nobody out.
pub(super) struct Awaited {
    body: Incoming,
    place: Arc<Place>,
    /// Longest time without a byte.
    patience: Duration,
    given_up: Pin<Box<Sleep>>,
    dismissed: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The client is awaited, not we.
    waits: bool,
}

impl Awaited {
    pub(super) fn new(body: Incoming, place: Arc<Place>, patience: Duration) -> Self {
        let dismissed = Box::pin(place.go.clone().cancelled_owned());
        Self { body, place, patience, given_up: Box::pin(sleep(patience)), dismissed, waits: false }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<&'static str> {
        if !self.waits {
            self.waits = true;
            self.place.wait();
            self.given_up.as_mut().reset(Instant::now() + self.patience);
        }
        if self.dismissed.as_mut().poll(cx).is_ready() {
            return Poll::Ready("the place is needed");
        }
        ready!(self.given_up.as_mut().poll(cx));
        Poll::Ready("nothing comes")
    }

    fn work(&mut self) {
        if self.waits {
            self.waits = false;
            self.place.work();
        }
    }
}

impl Body for Awaited {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.work();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let why = ready!(self.poll_silence(cx));
        self.work();
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, why).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Awaited {
    /// Whoever stopped reading goes on with what there is.
    fn drop(&mut self) {
        self.work();
    }
}
