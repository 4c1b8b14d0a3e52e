//! An export, written while its sessions are read, a page at a time: however many there are, one page is in memory. Knows no
//! database.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use devpocket_shared::ids::UserId;
use futures_util::stream;
use serde_json::Error as JsonError;
use tracing::warn;

use super::views::ExportView;
use crate::domain::sessions::{Caller, Further, SessionError, Sessions, Shown};
use crate::http::request::RequestId;
use crate::http::sessions::SessionView;
use crate::problem::Problem;

/// Sessions of one page; at about a kilobyte each.
const PAGE: i64 = 200;

/// Whose sessions are read, and where from.
pub(super) struct Reader {
    pub(super) sessions: Arc<Sessions>,
    pub(super) owner: UserId,
    pub(super) request_id: RequestId,
}

/// What is written next.
enum Next {
    Begin(String, Vec<Shown>, Option<Further>),
    After(Further),
    End,
    Nothing,
}

type Cut = Box<dyn Error + Send + Sync>;

impl Reader {
    /// The body of an export whose head is `export`, without sessions. What fails before anything is written is told; what
    /// fails later cuts the body short, which the client's HTTP notices.
    pub(super) async fn write(self, export: &ExportView) -> Result<Body, Problem> {
        let head = head(export).map_err(|err| Problem::internal(&err))?;
        let (page, further) = self.page(Further::default()).await?;
        let begun = (self, Next::Begin(head, page, further));
        Ok(Body::from_stream(stream::try_unfold(begun, |(reader, next)| async move {
            match reader.text_of(next).await {
                Ok(written) => Ok(written.map(|(text, next)| (text, (reader, next)))),
                Err(err) => {
                    warn!(error = &*err as &dyn Error, "an export was cut short: {err}");
                    Err(err)
                }
            }
        })))
    }

    async fn page(&self, from: Further) -> Result<(Vec<Shown>, Option<Further>), SessionError> {
        let caller = Caller { owner: self.owner, request_id: self.request_id.as_str() };
        self.sessions.list_known(caller, from, PAGE).await
    }

    async fn text_of(&self, next: Next) -> Result<Option<(String, Next)>, Cut> {
        let (mut text, page, further) = match next {
            Next::Begin(head, page, further) => (head, page, further),
            Next::After(further) => {
                let (page, further) = self.page(further).await?;
                (if page.is_empty() { String::new() } else { ",".to_owned() }, page, further)
            }
            Next::End => return Ok(Some((END.to_owned(), Next::Nothing))),
            Next::Nothing => return Ok(None),
        };
        text.push_str(&items(&page)?);
        Ok(Some((text, further.map_or(Next::End, Next::After))))
    }
}

/// How an export without sessions ends: they are its last field.
const END: &str = "]}";

fn head(export: &ExportView) -> Result<String, JsonError> {
    let mut text = serde_json::to_string(export)?;
    text.truncate(text.len().saturating_sub(END.len()));
    Ok(text)
}

/// Sessions as they stand between the brackets.
fn items(sessions: &[Shown]) -> Result<String, JsonError> {
    let views: Vec<SessionView> = sessions.iter().map(SessionView::from).collect();
    let text = serde_json::to_string(&views)?;
    Ok(text.trim_start_matches('[').strip_suffix(']').unwrap_or_default().to_owned())
}
