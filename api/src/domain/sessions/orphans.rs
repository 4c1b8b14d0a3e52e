//! Sessions of accounts that are gone: made while their account was deleted, or at a node that could not be told then. Nobody
//! can reach them, so they are ended.

use std::collections::BTreeSet;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::Request;
use tracing::info;

use super::{Roll, SessionError, Sessions};

impl Sessions {
    /// Ends those of the roll whose account was gone the last time already, which `missed` remembers: a database that is put
    /// back from a copy may be without its last rows for a moment.
    pub(super) async fn end_orphans(
        &self,
        roll: &Roll,
        missed: &mut BTreeSet<SessionId>,
    ) -> Result<(), SessionError> {
        // The books have taken all others in: who has a row has an owner.
        let booked = self.store.unended_sessions(None).await?;
        let booked: BTreeSet<SessionId> = booked.iter().map(|session| session.id).collect();
        let before = std::mem::take(missed);
        for entry in roll.live().filter(|entry| !booked.contains(&entry.session_id)) {
            if self.store.has_owner(entry.owner).await? {
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
        Ok(())
    }
}
