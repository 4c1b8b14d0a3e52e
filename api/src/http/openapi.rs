//! The OpenAPI document of the routes, and what all of them have in common. Knows no particular route.

mod answers;
mod schemas;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(super) use self::schemas::{email, nullable_word, optional_email, optional_time, word};
use crate::counts;
use crate::state::AppState;

const DESCRIPTION: &str = "\
Terminals that do not die: accounts, and sessions on a server that any device of the account attaches to.

- JSON in and out, snake_case, times in RFC 3339 UTC. A trailing slash is the same path. Unknown fields are ignored. No text holds a NUL.
- Every error is `application/problem+json` (RFC 9457); its `code` is a stable word.
- `X-Request-ID` of a request, if it is a short token (letters, digits, `-`, `_`, `.`; at most 64), names it in logs and comes back; else one is made.
- Bodies have at most 1 MiB.
- Signed in, requests are counted by user; signed out, by address. Answers say what is left; 429 says when to try again.";

const TAGS: [(&str, &str); 5] = [
    ("accounts", "Who is who: registration, sign-in, devices, passwords"),
    ("profile", "What an account changes about itself"),
    ("sessions", "Terminals, each a real session on a ptyd"),
    ("terminal", "The terminal stream over WebSocket (docs/protocol.md)"),
    ("operations", "How the server is"),
];

/// The route of the document itself.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(serve))
}

/// The document as `/openapi.json` has it.
pub(crate) fn text(project: &str) -> String {
    let mut text = serde_json::to_string(&document(project)).unwrap_or_default();
    text.push('\n');
    text
}

/// The OpenAPI document of every route, under the name of a deployment.
pub fn document(project: &str) -> OpenApi {
    let mut document = base(project);
    document.merge(super::routes().into_openapi());
    document.merge(crate::terminal::routes().into_openapi());
    answers::complete(&mut document);
    schemas::complete(&mut document);
    document
}

/// Begins the counts of all operations at zero, each by the answers it has when it succeeds.
pub(crate) fn begin_counts() {
    for (path, item) in &document("").paths.paths {
        for (method, operation) in
            [("GET", &item.get), ("PUT", &item.put), ("POST", &item.post), ("DELETE", &item.delete)]
        {
            let answers = operation.iter().flat_map(|operation| operation.responses.responses.keys());
            for status in answers.filter(|status| status.starts_with('2') || *status == "101") {
                counts::begin_operation(method, path.clone(), status.clone());
            }
        }
    }
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "show_openapi", security(()),
    responses((status = 200, description = "The document", body = Object))
)]
async fn serve(State(state): State<AppState>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], Bytes::from_owner(state.document))
}

fn base(project: &str) -> OpenApi {
    let info = InfoBuilder::new()
        .title(project)
        // Of this contract; which build a server runs is nobody's business.
        .version("1")
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build()));
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, of `/api/auth/login` and its like"));
    let metrics_token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("`METRICS_TOKEN`, if the server has one"));
    let components = ComponentsBuilder::new()
        .security_scheme("bearer", SecurityScheme::Http(bearer.build()))
        .security_scheme("metrics_token", SecurityScheme::Http(metrics_token.build()));
    let tags = TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        // Of every operation that says nothing else.
        .security(Some([SecurityRequirement::new("bearer", Vec::<String>::new())]))
        .tags(Some(tags))
        .build()
}
