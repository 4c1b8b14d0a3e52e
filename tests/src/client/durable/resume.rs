//! How a durable client goes on after an attach (protocol section 4, `resume`). Must not know how it got there.

use tokio::time::Instant;

use super::{BACKOFF, Durable, Link};
use crate::client::event::{ServerMessage, Violation};
use crate::client::sink::Sink;
use crate::client::talk::Attached;

impl<S: Sink> Durable<S> {
    /// Checks what `status: connected` promises, and sends again what was not applied.
    pub(super) fn joined(&mut self, message: &ServerMessage) -> Result<(), Violation> {
        let attached = Attached::read(message)
            .ok_or_else(|| self.violation(&format!("connected lacks a field: {}", message.body)))?;
        match (attached.kind.as_str(), self.session) {
            ("fresh", None) if attached.offset == 0 => {}
            ("replay", Some(_)) if attached.offset == self.received => self.counts.replays += 1,
            ("snapshot", _) if !self.options.exact => self.counts.snapshots += 1,
            _ => return Err(self.violation(&format!("not the resume that was promised: {}", message.body))),
        }
        match (self.options.window, attached.window) {
            (Some(asked), Some(given)) if given <= asked && given > 0 => self.window = Some(given),
            (None, None) => {}
            _ => return Err(self.violation(&format!("not the window that was asked for: {}", message.body))),
        }
        self.session = Some(attached.session);
        // The window counts from the offset where this attachment begins.
        (self.acked, self.window_from) = (self.received, self.received);
        if attached.input_uncertain > attached.input_seq {
            return Err(self.violation(&format!("what is uncertain counts as applied: {}", message.body)));
        }
        if let Some(seq) = attached.input_uncertain
            && !self.uncertain.contains(&seq)
        {
            self.uncertain.push(seq);
        }
        self.inputs.resume(attached.input_seq).map_err(|what| self.violation(&what))?;
        self.backoff = BACKOFF.0;
        let retry = Instant::now();
        match std::mem::replace(&mut self.link, Link::Down { retry }) {
            Link::Joining { mut socket, .. } => {
                for (seq, bytes) in self.inputs.waiting() {
                    socket.send_input(attached.session, Some(seq), bytes);
                }
                self.link = Link::Joined { socket };
                Ok(())
            }
            other => {
                self.link = other;
                Err(self.violation("connected without having asked"))
            }
        }
    }
}
