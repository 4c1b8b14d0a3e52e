//! Sessions, as an operator sees and ends them. The end is noted in the database; an api, which can reach the session's
//! ptyd from wherever it runs, carries it out.

use std::time::Duration;

use devpocket_shared::ids::{NodeId, SessionId};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{AdminError, Outcome, Page, find_user, table, written};
use crate::store::{AdminStore, Database, Ending, ListedSession, NodeStore, Part, WishStore};

/// How often it is looked whether the sessions have ended.
const LOOK: Duration = Duration::from_millis(200);

/// `list-sessions`.
#[derive(clap::Args, Clone, Debug)]
pub struct ListSessions {
    /// Those of this account alone: name, mail address or id.
    #[arg(long)]
    user: Option<String>,
    /// Ended ones too.
    #[arg(long)]
    ended: bool,
    #[command(flatten)]
    page: Page,
}

/// `end-sessions`.
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "user", "all"]))]
pub struct EndSessions {
    /// These, by id.
    #[arg(value_name = "ID", conflicts_with_all = ["user", "all"])]
    ids: Vec<Uuid>,
    /// All of this account: name, mail address or id.
    #[arg(long, conflicts_with = "all")]
    user: Option<String>,
    /// All of everybody.
    #[arg(long)]
    all: bool,
    /// How many seconds to wait until they have ended; exit code 5 tells that not all had.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=3600))]
    wait: u64,
}

/// `forget-node`.
#[derive(clap::Args, Clone, Debug)]
pub struct ForgetNode {
    /// Its id, as sessions show it.
    id: Uuid,
}

pub(super) async fn list(database: &Database, args: &ListSessions) -> Result<Outcome, AdminError> {
    let owner = match &args.user {
        Some(name) => Some(find_user(database, name).await?.id),
        None => None,
    };
    let Page { offset, limit } = args.page;
    let (sessions, total) = database.list_sessions(owner, !args.ended, Part { offset, limit }).await?;
    let rows: Vec<[String; 5]> = sessions
        .iter()
        .map(|session| {
            [
                session.id.to_string(),
                session.username.clone(),
                session.status.as_str().to_owned(),
                written(session.created_at),
                session.name.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let sessions: Vec<Value> = sessions.iter().map(view).collect();
    Ok(Outcome::done(
        table(["ID", "USERNAME", "STATUS", "CREATED", "NAME"], &rows),
        json!({"sessions": sessions, "total": total, "offset": offset, "limit": limit}),
    ))
}

pub(super) async fn end(
    database: &Database,
    args: &EndSessions,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let noted = note(database, args, now).await?;
    let deadline = Instant::now() + Duration::from_secs(args.wait);
    let left = loop {
        let left: Vec<SessionId> = database
            .wanted_ends()
            .await?
            .into_iter()
            .map(|wanted| wanted.id)
            .filter(|id| noted.contains(id))
            .collect();
        if left.is_empty() || Instant::now() >= deadline {
            break left;
        }
        sleep(LOOK).await;
    };
    let ended: Vec<SessionId> = noted.into_iter().filter(|id| !left.contains(id)).collect();
    let mut text = format!("{} sessions have ended", ended.len());
    if !left.is_empty() {
        text.push_str(&format!(
            "; {} have not yet: an api ends them as soon as it reaches their node",
            left.len()
        ));
    }
    Ok(Outcome {
        text,
        complete: left.is_empty(),
        json: json!({"ended": uuids(&ended), "waiting": uuids(&left)}),
    })
}

async fn note(
    database: &Database,
    args: &EndSessions,
    now: OffsetDateTime,
) -> Result<Vec<SessionId>, AdminError> {
    if let Some(name) = &args.user {
        let owner = find_user(database, name).await?.id;
        return Ok(database.want_end(Ending::Of(owner), now).await?);
    }
    if args.all {
        return Ok(database.want_end(Ending::All, now).await?);
    }
    // All of them or none: a mistyped id is seen before anything is ended.
    for id in &args.ids {
        if !database.has_session(SessionId::new(*id)).await? {
            return Err(AdminError::NotFound { kind: "session", name: id.to_string() });
        }
    }
    let mut noted = Vec::new();
    for id in &args.ids {
        noted.extend(database.want_end(Ending::One(SessionId::new(*id)), now).await?);
    }
    Ok(noted)
}

pub(super) async fn forget_node(
    database: &Database,
    args: &ForgetNode,
    now: OffsetDateTime,
) -> Result<Outcome, AdminError> {
    let message = "its node is gone, an operator said";
    let lost = database.forget_node(NodeId::new(args.id), message, now).await?;
    let lost = lost.ok_or_else(|| AdminError::NotFound { kind: "node", name: args.id.to_string() })?;
    Ok(Outcome::done(
        format!("node {} is forgotten, and {lost} sessions are lost with it", args.id),
        json!({"node": args.id, "lost": lost}),
    ))
}

fn view(session: &ListedSession) -> Value {
    json!({
        "id": session.id.uuid(),
        "username": session.username,
        "name": session.name,
        "status": session.status.as_str(),
        "created_at": written(session.created_at),
        "ended_at": session.ended_at.map(written),
        "end_wanted": session.end_wanted,
    })
}

fn uuids(ids: &[SessionId]) -> Vec<Uuid> {
    ids.iter().map(|id| id.uuid()).collect()
}
