//! The answers that an operation has by what it takes: who asks, a body, a query, an id; and the headers of all. Operations
//! name those of their own.

use axum::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{ContentBuilder, Header, ObjectBuilder, OpenApi, PathItem, Ref, RefOr, Response, Type};

use crate::problem;

const PROBLEM: &str = "application/problem+json";

/// Headers, by the name they have among the components.
const HEADERS: [(&str, Type, &str); 8] = [
    ("X-Request-ID", Type::String, "Names this request in logs"),
    (
        "RateLimit",
        Type::String,
        "What is left: `\"general\";r=59;t=1` (draft-ietf-httpapi-ratelimit-headers)",
    ),
    ("RateLimit-Policy", Type::String, "What there is: `\"general\";q=60;w=60`"),
    ("X-RateLimit-Limit", Type::Integer, "Requests there are in a minute"),
    ("X-RateLimit-Remaining", Type::Integer, "Requests that are left"),
    ("X-RateLimit-Reset", Type::Integer, "When all are there again, in seconds since 1970"),
    ("Retry-After", Type::Integer, "Seconds to wait"),
    ("WWW-Authenticate", Type::String, "`Bearer`"),
];

/// Gives every operation the answers and headers it has without saying so.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        let kind = Kind {
            refusable: path != "/health" && !path.starts_with("/health/"),
            needs_others: path.starts_with("/api/") || path.starts_with("/ws/"),
        };
        for operation in operations(item) {
            for (status, text) in implied(operation, kind) {
                let answers = &mut operation.responses.responses;
                match answers.get_mut(status.as_str()) {
                    None => {
                        answers.insert(status.as_str().to_owned(), Response::new(text).into());
                    }
                    Some(RefOr::T(own)) if !own.description.contains(text) => {
                        own.description = format!("{}; {text}", own.description);
                    }
                    Some(_) => {}
                }
            }
            for (status, answer) in &mut operation.responses.responses {
                if let RefOr::T(answer) = answer {
                    finish(status, answer);
                }
            }
        }
    }
    let components = document.components.get_or_insert_default();
    for (name, kind, text) in HEADERS {
        components.headers.insert(name.to_owned(), header(kind, text).into());
    }
    components.schemas.extend(problem::schemas());
}

/// The operations of a path.
pub(super) fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, .. } = item;
    [get, put, post, delete].into_iter().filter_map(Option::as_mut)
}

/// What kind of path it is.
#[derive(Clone, Copy)]
struct Kind {
    /// There can be a request too many.
    refusable: bool,
    /// It is answered with the help of the database, Redis or a node.
    needs_others: bool,
}

/// What the extractors and layers in front of a handler answer.
fn implied(operation: &Operation, kind: Kind) -> Vec<(StatusCode, &'static str)> {
    let takes = |place| {
        let mut parameters = operation.parameters.iter().flatten();
        parameters
            .any(|parameter| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == place))
    };
    let mut implied = vec![
        (StatusCode::REQUEST_TIMEOUT, "`request_timeout`"),
        (StatusCode::URI_TOO_LONG, "`uri_too_long`"),
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "`headers_too_large`"),
        (StatusCode::MISDIRECTED_REQUEST, "`misdirected_request`: not a name of this server"),
        (StatusCode::INTERNAL_SERVER_ERROR, "`internal`: our fault"),
    ];
    if kind.refusable {
        implied.push((StatusCode::TOO_MANY_REQUESTS, "`rate_limited`"));
    }
    if kind.needs_others {
        implied.push((StatusCode::SERVICE_UNAVAILABLE, "something needed is away or busy; it may work soon"));
    }
    if operation.security.is_none() {
        let text = "`not_authenticated`, `token_invalid`, `token_expired`, `token_revoked`";
        implied.push((StatusCode::UNAUTHORIZED, text));
    }
    if operation.request_body.is_some() {
        implied.push((StatusCode::BAD_REQUEST, "`malformed_json`"));
        implied.push((StatusCode::PAYLOAD_TOO_LARGE, "`payload_too_large`"));
        implied.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "`unsupported_media_type`"));
    }
    if takes(ParameterIn::Query) {
        implied.push((StatusCode::BAD_REQUEST, "`bad_request`: the query cannot be read"));
    }
    // What opens a socket has no form: it is good or it is not.
    let opens = operation.responses.responses.contains_key(StatusCode::SWITCHING_PROTOCOLS.as_str());
    if operation.request_body.is_some() || takes(ParameterIn::Query) && !opens {
        implied.push((StatusCode::UNPROCESSABLE_ENTITY, "`invalid_fields`"));
    }
    if takes(ParameterIn::Path) {
        implied.push((StatusCode::NOT_FOUND, "Nothing of this name, or somebody else's"));
    }
    implied
}

fn header(kind: Type, text: &str) -> Header {
    let schema = ObjectBuilder::new().schema_type(kind).build();
    HeaderBuilder::new().schema(Some(schema)).description(Some(text)).build()
}

/// Gives an answer its headers and, if it is an error without a body of its own, the shape of all errors.
fn finish(status: &str, answer: &mut Response) {
    let is_error = status.starts_with(['4', '5']);
    if is_error && answer.content.is_empty() {
        let schema = Ref::from_schema_name("Problem");
        let content = ContentBuilder::new().schema(Some(schema)).build();
        answer.content.insert(PROBLEM.to_owned(), content.into());
    }
    for (name, ..) in HEADERS {
        let has = match name {
            "Retry-After" => ["409", "423", "429", "503"].contains(&status),
            "WWW-Authenticate" => status == "401",
            _ => true,
        };
        if has {
            let reference = Ref::new(format!("#/components/headers/{name}"));
            answer.headers.insert(name.to_owned(), RefOr::Ref(reference));
        }
    }
}
