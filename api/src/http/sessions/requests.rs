//! Bodies of `/api/sessions`, read field by field.

use std::time::Duration;

use devpocket_shared::ids::{SessionId, TerminalSize};
use devpocket_shared::wire::commands::MAX_TYPED_BYTES;
use devpocket_shared::wire::details::MAX_INPUT_BYTES;
use devpocket_shared::wire::{Change, Limits, Spec, Update};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::asking::{ListQuery, MAX_PAGE, PAGE};
use crate::domain::session::{Changes, Status};
use crate::domain::sessions::{BatchAction, NewSession, Wanted};
use crate::http::fields::Fields;
use crate::problem::Problem;
use crate::store::SessionFilter;

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 1000;
/// Longest text that is searched for, in characters.
const MAX_QUERY: usize = 200;
/// How long a command's end is waited for unless asked for otherwise, and at most, in seconds.
const COMMAND_SECS: u64 = 30;
const MAX_COMMAND_SECS: u64 = 300;
/// Most sessions of one batch.
const MAX_BATCH: usize = 100;
/// How long a session has to be quiet to be cleaned up, unless asked for otherwise, in seconds.
const INACTIVE_SECS: u64 = 86_400;

/// What `status` may be.
pub(super) const STATUS_WORDS: &str =
    "must be starting, active, detached, exited, failed, lost or terminated";

/// The sessions of a status by its word, which also pass `filter`.
pub(super) fn wanted(word: &str, filter: SessionFilter) -> Option<Wanted> {
    let attached = match word {
        "active" => true,
        "detached" => false,
        // What the books call a living session of either kind.
        "running" => return None,
        word => {
            let status = Some(Status::from_word(word)?);
            return Some(Wanted::Filtered(SessionFilter { status, ..filter }));
        }
    };
    Some(Wanted::Live { filter, attached })
}

pub(super) fn new_session(mut fields: Fields) -> Result<NewSession, Problem> {
    let ssh = fields.optional_text("ssh_profile_id", 64).is_some();
    match fields.optional_text("session_type", 32).as_deref() {
        None if !ssh => {}
        Some("local" | "terminal") => {}
        _ => fields.wrong("session_type", "invalid", "must be local"),
    }
    let spec = Spec {
        // Its length is looked at below, in bytes. An empty one is none: some clients send what nobody filled in.
        name: fields.optional_name("name", usize::MAX).filter(|name| !name.is_empty()),
        command: texts(&mut fields, "command"),
        working_directory: fields.optional_text("working_directory", Spec::MAX_PATH_BYTES),
        environment: variables(&mut fields),
        size: size_of(&mut fields, "terminal_size").unwrap_or(TerminalSize::DEFAULT),
    };
    if let Err(field) = spec.check() {
        fields.wrong(field, "out_of_range", bounds(field));
    }
    let limits = Limits {
        idle_timeout_secs: set(limit(&mut fields, "idle_timeout")),
        max_duration_secs: set(limit(&mut fields, "max_duration")),
    };
    let description = fields.optional_text("description", MAX_DESCRIPTION);
    fields.done()?;
    Ok(NewSession { spec, description, limits })
}

/// What a field of a session to make may be, for who went beyond it.
fn bounds(field: &str) -> String {
    let together = format!("{} bytes together, and no NUL", Spec::MAX_TEXT_BYTES);
    match field {
        "name" => format!("{}; without one, or an empty one, one is made", name_bounds()),
        "command" => {
            format!("has at most {} arguments of {together}; the first is not empty", Spec::MAX_ARGUMENTS)
        }
        "working_directory" => format!("has 1 to {} bytes, and no NUL", Spec::MAX_PATH_BYTES),
        "environment" => format!(
            "has at most {} variables of {together}; a name is not empty, has no = and is not DEVPOCKET_SESSION",
            Spec::MAX_VARIABLES
        ),
        _ => "is out of bounds".to_owned(),
    }
}

fn name_bounds() -> String {
    format!("has 1 to {} bytes, and no control characters", Spec::MAX_NAME_BYTES)
}

pub(super) fn changes(mut fields: Fields) -> Result<Changes, Problem> {
    let name = match text_change(&mut fields, "name", usize::MAX) {
        Change::Set(name) if name.is_empty() || !Spec::name_fits(&name) => {
            fields.wrong("name", "out_of_range", name_bounds());
            Change::Keep
        }
        Change::Clear => {
            fields.wrong("name", "invalid", "cannot be taken away");
            Change::Keep
        }
        change @ (Change::Keep | Change::Set(_)) => change,
    };
    let description = text_change(&mut fields, "description", MAX_DESCRIPTION);
    let update = Update {
        name,
        idle_timeout_secs: limit(&mut fields, "idle_timeout"),
        max_duration_secs: limit(&mut fields, "max_duration"),
        size: changed_size(&mut fields),
    };
    fields.done()?;
    Ok(Changes { update, description })
}

/// `terminal_size`, or `size`, which is another word for it.
fn changed_size(fields: &mut Fields) -> Option<TerminalSize> {
    let other = size_of(fields, "size");
    size_of(fields, "terminal_size").or(other)
}

