//! The worker: reads terminals into their rings, serves attachments over the link, and owns nothing that is not in a ring
//! or a descriptor, so that it may be killed at any moment. Knows nothing of accounts, HTTP or WebSocket.

mod alarm;
mod attach;
mod create;
mod drawing;
mod drive;
mod encode;
mod keeper;
mod leader;
pub(crate) mod numbers;
mod record;
mod registry;
pub(crate) mod serve;
mod session;
mod sys;
mod told_commands;
mod wait;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use devpocket_shared::ids::{BootId, NodeId};
use ptyd_session::Integration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::handover::socket::HandoverError;
use crate::handover::{Adopt, BATCH, Descriptor, ToKeeper, ToWorker, Welcome};
use crate::link::{self, LinkError};
use drawing::Drawings;
use keeper::Keeper;
use registry::Registry;

/// Tasks that run between two looks at timers and sockets. Some take milliseconds, and the keeper waits for a few seconds.
const EVENT_INTERVAL: u32 = 16;
/// Bytes set free at once that are worth giving back to the system.
const MUCH_FREED: usize = 1 << 20;
/// How often the keeper hears from the worker.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long attachments get to tell their clients before a worker that was told to stop exits. Sessions stand still
/// meanwhile, and a client that is stuck hears nothing anyway.
const STOP_GRACE: Duration = Duration::from_millis(200);

