//! An account's sessions, asked of the ptyd that runs them.

use async_trait::async_trait;
use devpocket_shared::ids::UserId;
use devpocket_shared::wire::{Answer, Request, SessionInfo};

use super::{Link, LinkError};
use crate::domain::accounts::LiveSessions;

#[async_trait]
impl LiveSessions for Link {
    async fn list(&self, owner: UserId) -> Result<Vec<SessionInfo>, LinkError> {
        match self.request("list", &Request::List { owner }).await? {
            (Answer::Sessions(sessions), _) => Ok(sessions),
            _ => Err(LinkError::Closed),
        }
    }

    async fn end_all(&self, owner: UserId) -> Result<(), LinkError> {
        let live = self.list(owner).await?.into_iter().filter(|session| session.exit.is_none());
        for session in live {
            let request = Request::Terminate { owner, session_id: session.session_id };
            // Whatever it answers it was told; one that has ended meanwhile is not found.
            self.request("terminate", &request).await?;
        }
        Ok(())
    }
}
