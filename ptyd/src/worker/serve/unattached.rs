//! Answers what is asked of sessions without attaching to them. Knows no stream.

use devpocket_shared::ids::{SessionId, UserId};
use devpocket_shared::wire::details::{MAX_DETAILS, MAX_ROLL};
use devpocket_shared::wire::message::FEATURE_COMMANDS;
use devpocket_shared::wire::{Answer, EndReason, ErrorCode, Failure, Request, Update};

use super::not_found;
use crate::worker::create::failure;
use crate::worker::{Context, attach};

/// Answers one of the requests named in [`Request`] as about sessions of an owner, or about all.
pub(super) async fn answer(context: &Context, features: u64, request: Request) -> Answer {
    let done = match request {
        Request::Update { owner, session_id, update } => change(context, owner, session_id, update).await,
        Request::Input { owner, session_id, bytes } => context
            .registry
            .find(owner, session_id)
            .ok_or_else(not_found)
            .and_then(|session| session.type_unattached(bytes.0)),
        Request::Kill { owner, session_id } => match context.registry.find(owner, session_id) {
            Some(session) => {
                attach::kill(context, &session).await;
                Ok(())
            }
            None => Err(not_found()),
        },
        Request::Discard { owner, session_id } => discard(context, owner, session_id).await,
        Request::Details { owner, session_ids } => {
            let wanted = session_ids.into_iter().take(MAX_DETAILS);
            let found = wanted.filter_map(|session_id| context.registry.find(owner, session_id));
            if features & FEATURE_COMMANDS != 0 {
                return Answer::DetailsCounted(found.map(|session| session.details_counted()).collect());
            }
            return Answer::Details(found.map(|session| session.details()).collect());
        }
        Request::Roll { owner, after } => {
            let (page, more) = context.registry.roll(owner, after, MAX_ROLL);
            let sessions = page.iter().map(|session| session.roll_entry()).collect();
            return Answer::Roll { sessions, more };
        }
        Request::Commands { owner, session_id, before, skip, most } => {
            match context.registry.find(owner, session_id) {
                Some(session) => return session.commands(before, skip, most),
                None => Err(not_found()),
            }
        }
        Request::StartCommand { owner, session_id, command } => {
            let started = match context.registry.find(owner, session_id) {
                Some(session) => session.start_command(&command.0).await,
                None => Err(not_found()),
            };
            return started.map_or_else(Answer::Failed, |number| Answer::CommandStarted { number });
        }
        Request::AwaitCommand { owner, session_id, number, wait_ms } => {
            let result = match context.registry.find(owner, session_id) {
                Some(session) => session.await_command(number, wait_ms).await,
                None => Err(not_found()),
            };
            return result.map_or_else(Answer::Failed, |result| Answer::CommandResult(Box::new(result)));
        }
        Request::Create(_)
        | Request::CreateLimited { .. }
        | Request::Attach { .. }
        | Request::List { .. }
        | Request::Terminate { .. }
        | Request::Info
        | Request::Screen { .. }
        | Request::History { .. } => Err(failure(ErrorCode::Internal, "the request is served elsewhere")),
    };
    done.map_or_else(Answer::Failed, |()| Answer::Done)
}

async fn change(
    context: &Context,
    owner: UserId,
    session_id: SessionId,
    update: Update,
) -> Result<(), Failure> {
    let session = context.registry.find(owner, session_id).ok_or_else(not_found)?;
    session.update(update)?;
    attach::store_record(context, &session).await;
    Ok(())
}

async fn discard(context: &Context, owner: UserId, session_id: SessionId) -> Result<(), Failure> {
    let session = context.registry.find(owner, session_id).ok_or_else(not_found)?;
    session.discard();
    attach::store_record(context, &session).await;
    attach::end_for(context, &session, EndReason::Terminated).await;
    Ok(())
}
