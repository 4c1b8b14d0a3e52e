//! Sessions being made or attached while a socket's other messages go on, and what the client says about them meanwhile.
//! Knows no channels: who is attached is the reader's business.

use std::collections::{BTreeMap, VecDeque};

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::{Answer, CreationKey};
use tokio::task::JoinSet;

use super::super::message::ClientMessage;
use crate::domain::session::Session;
use crate::link::{LinkError, LinkStream};

/// Most messages that wait for an opening, of all openings of a socket.
const MAX_MESSAGES: usize = 256;
/// Most bytes of them, as the client sent them.
const MAX_BYTES: usize = 1 << 20;

/// What an opening is about, as far as a later message can be about the same.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    /// A session that exists.
    Session(SessionId),
    /// A session to be made, which a repeat of the same `connect` finds.
    Key(CreationKey),
    /// A session to be made that nobody can name yet: the number of its opening.
    Unnamed(u64),
}

impl Subject {
    /// The session it is about, if that exists.
    pub(super) fn session(&self) -> Option<SessionId> {
        match self {
            Self::Session(session_id) => Some(*session_id),
            Self::Key(_) | Self::Unnamed(_) => None,
        }
    }
}

/// An opening with its outcome.
pub(super) struct Opened {
    pub(super) subject: Subject,
    pub(super) request_id: Option<String>,
    pub(super) outcome: Outcome,
}

/// How an opening came out.
pub(super) enum Outcome {
    /// The node answered.
    Answered(Answer, LinkStream),
    /// The session was there and is not any more.
    Gone(Box<Session>),
    /// No node answered.
    Unreachable(LinkError),
}

/// A message that waits, and its length in bytes.
pub(super) type Waiting = (ClientMessage, usize);

/// The openings of a socket that have no answer yet.
#[derive(Default)]
pub(super) struct Openings {
    requests: JoinSet<Opened>,
    waiting: BTreeMap<Subject, VecDeque<Waiting>>,
    messages: usize,
    bytes: usize,
    last_unnamed: u64,
}

impl Openings {
    /// A subject that no other message can mean.
    pub(super) fn unnamed(&mut self) -> Subject {
        self.last_unnamed += 1;
        Subject::Unnamed(self.last_unnamed)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether messages about `subject` have to wait.
    pub(super) fn holds(&self, subject: &Subject) -> bool {
        self.waiting.contains_key(subject)
    }

    /// Begins one. It is cut short when the socket ends.
    pub(super) fn begin(
        &mut self,
        subject: Subject,
        request_id: Option<String>,
        request: impl Future<Output = Outcome> + Send + 'static,
    ) {
        self.waiting.entry(subject.clone()).or_default();
        self.requests.spawn(async move { Opened { subject, request_id, outcome: request.await } });
    }

    /// Whether there is room for one more message of this many bytes. One alone always has it.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.messages == 0 || (self.messages < MAX_MESSAGES && self.bytes + bytes <= MAX_BYTES)
    }

    /// Puts a message behind an opening. Call with [`Openings::has_room`].
    pub(super) fn defer(&mut self, subject: &Subject, message: ClientMessage, bytes: usize) {
        if let Some(queue) = self.waiting.get_mut(subject) {
            queue.push_back((message, bytes));
            self.messages += 1;
            self.bytes += bytes;
        }
    }

    /// The next that is answered, and what waits for it; pends while there is none. Cancel-safe.
    pub(super) async fn next(&mut self) -> (Opened, VecDeque<Waiting>) {
        let opened = match self.requests.join_next().await {
            Some(Ok(opened)) => opened,
            Some(Err(err)) => match err.try_into_panic() {
                // As if it had happened here: the socket ends, and nothing else.
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cut) => return std::future::pending().await,
            },
            None => return std::future::pending().await,
        };
        let waiting = self.waiting.remove(&opened.subject).unwrap_or_default();
        self.messages -= waiting.len();
        self.bytes -= waiting.iter().map(|(_, bytes)| bytes).sum::<usize>();
        (opened, waiting)
    }
}
