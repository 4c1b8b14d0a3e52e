//! Serves one link stream: its hello, its request, and then the attachment it may become.

mod unattached;

use std::sync::Arc;
use std::time::Duration;

use devpocket_shared::wire::message::LINK_VERSION;
use devpocket_shared::wire::stream::{FrameReader, FrameWriter, StreamError};
use devpocket_shared::wire::{
    Answer, Attach, Create, EndReason, ErrorCode, Failure, Hello, Limits, NodeInfo, Request,
};
use ptyd_screen::History;
use tokio::time::timeout;
use tracing::{Instrument, debug, error_span};

use super::Context;
use super::create::failure;
use super::drive::now;
use super::session::Session;
use super::{attach, create};

/// How long a stream may take to say what it is for.
const OPENING: Duration = Duration::from_secs(5);
/// How long an api may repeat a request whose answer it did not get: longer than it tries.
const REPEATS: Duration = Duration::from_secs(15);
/// Longest request id taken into a log line, in bytes.
const MAX_REQUEST_ID_BYTES: usize = 64;

/// An attachment that is asked for.
struct Wanted {
    attach: Attach,
    /// What its api knows.
    features: u64,
    /// The session was made for it.
    is_fresh: bool,
}

/// Serves a stream to its end. What goes wrong on it concerns nobody else.
pub(crate) async fn serve(context: Arc<Context>, reader: FrameReader, writer: FrameWriter) {
    if let Err(err) = serve_stream(&context, reader, writer).await {
        debug!(err = %crate::chain(&err), "link stream ended early");
    }
}

async fn serve_stream(
    context: &Arc<Context>,
    mut reader: FrameReader,
    mut writer: FrameWriter,
) -> Result<(), StreamError> {
    let opening = async {
        let hello: Option<Hello> = reader.next_control().await?;
        let request: Option<Request> = reader.next_control().await?;
        Ok::<_, StreamError>(hello.zip(request))
    };
    let Ok(opened) = timeout(OPENING, opening).await else { return Ok(()) };
    let Some((hello, request)) = opened? else { return Ok(()) };
    let own = Hello {
        version: LINK_VERSION,
        features: 0,
        node_id: Some(context.node_id),
        boot_id: Some(context.boot_id),
        request_id: String::new(),
    };
    writer.send(&own).await?;
    if let Some(refusal) = refuse(context, &hello) {
        writer.send(&Answer::Failed(refusal)).await?;
        return Ok(writer.finish().await?);
    }
    let span = error_span!("request", request.id = %hello.request_id);
    answer(context, hello.features, request, reader, writer).instrument(span).await
}

/// Why this node does not serve the sender of `hello`, if it does not.
fn refuse(context: &Context, hello: &Hello) -> Option<Failure> {
    if hello.version != LINK_VERSION || hello.request_id.len() > MAX_REQUEST_ID_BYTES {
        return Some(failure(ErrorCode::NodeUnavailable, "the link's versions do not fit"));
    }
    let other_node = hello.node_id.is_some_and(|node| node != context.node_id);
    let other_boot = hello.boot_id.is_some_and(|boot| boot != context.boot_id);
    (other_node || other_boot)
        .then(|| failure(ErrorCode::NodeUnavailable, "meant for another node or an earlier boot"))
}