pub(super) fn size(mut fields: Fields) -> Result<TerminalSize, Problem> {
    let side = |fields: &mut Fields, field| {
        let side = number(fields, field, 1, TerminalSize::MAX.into());
        if side == Change::Keep {
            fields.wrong(field, "missing", "is needed");
        }
        set(side).and_then(|side| u16::try_from(side).ok()).unwrap_or(0)
    };
    let (rows, cols) = (side(&mut fields, "rows"), side(&mut fields, "cols"));
    match TerminalSize::new(rows, cols) {
        Ok(size) => fields.done().map(|()| size),
        Err(_) => Err(fields.refused()),
    }
}

pub(super) fn input(mut fields: Fields) -> Result<String, Problem> {
    let data = fields.take("data");
    match data {
        Some(Value::String(text)) if text.len() <= MAX_INPUT_BYTES => return fields.done().map(|()| text),
        Some(Value::String(_)) => {
            fields.wrong("data", "too_long", format!("has at most {MAX_INPUT_BYTES} bytes"));
        }
        Some(_) => fields.wrong("data", "wrong_type", "must be text"),
        None => fields.wrong("data", "missing", "is needed"),
    }
    Err(fields.refused())
}

/// A command to type, and how long to wait for its end.
pub(super) fn command(mut fields: Fields) -> Result<(String, Duration), Problem> {
    let command = match fields.take("command") {
        Some(Value::String(text)) => text.replace("\r\n", "\n"),
        Some(Value::Null) | None => String::new(),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            fields.wrong("command", "wrong_type", "must be text");
            return Err(fields.refused());
        }
    };
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    if command.len() > MAX_TYPED_BYTES || command.contains(steers) {
        let message =
            format!("has at most {MAX_TYPED_BYTES} bytes, and no control characters but tabs and line ends");
        fields.wrong("command", "out_of_range", message);
    } else if command.trim().is_empty() {
        fields.wrong("command", "missing", "is needed");
    }
    let secs = set(number(&mut fields, "timeout", 1, MAX_COMMAND_SECS));
    fields.done()?;
    Ok((command, Duration::from_secs(secs.unwrap_or(COMMAND_SECS))))
}

pub(super) fn force(mut fields: Fields) -> Result<bool, Problem> {
    let force = flag(&mut fields, "force");
    fields.done()?;
    Ok(force)
}

/// An entry of a batch as it was sent, and its id, if it is one.
pub(super) type Named = (String, Option<SessionId>);

pub(super) fn batch(mut fields: Fields) -> Result<(BatchAction, Vec<Named>), Problem> {
    let force = flag(&mut fields, "force");
    let action = fields.parsed("action", 32, "must be terminate or delete", |word| match word {
        "terminate" if force => Some(BatchAction::Kill),
        "terminate" => Some(BatchAction::Terminate),
        "delete" => Some(BatchAction::Delete),
        _ => None,
    });
    let ids = texts(&mut fields, "session_ids");
    if ids.is_empty() || ids.len() > MAX_BATCH || ids.iter().any(String::is_empty) {
        fields.wrong("session_ids", "out_of_range", format!("names 1 to {MAX_BATCH} sessions"));
    }
    let Some(action) = action else { return Err(fields.refused()) };
    fields.done()?;
    let ids = ids.into_iter().map(|text| {
        let id = text.parse().ok();
        (text, id)
    });
    Ok((action, ids.collect()))
}

pub(super) fn inactive(mut fields: Fields) -> Result<time::Duration, Problem> {
    let bounds = Limits::IDLE_TIMEOUT_SECS;
    let secs = number(&mut fields, "inactive_for", (*bounds.start()).into(), (*bounds.end()).into());
    fields.done()?;
    let secs = set(secs).unwrap_or(INACTIVE_SECS);
    Ok(time::Duration::seconds(i64::try_from(secs).unwrap_or(i64::MAX)))
}

pub(super) fn search(mut fields: Fields) -> Result<ListQuery, Problem> {
    let text = fields.optional_text("query", MAX_QUERY).map(|text| text.to_lowercase());
    let filter = SessionFilter {
        live_only: flag(&mut fields, "active_only"),
        status: None,
        text: text.filter(|text| !text.is_empty()),
        created_after: when(&mut fields, "created_after"),
        created_before: when(&mut fields, "created_before"),
    };
    let wanted = match fields.optional_text("status", 32) {
        None => Some(Wanted::Filtered(filter)),
        Some(word) => wanted(&word, filter),
    };
    let page = |fields: &mut Fields, field, least, most| {
        set(number(fields, field, least, most)).and_then(|number| i64::try_from(number).ok())
    };
    let offset = page(&mut fields, "offset", 0, u64::MAX >> 1).unwrap_or(0);
    let limit = page(&mut fields, "limit", 1, MAX_PAGE.unsigned_abs()).unwrap_or(PAGE);
    // Other unknown fields are ignored, but an order or a selection that is not kept would be taken for one that is.
    for field in ["sort", "sort_by", "sort_order", "order", "order_by", "filter", "filters"] {
        if fields.take(field).is_some_and(|value| !value.is_null()) {
            fields.wrong(field, "unknown", "is no field of a search; what it finds is newest first");
        }
    }
    let Some(wanted) = wanted else {
        fields.wrong("status", "invalid", STATUS_WORDS);
        return Err(fields.refused());
    };
    fields.done()?;
    Ok(ListQuery { wanted, offset, limit })
}

