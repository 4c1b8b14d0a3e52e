//! The sessions service: every call acts on the real session at its ptyd, which checks the owner again; the books (the
//! database) follow. Knows no HTTP and no SQL.

mod act;
mod batch;
mod commands;
mod find;
mod known;
mod look;
mod make;
mod nodes;
mod orphans;
mod reconcile;
mod watch;
mod wishes;

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use devpocket_shared::ids::{SessionId, UserId};
use devpocket_shared::wire::{Answer, ErrorCode, Failure, Request};

use self::nodes::Nodes;
use super::clock::Clock;
use super::session::Session;
use crate::link::{Link, LinkError, LinkStream, OnceError};
use crate::store::{SessionStore, StoreError};

pub use batch::{BatchAction, Outcome};
pub use find::{Overview, Shown, Wanted};
pub use known::{Further, Known};
pub use look::{Health, Lines, Picture};
pub use make::NewSession;
pub use reconcile::Roll;

/// A call about sessions was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The account has no such session.
    #[error("no such session")]
    NotFound,
    /// Another living session of the account has this name.
    #[error("the name is taken")]
    NameTaken,
    /// The account is gone.
    #[error("the account is gone")]
    OwnerGone,
    /// It is over, and so is what was asked for.
    #[error("the session is over")]
    Ended,
    /// It is over and its ptyd has forgotten its screen.
    #[error("the session's screen is not held any more")]
    Forgotten,
    /// Its ptyd said no.
    #[error("the node refused: {}", .0.message)]
    Refused(Failure),
    /// What was typed may or may not have arrived.
    #[error("the input may or may not have arrived")]
    InputUncertain(#[source] LinkError),
    /// An attempt to type a command has ended without a word.
    #[error("the command may or may not have been typed")]
    CommandUnknown,
    /// Its ptyd cannot be reached.
    #[error("the node cannot be reached")]
    Link(#[from] LinkError),
    /// It is on another node than the one that answered.
    #[error("the session's node is not the one that answers")]
    Elsewhere,
    /// Its ptyd answered something else.
    #[error("the node answered out of turn")]
    OutOfTurn,
    /// Storage failed.
    #[error("session storage failed")]
    Store(#[from] StoreError),
}

impl SessionError {
    /// What is known of a command that was to be typed, and could not be said to have begun.
    pub fn typed(&self) -> Typed {
        match self {
            Self::Refused(failure) if failure.code == ErrorCode::CommandNotRun => Typed::Refused,
            Self::Refused(Failure { code: ErrorCode::Internal | ErrorCode::InputUncertain, .. })
            | Self::InputUncertain(_)
            | Self::CommandUnknown
            | Self::OutOfTurn => Typed::Perhaps,
            // Of one that is over nothing comes any more, whatever was typed.
            Self::Ended | Self::Forgotten => Typed::Nothing,
            Self::NotFound | Self::NameTaken | Self::OwnerGone | Self::Elsewhere => Typed::Nothing,
            Self::Refused(_) | Self::Link(_) | Self::Store(_) => Typed::Nothing,
        }
    }
}

/// What is known of a command that was to be typed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Typed {
    /// It was not.
    Nothing,
    /// It was, and the shell did not run it.
    Refused,
    /// Nobody knows.
    Perhaps,
}

/// Whose sessions are meant, and which request it is for, for logs on both sides of the link.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The account.
    pub owner: UserId,
    /// The request's id.
    pub request_id: &'a str,
}

/// The sessions of one deployment, as one api sees them.
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    link: Arc<Link>,
    clock: Clock,
    /// Ended sessions that a ptyd still knows and whose end is in the books. Not state: what is missing is looked up.
    settled: Mutex<BTreeSet<SessionId>>,
    /// Accounts deleted through this api. Not state either: another api knows them by their absence.
    gone: Mutex<VecDeque<UserId>>,
    nodes: Mutex<Nodes>,
}

impl Sessions {
    /// The service over a store and the way to the sessions.
    pub fn new(store: Arc<dyn SessionStore>, link: Arc<Link>, clock: Clock) -> Self {
        Self {
            store,
            link,
            clock,
            settled: Mutex::default(),
            gone: Mutex::default(),
            nodes: Mutex::default(),
        }
    }

    /// Asks the ptyd; a refusal is an error.
    async fn ask(&self, request_id: &str, request: &Request) -> Result<(Answer, LinkStream), SessionError> {
        refused(self.link.request_now(request_id, request).await.map_err(LinkError::from)?)
    }

    /// Asks the ptyd for something of a session that is only there while it holds the session.
    async fn ask_about(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        otherwise: SessionError,
        request: &Request,
    ) -> Result<Answer, SessionError> {
        match self.ask(caller.request_id, request).await {
            Ok((answer, _)) => Ok(answer),
            Err(SessionError::NotFound) => Err(self.elsewhere(caller, id, otherwise).await),
            Err(err) => Err(err),
        }
    }

    /// As [`Sessions::ask_about`], of what must not be done twice.
    async fn ask_once(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        request: &Request,
    ) -> Result<Answer, SessionError> {
        let asked = self.link.request_once(caller.request_id, request).await.map_err(|err| match err {
            OnceError::NotSent(err) => SessionError::Link(err),
            OnceError::Unknown(err) => SessionError::InputUncertain(err),
        });
        match asked.and_then(refused) {
            Ok((answer, _)) => Ok(answer),
            Err(SessionError::NotFound) => Err(self.elsewhere(caller, id, SessionError::Ended).await),
            Err(err) => Err(err),
        }
    }

    /// A session as the books have it.
    async fn booked(&self, caller: Caller<'_>, id: SessionId) -> Result<Option<Session>, SessionError> {
        Ok(self.store.session(caller.owner, id).await?)
    }
}

fn refused((answer, stream): (Answer, LinkStream)) -> Result<(Answer, LinkStream), SessionError> {
    let Answer::Failed(failure) = answer else { return Ok((answer, stream)) };
    Err(if failure.code == ErrorCode::SessionNotFound {
        SessionError::NotFound
    } else if failure.code == ErrorCode::SessionEnded {
        SessionError::Ended
    } else {
        SessionError::Refused(failure)
    })
}

fn done(answer: Answer) -> Result<(), SessionError> {
    if answer == Answer::Done { Ok(()) } else { Err(SessionError::OutOfTurn) }
}
