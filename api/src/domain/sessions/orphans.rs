//! Sessions of accounts that are gone: made while their account was deleted, or at a node that could not be told then. Nobody
//! can reach them, so they are ended.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use devpocket_shared::ids::{SessionId, UserId};
use devpocket_shared::wire::Request;
use tracing::info;

use super::{Roll, SessionError, Sessions};
use crate::domain::accounts::LiveSessions;

/// Deleted accounts that are remembered.
const MAX_GONE: usize = 1000;

impl Sessions {
    /// Notes that an account was deleted through this api: what still runs of it is to end.
    pub fn note_gone(&self, owner: UserId) {
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        if gone.len() >= MAX_GONE {
            gone.pop_front();
        }
        gone.push_back(owner);
    }

    /// Ends those of the roll whose account was gone the last time already, which `missed` remembers: a database that is put
    /// back from a copy may be without its last rows for a moment. A database that knows no session of the roll is the wrong
    /// one, or has lost everything: it ends only what was deleted through this api, or is noted in it as deleted.
    pub(super) async fn end_orphans(
        &self,
        roll: &Roll,
        missed: &mut BTreeSet<SessionId>,
    ) -> Result<(), SessionError> {
        // The books have taken all others in: who has a row has an owner.
        let booked = self.store.unended_sessions(None).await?;
        let booked: BTreeSet<SessionId> = booked.iter().map(|session| session.id).collect();
        let is_ours = roll.live().any(|entry| booked.contains(&entry.session_id));
        let before = std::mem::take(missed);
        for entry in roll.live().filter(|entry| !booked.contains(&entry.session_id)) {
            let may_end = is_ours || self.is_gone(entry.owner) || self.store.noted_gone(entry.owner).await?;
            if !may_end || self.store.has_owner(entry.owner).await? {
                continue;
            }
            let (owner, session_id) = (entry.owner, entry.session_id);
            missed.insert(session_id);
            if !before.contains(&session_id) {
                continue;
            }
            match self.ask("books", &Request::Terminate { owner, session_id }).await {
                Ok(_) => {
                    info!(session.id = %session_id, "session {session_id} is ended: its account is gone")
                }
                Err(SessionError::NotFound | SessionError::Ended) => {}
                Err(err) => return Err(err),
            }
        }
        let owners: BTreeSet<UserId> = roll.live().map(|entry| entry.owner).collect();
        for owner in self.store.gone_at(roll.node).await? {
            if !owners.contains(&owner) {
                self.store.forget_gone(owner, roll.node).await?;
            }
        }
        Ok(())
    }

    /// Asks what runs here of accounts that were noted as deleted to end, each account once: `told` are those that were asked
    /// and are noted still. What turns up later is ended with the orphans.
    pub(crate) async fn end_gone(&self, told: &mut BTreeSet<UserId>) -> Result<(), SessionError> {
        let Some(here) = self.node_here() else { return Ok(()) };
        let gone = self.store.gone_at(Some(here)).await?;
        told.retain(|owner| gone.contains(owner));
        for owner in gone {
            if !told.contains(&owner) && !self.store.has_owner(owner).await? {
                self.link.end_all(owner).await?;
                told.insert(owner);
            }
        }
        Ok(())
    }

    fn is_gone(&self, owner: UserId) -> bool {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).contains(&owner)
    }
}
