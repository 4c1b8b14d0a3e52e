//! Requests are counted, and every answer says what is left.

use super::*;

async fn limited() -> Api {
    let plain = |policy: &mut Policy| policy.first_account = FirstAccount::Plain;
    Api::limited(plain, true).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_str().unwrap()
}

fn number(answer: &Answer, name: &str) -> i64 {
    header(answer, name).parse().unwrap()
}

async fn verify_from(api: &Api, address: &str, forwarded: Option<&str>) -> Answer {
    let mut request = Request::get("/api/auth/verify-email/x");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Peer(SocketAddr::new(address.parse().unwrap(), 40_000)));
    api.send(request).await
}

#[tokio::test]
async fn an_answer_says_what_is_left_and_a_refusal_when_to_come_back() {
    let api = limited().await;
    let first = verify_from(&api, "192.0.2.1", None).await;
    first.is_problem(400, "link_invalid");
    assert_eq!(header(&first, "ratelimit-policy"), "\"auth\";q=10;w=60");
    assert_eq!(header(&first, "ratelimit"), "\"auth\";r=9;t=6");
    assert_eq!((number(&first, "x-ratelimit-limit"), number(&first, "x-ratelimit-remaining")), (10, 9));
    let reset = number(&first, "x-ratelimit-reset") - OffsetDateTime::now_utc().unix_timestamp();
    assert!((4..=7).contains(&reset), "{reset}");
    let mut passed = 1;
    let refused = loop {
        let answer = verify_from(&api, "192.0.2.1", None).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break answer;
        }
        passed += 1;
        assert!(passed < 15, "{answer:?}");
    };
    assert!(passed >= 10, "{passed}");
    refused.is_problem(429, "rate_limited");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    assert!((1..=7).contains(&number(&refused, "retry-after")));
    assert_eq!(verify_from(&api, "192.0.2.2", None).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_forged_address_changes_nothing_and_a_proxys_word_counts() {
    let api = limited().await;
    let refused = async |address: &str, forwarded: &str| {
        let answer = verify_from(&api, address, Some(forwarded)).await;
        answer.status == StatusCode::TOO_MANY_REQUESTS
    };
    for n in 0..10 {
        assert!(!refused("192.0.2.1", &format!("203.0.113.{n}")).await);
    }
    assert!(refused("192.0.2.1", "203.0.113.77").await);
    for n in 0..20 {
        assert!(!refused("10.0.0.1", &format!("198.51.100.{n}")).await);
    }
    for n in 0..9 {
        assert!(!refused("10.0.0.2", &format!("198.51.100.{n}, 198.51.100.1")).await);
    }
    assert!(refused("10.0.0.3", "203.0.113.5, 198.51.100.1").await);
}

#[tokio::test]
async fn who_is_signed_in_counts_for_themselves_by_what_they_pay() {
    let api = limited().await;
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let me = api.me(ann.access()).await;
    assert_eq!(header(&me, "ratelimit-policy"), "\"general\";q=60;w=60");
    assert_eq!(header(&api.me(bob.access()).await, "ratelimit"), "\"general\";r=59;t=1");
    api.database.run("update users set subscription_tier = 'pro' where username = 'bob'").await;
    let again = api.login("bob", PASSWORD).await;
    assert_eq!(header(&api.me(again.access()).await, "ratelimit-policy"), "\"general\";q=300;w=60");
    let ticket = api.post_as(ann.access(), "/api/auth/ws-ticket", json!({})).await;
    assert_eq!(header(&ticket, "ratelimit-policy"), "\"connect\";q=600;w=60");
    // A token that is none counts for its address.
    let none = api.me("nonsense").await;
    none.is_problem(401, "token_invalid");
    assert_eq!(header(&none, "ratelimit-policy"), "\"general\";q=60;w=60");
    for answer in [
        api.get("/").await,
        api.get("/nothing").await,
        api.get("/metrics").await,
        api.get("/openapi.json").await,
    ] {
        assert_eq!(header(&answer, "ratelimit-policy"), "\"open\";q=6000;w=60");
        // A hundred come back every second.
        assert!((5900..6000).contains(&number(&answer, "x-ratelimit-remaining")), "{answer:?}");
    }
}

/// The story: what asks whether the api lives was told 429 by the api that lived, once others had loaded the page often.
#[tokio::test]
async fn a_health_check_is_never_refused() {
    let api = limited().await;
    let mut asked = 0;
    while api.get("/nothing").await.status != StatusCode::TOO_MANY_REQUESTS {
        asked += 1;
        // A hundred come back every second.
        assert!(asked < 60_000, "nothing is ever refused");
    }
    for path in ["/health/live", "/health/live/", "/health/db", "/health"] {
        let answer = api.get(path).await;
        assert_ne!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        assert_eq!(header(&answer, "ratelimit"), "\"uncounted\";r=6000;t=0", "{path}");
    }
}

#[tokio::test]
async fn every_refusal_is_as_the_document_says() {
    let api = limited().await;
    let ann = api.register("ann").await;
    let document = serde_json::to_value(crate::http::openapi::document("x")).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{id}", &uuid::Uuid::nil().to_string()).replace("{token}", "x");
        for (method, operation) in item.as_object().unwrap() {
            let documented = &operation["responses"]["429"];
            if path.starts_with("/health") {
                assert!(documented.is_null(), "{method} {path} is never refused");
                continue;
            }
            let mut answer = api.ask_as(ann.access(), &method.to_uppercase(), &asked, json!({})).await;
            let mut tries = 1;
            while answer.status != StatusCode::TOO_MANY_REQUESTS {
                answer = api.ask_as(ann.access(), &method.to_uppercase(), &asked, json!({})).await;
                tries += 1;
                assert!(tries < 60_000, "{method} {path} is never refused: {answer:?}");
            }
            answer.is_problem(429, "rate_limited");
            assert!(documented["content"]["application/problem+json"].is_object(), "{method} {path}");
            for name in documented["headers"].as_object().expect("headers").keys() {
                assert!(answer.headers.contains_key(name), "{method} {path}: {name} is missing");
            }
        }
    }
}

