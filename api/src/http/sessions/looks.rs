//! What sessions show, and what they are in numbers.

use axum::Json;
use axum::extract::State;
use devpocket_shared::wire::ScreenFormat;
use devpocket_shared::wire::message::MAX_HISTORY_LINES;

use super::super::query::Parameters;
use super::asking::{Asking, PathSession};
use super::bodies;
use super::views::{CountView, HealthView, LinesView, OverviewView, ScreenView};
use crate::problem::Problem;
use crate::state::AppState;

/// Lines of scrollback unless asked for otherwise.
const LINES: u32 = 1000;

/// The screen now.
#[utoipa::path(get, path = "/{id}/screen", tag = "sessions", operation_id = "show_screen", params(bodies::SessionPath, bodies::ScreenQuery),
    responses(
        (status = 200, description = "The screen", body = ScreenView),
        (status = 410, description = "`screen_gone`: the session is over and its screen not kept"),
        (status = 422, description = "`screen_too_large`: it comes to more than 1 MiB in this format, without colours too"),
    ))]
pub(super) async fn screen(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    mut query: Parameters,
) -> Result<Json<ScreenView>, Problem> {
    let (format, word) = match query.text("format").as_deref() {
        None | Some("text") => (ScreenFormat::Text, "text"),
        Some("ansi") => (ScreenFormat::Ansi, "ansi"),
        Some("html") => (ScreenFormat::Html, "html"),
        Some("json") => (ScreenFormat::Json, "json"),
        Some(_) => {
            query.wrong("format", "must be text, ansi, html or json".to_owned());
            (ScreenFormat::Text, "text")
        }
    };
    query.done()?;
    let picture = state.sessions.screen(asking.caller(), id, format).await?;
    ScreenView::new(word, format, picture).map(Json)
}

/// Lines above the screen.
#[utoipa::path(get, path = "/{id}/scrollback", tag = "sessions", operation_id = "show_scrollback", params(bodies::SessionPath, bodies::LinesQuery),
    responses(
        (status = 200, description = "A page of lines", body = LinesView),
        (status = 410, description = "`screen_gone`: the session is over and its lines not kept"),
    ))]
pub(super) async fn scrollback(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
    mut query: Parameters,
) -> Result<Json<LinesView>, Problem> {
    let lines = query.number("lines", 1, MAX_HISTORY_LINES.into());
    let before = query.number("before_line", 0, i64::MAX).map(i64::unsigned_abs);
    query.done()?;
    let lines = lines.and_then(|lines| u32::try_from(lines).ok()).unwrap_or(LINES);
    let lines = state.sessions.scrollback(asking.caller(), id, before, lines).await?;
    Ok(Json(lines.into()))
}

/// How a session is, as its ptyd says.
#[utoipa::path(get, path = "/{id}/health", tag = "sessions", operation_id = "show_session_health", params(bodies::SessionPath),
    responses((status = 200, description = "How it is", body = HealthView)))]
pub(super) async fn health(
    State(state): State<AppState>,
    asking: Asking,
    PathSession(id): PathSession,
) -> Result<Json<HealthView>, Problem> {
    let health = state.sessions.health(asking.caller(), id).await?;
    Ok(Json(HealthView::from(&health)))
}

/// How many sessions live.
#[utoipa::path(get, path = "/active/count", tag = "sessions", operation_id = "count_sessions",
    responses((status = 200, description = "The counts", body = CountView)))]
pub(super) async fn count(State(state): State<AppState>, asking: Asking) -> Result<Json<CountView>, Problem> {
    let overview = state.sessions.overview(asking.caller()).await?;
    Ok(Json(CountView::from(&overview)))
}

/// The account's sessions in numbers.
#[utoipa::path(get, path = "/stats/overview", tag = "sessions", operation_id = "show_sessions_overview",
    responses((status = 200, description = "The figures", body = OverviewView)))]
pub(super) async fn overview(
    State(state): State<AppState>,
    asking: Asking,
) -> Result<Json<OverviewView>, Problem> {
    let overview = state.sessions.overview(asking.caller()).await?;
    Ok(Json(OverviewView::from(&overview)))
}
