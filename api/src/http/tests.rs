//! The router through its public face, over real databases of its own: every test runs on SQLite and on PostgreSQL.

mod document;
mod node;
mod on_postgres;
mod on_sqlite;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use devpocket_tests::{wait_for, wait_until};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{Duration, OffsetDateTime};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::peer::Peer;
use crate::coordination::MemoryCoordination;
use crate::domain::accounts::{Accounts, Around, FirstAccount, LocalSessions, Policy, errands};
use crate::domain::answers::Answers;
use crate::domain::clock::Clock;
use crate::domain::coordination::Coordination;
use crate::domain::origins::{Origin, Origins};
use crate::domain::sessions::Sessions;
use crate::domain::token::{TokenKeys, Tokens};
use crate::link::{Link, Target};
use crate::mail::FileMailer;
use crate::state::AppState;
use crate::store::Database;
use crate::store::tests::Place;

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PASSWORD: &str = "Correct1!";

/// An api without sockets, on a database of kind `P`. Its clock moves by `pass` alone.
struct Api<P> {
    router: Router,
    /// The router inside, which shows its paths.
    routes: Router,
    accounts: Arc<Accounts>,
    coordination: Arc<dyn Coordination>,
    database: Database,
    seconds: Arc<AtomicI64>,
    /// Mails, and the socket of a node.
    directory: TempDir,
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
        Self::limited(change, false).await
    }

    async fn limited(change: impl FnOnce(&mut Policy), limits: bool) -> Self {
        let place = P::make().await;
        let database = place.open().await;
        let mut policy = Policy {
            registration_open: true,
            first_account: FirstAccount::Owner,
            local_sessions: LocalSessions::Admin,
            origins: Origins::new("127.0.0.1:8000".parse().unwrap(), Vec::new()),
            refresh_life: Duration::days(30),
            require_verified: false,
            public_url: "https://pocket.example/".to_owned(),
            project: "Pocket & Söhne".to_owned(),
        };
        change(&mut policy);
        let behind_tls = policy.behind_tls();
        let seconds = Arc::new(AtomicI64::new(0));
        let (start, moved) = (OffsetDateTime::now_utc(), seconds.clone());
        let clock = Clock::from_fn(move || start + Duration::seconds(moved.load(Ordering::SeqCst)));
        let tokens = Tokens::new(&TokenKeys::of_secret(SECRET), Duration::minutes(60));
        let directory = tempfile::tempdir().unwrap();
        let mailer = Arc::new(FileMailer::new(directory.path().join("mail")));
        let (errands, queue) = errands();
        let store = Arc::new(database.clone());
        let coordination = place.coordination();
        let around = Around { mailer, errands, coordination: coordination.clone(), limits };
        let accounts = Arc::new(Accounts::new(store, tokens, policy, clock, around).unwrap());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let draining = CancellationToken::new();
        let (doing, stopping) = (accounts.clone(), stop.clone());
        tasks.spawn(async move { doing.run_errands(queue, stopping).await });
        // No ptyd is there unless a test makes a node listen: what needs one is tested against the real thing in `tests`.
        let socket = directory.path().join("ptyd.sock");
        let link = Arc::new(Link::new(Target::Unix(socket), tasks.clone()));
        let books = Arc::new(database.clone());
        let sessions = Arc::new(Sessions::new(books, link.clone(), Clock::system()));
        let state = AppState {
            accounts: accounts.clone(),
            answers: Arc::new(Answers::new(Arc::new(database.clone()), Clock::system())),
            sessions,
            link,
            database: database.clone(),
            coordination,
            own_limiter: Arc::new(MemoryCoordination::default()),
            limits,
            trusted_proxies: Arc::new(["10.0.0.0/8".parse().unwrap()]),
            cors_origins: Arc::new([Origin::of_url("https://app.example").unwrap()]),
            behind_tls,
            document: crate::http::openapi::text("Pocket & Söhne").into_bytes().into(),
            metrics: crate::http::metrics::MetricsAccess::default(),
            tasks,
            draining: draining.clone(),
            stop,
        };
        let (routes, coordination) = (super::served(state.clone()), state.coordination.clone());
        let router = super::router(state);
        Self { router, routes, accounts, coordination, database, seconds, directory, _place: place }
    }

    fn pass(&self, seconds: i64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn send(&self, mut request: Request<Body>) -> Answer {
        let own = || HeaderValue::from_static("127.0.0.1:8000");
        request.headers_mut().entry("host").or_insert_with(own);
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, 1 << 24).await.unwrap().to_vec()).unwrap();
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

    async fn ask_as(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(if body.is_null() { Body::empty() } else { body.to_string().into() })
            .unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new("192.0.2.1".parse().unwrap(), 40_000)));
        self.send(request).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.ask_as(token, "GET", path, Value::Null).await
    }

    async fn me(&self, token: &str) -> Answer {
        self.get_as(token, "/api/auth/me").await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// The mails to an address so far, oldest first.
    fn mails_to(&self, address: &str) -> Vec<String> {
        let mails = std::fs::read_dir(self.directory.path().join("mail")).into_iter().flatten().flatten();
        let mut mails: Vec<_> = mails.map(|entry| entry.path()).collect();
        mails.sort();
        let texts = mails.into_iter().map(|path| std::fs::read_to_string(path).unwrap_or_default());
        texts.filter(|mail| mail.starts_with(&format!("To: {address}\n")) && mail.ends_with(".\n")).collect()
    }

    /// Waits for the `count`th mail to an address.
    async fn mail(&self, address: &str, count: usize) -> String {
        let what = format!("mail {count} to {address} is there");
        wait_for(&what, std::time::Duration::from_secs(20), async || {
            self.mails_to(address).get(count - 1).cloned()
        })
        .await
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

/// The secret in a mail: its one word of 64 hex digits.
fn link_in(mail: &str) -> &str {
    let is_secret = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    mail.split(|c: char| c.is_whitespace() || c == '/').find(is_secret).expect("a link")
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
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self:?}");
        assert_eq!(self.body["request_id"].as_str(), self.headers["x-request-id"].to_str().ok());
    }
}
