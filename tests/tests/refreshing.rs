//! Refresh tokens against a real api, and against two that share a database.

use devpocket_tests::Witness;
use devpocket_tests::client::{Credential, Framing, OpenError, Socket};
use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use futures_util::future::join_all;
use serde_json::json;

async fn refresh(stack: &Stack, api: usize, token: &str) -> Answered {
    let body = json!({"refresh_token": token});
    Rest::new(stack.address(api), None).post("/api/auth/refresh", &body).await
}

async fn devices(stack: &Stack, token: &str) -> u64 {
    let shown = Rest::new(stack.address(0), Some(token)).get("/api/auth/devices").await.expect(200);
    shown["total"].as_u64().expect("a number")
}

#[tokio::test]
async fn twenty_refreshes_at_once_leave_one_family_and_sign_nobody_out() {
    for (database, apis) in
        [(DatabaseKind::Sqlite, 1), (DatabaseKind::Sqlite, 2), (DatabaseKind::Postgres, 2)]
    {
        let stack = Stack::start_with(Options { database, apis, ..Options::default() }).await;
        let mut witness = Witness::start(&stack).await;
        let phone = Account::login(stack.address(0), "owner").await;
        let mut token = phone.refresh_token.clone();
        for round in 0..5 {
            let all = join_all((0..20).map(|n| refresh(&stack, n % apis, &token))).await;
            let first = all[0].body["refresh_token"].as_str().expect("a successor").to_owned();
            for answer in &all {
                assert_eq!(answer.status, 200, "{database:?} {apis}, round {round}: {answer:?}");
                assert_eq!(answer.body["refresh_token"], first.as_str(), "one successor");
                let access = answer.body["access_token"].as_str().expect("a token");
                Rest::new(stack.address(round % apis), Some(access)).get("/api/auth/me").await.expect(200);
            }
            token = first;
        }
        // The device is one, and what it had before and has now is good; so is the other device.
        assert_eq!(devices(&stack, &phone.access_token).await, 2, "{database:?} {apis}");
        assert_eq!(refresh(&stack, apis - 1, &stack.admin.refresh_token).await.status, 200);
        assert_eq!(refresh(&stack, 0, &token).await.status, 200);
        witness.is_undisturbed().await;
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_refreshes_nothing_and_a_signed_out_one_neither() {
    let stack = Stack::start().await;
    let (api, admin) = (stack.address(0), &stack.admin);
    let ticket = admin.ticket(api).await;
    for (what, token) in
        [("an access token", admin.access_token.as_str()), ("a ticket", &ticket), ("nothing", "")]
    {
        let answer = refresh(&stack, 0, token).await;
        assert!(answer.status == 401 && answer.is_shaped(), "{what}: {answer:?}");
    }
    let phone = Account::login(api, "owner").await;
    let unused = phone.ticket(api).await;
    phone.logout(api).await;
    refresh(&stack, 0, &phone.refresh_token).await.is_problem(401, "token_invalid");
    Rest::new(api, Some(&phone.access_token)).get("/api/auth/me").await.is_problem(401, "token_revoked");
    for credential in [Credential::Bearer(phone.access_token.clone()), Credential::Ticket(unused)] {
        let opened = Socket::open(&stack.opening(0, Framing::Json).with_credential(credential)).await;
        assert!(matches!(opened, Err(OpenError::Refused(status)) if status.as_u16() == 401));
    }
    assert_eq!(refresh(&stack, 0, &admin.refresh_token).await.status, 200, "the other device goes on");
}