#[tokio::test]
async fn a_browsers_question_before_a_request_is_told_what_is_left_too() {
    let api = limited().await;
    let question = Request::options("/api/profile")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "PUT");
    let answer = api.send(question.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "https://app.example");
    assert_eq!(header(&answer, "ratelimit"), "\"uncounted\";r=6000;t=0");
}

#[tokio::test]
async fn a_name_is_tried_ten_times_a_minute_from_all_addresses_together() {
    let api = limited().await;
    let signed_in = api.register("ann").await;
    let login = async |n: usize, name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        api.post_from(&format!("192.0.2.{n}"), "/api/auth/login", body).await
    };
    for n in 0..10 {
        login(n, "nobody", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    let refused = login(10, "NOBODY", "Wrong1!x").await;
    refused.is_problem(429, "rate_limited");
    assert!((1..=7).contains(&number(&refused, "retry-after")));
    // What is told is the name's: of its address there is plenty left.
    assert_eq!(header(&refused, "ratelimit-policy"), "\"name\";q=10;w=60");
    assert!(header(&refused, "ratelimit").starts_with("\"name\";r=0;t="), "{refused:?}");
    assert_eq!(number(&refused, "x-ratelimit-remaining"), 0);
    // An account's two names are one.
    for n in 20..30 {
        let name = if n % 2 == 0 { "ann" } else { "ann@example.com" };
        login(n, name, "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    login(30, "ann", PASSWORD).await.is_problem(429, "rate_limited");
    assert_eq!(api.me(signed_in.access()).await.status, StatusCode::OK, "who is signed in does not notice");
    assert_eq!(api.refresh(signed_in.refresh()).await.status, StatusCode::OK);
}

/// The story: ten wrong passwords a minute from one address, of which all but five were not even looked at, kept an account's
/// owner out for as long as somebody liked; so did mails that were asked for, and registrations of the name.
#[tokio::test]
async fn nobody_keeps_an_owner_out_from_one_address() {
    let api = limited().await;
    api.register("ann").await;
    let login = async |address: &str, password: &str| {
        let body = json!({"username": "ann", "password": password});
        api.post_from(address, "/api/auth/login", body).await
    };
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(login("198.51.100.1", "Wrong1!x").await.status.as_u16());
    }
    // A try costs time, in which another is earned back.
    assert_eq!(told[..10], [401, 401, 401, 401, 401, 423, 423, 423, 423, 423], "{told:?}");
    for _ in 0..10 {
        let body = json!({"email": "ann@example.com"});
        api.post_from("198.51.100.2", "/api/auth/forgot-password", body).await;
        let body = json!({"email": "ann@example.com", "username": "ann", "password": "weak"});
        api.post_from("198.51.100.3", "/api/auth/register", body).await;
    }
    assert_eq!(login("203.0.113.7", PASSWORD).await.status, StatusCode::OK, "from where she never was");
}

#[tokio::test]
async fn an_owner_gets_in_where_they_were_signed_in_before_however_many_others_try() {
    let api = limited().await;
    api.register("ann").await;
    let login = async |address: &str, name: &str, password: &str| {
        let body = json!({"username": name, "password": password});
        api.post_from(address, "/api/auth/login", body).await
    };
    let home = login("2001:db8:0:1::1", "ann", PASSWORD).await;
    assert_eq!(home.status, StatusCode::OK);
    let logged_out = api.post_as(home.access(), "/api/auth/logout", json!({})).await;
    assert_eq!(logged_out.status, StatusCode::OK);
    let mut refused = 0;
    for n in 0..30 {
        let answer = login(&format!("203.0.113.{}", 100 + n % 3), "ann", PASSWORD).await;
        refused += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!((15..=21).contains(&refused), "{refused} of 30: a right password opens no further tries");
    api.database.run("update devices set created_at = created_at - 61000000").await;
    let mut refused = 0;
    for n in 0..100 {
        let answer = login(&format!("198.51.100.{n}"), "ann", "Wrong1!x").await;
        refused += usize::from(answer.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 50, "{refused} of 100: what is tried is counted by the name");
    login("203.0.113.7", "ann", PASSWORD).await.is_problem(429, "rate_limited");
    assert_eq!(login("192.0.2.1", "ann", PASSWORD).await.status, StatusCode::OK);
    assert_eq!(login("2001:db8:0:1::2", "ann", PASSWORD).await.status, StatusCode::OK, "the same network");
    // There too nobody guesses more often than anywhere.
    for _ in 0..5 {
        login("2001:db8:0:1::3", "ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    login("2001:db8:0:1::3", "ann", PASSWORD).await.is_problem(423, "account_locked");
}

#[tokio::test]
async fn whatever_takes_a_name_counts_it_from_all_addresses_together() {
    let api = limited().await;
    for name in ["ann", "eve", "tom"] {
        api.register(name).await;
    }
    let login: fn(&str) -> Value = |name| json!({"username": name, "password": "Wrong1!x"});
    let mail: fn(&str) -> Value = |name| json!({"email": name});
    for (path, body, names) in [
        ("/api/auth/login", login, ["ann@example.com", "x@example.com"]),
        ("/api/auth/forgot-password", mail, ["eve@example.com", "y@example.com"]),
        ("/api/auth/verify-email-request", mail, ["tom@example.com", "z@example.com"]),
    ] {
        for name in names {
            let ask = async |n: usize| api.post_from(&format!("192.0.2.{n}"), path, body(name)).await;
            let mut tries = 0;
            let refused = loop {
                let answer = ask(10 + tries).await;
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    break answer;
                }
                tries += 1;
                assert!(tries < 30, "{path}, {name}: {answer:?}");
            };
            assert!(tries >= 10, "{path}, {name}: {tries}");
            refused.is_problem(429, "rate_limited");
            assert_eq!(header(&refused, "ratelimit-policy"), "\"name\";q=10;w=60", "{path}, {name}");
        }
    }
}

/// The story: with another address each time a username could be tried as often as anybody liked.
#[tokio::test]
async fn a_registration_is_counted_by_both_its_names() {
    let api = limited().await;
    let register = async |n: usize, username: &str, email: &str| {
        let body = json!({"email": email, "username": username, "password": "weak"});
        api.post_from(&format!("192.0.2.{n}"), "/api/auth/register", body).await
    };
    for n in 0..10 {
        register(n, "bob", &format!("bob{n}@example.com")).await.is_problem(400, "weak_password");
    }
    register(10, "BOB", "bob@example.com").await.is_problem(429, "rate_limited");
    for n in 20..30 {
        register(n, &format!("eve{n}"), "eve@example.com").await.is_problem(400, "weak_password");
    }
    register(30, "eve30", "Eve@example.com").await.is_problem(429, "rate_limited");
    // One account's two names are one.
    api.register("ann").await;
    for n in 40..50 {
        register(n, "ann", "ann@example.com").await.is_problem(400, "weak_password");
    }
    register(50, "ann", "ann@example.com").await.is_problem(429, "rate_limited");
}

#[tokio::test]
async fn a_password_is_changed_as_often_as_its_account_pays_for_from_wherever() {
    let api = limited().await;
    api.register("ann").await;
    api.database.run("update users set subscription_tier = 'team'").await;
    let ann = api.login("ann", PASSWORD).await;
    let change = async |n: usize| {
        let mut request = Request::post("/api/auth/change-password")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", ann.access()))
            .body(Body::from("{}"))
            .unwrap();
        let address = format!("192.0.2.{n}").parse().unwrap();
        request.extensions_mut().insert(Peer(SocketAddr::new(address, 40_000)));
        api.send(request).await
    };
    for n in 0..20 {
        let answer = change(n).await;
        assert_eq!(header(&answer, "ratelimit-policy"), "\"auth\";q=50;w=60");
        // One is earned back every 1.2 s: no ten of them meanwhile.
        let left = number(&answer, "x-ratelimit-remaining");
        assert!(left <= 49 && (n < 15 || left < 45), "{left} are left of {n} others");
    }
}

#[tokio::test]
async fn a_reset_is_counted_by_its_account_and_nobody_else_can_use_that_up() {
    let api = limited().await;
    api.register("ann").await;
    api.register("bob").await;
    let mut links = Vec::new();
    for name in ["ann", "bob"] {
        let email = format!("{name}@example.com");
        api.mail(&email, 1).await;
        api.post("/api/auth/forgot-password", json!({"email": email})).await;
        links.push(link_in(&api.mail(&email, 2).await).to_owned());
    }
    // Strangers try ann's names until they are not listened to any more.
    for n in 0..12 {
        let body = json!({"username": "ann@example.com", "password": "Wrong1!x"});
        api.post_from(&format!("198.51.100.{n}"), "/api/auth/login", body).await;
    }
    let reset = async |n: usize, link: &str, password: &str| {
        let body = json!({"token": link, "new_password": password});
        api.post_from(&format!("192.0.2.{n}"), "/api/auth/reset-password", body).await
    };
    for n in 0..10 {
        reset(n, &links[0], "weak").await.is_problem(400, "weak_password");
    }
    let refused = reset(10, &links[0], "Another1!").await;
    refused.is_problem(429, "rate_limited");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(reset(11, &links[1], "Another1!").await.status, StatusCode::OK, "bob has his own");
    // What is no link has no account: its address alone is counted.
    for n in 20..35 {
        reset(n, &"0".repeat(64), "Another1!").await.is_problem(400, "link_invalid");
    }
}

#[tokio::test]
async fn requests_made_at_once_are_counted_one_by_one() {
    let api = limited().await;
    let all = (0..40).map(|_| verify_from(&api, "192.0.2.1", None));
    let answers = futures_util::future::join_all(all).await;
    let passed = answers.iter().filter(|answer| answer.status == StatusCode::BAD_REQUEST).count();
    assert!((10..=12).contains(&passed), "{passed}");
}
