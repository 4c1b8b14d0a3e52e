//! Registering, signing in and out, tickets, passwords.

use devpocket_shared::ids::{DeviceId, UserId};
use uuid::Uuid;

use super::*;
use crate::domain::identity::AuthError;

#[tokio::test]
async fn the_first_account_owns_the_server_and_the_second_does_not() {
    let api = Api::new().await;
    let first = api.register("ann").await;
    let user = &first.body["user"];
    assert_eq!((&user["is_admin"], &user["subscription_tier"]), (&json!(true), &json!("enterprise")));
    assert_eq!((&user["email"], &user["username"]), (&json!("ann@example.com"), &json!("ann")));
    assert_eq!((&user["is_active"], &user["is_verified"]), (&json!(true), &json!(false)));
    assert!(user["created_at"].as_str().unwrap().ends_with('Z') && user["last_login_at"].is_string());
    let me = api.me(first.access()).await;
    assert_eq!(me.body["last_login_at"], user["last_login_at"], "as it is kept");
    assert_eq!((first.text_of("token_type"), &first.body["expires_in"]), ("bearer", &json!(3600)));
    assert!(first.text_of("device_id").parse::<Uuid>().is_ok());
    assert!(!first.text.contains("argon2"));

    let second = api.register("bob").await;
    assert_eq!(second.body["user"]["is_admin"], false);
    assert_eq!(second.body["user"]["subscription_tier"], "free");
}

#[tokio::test]
async fn of_accounts_made_at_once_exactly_one_is_first() {
    let api = Api::new().await;
    let names: Vec<String> = (0..8).map(|n| format!("user{n}")).collect();
    let answers = futures_util::future::join_all(names.iter().map(|name| api.register(name))).await;
    let admins = answers.iter().filter(|answer| answer.body["user"]["is_admin"] == true).count();
    assert_eq!(admins, 1);
}

#[tokio::test]
async fn on_a_public_listener_nobody_is_admin_and_registration_can_be_closed() {
    let api = Api::with(|policy| policy.first_account = FirstAccount::Plain).await;
    assert_eq!(api.register("ann").await.body["user"]["is_admin"], false);
    let closed = Api::with(|policy| policy.registration_open = false).await;
    closed.post("/api/auth/register", account("ann")).await.is_problem(403, "registration_closed");
}

#[tokio::test]
async fn what_cannot_be_registered_says_why() {
    let api = Api::new().await;
    api.register("ann").await;
    let with = |field: &str, value: Value| {
        let mut body = account("bob");
        body[field] = value;
        body
    };
    for (body, status, code, says) in [
        (with("email", json!("ANN@Example.com")), 400, "email_taken", "email"),
        (with("username", json!("ANN")), 400, "username_taken", "username"),
        (with("password", json!("password")), 400, "weak_password", "password"),
        (with("password", json!("")), 400, "weak_password", "password"),
        (with("password", json!(format!("Aa1!{}", "x".repeat(124)))), 201, "", ""),
        (with("password", json!(format!("Aa1!{}", "x".repeat(125)))), 422, "invalid_fields", "password"),
        (with("password", json!(null)), 422, "invalid_fields", "password"),
        (with("email", json!("not-an-address")), 422, "invalid_fields", "email"),
        (with("username", json!("ab")), 422, "invalid_fields", "username"),
        (with("display_name", json!("x".repeat(101))), 422, "invalid_fields", "display_name"),
        (with("device_type", json!("toaster")), 422, "invalid_fields", "device_type"),
    ] {
        let answer = api.post("/api/auth/register", body).await;
        if status == 201 {
            assert_eq!(answer.status, StatusCode::CREATED);
            continue;
        }
        answer.is_problem(status, code);
        let message = answer.body["error"]["message"].as_str().unwrap().to_lowercase();
        assert!(message.contains(says), "{code}: {message}");
    }
}

#[tokio::test]
async fn nobody_gives_themselves_what_is_not_theirs_to_give() {
    let api = Api::new().await;
    api.register("ann").await;
    let mut body = account("bob");
    for (field, value) in [
        ("is_admin", json!(true)),
        ("subscription_tier", json!("enterprise")),
        ("is_verified", json!(true)),
        ("id", json!(Uuid::nil())),
    ] {
        body[field] = value;
    }
    let answer = api.post("/api/auth/register", body).await;
    let user = &answer.body["user"];
    assert_eq!((&user["is_admin"], &user["is_verified"]), (&json!(false), &json!(false)));
    assert_eq!(user["subscription_tier"], "free");
    assert_ne!(user["id"], json!(Uuid::nil()));
}

