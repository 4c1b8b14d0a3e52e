//! One client's socket for writing: text messages and binary frames in the order they are given, compressed if that was
//! agreed on. Knows no session.

use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::time::Instant;

use super::deflate::Deflate;

/// How long the close of a socket may take to be written.
const CLOSE: Duration = Duration::from_secs(5);

/// A program that draws writes its screen in pieces, with less than this between them. Each piece compressed by itself
/// takes a third more.
const GATHERING: Duration = Duration::from_millis(4);
/// Bytes of a compressed message from which on there may be more to come at once. What one key makes a shell print is less,
/// and is never waited with.
const PIECE_BYTES: usize = 128;

/// A client's socket. What was fed is sent with the next flush at the latest.
pub(super) struct ClientSink {
    socket: SplitSink<WebSocket, Message>,
    deflate: Option<Deflate>,
    /// Until when frames are gathered, after a piece of output was sent compressed.
    gathering: Option<Instant>,
}

impl ClientSink {
    /// `deflate`: how binary frames are compressed; none: they are messages as they are.
    pub(super) const fn new(socket: SplitSink<WebSocket, Message>, deflate: Option<Deflate>) -> Self {
        Self { socket, deflate, gathering: None }
    }

    /// Feeds a text message.
    pub(super) async fn text(&mut self, text: String) -> Result<(), Error> {
        self.end_message().await?;
        self.socket.feed(Message::Text(text.into())).await
    }

    /// Feeds a binary frame.
    pub(super) async fn frame(&mut self, frame: Bytes) -> Result<(), Error> {
        match &mut self.deflate {
            Some(deflate) => {
                deflate.add(&frame);
                Ok(())
            }
            None => self.socket.feed(Message::Binary(frame)).await,
        }
    }

    /// Whether so much was fed that it is to be flushed before anything else is.
    pub(super) fn is_full(&self) -> bool {
        self.deflate.as_ref().is_some_and(Deflate::is_full)
    }

    /// Notes that a session was attached: its frames do not refer to what was sent before.
    pub(super) async fn note_attach(&mut self) -> Result<(), Error> {
        self.end_message().await?;
        if let Some(deflate) = &mut self.deflate {
            deflate.note_attach();
        }
        Ok(())
    }

    /// Until when it is better not to flush, if nothing but frames was fed.
    pub(super) fn better_wait(&self) -> Option<Instant> {
        let more = self.deflate.as_ref().is_some_and(|deflate| deflate.gathered() > 0 && !deflate.is_full());
        self.gathering.filter(|until| more && Instant::now() < *until)
    }

    /// Sends what was fed.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        self.end_message().await?;
        self.socket.flush().await
    }

    /// Sends a ping.
    pub(super) async fn ping(&mut self) -> Result<(), Error> {
        self.socket.send(Message::Ping(Bytes::new())).await
    }

    /// Closes the socket. A client that reads nothing does not get to keep the task.
    pub(super) async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let closing = self.socket.send(Message::Close(Some(frame)));
        drop(tokio::time::timeout(CLOSE, closing).await);
    }

    async fn end_message(&mut self) -> Result<(), Error> {
        let Some(deflate) = &mut self.deflate else { return Ok(()) };
        self.gathering = (deflate.gathered() >= PIECE_BYTES).then(|| Instant::now() + GATHERING);
        match deflate.take().map_err(Error::new)? {
            Some(message) => self.socket.feed(Message::Binary(message)).await,
            None => Ok(()),
        }
    }
}
