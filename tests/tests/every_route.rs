//! What holds for every route there is: who is let in, whose things are shown, and which fields of a body count.

use devpocket_tests::Witness;
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::routes::{Body, ROUTES, Route, Who};
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::token::Token;
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

const BOTH: [DatabaseKind; 2] = [DatabaseKind::Sqlite, DatabaseKind::Postgres];

/// As good as the other one.
const NEW_PASSWORD: &str = "Another-horse-8";

async fn on(database: DatabaseKind) -> Stack {
    Stack::start_with(Options { database, ..Options::default() }).await
}

fn of_accounts() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.who != Who::Anybody)
}

/// The device of an account's token.
fn device(account: &Account) -> String {
    Token::parse(&account.access_token).claims["sid"].as_str().expect("sid").to_owned()
}

#[tokio::test]
async fn no_route_of_an_account_is_served_without_a_good_token() {
    for database in BOTH {
        let stack = on(database).await;
        let api = stack.address(0);
        let (signed_out, revoked) = (Account::login(api, "owner").await, Account::login(api, "owner").await);
        signed_out.logout(api).await;
        let admin = Rest::new(api, Some(&stack.admin.access_token));
        admin.delete(&format!("/api/auth/devices/{}", device(&revoked))).await.expect(200);
        let deleted = Account::register(api, "deleted").await;
        let gone = Rest::new(api, Some(&deleted.access_token));
        let password = json!({"password": PASSWORD}).to_string().into_bytes();
        gone.send_as("DELETE", "/api/profile", Some(("application/json", password))).await.expect(200);
        let mut expired = Token::parse(&stack.admin.access_token);
        expired.claims["exp"] = (expired.claims["iat"].as_i64().expect("iat") - 60).into();
        let session = Socket::must_open(&stack.opening(0, Framing::Json))
            .await
            .connect(json!({"session_type": "local", "command": ["cat"]}))
            .await
            .session
            .to_string();
        for (what, token) in [
            ("no token", None),
            ("no real token", Some("x.y.z".to_owned())),
            ("the refresh token", Some(stack.admin.refresh_token.clone())),
            ("an expired token", Some(expired.sign(stack.jwt_secret()))),
            ("a device that signed out", Some(signed_out.access_token)),
            ("a device that was signed out", Some(revoked.access_token)),
            ("an account that was deleted", Some(deleted.access_token)),
        ] {
            let rest = Rest::new(api, token.as_deref());
            for route in of_accounts() {
                let id = if route.who == Who::Device { device(&stack.admin) } else { session.clone() };
                let answer = rest.call(route, &id).await;
                assert!(answer.status == 401 && answer.is_shaped(), "{what}: {route:?}: {answer:?}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer", "{route:?}");
                // Not by another way either.
                if let Some(token) = token.as_deref().filter(|_| route.path != "/ws/terminal") {
                    let path = format!("{}?token={token}&access_token={token}", route.path_of(&id));
                    assert_eq!(Rest::new(api, None).send_as(route.method, &path, None).await.status, 401);
                }
            }
        }
        // Whatever was asked for was not done.
        let shown = admin.get(&format!("/api/sessions/{session}")).await.expect(200);
        assert_eq!(shown["description"], Value::Null, "{shown}");
        admin.get("/api/auth/me").await.expect(200);
    }
}

