//! What a session's shell ran, and a command typed into it. The shell's own marks, at its ptyd, tell when one ends.

use std::pin::pin;
use std::time::Duration;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::commands::MAX_COMMAND_WAIT_MS;
use devpocket_shared::wire::{Answer, Command, CommandResult, Request};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Caller, SessionError, Sessions};
use crate::link::LinkError;

/// How long a command may still end, or begin, once this api stops: the answer, and what is asked for it, are to be through
/// before the server closes the connection five seconds after.
const ENDED_WITHIN: Duration = Duration::from_secs(2);
const STARTED_WITHIN: Duration = Duration::from_secs(3);

impl Sessions {
    /// Commands, newest first: `limit` of them after the first `offset`, and how many are kept.
    pub async fn commands(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        offset: u32,
        limit: u32,
    ) -> Result<(Vec<Command>, u64), SessionError> {
        let (mut all, mut before, mut skip) = (Vec::new(), None, offset);
        loop {
            let most = limit - u32::try_from(all.len()).unwrap_or(limit);
            let request = Request::Commands { owner: caller.owner, session_id: id, before, skip, most };
            let answer = self.ask_about(caller, id, SessionError::Forgotten, &request).await?;
            let Answer::Commands { commands, total } = answer else { return Err(SessionError::OutOfTurn) };
            // What did not fit into one answer is in the next.
            (before, skip) = (commands.last().map(|command| command.number), 0);
            all.extend(commands);
            if before.is_none() || all.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
                return Ok((all, total));
            }
        }
    }

    /// Types a command into the session's shell and waits until it begins, and no longer than until shortly after `stop`; its
    /// number. Nothing is typed twice.
    pub async fn start_command(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        command: String,
        stop: &CancellationToken,
    ) -> Result<u64, SessionError> {
        let request = Request::StartCommand { owner: caller.owner, session_id: id, command: command.into() };
        let starting = self.ask_once(caller, id, &request);
        let started = tokio::select! {
            started = starting => started?,
            () = after(stop, STARTED_WITHIN) => return Err(SessionError::InputUncertain(LinkError::TimedOut)),
        };
        let Answer::CommandStarted { number } = started else { return Err(SessionError::OutOfTurn) };
        Ok(number)
    }

    /// Waits for a command's end until `until`, and no longer than until shortly after `stop`; what it has come to by then.
    pub async fn await_command(
        &self,
        caller: Caller<'_>,
        id: SessionId,
        number: u64,
        mut until: Instant,
        stop: &CancellationToken,
    ) -> Result<CommandResult, SessionError> {
        let (owner, session_id) = (caller.owner, id);
        let mut told_to_end = pin!(after(stop, ENDED_WITHIN));
        loop {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            let wait_ms = u32::try_from(left).unwrap_or(u32::MAX).min(MAX_COMMAND_WAIT_MS);
            let request = Request::AwaitCommand { owner, session_id, number, wait_ms };
            let waiting = self.ask_about(caller, id, SessionError::Forgotten, &request);
            let answer = tokio::select! {
                answer = waiting => answer?,
                // Once: then there is nothing left to wait for, and it is asked as it is.
                () = &mut told_to_end, if left > 0 => {
                    until = Instant::now();
                    continue;
                }
            };
            let Answer::CommandResult(result) = answer else { return Err(SessionError::OutOfTurn) };
            if result.is_over || Instant::now() >= until {
                return Ok(*result);
            }
        }
    }
}

async fn after(stop: &CancellationToken, delay: Duration) {
    stop.cancelled().await;
    sleep(delay).await;
}
