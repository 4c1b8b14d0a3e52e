//! Ends that an operator noted in the books (`devpocket admin end-sessions`), carried out at the real sessions: by whichever
//! api runs, now or when one is started.

use std::collections::BTreeSet;
use std::time::Duration;

use devpocket_shared::ids::SessionId;
use devpocket_shared::wire::Request;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{SessionError, Sessions};

/// How often the books are asked.
const EVERY: Duration = Duration::from_secs(1);

impl Sessions {
    /// Looks for wishes again and again until `stop`.
    pub async fn carry_out_ends(&self, stop: CancellationToken) {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut failing) = (BTreeSet::new(), false);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            let Some(done) = stop.run_until_cancelled(self.end_wanted(&mut told)).await else { return };
            if let Err(err) = &done
                && !failing
            {
                // Told once for each time that something is away.
                warn!(err = %crate::chain(err), "sessions that an operator wants to end live on for now");
            }
            failing = done.is_err();
        }
    }

    /// Asks each wanted end of its ptyd, once: `told` are those that were asked for and have not ended yet. One that is
    /// not there, because it is being started or is lost, is asked for again until the books say that it ended.
    async fn end_wanted(&self, told: &mut BTreeSet<SessionId>) -> Result<(), SessionError> {
        let wanted = self.store.wanted_ends().await?;
        told.retain(|id| wanted.iter().any(|(_, wanted)| wanted == id));
        for (owner, id) in wanted {
            if told.contains(&id) {
                continue;
            }
            match self.ask("admin", &Request::Terminate { owner, session_id: id }).await {
                Ok(_) => {
                    info!(session.id = %id, "session {id} is ended by an operator");
                    told.insert(id);
                }
                Err(SessionError::NotFound | SessionError::Ended) => {}
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }
}
