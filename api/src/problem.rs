//! The one shape of every HTTP error: RFC 9457 problem+json (API.md section 1), and the only place that knows which
//! failure has which status.

mod details;
mod sessions;

use std::borrow::Cow;
use std::error::Error;

use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::{error, warn};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::accounts::AccountError;
use crate::domain::identity::AuthError;
use crate::domain::limits::Counted;
use crate::domain::password::PasswordError;
use crate::http::limit::too_many;
use crate::link::LinkError;
use crate::store::StoreError;

/// Seconds after which a request may be tried again when something of ours is down or busy.
pub(crate) const RETRY_SECS: u64 = 2;

/// An error as a client gets it. `http::request` puts the request's id in and writes the body.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: String,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after_secs: Option<u64>,
    refused: Option<Box<Counted>>,
}

/// What is wrong with one field of a body; never says what was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// Its name.
    #[schema(value_type = String)]
    pub field: Cow<'static, str>,
    /// A stable word.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

/// An error, as RFC 9457 has it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct Body<'a> {
    /// `urn:devpocket:problem:` and the code.
    r#type: String,
    /// For people.
    title: &'a str,
    status: u16,
    /// For people: what is wrong in this case, or what can be done about it.
    detail: &'a str,
    /// A stable word.
    #[schema(pattern = "^[a-z_]+$")]
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<FieldError>)]
    errors: &'a [FieldError],
    /// As in `X-Request-ID`.
    request_id: &'a str,
    /// For clients of the older shape.
    error: OlderError<'a>,
}

/// An error, for clients of the older shape.
#[derive(Serialize, ToSchema)]
#[schema(as = OlderError)]
struct OlderError<'a> {
    code: u16,
    message: &'a str,
    r#type: &'a str,
}

/// The schemas of a problem and its parts, by name.
pub(crate) fn schemas() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = vec![(Body::name().into_owned(), Body::schema())];
    Body::schemas(&mut schemas);
    schemas
}

impl Problem {
    /// A problem with its status, its stable snake_case code and a title for people.
    pub fn new(status: StatusCode, code: &'static str, title: impl Into<String>) -> Self {
        let (title, errors) = (title.into(), Vec::new());
        Self { status, code, title, detail: None, errors, retry_after_secs: None, refused: None }
    }

