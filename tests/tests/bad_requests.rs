//! Requests that nobody means well: each is refused in the one shape of all, and the next one is served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use devpocket_tests::Witness;
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::routes::{Body, ROUTES, Route, Who};
use devpocket_tests::stack::{Options, Stack, proc};
use serde_json::{Value, json};

const JSON: &str = "application/json";
/// How long the api may take for what it can refuse at once.
const AT_ONCE: Duration = Duration::from_secs(10);
/// How much a flood of refused bodies may leave behind.
const LEFT_BEHIND_BYTES: u64 = 16 << 20;

/// Routes that read a body, each with fields that it takes.
fn with_fields() -> impl Iterator<Item = (&'static Route, Value)> {
    ROUTES.iter().filter_map(|route| match route.body {
        Body::Fields(fields) => Some((route, serde_json::from_str(fields).expect("JSON"))),
        Body::Nothing => None,
    })
}

/// The token, and what `{id}` stands for.
fn caller(stack: &Stack) -> Rest {
    Rest::new(stack.address(0), Some(&stack.admin.access_token))
}

async fn new_session(rest: &Rest) -> String {
    let made = rest.post("/api/sessions", &json!({"command": ["cat"]})).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_body_that_is_none_of_json_is_refused_by_every_route_that_reads_one() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let rest = caller(&stack);
    let id = new_session(&rest).await;
    let deep = |open: &str, close: &str| {
        format!("{{\"x\": {}1{}}}", open.repeat(100_000), close.repeat(100_000)).into_bytes()
    };
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("cut short", b"{\"a\": ".to_vec()),
        ("not UTF-8", b"{\"a\": \"\xff\xfe\"}".to_vec()),
        ("half a character", b"{\"a\": \"\xe2\x82\"}".to_vec()),
        ("a character written too long", b"{\"a\": \"\xc0\xaf\"}".to_vec()),
        ("UTF-16", "{}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("half a surrogate pair", br#"{"a": "\ud800"}"#.to_vec()),
        ("a NUL", b"{\"a\": 1}\0".to_vec()),
        ("a NUL in a text", b"{\"a\": \"\0\"}".to_vec()),
        ("two values", b"{} {}".to_vec()),
        ("not a number", b"{\"a\": NaN}".to_vec()),
        ("deep objects", deep("{\"x\":", "}")),
        ("deep lists", deep("[", "]")),
    ];
    for (route, _) in with_fields() {
        for (what, body) in &bodies {
            let answer = rest.send_as(route.method, &route.path_of(&id), Some((JSON, body.clone()))).await;
            answer.is_problem(400, "malformed_json");
            assert!(answer.is_shaped(), "{what}: {route:?}: {answer:?}");
        }
        for body in ["[]", "null", "1", "\"x\"", "true", "1e999"] {
            let answer = rest.send_as(route.method, &route.path_of(&id), Some((JSON, body.into()))).await;
            let refused = matches!(answer.status, 400 | 422) && answer.is_shaped();
            assert!(refused, "{body}: {route:?}: {answer:?}");
        }
        for kind in [
            "text/plain",
            "text/html",
            "application/xml",
            "multipart/form-data",
            "",
            "x",
            "application/json2",
        ] {
            let answer = rest.send_as(route.method, &route.path_of(&id), Some((kind, b"{}".to_vec()))).await;
            answer.is_problem(415, "unsupported_media_type");
            assert!(answer.is_shaped(), "{kind:?}: {route:?}: {answer:?}");
        }
    }
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn ten_megabytes_are_refused_unread_by_every_route_and_leave_nothing_behind() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let id = new_session(&caller(&stack)).await;
    let before = proc::resident_bytes(stack.api_pid(0)).expect("the api runs");
    for (route, _) in with_fields() {
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {JSON}\r\nContent-Length: {}\r\n\r\n",
            route.method,
            route.path_of(&id),
            stack.address(0),
            stack.admin.access_token,
            10 << 20,
        );
        // Unread: with no byte of it sent, and with the question whether to send it.
        let asking = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
        for head in [head, asking] {
            let text = exchange(stack.address(0), head.as_bytes(), b"");
            assert!(text.starts_with("HTTP/1.1 413 "), "{route:?}: {text}");
            assert!(
                text.contains("application/problem+json") && text.contains("payload_too_large"),
                "{text}"
            );
            assert!(text.to_lowercase().contains("\r\nconnection: close\r\n"), "{text}");
        }
        // Where nothing announces it, it is cut off at the limit.
        let head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n\r\n",
            route.method,
            route.path_of(&id),
            stack.address(0),
            stack.admin.access_token,
        );
        let mut chunk = b"100000\r\n".to_vec();
        chunk.extend(vec![b' '; 1 << 20]);
        chunk.extend(b"\r\n");
        let text = exchange(stack.address(0), head.as_bytes(), &chunk.repeat(10));
        assert!(text.starts_with("HTTP/1.1 413 "), "{route:?}: {text}");
    }
    let after = proc::resident_bytes(stack.api_pid(0)).expect("the api runs");
    assert!(after < before + LEFT_BEHIND_BYTES, "{before} bytes before, {after} after");
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn fields_of_the_wrong_type_and_texts_with_nul_are_named_by_every_route_that_has_them() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let rest = caller(&stack);
    let id = new_session(&rest).await;
    let mut tried = 0;
    for (route, fields) in with_fields() {
        for (field, good) in fields.as_object().expect("an object") {
            let mut wrong = vec![json!({"a": [1]}), json!(-1), json!(1e300), json!([[[]]])];
            if good.is_string() && field != "data" {
                // Into a terminal any byte may be typed; elsewhere a NUL is no text.
                wrong.extend([json!("\u{0}"), json!("x\u{0}y"), json!("x".repeat(300_000))]);
            }
            for value in wrong {
                let mut body = fields.clone();
                body[field] = value.clone();
                let sent = Some((JSON, body.to_string().into_bytes()));
                let answer = rest.send_as(route.method, &route.path_of(&id), sent).await;
                answer.is_problem(422, "invalid_fields");
                assert!(answer.is_shaped(), "{route:?}: {answer:?}");
                let named = answer.body["errors"].as_array().expect("errors");
                assert!(named.iter().any(|err| err["field"] == *field), "{field}: {route:?}: {answer:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    witness.is_undisturbed().await;
}

/// Texts that mean something to a database, a log, a terminal, a header or a shell, and nothing here.
const INJECTIONS: [&str; 10] = [
    "' or '1'='1' --",
    "\"; drop table users; --",
    "$1); delete from sessions; --",
    "%27%20union%20select%20*",
    "x\r\nSet-Cookie: injected=1\r\n\r\n<script>",
    "x\n{\"level\":\"ERROR\",\"message\":\"injected\"}",
    "\u{1b}]0;injected\u{7}\u{1b}[2J\u{9b}31m",
    "${jndi:ldap://injected} $(injected) `injected`",
    "\u{2028}injected\u{202e}\u{feff}\"\\",
    "../../../etc/passwd",
];

#[tokio::test]
async fn texts_that_mean_something_elsewhere_are_texts_and_a_log_line_stays_one_object() {
    let verbose = vec![("LOG".to_owned(), "debug".to_owned())];
    let stack = Stack::start_with(Options { api_environment: verbose, ..Options::default() }).await;
    let mut witness = Witness::start(&stack).await;
    let rest = caller(&stack);
    let before = rest.get("/api/auth/me").await.expect(200);
    for text in INJECTIONS {
        let encoded: String = text.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for route in ROUTES {
            let id = if route.who == Who::Session { new_session(&rest).await } else { encoded.clone() };
            let Body::Fields(fields) = route.body else {
                // Signing out is the one thing here that succeeds whatever is said with it.
                if route.path == "/api/auth/logout" {
                    continue;
                }
                let path = format!("{}?status={encoded}&offset={encoded}&{encoded}", route.path_of(&id));
                let answer = rest.send_as(route.method, &path, None).await;
                assert!(
                    answer.status < 500 && !answer.headers.contains_key("set-cookie"),
                    "{route:?}: {answer:?}"
                );
                continue;
            };
            let mut body: Value = serde_json::from_str(fields).expect("JSON");
            for value in
                body.as_object_mut().expect("an object").values_mut().filter(|value| value.is_string())
            {
                *value = text.into();
            }
            body[text] = text.into();
            let sent = Some((JSON, body.to_string().into_bytes()));
            let answer = rest.send_as(route.method, &route.path_of(&id), sent).await;
            assert!(
                answer.status < 500 && !answer.headers.contains_key("set-cookie"),
                "{route:?}: {answer:?}"
            );
        }
    }
    // As data they come back as they went in.
    for text in INJECTIONS {
        let named = rest.put("/api/profile", &json!({"display_name": text})).await;
        if text.chars().any(|c| c.is_control() || c == '\u{202e}') {
            // A name that would steer the terminal of whoever lists it, or turn the text beside it.
            named.is_problem(422, "invalid_fields");
        } else {
            assert_eq!(named.expect(200)["display_name"], text);
        }
        let search = rest.post("/api/sessions/search", &json!({"query": text})).await.expect(200);
        let found: Vec<&Value> = search["sessions"].as_array().expect("sessions").iter().collect();
        // The one whose description it became above.
        assert_eq!(found.len(), 1, "{text:?} is looked for as it is: {search}");
        assert_eq!(found[0]["description"], text, "{search}");
    }
    let after = rest.get("/api/auth/me").await.expect(200);
    assert_eq!((&after["id"], &after["email"]), (&before["id"], &before["email"]));
    witness.is_undisturbed().await;

    let log = stack.api_log(0);
    let mut lines = 0;
    for line in log.lines() {
        let line: Value =
            serde_json::from_str(line).unwrap_or_else(|err| panic!("{err} in log line {line:?}"));
        assert!(line.is_object(), "{line}");
        assert_ne!(line["level"], "ERROR", "nothing a client says is an error of ours: {line}");
        lines += 1;
    }
    assert!(lines > 100, "the log tells of the requests: {lines} lines");
    assert!(!log.contains('\u{1b}') && !log.contains('\u{9b}'), "control bytes in the log");
}

#[tokio::test]
async fn heads_that_are_no_http_or_have_no_end_are_refused_and_the_next_one_is_served() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let api = stack.address(0);
    let head = |target: &str, header: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: {api}\r\nConnection: close\r\n{header}\r\n")
    };
    let long = "a".repeat(100 << 10);
    let rows: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a long path", head(&format!("/{long}"), "").into(), "414"),
        ("a long query", head(&format!("/api/auth/me?{long}"), "").into(), "414"),
        ("a long header", head("/api/auth/me", &format!("X: {long}\r\n")).into(), "431"),
        ("a long token", head("/api/auth/me", &format!("Authorization: Bearer {long}\r\n")).into(), "431"),
        ("many headers", head("/api/auth/me", &"X: y\r\n".repeat(10_000)).into(), "431"),
        ("a NUL in a header", head("/api/auth/me", "X: a\0b\r\n").into(), "400"),
        ("a bare CR in a header", head("/api/auth/me", "X: a\rSet-Cookie: injected=1\r\n").into(), "400"),
        ("a NUL in the path", head("/api/\0", "").into(), "400"),
        ("a header name with a space", head("/api/auth/me", "X Y: z\r\n").into(), "400"),
        ("a folded header", head("/api/auth/me", "X: a\r\n b\r\n").into(), "400"),
        ("two lengths", head("/api/auth/me", "Content-Length: 1\r\nContent-Length: 2\r\n").into(), "400"),
        ("a negative length", head("/api/auth/me", "Content-Length: -1\r\n").into(), "400"),
        ("an unknown coding", head("/api/auth/me", "Transfer-Encoding: gzip\r\n").into(), "400"),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(100), "400"),
        ("a later HTTP", format!("GET / HTTP/9.9\r\nHost: {api}\r\n\r\n").into(), "400"),
    ];
    for (what, bytes, status) in rows {
        // What is no request is answered before there is anybody to name a problem: by a bare status.
        let text = exchange(api, &bytes, b"");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {text}");
        assert!(!text.to_ascii_lowercase().contains("set-cookie"), "{what}: {text}");
        let next = exchange(api, head("/health/live", "").as_bytes(), b"");
        assert!(next.starts_with("HTTP/1.1 200 "), "after {what}: {next}");
    }
    // Nobody speaks HTTP/2 here: a status or the end of the connection.
    let http2 = exchange(api, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"");
    assert!(!http2.starts_with("HTTP/1.1 2"), "{http2}");
    // What is still a request has an answer in shape.
    for (what, target, header, status, code) in [
        ("an encoded line break", "/api/%0d%0aSet-Cookie:%20injected=1", "", 404, "not_found"),
        ("an encoded NUL", "/api/sessions/%00", "", 404, "session_not_found"),
        ("bytes that are no text", "/api/sessions/%ff%fe", "", 404, "session_not_found"),
        ("a long path in bounds", &format!("/api/{}", "a".repeat(30 << 10)), "", 404, "not_found"),
        ("a longer path", &format!("/api/{}", "a".repeat(40 << 10)), "", 414, "uri_too_long"),
        ("a longer query", &format!("/api/auth/me?{}", "a".repeat(40 << 10)), "", 414, "uri_too_long"),
        (
            "headers out of bounds",
            "/api/auth/me",
            &format!("X: {}\r\nY: {}\r\n", "a".repeat(20 << 10), "a".repeat(20 << 10)),
            431,
            "headers_too_large",
        ),
        (
            "a token that is no text",
            "/api/auth/me",
            "Authorization: Bearer \u{e4}\u{f6}\r\n",
            401,
            "token_invalid",
        ),
        ("another host", "/api/auth/me", "X-Forwarded-Host: evil\r\n", 401, "not_authenticated"),
    ] {
        let signed_in = if status == 401 {
            String::new()
        } else {
            format!("Authorization: Bearer {}\r\n", stack.admin.access_token)
        };
        let request = head(target, &format!("{header}{signed_in}"));
        let text = exchange(api, request.as_bytes(), b"");
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {text}");
        assert!(text.contains("application/problem+json") && text.contains(code), "{what}: {text}");
    }
    witness.is_undisturbed().await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    socket.connect(json!({"session_type": "local", "command": ["cat"]})).await;
}

/// Sends bytes as they are and gives what comes back until the connection ends.
fn exchange(api: SocketAddr, head: &[u8], body: &[u8]) -> String {
    let mut stream = TcpStream::connect(api).expect("the api takes connections");
    stream.set_read_timeout(Some(AT_ONCE)).expect("a timeout");
    stream.set_write_timeout(Some(AT_ONCE)).expect("a timeout");
    // Whoever refuses a body may stop reading it.
    let _sent = stream.write_all(head).and_then(|()| stream.write_all(body));
    let mut answer = Vec::new();
    // A reset after the answer leaves the answer.
    let _end = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