async fn answer(
    context: &Arc<Context>,
    features: u64,
    request: Request,
    reader: FrameReader,
    mut writer: FrameWriter,
) -> Result<(), StreamError> {
    let answer = match request {
        Request::Create(request) => {
            return make(context, features, request, Limits::default(), reader, writer).await;
        }
        Request::CreateLimited { create, limits } => {
            return make(context, features, create, limits, reader, writer).await;
        }
        Request::Attach { owner, session_id, attach } => match context.registry.find(owner, session_id) {
            Some(session) => {
                let wanted = Wanted { attach, features, is_fresh: false };
                return run_attachment(context, &session, &wanted, reader, writer).await;
            }
            None => Answer::Failed(not_found()),
        },
        Request::List { owner } => {
            Answer::Sessions(context.registry.of_owner(owner).iter().map(|session| session.info()).collect())
        }
        Request::Terminate { owner, session_id } => match context.registry.find(owner, session_id) {
            Some(session) => {
                attach::end_for(context, &session, EndReason::Terminated).await;
                Answer::Done
            }
            None => Answer::Failed(not_found()),
        },
        Request::Info => Answer::Node(NodeInfo {
            node_id: context.node_id,
            boot_id: context.boot_id,
            sessions: u32::try_from(context.registry.live()).unwrap_or(u32::MAX),
            capacity: context.capacity,
        }),
        Request::Screen { owner, session_id, format } => match context.registry.find(owner, session_id) {
            Some(session) => session.render(context, format).await,
            None => Answer::Failed(not_found()),
        },
        Request::History { owner, session_id, before_line, lines } => {
            match context.registry.find(owner, session_id) {
                Some(session) => {
                    let History { first_line, lines, total } =
                        session.history(context, before_line, lines).await;
                    Answer::History { first_line, lines, total }
                }
                None => Answer::Failed(not_found()),
            }
        }
        Request::Update { .. }
        | Request::Input { .. }
        | Request::Kill { .. }
        | Request::Discard { .. }
        | Request::Details { .. }
        | Request::Roll { .. }
        | Request::Commands { .. }
        | Request::StartCommand { .. }
        | Request::AwaitCommand { .. } => unattached::answer(context, features, request).await,
    };
    reply(&mut writer, &answer).await
}

/// Makes a session, and goes on as its attachment if that was asked for.
async fn make(
    context: &Arc<Context>,
    features: u64,
    request: Create,
    limits: Limits,
    reader: FrameReader,
    mut writer: FrameWriter,
) -> Result<(), StreamError> {
    let wanted = request.attach.clone();
    let has_key = request.key.is_some();
    debug!(session.id = %request.session_id, "creating a session");
    // A task of its own: a client that vanishes half way must not leave half a session.
    let creating = context.tasks.spawn({
        let context = Arc::clone(context);
        async move { context.stop.run_until_cancelled(create::create(&context, request, limits)).await }
    });
    let made = match creating.await {
        Ok(Some(made)) => made,
        // This worker hears no more of the keeper. Without an answer the same is asked of the next one, which finds the session
        // if there is one.
        Ok(None) => return Ok(()),
        Err(_) => Err(failure(ErrorCode::Internal, "creating failed")),
    };
    let made = match made {
        Ok(made) => made,
        Err(failure) => return reply(&mut writer, &Answer::Failed(failure)).await,
    };
    let created = Answer::Created { session_id: made.session.id, existing: made.existing };
    if let Err(err) = writer.send(&created).await {
        if !has_key && !made.existing {
            end_unless_told(context, made.session);
        }
        return Err(err);
    }
    made.session.note_told();
    let Some(attach) = wanted else { return Ok(writer.finish().await?) };
    let wanted = Wanted { attach, features, is_fresh: !made.existing };
    run_attachment(context, &made.session, &wanted, reader, writer).await
}

/// Whoever asked for this session has given up, and no repeat of a `connect` finds it: it would run for nobody. Only the
/// same request tried again may still come for it.
fn end_unless_told(context: &Arc<Context>, session: Arc<Session>) {
    let ending = {
        let context = Arc::clone(context);
        async move {
            let patience = tokio::time::sleep(REPEATS);
            tokio::select! {
                () = patience => {}
                () = context.stop.cancelled() => return,
            }
            if !session.was_told() {
                attach::end_for(&context, &session, EndReason::Terminated).await;
            }
        }
    };
    context.tasks.spawn(ending);
}

async fn run_attachment(
    context: &Arc<Context>,
    session: &Arc<Session>,
    wanted: &Wanted,
    reader: FrameReader,
    mut writer: FrameWriter,
) -> Result<(), StreamError> {
    match session.attach(&wanted.attach, wanted.is_fresh, now()) {
        Some(begun) => attach::run(context, session, begun, wanted.features, reader, writer).await,
        None => {
            let full = failure(ErrorCode::RateLimited, "too many clients are attached to this session");
            reply(&mut writer, &Answer::Failed(full)).await
        }
    }
}

async fn reply(writer: &mut FrameWriter, answer: &Answer) -> Result<(), StreamError> {
    writer.send(answer).await?;
    Ok(writer.finish().await?)
}

pub(super) fn not_found() -> Failure {
    failure(ErrorCode::SessionNotFound, "no such session")
}
