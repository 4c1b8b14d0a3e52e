//! What Prometheus sees of both daemons.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Credential, Framing, Socket};
use devpocket_tests::metrics::value;
use devpocket_tests::stack::account::post;
use devpocket_tests::stack::{LinkKind, Options, Stack, place};
use devpocket_tests::{wait_for, wait_until};
use reqwest::{Method, StatusCode};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);

async fn page(address: SocketAddr, headers: &[(&'static str, &str)]) -> Option<(StatusCode, String)> {
    let mut request = reqwest::Client::new().get(format!("http://{address}/metrics"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.ok()?;
    Some((response.status(), response.text().await.ok()?))
}

#[tokio::test]
async fn both_daemons_show_what_they_do_and_only_to_whom_they_should() {
    let (ptyd, api) = (place::free_address(), place::free_address());
    let options = Options {
        keeper_environment: vec![("PTYD_METRICS_LISTEN".to_owned(), ptyd.to_string())],
        api_environment: vec![
            ("METRICS_LISTEN".to_owned(), api.to_string()),
            ("METRICS_TOKEN".to_owned(), "let-me-read".to_owned()),
        ],
        ..Options::default()
    };
    let stack = Stack::start_with(options).await;
    let (mut socket, attached) = session(&stack, Framing::Binary, raw_script("printf ready; exec cat")).await;
    socket.read_until(attached.session, "ready").await;
    socket.send_input(attached.session, None, b"typed");
    socket.read_until(attached.session, "typed").await;

    let seen = wait_for("ptyd has counted its session", LIMIT, async || {
        let (_, page) = page(ptyd, &[]).await?;
        (value(&page, "ptyd_sessions") == Some(1.0)).then_some(page)
    })
    .await;
    assert_eq!(value(&seen, "ptyd_attachments"), Some(1.0), "{seen}");
    assert_eq!(value(&seen, "ptyd_sessions_started_total"), Some(1.0), "{seen}");
    assert_eq!(value(&seen, "ptyd_attaches_total{resume=\"fresh\"}"), Some(1.0), "{seen}");
    assert_eq!(value(&seen, "ptyd_input_bytes_total"), Some(5.0), "{seen}");
    assert_eq!(value(&seen, "ptyd_output_bytes_total"), Some(10.0), "{seen}");

    let main = stack.address(0);
    let (_, own) = page(api, &[]).await.expect("the api's own listener");
    for (what, address, headers) in [
        ("from this machine", main, &[][..]),
        (
            "a proxy's client with the token",
            main,
            &[("x-forwarded-for", "203.0.113.9"), ("authorization", "Bearer let-me-read")],
        ),
    ] {
        let (status, page) = page(address, headers).await.expect(what);
        assert_eq!(
            (status, value(&page, "devpocket_websockets")),
            (StatusCode::OK, Some(1.0)),
            "{what}: {page}"
        );
    }
    assert_eq!(value(&own, "devpocket_websockets"), Some(1.0), "{own}");
    let registered =
        "devpocket_http_requests_total{method=\"POST\",route=\"/api/auth/register\",status=\"201\"}";
    assert_eq!(value(&own, registered), Some(1.0), "{own}");
    assert!(!own.contains(&attached.session.to_string()) && !own.contains("owner"), "{own}");
    for headers in [
        &[("x-forwarded-for", "203.0.113.9")][..],
        &[("x-forwarded-for", "203.0.113.9"), ("authorization", "Bearer let-me")],
    ] {
        let (status, page) = page(main, headers).await.expect("an answer");
        assert_eq!((status, page.contains("devpocket_")), (StatusCode::NOT_FOUND, false), "{page}");
    }

    assert!(stack.kill_worker());
    wait_until("the next worker counts what it took over", LIMIT, async || {
        page(ptyd, &[])
            .await
            .is_some_and(|(_, page)| value(&page, "ptyd_sessions_adopted_total") == Some(1.0))
    })
    .await;
}

/// Metrics that a page has: those of histograms by their own name.
fn names(page: &str) -> BTreeSet<String> {
    let kinds = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    kinds.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// What a page says of its metrics, by name.
fn helps(page: &str) -> BTreeMap<String, String> {
    let said = page.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split_once(' '));
    said.map(|(name, help)| (name.to_owned(), help.to_owned())).collect()
}

/// Metrics of a daemon that the documentation has, and what it says of each.
fn documented(prefix: &str) -> BTreeMap<String, String> {
    let begin = format!("| `{prefix}");
    let rows = include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with(&begin));
    // The cells of a row stand between its bars; what is Markdown in them is no text.
    let cells = rows.map(|row| row.replace('`', "").split('|').map(|cell| cell.trim().to_owned()).collect());
    cells.map(|cells: Vec<String>| (cells[1].clone(), cells[4].clone())).collect()
}

/// The story: a number that is not there before its first event has no rise, and an alert on it never fires.
#[tokio::test]
async fn what_has_not_happened_is_zero_and_says_what_it_is() {
    let stack = Stack::start_with(Options { apis: 2, redis: true, ..Options::default() }).await;
    let page = page(stack.address(1), &[]).await.expect("a page").1;
    for metric in [
        "devpocket_http_requests_total{method=\"POST\",route=\"/api/auth/login\",status=\"200\"}",
        "devpocket_http_requests_total{method=\"GET\",route=\"/ws/terminal\",status=\"101\"}",
        "devpocket_http_request_seconds_count{route=\"/api/auth/login\"}",
        "devpocket_websockets",
        "devpocket_websockets_opened_total",
        "devpocket_websockets_closed_total{by=\"server\",code=\"4401\"}",
        "devpocket_link_requests_total{outcome=\"unreachable\"}",
        "devpocket_redis_fallbacks_total",
    ] {
        assert_eq!(value(&page, metric), Some(0.0), "{metric}: {page}");
    }
    let (said, documented) = (helps(&page), documented("devpocket_"));
    for name in names(&page).iter().filter(|name| name.starts_with("devpocket_")) {
        assert_eq!(said.get(name), documented.get(name), "{name}");
        assert!(said.contains_key(name), "{name} says nothing of itself");
    }
}

/// The story: the counters of ptyd appeared with their first event, and said other things of themselves than the
/// documentation.
#[tokio::test]
async fn what_has_not_happened_at_ptyd_is_zero_and_says_what_it_is() {
    let ptyd = place::free_address();
    let keeper_environment = vec![("PTYD_METRICS_LISTEN".to_owned(), ptyd.to_string())];
    let link = LinkKind::Quic;
    let _stack = Stack::start_with(Options { keeper_environment, link, ..Options::default() }).await;
    let page = wait_for("ptyd has looked around", LIMIT, async || {
        let (_, page) = page(ptyd, &[]).await?;
        value(&page, "ptyd_sessions").map(|_| page)
    })
    .await;
    for metric in [
        "ptyd_sessions",
        "ptyd_sessions_ended_kept",
        "ptyd_attachments",
        "ptyd_sessions_started_total",
        "ptyd_sessions_adopted_total",
        "ptyd_sessions_ended_total",
        "ptyd_attaches_total{resume=\"fresh\"}",
        "ptyd_attaches_total{resume=\"replay\"}",
        "ptyd_attaches_total{resume=\"snapshot\"}",
        "ptyd_output_bytes_total",
        "ptyd_input_bytes_total",
        "ptyd_snapshots_total{reason=\"attach\"}",
        "ptyd_snapshots_total{reason=\"lagged\"}",
        "ptyd_snapshots_total{reason=\"recovered\"}",
        "ptyd_snapshots_shortened_total{cause=\"no_room\"}",
        "ptyd_snapshots_shortened_total{cause=\"slow\"}",
    ] {
        assert_eq!(value(&page, metric), Some(0.0), "{metric}: {page}");
    }
    let mut said = helps(&page);
    said.retain(|name, _| name.starts_with("ptyd_"));
    assert_eq!(said, documented("ptyd_"));
    let own: Vec<String> = names(&page).into_iter().filter(|name| name.starts_with("ptyd_")).collect();
    assert_eq!(own, said.into_keys().collect::<Vec<_>>());
}

/// Every number on a page with its labels.
fn series(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.rsplit_once(' ')?.0))
        .collect()
}

/// Whoever could choose a label could fill the memory of the api, and of who reads its numbers.
#[tokio::test]
async fn no_client_makes_up_a_number() {
    let stack = Stack::start().await;
    let main = stack.address(0);
    let read = async || page(main, &[]).await.expect("a page").1;
    let closed = "devpocket_websockets_closed_total{by=\"client\",code=\"other\"}";
    let make_up = async |number: u16| {
        let client = reqwest::Client::new();
        let id = uuid::Uuid::new_v4();
        for method in ["BREW".to_owned(), format!("BREW{number}"), "GET".to_owned()] {
            for path in [format!("/x/{id}"), format!("/api/{id}/x"), format!("/health/live?{id}")] {
                let method = Method::from_bytes(method.as_bytes()).expect("a method");
                let request = client.request(method, format!("http://{main}{path}"));
                request.header("x-request-id", id.to_string()).send().await.expect("an answer");
            }
        }
        for code in [4999 - number, 3000 + number] {
            let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
            socket.send_close_with(code);
            socket.wait_closed(LIMIT).await;
        }
    };
    // What is the first of its kind, "other" and "none", is there from now on.
    make_up(0).await;
    read().await;
    wait_until("closes are counted", LIMIT, async || value(&read().await, closed) == Some(2.0)).await;
    let before = read().await;
    for number in 1..=10 {
        make_up(number).await;
    }
    wait_until("closes are counted", LIMIT, async || value(&read().await, closed) == Some(22.0)).await;
    let after = read().await;
    assert_eq!(series(&after), series(&before));
    let made_up =
        |name: &&&str| ["BREW", "\"4999\"", "\"3000\"", "/x"].iter().any(|word| name.contains(word));
    assert_eq!(series(&after).iter().find(made_up), None, "{after}");
    let brewed = "devpocket_http_requests_total{method=\"other\",route=\"none\",status=\"404\"}";
    assert!(value(&after, brewed).is_some_and(|count| count >= 22.0), "{after}");
}

#[tokio::test]
async fn what_somebody_is_woken_for_is_counted_and_all_that_is_counted_is_documented() {
    let options = Options {
        redis: true,
        api_environment: vec![("RATE_LIMITS".to_owned(), "on".to_owned())],
        ..Options::default()
    };
    let mut stack = Stack::start_with(options).await;
    let main = stack.address(0);
    let read = async || page(main, &[]).await.expect("a page").1;
    let problem = |code: &str| format!("devpocket_http_problems_total{{code=\"{code}\"}}");
    let before = read().await;
    for code in ["invalid_credentials", "account_locked", "token_reused", "origin_not_allowed"] {
        assert_eq!(value(&before, &problem(code)), Some(0.0), "{code} is there before it happens: {before}");
    }

    // A ticket is shown twice; the socket that it opened says goodbye.
    let ticket = stack.admin.ticket(main).await;
    let opening = stack.opening(0, Framing::Json).with_credential(Credential::Ticket(ticket));
    let mut socket = Socket::must_open(&opening).await;
    assert!(Socket::open(&opening).await.is_err(), "a ticket is good once");
    socket.send_close();
    socket.wait_closed(LIMIT).await;
    let foreign = stack.opening(0, Framing::Json).with_origin("https://evil.example");
    assert!(Socket::open(&foreign).await.is_err(), "a foreign page");
    // Passwords are guessed until nobody listens any more.
    let guess = json!({"username": "nobody", "password": "Wrong1!x"});
    for _ in 0..12 {
        post(main, "/api/auth/login", None, &guess).await;
    }
    for metric in [
        problem("invalid_credentials"),
        problem("account_locked"),
        problem("origin_not_allowed"),
        "devpocket_rate_limited_total{bucket=\"auth\"}".to_owned(),
        "devpocket_tickets_total{outcome=\"accepted\"}".to_owned(),
        "devpocket_tickets_total{outcome=\"used_before\"}".to_owned(),
        "devpocket_websockets_closed_total{by=\"client\",code=\"1005\"}".to_owned(),
        "devpocket_database_up".to_owned(),
        "devpocket_redis_up".to_owned(),
        "devpocket_database_wait_seconds_count".to_owned(),
    ] {
        wait_until(&format!("{metric} is counted"), LIMIT, async || {
            value(&read().await, &metric).is_some_and(|count| count >= 1.0)
        })
        .await;
    }
    let quiet = read().await;
    assert_eq!(value(&quiet, "devpocket_redis_fallbacks_total"), Some(0.0), "{quiet}");
    let own: BTreeSet<String> =
        names(&quiet).into_iter().filter(|name| name.starts_with("devpocket_")).collect();
    let written: BTreeSet<String> = documented("devpocket_").into_keys().collect();
    assert_eq!(own.difference(&written).collect::<Vec<_>>(), Vec::<&String>::new(), "not documented");
    // No link over QUIC here.
    let unseen: Vec<&String> =
        written.difference(&own).filter(|name| !name.starts_with("devpocket_link_certificate")).collect();
    assert_eq!(unseen, Vec::<&String>::new(), "documented and not there");

    stack.redis.as_mut().expect("a Redis").stop();
    wait_until("Redis is seen to be away", LIMIT, async || {
        post(main, "/api/auth/login", None, &guess).await;
        let page = read().await;
        value(&page, "devpocket_redis_up") == Some(0.0)
            && value(&page, "devpocket_redis_fallbacks_total").is_some_and(|count| count >= 1.0)
    })
    .await;
}
