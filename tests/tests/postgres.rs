//! Whole systems on PostgreSQL: accounts over several apis, and terminals that do not notice when it is gone.

use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::wait_until;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What is promised of a revoked device.
const REVOKED_WITHIN: Duration = Duration::from_secs(1);
/// A machine that runs several suites at once answers late.
const BUSY: Duration = Duration::from_secs(1);
/// The longest a request may take to say that the database is away.
const SAYS_SO_WITHIN: Duration = Duration::from_secs(8);

async fn stack(apis: usize) -> Stack {
    Stack::start_with(Options { database: DatabaseKind::Postgres, apis, ..Options::default() }).await
}

async fn read(answer: reqwest::Response) -> (StatusCode, Value) {
    let status = answer.status();
    (status, answer.json().await.unwrap_or_default())
}

#[tokio::test]
async fn an_account_made_at_one_api_lives_at_all_of_them() {
    let stack = stack(2).await;
    let (first, second) = (stack.address(0), stack.address(1));
    let bob = Account::register(first, "bob").await;
    assert_eq!(bob.user["is_admin"], false);
    let again = Account::login(second, "BOB").await;
    assert_eq!(again.user["id"], bob.user["id"]);

    // Twenty refreshes of one token, at both apis at once, lead to one successor.
    let body = json!({"refresh_token": bob.refresh_token});
    let refreshes = (0..20).map(|n| {
        let body = body.clone();
        let api = if n % 2 == 0 { first } else { second };
        async move { read(post(api, "/api/auth/refresh", None, &body).await).await }
    });
    let answers = futures_util::future::join_all(refreshes).await;
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["refresh_token"]), (StatusCode::OK, &answers[0].1["refresh_token"]));
    }

    let wrong = json!({"username": "bob", "password": "Wrong-horse-7-battery"});
    let (status, _) = read(post(second, "/api/auth/login", None, &wrong).await).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let change = json!({"current_password": PASSWORD, "new_password": "Another-horse-8"});
    let changed = post(second, "/api/auth/change-password", Some(&again.access_token), &change).await;
    assert_eq!(changed.status(), StatusCode::OK);
    let (status, answer) =
        read(post(first, "/api/auth/ws-ticket", Some(&bob.access_token), &json!({})).await).await;
    // The other api may go by what it knew for less than a second.
    if status != StatusCode::UNAUTHORIZED {
        assert_eq!(status, StatusCode::OK, "{answer}");
        wait_until("the first device is signed out at the other api", Duration::from_secs(5), async || {
            post(first, "/api/auth/ws-ticket", Some(&bob.access_token), &json!({})).await.status()
                == StatusCode::UNAUTHORIZED
        })
        .await;
    }
}

#[tokio::test]
async fn a_terminal_opened_at_one_api_goes_on_at_another() {
    let stack = stack(2).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    socket.send_input(session, None, b"one\n");
    socket.read_until(session, "one\r\none\r\n").await;
    drop(socket);
    let mut socket = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
    let attached = socket.attach(session, json!({"offset": 0})).await;
    assert_eq!(attached.kind, "replay");
    socket.send_input(session, None, b"two\n");
    socket.read_until(session, "two\r\ntwo\r\n").await;
}

/// The story behind the bound: a socket looked every 500 ms at an answer that could be a second old already.
#[tokio::test]
async fn a_device_signed_out_at_one_api_loses_its_terminals_at_another_within_a_second() {
    for database in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let stack = Stack::start_with(Options { database, apis: 2, ..Options::default() }).await;
        let mut took = Vec::new();
        for _ in 0..5 {
            let phone = Account::login(stack.address(0), "owner").await;
            let opening = stack
                .opening(1, Framing::Json)
                .with_credential(devpocket_tests::client::Credential::Bearer(phone.access_token.clone()));
            let mut socket = Socket::must_open(&opening).await;
            socket.connect(json!({"session_type": "local", "command": ["cat"]})).await;
            // Whatever the second api was last told, it was told it just now.
            phone.ticket(stack.address(1)).await;
            let asked = Instant::now();
            phone.logout(stack.address(0)).await;
            let code = socket.wait_closed(Duration::from_secs(10)).await;
            assert_eq!(code, Some(4401), "{database:?}");
            took.push(asked.elapsed());
        }
        took.sort();
        assert!(took[2] < REVOKED_WITHIN && took[4] < REVOKED_WITHIN + BUSY, "{database:?}: {took:?}");
    }
}

#[tokio::test]
async fn an_attached_terminal_does_not_notice_that_the_database_is_gone() {
    let mut stack = stack(1).await;
    let api = stack.address(0);
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    stack.postgres.as_mut().expect("a server").stop();

    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for line in 0.. {
        let asked = Instant::now();
        socket.send_input(session, None, format!("line {line}\n").as_bytes());
        socket.read_until(session, &format!("line {line}\r\nline {line}\r\n")).await;
        slowest = slowest.max(asked.elapsed());
        if began.elapsed() > Duration::from_secs(8) {
            break;
        }
    }
    assert!(slowest < Duration::from_secs(1), "the slowest echo took {slowest:?}");

    let asked = Instant::now();
    let login = json!({"username": "owner", "password": PASSWORD});
    let answer = post(api, "/api/auth/login", None, &login).await;
    assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    let (status, body) = read(answer).await;
    assert_eq!((status, &body["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("database_unavailable")));
    assert!(asked.elapsed() < SAYS_SO_WITHIN, "{:?}", asked.elapsed());
    // A session that is known can still be attached to, by a token that is good.
    let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    other.attach(session, json!({})).await;

    stack.postgres.as_mut().expect("a server").start_again().await;
    wait_until("people can sign in again", Duration::from_secs(20), async || {
        post(api, "/api/auth/login", None, &login).await.status() == StatusCode::OK
    })
    .await;
    socket.send_input(session, None, b"still here\n");
    socket.read_until(session, "still here\r\nstill here\r\n").await;
}

#[tokio::test]
async fn apis_that_start_at_once_on_an_empty_server_all_serve() {
    let mut stack = stack(0).await;
    for _ in 0..4 {
        stack.add_api();
    }
    for index in 0..4 {
        stack.api_ready(index).await;
    }
    Account::register(stack.address(0), "owner").await;
    for index in 1..4 {
        Account::login(stack.address(index), "owner").await;
    }
}

#[tokio::test]
async fn an_api_that_starts_before_its_database_waits_for_it() {
    let mut stack = stack(1).await;
    stack.kill_api(0);
    stack.postgres.as_mut().expect("a server").stop();
    stack.start_api(0);
    wait_until("the api waits for its database", Duration::from_secs(20), async || {
        stack.api_log(0).contains("waiting for the database")
    })
    .await;
    stack.postgres.as_mut().expect("a server").start_again().await;
    stack.api_ready(0).await;
    Account::login(stack.address(0), "owner").await;
}