#[tokio::test]
async fn nothing_of_another_account_is_reached_by_its_id() {
    for database in BOTH {
        let stack = on(database).await;
        let mut witness = Witness::start(&stack).await;
        let stranger = Account::register(stack.address(0), "stranger").await;
        let rest = Rest::new(stack.address(0), Some(&stranger.access_token));
        let session = witness.session().to_string();
        for route in ROUTES.iter().filter(|route| matches!(route.who, Who::Device | Who::Session)) {
            let foreign = if route.who == Who::Device { device(&stack.admin) } else { session.clone() };
            let unknown = Uuid::new_v4().to_string();
            let mut bodies = Vec::new();
            for id in [foreign.as_str(), unknown.as_str(), "nonsense", "%00", "..%2f..", "1%27%20or%201=1"] {
                let answer = rest.call(route, id).await;
                assert!(answer.status == 404 && answer.is_shaped(), "{route:?} of {id}: {answer:?}");
                let mut body = answer.body;
                body["request_id"] = Value::Null;
                bodies.push(body);
            }
            assert!(bodies.iter().all(|body| *body == bodies[0]), "{route:?}: {bodies:?}");
        }
        // What names sessions in its body reaches no more, and lists show nobody else's.
        let batch = json!({"action": "terminate", "session_ids": [session]});
        assert_eq!(rest.post("/api/sessions/batch", &batch).await.expect(200)["succeeded"], 0);
        for path in ["/api/sessions", "/api/sessions/stats/overview"] {
            assert_eq!(rest.get(path).await.expect(200)["total"], 0, "{path}");
        }
        for path in ["/api/auth/devices", "/api/profile/export"] {
            let shown = rest.get(path).await.expect(200).to_string();
            assert!(!shown.contains(&device(&stack.admin)) && !shown.contains(&session), "{path}: {shown}");
        }
        witness.is_undisturbed().await;
        Rest::new(stack.address(0), Some(&stack.admin.access_token)).get("/api/auth/me").await.expect(200);
    }
}

/// What decides who somebody is and what they may: never taken from a body.
fn powers(user: &Value) -> Value {
    let of = ["id", "subscription_tier", "is_admin", "is_verified", "is_active", "created_at"];
    of.iter().map(|field| user[*field].clone()).collect()
}

/// What a route takes, and what nobody may ask for.
fn with_wishes(route: &Route, wishes: &Value) -> Vec<u8> {
    let mut body: Value = match route.body {
        Body::Nothing => json!({}),
        Body::Fields(fields) => serde_json::from_str(fields).expect("JSON"),
    };
    for (field, value) in wishes.as_object().expect("an object") {
        body[field] = value.clone();
    }
    body.to_string().into_bytes()
}

#[tokio::test]
async fn fields_that_nobody_may_set_change_nothing_of_a_session() {
    // What its owner and its program did not decide; of an ended one the end is the route's own doing.
    let fixed = ["id", "session_type", "ssh_profile_id", "node", "command", "created_at", "started_at"];
    let grown = ["title", "cwd", "bytes_out", "exit_code", "exit_signal", "reason", "error_message"];
    for database in BOTH {
        let stack = on(database).await;
        let api = stack.address(0);
        let owner = Rest::new(api, Some(&stack.admin.access_token));
        let stranger = Account::register(api, "stranger").await;
        let other = Rest::new(api, Some(&stranger.access_token));
        let their_id = other.get("/api/auth/me").await.expect(200)["id"].clone();
        let wishes = json!({
            "id": Uuid::new_v4(), "session_id": Uuid::new_v4(), "user_id": their_id, "owner_id": their_id,
            "owner": their_id, "session_type": "ssh", "ssh_profile_id": Uuid::new_v4(), "node": Uuid::new_v4(),
            "node_id": Uuid::new_v4(), "command": ["evil"], "created_at": "2001-01-01T00:00:00Z",
            "started_at": "2001-01-01T00:00:00Z", "ended_at": "2001-01-01T00:00:00Z", "status": "exited",
            "title": "evil", "cwd": "/evil", "bytes_out": 7, "exit_code": 7, "exit_signal": "SIGUSR1",
            "reason": "idle_timeout", "error_message": "evil", "attached_clients": 7,
        });
        for route in ROUTES.iter().filter(|route| route.who == Who::Session) {
            let made = owner.post("/api/sessions", &json!({"command": ["cat"]})).await.expect(201);
            let id = made["id"].as_str().expect("an id");
            let path = format!("/api/sessions/{id}");
            let sent = Some(("application/json", with_wishes(route, &wishes)));
            let answer = owner.send_as(route.method, &route.path_of(id), sent).await;
            assert!(answer.status < 500 && answer.status != 404, "{route:?}: {answer:?}");
            other.get(&path).await.is_problem(404, "session_not_found");
            let after = owner.get(&path).await;
            if route.method == "DELETE" {
                after.is_problem(404, "session_not_found");
                continue;
            }
            let after = after.expect(200);
            for field in fixed {
                assert_eq!(after[field], made[field], "{field} after {route:?}");
            }
            for field in grown.iter().filter(|field| after[*field] != made[*field]) {
                assert_ne!(after[*field], wishes[*field], "{field} after {route:?}");
            }
            if !route.path.ends_with("/terminate") {
                assert_eq!(
                    (&after["status"], &after["ended_at"]),
                    (&json!("detached"), &Value::Null),
                    "{after}"
                );
            }
            assert_eq!(after["attached_clients"], 0, "{route:?}");
        }
        assert_eq!(other.get("/api/sessions").await.expect(200)["total"], 0);
    }
}

