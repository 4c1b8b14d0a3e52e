//! Ends that are noted in the books, carried out at the real sessions by whichever api reaches their node, now or when one is
//! started: an operator's (`devpocket admin end-sessions`), an owner's whose session's node could not be reached, and those of accounts that
//! were deleted.

use std::collections::BTreeSet;
use std::time::Duration;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::Request;
use time::OffsetDateTime;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Roll, SessionError, Sessions};
use crate::store::WantedEnd;

/// How often the books are asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long a session of which no node is known may turn up: longer than any request for one is tried.
const MAY_TURN_UP: time::Duration = time::Duration::hours(1);
/// How long whoever asked what a node has, before a session there was deleted, may still be about to enter it: longer than any
/// look at a node takes.
const MAY_BE_ENTERED: time::Duration = time::Duration::minutes(1);

impl Sessions {
    /// Looks for wishes again and again until `stop`.
    pub async fn carry_out_ends(&self, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut told_gone, mut failing) = (BTreeSet::new(), BTreeSet::new(), false);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let doing = async {
                self.end_wanted(&mut told).await?;
                self.end_gone(&mut told_gone).await
            };
            let Some(done) = stop.run_until_cancelled(doing).await else { return };
            if let Err(err) = &done
                && !failing
            {
                // Told once for each time that something is away.
                warn!(err = %crate::chain(err), "sessions that are to end live on for now");
            }
            failing = done.is_err();
        }
    }

    /// Asks each wanted end of its ptyd, once: `told` are those that were asked for and have not ended yet. One that is
    /// not there, because it is being started or is lost, is asked for again until the books say that it ended. What is on
    /// another api's node, or on one that is away, is not asked of the node here.
    pub(crate) async fn end_wanted(&self, told: &mut BTreeSet<SessionId>) -> Result<(), SessionError> {
        let wanted = self.store.wanted_ends().await?;
        told.retain(|id| wanted.iter().any(|wanted| wanted.id == *id));
        for WantedEnd { owner, id, node } in wanted {
            if self.is_elsewhere(node) || told.contains(&id) {
                continue;
            }
            match self.ask("admin", &Request::Terminate { owner, session_id: id }).await {
                Ok(_) => {
                    info!(session.id = %id, "session {id} is ended, as was noted");
                    told.insert(id);
                }
                Err(SessionError::NotFound | SessionError::Ended) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    /// Ends and forgets what its owner deleted while the node of this roll could not be told, and takes it off the roll. The
    /// books take in nothing that is noted so.
    pub(super) async fn discard_unwanted(
        &self,
        roll: &mut Roll,
        now: OffsetDateTime,
    ) -> Result<(), SessionError> {
        let Some(node) = roll.node else { return Ok(()) };
        for unwanted in self.store.unwanted_sessions(node).await? {
            let WantedEnd { owner, id, .. } = unwanted;
            if roll.sessions.remove(&id).is_none() {
                continue;
            }
            match self.ask("books", &Request::Discard { owner, session_id: id }).await {
                Ok(_) => {
                    info!(session.id = %id, "session {id} is ended: it was deleted while its node was away")
                }
                Err(SessionError::NotFound | SessionError::Ended) => {}
                Err(err) => return Err(err),
            }
            // Others may have it on their rolls too.
            self.store.note_unwanted(unwanted, now).await?;
        }
        Ok(self.store.forget_unwanted(node, now - MAY_BE_ENTERED, now - MAY_TURN_UP).await?)
    }
}
