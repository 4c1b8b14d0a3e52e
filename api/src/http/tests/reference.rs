//! The 34 checks of accounts that clients of the older api were tested by, each by its name there: status, fields and
//! the message in `error.message` (API section 1).

use super::*;

/// Counts the checks by name, so that none is left out or done twice.
#[derive(Default)]
struct Checks(Vec<&'static str>);

impl Checks {
    /// That a check's answer has this status, and an error's message this word in it.
    #[track_caller]
    fn check(&mut self, name: &'static str, answer: &Answer, status: u16, message: &str) {
        assert_eq!(answer.status.as_u16(), status, "{name}: {answer:?}");
        if status >= 400 {
            assert_eq!(answer.body["error"]["code"], status, "{name}: {answer:?}");
            let said = answer.body["error"]["message"].as_str().expect("a message");
            assert!(said.to_lowercase().contains(message), "{name}: {answer:?}");
        } else {
            assert!(answer.text.contains(message), "{name}: {answer:?}");
        }
        self.0.push(name);
    }

    #[track_caller]
    fn are(mut self, all: usize) {
        assert_eq!(self.0.len(), all);
        self.0.sort_unstable();
        self.0.dedup();
        assert_eq!(self.0.len(), all, "{:?}", self.0);
    }
}

/// That these are the tokens of ann's account.
#[track_caller]
fn are_tokens(answer: &Answer) {
    assert_eq!(answer.body["token_type"], "bearer", "{answer:?}");
    assert!(answer.body["expires_in"].as_u64().is_some_and(|secs| secs > 0), "{answer:?}");
    assert!(!answer.access().is_empty() && !answer.refresh().is_empty(), "{answer:?}");
    is_ann(&answer.body["user"]);
    assert!(!answer.text.contains("password"), "{answer:?}");
}

#[track_caller]
fn is_ann(user: &Value) {
    assert_eq!((&user["username"], &user["email"]), (&json!("ann"), &json!("ann@example.com")), "{user}");
    for field in ["id", "subscription_tier", "is_active", "is_verified", "created_at"] {
        assert!(!user[field].is_null(), "{field} in {user}");
    }
    assert!(user.get("password").is_none() && user.get("password_hash").is_none(), "{user}");
}

#[tokio::test]
async fn registration_login_and_tokens() {
    let mut checks = Checks::default();
    let api = Api::new().await;
    let register = async |body: Value| api.post("/api/auth/register", body).await;
    let with = |field: &str, value: Value| {
        let mut body = account("bob");
        body[field] = value;
        body
    };
    let ann = register(account("ann")).await;
    checks.check("register_user_success", &ann, 201, "");
    are_tokens(&ann);
    assert_eq!(ann.body["user"]["is_verified"], false);
    let taken = register(with("email", json!("ann@example.com"))).await;
    checks.check("register_user_duplicate_email", &taken, 400, "email");
    let taken = register(with("username", json!("ann"))).await;
    checks.check("register_user_duplicate_username", &taken, 400, "username");
    let weak = register(with("password", json!("weak"))).await;
    checks.check("register_user_weak_password", &weak, 400, "password");
    let invalid = register(with("email", json!("invalid-email"))).await;
    checks.check("register_user_invalid_email", &invalid, 422, "email");
    let missing = register(json!({"email": "bob@example.com"})).await;
    checks.check("register_user_missing_fields", &missing, 422, "password");

    let by_email = api.login("ann@example.com", PASSWORD).await;
    checks.check("login_success", &by_email, 200, "");
    are_tokens(&by_email);
    let form = Request::post("/api/auth/login").header("content-type", "application/x-www-form-urlencoded");
    let by_name = api.send(form.body(format!("username=ann&password={PASSWORD}").into()).unwrap()).await;
    checks.check("login_with_username", &by_name, 200, "");
    are_tokens(&by_name);
    let wrong = api.login("ann", "Wrong1!x").await;
    checks.check("login_invalid_credentials", &wrong, 401, "");
    let nobody = api.login("nobody@example.com", PASSWORD).await;
    checks.check("login_nonexistent_user", &nobody, 401, "");
    assert_eq!(nobody.body["error"]["message"], wrong.body["error"]["message"]);
    let status = api.get_as(by_name.access(), "/api/auth/account-status").await;
    checks.check("login_failed_attempt_tracking", &status, 200, "");
    assert_eq!((&status.body["failed_attempts"], &status.body["is_locked"]), (&json!(1), &json!(false)));
    for _ in 0..4 {
        api.login("ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    }
    let locked = api.login("ann", PASSWORD).await;
    checks.check("login_locked_user", &locked, 423, "");
    assert!(locked.headers.contains_key("retry-after"));

    let me = api.me(ann.access()).await;
    checks.check("get_current_user_success", &me, 200, "");
    is_ann(&me.body);
    checks.check("get_current_user_without_auth", &api.get("/api/auth/me").await, 401, "");
    checks.check("get_current_user_invalid_token", &api.me("invalid_token").await, 401, "");
    let refreshed = api.refresh(by_email.refresh()).await;
    checks.check("refresh_token_success", &refreshed, 200, "");
    are_tokens(&refreshed);
    assert!(refreshed.access() != by_email.access() && refreshed.refresh() != by_email.refresh());
    checks.check("refresh_token_invalid", &api.refresh("invalid_token").await, 401, "");
    checks.check("refresh_token_wrong_type", &api.refresh(ann.access()).await, 401, "");
    let left = api.post_as(by_name.access(), "/api/auth/logout", json!({})).await;
    checks.check("logout_success", &left, 200, "Logout successful");
    checks.check("logout_without_auth", &api.post("/api/auth/logout", json!({})).await, 401, "");
    api.pass(2 * 3600);
    checks.check("get_current_user_expired_token", &api.me(ann.access()).await, 401, "expired");
    api.database.run("update users set is_active = false where username = 'ann'").await;
    let inactive = api.post_from("192.0.2.2", "/api/auth/login", account("ann")).await;
    checks.check("login_inactive_user", &inactive, 403, "");
    checks.are(22);
}

#[tokio::test]
async fn links_and_proofs() {
    let mut checks = Checks::default();
    let api = Api::with(|policy| policy.require_verified = true).await;
    api.register("ann").await;
    checks.check("login_unverified_user", &api.login("ann", PASSWORD).await, 403, "");
    let ask = async |path: &str, email: &str| api.post(path, json!({"email": email})).await;
    let asked = ask("/api/auth/verify-email-request", "ann@example.com").await;
    checks.check("verify_email_request_success", &asked, 200, "message");
    let proof = api.mail("ann@example.com", 2).await;
    let verify = async |token: &str| api.get(&format!("/api/auth/verify-email/{token}")).await;
    checks.check("verify_email_invalid_token", &verify("invalid_token").await, 400, "");
    checks.check("verify_email_success", &verify(link_in(&proof)).await, 200, "message");
    let again = ask("/api/auth/verify-email-request", "ann@example.com").await;
    checks.check("verify_email_request_already_verified", &again, 200, "message");
    assert_eq!(again.body, asked.body);

    let forgot = ask("/api/auth/forgot-password", "ann@example.com").await;
    checks.check("forgot_password_existing_user", &forgot, 200, "message");
    let nobody = ask("/api/auth/forgot-password", "nobody@example.com").await;
    checks.check("forgot_password_nonexistent_user", &nobody, 200, "message");
    assert_eq!(nobody.body, forgot.body);
    let link = link_in(&api.mail("ann@example.com", 3).await).to_owned();
    let reset = async |token: &str, password: &str| {
        api.post("/api/auth/reset-password", json!({"token": token, "new_password": password})).await
    };
    checks.check("reset_password_invalid_token", &reset("invalid_token", "Another1!").await, 400, "");
    checks.check("reset_password_weak_password", &reset(&link, "weak").await, 400, "password");
    checks.check("reset_password_success", &reset(&link, "Another1!").await, 200, "message");
    assert_eq!(api.login("ann", "Another1!").await.status, StatusCode::OK);
    checks.are(10);
}

#[tokio::test]
async fn limits_of_login_and_registration() {
    let mut checks = Checks::default();
    let api = Api::limited(|_| {}, true).await;
    api.register("ann").await;
    let mut refused = None;
    // A try costs time, in which another is allowed; once the account is locked it costs none.
    for n in 0..60 {
        let answer = api.login("ann", "Wrong1!x").await;
        let expected: &[u16] = if n < 5 { &[401] } else { &[423, 429] };
        assert!(expected.contains(&answer.status.as_u16()), "{n}: {answer:?}");
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
            break;
        }
    }
    checks.check("login_rate_limiting", &refused.expect("one too many"), 429, "too many");
    // From another address: the tries above are counted by theirs.
    let mut refused = None;
    for n in 0..11 {
        let answer = api.post_from("192.0.2.9", "/api/auth/register", account(&format!("user{n}"))).await;
        assert!([201, 400, 422, 429].contains(&answer.status.as_u16()), "{n}: {answer:?}");
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused = Some(answer);
        }
    }
    let refused = refused.expect("one too many");
    checks.check("registration_rate_limiting", &refused, 429, "too many");
    assert!(refused.headers.contains_key("retry-after"));
    checks.are(2);
}