/// The worker cannot go on; the keeper starts the next one.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The keeper's socket failed or spoke nonsense.
    #[error("the keeper cannot be reached")]
    Keeper(#[from] HandoverError),
    /// The keeper said something out of turn.
    #[error("the keeper sent {0} out of turn")]
    OutOfTurn(&'static str),
    /// A descriptor the keeper promised is missing or cannot be used.
    #[error("descriptor {0:?} cannot be used")]
    Descriptor(Descriptor, #[source] std::io::Error),
    /// The link cannot be served.
    #[error("the link cannot be served")]
    Link(#[from] LinkError),
}

/// What every task of the worker may need.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) node_id: NodeId,
    pub(crate) boot_id: BootId,
    pub(crate) capacity: u32,
    pub(crate) ring_bytes: u64,
    /// The api's user, for the Unix socket.
    pub(crate) link_uid: Option<u32>,
    pub(crate) keeper: Keeper,
    pub(crate) registry: Registry,
    /// Turns to draw large pictures, and the memory for them.
    pub(crate) drawings: Drawings,
    pub(crate) tasks: TaskTracker,
    /// Told to stop: attachments tell their clients and end.
    pub(crate) stop: CancellationToken,
}

/// The worker process: logs, runtime, and [`run`] on the keeper's socket.
pub fn start(log: &str) -> ExitCode {
    // A shell of the same user could read this process's memory otherwise.
    if nix::sys::prctl::set_dumpable(false).is_err() || devpocket_shared::telemetry::init(log).is_err() {
        return ExitCode::FAILURE;
    }
    let ended = match (sys::take_keeper_socket(), runtime()) {
        (Ok(socket), Ok(runtime)) => {
            let ended = runtime.block_on(run(socket));
            // A picture that is still being drawn is for nobody any more.
            runtime.shutdown_background();
            ended
        }
        (Err(err), _) | (_, Err(err)) => {
            error!(%err, "the worker cannot begin; it is started by the keeper alone");
            return ExitCode::FAILURE;
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(WorkerError::Keeper(HandoverError::Closed)) => {
            info!("the keeper is gone, and so is its worker");
            ExitCode::SUCCESS
        }
        Err(err) => {
            error!(err = %crate::chain(&err), "worker ends: {err}");
            ExitCode::FAILURE
        }
    }
}

/// A runtime with a thread for every second core. The other half is for the sessions' own programs, the kernel's terminals
/// and the api: with a thread for each core, threads wake one another only to find the work done, and an echo on two cores
/// takes half as long again (docs/performance.md).
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads((cores / 2).max(1))
        // Timers and sockets, the heartbeat among them, are looked at so often even while the thread never rests.
        .event_interval(EVENT_INTERVAL)
        .enable_all()
        .build()
}

/// Serves until the keeper says stop or goes away. `socket` is the keeper's end of the socket pair.
pub async fn run(socket: OwnedFd) -> Result<(), WorkerError> {
    let keeper = Keeper::new(socket)?;
    let (ToWorker::Welcome(welcome), descriptors) = keeper.receive().await? else {
        return Err(WorkerError::OutOfTurn("something before its welcome"));
    };
    let Welcome { node_id, boot_id, sessions, capacity, ring_bytes, link_uid, .. } = *welcome;
    let context = Arc::new(Context {
        node_id,
        boot_id,
        capacity,
        ring_bytes,
        link_uid,
        keeper,
        registry: Registry::default(),
        drawings: Drawings::new(),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
    });
    let mut sockets = link::Sockets::from_descriptors(&welcome.descriptors, descriptors)?;
    if let Some(listener) = sockets.metrics.take() {
        numbers::show(&context, listener);
    }
    adopt_all(&context).await?;
    link::listen(sockets, &context)?;
    context.keeper.send(&ToKeeper::Ready).await?;
    info!(node.id = %node_id, "worker serves {sessions} sessions of an earlier one");
    let served = follow_keeper(&context).await;
    context.stop.cancel();
    context.tasks.close();
    if tokio::time::timeout(STOP_GRACE, context.tasks.wait()).await.is_err() {
        warn!(left = context.tasks.len(), "tasks still running {STOP_GRACE:?} after stop");
    }
    served
}

async fn adopt_all(context: &Arc<Context>) -> Result<(), WorkerError> {
    let mut taken = 0;
    loop {
        match context.keeper.receive().await? {
            (ToWorker::Adopt(adopt), descriptors) => {
                adopt_one(context, adopt, descriptors).await;
                taken += 1;
                if taken % BATCH == 0 {
                    context.keeper.send(&ToKeeper::BatchTaken).await?;
                }
            }
            (ToWorker::AllAdopted, _) => return Ok(()),
            (ToWorker::Exited { session_id, exit }, _) => context.registry.exited(session_id, exit),
            (ToWorker::Stop, _) => return Err(WorkerError::OutOfTurn("stop before the hand-over was done")),
            (
                ToWorker::Welcome(_)
                | ToWorker::Spawned { .. }
                | ToWorker::SpawnedMarked { .. }
                | ToWorker::SpawnFailed { .. },
                _,
            ) => {
                return Err(WorkerError::OutOfTurn("an answer during the hand-over"));
            }
        }
    }
}

/// A session whose descriptors or record cannot be used is left with the keeper: its program goes on, the next worker may
/// know better.
async fn adopt_one(context: &Arc<Context>, adopt: Adopt, descriptors: Vec<OwnedFd>) {
    let session_id = adopt.session_id;
    if let Err(err) = create::adopt(context, adopt, descriptors).await {
        error!(session.id = %session_id, err = %crate::chain(&err), "session {session_id} cannot be taken over");
    }
}

async fn follow_keeper(context: &Arc<Context>) -> Result<(), WorkerError> {
    let mut heartbeat = tokio::time::interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = context.keeper.receive() => match message? {
                (ToWorker::SpawnedMarked { request, pid: _, integration }, descriptors) => {
                    context.keeper.spawned(request, Ok((integration, descriptors)));
                }
                (ToWorker::Spawned { request, pid: _ }, descriptors) => {
                    context.keeper.spawned(request, Ok((Integration::Unknown, descriptors)));
                }
                (ToWorker::SpawnFailed { request, code, message }, _) => {
                    context.keeper.spawned(request, Err((code, message)));
                }
                (ToWorker::Exited { session_id, exit }, _) => context.registry.exited(session_id, exit),
                (ToWorker::Stop, _) => return Ok(()),
                (ToWorker::Welcome(_) | ToWorker::Adopt(_) | ToWorker::AllAdopted, _) => {
                    return Err(WorkerError::OutOfTurn("a hand-over again"));
                }
            },
            _ = heartbeat.tick() => {
                context.keeper.send(&ToKeeper::Heartbeat).await?;
                context.registry.forget_old_tombstones(context).await;
                if context.registry.shrink_tombstones() >= MUCH_FREED {
                    context.tasks.spawn_blocking(sys::give_back_free);
                }
                numbers::look(context);
            }
        }
    }
}
