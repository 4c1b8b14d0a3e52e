//! Every route of the api with who may call it and what it takes: the suites that ask something of all routes go through
//! this list. A test beside the router fails when a route is not in it. Must not know what is asked.

use Body::{Fields, Nothing};
use Who::{Account, Anybody, Device, Session};

/// Who gets an answer other than 401 or 404.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Who {
    /// Everybody.
    Anybody,
    /// Who is signed in, about themselves.
    Account,
    /// The account whose device `{id}` is.
    Device,
    /// The account whose session `{id}` is.
    Session,
}

/// What a route reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// Path and query alone.
    Nothing,
    /// JSON fields, of which these are some that it takes, if not always with success.
    Fields(&'static str),
}

/// One method of one path.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: &'static str,
    /// The path, with `{id}` and the like.
    pub path: &'static str,
    /// Who may call it.
    pub who: Who,
    /// What it reads.
    pub body: Body,
}

impl Route {
    /// Its path about a certain device, session or link.
    pub fn path_of(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{token}", id)
    }
}

const fn route(method: &'static str, path: &'static str, who: Who, body: Body) -> Route {
    Route { method, path, who, body }
}

/// Every route.
pub const ROUTES: &[Route] = &[
    route(
        "POST",
        "/api/auth/register",
        Anybody,
        Fields(r#"{"email": "made@example.com", "username": "made", "password": "Correct-horse-7-battery"}"#),
    ),
    route(
        "POST",
        "/api/auth/login",
        Anybody,
        Fields(r#"{"username": "nobody", "password": "Wrong-horse-7"}"#),
    ),
    route("POST", "/api/auth/refresh", Anybody, Fields(r#"{"refresh_token": "none"}"#)),
    route("POST", "/api/auth/first-run", Anybody, Fields(r#"{"token": "none"}"#)),
    route("POST", "/api/auth/forgot-password", Anybody, Fields(r#"{"email": "nobody@example.com"}"#)),
    route(
        "POST",
        "/api/auth/reset-password",
        Anybody,
        Fields(r#"{"token": "none", "new_password": "Another-horse-8"}"#),
    ),
    route("POST", "/api/auth/verify-email-request", Anybody, Fields(r#"{"email": "nobody@example.com"}"#)),
    route("GET", "/api/auth/verify-email/{token}", Anybody, Nothing),
    route("POST", "/api/auth/logout", Account, Nothing),
    route("GET", "/api/auth/me", Account, Nothing),
    route("POST", "/api/auth/ws-ticket", Account, Nothing),
    route(
        "POST",
        "/api/auth/change-password",
        Account,
        Fields(r#"{"current_password": "Wrong-horse-7", "new_password": "Another-horse-8"}"#),
    ),
    route("GET", "/api/auth/account-status", Account, Nothing),
    route("GET", "/api/auth/devices", Account, Nothing),
    route("DELETE", "/api/auth/devices/{id}", Device, Nothing),
    route("GET", "/api/profile", Account, Nothing),
    route("PUT", "/api/profile", Account, Fields(r#"{"display_name": "Somebody"}"#)),
    route("DELETE", "/api/profile", Account, Fields(r#"{"password": "Wrong-horse-7"}"#)),
    route("GET", "/api/profile/stats", Account, Nothing),
    route("GET", "/api/profile/settings", Account, Nothing),
    route("PUT", "/api/profile/settings", Account, Fields(r#"{"theme": "light"}"#)),
    route("POST", "/api/profile/settings/reset", Account, Nothing),
    route("GET", "/api/profile/export", Account, Nothing),
    route("GET", "/api/sessions", Account, Nothing),
    route("POST", "/api/sessions", Account, Fields(r#"{"command": ["cat"]}"#)),
    route("GET", "/api/sessions/active/count", Account, Nothing),
    route("GET", "/api/sessions/stats/overview", Account, Nothing),
    route("POST", "/api/sessions/search", Account, Fields(r#"{"query": "x"}"#)),
    route(
        "POST",
        "/api/sessions/batch",
        Account,
        Fields(r#"{"action": "delete", "session_ids": ["00000000-0000-0000-0000-000000000000"]}"#),
    ),
    route("POST", "/api/sessions/cleanup/inactive", Account, Fields("{}")),
    route("GET", "/api/sessions/{id}", Session, Nothing),
    route("PUT", "/api/sessions/{id}", Session, Fields(r#"{"description": "theirs"}"#)),
    route("DELETE", "/api/sessions/{id}", Session, Nothing),
    route("POST", "/api/sessions/{id}/terminate", Session, Fields(r#"{"force": true}"#)),
    route("POST", "/api/sessions/{id}/input", Session, Fields(r#"{"data": "x"}"#)),
    route("POST", "/api/sessions/{id}/resize", Session, Fields(r#"{"rows": 5, "cols": 5}"#)),
    route("GET", "/api/sessions/{id}/screen", Session, Nothing),
    route("GET", "/api/sessions/{id}/scrollback", Session, Nothing),
    route("GET", "/api/sessions/{id}/health", Session, Nothing),
    route("GET", "/api/sessions/{id}/history", Session, Nothing),
    route("POST", "/api/sessions/{id}/commands", Session, Fields(r#"{"command": "true", "timeout": 1}"#)),
    route("GET", "/ws/terminal", Account, Nothing),
    route("GET", "/health", Anybody, Nothing),
    route("GET", "/health/live", Anybody, Nothing),
    route("GET", "/health/ready", Anybody, Nothing),
    route("GET", "/health/db", Anybody, Nothing),
    route("GET", "/health/redis", Anybody, Nothing),
    route("GET", "/metrics", Anybody, Nothing),
    route("GET", "/openapi.json", Anybody, Nothing),
];