fn when(fields: &mut Fields, field: &'static str) -> Option<OffsetDateTime> {
    fields.optional_parsed(field, 64, "must be a time as in RFC 3339", |text| {
        OffsetDateTime::parse(text, &Rfc3339).ok()
    })
}

fn flag(fields: &mut Fields, field: &'static str) -> bool {
    match fields.take(field) {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => value,
        Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            fields.wrong(field, "wrong_type", "must be true or false");
            false
        }
    }
}

/// A limit in seconds, within its own bounds.
fn limit(fields: &mut Fields, field: &'static str) -> Change<u32> {
    let bounds = if field == "idle_timeout" { Limits::IDLE_TIMEOUT_SECS } else { Limits::MAX_DURATION_SECS };
    match number(fields, field, (*bounds.start()).into(), (*bounds.end()).into()) {
        Change::Keep => Change::Keep,
        Change::Clear => Change::Clear,
        Change::Set(secs) => u32::try_from(secs).map_or(Change::Keep, Change::Set),
    }
}

/// A whole number within bounds; left out, or null.
fn number(fields: &mut Fields, field: &'static str, least: u64, most: u64) -> Change<u64> {
    match fields.take(field) {
        None => Change::Keep,
        Some(Value::Null) => Change::Clear,
        Some(value) => match whole(&value).filter(|number| (least..=most).contains(number)) {
            Some(number) => Change::Set(number),
            None => {
                let kind = if value.is_number() { "out_of_range" } else { "wrong_type" };
                fields.wrong(field, kind, format!("must be a whole number from {least} to {most}"));
                Change::Clear
            }
        },
    }
}

/// A whole number, also as some write it: to JSON Schema 24.0 is one.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        // What a double tells apart; larger ones are written without a point.
        let exact = 0.0..=9_007_199_254_740_992.0;
        let number = value.as_f64().filter(|number| number.fract() == 0.0 && exact.contains(number))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is whole and within bounds"
        )]
        Some(number as u64)
    })
}

fn text_change(fields: &mut Fields, field: &'static str, most: usize) -> Change<String> {
    match fields.take(field) {
        None => Change::Keep,
        Some(Value::Null) => Change::Clear,
        Some(Value::String(text)) if text.chars().count() <= most && !text.contains('\0') => {
            Change::Set(text)
        }
        Some(Value::String(_)) => {
            fields.wrong(field, "out_of_range", format!("has at most {most} characters, and no NUL"));
            Change::Keep
        }
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            fields.wrong(field, "wrong_type", "must be text");
            Change::Keep
        }
    }
}

fn texts(fields: &mut Fields, field: &'static str) -> Vec<String> {
    let list = match fields.take(field) {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Array(list)) => list,
        Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            fields.wrong(field, "wrong_type", "must be a list of texts");
            return Vec::new();
        }
    };
    let texts: Option<Vec<String>> = list.iter().map(|text| text.as_str().map(str::to_owned)).collect();
    if texts.is_none() {
        fields.wrong(field, "wrong_type", "must be a list of texts");
    }
    texts.unwrap_or_default()
}

fn variables(fields: &mut Fields) -> Vec<(String, String)> {
    let object = match fields.take("environment") {
        None | Some(Value::Null) => return Vec::new(),
        Some(Value::Object(object)) => object,
        Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            fields.wrong("environment", "wrong_type", "must be an object of texts");
            return Vec::new();
        }
    };
    let pairs = object.into_iter().map(|(name, value)| Some((name, value.as_str()?.to_owned())));
    let pairs: Option<Vec<_>> = pairs.collect();
    if pairs.is_none() {
        fields.wrong("environment", "wrong_type", "must be an object of texts");
    }
    pairs.unwrap_or_default()
}

fn size_of(fields: &mut Fields, field: &'static str) -> Option<TerminalSize> {
    let object = match fields.take(field) {
        None | Some(Value::Null) => return None,
        Some(Value::Object(object)) => object,
        Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            fields.wrong(field, "wrong_type", "must be an object with rows and cols");
            return None;
        }
    };
    let side = |name| object.get(name).and_then(whole).and_then(|side| u16::try_from(side).ok());
    let size = side("rows").zip(side("cols")).and_then(|(rows, cols)| TerminalSize::new(rows, cols).ok());
    if size.is_none() {
        let message = format!("rows and cols are whole numbers from 1 to {}", TerminalSize::MAX);
        fields.wrong(field, "out_of_range", message);
    }
    size
}

fn set<T>(change: Change<T>) -> Option<T> {
    match change {
        Change::Set(value) => Some(value),
        Change::Keep | Change::Clear => None,
    }
}
