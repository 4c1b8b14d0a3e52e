//! Writes one client's socket: replies, and the frames of every session attached on it, as each can be sent. It never
//! waits for the client to say something.

mod pieces;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::stream::{FrameReader, StreamError};
use devpocket_shared::wire::{Frame, FrameError, FrameKind, ToApi};
use futures_util::future::{BoxFuture, OptionFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_tungstenite::tungstenite::Error;

use self::pieces::Sending;
use super::inbound::Tags;
use super::reply::{self, Echoing, Reply};
use super::sink::ClientSink;
use super::text::TextDecoder;
use super::{Channel, Encoding, Names};
use crate::link::quic::Presence;

/// Replies waiting to be written. Full means: the client's own messages wait too.
const QUEUE: usize = 64;
/// How often a client is pinged (PROTOCOL section 1).
const PING: Duration = Duration::from_secs(20);
/// Frames taken from one session before the others, and pings, get their turn; and bytes, since a slow client may take
/// seconds for a large frame.
const FRAMES_PER_TURN: usize = 16;
const BYTES_PER_TURN: usize = 64 << 10;

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

/// The next frame of a feed; none at its end.
type NextFrame = Result<Option<Frame>, StreamError>;

/// Writes until the socket is closed, or nobody has anything to say any more.
pub(super) async fn run(sink: ClientSink, mut outgoing: mpsc::Receiver<Out>, encoding: Encoding) {
    let mut writer = Writer {
        sink,
        encoding,
        feeds: FuturesUnordered::new(),
        texts: BTreeMap::new(),
        sending: None,
        next_part: None.into(),
        flush_at: None,
    };
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ping.reset();
    loop {
        let result = tokio::select! {
            // That a session was left is known before its feed ends.
            biased;
            out = outgoing.recv(), if !writer.sending.as_ref().is_some_and(Sending::is_full) => match out {
                Some(Out::Close(code, reason)) => return writer.sink.close(code, reason).await,
                Some(out) => writer.take(out).await,
                None => return writer.sink.close(1000, "").await,
            },
            _ = ping.tick() => writer.sink.ping().await,
            () = at(writer.flush_at) => writer.flush().await,
            Some((feed, frame)) = &mut writer.next_part => {
                writer.next_part = None.into();
                writer.pass_on(feed, frame).await
            }
            Some((feed, frame)) = writer.feeds.next(), if writer.sending.is_none() && !writer.feeds.is_empty() => {
                writer.pass_on(feed, frame).await
            }
        };
        if result.is_err() {
            // The client is gone; the inbound side sees that too, and closes the queue.
            return;
        }
    }
}

/// Waits until then; for ever, if there is no such time.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// The next frame of a feed, with the feed.
type Coming = BoxFuture<'static, (Feed, NextFrame)>;

struct Writer {
    sink: ClientSink,
    encoding: Encoding,
    feeds: FuturesUnordered<Coming>,
    /// The attached channels, and what is kept of each to make text of its output.
    texts: BTreeMap<Channel, TextDecoder>,
    /// The snapshot that is being sent in pieces, if one is: everything else waits for its end.
    sending: Option<Sending>,
    /// Where its next part comes from.
    next_part: OptionFuture<Coming>,
    /// When frames that were fed are flushed, if they wait for others.
    flush_at: Option<Instant>,
}

/// Whether a session's feed goes on.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Feeding {
    GoesOn,
    Over,
}

impl Writer {
    async fn flush(&mut self) -> Result<(), Error> {
        self.flush_at = None;
        self.sink.flush().await
    }

    /// Does what the inbound side asks for, behind the snapshot that is being sent.
    async fn take(&mut self, out: Out) -> Result<(), Error> {
        if let Out::Left(channel) = out {
            self.texts.remove(&channel);
            return self.stop_sending(channel).await;
        }
        match &mut self.sending {
            Some(sending) => {
                sending.put_off(out);
                Ok(())
            }
            None => self.write(out).await,
        }
    }

