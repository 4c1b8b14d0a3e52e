//! The link a standalone start prints.

use futures_util::FutureExt;
use secrecy::ExposeSecret;

use super::*;
use crate::domain::user::DeviceInfo;

async fn token(api: &Api) -> Option<String> {
    api.accounts.first_run_token().await.unwrap().map(|token| token.expose_secret().to_owned())
}

async fn first_run(api: &Api, token: &str) -> Answer {
    api.post("/api/auth/first-run", json!({"token": token, "device_name": "Laptop", "device_type": "web"}))
        .await
}

#[tokio::test]
async fn the_link_makes_the_owner_once() {
    let api = Api::new().await;
    let link = token(&api).await.unwrap();
    first_run(&api, "").await.is_problem(401, "token_invalid");
    first_run(&api, &link[1..]).await.is_problem(401, "token_invalid");
    let owner = first_run(&api, &link).await;
    assert_eq!(owner.status, StatusCode::OK, "{owner:?}");
    let user = &owner.body["user"];
    assert_eq!((&user["username"], &user["is_admin"]), (&json!("owner"), &json!(true)));
    assert_eq!(user["subscription_tier"], "enterprise");
    assert_eq!(api.me(owner.access()).await.status, StatusCode::OK);
    first_run(&api, &link).await.is_problem(401, "token_invalid");
}

#[tokio::test]
async fn of_a_link_opened_twice_at_once_one_works() {
    let api = Api::new().await;
    let link = token(&api).await.unwrap();
    let answers = futures_util::future::join_all((0..10).map(|_| first_run(&api, &link))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn each_start_prints_another_until_the_owner_has_a_password() {
    let api = Api::new().await;
    let first = token(&api).await.unwrap();
    let second = token(&api).await.unwrap();
    first_run(&api, &first).await.is_problem(401, "token_invalid");
    let owner = first_run(&api, &second).await;
    let again = first_run(&api, &token(&api).await.unwrap()).await;
    assert_eq!(again.body["user"]["id"], owner.body["user"]["id"]);

    api.login("owner", PASSWORD).await.is_problem(401, "invalid_credentials");
    let set =
        api.post_as(again.access(), "/api/auth/change-password", json!({"new_password": PASSWORD})).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    assert_eq!(api.login("owner", PASSWORD).await.status, StatusCode::OK);
    assert_eq!(token(&api).await, None);
}

#[tokio::test]
async fn a_link_works_for_an_hour() {
    let api = Api::new().await;
    let link = token(&api).await.unwrap();
    api.pass(3600);
    first_run(&api, &link).await.is_problem(401, "token_invalid");
}

/// The story: the disk was full, the answer was 503 "please try again", and the same link was refused for ever after.
#[tokio::test]
async fn a_link_of_which_nothing_came_works_again() {
    let api = Api::new().await;
    let link = token(&api).await.unwrap();
    let info = || DeviceInfo { name: None, kind: None };
    let asked = api.accounts.first_run(&link, info(), "192.0.2.1".parse().unwrap());
    assert!(asked.now_or_never().is_none(), "whoever asked was gone before the answer");
    // The account is made, and its device is not signed in.
    api.database.run("alter table refresh_tokens rename to elsewhere").await;
    for _ in 0..2 {
        let failed = first_run(&api, &link).await;
        assert!(failed.status.is_server_error(), "{failed:?}");
    }
    api.database.run("alter table elsewhere rename to refresh_tokens").await;
    assert_eq!(first_run(&api, &link).await.status, StatusCode::OK);
    first_run(&api, &link).await.is_problem(401, "token_invalid");
}

/// The story: another user of the machine registered first, became the admin, and the link signed the operator in to that
/// account, whose sessions the other could open.
#[tokio::test]
async fn a_link_never_leads_into_an_account_that_somebody_registered() {
    let api = Api::new().await;
    let link = token(&api).await.unwrap();
    api.register("mallory").await;
    first_run(&api, &link).await.is_problem(409, "owner_registered");
    first_run(&api, &link).await.is_problem(409, "owner_registered");
    assert_eq!(token(&api).await, None);
}

#[tokio::test]
async fn without_a_link_nothing_opens_and_accounts_without_an_admin_get_none() {
    let api = Api::with(|policy| policy.first_account = FirstAccount::Plain).await;
    first_run(&api, "").await.is_problem(401, "token_invalid");
    api.register("ann").await;
    assert_eq!(token(&api).await, None);
}

#[tokio::test]
async fn whatever_else_is_said_with_the_link_makes_no_other_owner() {
    let [plain, wishing] = [Api::new().await, Api::new().await];
    let expected = first_run(&plain, &token(&plain).await.unwrap()).await;
    let wishes = json!({
        "token": token(&wishing).await.unwrap(), "device_name": "Laptop", "device_type": "web",
        "id": uuid::Uuid::nil(), "user_id": uuid::Uuid::nil(), "sub": uuid::Uuid::nil(), "device_id": uuid::Uuid::nil(),
        "username": "mallory", "email": "mallory@example.com", "password": PASSWORD, "is_admin": false,
        "subscription_tier": "free", "is_active": false, "is_verified": true, "created_at": "2001-01-01T00:00:00Z",
    });
    let made = wishing.post("/api/auth/first-run", wishes.clone()).await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    for field in ["username", "email", "subscription_tier", "is_admin", "is_active", "is_verified"] {
        assert_eq!(made.body["user"][field], expected.body["user"][field], "{field}");
    }
    for field in ["id", "created_at"] {
        assert_ne!(made.body["user"][field], wishes[field], "{field}");
    }
    assert_ne!(made.body["device_id"], wishes["device_id"]);
    for name in ["mallory", "owner"] {
        wishing.login(name, PASSWORD).await.is_problem(401, "invalid_credentials");
    }
}
