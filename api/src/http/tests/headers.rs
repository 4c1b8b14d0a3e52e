//! What browsers are told about every answer, whatever became of the request.

use super::*;

const ALWAYS: [(&str, &str); 6] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// An answer of each kind there is: from a handler, from what lies around all of them, and of a file.
async fn of_every_kind(api: &Api) -> Vec<(u16, Answer)> {
    let ann = api.register("ann").await;
    let long = json!({"username": "a".repeat(crate::http::MAX_BODY_BYTES)});
    let question = Request::options("/api/profile")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    let elsewhere = Request::get("/health/live").header("host", "evil.example");
    let mut answers = vec![
        (200, api.me(ann.access()).await),
        (401, api.me("nonsense").await),
        (404, api.get("/nothing").await),
        (404, api.get_as(ann.access(), "/api/sessions/nonsense").await),
        (405, api.get("/api/auth/login").await),
        (413, api.post("/api/auth/login", long).await),
        (421, api.send(elsewhere.body(Body::empty()).unwrap()).await),
        // No node is there.
        (503, api.get("/health").await),
        (503, api.post_as(ann.access(), "/api/sessions", json!({})).await),
        (200, api.send(question.body(Body::empty()).unwrap()).await),
        (200, api.get("/").await),
        (200, api.get("/openapi.json").await),
    ];
    let refused = loop {
        let answer = api.get("/api/auth/verify-email/x").await;
        if answer.status != StatusCode::BAD_REQUEST {
            break answer;
        }
    };
    answers.push((429, refused));
    answers
}

#[tokio::test]
async fn every_answer_has_every_header_and_over_tls_one_more() {
    for (url, over_tls) in [("https://pocket.example/", true), ("http://pocket.example/", false)] {
        let api = Api::limited(|policy| policy.public_url = url.to_owned(), true).await;
        for (status, answer) in of_every_kind(&api).await {
            assert_eq!(answer.status, status, "{answer:?}");
            for (name, value) in ALWAYS {
                assert_eq!(
                    answer.headers.get(name).map(HeaderValue::as_bytes),
                    Some(value.as_bytes()),
                    "{name}: {answer:?}"
                );
            }
            let policy = answer.headers["content-security-policy"].to_str().unwrap();
            assert!(policy.contains("frame-ancestors 'none'"), "{answer:?}");
            assert!(answer.headers.contains_key("cache-control"), "{answer:?}");
            let stay = answer.headers.get("strict-transport-security").map(HeaderValue::as_bytes);
            assert_eq!(stay, over_tls.then_some(&b"max-age=31536000"[..]), "{url}: {answer:?}");
        }
    }
}
