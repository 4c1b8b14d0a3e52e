//! Bodies and queries of `/api/sessions` as the OpenAPI document shows them. What is read of them is in `requests`, `asking`
//! and `looks`, field by field; that they agree is tested over the document (`http::tests::document`).
#![expect(dead_code, reason = "only their descriptions are used")]

use std::collections::HashMap;

use utoipa::openapi::schema::{Array, ArrayBuilder};
use utoipa::openapi::{ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::views::Size;
use crate::http::openapi::optional_time;

/// A session to start.
#[derive(ToSchema)]
pub(super) struct NewSession {
    /// At most 256 bytes, and no other living session's; one is made if there is none, or an empty one.
    #[schema(max_length = 256, pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$")]
    name: Option<String>,
    #[schema(schema_with = super::views::session_type_asked)]
    session_type: Option<String>,
    /// Program and arguments, at most 64 KiB together; none: the login shell.
    #[schema(max_items = 256)]
    command: Option<Vec<String>>,
    /// Where it starts; none: the home directory. At most 4096 bytes.
    #[schema(min_length = 1, max_length = 4096)]
    working_directory: Option<String>,
    /// Added to its environment: at most 256 variables, 64 KiB together. Never shown again.
    environment: Option<HashMap<String, String>>,
    /// 24 rows of 80 columns, unless given.
    terminal_size: Option<Size>,
    /// Seconds without a client and without output after which it is ended.
    #[schema(minimum = 60, maximum = 604_800)]
    idle_timeout: Option<u32>,
    /// Seconds after which it is ended.
    #[schema(minimum = 1, maximum = 315_360_000)]
    max_duration: Option<u32>,
    #[schema(max_length = 1000)]
    description: Option<String>,
}

/// What to change; what is left out stays, null takes away.
#[derive(ToSchema)]
pub(super) struct SessionChange {
    /// At most 256 bytes, and no other living session's.
    #[schema(
        min_length = 1,
        max_length = 256,
        nullable = false,
        pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
    )]
    name: Option<String>,
    #[schema(max_length = 1000)]
    description: Option<String>,
    /// Seconds without a client and without output after which it is ended.
    #[schema(minimum = 60, maximum = 604_800)]
    idle_timeout: Option<u32>,
    /// Seconds from its creation after which it is ended.
    #[schema(minimum = 1, maximum = 315_360_000)]
    max_duration: Option<u32>,
    terminal_size: Option<Size>,
    /// Another word for `terminal_size`, which counts where both are given.
    size: Option<Size>,
}

/// How to end it.
#[derive(ToSchema)]
pub(super) struct Termination {
    /// At once, instead of five seconds after a hangup.
    force: Option<bool>,
}

/// What to type.
#[derive(ToSchema)]
pub(super) struct Input {
    /// At most 256 KiB.
    #[schema(max_length = 262_144)]
    data: String,
}

/// A command to type.
#[derive(ToSchema)]
pub(super) struct NewCommand {
    /// At most 16 KiB, and no control characters but tabs and line ends.
    #[schema(
        min_length = 1,
        max_length = 16_384,
        pattern = "^([^\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f]|\\r\\n)*$"
    )]
    command: String,
    /// Seconds to wait for its end.
    #[schema(minimum = 1, maximum = 300, default = 30)]
    timeout: Option<u32>,
}

/// What to do with which sessions.
#[derive(ToSchema)]
pub(super) struct Batch {
    action: Action,
    /// Their ids. What is none names no session.
    #[schema(schema_with = ids)]
    session_ids: Vec<String>,
    /// Terminates at once.
    force: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(super) enum Action {
    Terminate,
    Delete,
}

/// Which sessions are inactive.
#[derive(ToSchema)]
pub(super) struct Cleanup {
    /// Seconds without a client and without output; a day, unless given.
    #[schema(minimum = 60, maximum = 604_800)]
    inactive_for: Option<u32>,
}

/// Which sessions are asked for.
#[derive(ToSchema)]
pub(super) struct Search {
    /// In name, description, command or title, whatever its case.
    #[schema(max_length = 200)]
    query: Option<String>,
    #[schema(schema_with = super::views::status_asked)]
    status: Option<String>,
    /// Living ones alone.
    active_only: Option<bool>,
    #[schema(schema_with = optional_time)]
    created_after: Option<String>,
    #[schema(schema_with = optional_time)]
    created_before: Option<String>,
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807i64, default = 0)]
    offset: Option<i64>,
    #[schema(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
}

fn ids() -> Array {
    let id = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).build();
    ArrayBuilder::new().items(id).min_items(Some(1)).max_items(Some(100)).build()
}

/// The session.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct SessionPath {
    /// The session.
    id: Uuid,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    #[param(schema_with = super::views::status_shown)]
    status: Option<String>,
    /// Living ones alone.
    active_only: Option<bool>,
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807i64, default = 0)]
    offset: Option<i64>,
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<i64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ScreenQuery {
    #[param(schema_with = super::views::screen_format)]
    format: Option<String>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LinesQuery {
    /// At most so many.
    #[param(minimum = 1, maximum = 5000, default = 1000)]
    lines: Option<u32>,
    /// Lines that end before this one; none: the last.
    #[param(minimum = 0, maximum = 9_223_372_036_854_775_807i64)]
    before_line: Option<u64>,
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CommandsQuery {
    #[param(minimum = 0, maximum = 4_294_967_295i64, default = 0)]
    offset: Option<u32>,
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: Option<u32>,
}
