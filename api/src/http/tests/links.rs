//! Links sent by mail: new passwords and proofs of an address.

use super::*;

const NEW: &str = "Another1!";

async fn forgot(api: &Api, email: &str) -> Answer {
    api.post("/api/auth/forgot-password", json!({"email": email})).await
}

async fn reset(api: &Api, token: &str, password: &str) -> Answer {
    api.post("/api/auth/reset-password", json!({"token": token, "new_password": password})).await
}

async fn verify(api: &Api, token: &str) -> Answer {
    api.get(&format!("/api/auth/verify-email/{token}")).await
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_a_link_that_works_once() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    api.mail("ann@example.com", 1).await;
    assert_eq!(forgot(&api, "Ann@Example.com").await.status, StatusCode::OK);
    let mail = api.mail("ann@example.com", 2).await;
    assert!(mail.contains("\nSubject: Your Pocket & Söhne password\n"), "{mail}");
    let link = link_in(&mail);
    reset(&api, link, "weak").await.is_problem(400, "weak_password");
    assert_eq!(reset(&api, link, NEW).await.status, StatusCode::OK);

    api.me(signed_in.access()).await.is_problem(401, "token_revoked");
    api.refresh(signed_in.refresh()).await.is_problem(401, "token_invalid");
    api.login("ann", PASSWORD).await.is_problem(401, "invalid_credentials");
    assert_eq!(api.login("ann", NEW).await.status, StatusCode::OK);
    reset(&api, link, NEW).await.is_problem(400, "link_invalid");
}

#[tokio::test]
async fn nobody_learns_from_an_answer_whether_there_is_an_account() {
    let api = Api::new().await;
    api.register("ann").await;
    api.mail("ann@example.com", 1).await;
    api.database.run("update users set is_active = false").await;
    api.register("bob").await;
    for path in ["/api/auth/forgot-password", "/api/auth/verify-email-request"] {
        let mut answers = Vec::new();
        for email in ["bob@example.com", "ann@example.com", "nobody@example.com"] {
            let answer = api.post(path, json!({"email": email})).await;
            assert_eq!(answer.status, StatusCode::OK);
            answers.push(answer.body);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        api.post(path, json!({"email": "none"})).await.is_problem(422, "invalid_fields");
        api.post(path, json!({})).await.is_problem(422, "invalid_fields");
    }
    // When bob has his, the others would have had theirs.
    api.mail("bob@example.com", 3).await;
    assert!(api.mails_to("nobody@example.com").is_empty());
    assert_eq!(api.mails_to("ann@example.com").len(), 1, "the one of her registration");
    api.database.close().await;
    for email in ["bob@example.com", "nobody@example.com"] {
        forgot(&api, email).await.is_problem(503, "database_unavailable");
    }
}

#[tokio::test]
async fn a_link_ends_by_time_by_use_of_another_and_by_a_new_address() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    api.mail("ann@example.com", 1).await;
    let mut links = Vec::new();
    for count in 2..4 {
        forgot(&api, "ann@example.com").await;
        links.push(link_in(&api.mail("ann@example.com", count).await).to_owned());
    }
    assert_ne!(links[0], links[1]);
    assert_eq!(reset(&api, &links[1], NEW).await.status, StatusCode::OK);
    reset(&api, &links[0], NEW).await.is_problem(400, "link_invalid");
    api.me(&token).await.is_problem(401, "token_revoked");

    forgot(&api, "ann@example.com").await;
    let late = api.mail("ann@example.com", 4).await;
    api.pass(3600);
    reset(&api, link_in(&late), NEW).await.is_problem(400, "link_invalid");

    forgot(&api, "ann@example.com").await;
    let old = api.mail("ann@example.com", 5).await;
    let token = api.login("ann", NEW).await.access().to_owned();
    let moved = api.ask_as(&token, "PUT", "/api/profile", json!({"email": "ann@new.example"})).await;
    assert_eq!(moved.status, StatusCode::OK);
    reset(&api, link_in(&old), NEW).await.is_problem(400, "link_invalid");
}