#[tokio::test]
async fn signing_in_takes_name_or_address_json_or_form() {
    let api = Api::new().await;
    api.register("Ann").await;
    for name in ["ann", "ANN", "ann@example.com", " Ann@Example.com "] {
        let answer = api.login(name, PASSWORD).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {answer:?}");
        assert_eq!(api.me(answer.access()).await.body["username"], "Ann");
    }
    let form = Request::post("/api/auth/login")
        .header("content-type", "application/x-www-form-urlencoded; charset=utf-8")
        .body(Body::from("username=ann%40example.com&password=Correct1%21&device_name=Phone&device_type=ios"))
        .unwrap();
    assert_eq!(api.send(form).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_name_and_a_wrong_password_are_answered_alike() {
    let api = Api::new().await;
    api.register("ann").await;
    let answers = [
        api.login("ann", "Wrong1!x").await,
        api.login("nobody", "Wrong1!x").await,
        api.login("nobody@example.com", "Wrong1!x").await,
        api.login("", "").await,
    ];
    for answer in &answers {
        answer.is_problem(401, "invalid_credentials");
        let (mut body, mut first) = (answer.body.clone(), answers[0].body.clone());
        (body["request_id"], first["request_id"]) = (Value::Null, Value::Null);
        assert_eq!(body, first);
    }
}

#[tokio::test]
async fn five_failures_lock_that_account_from_that_address_alone() {
    let api = Api::new().await;
    api.register("ann").await;
    let login = async |address: &str, name: &str, password: &str| {
        api.post_from(address, "/api/auth/login", json!({"username": name, "password": password})).await
    };
    for name in ["ann", "ann@example.com", "ann", "ann@example.com", "ann"] {
        login("2001:db8::1", name, "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    let locked = login("2001:db8::2", "ann", PASSWORD).await;
    locked.is_problem(423, "account_locked");
    let wait: u64 = locked.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((890..=901).contains(&wait), "{wait}");
    assert_eq!(
        login("2001:db8:0:1::1", "ann", PASSWORD).await.status,
        StatusCode::OK,
        "from another network"
    );

    for _ in 0..5 {
        login("192.0.2.7", "nobody", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    login("192.0.2.7", "nobody", "Wrong1!x").await.is_problem(423, "account_locked");
    assert_eq!(login("::ffff:192.0.2.7", "ann", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guesses_made_side_by_side_are_no_more_than_five() {
    let api = Api::new().await;
    api.register("ann").await;
    let guesses = (0..20).map(|_| api.login("ann", "Wrong1!x"));
    let answers = futures_util::future::join_all(guesses).await;
    let wrong = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    let locked = answers.iter().filter(|answer| answer.status == StatusCode::LOCKED).count();
    assert_eq!((wrong, locked), (5, 15));
}

#[tokio::test]
async fn a_right_password_wipes_the_slate() {
    let api = Api::new().await;
    api.register("ann").await;
    for _ in 0..3 {
        for _ in 0..4 {
            api.login("ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
        }
        assert_eq!(api.login("ann", PASSWORD).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn me_needs_one_good_bearer_token_and_nothing_else() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let good = signed_in.access();
    assert_eq!(api.me(good).await.body["username"], "ann");
    let ticket = api.post_as(good, "/api/auth/ws-ticket", json!({})).await;
    for (header, value, code) in [
        ("authorization", "Bearer".to_owned(), "token_invalid"),
        ("authorization", "Bearer ".to_owned(), "token_invalid"),
        ("authorization", format!("Basic {good}"), "token_invalid"),
        ("authorization", format!("Bearer {good}x"), "token_invalid"),
        ("authorization", format!("Bearer {}", signed_in.refresh()), "token_invalid"),
        ("authorization", format!("Bearer {}", ticket.text_of("ticket")), "token_invalid"),
        ("cookie", format!("access_token={good}"), "not_authenticated"),
    ] {
        let request = Request::get(format!("/api/auth/me?token={good}")).header(header, &value);
        let answer = api.send(request.body(Body::empty()).unwrap()).await;
        answer.is_problem(401, code);
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let twice = Request::get("/api/auth/me")
        .header("authorization", format!("Bearer {good}"))
        .header("authorization", format!("Bearer {good}"));
    api.send(twice.body(Body::empty()).unwrap()).await.is_problem(401, "token_invalid");
    api.pass(3605);
    api.me(good).await.is_problem(401, "token_expired");
}

#[tokio::test]
async fn logging_out_ends_the_device_at_once_and_no_other() {
    let api = Api::new().await;
    api.register("ann").await;
    let (phone, laptop) = (api.login("ann", PASSWORD).await, api.login("ann", PASSWORD).await);
    let identity = api.accounts.identify_access(phone.access()).await.unwrap();
    assert!(api.accounts.still_signed_in(&identity).await.unwrap());
    let ticket = api.post_as(phone.access(), "/api/auth/ws-ticket", json!({})).await;
    let out = api.post_as(phone.access(), "/api/auth/logout", json!({})).await;
    assert_eq!((out.status, out.text_of("message")), (StatusCode::OK, "Logout successful"));

    assert!(!api.accounts.still_signed_in(&identity).await.unwrap());
    api.me(phone.access()).await.is_problem(401, "token_revoked");
    api.refresh(phone.refresh()).await.is_problem(401, "token_invalid");
    let used = api.accounts.identify_ticket(ticket.text_of("ticket")).await;
    assert!(matches!(used, Err(AuthError::SignedOut)), "{used:?}");
    assert_eq!(api.me(laptop.access()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_closed_account_is_signed_out_everywhere() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    api.database.run("update users set is_active = false").await;
    api.me(signed_in.access()).await.is_problem(401, "token_revoked");
    api.refresh(signed_in.refresh()).await.is_problem(401, "token_invalid");
    api.login("ann", PASSWORD).await.is_problem(403, "account_disabled");
    api.login("ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
}

#[tokio::test]
async fn of_a_hundred_sockets_with_one_ticket_one_wins() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let mut access = api.accounts.identify_access(signed_in.access()).await.unwrap();
    access.vouchers.ticket = Some(access.vouchers.access);
    for _ in 0..10 {
        let issued = api.post_as(signed_in.access(), "/api/auth/ws-ticket", json!({})).await;
        assert_eq!(issued.body["expires_in"], 30);
        let ticket = issued.text_of("ticket");
        let race = (0..100).map(|_| api.accounts.identify_ticket(ticket));
        let outcomes = futures_util::future::join_all(race).await;
        let mut winners = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok());
        assert_eq!(
            winners.next(),
            Some(&access),
            "the ticket stands for its access token, to the second it ends"
        );
        assert_eq!(winners.next(), None);
    }
    let late = api.post_as(signed_in.access(), "/api/auth/ws-ticket", json!({})).await;
    api.pass(35);
    let refused = api.accounts.identify_ticket(late.text_of("ticket")).await;
    assert!(matches!(refused, Err(AuthError::Expired)), "{refused:?}");
}

#[tokio::test]
async fn a_token_of_an_unknown_or_foreign_device_is_signed_out() {
    let api = Api::new().await;
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let tokens = Tokens::new(&TokenKeys::of_secret(SECRET), Duration::minutes(60));
    let id = |answer: &Answer, field: &str| match field {
        "device_id" => answer.text_of(field).parse::<Uuid>().unwrap(),
        _ => answer.body["user"]["id"].as_str().unwrap().parse().unwrap(),
    };
    for (user, device) in [
        (id(&ann, "user"), Uuid::from_u128(1)),
        (id(&bob, "user"), id(&ann, "device_id")),
        (Uuid::from_u128(1), id(&ann, "device_id")),
    ] {
        let token =
            tokens.access(UserId::new(user), DeviceId::new(device), OffsetDateTime::now_utc()).unwrap();
        api.me(&token).await.is_problem(401, "token_revoked");
    }
    assert_eq!(
        api.me(ann.access()).await.status,
        StatusCode::OK,
        "and what was asked about her device stays apart"
    );
}

#[tokio::test]
async fn local_sessions_are_for_whom_the_operator_says() {
    for (setting, admin, other) in [
        (LocalSessions::Off, false, false),
        (LocalSessions::Admin, true, false),
        (LocalSessions::All, true, true),
    ] {
        let api = Api::with(|policy| policy.local_sessions = setting).await;
        let (ann, bob) = (api.register("ann").await, api.register("bob").await);
        for (answer, may) in [(ann, admin), (bob, other)] {
            let identity = api.accounts.identify_access(answer.access()).await.unwrap();
            assert_eq!(api.accounts.may_open_local(&identity), may, "{setting:?}");
        }
    }
}

#[tokio::test]
async fn a_changed_password_signs_every_other_device_out() {
    let api = Api::new().await;
    let phone = api.register("ann").await;
    let laptop = api.login("ann", PASSWORD).await;
    let change = async |current: Value, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        api.post_as(phone.access(), "/api/auth/change-password", body).await
    };
    change(json!("Wrong1!x"), "Another1!").await.is_problem(400, "invalid_password");
    let missing = change(json!(null), "Another1!").await;
    missing.is_problem(422, "invalid_fields");
    assert_eq!(missing.body["errors"][0]["field"], "current_password");
    change(json!(PASSWORD), "weak").await.is_problem(400, "weak_password");
    assert_eq!(api.me(laptop.access()).await.status, StatusCode::OK);
    assert_eq!(change(json!(PASSWORD), "Another1!").await.status, StatusCode::OK);

    assert_eq!(api.me(phone.access()).await.status, StatusCode::OK);
    api.me(laptop.access()).await.is_problem(401, "token_revoked");
    api.refresh(laptop.refresh()).await.is_problem(401, "token_invalid");
    api.login("ann", PASSWORD).await.is_problem(401, "invalid_credentials");
    assert_eq!(api.login("ann", "Another1!").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stolen_token_does_not_guess_the_password_for_ever() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let guess = json!({"current_password": "Wrong1!x", "new_password": "Another1!"});
    for _ in 0..5 {
        api.post_as(&token, "/api/auth/change-password", guess.clone())
            .await
            .is_problem(400, "invalid_password");
    }
    api.post_as(&token, "/api/auth/change-password", guess).await.is_problem(423, "account_locked");
}