    /// The problem of a status that came without one: from the router, the server or a middleware.
    pub fn of_status(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::BAD_REQUEST => "bad_request",
            StatusCode::UNAUTHORIZED => "not_authenticated",
            StatusCode::FORBIDDEN => "not_allowed",
            StatusCode::NOT_FOUND => "not_found",
            StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
            StatusCode::REQUEST_TIMEOUT => "request_timeout",
            StatusCode::PAYLOAD_TOO_LARGE => "payload_too_large",
            StatusCode::URI_TOO_LONG => "uri_too_long",
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "headers_too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
            StatusCode::UNPROCESSABLE_ENTITY => "invalid_fields",
            StatusCode::TOO_MANY_REQUESTS => "rate_limited",
            StatusCode::UPGRADE_REQUIRED => "upgrade_required",
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            status if status.is_server_error() => "internal",
            _ => "request_failed",
        };
        Self::new(status, code, status.canonical_reason().unwrap_or("Request failed"))
    }

    /// Our fault: the cause goes to the log, never to the client.
    pub fn internal(cause: &(dyn Error + 'static)) -> Self {
        error!("request failed: {}", crate::chain(cause));
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    /// Something we need is away or busy; the same request may succeed soon.
    pub fn unavailable(code: &'static str, cause: &(dyn Error + 'static)) -> Self {
        warn!("request refused: {}", crate::chain(cause));
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "Not available now, please try again")
            .with_retry_after(RETRY_SECS)
    }

    /// The body's fields are not what they should be.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let detail =
            errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect::<Vec<_>>().join("; ");
        let problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", "Some fields are not valid");
        Self { errors, ..problem }.with_detail(detail)
    }

    /// A field is needed, as it turned out after all of them were read.
    pub fn missing_field(field: &'static str) -> Self {
        Self::invalid_fields(vec![FieldError {
            field: field.into(),
            code: "missing",
            message: "is needed".to_owned(),
        }])
    }

    /// Says more, for people.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn with_retry_after(mut self, secs: u64) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    /// Says which bucket had no unit left, and when to try again.
    #[must_use]
    pub fn with_refused(self, refused: Counted) -> Self {
        Self { refused: Some(Box::new(refused)), ..self }.with_retry_after(refused.retry_after_secs())
    }

    /// Which bucket had no unit left.
    pub fn refused(&self) -> Option<Counted> {
        self.refused.as_deref().copied()
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its stable word.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The whole answer to the request of this id.
    pub(crate) fn respond(&self, request_id: &str) -> Response {
        let body = Body {
            r#type: format!("urn:devpocket:problem:{}", self.code),
            title: &self.title,
            status: self.status.as_u16(),
            detail: self.detail.as_deref().unwrap_or_else(|| details::of(self.code, self.status)),
            code: self.code,
            errors: &self.errors,
            request_id,
            error: OlderError {
                code: self.status.as_u16(),
                message: self.detail.as_deref().unwrap_or(&self.title),
                r#type: self.code,
            },
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(secs) = self.retry_after_secs {
            headers.insert(RETRY_AFTER, secs.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What is still to come of such a request is not read.
        if [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::REQUEST_TIMEOUT].contains(&self.status) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        (self.status, headers, text).into_response()
    }
}

impl IntoResponse for Problem {
    /// Leaves the body to the request middleware, which knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<AuthError> for Problem {
    fn from(err: AuthError) -> Self {
        let unauthorized = |code, title| Self::new(StatusCode::UNAUTHORIZED, code, title);
        match err {
            AuthError::Invalid => unauthorized("token_invalid", "The token is not valid"),
            AuthError::Expired => unauthorized("token_expired", "The token has expired"),
            AuthError::SignedOut => unauthorized("token_revoked", "This device is signed out"),
            AuthError::Busy => Self::unavailable("tickets_busy", &err),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(err: StoreError) -> Self {
        match err {
            StoreError::Unavailable(_) => Self::unavailable("database_unavailable", &err),
            StoreError::Failed(_) | StoreError::Migrate(_) | StoreError::Outdated => Self::internal(&err),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(err: AccountError) -> Self {
        match err {
            AccountError::RegistrationClosed => Self::new(
                StatusCode::FORBIDDEN,
                "registration_closed",
                "Registration is closed on this server",
            ),
            AccountError::WeakPassword(weakness) => {
                Self::new(StatusCode::BAD_REQUEST, "weak_password", "The password is too weak")
                    .with_detail(weakness)
            }
            AccountError::EmailTaken => {
                Self::new(StatusCode::BAD_REQUEST, "email_taken", "An account with this email exists")
            }
            AccountError::UsernameTaken => {
                Self::new(StatusCode::BAD_REQUEST, "username_taken", "An account with this username exists")
            }
            AccountError::WrongPassword => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid_credentials", "Unknown name or wrong password")
            }
            // Not 401: the token is good, and a client would refresh it and try again.
            AccountError::WrongCurrentPassword => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_password", "The current password is wrong")
            }
            AccountError::CurrentPasswordMissing => Self::missing_field("password"),
            AccountError::Disabled => {
                Self::new(StatusCode::FORBIDDEN, "account_disabled", "This account is disabled")
            }
            AccountError::EmailUnverified => Self::new(
                StatusCode::FORBIDDEN,
                "email_unverified",
                "Confirm your email address first, by the link in the mail",
            ),
            AccountError::LinkRefused => {
                Self::new(StatusCode::BAD_REQUEST, "link_invalid", "The link is wrong, used or too old")
            }
            AccountError::MailBusy => Self::unavailable("busy", &err),
            AccountError::TooMany(refused) => too_many(refused),
            AccountError::UnknownDevice => Self::of_status(StatusCode::NOT_FOUND),
            AccountError::Auth(err) => err.into(),
            AccountError::Locked { retry_after_secs } => {
                Self::new(StatusCode::LOCKED, "account_locked", "Too many wrong passwords, please wait")
                    .with_retry_after(retry_after_secs)
            }
            AccountError::RefreshRefused => {
                Self::new(StatusCode::UNAUTHORIZED, "token_invalid", "The refresh token is not valid")
            }
            AccountError::RefreshReused => Self::new(
                StatusCode::UNAUTHORIZED,
                "token_reused",
                "The refresh token was used before; this device is signed out",
            ),
            AccountError::FirstRunRefused => Self::new(
                StatusCode::UNAUTHORIZED,
                "token_invalid",
                "The first-run link is wrong, used or too old; a restart prints a new one",
            ),
            AccountError::OwnerRegistered => Self::new(
                StatusCode::CONFLICT,
                "owner_registered",
                "Somebody registered as this server's owner before the link was used. If it was you, sign in with that \
                 password; if not, somebody else on this machine has taken the server: start over with an empty DATA_DIR",
            ),
            AccountError::Password(PasswordError::Busy) => Self::unavailable("busy", &err),
            AccountError::Password(
                PasswordError::Hash(_) | PasswordError::Thread(_) | PasswordError::Died,
            )
            | AccountError::Randomness(_)
            | AccountError::Signing(_) => Self::internal(&err),
            AccountError::Store(err) => err.into(),
        }
    }
}

impl From<LinkError> for Problem {
    fn from(err: LinkError) -> Self {
        Self::unavailable("node_unavailable", &err)
    }
}
