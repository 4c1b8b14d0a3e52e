//! What Prometheus sees of both daemons.

use std::net::SocketAddr;
use std::time::Duration;

use devpocket_tests::client::Framing;
use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::metrics::value;
use devpocket_tests::stack::{Options, Stack, place};
use devpocket_tests::{wait_for, wait_until};
use reqwest::StatusCode;

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
