//! The router through its public face, over real databases of its own: every test runs on SQLite and on PostgreSQL.

mod on_postgres;
mod on_sqlite;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use secrecy::SecretString;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::peer::Peer;
use crate::domain::accounts::{Accounts, FirstAccount, LocalSessions, Policy};
use crate::domain::clock::Clock;
use crate::domain::origins::Origins;
use crate::domain::sessions::Sessions;
use crate::domain::token::Tokens;
use crate::link::{Link, Target};
use crate::state::AppState;
use crate::store::Database;
use crate::store::tests::Place;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "Correct1!";

/// An api without sockets, on a database of kind `P`. Its clock moves by `pass` alone.
struct Api<P> {
    router: Router,
    accounts: Arc<Accounts>,
    database: Database,
    seconds: Arc<AtomicI64>,
    _place: P,
}

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
    text: String,
}

impl<P: Place> Api<P> {
    /// As on a loopback listener: open, its first account an administrator.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Policy)) -> Self {
        let place = P::make().await;
        let database = place.open().await;
        let mut policy = Policy {
            registration_open: true,
            first_account: FirstAccount::Owner,
            local_sessions: LocalSessions::Admin,
            origins: Origins::new("127.0.0.1:8000".parse().unwrap(), Vec::new()),
            refresh_life: Duration::days(30),
        };
        change(&mut policy);
        let seconds = Arc::new(AtomicI64::new(0));
        let (start, moved) = (OffsetDateTime::now_utc(), seconds.clone());
        let clock = Clock::from_fn(move || start + Duration::seconds(moved.load(Ordering::SeqCst)));
        let tokens = Tokens::new(&SecretString::from(SECRET), Duration::minutes(60)).unwrap();
        let accounts = Arc::new(Accounts::new(Arc::new(database.clone()), tokens, policy, clock).unwrap());
        let tasks = TaskTracker::new();
        // No ptyd is there: what needs one is tested against the real thing in `tests`.
        let link = Arc::new(Link::new(Target::Unix("/nonexistent/ptyd.sock".into()), tasks.clone()));
        let books = Arc::new(database.clone());
        let sessions = Arc::new(Sessions::new(books, link.clone(), Clock::system()));
        let state = AppState {
            accounts: accounts.clone(),
            sessions,
            link,
            database: database.clone(),
            behind_tls: false,
            tasks,
            stop: CancellationToken::new(),
        };
        Self { router: super::router(state), accounts, database, seconds, _place: place }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 22).await.unwrap().to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body, text }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_from("192.0.2.1", path, body).await
    }

    async fn post_from(&self, address: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::post(path)
            .header("content-type", "application/json")
            .body(body.to_string().into())
            .unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(address.parse().unwrap(), 40_000)));
        self.send(request).await
    }

    async fn post_as(&self, token: &str, path: &str, body: Value) -> Answer {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    async fn me(&self, token: &str) -> Answer {
        let request = Request::get("/api/auth/me").header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn register(&self, username: &str) -> Answer {
        let answer = self.post("/api/auth/register", account(username)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer
    }

    async fn login(&self, username: &str, password: &str) -> Answer {
        self.post("/api/auth/login", json!({"username": username, "password": password})).await
    }

    async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/auth/refresh", json!({"refresh_token": token})).await
    }
}

fn account(username: &str) -> Value {
    json!({"email": format!("{username}@example.com"), "username": username, "password": PASSWORD})
}

impl Answer {
    fn text_of(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("{field} in {self:?}"))
    }

    fn access(&self) -> &str {
        self.text_of("access_token")
    }

    fn refresh(&self) -> &str {
        self.text_of("refresh_token")
    }

    /// That this is a problem of this status and code, in the one shape of all.
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["error"]["code"], status);
        assert_eq!(self.body["error"]["type"], code);
        assert!(self.body["error"]["message"].is_string() && self.body["title"].is_string(), "{self:?}");
        assert_eq!(self.body["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
    }
}
