//! What every answer has, whatever it is about.

use axum::http::Version;

use super::super::node::Node;
use super::*;

async fn send(api: &Api, method: &str, path: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::builder().method(method).uri(path).header("content-type", kind);
    api.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_head_beyond_its_bounds_is_refused_in_shape() {
    let api = Api::new().await;
    let target = |bytes: usize| format!("/health/live?{}", "a".repeat(bytes - "/health/live?".len()));
    let asked = async |target: &str, value_bytes: usize| {
        let request = Request::get(target).header("x", "a".repeat(value_bytes));
        api.send(request.body(Body::empty()).unwrap()).await
    };
    let most = 32 << 10;
    let rest = "host127.0.0.1:8000x".len();
    assert_eq!(asked(&target(most), most - rest).await.status, StatusCode::OK);
    asked(&target(most + 1), 1).await.is_problem(414, "uri_too_long");
    asked("/health/live", most).await.is_problem(431, "headers_too_large");
}

#[tokio::test]
async fn whatever_is_wrong_has_one_shape() {
    let api = Api::new().await;
    let json = "application/json";
    let long = format!("{{\"username\": \"{}\"}}", "a".repeat(1 << 20));
    let deep = "[".repeat(100_000);
    for (method, path, kind, body, status, code) in [
        ("GET", "/nothing", json, "", 404, "not_found"),
        ("GET", "/api/auth/nothing", json, "", 404, "not_found"),
        ("POST", "/nothing", json, "", 404, "not_found"),
        ("GET", "/../etc/passwd", json, "", 404, "not_found"),
        ("GET", "/api/auth/login", json, "", 405, "method_not_allowed"),
        ("DELETE", "/health", json, "", 405, "method_not_allowed"),
        ("TRACE", "/api/auth/login", json, "", 405, "method_not_allowed"),
        ("PROPFIND", "/", json, "", 405, "method_not_allowed"),
        ("POST", "/api/auth/login", "text/plain", "{}", 415, "unsupported_media_type"),
        (
            "POST",
            "/api/auth/register",
            "application/x-www-form-urlencoded",
            "a=b",
            415,
            "unsupported_media_type",
        ),
        ("POST", "/api/auth/login", json, &long, 413, "payload_too_large"),
        ("POST", "/api/auth/login", json, "", 400, "malformed_json"),
        ("POST", "/api/auth/login", json, "{\"username\":", 400, "malformed_json"),
        ("POST", "/api/auth/login", json, "\u{feff}{}", 400, "malformed_json"),
        ("POST", "/api/auth/login", json, "{\"username\": \"\\ud800\"}", 400, "malformed_json"),
        ("POST", "/api/auth/login", json, &deep, 400, "malformed_json"),
        ("POST", "/api/auth/login", json, "[]", 422, "invalid_fields"),
        ("POST", "/api/auth/login", json, "{}", 422, "invalid_fields"),
        (
            "POST",
            "/api/auth/login",
            "application/x-www-form-urlencoded",
            "username=ann",
            422,
            "invalid_fields",
        ),
        ("POST", "/api/auth/login", json, "{\"username\": 1, \"password\": []}", 422, "invalid_fields"),
        (
            "POST",
            "/api/auth/login",
            json,
            "{\"username\": \"ann\\u0000\", \"password\": \"x\"}",
            422,
            "invalid_fields",
        ),
        ("GET", "/api/auth/me", json, "", 401, "not_authenticated"),
        ("POST", "/api/auth/ws-ticket", json, "", 401, "not_authenticated"),
        ("POST", "/api/auth/logout", json, "", 401, "not_authenticated"),
        ("POST", "/api/auth/change-password", json, "{}", 401, "not_authenticated"),
    ] {
        let answer = send(&api, method, path, kind, body.to_owned()).await;
        answer.is_problem(status, code);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff", "{method} {path}");
    }
    let bytes = send(&api, "POST", "/api/auth/login", json, vec![0xff, 0xfe, b'{', b'}']).await;
    bytes.is_problem(400, "malformed_json");
}

#[tokio::test]
async fn fields_are_named_all_at_once_and_never_repeated() {
    let api = Api::new().await;
    let sent =
        json!({"email": "s3cret-mail", "username": "s3cret name", "password": 5, "device_type": "s3cret"});
    let answer = api.post("/api/auth/register", sent).await;
    answer.is_problem(422, "invalid_fields");
    let named: Vec<_> = answer.body["errors"].as_array().unwrap().iter().map(|err| &err["field"]).collect();
    assert_eq!(named, ["email", "username", "password", "device_type"]);
    assert!(!answer.text.contains("s3cret"), "{}", answer.text);
}

#[tokio::test]
async fn a_body_without_length_is_cut_off_at_the_limit() {
    let api = Api::new().await;
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
    send(&api, "POST", "/api/auth/login", "application/json", Body::from_stream(endless))
        .await
        .is_problem(413, "payload_too_large");
}

/// RFC 9112 section 3.2: whoever cannot tell which host is meant refuses.
#[tokio::test]
async fn a_request_names_one_host() {
    let api = Api::new().await;
    let ask = async |version: Version, hosts: &[&str]| {
        let mut request = Request::get("/health/live").version(version);
        for host in hosts {
            request = request.header("host", *host);
        }
        let response = api.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        response.status().as_u16()
    };
    assert_eq!(ask(Version::HTTP_11, &["localhost:8000"]).await, 200);
    assert_eq!(ask(Version::HTTP_11, &[]).await, 400);
    assert_eq!(ask(Version::HTTP_11, &["localhost:8000", "localhost:8000"]).await, 400);
    assert_eq!(ask(Version::HTTP_10, &[]).await, 200, "there was none then");
    assert_eq!(ask(Version::HTTP_10, &["localhost:8000", "evil.example"]).await, 400);
}

#[tokio::test]
async fn a_body_that_may_be_left_out_may_be_named_and_left_out() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    for path in
        ["/api/sessions/00000000-0000-0000-0000-000000000000/terminate", "/api/sessions/cleanup/inactive"]
    {
        let ask = async |kind: &str, body: &str| {
            let request = Request::post(path)
                .header("content-type", kind)
                .header("authorization", format!("Bearer {}", ann.access()));
            api.send(request.body(body.to_owned().into()).unwrap()).await
        };
        for kind in ["application/json", "application/json; charset=utf-8"] {
            let answer = ask(kind, "").await;
            assert!(!answer.status.is_client_error() || answer.status == 404, "{path}: {answer:?}");
        }
        ask("application/json", " ").await.is_problem(400, "malformed_json");
        ask("text/plain", "").await.is_problem(415, "unsupported_media_type");
        ask("text/plain", "x").await.is_problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_number_beyond_all_bounds_is_a_wrong_value_and_no_broken_json() {
    let api = Api::new().await;
    for number in ["1e999".to_owned(), "-1e999".to_owned(), "9".repeat(100_000)] {
        let body = format!("{{\"username\": {number}, \"password\": \"x\"}}");
        send(&api, "POST", "/api/auth/login", "application/json", body)
            .await
            .is_problem(422, "invalid_fields");
    }
    let cut = "{\"username\": 1e";
    send(&api, "POST", "/api/auth/login", "application/json", cut).await.is_problem(400, "malformed_json");
}

/// RFC 6455 section 4.4: who speaks another version is told ours.
#[tokio::test]
async fn a_websocket_of_another_version_is_told_ours() {
    let api = Api::new().await;
    let ask = async |version: &str| {
        let request = Request::get("/ws/terminal")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("sec-websocket-version", version);
        api.send(request.body(Body::empty()).unwrap()).await
    };
    for version in ["12", "8", "x"] {
        let answer = ask(version).await;
        answer.is_problem(426, "upgrade_required");
        assert_eq!(answer.headers["sec-websocket-version"], "13");
    }
    ask("13").await.is_problem(401, "not_authenticated");
}

#[tokio::test]
async fn the_document_has_the_name_of_the_deployment() {
    let answer = Api::new().await.get("/openapi.json").await;
    assert_eq!(answer.body["info"]["title"], "Pocket & Söhne");
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_trailing_slash_is_the_same_path() {
    let api = Api::new().await;
    let answer = send(&api, "POST", "/api/auth/login/", "application/json", "{}").await;
    answer.is_problem(422, "invalid_fields");
    assert_eq!(send(&api, "GET", "/health/live/", "", "").await.status, StatusCode::OK);
    assert_eq!(send(&api, "GET", "/health/live//?x=1", "", "").await.status, StatusCode::OK);
    // A proxy that keeps a path from the world compares what is written.
    send(&api, "GET", "//health/live", "", "").await.is_problem(404, "not_found");
    send(&api, "GET", "//metrics", "", "").await.is_problem(404, "not_found");
}

#[tokio::test]
async fn a_request_id_is_taken_over_if_it_is_a_short_token() {
    let api = Api::new().await;
    let check = async |given: &str, kept: bool| {
        let request = Request::get("/health/live").header("x-request-id", given).body(Body::empty()).unwrap();
        let answer = api.send(request).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert_eq!(id == given, kept, "{given:?} became {id:?}");
        assert!(!id.is_empty());
    };
    check("abc-1.2_X", true).await;
    check("", false).await;
    check("a b", false).await;
    check("a\"b", false).await;
    check(&"a".repeat(65), false).await;
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let api = Api::new().await;
    let mut answers = Vec::new();
    for path in ["/", "/docs", "/redoc", "/docs/"] {
        let page = send(&api, "GET", path, "", "").await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert_eq!(page.headers["cache-control"], "no-cache");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("script-src 'self';") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        answers.push(page);
    }
    let data = send(&api, "GET", "/health/live", "", "").await;
    assert_eq!(data.headers["content-security-policy"], "default-src 'none'; frame-ancestors 'none'");
    assert_eq!(data.headers["cache-control"], "no-store");
    answers.push(data);
    for answer in answers {
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
}

#[tokio::test]
async fn a_rebound_host_is_turned_away() {
    let api = Api::new().await;
    for (host, good) in
        [("localhost:8000", true), ("127.0.0.1:9", true), ("evil.example:8000", false), ("\u{e4}", false)]
    {
        let request =
            Request::get("/health/live").header("host", host.as_bytes()).body(Body::empty()).unwrap();
        let answer = api.send(request).await;
        if good {
            assert_eq!(answer.status, StatusCode::OK, "{host}");
        } else {
            answer.is_problem(421, "misdirected_request");
        }
    }
}

#[tokio::test]
async fn health_tells_a_closed_database_and_life_does_not_ask_it() {
    let api = Api::new().await;
    let _node = Node::listen(api.directory.path());
    for path in ["/health", "/health/ready"] {
        let answer = send(&api, "GET", path, "", "").await;
        assert_eq!((answer.status, &answer.body["status"]), (StatusCode::OK, &json!("ok")));
        assert_eq!(answer.body["dependencies"]["node"], "ok");
    }
    let token = api.register("ann").await.access().to_owned();
    api.database.close().await;
    for path in ["/health/db", "/health/redis"] {
        let answer = send(&api, "GET", path, "", "").await;
        assert_eq!(
            answer.status,
            if path.ends_with("db") { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
        );
    }
    for path in ["/health", "/health/ready"] {
        let answer = send(&api, "GET", path, "", "").await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.body["dependencies"]["database"], "unavailable");
    }
    assert_eq!(send(&api, "GET", "/health/live", "", "").await.status, StatusCode::OK);
    let login = api.login("ann", PASSWORD).await;
    login.is_problem(503, "database_unavailable");
    assert!(login.headers.contains_key("retry-after"));
    assert!(api.accounts.identify_access(&token).await.is_ok(), "a good token goes on without the database");
}

/// The story: `/health` said that all was well while no session could be opened.
#[tokio::test]
async fn health_tells_a_node_that_is_away_or_says_nothing_and_soon() {
    for silent in [false, true] {
        let api = Api::new().await;
        // Somebody listens, and nobody accepts.
        let socket = api.directory.path().join("ptyd.sock");
        let _listener = silent.then(|| tokio::net::UnixListener::bind(socket).unwrap());
        let asked = tokio::time::Instant::now();
        let health = send(&api, "GET", "/health", "", "").await;
        let ready = send(&api, "GET", "/health/ready", "", "").await;
        assert!(asked.elapsed() < std::time::Duration::from_secs(5), "{:?}", asked.elapsed());
        let status = (health.status.as_u16(), ready.status.as_u16());
        assert_eq!(status, (503, 200), "accounts work: {health:?} {ready:?}");
        for answer in [health, ready] {
            assert_eq!(answer.body["dependencies"]["node"], "unavailable");
            assert_eq!(answer.body["dependencies"]["database"], "ok");
        }
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a router of the test's own")]
async fn a_panic_is_a_problem_and_the_next_request_is_served() {
    let panicking: Router = Router::new()
        .route("/", axum::routing::get(async || -> &'static str { panic!("s3cret") }))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(crate::http::panicked))
        .layer(axum::middleware::from_fn(crate::http::request::trace));
    for _ in 0..2 {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = panicking.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("\"code\":\"internal\"") && !text.contains("s3cret"), "{text}");
    }
}

#[tokio::test]
async fn pages_of_named_origins_may_use_the_api_and_no_others() {
    let api = Api::new().await;
    let ask = async |method: &str, path: &str, origin: &str| {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("origin", origin)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", "authorization,content-type");
        api.send(request.body(Body::empty()).unwrap()).await
    };
    let preflight = ask("OPTIONS", "/api/profile", "https://app.example").await;
    assert_eq!(preflight.status, StatusCode::OK);
    assert_eq!(preflight.headers["access-control-allow-origin"], "https://app.example");
    let allowed = preflight.headers["access-control-allow-methods"].to_str().unwrap();
    assert!(allowed.contains("PUT") && !allowed.contains("PATCH"), "{allowed}");
    assert!(preflight.headers["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
    assert!(!preflight.headers.contains_key("access-control-allow-credentials"));
    // Errors too are for the page to read.
    let refused = ask("GET", "/api/profile", "https://app.example").await;
    refused.is_problem(401, "not_authenticated");
    assert_eq!(refused.headers["access-control-allow-origin"], "https://app.example");
    let exposed = refused.headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("content-disposition"), "the export's name: {exposed}");
    assert!(exposed.contains("retry-after") && exposed.contains("idempotent-replayed"), "{exposed}");
    for origin in [
        "https://evil.example",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil",
        "null",
    ] {
        for method in ["OPTIONS", "GET"] {
            let answer = ask(method, "/api/profile", origin).await;
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{method} {origin}");
        }
    }
}

/// The story: whoever asked for too much was told to read a file of ours, and an order that is not kept was not refused.
#[tokio::test]
async fn what_is_wrong_with_a_session_that_is_asked_for_is_said() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let said = async |path: &str, body: Value| {
        let refused = api.post_as(&token, path, body).await;
        refused.is_problem(422, "invalid_fields");
        let error = refused.body["errors"][0].clone();
        (error["field"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
    };
    let variables: serde_json::Map<String, Value> = (0..257).map(|n| (format!("V{n}"), json!(""))).collect();
    for (field, value, bound) in [
        ("name", json!("\u{e4}".repeat(129)), "256 bytes"),
        ("name", json!("x".repeat(257)), "256 bytes"),
        ("command", json!(vec!["x"; 257]), "256"),
        ("command", json!(["x", "y".repeat(65_536)]), "65536"),
        ("working_directory", json!("\u{e4}".repeat(2049)), "4096"),
        ("environment", Value::from(variables), "256"),
        ("environment", json!({"DEVPOCKET_SESSION": "x"}), "DEVPOCKET_SESSION"),
    ] {
        let (wrong, message) = said("/api/sessions", json!({ field: value })).await;
        assert!(wrong == field && message.contains(bound), "{wrong}: {message}");
    }
    for (field, value) in [("sort", json!("name")), ("filter", json!("x")), ("order_by", json!(["name"]))] {
        assert_eq!(said("/api/sessions/search", json!({ field: value })).await.0, field);
    }
    let node = Node::listen(api.directory.path());
    let ignored = json!({"sort": null, "colour": "red"});
    assert_eq!(api.post_as(&token, "/api/sessions/search", ignored).await.status, StatusCode::OK);
    assert_eq!(node.count(), 0);
}
