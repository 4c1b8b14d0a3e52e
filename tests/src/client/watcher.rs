//! A client that watches one session in real time, with a window, and acknowledges as the protocol asks: at least every
//! 50 ms or a quarter of the window. Keeps what its screen was made of. Must not know what is watched.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout_at};
use uuid::Uuid;

use super::event::{Event, Reason};
use super::opening::Opening;
use super::socket::Socket;

/// How often it acknowledges while output flows (protocol section 3).
const ACK_EVERY: Duration = Duration::from_millis(50);
/// What is kept of the output, in bytes: many screens.
const KEPT_BYTES: usize = 64 << 10;

/// An attached client.
pub struct Watcher {
    socket: Socket,
    session: Uuid,
    window: u64,
    /// Everything before it was drawn.
    drawn: u64,
    acked: u64,
    /// Where the window counts from: the last ack, or a snapshot after it.
    window_from: u64,
    tick: Interval,
    /// The last snapshot, and the output since.
    picture: Vec<u8>,
    /// The next snapshot is another part of the last.
    more_follows: bool,
    /// Snapshots in place of output.
    pub lagged: u64,
    /// Set once the session has exited.
    pub exited: bool,
}

impl Watcher {
    /// Attaches over a socket of its own; `data` is added to the attach.
    pub async fn attach(opening: &Opening, session: Uuid, window: u64, data: Value) -> Self {
        let mut socket = Socket::must_open(opening).await;
        let mut attach = json!({"window": window, "delivery": "realtime"});
        for (name, value) in data.as_object().into_iter().flatten() {
            attach[name] = value.clone();
        }
        let attached = socket.attach(session, attach).await;
        let mut tick = interval(ACK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            socket,
            session,
            window: attached.window.expect("a window was asked for"),
            drawn: attached.offset,
            acked: attached.offset,
            window_from: attached.offset,
            tick,
            picture: Vec::new(),
            more_follows: false,
            lagged: 0,
            exited: false,
        }
    }

    /// Types.
    pub fn input(&mut self, bytes: &[u8]) {
        self.socket.send_input(self.session, None, bytes);
    }

    /// The output up to here was drawn, or a snapshot of it.
    pub const fn drawn(&self) -> u64 {
        self.drawn
    }

    /// What the screen was made of, without control sequences.
    pub fn text(&self) -> String {
        without_sequences(&String::from_utf8_lossy(&self.picture))
    }

    /// Steps until `done`; panics with `what` after `limit`.
    pub async fn watch(&mut self, what: &str, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !done(self) {
            let stepped = timeout_at(deadline, self.step()).await;
            assert!(stepped.is_ok(), "waited {limit:?} in vain until {what}; drawn last: {:?}", self.tail());
        }
    }

    /// Does the next thing that is due: a message, an ack.
    pub async fn step(&mut self) {
        tokio::select! {
            event = self.socket.next_event() => self.handle(event),
            _ = self.tick.tick() => self.ack(),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Output { session, offset, end, bytes } if session == self.session => {
                assert_eq!(offset, self.drawn, "output goes on where it was, or where a snapshot stands");
                assert!(end - self.window_from <= self.window, "more than the window is sent");
                self.drawn = end;
                self.keep(&bytes);
                if self.drawn - self.acked.max(self.window_from) >= self.window / 4 {
                    self.ack();
                }
            }
            Event::Snapshot { session, offset, reason, more, bytes, .. } if session == self.session => {
                assert!(offset >= self.drawn, "a snapshot of the past");
                if !std::mem::replace(&mut self.more_follows, more) {
                    self.picture.clear();
                    self.lagged += u64::from(reason == Reason::Lagged);
                }
                (self.drawn, self.window_from) = (offset, offset);
                self.picture.extend_from_slice(&bytes);
            }
            Event::Message(message) if message.status() == Some("exited") => self.exited = true,
            Event::Message(message) => assert!(message.error().is_none(), "an error: {}", message.body),
            Event::Closed { code, reason } => panic!("the connection ended: {code:?} {reason}"),
            Event::Output { .. }
            | Event::Snapshot { .. }
            | Event::InputAck { .. }
            | Event::Echo { .. }
            | Event::Said { .. } => {}
        }
    }

    fn ack(&mut self) {
        if self.acked < self.drawn {
            self.socket.send_ack(self.session, self.drawn);
            (self.acked, self.window_from) = (self.drawn, self.drawn);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.picture.extend_from_slice(bytes);
        if self.picture.len() > 2 * KEPT_BYTES {
            self.picture.drain(..self.picture.len() - KEPT_BYTES);
        }
    }

    fn tail(&self) -> String {
        let text = self.text();
        let start = text.char_indices().rev().nth(200).map_or(0, |(at, _)| at);
        text[start..].to_owned()
    }
}

/// Text with its control and operating system sequences taken out (ECMA-48 section 5.4).
fn without_sequences(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        match rest.next() {
            Some('[') => drop(rest.find(|end| ('@'..='~').contains(end))),
            Some(']' | 'P') => drop(rest.find(|end| matches!(end, '\u{7}' | '\\'))),
            Some(' '..='/') => drop(rest.next()),
            Some(_) | None => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_leave_the_text_they_stand_in() {
        let text = "a\u{1b}[1;31mb\u{1b}]0;title\u{7}c\u{1b}(Bd\u{1b}]8;;x\u{1b}\\e\u{1b}7f";
        assert_eq!(without_sequences(text), "abcdef");
    }
}
