//! Reads a body's fields one by one and remembers all that is wrong with them. Knows no particular request.
//!
//! By hand rather than by derive: serde stops at the first error, and its messages repeat what was sent.

use std::fmt;

use axum::Form;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{body, numbers};
use crate::domain::user::is_shown_as_it_is;
use crate::problem::{FieldError, Problem};

/// What serde_json says of a number beyond all of its types; it has no kind of its own for it.
const TOO_LARGE: &str = "number out of range";
/// The media type of bodies.
const JSON: &str = "application/json";

/// The fields of a JSON object.
pub struct Fields {
    values: Map<String, Value>,
    errors: Vec<FieldError>,
    /// Some number in them is another one than was sent.
    has_rounded: bool,
}

/// Without the values: passwords and tokens are among them.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values.keys()).finish()
    }
}

/// The fields of a JSON object, or none where no body was sent.
#[derive(Debug)]
pub struct OptionalFields(pub Fields);

/// The fields of a JSON object or of a form.
#[derive(Debug)]
pub struct FormOrJson(pub Fields);

impl Fields {
    /// Text that must be there, of at most `most` characters. What is wrong is remembered; see [`Fields::done`].
    pub fn text(&mut self, field: &'static str, most: usize) -> String {
        let text = self.optional_text(field, most);
        if text.is_none() && !self.errors.iter().any(|err| err.field == field) {
            self.wrong(field, "missing", "is needed");
        }
        text.unwrap_or_default()
    }

