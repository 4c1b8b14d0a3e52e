//! What a problem says for people when whoever made it had nothing of its own to say: what to do about it.

use axum::http::StatusCode;

/// The detail of a code; of a status, for codes without one.
pub(super) fn of(code: &str, status: StatusCode) -> &'static str {
    match code {
        "bad_request" => "The path, the query, a header or the body cannot be read",
        "malformed_json" => "Send a JSON object in UTF-8",
        "not_authenticated" => "Send an access token, as Authorization: Bearer",
        "token_invalid" => "Nobody here made it, or for something else; sign in again",
        "token_expired" => "Use the refresh token for the next pair",
        "token_revoked" => "Its tokens are worth nothing any more; sign in again",
        "token_reused" => {
            "Somebody has a copy of it, or answers were lost for more than a minute; sign in again"
        }
        "invalid_credentials" => "Which of them it is stays unsaid",
        "invalid_password" => "Nothing was changed; wrong passwords count like failed logins",
        "account_locked" => {
            "Retry-After says for how long; until then no password is looked at, right or wrong"
        }
        "account_disabled" => "An administrator closed it, and can open it again",
        "email_unverified" => "Another mail is sent on POST /api/auth/verify-email-request",
        "email_taken" => "Addresses are compared without regard to case; sign in, or use another one",
        "username_taken" => "Names are compared without regard to case; choose another one",
        "link_invalid" => {
            "Links work once and for a time, and a newer one may have replaced it; ask for another"
        }
        "registration_closed" => "An administrator makes the accounts here",
        "owner_registered" => "The link was not used, and leads nowhere any more",
        "not_found" => "There is nothing of this path or id, or it is somebody else's",
        "session_not_found" => "There is no session of this id, or it is somebody else's",
        "session_ended" => {
            "Its program has ended; its last screen and history can be asked for as long as they are kept"
        }
        "screen_gone" => "What became of it is in GET /api/sessions/{id}",
        "name_taken" => "A name is one living session's of an account; choose another one",
        "input_uncertain" => "Look at the screen before it is sent again: it may be typed twice",
        "local_sessions_unavailable" => "The server's operator says whose shells run here",
        "method_not_allowed" => "The header Allow names the methods of this path",
        "request_timeout" => "The request, or what it needs, took too long; it may have been done",
        "payload_too_large" => "A body has at most 1 MiB",
        "unsupported_media_type" => "Send application/json",
        "invalid_fields" => "The call's fields are needed by name, not a list or a single value",
        "rate_limited" => "Retry-After says when to come back, RateLimit what there is",
        "upgrade_required" => "This is a WebSocket, of version 13",
        "websocket_expected" => "This path is for WebSockets",
        "origin_not_allowed" => "The server's operator names the origins of pages in CORS_ORIGINS",
        "draining" => {
            "Retry-After says when to come back: another api answers then, or this one once it has started again"
        }
        "idempotency_in_progress" => "Retry-After says when its answer is there, or it may be tried again",
        "idempotency_key_reused" => "A key is for one request: make another one",
        "database_unavailable" => "The server's database does not answer; sessions go on meanwhile",
        "node_unavailable" => "The machine that runs the sessions does not answer; they may go on there",
        "busy" | "tickets_busy" => {
            "The server has more of this to do than it takes; Retry-After says when to come back"
        }
        "internal" => "The server's log has it under the request's id",
        _ if status.is_server_error() => "The request may be right all the same; try it again later",
        _ => "The request cannot be answered as it is",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_it_is_something_is_said() {
        assert!(of("email_taken", StatusCode::BAD_REQUEST).contains("case"));
        let unknown = [StatusCode::IM_A_TEAPOT, StatusCode::BAD_GATEWAY].map(|status| of("unknown", status));
        assert!(unknown[0] != unknown[1] && unknown.iter().all(|detail| !detail.is_empty()));
    }
}