    async fn write(&mut self, out: Out) -> Result<(), Error> {
        match out {
            Out::Reply(text, _room) => {
                self.sink.text(text).await?;
                self.flush().await
            }
            Out::Attached { reply, feed } => {
                self.sink.text(reply.into_text()).await?;
                self.sink.note_attach().await?;
                self.texts.insert(feed.names.channel, TextDecoder::default());
                self.listen(*feed);
                self.flush().await
            }
            Out::Left(_) | Out::Close(..) => Ok(()),
        }
    }

    fn listen(&mut self, mut feed: Feed) {
        let channel = feed.names.channel;
        let next = async move {
            let frame = feed.reader.next().await;
            (feed, frame)
        };
        match &self.sending {
            Some(sending) if sending.is_of(channel) => self.next_part = Some(next.boxed()).into(),
            Some(_) | None => self.feeds.push(next.boxed()),
        }
    }

    /// Passes on a frame, and those that came with it.
    async fn pass_on(&mut self, mut feed: Feed, first: NextFrame) -> Result<(), Error> {
        let mut next = first;
        let mut bytes = 0;
        for turn in 1.. {
            if !self.texts.contains_key(&feed.names.channel) {
                // Left while this frame was on its way.
                return Ok(());
            }
            let feeding = match next {
                Ok(Some(frame)) => {
                    bytes += frame.payload().len();
                    self.pass_on_frame(&feed, frame).await?
                }
                // Ended without a word: the node's worker was killed, most likely.
                Ok(None) | Err(_) => Err(FrameError::Malformed),
            };
            match feeding {
                Ok(Feeding::GoesOn) => {}
                Ok(Feeding::Over) => return self.end(&feed).await,
                Err(_) => {
                    self.stop_sending(feed.names.channel).await?;
                    let session_id = Some(feed.names.session_id);
                    let message = "the session's node was cut off; attach again to go on, or to be told that it is lost";
                    let status = reply::status("interrupted", session_id, message, None);
                    self.sink.text(status.into_text()).await?;
                    return self.end(&feed).await;
                }
            }
            if turn >= FRAMES_PER_TURN || bytes >= BYTES_PER_TURN || self.sink.is_full() {
                break;
            }
            next = match feed.reader.next_ready() {
                Ok(None) => break,
                Ok(Some(frame)) => Ok(Some(frame)),
                Err(err) => Err(err),
            };
        }
        self.flush_at = self.sink.better_wait();
        if self.flush_at.is_none() {
            self.flush().await?;
        }
        self.listen(feed);
        Ok(())
    }

    async fn end(&mut self, feed: &Feed) -> Result<(), Error> {
        feed.over.store(true, Ordering::Release);
        self.texts.remove(&feed.names.channel);
        self.flush().await
    }

    async fn pass_on_frame(
        &mut self,
        feed: &Feed,
        frame: Frame,
    ) -> Result<Result<Feeding, FrameError>, Error> {
        let Names { session_id, channel } = feed.names;
        let decoded = match (frame.kind, self.encoding) {
            (FrameKind::Output, Encoding::Binary) => {
                self.sink.frame(frame.into_channel_frame(0x01, channel.0)).await?;
                return Ok(Ok(Feeding::GoesOn));
            }
            (FrameKind::Snapshot, Encoding::Binary) => {
                self.sink.frame(frame.into_channel_frame(0x02, channel.0)).await?;
                return Ok(Ok(Feeding::GoesOn));
            }
            (FrameKind::Snapshot, Encoding::Json) => return self.pass_on_snapshot(feed, &frame).await,
            (FrameKind::Control, _) => match frame.control::<ToApi>() {
                Ok(control) => return self.pass_on_control(feed, control).await.map(Ok),
                Err(err) => return Ok(Err(err)),
            },
            (FrameKind::Output, Encoding::Json) if self.sending.is_none() => frame.output(),
            (FrameKind::Output, Encoding::Json) | (FrameKind::Input, _) => Err(FrameError::Malformed),
        };
        let (offset, bytes) = match decoded {
            Ok(decoded) => decoded,
            Err(err) => return Ok(Err(err)),
        };
        if let Some(text) = self.texts.entry(channel).or_default().decode(offset, bytes) {
            self.sink.text(reply::output(session_id, text).into_text()).await?;
        }
        Ok(Ok(Feeding::GoesOn))
    }

