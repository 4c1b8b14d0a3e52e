//! What a session shows, without attaching to it.

use std::time::Duration;

use devpocket_shared::ids::{Offset, SessionId, TerminalSize};
use devpocket_shared::wire::{Answer, Request, ScreenFormat};
use tokio::time::Instant;

use super::{Caller, SessionError, Sessions, Shown};
use crate::domain::session::{Session, Status};

/// A session's screen.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The output it shows ends here.
    pub offset: Offset,
    /// The terminal's size.
    pub size: TerminalSize,
    /// The screen, written down as asked for.
    pub text: String,
}

/// A page of scrollback.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The number of the first; lines count from 0 at the session's start.
    pub first_line: u64,
    /// The lines, oldest first, with SGR sequences.
    pub lines: Vec<String>,
    /// Lines so far.
    pub total: u64,
}

/// How a session is.
#[derive(Clone, Debug)]
pub struct Health {
    /// The session.
    pub shown: Shown,
    /// How long the books and its ptyd took to tell.
    pub took: Duration,
}

impl Sessions {
    /// The screen now, or the last one of a session that is over.
    pub async fn screen(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        format: ScreenFormat,
    ) -> Result<Picture, SessionError> {
        let request = Request::Screen { owner: caller.owner, session_id: id, format };
        let answer = self.ask_about(caller, id, SessionError::Forgotten, &request).await?;
        let Answer::Screen { offset, size, text } = answer else { return Err(SessionError::OutOfTurn) };
        Ok(Picture { offset, size, text })
    }

    /// Lines that have left the screen at its top: at most `lines` that end before `before_line`; none: the last.
    pub async fn scrollback(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        before_line: Option<u64>,
        lines: u32,
    ) -> Result<Lines, SessionError> {
        let request = Request::History { owner: caller.owner, session_id: id, before_line, lines };
        let answer = self.ask_about(caller, id, SessionError::Forgotten, &request).await?;
        let Answer::History { first_line, lines, total } = answer else {
            return Err(SessionError::OutOfTurn);
        };
        Ok(Lines { first_line, lines, total })
    }

    /// What became of a session that the ptyd which answered does not know; none: its owner never had it running.
    ///
    /// # Errors
    /// [`SessionError::Elsewhere`]: its node is another.
    pub async fn fate(&self, caller: Caller<'_>, id: SessionId) -> Result<Option<Session>, SessionError> {
        match self.show(caller, id).await {
            Ok(Shown { session, .. }) if !session.has_ended() => Err(SessionError::Elsewhere),
            Ok(Shown { session, .. }) => Ok((session.status != Status::Failed).then_some(session)),
            Err(SessionError::NotFound) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// The same while no ptyd runs: what has not ended ended with it. The books are told once one answers.
    pub async fn fate_without_node(
        &self,
        caller: Caller<'_>,
        id: SessionId,
    ) -> Result<Option<Session>, SessionError> {
        let Some(session) = self.booked(caller, id).await? else { return Ok(None) };
        if session.has_ended() {
            return Ok(Some(session));
        }
        let is_lost = self.is_from_here(&session).await?;
        Ok(is_lost.then_some(Session { status: Status::Lost, ..session }))
    }

    /// How a session is, as its ptyd says now.
    pub async fn health(&self, caller: Caller<'_>, id: SessionId) -> Result<Health, SessionError> {
        let asked = Instant::now();
        let shown = self.show(caller, id).await?;
        Ok(Health { shown, took: asked.elapsed() })
    }
}
