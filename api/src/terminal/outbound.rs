//! Writes one client's socket: replies, and the frames of every session attached on it, as each can be sent. It never
//! waits for the client to say something.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::{BufMut, Bytes, BytesMut};
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::stream::{FrameReader, StreamError};
use devpocket_shared::wire::{Frame, FrameError, FrameKind, ToApi};
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SplitSink};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::inbound::Tags;
use super::reply::{self, Reply};
use super::text::TextDecoder;
use super::{Channel, Encoding, Names};
use crate::link::quic::Presence;

/// Replies waiting to be written. Full means: the client's own messages wait too.
const QUEUE: usize = 64;
/// How often a client is pinged (PROTOCOL section 1).
const PING: Duration = Duration::from_secs(20);
/// How long the close of a socket may take to be written.
const CLOSE: Duration = Duration::from_secs(5);
/// Frames taken from one session before the others get their turn.
const FRAMES_PER_TURN: usize = 16;

/// Close codes (PROTOCOL section 8).
pub(super) mod code {
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL: u16 = 1002;
    pub(crate) const NOT_UTF8: u16 = 1007;
    pub(crate) const POLICY: u16 = 1008;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const TOKEN: u16 = 4401;
}

/// Something to write.
pub(super) enum Out {
    /// A message, with the room it takes among those that wait.
    Reply(String, Option<OwnedSemaphorePermit>),
    /// A session was attached: say so, then pass its frames on.
    Attached { reply: Reply, feed: Box<Feed> },
    /// A session was left: its frames are of no interest any more.
    Left(Channel),
    /// End the socket.
    Close(u16, &'static str),
}

/// The frames of one attached session.
pub(super) struct Feed {
    pub(super) names: Names,
    pub(super) reader: FrameReader,
    /// Set when nothing more comes, for the inbound side to see.
    pub(super) over: Arc<AtomicBool>,
    /// Set by the inbound side while the same session is attached again on this socket: that needs no word.
    pub(super) replaced: Arc<AtomicBool>,
    pub(super) tags: Tags,
    /// Kept for as long as the feed.
    #[expect(dead_code, reason = "it counts by being there")]
    pub(super) presence: Option<Presence>,
}

pub(super) fn queue() -> (mpsc::Sender<Out>, mpsc::Receiver<Out>) {
    mpsc::channel(QUEUE)
}

type Sink = SplitSink<WebSocket, Message>;
/// The next frame of a feed; none at its end.
type NextFrame = Result<Option<Frame>, StreamError>;

/// Writes until the socket is closed, or nobody has anything to say any more.
pub(super) async fn run(sink: Sink, mut outgoing: mpsc::Receiver<Out>, encoding: Encoding) {
    let mut writer = Writer { sink, encoding, feeds: FuturesUnordered::new(), decoders: BTreeMap::new() };
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let result = tokio::select! {
            out = outgoing.recv() => match out {
                Some(Out::Close(code, reason)) => return writer.close(code, reason).await,
                Some(out) => writer.write(out).await,
                None => return writer.close(1000, "").await,
            },
            Some((feed, frame)) = writer.feeds.next(), if !writer.feeds.is_empty() => writer.pass_on(feed, frame).await,
            _ = ping.tick() => writer.sink.send(Message::Ping(Bytes::new())).await,
        };
        if result.is_err() {
            // The client is gone; the inbound side sees that too, and closes the queue.
            return;
        }
    }
}

struct Writer {
    sink: Sink,
    encoding: Encoding,
    feeds: FuturesUnordered<BoxFuture<'static, (Feed, NextFrame)>>,
    /// Which channels are attached, and the text decoder of each; its snapshot's parts, for JSON clients.
    decoders: BTreeMap<Channel, Decoding>,
}

#[derive(Default)]
struct Decoding {
    text: TextDecoder,
    snapshot: Vec<u8>,
}

/// Whether a session's feed goes on.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Feeding {
    GoesOn,
    Over,
}

impl Writer {
    async fn write(&mut self, out: Out) -> Result<(), axum::Error> {
        match out {
            Out::Reply(text, _room) => self.sink.send(Message::Text(text.into())).await,
            Out::Attached { reply, feed } => {
                self.sink.feed(text(reply)).await?;
                self.decoders.insert(feed.names.channel, Decoding::default());
                self.listen(*feed);
                self.sink.flush().await
            }
            Out::Left(channel) => {
                self.decoders.remove(&channel);
                Ok(())
            }
            Out::Close(..) => Ok(()),
        }
    }

    fn listen(&mut self, mut feed: Feed) {
        let next = async move {
            let frame = feed.reader.next().await;
            (feed, frame)
        };
        self.feeds.push(next.boxed());
    }

    /// Passes on a frame, and those that came with it.
    async fn pass_on(&mut self, mut feed: Feed, first: NextFrame) -> Result<(), axum::Error> {
        let mut next = first;
        for turn in 1.. {
            if !self.decoders.contains_key(&feed.names.channel) {
                // Left while this frame was on its way.
                return Ok(());
            }
            let feeding = match next {
                Ok(Some(frame)) => self.pass_on_frame(&feed, frame).await?,
                // Ended without a word: the node's worker was killed, most likely.
                Ok(None) | Err(_) => Err(FrameError::Malformed),
            };
            match feeding {
                Ok(Feeding::GoesOn) => {}
                Ok(Feeding::Over) => return self.end(&feed).await,
                Err(_) => {
                    let session_id = Some(feed.names.session_id);
                    let message = "the session's node is restarting; attach again";
                    self.sink.feed(text(reply::status("interrupted", session_id, message, None))).await?;
                    return self.end(&feed).await;
                }
            }
            if turn >= FRAMES_PER_TURN {
                break;
            }
            next = match feed.reader.next_ready() {
                Ok(None) => break,
                Ok(Some(frame)) => Ok(Some(frame)),
                Err(err) => Err(err),
            };
        }
        self.sink.flush().await?;
        self.listen(feed);
        Ok(())
    }

