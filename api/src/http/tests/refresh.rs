//! The chain of refresh tokens: lost answers are given again, copies are found out.

use secrecy::ExposeSecret;

use super::*;
use crate::domain::secret_token::{self, Salt};
use crate::domain::token::TokenKeys;

#[tokio::test]
async fn each_refresh_token_leads_to_the_next() {
    let api = Api::new().await;
    let mut last = api.register("ann").await;
    for _ in 0..5 {
        api.pass(600);
        let next = api.refresh(last.refresh()).await;
        assert_eq!(next.status, StatusCode::OK, "{next:?}");
        assert_ne!(next.refresh(), last.refresh());
        assert_eq!(
            (next.text_of("device_id"), &next.body["user"]["username"]),
            (last.text_of("device_id"), &json!("ann"))
        );
        assert_eq!(api.me(next.access()).await.status, StatusCode::OK);
        last = next;
    }
}

#[tokio::test]
async fn twenty_at_once_and_a_lost_answer_get_the_same_successor() {
    let api = Api::new().await;
    let first = api.register("ann").await;
    let answers = futures_util::future::join_all((0..20).map(|_| api.refresh(first.refresh()))).await;
    for answer in &answers {
        assert_eq!((answer.status, answer.refresh()), (StatusCode::OK, answers[0].refresh()));
    }
    let tokens = api.database.count("select count(*) from refresh_tokens").await;
    assert_eq!(tokens, 2, "one successor, however many asked");
    api.pass(59);
    assert_eq!(api.refresh(first.refresh()).await.refresh(), answers[0].refresh());
    assert_eq!(api.refresh(answers[0].refresh()).await.status, StatusCode::OK);
}

/// The story: what follows a refresh token came from the signing key, so that once that was dropped the same spent token
/// gave another successor, which nobody had stored.
#[tokio::test]
async fn a_lost_answer_is_given_again_whatever_key_signs() {
    let api = Api::new().await;
    let first = api.register("ann").await;
    let next = api.refresh(first.refresh()).await;
    for key in ["5f1c0e9ab37d42685f1c0e9ab37d4268", "0e9ab37d42685f1c0e9ab37d42685f1c"] {
        api.accounts.replace_keys(&TokenKeys::of_secret(key));
        let again = api.refresh(first.refresh()).await;
        assert_eq!((again.status, again.refresh()), (StatusCode::OK, next.refresh()));
    }
    assert_eq!(api.refresh(next.refresh()).await.status, StatusCode::OK);
}

/// The story: once a key that had leaked was dropped, its tokens were refused, but the sockets that they had opened stayed.
#[tokio::test]
async fn a_socket_goes_with_the_key_that_let_it_in_and_not_with_another() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let by_token = api.accounts.identify_access(signed_in.access()).await.unwrap();
    let ticket = api.accounts.issue_ticket(&by_token).await.unwrap().ticket;
    let by_ticket = api.accounts.identify_ticket(ticket.expose_secret()).await.unwrap();
    let fresh = "5f1c0e9ab37d42685f1c0e9ab37d4268";
    for (keys, stays) in [(format!("{fresh}\n{}", super::SECRET), true), (fresh.to_owned(), false)] {
        api.accounts.replace_keys(&TokenKeys::of_secret(&keys));
        for identity in [&by_token, &by_ticket] {
            assert_eq!(api.accounts.still_signed_in(identity).await.unwrap(), stays, "{identity:?}");
        }
    }
    let again = api.refresh(signed_in.refresh()).await;
    let renewed = api.accounts.identify_access(again.access()).await.unwrap();
    assert!(api.accounts.still_signed_in(&renewed).await.unwrap());
}

#[tokio::test]
async fn a_copy_used_later_signs_the_device_out_and_no_other() {
    let api = Api::new().await;
    let (first, other) = (api.register("ann").await, api.login("ann", PASSWORD).await);
    let second = api.refresh(first.refresh()).await;
    let identity = api.accounts.identify_access(second.access()).await.unwrap();
    api.pass(61);
    api.refresh(first.refresh()).await.is_problem(401, "token_reused");

    assert!(!api.accounts.still_signed_in(&identity).await.unwrap(), "its sockets end");
    api.me(second.access()).await.is_problem(401, "token_revoked");
    api.refresh(second.refresh()).await.is_problem(401, "token_invalid");
    assert_eq!(api.refresh(other.refresh()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_no_refresh_token_refreshes_nothing() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let early = Salt::random().unwrap().successor(&signed_in.refresh().into());
    for token in ["", "x", signed_in.access(), early.expose_secret(), &"f".repeat(4096)] {
        api.refresh(token).await.is_problem(401, "token_invalid");
    }
    assert_eq!(
        api.refresh(signed_in.refresh()).await.status,
        StatusCode::OK,
        "and none of it spent the good one"
    );
    let last = api.login("ann", PASSWORD).await;
    api.pass(30 * 24 * 3600);
    api.refresh(last.refresh()).await.is_problem(401, "token_invalid");
}

#[tokio::test]
async fn a_token_is_stored_as_its_hash_alone() {
    let api = Api::new().await;
    let signed_in = api.register("ann").await;
    let next = api.refresh(signed_in.refresh()).await;
    let dump = format!("{:?}", api.database.dump().await).to_lowercase();
    let holds = |text: &str| {
        dump.contains(&text.to_lowercase()) || dump.contains(&secret_token::hex(text.as_bytes()))
    };
    assert!(holds("ann@example.com"), "{dump}");
    assert!(holds("argon2id"));
    for secret in [signed_in.refresh(), next.refresh(), signed_in.access(), PASSWORD] {
        assert!(!holds(secret));
    }
}
