//! Brings sessions into being: new ones through the keeper, old ones from a worker before. Knows no stream.

use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devpocket_shared::ids::{SessionId, TerminalSize};
use devpocket_shared::wire::{Create, EndReason, ErrorCode, Failure, Limits};
use memmap2::MmapMut;
use ptyd_session::commands::Found;
use ptyd_session::region::written_ring_bytes;
use ptyd_session::{
    Checkpoints, Commands, Cutter, Integration, Nonce, Overflow, Picture, Region, RegionError, memory_bytes,
    parts,
};
use tracing::error;

use super::drive::{drive, give_up, now};
use super::record::Record;
use super::registry::{KEY_LIFE, Reserved};
use super::session::{Memory, Session};
use super::{Context, attach, numbers, sys};
use crate::handover::{Adopt, Spawn};

/// A session could not be taken over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdoptError {
    #[error("a descriptor is missing")]
    Descriptor,
    #[error("its memory cannot be mapped")]
    Map(#[source] std::io::Error),
    #[error("its memory cannot be read")]
    Region(#[from] RegionError),
    #[error("its record cannot be read")]
    Record,
    #[error("what it holds cannot be taken apart")]
    Panicked,
}

/// A session made, or found under the same key.
pub(crate) struct Made {
    pub(crate) session: Arc<Session>,
    /// It was made before.
    pub(crate) existing: bool,
}

/// Makes the session asked for, or finds the one made before under its key.
pub(crate) async fn create(context: &Arc<Context>, create: Create, limits: Limits) -> Result<Made, Failure> {
    if let Err(field) = create.spec.check().and_then(|()| limits.check()) {
        return Err(failure(ErrorCode::InvalidField, &format!("{field} is out of bounds")));
    }
    // The same request again, after its answer was lost with a worker or a connection.
    if let Some(session) = context.registry.find(create.owner, create.session_id) {
        return Ok(Made { session, existing: true });
    }
    let Some(key) = create.key.clone() else {
        return start(context, create, limits).await.map(|session| Made { session, existing: false });
    };
    let owner = create.owner;
    // The keeper's answer must find its session even if whoever asked has gone: the work is not cut with the stream.
    loop {
        match context.registry.reserve(owner, &key).await {
            Reserved::New => {
                let result = start(context, create, limits).await;
                let made = result.as_ref().ok().map(|session| session.id);
                context.registry.settle(owner, key, made, KEY_LIFE);
                return result.map(|session| Made { session, existing: false });
            }
            Reserved::Made(session_id) => {
                if let Some(session) = context.registry.find(owner, session_id) {
                    return Ok(Made { session, existing: true });
                }
                // Ended and forgotten since.
                context.registry.settle(owner, key.clone(), None, KEY_LIFE);
            }
        }
    }
}

/// Takes over one session from the keeper.
pub(crate) async fn adopt(
    context: &Arc<Context>,
    adopt: Adopt,
    descriptors: Vec<OwnedFd>,
) -> Result<(), AdoptError> {
    let mut descriptors = descriptors.into_iter();
    let memory = descriptors.next().ok_or(AdoptError::Descriptor)?;
    let master = descriptors.next();
    let record = Record::from_bytes(&adopt.record).ok_or(AdoptError::Record)?;
    let maps = Maps::of(&memory)?;
    // A worker killed before it had written anything: the session is new to this one.
    let untouched = maps.region.iter().take(8).all(|byte| *byte == 0);
    let recovered = if untouched {
        maps.fresh(TerminalSize::DEFAULT, None, Integration::Unknown)
    } else {
        // What one session's program printed must not stop the others from being taken over.
        catch_unwind(AssertUnwindSafe(|| maps.recover())).unwrap_or(Err(AdoptError::Panicked))
    };
    let (memory, is_readable) = match recovered {
        Ok(memory) => (memory, true),
        Err(err) => {
            let id = adopt.session_id;
            error!(session.id = %id, err = %crate::chain(&err), "session {id} is ended: what it printed cannot be read");
            (Maps::of(&memory)?.cleared()?, false)
        }
    };
    let age = Duration::from_millis(now_ms().saturating_sub(record.created_at_ms));
    if let Some(key) = record.key.clone()
        && age < KEY_LIFE
        && context.registry.reserve(adopt.owner, &key).await == Reserved::New
    {
        context.registry.settle(adopt.owner, key, Some(adopt.session_id), KEY_LIFE - age);
    }
    let unfulfilled: Option<EndReason> = record.reason.filter(|_| adopt.exit.is_none());
    let session = Arc::new(Session::new(adopt.session_id, adopt.owner, record, memory, adopt.exit, now()));
    run_session(context, &session, master);
    numbers::session_adopted();
    // The worker before may have died between noting the wish and passing it on. A program that nobody can follow any more
    // is not left to run on for nobody.
    if let Some(reason) = unfulfilled.or((!is_readable).then_some(EndReason::Terminated)) {
        attach::end_for(context, &session, reason).await;
    }
    Ok(())
}

async fn start(context: &Arc<Context>, create: Create, limits: Limits) -> Result<Arc<Session>, Failure> {
    let Create { owner, session_id, key, spec, attach: _ } = create;
    if context.registry.contains(session_id) {
        return Err(failure(ErrorCode::InvalidField, "the session id is taken"));
    }
    let size = spec.size;
    let record = Record {
        name: spec.name.clone(),
        created_at_ms: now_ms(),
        key,
        reason: None,
        limits,
        ended_at_ms: None,
        discarded: false,
    };
    let Some(stored) = record.to_bytes() else {
        return Err(failure(ErrorCode::InvalidField, "name or request_id is too long"));
    };
    let region_bytes = memory_bytes(context.ring_bytes);
    let spawn = Spawn { request: 0, session_id, owner, spec, region_bytes, record: stored };
    let nonce = random_nonce().ok_or_else(|| failure(ErrorCode::Internal, "there are no random bytes"))?;
    let spawned = context.keeper.spawn(spawn, nonce).await;
    let (integration, descriptors) = spawned
        .map_err(|_| failure(ErrorCode::NodeUnavailable, "the node is restarting"))?
        .map_err(|(code, message)| failure(code, &message))?;
    let session =
        open(session_id, owner, record, descriptors, |maps| maps.fresh(size, Some(nonce), integration));
    let (session, master) = session.map_err(|err| {
        error!(session.id = %session_id, err = %crate::chain(&err), "session {session_id} cannot be opened");
        failure(ErrorCode::Internal, "the session cannot be opened")
    })?;
    run_session(context, &session, Some(master));
    numbers::session_started();
    Ok(session)
}

fn open(
    session_id: SessionId,
    owner: devpocket_shared::ids::UserId,
    record: Record,
    descriptors: Vec<OwnedFd>,
    fresh: impl FnOnce(Maps) -> Result<Memory, AdoptError>,
) -> Result<(Arc<Session>, OwnedFd), AdoptError> {
    let mut descriptors = descriptors.into_iter();
    let (Some(memory), Some(master)) = (descriptors.next(), descriptors.next()) else {
        return Err(AdoptError::Descriptor);
    };
    let memory = fresh(Maps::of(&memory)?)?;
    Ok((Arc::new(Session::new(session_id, owner, record, memory, None, now())), master))
}

fn run_session(context: &Arc<Context>, session: &Arc<Session>, master: Option<OwnedFd>) {
    if !context.registry.insert(session) {
        return;
    }
    match master {
        Some(master) => {
            // Its leader may have gone while no worker was there: then nothing else would wake the task.
            session.work.notify_one();
            let driving = context.tasks.spawn(drive(Arc::clone(context), Arc::clone(session), master));
            let (context, session) = (Arc::clone(context), Arc::clone(session));
            context.tasks.clone().spawn(async move {
                if driving.await.is_err() {
                    give_up(&context, &session).await;
                }
            });
        }
        None => {
            session.lock().ended = true;
            let ago = session.record().ended_at_ms.map_or(0, |at_ms| now_ms().saturating_sub(at_ms));
            let ended = now().checked_sub(Duration::from_millis(ago));
            context.registry.ended(session, ended.unwrap_or_else(now));
        }
    }
}

/// A session's memory, mapped in its parts.
struct Maps {
    region: MmapMut,
    scrollback: MmapMut,
    checkpoints: MmapMut,
    commands: MmapMut,
}

impl Maps {
    fn of(memory: &OwnedFd) -> Result<Self, AdoptError> {
        let bytes = sys::memory_bytes(memory).map_err(AdoptError::Map)?;
        let first = sys::read_first(memory).map_err(AdoptError::Map)?;
        let parts = parts(bytes, written_ring_bytes(&first)).ok_or(RegionError::Length(0))?;
        let map = |part| sys::map(memory, part).map_err(AdoptError::Map);
        let (region, scrollback) = (map(&parts.region)?, map(&parts.scrollback)?);
        let (checkpoints, commands) = (map(&parts.checkpoints)?, map(&parts.commands)?);
        Ok(Self { region, scrollback, checkpoints, commands })
    }

    fn fresh(
        self,
        size: TerminalSize,
        nonce: Option<Nonce>,
        integration: Integration,
    ) -> Result<Memory, AdoptError> {
        let region = Region::create(self.region, random_key(), size)?;
        let checkpoints = Checkpoints::new(self.checkpoints).ok_or(RegionError::Layout)?;
        let picture = Picture::new(&region, self.scrollback, checkpoints);
        let commands = Commands::create(self.commands, nonce, integration).ok_or(RegionError::Layout)?;
        Ok(Memory { cutter: Cutter::recover(&region), region, picture, commands })
    }

    /// The memory of a session of which nothing is known.
    fn cleared(mut self) -> Result<Memory, AdoptError> {
        for part in [&mut self.region, &mut self.scrollback, &mut self.checkpoints, &mut self.commands] {
            sys::give_back(part);
        }
        self.fresh(TerminalSize::DEFAULT, None, Integration::Unknown)
    }

    fn recover(self) -> Result<Memory, AdoptError> {
        let mut region = Region::recover(self.region)?;
        // What the worker before had read and not cut yet: perhaps nothing more will come that would have it shown. Queries
        // for which there is no room wait for the session's task, as they did.
        let mut cutter = Cutter::recover(&region);
        let mut commands = Commands::recover(self.commands).ok_or(RegionError::Layout)?;
        let mut marks = |region: &Region<_>, found: Found<'_>| commands.take(found, region, now_ms());
        cutter.cut_telling(&mut region, Overflow::Wait, &mut marks);
        let checkpoints = Checkpoints::new(self.checkpoints).ok_or(RegionError::Layout)?;
        let picture = Picture::recover(&region, self.scrollback, checkpoints);
        Ok(Memory { cutter, region, picture, commands })
    }
}

pub(crate) fn failure(code: ErrorCode, message: &str) -> Failure {
    Failure { code, message: message.to_owned(), expected: None }
}

/// A ring's fill key: it need not be secret, only different from what programs print.
fn random_key() -> u64 {
    getrandom::u64().unwrap_or(0x5EED_0F0F_F111_0000)
}

/// What a session's shell signs its marks with. None: the system has no random bytes.
fn random_nonce() -> Option<Nonce> {
    let mut bytes = [0; Nonce::BYTES];
    getrandom::fill(&mut bytes).ok().map(|()| Nonce::new(bytes))
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
