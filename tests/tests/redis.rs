//! Several apis that agree over Redis, and what they do while it is away.

use std::cell::Cell;
use std::time::Duration;

use devpocket_tests::client::{Credential, Framing, OpenError, Socket};
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::wait_until;
use reqwest::{Client, Response, StatusCode};
use serde_json::json;
use tokio::time::Instant;

async fn stack(apis: usize, limits: &str) -> Stack {
    let api_environment = vec![("RATE_LIMITS".to_owned(), limits.to_owned())];
    let database = DatabaseKind::Postgres;
    Stack::start_with(Options { database, redis: true, apis, api_environment, ..Options::default() }).await
}

async fn me(stack: &Stack, api: usize, token: &str) -> Response {
    let request = Client::new().get(format!("http://{}/api/auth/me", stack.address(api)));
    // Nobody is a proxy of ours: this is to change nothing.
    let forged = format!("203.0.113.{}", api + 1);
    request.bearer_auth(token).header("x-forwarded-for", forged).send().await.expect("an answer")
}

fn number(answer: &Response, name: &str) -> u64 {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    value.to_str().expect("text").parse().expect("a number")
}

#[tokio::test]
async fn three_apis_share_every_limit_and_count_exactly() {
    let stack = stack(3, "on").await;
    let token = &stack.admin.access_token;
    let mut socket = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let began = Instant::now();
    let (mut passed, mut refused) = (0, 0);
    for n in 0..80 {
        let answer = me(&stack, n % 3, token).await;
        assert_eq!(number(&answer, "x-ratelimit-limit"), 60);
        match answer.status() {
            StatusCode::OK => passed += 1,
            StatusCode::TOO_MANY_REQUESTS => {
                refused += 1;
                assert!((1..=2).contains(&number(&answer, "retry-after")));
                assert_eq!(number(&answer, "x-ratelimit-remaining"), 0);
            }
            other => panic!("{other}"),
        }
    }
    let earned = began.elapsed().as_secs() + 1;
    // The session was one unit.
    assert!(passed >= 59 && passed <= 59 + earned && refused > 0, "{passed} in {earned} s");
    // Nor is another session made, but one that is there is attached to, and what is typed is not counted.
    let connect = json!({"type": "connect", "data": {"session_type": "local", "command": ["cat"]}});
    wait_until("no unit is left for a session", Duration::from_secs(10), async || {
        me(&stack, 0, token).await;
        socket.ask(connect.clone()).await.error() == Some("rate_limited")
    })
    .await;
    let mut other = Socket::must_open(&stack.opening(2, Framing::Binary)).await;
    other.attach(session, json!({})).await;
    other.send_input(session, None, b"hello\n");
    other.read_until(session, "hello\r\nhello\r\n").await;

    // Wrong passwords, one at each api in turn, close the door at all.
    let login = async |n: usize, password: &str| {
        let body = json!({"username": "owner", "password": password});
        post(stack.address(n % 3), "/api/auth/login", None, &body).await.status()
    };
    for n in 0..5 {
        assert_eq!(login(n, "Wrong-horse-7-battery").await, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(login(1, PASSWORD).await, StatusCode::LOCKED);
}

/// What passes is the limit and what is earned back meanwhile: in no minute can that be twice the limit.
#[tokio::test]
async fn who_is_not_signed_in_is_counted_by_the_socket_at_all_apis_whatever_the_headers_say() {
    let stack = stack(3, "on").await;
    let client = Client::new();
    let ask = async |n: usize| {
        let url = format!("http://{}/api/auth/verify-email/x", stack.address(n % 3));
        let mut request = client.get(url);
        for header in ["x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip", "cf-connecting-ip"] {
            request = request.header(header, format!("203.0.113.{n}"));
        }
        request.send().await.expect("an answer")
    };
    let (began, mut passed, mut left) = (Instant::now(), 0, None);
    // The account was registered from here as well.
    let (limit, used, earned_every) = (10, 1, Duration::from_secs(6));
    for n in 0..60 {
        let answer = ask(n).await;
        let remaining = number(&answer, "x-ratelimit-remaining");
        assert_eq!(number(&answer, "x-ratelimit-limit"), limit);
        let short = answer.headers()["ratelimit"].to_str().expect("text");
        assert!(short.starts_with(&format!("\"auth\";r={remaining};t=")), "{short}, {remaining} left");
        assert_eq!(answer.headers()["ratelimit-policy"], "\"auth\";q=10;w=60");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(remaining, 0, "{answer:?}");
            assert!((1..=7).contains(&number(&answer, "retry-after")), "{answer:?}");
        } else {
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
            passed += 1;
            // One less at whichever api, but for what was earned back in between.
            assert!(left.is_none_or(|left| remaining + 1 >= left), "{remaining} after {left:?}");
            left = Some(remaining);
        }
    }
    let earned = began.elapsed().as_secs() / earned_every.as_secs() + 1;
    assert!((limit - used..=limit + earned).contains(&passed), "{passed} passed, {earned} earned back");
    // When it says to come back, there is room.
    let refused = loop {
        let answer = ask(0).await;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
    };
    let promised = Duration::from_secs(number(&refused, "retry-after"));
    wait_until("there is room again", promised, async || ask(1).await.status() == StatusCode::BAD_REQUEST)
        .await;
}

#[tokio::test]
async fn three_apis_count_the_tries_of_a_name_together() {
    // A proxy on this host is believed, so that each try comes from an address of its own.
    let api_environment = [("RATE_LIMITS", "on"), ("TRUSTED_PROXIES", "127.0.0.1")];
    let api_environment = api_environment.map(|(name, word)| (name.to_owned(), word.to_owned())).to_vec();
    let database = DatabaseKind::Postgres;
    let options = Options { database, redis: true, apis: 0, api_environment, ..Options::default() };
    let mut stack = Stack::start_with(options).await;
    for api in 0..3 {
        stack.add_api();
        stack.api_ready(api).await;
    }
    let body = json!({"username": "nobody", "password": "Wrong-horse-7-battery"});
    let (began, mut passed) = (Instant::now(), 0);
    let refused = loop {
        let request = Client::new().post(format!("http://{}/api/auth/login", stack.address(passed % 3)));
        let request = request.header("x-forwarded-for", format!("203.0.113.{passed}")).json(&body);
        let answer = request.send().await.expect("an answer");
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        passed += 1;
        // Each for itself they would take three times as many.
        assert!(passed < 25, "{answer:?}");
    };
    let earned = usize::try_from(began.elapsed().as_secs() / 6 + 1).expect("a number");
    assert!((10..=10 + earned).contains(&passed), "{passed} passed, {earned} were earned back");
    assert_eq!(refused.headers()["ratelimit-policy"], "\"name\";q=10;w=60");
}

/// Ten come back every second: somebody at one api keeps using them up, somebody at the other attaches.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attaching_at_one_api_uses_what_tickets_at_another_leave() {
    let stack = stack(2, "on").await;
    let mut socket = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let (nothing, token) = (json!({}), Some(stack.admin.access_token.as_str()));
    let refused = Cell::new(false);
    let taking = async {
        loop {
            let tickets = (0..10).map(|_| post(stack.address(0), "/api/auth/ws-ticket", token, &nothing));
            let answers = futures_util::future::join_all(tickets).await;
            if answers.iter().any(|answer| answer.status() == StatusCode::TOO_MANY_REQUESTS) {
                refused.set(true);
            }
        }
    };
    let attaching = async {
        wait_until("no ticket is left", Duration::from_secs(60), async || refused.get()).await;
        let attach = json!({"type": "attach", "session_id": session, "data": {}});
        // Far fewer than this api would let through if it counted for itself.
        for _ in 0..300 {
            if socket.ask(attach.clone()).await.error() == Some("rate_limited") {
                return;
            }
        }
        panic!("no attach is counted with the tickets");
    };
    tokio::select! {
        () = taking => {}
        () = attaching => {}
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket_at_one_of_the_apis() {
    let stack = stack(3, "off").await;
    for _ in 0..5 {
        let ticket = stack.admin.ticket(stack.address(0)).await;
        let opened = (0..9).map(|n| {
            let opening =
                stack.opening(n % 3, Framing::Json).with_credential(Credential::Ticket(ticket.clone()));
            async move { Socket::open(&opening).await }
        });
        let opened = futures_util::future::join_all(opened).await;
        let refused = opened
            .iter()
            .filter(|opened| matches!(opened, Err(OpenError::Refused(status)) if status.as_u16() == 401))
            .count();
        assert_eq!((opened.iter().filter(|opened| opened.is_ok()).count(), refused), (1, 8));
    }
}

#[tokio::test]
async fn while_redis_is_away_or_forgets_everything_people_work_on() {
    let mut stack = stack(2, "on").await;
    let health = async |stack: &Stack, path: &str| {
        let answer = Client::new().get(format!("http://{}{path}", stack.address(0))).send().await;
        answer.expect("an answer").status()
    };
    assert_eq!(health(&stack, "/health/redis").await, StatusCode::OK);
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    let mut line = 0;
    let mut types = async |socket: &mut Socket| {
        line += 1;
        let asked = Instant::now();
        socket.send_input(session, None, format!("line {line}\n").as_bytes());
        socket.read_until(session, &format!("line {line}\r\nline {line}\r\n")).await;
        asked.elapsed()
    };
    stack.redis.as_mut().expect("a Redis").stop();
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(5) {
        slowest = slowest.max(types(&mut socket).await);
    }
    assert!(slowest < Duration::from_secs(1), "the slowest echo took {slowest:?}");
    assert_eq!(health(&stack, "/health").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health(&stack, "/health/ready").await, StatusCode::OK);
    assert_eq!(health(&stack, "/health/redis").await, StatusCode::SERVICE_UNAVAILABLE);
    let asked = Instant::now();
    let bob = Account::register(stack.address(1), "bob").await;
    let ticket = bob.ticket(stack.address(1)).await;
    let opening = stack.opening(1, Framing::Json).with_credential(Credential::Ticket(ticket));
    assert!(Socket::open(&opening).await.is_ok());
    let again = Socket::open(&opening).await;
    assert!(matches!(again, Err(OpenError::Refused(_))), "used again where it was used");
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());

    stack.redis.as_mut().expect("a Redis").start_again().await;
    wait_until("Redis is asked again", Duration::from_secs(20), async || {
        health(&stack, "/health/redis").await == StatusCode::OK
    })
    .await;
    stack.redis.as_ref().expect("a Redis").flush();
    assert_eq!(me(&stack, 1, &bob.access_token).await.status(), StatusCode::OK);
    types(&mut socket).await;
}
