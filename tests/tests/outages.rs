//! PostgreSQL or Redis is away for half a minute: whoever is attached notices nothing, whoever asks is told in time, and
//! afterwards everything goes on by itself with nothing lost.

use std::cell::Cell;
use std::time::Duration;

use devpocket_tests::client::start::{command, raw_script};
use devpocket_tests::client::{Durable, DurableOptions, Framing, Hasher, Socket};
use devpocket_tests::flood::{Flood, Typist};
use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::routes::{ROUTES, Route, Who};
use devpocket_tests::stack::account::PASSWORD;
use devpocket_tests::stack::token::Token;
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::{Random, Throttle, wait_until};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, timeout};
use uuid::Uuid;

/// How long what is needed is away.
const AWAY: Duration = Duration::from_secs(30);
/// The longest any answer may take while the database is away: a request waits for it once, two seconds, however often it needs
/// it.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// The same of a question that was on its way when its server froze, and of one to a database that takes questions, and answers
/// each after five seconds that nothing comes of it.
const SLOWLY_ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// The longest an answer may take that needs nothing of what is away.
const AT_ONCE: Duration = Duration::from_secs(5);
/// The longest that output and typed lines may stand still, on a machine that runs several suites.
const NO_GAP_OVER: Duration = Duration::from_secs(10);
/// How long it may take until all is as before.
const BACK_WITHIN: Duration = Duration::from_secs(20);
/// What the flood's client can take: else half a minute of it would be gigabytes.
const BYTES_PER_SECOND: u32 = 500 << 10;

/// A flooding session with a client that types at it, and checks every byte.
struct Watched {
    flood: Flood,
    client: Durable<Hasher>,
    typist: Typist,
    random: Random,
    _network: Throttle,
}

impl Watched {
    async fn start(stack: &Stack) -> Self {
        let network = Throttle::start(stack.address(0), BYTES_PER_SECOND).await;
        let flood = Flood::open(stack, &stack.opening(0, Framing::Binary), "flood").await;
        let options = DurableOptions::lossless(vec![stack.opening_at(network.address, Framing::Binary)]);
        let mut client = Durable::attaching(options, flood.session, Hasher::default());
        let mut typist = Typist::default();
        typist.say(&mut client, "go");
        let flows = client.drive("the flood flows", BACK_WITHIN, |client| client.received() > 100_000).await;
        flows.unwrap_or_else(|violation| panic!("{violation}"));
        Self { flood, client, typist, random: Random::for_scenario("outages"), _network: network }
    }

    /// Lets the flood flow, typed at, while something else goes on, and gives what came of that.
    async fn unnoticing<T>(&mut self, meanwhile: impl Future<Output = T>) -> T {
        let over = Cell::new(false);
        let (mut received, mut since, mut longest) = (self.client.received(), Instant::now(), Duration::ZERO);
        let (typist, random) = (&mut self.typist, &mut self.random);
        let driving = self.client.drive("the rest is done", Duration::from_secs(200), |client| {
            typist.type_lines(client, random);
            longest = longest.max(since.elapsed());
            if client.received() != received {
                (received, since) = (client.received(), Instant::now());
            }
            over.get()
        });
        let other = async {
            let outcome = meanwhile.await;
            over.set(true);
            outcome
        };
        let (driven, outcome) = tokio::join!(driving, other);
        driven.unwrap_or_else(|violation| panic!("{violation}"));
        assert!(longest < NO_GAP_OVER, "nothing came for {longest:?}");
        outcome
    }

    /// That it was one connection all the time, and nothing was lost or doubled on either way.
    async fn prove(mut self) {
        let counts = self.client.counts;
        assert_eq!((counts.sockets, counts.lost, counts.interrupted), (1, 0, 0), "{counts:?}");
        self.flood.prove(&mut self.client, &mut self.typist).await;
        assert!(self.client.uncertain.is_empty(), "{:?}", self.client.uncertain);
    }
}

/// What HTTP says within a time.
async fn within(limit: Duration, what: &str, asked: impl Future<Output = Answered>) -> Answered {
    timeout(limit, asked).await.unwrap_or_else(|_| panic!("{what} had no answer within {limit:?}"))
}

