//! An account's sessions, asked of the ptyd that runs them.

use async_trait::async_trait;
use devpocket_shared::ids::{NodeId, UserId};
use devpocket_shared::wire::{Answer, Request};

use super::{Link, LinkError};
use crate::domain::accounts::LiveSessions;

#[async_trait]
impl LiveSessions for Link {
    async fn end_all(&self, owner: UserId) -> Result<Option<NodeId>, LinkError> {
        if !self.answers().await {
            return Err(LinkError::Away);
        }
        let (Answer::Sessions(sessions), stream) = self.request("list", &Request::List { owner }).await?
        else {
            return Err(LinkError::Closed);
        };
        for session in sessions.into_iter().filter(|session| session.exit.is_none()) {
            let request = Request::Terminate { owner, session_id: session.session_id };
            // Whatever it answers it was told; one that has ended meanwhile is not found.
            self.request("terminate", &request).await?;
        }
        Ok(stream.node_id)
    }
}
