//! Large snapshots for JSON clients. The message is one and is sent in pieces, as its parts come, so that none is ever kept here
//! whole: what a client takes slowly stays at its node, which has a bound for that.

use std::collections::VecDeque;

use devpocket_shared::ids::Offset;
use devpocket_shared::wire::frame::{MAX_SNAPSHOT_BYTES, SnapshotHeader};
use devpocket_shared::wire::{ErrorCode, Frame, FrameError};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Error;

use super::{Channel, Feed, Feeding, Names, Out, Reply, Writer, code, reply};
use crate::terminal::sink::Piece;
use crate::terminal::text::TextDecoder;

/// Bytes of answers from the session itself that wait for the end of its snapshot; a page of history beyond that is to be
/// asked for again.
const MAX_WAITING_BYTES: usize = 1 << 20;

/// Messages that wait.
const MAX_WAITING: usize = 1024;

/// A snapshot that is being sent.
pub(super) struct Sending {
    names: Names,
    text: TextDecoder,
    /// Of its parts so far.
    bytes: usize,
    /// What is said after it, and how much of it is of the session itself.
    waiting: VecDeque<Out>,
    waiting_bytes: usize,
}

impl Sending {
    pub(super) fn is_of(&self, channel: Channel) -> bool {
        self.names.channel == channel
    }

    /// Keeps what is to be said after the snapshot.
    pub(super) fn put_off(&mut self, out: Out) {
        self.waiting.push_back(out);
    }

    /// Whether so much waits that what else is to be said waits where it is.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX_WAITING
    }

    /// A channel was left: it is said that it was attached, and nothing more of it.
    fn forget(&mut self, channel: Channel) {
        for out in &mut self.waiting {
            if let Out::Attached { feed, .. } = out
                && feed.names.channel == channel
                && let Out::Attached { reply, .. } = std::mem::replace(out, Out::Left(channel))
            {
                *out = Out::Reply(reply.into_text(), None);
            }
        }
    }
}

impl Writer {
    /// Passes on a snapshot, or a part of one.
    pub(super) async fn pass_on_snapshot(
        &mut self,
        feed: &Feed,
        frame: &Frame,
    ) -> Result<Result<Feeding, FrameError>, Error> {
        let (header, bytes) = match frame.snapshot() {
            Ok(snapshot) => snapshot,
            Err(err) => return Ok(Err(err)),
        };
        let Names { session_id, channel } = feed.names;
        let Some(mut sending) = self.sending.take() else {
            if header.more {
                self.start_sending(feed.names, bytes).await?;
            } else {
                self.texts.insert(channel, TextDecoder::default());
                let text = String::from_utf8_lossy(bytes).into_owned();
                self.sink.text(reply::snapshot(session_id, header, text).into_text()).await?;
            }
            return Ok(Ok(Feeding::GoesOn));
        };
        sending.bytes += bytes.len();
        if sending.bytes > MAX_SNAPSHOT_BYTES {
            self.sending = Some(sending);
            return Ok(Err(FrameError::Malformed));
        }
        if let Some(text) = sending.text.decode(Offset(0), bytes) {
            self.sink.text_piece(reply::snapshot_piece(&text.text), Piece::Middle).await?;
        }
        if header.more {
            self.sending = Some(sending);
        } else {
            self.texts.insert(channel, TextDecoder::default());
            self.finish_sending(sending, Some(header)).await?;
        }
        Ok(Ok(Feeding::GoesOn))
    }

    async fn start_sending(&mut self, names: Names, bytes: &[u8]) -> Result<(), Error> {
        let mut text = TextDecoder::default();
        let mut piece = reply::SNAPSHOT_START.to_owned();
        if let Some(first) = text.decode(Offset(0), bytes) {
            piece.push_str(&reply::snapshot_piece(&first.text));
        }
        let (bytes, waiting) = (bytes.len(), VecDeque::new());
        self.sending = Some(Sending { names, text, bytes, waiting, waiting_bytes: 0 });
        self.sink.text_piece(piece, Piece::First).await
    }

    /// Ends the message of a snapshot, which is whole if `header` is there, and says what waited for that.
    async fn finish_sending(
        &mut self,
        mut sending: Sending,
        header: Option<SnapshotHeader>,
    ) -> Result<(), Error> {
        let session_id = sending.names.session_id;
        let end = match header {
            Some(header) => {
                let held = sending.text.finish().map(|held| reply::snapshot_piece(&held.text));
                held.unwrap_or_default() + &reply::snapshot_end(session_id, header)
            }
            None => reply::snapshot_cut(session_id),
        };
        self.sink.text_piece(end, Piece::Last).await?;
        for out in sending.waiting {
            self.write(out).await?;
        }
        Ok(())
    }

    /// Has the snapshot of a channel that ends be none, if one is being sent.
    pub(super) async fn stop_sending(&mut self, channel: Channel) -> Result<(), Error> {
        if let Some(sending) = &mut self.sending {
            sending.forget(channel);
        }
        match self.sending.take_if(|sending| sending.is_of(channel)) {
            Some(sending) => {
                self.next_part = None.into();
                self.finish_sending(sending, None).await
            }
            None => Ok(()),
        }
    }

    /// Says what a session answers: at once, or after its snapshot.
    pub(super) async fn say(&mut self, said: Reply) -> Result<(), Error> {
        let Some(sending) = &mut self.sending else { return self.sink.text(said.into_text()).await };
        let request = said.answered();
        let mut text = said.into_text();
        if sending.waiting_bytes + text.len() > MAX_WAITING_BYTES {
            let message = "too much is waiting for the end of the snapshot, ask again after it";
            let session_id = Some(sending.names.session_id);
            let error = reply::error(session_id, ErrorCode::RateLimited, message, Value::Null);
            text = error.answering(request).into_text();
        }
        sending.waiting_bytes += text.len();
        if sending.waiting_bytes > 2 * MAX_WAITING_BYTES {
            self.sink.close(code::POLICY, "bad_message_flood").await;
            return Err(Error::ConnectionClosed);
        }
        sending.put_off(Out::Reply(text, None));
        Ok(())
    }
}