/// That it is said that the database is away, and when to come back.
fn is_away(answer: &Answered) {
    answer.is_problem(503, "database_unavailable");
    assert!(answer.retry_after.is_some() && answer.is_shaped(), "{answer:?}");
}

fn login() -> Value {
    json!({"username": "owner", "password": PASSWORD})
}

/// What people meet while the database is away. Gives a session of that time that has ended, and one that lives.
async fn without_database(stack: &Stack, laptop: &Account, known: Uuid) -> (Uuid, Uuid) {
    // A device that no socket asks about all the time.
    let rest = Rest::new(stack.address(0), Some(&laptop.access_token));
    // One of whose account it is known that it may make sessions.
    let maker = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    let began = Instant::now();
    // New terminals need no database, neither do attaches to old ones.
    let opening = stack.opening(0, Framing::Json);
    let opened = Socket::must_open(&opening);
    let mut socket = timeout(AT_ONCE, opened).await.expect("a socket opens in time");
    let ended = socket.connect(raw_script("exit 7")).await.session;
    socket.wait_status(ended, "exited").await;
    let living = socket.connect(command(&["cat"])).await.session;
    let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    other.attach(known, json!({"mode": "view"})).await;
    drop(other);
    let (credentials, typed, new) = (login(), json!({"data": "x"}), json!({"command": ["cat"]}));
    let input_path = format!("/api/sessions/{living}/input");
    let mut limit = SLOWLY_ANSWERED_WITHIN;
    while began.elapsed() < AWAY {
        assert_eq!(within(AT_ONCE, "live", rest.get("/health/live")).await.status, 200);
        let (login, sessions, me, health, made, export) = (
            rest.post("/api/auth/login", &credentials),
            rest.get("/api/sessions"),
            rest.get("/api/auth/me"),
            rest.get("/health"),
            maker.post("/api/sessions", &new),
            rest.get("/api/profile/export"),
        );
        let (login, sessions, me, health, made, export) = tokio::join!(
            within(limit, "login", login),
            within(limit, "sessions", sessions),
            within(limit, "me", me),
            within(limit, "health", health),
            within(limit, "a creation", made),
            within(limit, "an export", export),
        );
        limit = ANSWERED_WITHIN;
        for answer in [&login, &sessions, &me, &made, &export] {
            is_away(answer);
        }
        assert_eq!(health.status, 503, "{health:?}");
        // Typing over HTTP needs no books either, once the device is known to be signed in.
        let input = rest.post(&input_path, &typed);
        within(ANSWERED_WITHIN, "input", input).await.expect(200);
    }
    (ended, living)
}

/// What goes on while the database is away, for who is known to be signed in; everything else says 503 and when to come back.
const WITHOUT_BOOKS: &[(&str, &str, u16)] = &[
    ("POST", "/api/auth/first-run", 401),
    ("POST", "/api/auth/ws-ticket", 200),
    ("GET", "/api/auth/account-status", 200),
    ("POST", "/api/sessions/{id}/input", 200),
    ("POST", "/api/sessions/{id}/resize", 200),
    ("GET", "/api/sessions/{id}/screen", 200),
    ("GET", "/api/sessions/{id}/scrollback", 200),
    ("GET", "/api/sessions/{id}/history", 200),
    // No shell runs there, as its node tells.
    ("POST", "/api/sessions/{id}/commands", 409),
    // A socket, but not asked for as one.
    ("GET", "/ws/terminal", 400),
    ("GET", "/health", 503),
    ("GET", "/health/live", 200),
    ("GET", "/health/ready", 503),
    ("GET", "/health/db", 503),
    ("GET", "/health/redis", 200),
    ("GET", "/metrics", 200),
    ("GET", "/openapi.json", 200),
];