    /// Text that may be left out or null.
    pub fn optional_text(&mut self, field: &'static str, most: usize) -> Option<String> {
        match self.values.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.contains('\0') => {
                // PostgreSQL's text holds none.
                self.wrong(field, "invalid", "must not hold a NUL");
                None
            }
            Some(Value::String(text)) if text.chars().count() <= most => Some(text),
            Some(Value::String(_)) => {
                self.wrong(field, "too_long", format!("has at most {most} characters"));
                None
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.wrong(field, "wrong_type", "must be text");
                None
            }
        }
    }

    /// A name for people that may be left out or null: text without control characters, which would steer a terminal that
    /// shows it.
    pub fn optional_name(&mut self, field: &'static str, most: usize) -> Option<String> {
        let name = self.optional_text(field, most)?;
        if name.contains(char::is_control) {
            self.wrong(field, "invalid", "must not hold control characters");
            return None;
        }
        Some(name)
    }

    /// A name of a person or a device, which stands where others are listed ([`is_shown_as_it_is`]), or left out.
    pub fn optional_display_name(&mut self, field: &'static str, most: usize) -> Option<String> {
        let name = self.optional_text(field, most)?;
        if !is_shown_as_it_is(&name) {
            self.wrong(field, "invalid", "must not hold characters that control or turn text");
            return None;
        }
        Some(name)
    }

    /// Such a name, of which null means something other than its absence: `None` is absent, `Some(None)` is null.
    pub fn nullable_display_name(&mut self, field: &'static str, most: usize) -> Option<Option<String>> {
        match self.values.get(field) {
            None => None,
            Some(Value::Null) => Some(None),
            Some(_) => self.optional_display_name(field, most).map(Some),
        }
    }

    /// True or false, or left out.
    pub fn optional_bool(&mut self, field: &'static str) -> Option<bool> {
        match self.values.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(value)) => Some(value),
            Some(Value::String(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                self.wrong(field, "wrong_type", "must be true or false");
                None
            }
        }
    }

    /// A JSON object of at most `most` bytes that is kept as it was sent, or left out.
    pub fn optional_object(&mut self, field: &'static str, most: usize) -> Option<Map<String, Value>> {
        match self.values.remove(field) {
            None | Some(Value::Null) => None,
            Some(Value::Object(object)) => {
                // As it is written to storage.
                let object = Value::Object(object);
                if object.to_string().len() > most {
                    self.wrong(field, "too_long", format!("has at most {most} bytes"));
                    return None;
                }
                if self.has_rounded && numbers::may_be_rounded(&object) {
                    self.wrong(field, "out_of_range", "holds a whole number beyond 64 bits");
                    return None;
                }
                if let Value::Object(object) = object { Some(object) } else { None }
            }
            Some(Value::String(_) | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
                self.wrong(field, "wrong_type", "must be an object");
                None
            }
        }
    }

    /// A secret text that must be there.
    pub fn secret(&mut self, field: &'static str, most: usize) -> SecretString {
        self.text(field, most).into()
    }

    /// Text that must be there and be understood by `parse`, which is told what it should be.
    pub fn parsed<T>(
        &mut self,
        field: &'static str,
        most: usize,
        should_be: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let before = self.errors.len();
        let text = self.text(field, most);
        let parsed = if self.errors.len() == before { parse(&text) } else { return None };
        if parsed.is_none() {
            self.wrong(field, "invalid", should_be);
        }
        parsed
    }

    /// Text that may be left out, but must be understood by `parse` if it is there.
    pub fn optional_parsed<T>(
        &mut self,
        field: &'static str,
        most: usize,
        should_be: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.optional_text(field, most)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.wrong(field, "invalid", should_be);
        }
        parsed
    }

    /// 422 with everything that was wrong, if anything was. Call it after the last field.
    pub fn done(self) -> Result<(), Problem> {
        if self.errors.is_empty() { Ok(()) } else { Err(self.refused()) }
    }

    /// The 422 of [`Fields::done`], for who knows that something was wrong.
    pub fn refused(self) -> Problem {
        Problem::invalid_fields(self.errors)
    }

    /// A field as it was sent; none: it was left out. What is wrong with it is for [`Fields::wrong`].
    pub fn take(&mut self, field: &'static str) -> Option<Value> {
        self.values.remove(field)
    }

    /// Remembers what is wrong with a field.
    pub fn wrong(&mut self, field: &'static str, code: &'static str, message: impl Into<String>) {
        self.errors.push(FieldError { field: field.into(), code, message: message.into() });
    }

    fn of_json(body: &[u8]) -> Result<Self, Problem> {
        match serde_json::from_slice(body) {
            Ok(Value::Object(values)) => {
                Ok(Self { values, errors: Vec::new(), has_rounded: numbers::are_rounded(body) })
            }
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Err(Problem::new(status, "invalid_fields", "The body must be a JSON object"))
            }
            // It is JSON (RFC 8259 section 6), of which we can take less than it may hold.
            Err(err) if err.to_string().starts_with(TOO_LARGE) => Err(too_large()),
            Err(err) => {
                let (line, column) = (err.line(), err.column());
                let detail =
                    format!("what stands at line {line}, column {column} is not JSON, or nested too deeply");
                let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed_json", "The body is not JSON");
                Err(problem.with_detail(detail))
            }
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        match media_type(&request).as_deref() {
            Some(JSON) => Self::of_json(&body(request).await?),
            _ => Err(unsupported()),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalFields {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let kind = media_type(&request);
        let has_kind = request.headers().contains_key(CONTENT_TYPE);
        let content = body(request).await?;
        match kind.as_deref() {
            // Clients name the kind of what they leave out, too.
            _ if content.is_empty() && (!has_kind || kind.as_deref() == Some(JSON)) => {
                Ok(Self(Fields { values: Map::new(), errors: Vec::new(), has_rounded: false }))
            }
            Some(JSON) => Fields::of_json(&content).map(Self),
            _ => Err(unsupported()),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for FormOrJson {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match media_type(&request).as_deref() {
            Some("application/x-www-form-urlencoded") => {
                let (parts, sent) = request.into_parts();
                let content = body::whole(&parts.headers, sent).await?;
                let request = Request::from_parts(parts, content.into());
                let form = Form::<Vec<(String, String)>>::from_request(request, state).await;
                let Form(pairs) = form.map_err(|rejection| Problem::of_status(rejection.status()))?;
                let values = pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
                Ok(Self(Fields { values, errors: Vec::new(), has_rounded: false }))
            }
            _ => Fields::from_request(request, state).await.map(Self),
        }
    }
}

fn too_large() -> Problem {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    Problem::new(status, "invalid_fields", "A number in the body is too large")
        .with_detail("no number is beyond what a double holds")
}

fn unsupported() -> Problem {
    Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail("send application/json")
}

fn media_type(request: &Request) -> Option<String> {
    let text = request.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next()?.trim().to_ascii_lowercase())
}

async fn body(request: Request) -> Result<Bytes, Problem> {
    let (parts, body) = request.into_parts();
    body::whole(&parts.headers, body).await
}