/// What an account might ask to become, or in whose name it might ask.
fn wishes_of_an_account(owner: &Value) -> Value {
    json!({
        "id": Uuid::new_v4(), "user_id": owner["id"], "owner_id": owner["id"], "sub": owner["id"],
        "subscription_tier": "enterprise", "tier": "enterprise", "is_admin": true, "role": "admin",
        "is_verified": true, "email_verified": true, "is_active": false, "status": "exited",
        "created_at": "2001-01-01T00:00:00Z", "password_hash": "x", "device_id": Uuid::new_v4(),
    })
}

#[tokio::test]
async fn fields_that_nobody_may_set_change_nothing_at_any_route() {
    for database in BOTH {
        let stack = on(database).await;
        let api = stack.address(0);
        let mut witness = Witness::start(&stack).await;
        let owner = Rest::new(api, Some(&stack.admin.access_token));
        let owner_before = owner.get("/api/auth/me").await.expect(200);
        let wishes = wishes_of_an_account(&owner_before);
        for (number, route) in ROUTES
            .iter()
            .enumerate()
            .filter(|(_, route)| route.path.starts_with("/api/") && route.who != Who::Session)
        {
            let name = format!("somebody{number}");
            let account = Account::register(api, &name).await;
            let rest = Rest::new(api, Some(&account.access_token));
            let before = rest.get("/api/auth/me").await.expect(200);
            let sent = Some(("application/json", with_wishes(route, &wishes)));
            let id = if route.who == Who::Device { device(&account) } else { witness.session().to_string() };
            let answer = rest.send_as(route.method, &route.path_of(&id), sent).await;
            assert!(answer.status < 500, "{route:?}: {answer:?}");
            if route.path == "/api/auth/register" {
                let user = &answer.expect(201)["user"];
                for (field, value) in [("subscription_tier", json!("free")), ("is_admin", json!(false))] {
                    assert_eq!(user[field], value, "{user}");
                }
                assert_eq!(
                    (&user["is_verified"], &user["is_active"]),
                    (&json!(false), &json!(true)),
                    "{user}"
                );
                assert_ne!(user["id"], wishes["id"], "{user}");
            }
            // A route may have signed the device out.
            let again = Account::login(api, &name).await;
            let after = Rest::new(api, Some(&again.access_token)).get("/api/auth/me").await.expect(200);
            assert_eq!(powers(&after), powers(&before), "{route:?}");
            witness.is_undisturbed().await;
        }
        assert_eq!(powers(&owner.get("/api/auth/me").await.expect(200)), powers(&owner_before));
        let made = json!({"command": ["cat"], "id": wishes["id"], "user_id": Uuid::new_v4(), "node": Uuid::new_v4()});
        let made = owner.post("/api/sessions", &made).await.expect(201);
        assert_ne!(made["id"], wishes["id"], "{made}");
        assert_eq!(owner.get("/api/sessions").await.expect(200)["total"], 2);
    }
}