/// The three that say in a shape of their own that it is away.
fn is_health(route: &Route) -> bool {
    route.path.starts_with("/health")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_says_when_to_come_back_or_needs_no_database() {
    let mut stack = on_postgres(false).await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    let device = Token::parse(&stack.admin.access_token).claims["sid"].as_str().expect("sid").to_owned();
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    // For each route one of its own, so that it may be ended.
    let mut sessions = Vec::new();
    for _ in ROUTES {
        sessions.push(socket.connect(command(&["cat"])).await.session.to_string());
    }
    stack.postgres.as_mut().expect("a server").kill().await;
    let called = ROUTES.iter().zip(&sessions).map(|(route, session)| {
        let id = if route.who == Who::Device { device.clone() } else { session.clone() };
        let (rest, what) = (rest.clone(), format!("{} {}", route.method, route.path));
        async move { (route, within(SLOWLY_ANSWERED_WITHIN, &what, rest.call(route, &id)).await) }
    });
    let mut odd = Vec::new();
    for (route, answer) in futures_util::future::join_all(called).await {
        let goes_on =
            WITHOUT_BOOKS.iter().find(|(method, path, _)| (*method, *path) == (route.method, route.path));
        let good = match goes_on {
            Some((_, _, status)) => answer.status == *status,
            None => {
                answer.status == 503 && answer.body["code"] == "database_unavailable" && answer.is_shaped()
            }
        };
        // Health checks are for machines that come back anyway.
        let told = answer.status != 503 || is_health(route) || answer.retry_after.is_some();
        if !good || !told {
            odd.push(format!("{} {}: {answer:?}", route.method, route.path));
        }
    }
    assert!(odd.is_empty(), "{}", odd.join("\n"));
}

/// What has to be so once the database is back, without anything being started again.
async fn with_database_again(stack: &Stack, known: Uuid, (ended, living): (Uuid, Uuid)) {
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    wait_until("people can sign in", BACK_WITHIN, async || {
        rest.post("/api/auth/login", &login()).await.status == 200
    })
    .await;
    wait_until("the sessions of that time are in the books", BACK_WITHIN, async || {
        let listed = rest.get("/api/sessions").await;
        listed.status == 200 && listed.body["total"] == 3
    })
    .await;
    let shown = async |id: Uuid| rest.get(&format!("/api/sessions/{id}")).await.expect(200);
    let session = shown(ended).await;
    assert_eq!((&session["status"], &session["exit_code"]), (&json!("exited"), &json!(7)), "{session}");
    assert_eq!(shown(known).await["status"], "active");
    assert_eq!(shown(living).await["status"], "detached");
    wait_until("all is well", BACK_WITHIN, async || rest.get("/health").await.status == 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_killed_for_half_a_minute() {
    let mut stack = on_postgres(false).await;
    let mut watched = Watched::start(&stack).await;
    let known = watched.flood.session;
    let laptop = Account::login(stack.address(0), "owner").await;
    stack.postgres.as_mut().expect("a server").kill().await;
    let made = watched.unnoticing(without_database(&stack, &laptop, known)).await;
    let postgres = stack.postgres.as_mut().expect("a server");
    watched.unnoticing(postgres.start_again()).await;
    watched.unnoticing(with_database_again(&stack, known, made)).await;
    watched.prove().await;
}

/// Its connections stay open, and nobody answers on them: a host that hangs, or a network that drops everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_frozen_for_half_a_minute() {
    let mut stack = on_postgres(false).await;
    let mut watched = Watched::start(&stack).await;
    let known = watched.flood.session;
    let laptop = Account::login(stack.address(0), "owner").await;
    stack.postgres.as_mut().expect("a server").freeze();
    let made = watched.unnoticing(without_database(&stack, &laptop, known)).await;
    stack.postgres.as_mut().expect("a server").thaw();
    watched.unnoticing(with_database_again(&stack, known, made)).await;
    watched.prove().await;
}

/// It answers whoever connects, and everybody waits for a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_so_slow_that_nothing_comes_of_it_for_half_a_minute() {
    let stack = on_postgres(false).await;
    let mut watched = Watched::start(&stack).await;
    let known = watched.flood.session;
    let locking = stack.postgres.as_ref().expect("a server").lock("users, devices, sessions").await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    watched
        .unnoticing(async {
            let (began, credentials) = (Instant::now(), login());
            while began.elapsed() < AWAY {
                assert_eq!(within(AT_ONCE, "live", rest.get("/health/live")).await.status, 200);
                let (login, me) = (rest.post("/api/auth/login", &credentials), rest.get("/api/auth/me"));
                let (login, me) = tokio::join!(
                    within(SLOWLY_ANSWERED_WITHIN, "login", login),
                    within(SLOWLY_ANSWERED_WITHIN, "me", me),
                );
                is_away(&login);
                is_away(&me);
            }
        })
        .await;
    drop(locking);
    let back = wait_until("people can sign in", BACK_WITHIN, async || {
        rest.post("/api/auth/login", &login()).await.status == 200
            && rest.get("/api/sessions").await.status == 200
    });
    watched.unnoticing(back).await;
    assert_eq!(rest.get(&format!("/api/sessions/{known}")).await.expect(200)["status"], "active");
    watched.prove().await;
}

/// What people meet while Redis is away: each api goes by what it knows itself.
async fn without_redis(stack: &Stack, known: Uuid) {
    let (rest, began) = (Rest::new(stack.address(0), Some(&stack.admin.access_token)), Instant::now());
    // Within the limits, which each api goes on to keep.
    let mut pace = interval(AWAY / 6);
    while began.elapsed() < AWAY {
        pace.tick().await;
        within(AT_ONCE, "login", rest.post("/api/auth/login", &login())).await.expect(200);
        within(AT_ONCE, "me", rest.get("/api/auth/me")).await.expect(200);
        let shown =
            within(AT_ONCE, "a session", rest.get(&format!("/api/sessions/{known}"))).await.expect(200);
        assert_eq!(shown["status"], "active", "{shown}");
        let ticket = within(AT_ONCE, "a ticket", rest.post_nothing("/api/auth/ws-ticket")).await.expect(200);
        let ticket = ticket["ticket"].as_str().expect("a ticket").to_owned();
        let opening = stack.opening(1, Framing::Json);
        let opening = opening.with_credential(devpocket_tests::client::Credential::Ticket(ticket));
        let mut socket = timeout(AT_ONCE, Socket::must_open(&opening)).await.expect("a socket opens in time");
        socket.attach(known, json!({"mode": "view"})).await;
        let health = within(AT_ONCE, "health", rest.get("/health/redis")).await;
        assert_eq!(health.status, 503, "{health:?}");
    }
}

async fn with_redis_again(stack: &Stack) {
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    wait_until("Redis is asked again", BACK_WITHIN, async || rest.get("/health").await.status == 200).await;
    rest.get("/api/auth/me").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_killed_for_half_a_minute_and_then_flushed() {
    let mut stack = on_postgres(true).await;
    let mut watched = Watched::start(&stack).await;
    let known = watched.flood.session;
    stack.redis.as_mut().expect("a Redis").stop();
    watched.unnoticing(without_redis(&stack, known)).await;
    let redis = stack.redis.as_mut().expect("a Redis");
    watched.unnoticing(redis.start_again()).await;
    watched.unnoticing(with_redis_again(&stack)).await;
    for _ in 0..5 {
        stack.redis.as_ref().expect("a Redis").flush();
        watched.unnoticing(with_redis_again(&stack)).await;
    }
    watched.prove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_frozen_for_half_a_minute() {
    let mut stack = on_postgres(true).await;
    let mut watched = Watched::start(&stack).await;
    let known = watched.flood.session;
    stack.redis.as_mut().expect("a Redis").freeze();
    watched.unnoticing(without_redis(&stack, known)).await;
    stack.redis.as_mut().expect("a Redis").thaw();
    watched.unnoticing(with_redis_again(&stack)).await;
    watched.prove().await;
}

/// On PostgreSQL; with Redis, two apis that agree over it on their limits.
async fn on_postgres(redis: bool) -> Stack {
    let limits = if redis { "on" } else { "off" };
    let api_environment = vec![("RATE_LIMITS".to_owned(), limits.to_owned())];
    let apis = if redis { 2 } else { 1 };
    let database = DatabaseKind::Postgres;
    Stack::start_with(Options { database, redis, apis, api_environment, ..Options::default() }).await
}