    async fn pass_on_control(&mut self, feed: &Feed, control: ToApi) -> Result<Feeding, Error> {
        let Names { session_id, channel } = feed.names;
        let goes_on = |reply| (reply, Feeding::GoesOn);
        let (reply, feeding) = match control {
            ToApi::InputAck { seq } if self.encoding == Encoding::Binary => {
                let mut frame = BytesMut::with_capacity(11);
                frame.put_u8(0x05);
                frame.put_u16(channel.0);
                frame.put_u64(seq.0);
                self.sink.frame(frame.freeze()).await?;
                return Ok(Feeding::GoesOn);
            }
            ToApi::InputAck { seq } => goes_on(reply::input_ack(session_id, seq)),
            ToApi::InputUncertain { seq } => goes_on(reply::input_uncertain(session_id, seq)),
            ToApi::Resized { offset, size } => goes_on(reply::resized(session_id, offset, size)),
            ToApi::Title { text } => goes_on(reply::said("title", session_id, text)),
            ToApi::Bell => goes_on(reply::said("bell", session_id, String::new())),
            ToApi::Clipboard { text } => goes_on(reply::said("clipboard", session_id, text.0)),
            ToApi::Cwd { text } => goes_on(reply::said("cwd", session_id, text)),
            ToApi::Notify { text } => goes_on(reply::said("notify", session_id, text)),
            ToApi::CommandStarted(command) => goes_on(reply::command(session_id, "started", command)),
            ToApi::CommandFinished(command) => goes_on(reply::command(session_id, "finished", command)),
            ToApi::Echo { offset, echo, canonical, alternate_screen, input_seq } => {
                let echoing = Echoing { echo, canonical, alternate_screen, input_seq };
                goes_on(reply::echo(session_id, offset, echoing))
            }
            ToApi::History { tag, first_line, lines, total } => {
                let page = reply::history(session_id, first_line, lines, total);
                goes_on(page.answering(feed.tags.take(tag)))
            }
            ToApi::Error { tag, failure } => {
                goes_on(reply::failure(Some(session_id), &failure).answering(feed.tags.take(tag)))
            }
            ToApi::Ended { offset, exit, reason } => {
                self.finish_text(session_id, channel).await?;
                let request_id = reason.and_then(|_| feed.tags.take_terminate());
                (reply::exited(session_id, offset, &exit, reason).answering(request_id), Feeding::Over)
            }
            ToApi::Superseded if feed.replaced.load(Ordering::Acquire) => return Ok(Feeding::Over),
            ToApi::Superseded => {
                let message = "the same client attached elsewhere";
                (reply::status("detached", Some(session_id), message, Some("superseded")), Feeding::Over)
            }
            ToApi::Draining => {
                let message = "the session's node is restarting; attach again";
                (reply::status("interrupted", Some(session_id), message, None), Feeding::Over)
            }
        };
        if feeding == Feeding::Over {
            self.stop_sending(channel).await?;
        }
        self.say(reply).await?;
        Ok(feeding)
    }

    async fn finish_text(&mut self, session_id: SessionId, channel: Channel) -> Result<(), Error> {
        let last = self.texts.get_mut(&channel).and_then(TextDecoder::finish);
        match last {
            Some(last) if self.encoding == Encoding::Json => {
                self.sink.text(reply::output(session_id, last).into_text()).await
            }
            Some(_) | None => Ok(()),
        }
    }
}
