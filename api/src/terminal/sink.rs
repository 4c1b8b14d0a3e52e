//! One client's socket for writing: text messages and binary frames in the order they are given, compressed if that was
//! agreed on. Knows no session.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::stream::SplitSink;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::deflate::Deflate;
use super::socket::Socket;

/// How long the close of a socket may take to be written.
const CLOSE: Duration = Duration::from_secs(5);

/// A program that draws writes its screen in pieces, with less than this between them. Each piece compressed by itself
/// takes a third more.
const GATHERING: Duration = Duration::from_millis(4);
/// Bytes of a compressed message from which on there may be more to come at once. What one key makes a shell print is less.
const PIECE_BYTES: usize = 128;

/// A client's socket. What was fed is sent with the next flush at the latest.
pub(super) struct ClientSink {
    socket: SplitSink<Socket, Message>,
    deflate: Option<Deflate>,
    pieces: Pieces,
}

/// Which piece of a message it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Piece {
    First,
    Middle,
    Last,
}

/// Pieces of output that were sent compressed, one close behind the other.
#[derive(Debug, Default)]
struct Pieces {
    /// The last message was one.
    last: Option<Instant>,
    /// Until when frames are gathered.
    gathering: Option<Instant>,
}

impl Pieces {
    /// A message of so many bytes, before compression, is sent. One piece alone may be what a key made a program print: its rest
    /// is not waited for.
    fn note_sent(&mut self, bytes: usize, now: Instant) {
        let is_piece = bytes >= PIECE_BYTES;
        let follows = self.last.is_some_and(|last| now.duration_since(last) < GATHERING);
        self.gathering = (is_piece && follows).then(|| now + GATHERING);
        self.last = is_piece.then_some(now);
    }

    /// Until when more is gathered, if it is.
    fn gathers(&self, now: Instant) -> Option<Instant> {
        self.gathering.filter(|until| now < *until)
    }
}

impl ClientSink {
    /// `deflate`: how binary frames are compressed; none: they are messages as they are.
    pub(super) const fn new(socket: SplitSink<Socket, Message>, deflate: Option<Deflate>) -> Self {
        Self { socket, deflate, pieces: Pieces { last: None, gathering: None } }
    }

    /// Feeds a text message.
    pub(super) async fn text(&mut self, text: String) -> Result<(), Error> {
        self.end_message().await?;
        self.socket.feed(Message::Text(text.into())).await
    }

    /// Feeds a piece of a text message (RFC 6455 section 5.4). Until its last one nothing else but pings is fed.
    pub(super) async fn text_piece(&mut self, text: String, piece: Piece) -> Result<(), Error> {
        self.end_message().await?;
        let kind = if piece == Piece::First { Data::Text } else { Data::Continue };
        let frame = Frame::message(text, OpCode::Data(kind), piece == Piece::Last);
        self.socket.feed(Message::Frame(frame)).await
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
        let deflate = self.deflate.as_ref()?;
        // What is stored takes the same in one message or two.
        let more = deflate.compresses() && deflate.gathered() > 0 && !deflate.is_full();
        self.pieces.gathers(Instant::now()).filter(|_| more)
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
        let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
        let closing = self.socket.send(Message::Close(Some(frame)));
        drop(tokio::time::timeout(CLOSE, closing).await);
    }

    async fn end_message(&mut self) -> Result<(), Error> {
        let Some(deflate) = &mut self.deflate else { return Ok(()) };
        self.pieces.note_sent(deflate.gathered(), Instant::now());
        match deflate.take().map_err(io::Error::from)? {
            Some(message) => self.socket.feed(Message::Binary(message)).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// The story: the rest of an echo of more than 128 bytes waited 4 ms.
    #[test]
    fn frames_are_gathered_behind_two_pieces_that_came_at_once_and_behind_no_key() {
        let t0 = Instant::now();
        let mut pieces = Pieces::default();
        let mut sent = |bytes, ms| {
            pieces.note_sent(bytes, t0 + ms * MS);
            pieces.gathers(t0 + ms * MS)
        };
        assert_eq!([sent(200, 0), sent(200, 100)], [None; 2], "keys with long echoes");
        assert_eq!(sent(200, 103), Some(t0 + 107 * MS));
        assert_eq!([sent(20, 104), sent(200, 105)], [None; 2], "a short one between them");
        assert_eq!(sent(128, 108), Some(t0 + 112 * MS));
        assert_eq!(pieces.gathers(t0 + 112 * MS), None);
    }
}