/// Beside the list, whose words these routes refuse before anything could be set.
#[tokio::test]
async fn fields_that_nobody_may_set_change_nothing_where_a_route_succeeds() {
    for database in BOTH {
        let stack = on(database).await;
        let api = stack.address(0);
        let mut witness = Witness::start(&stack).await;
        let owner = Rest::new(api, Some(&stack.admin.access_token));
        let owner_before = owner.get("/api/auth/me").await.expect(200);
        let wishes = wishes_of_an_account(&owner_before);
        for what in ["login", "refresh", "reset-password", "change-password", "deletion"] {
            let account = Account::register(api, what).await;
            let rest = Rest::new(api, Some(&account.access_token));
            let before = rest.get("/api/auth/me").await.expect(200);
            let (mut words, password) = match what {
                "login" => (json!({"username": what, "password": PASSWORD}), Some(PASSWORD)),
                "refresh" => (json!({"refresh_token": account.refresh_token}), Some(PASSWORD)),
                "reset-password" => {
                    let email = json!({"email": account.user["email"]});
                    rest.post("/api/auth/forgot-password", &email).await.expect(200);
                    let email = account.user["email"].as_str().expect("an address");
                    let token = stack.mailed_secret(email, "Your DevPocket password").await;
                    (json!({"token": token, "new_password": NEW_PASSWORD}), Some(NEW_PASSWORD))
                }
                "change-password" => {
                    let words = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
                    (words, Some(NEW_PASSWORD))
                }
                "deletion" => (json!({"password": PASSWORD}), None),
                other => panic!("{other}"),
            };
            for (field, value) in wishes.as_object().expect("an object") {
                words[field] = value.clone();
            }
            let words = Some(("application/json", words.to_string().into_bytes()));
            let answer = match what {
                "deletion" => rest.send_as("DELETE", "/api/profile", words).await.expect(200),
                path => rest.send_as("POST", &format!("/api/auth/{path}"), words).await.expect(200),
            };
            if let Some(token) = answer["access_token"].as_str() {
                let claims = Token::parse(token).claims;
                assert_eq!((&claims["sub"], &claims["sid"]), (&before["id"], &answer["device_id"]), "{what}");
                assert_ne!(answer["device_id"], wishes["device_id"], "{what}");
                assert_eq!(powers(&answer["user"]), powers(&before), "{what}");
            }
            let sign_in = json!({"username": what, "password": password.unwrap_or(PASSWORD)});
            let again = Rest::new(api, None).post("/api/auth/login", &sign_in).await;
            match password {
                None => again.is_problem(401, "invalid_credentials"),
                Some(_) => assert_eq!(powers(&again.expect(200)["user"]), powers(&before), "{what}"),
            }
            witness.is_undisturbed().await;
        }
        assert_eq!(owner.get("/api/auth/me").await.expect(200), owner_before);
        assert_eq!(owner.get("/api/sessions").await.expect(200)["total"], 1);
        assert_eq!(owner.get("/api/auth/devices").await.expect(200)["total"], 1);
        Account::login(api, "owner").await;
    }
}

/// The second device of an account is signed out by the first, at once at this api.
#[tokio::test]
async fn a_device_signed_out_by_another_is_out_and_the_other_is_not() {
    let stack = Stack::start().await;
    let api = stack.address(0);
    let phone = Account::login(api, "owner").await;
    let admin = Rest::new(api, Some(&stack.admin.access_token));
    admin.delete(&format!("/api/auth/devices/{}", device(&phone))).await.expect(200);
    let refresh = json!({"refresh_token": phone.refresh_token});
    assert_eq!(post(api, "/api/auth/refresh", None, &refresh).await.status(), StatusCode::UNAUTHORIZED);
    Rest::new(api, Some(&phone.access_token)).get("/api/auth/me").await.is_problem(401, "token_revoked");
    admin.get("/api/auth/me").await.expect(200);
}
