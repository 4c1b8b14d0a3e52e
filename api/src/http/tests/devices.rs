//! The list of signed-in devices, and signing one out.

use devpocket_shared::ids::DeviceId;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn the_list_shows_who_is_signed_in_from_where_and_nobody_else() {
    let api = Api::new().await;
    api.register("ann").await;
    api.register("bob").await;
    api.pass(10);
    let body = json!({"username": "ann", "password": PASSWORD, "device_name": "Phone", "device_type": "ios"});
    let phone = api.post_from("2001:db8::7", "/api/auth/login", body).await;
    let list = api.get_as(phone.access(), "/api/auth/devices").await;
    assert_eq!((list.status, &list.body["total"]), (StatusCode::OK, &json!(2)));
    assert_eq!((&list.body["offset"], &list.body["limit"]), (&json!(0), &json!(50)));
    let devices = list.body["devices"].as_array().unwrap();
    let (first, second) = (&devices[0], &devices[1]);
    assert_eq!((&first["id"], &first["current"]), (&phone.body["device_id"], &json!(true)));
    assert_eq!((&first["name"], &first["device_type"]), (&json!("Phone"), &json!("ios")));
    assert_eq!(first["address"], "2001:db8::7");
    assert!(first["last_seen_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!((&second["current"], &second["name"]), (&json!(false), &Value::Null));
    assert!(!list.text.contains("hash"));

    // A refresh is a sign of life, with an address of its own.
    api.pass(60);
    let again =
        api.post_from("192.0.2.9", "/api/auth/refresh", json!({"refresh_token": phone.refresh()})).await;
    let list = api.get_as(again.access(), "/api/auth/devices").await;
    let seen = &list.body["devices"][0];
    assert_eq!((&seen["id"], &seen["address"]), (&phone.body["device_id"], &json!("192.0.2.9")));
    assert_ne!(seen["last_seen_at"], seen["created_at"]);
}

#[tokio::test]
async fn the_list_comes_in_parts() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    for _ in 0..3 {
        api.pass(1);
        api.login("ann", PASSWORD).await;
    }
    let part = async |query: &str| {
        let list = api.get_as(&token, &format!("/api/auth/devices{query}")).await;
        (list.body["devices"].as_array().map(Vec::len), list.body["total"].as_i64())
    };
    assert_eq!(part("?limit=3").await, (Some(3), Some(4)));
    assert_eq!(part("?offset=3&limit=3").await, (Some(1), Some(4)));
    assert_eq!(part("?offset=4").await, (Some(0), Some(4)));
    for query in ["?limit=0", "?limit=101", "?limit=x", "?offset=-1", "?offset=1e3"] {
        api.get_as(&token, &format!("/api/auth/devices{query}")).await.is_problem(422, "invalid_fields");
    }
}

#[tokio::test]
async fn a_device_is_signed_out_by_its_owner_alone() {
    let api = Api::new().await;
    let (ann, bob) = (api.register("ann").await, api.register("bob").await);
    let phone = api.login("ann", PASSWORD).await;
    let path = |id: &str| format!("/api/auth/devices/{id}");
    let of_phone = path(phone.text_of("device_id"));
    let delete = async |token: &str, path: &str| api.ask_as(token, "DELETE", path, Value::Null).await;
    delete(bob.access(), &of_phone).await.is_problem(404, "not_found");
    for id in ["0", "x", "00000000-0000-0000-0000-000000000000", "%00", "..%2f"] {
        delete(ann.access(), &path(id)).await.is_problem(404, "not_found");
    }
    assert_eq!(api.me(phone.access()).await.status, StatusCode::OK);

    assert_eq!(delete(ann.access(), &of_phone).await.status, StatusCode::OK);
    api.me(phone.access()).await.is_problem(401, "token_revoked");
    api.refresh(phone.refresh()).await.is_problem(401, "token_invalid");
    delete(ann.access(), &of_phone).await.is_problem(404, "not_found");
    let list = api.get_as(ann.access(), "/api/auth/devices").await;
    assert_eq!(list.body["total"], 1);
    assert_eq!(delete(ann.access(), &path(ann.text_of("device_id"))).await.status, StatusCode::OK);
    api.me(ann.access()).await.is_problem(401, "token_revoked");
}

#[tokio::test]
async fn a_device_whose_tokens_have_all_ended_is_not_signed_in() {
    let api = Api::new().await;
    api.register("ann").await;
    api.pass(30 * 24 * 3600);
    let now = api.login("ann", PASSWORD).await;
    let list = api.get_as(now.access(), "/api/auth/devices").await;
    assert_eq!(list.body["total"], 1);
}

#[tokio::test]
async fn the_status_counts_wrong_passwords_from_here() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let status = async || api.get_as(&token, "/api/auth/account-status").await.body;
    assert_eq!(status().await, json!({"is_locked": false, "locked_until": null, "failed_attempts": 0}));
    api.login("ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    assert_eq!(status().await["failed_attempts"], 1);
    for _ in 0..4 {
        api.login("ann@example.com", "Wrong1!x").await;
    }
    let locked = status().await;
    assert_eq!((&locked["is_locked"], &locked["failed_attempts"]), (&json!(true), &json!(5)));
    let until = locked["locked_until"].as_str().unwrap();
    let fraction = until.strip_suffix('Z').unwrap().split_once('.').map_or("", |(_, fraction)| fraction);
    assert!(fraction.len() <= 6, "as every other time: {until}");
}

async fn is_revoked(api: &Api, signed_in: &Answer) -> bool {
    api.coordination.is_revoked(DeviceId::new(signed_in.text_of("device_id").parse().unwrap())).await
}

/// What the apis remember for when the database is away.
#[tokio::test]
async fn whatever_signs_a_device_out_is_told_to_all_apis() {
    let api = Api::new().await;
    let first = api.register("ann").await;
    let again = async || api.login("ann", PASSWORD).await;
    let (out, other, reused) = (again().await, again().await, again().await);
    let path = format!("/api/auth/devices/{}", other.text_of("device_id"));
    assert_eq!(api.post_as(out.access(), "/api/auth/logout", json!({})).await.status, StatusCode::OK);
    assert_eq!(api.ask_as(first.access(), "DELETE", &path, Value::Null).await.status, StatusCode::OK);
    assert_eq!(api.refresh(reused.refresh()).await.status, StatusCode::OK);
    api.pass(61);
    api.refresh(reused.refresh()).await.is_problem(401, "token_reused");
    for (what, device) in [("logged out", &out), ("signed out", &other), ("reused", &reused)] {
        assert!(is_revoked(&api, device).await, "{what}");
    }
    assert!(!is_revoked(&api, &first).await);

    let (phone, new) = (again().await, "Another1!");
    let body = json!({"current_password": PASSWORD, "new_password": new});
    let changed = api.post_as(phone.access(), "/api/auth/change-password", body).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert!(is_revoked(&api, &first).await && !is_revoked(&api, &phone).await);
    api.post("/api/auth/forgot-password", json!({"email": "ann@example.com"})).await;
    let mail = api.mail("ann@example.com", 2).await;
    let body = json!({"token": link_in(&mail), "new_password": PASSWORD});
    assert_eq!(api.post("/api/auth/reset-password", body).await.status, StatusCode::OK);
    assert!(is_revoked(&api, &phone).await);
    let last = again().await;
    let deleted = api.ask_as(last.access(), "DELETE", "/api/profile", json!({"password": PASSWORD})).await;
    assert_eq!(deleted.status, StatusCode::OK, "{deleted:?}");
    assert!(is_revoked(&api, &last).await);
}

/// The story: whoever closed the connection right behind the request stopped it half way, between the database, which had the
/// device signed out, and those who were to be told.
#[tokio::test]
async fn a_device_is_signed_out_by_a_request_whose_client_is_gone() {
    let api = Api::new().await;
    let ann = api.register("ann").await;
    let request =
        Request::post("/api/auth/logout").header("authorization", format!("Bearer {}", ann.access()));
    let request = request.header("host", "127.0.0.1:8000").body(Body::empty()).unwrap();
    let call = api.router.clone().oneshot(request);
    assert!(timeout(std::time::Duration::ZERO, call).await.is_err(), "it asks the database");
    wait_until("all apis know of it", std::time::Duration::from_secs(20), async || {
        is_revoked(&api, &ann).await
    })
    .await;
    api.me(ann.access()).await.is_problem(401, "token_revoked");
}
