//! Who is not let in: bad tokens, bad tickets, foreign origins, another account.

use devpocket_tests::Witness;
use devpocket_tests::client::{Credential, Event, Framing, OpenError, Opening, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::token::{PUBLIC_PEM, Token, public_key};
use devpocket_tests::stack::{Account, JwtKind, Options, Stack};
use serde_json::{Value, json};

/// The status that an opening is refused with; none if it is let in.
async fn refusal(opening: &Opening) -> Option<u16> {
    match Socket::open(opening).await {
        Ok(_) => None,
        Err(OpenError::Refused(status)) => Some(status.as_u16()),
        Err(other) => panic!("neither let in nor refused: {other:?}"),
    }
}

/// A valid token with one part changed.
fn changed(stack: &Stack, change: impl FnOnce(&mut Token)) -> Token {
    let mut token = Token::parse(&stack.admin.access_token);
    change(&mut token);
    token
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_upgrade() {
    for jwt in [JwtKind::Hs256, JwtKind::EdDsa] {
        bad_tokens_are_refused(&Stack::start_with(Options { jwt, ..Options::default() }).await, jwt).await;
    }
}

async fn bad_tokens_are_refused(stack: &Stack, jwt: JwtKind) {
    let mut witness = Witness::start(stack).await;
    let secret = stack.jwt_secret();
    let sign = |token: Token| match jwt {
        JwtKind::Hs256 => token.sign(secret),
        JwtKind::EdDsa => token.sign_eddsa(),
    };
    let good = &stack.admin.access_token;
    let issued = Token::parse(good).claims["iat"].as_i64().expect("iat");
    // The forgery itself is right: unchanged, it is let in. Else the rows below would prove nothing.
    let unchanged = sign(changed(stack, |_| {}));
    let opening = stack.opening(0, Framing::Json);
    assert_eq!(refusal(&opening.clone().with_credential(Credential::Bearer(unchanged))).await, None);

    let claim = |name: &str, value: Value| sign(changed(stack, |token| token.claims[name] = value));
    let header = |name: &str, value: Value| sign(changed(stack, |token| token.header[name] = value));
    let unsigned = |algorithm: &str| {
        let token = changed(stack, |token| token.header["alg"] = algorithm.into()).unsigned();
        token + "."
    };
    let as_hs256 = || changed(stack, |token| token.header["alg"] = "HS256".into());
    let other = if jwt == JwtKind::Hs256 { "EdDSA" } else { "HS256" };
    let rows = [
        ("empty", String::new()),
        ("no token", "malformed".to_owned()),
        ("two parts", good.rsplit_once('.').expect("three parts").0.to_owned()),
        ("expired", claim("exp", (issued - 3600).into())),
        ("expiry in words", claim("exp", "tomorrow".into())),
        ("issued in the future", claim("iat", (issued + 3600).into())),
        ("not valid yet", claim("nbf", (issued + 3600).into())),
        ("another type", claim("type", "refresh".into())),
        ("a ticket's type", claim("type", "ticket".into())),
        ("another issuer", claim("iss", "elsewhere".into())),
        ("another audience", claim("aud", "elsewhere".into())),
        ("an unknown user", claim("sub", uuid::Uuid::new_v4().to_string().into())),
        ("an unknown device", claim("sid", uuid::Uuid::new_v4().to_string().into())),
        (
            "another secret",
            Token::parse(good).sign("another secret, as long as the right one: 0123456789abcdef"),
        ),
        ("alg none", unsigned("none")),
        ("alg None", unsigned("None")),
        ("another algorithm", header("alg", "HS512".into())),
        ("the other algorithm", header("alg", other.into())),
        ("the public key as a secret", as_hs256().sign(public_key())),
        ("the public key as a secret, in PEM", as_hs256().sign(PUBLIC_PEM)),
        (
            "the other algorithm's key by this one's name",
            match jwt {
                JwtKind::Hs256 => changed(stack, |_| {}).sign_eddsa(),
                JwtKind::EdDsa => as_hs256().sign(secret),
            },
        ),
        ("an unknown critical header", header("crit", json!(["x"]))),
        ("an unencoded payload", header("b64", json!(false))),
        ("compressed", header("zip", json!("DEF"))),
        ("a key nobody has", header("kid", json!("0000000000000000"))),
        ("a key that is a file", header("kid", json!("../../../dev/null"))),
        ("a key out of a table", header("kid", json!("' union select 'x"))),
        ("no key", header("kid", Value::Null)),
        ("several audiences", claim("aud", json!([Token::parse(good).claims["aud"], "elsewhere"]))),
        ("the refresh token", stack.admin.refresh_token.clone()),
        ("a ticket", stack.admin.ticket(stack.address(0)).await),
    ];
    let api = stack.address(0);
    for (name, token) in rows {
        for credential in [Credential::Bearer(token.clone()), Credential::QueryToken(token.clone())] {
            let status = refusal(&opening.clone().with_credential(credential)).await;
            assert_eq!(status, Some(401), "{name}");
        }
        let answer = Rest::new(api, Some(&token)).get("/api/auth/me").await;
        assert!(answer.status == 401 && answer.is_shaped(), "{name}: {answer:?}");
        if !token.is_empty() {
            let log = stack.api_log(0);
            assert!(!log.contains(&token), "{name}: a token reached the log");
        }
    }
    assert_eq!(refusal(&opening.clone().with_credential(Credential::None)).await, Some(401), "nothing shown");
    assert_eq!(
        refusal(&opening.with_credential(Credential::Ticket("x".into()))).await,
        Some(401),
        "no ticket"
    );
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn a_token_in_the_query_is_taken_and_never_logged() {
    let stack = Stack::start().await;
    let credential = Credential::QueryToken(stack.admin.access_token.clone());
    assert_eq!(refusal(&stack.opening(0, Framing::Json).with_credential(credential)).await, None);
    assert!(!stack.api_log(0).contains(&stack.admin.access_token));
}

#[tokio::test]
async fn a_ticket_opens_one_socket_only() {
    let stack = Stack::start().await;
    let ticket = stack.admin.ticket(stack.address(0)).await;
    let opening = stack.opening(0, Framing::Binary).with_credential(Credential::Ticket(ticket));
    let mut socket = Socket::must_open(&opening).await;
    socket.connect(json!({"session_type": "local", "command": ["cat"]})).await;
    assert_eq!(refusal(&opening).await, Some(401), "the second time");

    // Twenty at once: exactly one gets in.
    let ticket = stack.admin.ticket(stack.address(0)).await;
    let opening = stack.opening(0, Framing::Binary).with_credential(Credential::Ticket(ticket));
    let all = futures_util::future::join_all((0..20).map(|_| refusal(&opening))).await;
    assert_eq!(all.iter().filter(|status| status.is_none()).count(), 1, "{all:?}");
    assert!(all.iter().flatten().all(|status| *status == 401), "{all:?}");
}

#[tokio::test]
async fn a_signed_out_device_is_not_let_in() {
    let stack = Stack::start().await;
    let other = Account::login(stack.address(0), "owner").await;
    let opening =
        stack.opening(0, Framing::Json).with_credential(Credential::Bearer(other.access_token.clone()));
    assert_eq!(refusal(&opening).await, None);
    other.logout(stack.address(0)).await;
    assert_eq!(refusal(&opening).await, Some(401));
}

#[tokio::test]
async fn only_origins_of_the_page_itself_are_let_in() {
    let stack = Stack::start().await;
    let port = stack.address(0).port();
    let opening = stack.opening(0, Framing::Json);
    for origin in [format!("http://127.0.0.1:{port}"), format!("http://localhost:{port}")] {
        assert_eq!(refusal(&opening.clone().with_origin(&origin)).await, None, "{origin}");
    }
    for origin in [
        "https://evil.example".to_owned(),
        "null".to_owned(),
        "http://localhost".to_owned(),
        format!("http://localhost:{}", port ^ 1),
        format!("http://localhost:{port}.evil.example"),
        format!("http://localhost.evil.example:{port}"),
        format!("https://localhost:{port}"),
        format!("http://127.0.0.1:{port}@evil.example"),
        String::new(),
    ] {
        assert_eq!(refusal(&opening.clone().with_origin(&origin)).await, Some(403), "{origin:?}");
    }
}

#[tokio::test]
async fn another_account_reaches_nothing_of_the_first() {
    let stack = Stack::start().await;
    let mut witness = Witness::start(&stack).await;
    let stranger = Account::register(stack.address(0), "stranger").await;
    assert_eq!(stranger.user["is_admin"], false, "{}", stranger.user);
    let opening = stack.opening(0, Framing::Json).with_credential(Credential::Bearer(stranger.access_token));
    let mut socket = Socket::must_open(&opening).await;
    let session = witness.session();
    let rows = [
        (json!({"type": "connect", "data": {"session_type": "local"}}), "local_sessions_unavailable"),
        (json!({"type": "attach", "session_id": session, "data": {}}), "session_not_found"),
        (
            json!({"type": "attach", "session_id": session, "data": {"client_id": "witness"}}),
            "session_not_found",
        ),
        (json!({"type": "attach", "session_id": session, "data": {"mode": "view"}}), "session_not_found"),
        (
            json!({"type": "connect", "session_id": session, "data": {"session_type": "local"}}),
            "session_not_found",
        ),
        (json!({"type": "terminate", "session_id": session}), "session_not_found"),
        (json!({"type": "input", "session_id": session, "data": "x"}), "not_attached"),
        (json!({"type": "signal", "session_id": session, "data": {"signal": "SIGKILL"}}), "not_attached"),
        (json!({"type": "resize", "session_id": session, "data": {"rows": 5, "cols": 5}}), "not_attached"),
    ];
    for (message, code) in rows {
        let error = socket.ask_error(message.clone()).await;
        assert_eq!(error.error(), Some(code), "{message}: {}", error.body);
    }
    // Word for word what an id that never existed gets.
    let unknown = uuid::Uuid::new_v4();
    let foreign = socket.ask_error(json!({"type": "attach", "session_id": session, "data": {}})).await;
    let missing = socket.ask_error(json!({"type": "attach", "session_id": unknown, "data": {}})).await;
    assert_eq!(foreign.data()["message"], missing.data()["message"]);
    witness.is_undisturbed().await;
}

#[tokio::test]
async fn a_socket_ends_with_4401_when_its_token_does() {
    let stack = Stack::start().await;
    let now = Token::parse(&stack.admin.access_token).claims["iat"].as_i64().expect("iat");
    let short = changed(&stack, |token| token.claims["exp"] = (now + 12).into()).sign(stack.jwt_secret());
    let opening = stack.opening(0, Framing::Json).with_credential(Credential::Bearer(short));
    let (mut left_alone, mut renewed) =
        (Socket::must_open(&opening).await, Socket::must_open(&opening).await);
    let session = renewed.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    // A token with less than 120 s left is announced at once.
    let warning = renewed.wait("token_expiring", |event| match event {
        Event::Message(message) => (message.status() == Some("token_expiring")).then_some(()),
        _ => None,
    });
    warning.await;
    renewed.send(&json!({"type": "auth", "data": {"token": stack.admin.access_token}}));
    // What is sent is written while something is waited for; a taken token has no answer of its own.
    renewed.ask(json!({"type": "ping"})).await;
    let code = left_alone.wait_closed(std::time::Duration::from_secs(40)).await;
    assert_eq!(code, Some(4401), "at the end of its token");
    renewed.send_input(session, None, b"still here\n");
    renewed.read_until(session, "still here\r\nstill here").await;
}

#[tokio::test]
async fn a_socket_cannot_be_renewed_with_the_token_of_another_account() {
    let stack = Stack::start().await;
    let stranger = Account::register(stack.address(0), "stranger").await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    socket.send(&json!({"type": "auth", "request_id": "auth", "data": {"token": stranger.access_token}}));
    // Either an error, or the socket is over: never a socket of another account.
    let refused = socket.wait("an error, or the socket is closed", |event| match event {
        Event::Message(message) => message.error().map(|code| Some(code.to_owned())),
        Event::Closed { code, .. } => (*code == Some(4401) || *code == Some(4403)).then_some(None),
        _ => None,
    });
    if refused.await.is_some() {
        socket.send_input(session, None, b"still mine\n");
        socket.read_until(session, "still mine\r\nstill mine").await;
    }
}