#[tokio::test]
async fn of_resets_made_at_once_one_is_done() {
    let api = Api::new().await;
    api.register("ann").await;
    api.mail("ann@example.com", 1).await;
    forgot(&api, "ann@example.com").await;
    let mail = api.mail("ann@example.com", 2).await;
    let answers = futures_util::future::join_all((0..8).map(|_| reset(&api, link_in(&mail), NEW))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
}

#[tokio::test]
async fn nobody_is_sent_more_than_five_mails_an_hour_by_strangers() {
    let api = Api::new().await;
    api.register("ann").await;
    api.register("bob").await;
    api.mail("ann@example.com", 1).await;
    for _ in 0..8 {
        assert_eq!(forgot(&api, "ann@example.com").await.status, StatusCode::OK);
    }
    api.mail("ann@example.com", 6).await;
    forgot(&api, "bob@example.com").await;
    api.mail("bob@example.com", 2).await;
    assert_eq!(api.mails_to("ann@example.com").len(), 6);
    api.pass(3600);
    forgot(&api, "ann@example.com").await;
    api.mail("ann@example.com", 7).await;
}

#[tokio::test]
async fn what_is_no_link_resets_nothing() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let proof = api.mail("ann@example.com", 1).await;
    for token in ["", "x", signed_in.access(), signed_in.refresh(), link_in(&proof), &"f".repeat(4096)] {
        reset(&api, token, NEW).await.is_problem(400, "link_invalid");
    }
    reset(&api, &"f".repeat(4097), NEW).await.is_problem(422, "invalid_fields");
    api.post("/api/auth/reset-password", json!({})).await.is_problem(422, "invalid_fields");
    assert_eq!(api.login("ann", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_reset_opens_the_door_it_was_locked_out_of() {
    let api = Api::new().await;
    api.register("ann").await;
    api.mail("ann@example.com", 1).await;
    for _ in 0..5 {
        api.login("ann", "Wrong1!x").await;
    }
    api.login("ann", PASSWORD).await.is_problem(423, "account_locked");
    forgot(&api, "ann@example.com").await;
    let mail = api.mail("ann@example.com", 2).await;
    assert_eq!(reset(&api, link_in(&mail), NEW).await.status, StatusCode::OK);
    assert_eq!(api.login("ann", NEW).await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_address_is_proved_by_the_link_sent_to_it() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let mail = api.mail("ann@example.com", 1).await;
    let link = format!("https://pocket.example/api/auth/verify-email/{}", link_in(&mail));
    assert!(mail.contains(&link), "{mail}");
    assert_eq!(verify(&api, link_in(&mail)).await.status, StatusCode::OK);
    assert_eq!(api.me(signed_in.access()).await.body["is_verified"], true);
    verify(&api, link_in(&mail)).await.is_problem(400, "link_invalid");

    // Who has proved theirs is sent nothing more.
    api.post("/api/auth/verify-email-request", json!({"email": "ann@example.com"})).await;
    api.register("bob").await;
    api.mail("bob@example.com", 1).await;
    assert_eq!(api.mails_to("ann@example.com").len(), 1);
}

#[tokio::test]
async fn a_proof_is_of_its_own_address_and_ends() {
    let api = Api::new().await;
    let token = api.register("ann").await.access().to_owned();
    let first = api.mail("ann@example.com", 1).await;
    let moved = api.ask_as(&token, "PUT", "/api/profile", json!({"email": "ann@new.example"})).await;
    assert_eq!(moved.status, StatusCode::OK);
    verify(&api, link_in(&first)).await.is_problem(400, "link_invalid");
    for word in ["x", "%00", "%ff", &"f".repeat(5000)] {
        assert_eq!(verify(&api, word).await.status, StatusCode::BAD_REQUEST, "{word}");
    }
    let second = api.mail("ann@new.example", 1).await;
    api.pass(24 * 3600);
    verify(&api, link_in(&second)).await.is_problem(400, "link_invalid");
}

#[tokio::test]
async fn where_it_is_asked_for_nobody_signs_in_before_the_proof() {
    let api = Api::with(|policy| policy.require_verified = true).await;
    api.register("ann").await;
    let mail = api.mail("ann@example.com", 1).await;
    api.login("ann", PASSWORD).await.is_problem(403, "email_unverified");
    api.login("ann", "Wrong1!x").await.is_problem(401, "invalid_credentials");
    verify(&api, link_in(&mail)).await;
    assert_eq!(api.login("ann", PASSWORD).await.status, StatusCode::OK);
}

/// The story: mail programs and chats look at links by HEAD, which used them up.
#[tokio::test]
async fn a_link_that_is_looked_at_is_not_used_up() {
    let api = Api::new().await;
    api.register("ann").await;
    let mail = api.mail("ann@example.com", 1).await;
    let path = format!("/api/auth/verify-email/{}", link_in(&mail));
    let look = async || api.send(Request::head(&path).body(Body::empty()).unwrap()).await.status;
    assert_eq!((look().await, look().await), (StatusCode::OK, StatusCode::OK));
    assert_eq!(verify(&api, link_in(&mail)).await.status, StatusCode::OK);
    assert_eq!(look().await, StatusCode::BAD_REQUEST);
}
