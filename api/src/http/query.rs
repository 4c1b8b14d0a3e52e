//! Reads a query's parameters one by one and remembers all that is wrong with them. Knows no particular request.

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::problem::{FieldError, Problem};

/// Longest name of an unknown parameter that is said back.
const MAX_NAME: usize = 64;

/// The parameters of a request's query, each once. Call [`Parameters::done`] after the last was read: those that nobody
/// asked for are wrong.
pub(super) struct Parameters {
    values: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(values) = query.map_err(|_| Problem::of_status(StatusCode::BAD_REQUEST))?;
        Ok(Self { values, known: Vec::new(), errors: Vec::new() })
    }
}

impl Parameters {
    /// A parameter, unless it is left out.
    pub(super) fn text(&mut self, field: &'static str) -> Option<String> {
        self.known.push(field);
        let mut given = self.values.iter().filter(|(name, _)| name == field);
        let text = given.next().map(|(_, text)| text.clone());
        if given.next().is_some() {
            let message = "is given more than once".to_owned();
            self.errors.push(FieldError { field: field.into(), code: "repeated", message });
        }
        text
    }

    /// A number from `least` to `most`, unless it is left out.
    pub(super) fn number(&mut self, field: &'static str, least: i64, most: i64) -> Option<i64> {
        let number = self.text(field)?.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.wrong(field, format!("must be a number from {least} to {most}"));
        }
        number
    }

    /// True or false; false if it is left out.
    pub(super) fn flag(&mut self, field: &'static str) -> bool {
        match self.text(field).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => {
                self.wrong(field, "must be true or false".to_owned());
                false
            }
        }
    }

    /// Remembers what is wrong with a parameter.
    pub(super) fn wrong(&mut self, field: &'static str, message: String) {
        self.errors.push(FieldError { field: field.into(), code: "out_of_range", message });
    }

    /// 422 with everything that was wrong, if anything was: what is not understood would be taken for what is.
    pub(super) fn done(mut self) -> Result<(), Problem> {
        let mut unknown: Vec<&str> = self.values.iter().map(|(name, _)| name.as_str()).collect();
        unknown.retain(|name| !self.known.contains(name));
        unknown.sort_unstable();
        unknown.dedup();
        for name in unknown {
            let is_word = name.len() <= MAX_NAME
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let field = if is_word { name.to_owned() } else { "query".to_owned() };
            let message = "is no parameter of this call".to_owned();
            self.errors.push(FieldError { field: field.into(), code: "unknown", message });
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::invalid_fields(self.errors)) }
    }
}