    async fn end(&mut self, feed: &Feed) -> Result<(), axum::Error> {
        feed.over.store(true, Ordering::Release);
        self.decoders.remove(&feed.names.channel);
        self.sink.flush().await
    }

    async fn pass_on_frame(
        &mut self,
        feed: &Feed,
        frame: Frame,
    ) -> Result<Result<Feeding, FrameError>, axum::Error> {
        let Names { session_id, channel } = feed.names;
        let message = match (frame.kind, self.encoding) {
            (FrameKind::Output, Encoding::Binary) => {
                Message::Binary(frame.into_channel_frame(0x01, channel.0))
            }
            (FrameKind::Snapshot, Encoding::Binary) => {
                Message::Binary(frame.into_channel_frame(0x02, channel.0))
            }
            (FrameKind::Output, Encoding::Json) => {
                let decoding = self.decoders.entry(channel).or_default();
                match frame.output().map(|(offset, bytes)| decoding.text.decode(offset, bytes)) {
                    Ok(Some(decoded)) => text(reply::output(session_id, decoded)),
                    Ok(None) => return Ok(Ok(Feeding::GoesOn)),
                    Err(err) => return Ok(Err(err)),
                }
            }
            (FrameKind::Snapshot, Encoding::Json) => match self.json_snapshot(session_id, channel, &frame) {
                Ok(Some(reply)) => text(reply),
                Ok(None) => return Ok(Ok(Feeding::GoesOn)),
                Err(err) => return Ok(Err(err)),
            },
            (FrameKind::Control, _) => match frame.control::<ToApi>() {
                Ok(control) => return self.pass_on_control(feed, control).await.map(Ok),
                Err(err) => return Ok(Err(err)),
            },
            (FrameKind::Input, _) => return Ok(Err(FrameError::Malformed)),
        };
        self.sink.feed(message).await?;
        Ok(Ok(Feeding::GoesOn))
    }

    fn json_snapshot(
        &mut self,
        session_id: SessionId,
        channel: Channel,
        frame: &Frame,
    ) -> Result<Option<Reply>, FrameError> {
        let (header, bytes) = frame.snapshot()?;
        let decoding = self.decoders.entry(channel).or_default();
        decoding.snapshot.extend_from_slice(bytes);
        if header.more {
            return Ok(None);
        }
        let whole = std::mem::take(decoding).snapshot;
        let text = String::from_utf8_lossy(&whole).into_owned();
        Ok(Some(reply::snapshot(session_id, header.offset, header.size, header.reason, text)))
    }

    async fn pass_on_control(&mut self, feed: &Feed, control: ToApi) -> Result<Feeding, axum::Error> {
        let Names { session_id, channel } = feed.names;
        let (message, feeding) = match control {
            ToApi::InputAck { seq } => match self.encoding {
                Encoding::Json => (text(reply::input_ack(session_id, seq)), Feeding::GoesOn),
                Encoding::Binary => {
                    let mut frame = BytesMut::with_capacity(11);
                    frame.put_u8(0x05);
                    frame.put_u16(channel.0);
                    frame.put_u64(seq.0);
                    (Message::Binary(frame.freeze()), Feeding::GoesOn)
                }
            },
            ToApi::Resized { offset, size } => {
                (text(reply::resized(session_id, offset, size)), Feeding::GoesOn)
            }
            ToApi::Error { tag, failure } => {
                let reply = reply::failure(Some(session_id), &failure).answering(feed.tags.take(tag));
                (text(reply), Feeding::GoesOn)
            }
            ToApi::Ended { offset, exit, reason } => {
                self.finish_text(session_id, channel).await?;
                let request_id = reason.and_then(|_| feed.tags.take_terminate());
                let reply = reply::exited(session_id, offset, &exit, reason).answering(request_id);
                (text(reply), Feeding::Over)
            }
            ToApi::Superseded if feed.replaced.load(Ordering::Acquire) => return Ok(Feeding::Over),
            ToApi::Superseded => {
                let message = "the same client attached elsewhere";
                let reply = reply::status("detached", Some(session_id), message, Some("superseded"));
                (text(reply), Feeding::Over)
            }
            ToApi::Draining => {
                let message = "the session's node is restarting; attach again";
                (text(reply::status("interrupted", Some(session_id), message, None)), Feeding::Over)
            }
        };
        self.sink.feed(message).await?;
        Ok(feeding)
    }

    async fn finish_text(&mut self, session_id: SessionId, channel: Channel) -> Result<(), axum::Error> {
        let last = self.decoders.get_mut(&channel).and_then(|decoding| decoding.text.finish());
        match last {
            Some(last) if self.encoding == Encoding::Json => {
                self.sink.feed(text(reply::output(session_id, last))).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn close(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let closing = self.sink.send(Message::Close(Some(frame)));
        // A client that reads nothing does not get to keep the task.
        drop(tokio::time::timeout(CLOSE, closing).await);
    }
}

fn text(reply: Reply) -> Message {
    Message::Text(reply.into_text().into())
}
