//! The tests on PostgreSQL.
#![expect(clippy::duplicate_mod, reason = "every test runs on both databases")]

#[path = "accounts.rs"]
mod accounts;
#[path = "books.rs"]
mod books;
#[path = "cleanup.rs"]
mod cleanup;
#[path = "devices.rs"]
mod devices;
#[path = "first_run.rs"]
mod first_run;
#[path = "headers.rs"]
mod headers;
#[path = "limits.rs"]
mod limits;
#[path = "links.rs"]
mod links;
#[path = "nodes.rs"]
mod nodes;
#[path = "profile.rs"]
mod profile;
#[path = "reference.rs"]
mod reference;
#[path = "refresh.rs"]
mod refresh;
#[path = "routes.rs"]
mod routes;
#[path = "shape.rs"]
mod shape;

use super::*;

type Api = super::Api<crate::store::tests::PostgresPlace>;

/// The story: the disk was full, "a mail is on its way", and it never was, not even when there was room again.
#[tokio::test]
async fn a_mail_whose_link_cannot_be_stored_is_sent_when_it_can_be_and_meanwhile_no_other_is_promised() {
    let api = Api::new().await;
    api.register("ann").await;
    api.mail("ann@example.com", 1).await;
    api.database
        .run(
            "create function refuse() returns trigger language plpgsql as \
             $$begin raise exception using errcode = '53100', message = 'could not extend file'; end$$",
        )
        .await;
    api.database.run("create trigger full_disk before insert on mail_tokens execute function refuse()").await;
    let ask =
        async |path: &str, email: &str| api.post(&format!("/api/auth/{path}"), json!({"email": email})).await;
    assert_eq!(ask("forgot-password", "ann@example.com").await.status, StatusCode::OK, "nobody knows yet");
    wait_until("a write is refused", std::time::Duration::from_secs(20), async || {
        ask("forgot-password", "nobody@example.com").await.status != StatusCode::OK
    })
    .await;
    for path in ["forgot-password", "verify-email-request"] {
        for email in ["nobody@example.com", "ann@example.com"] {
            ask(path, email).await.is_problem(503, "database_unavailable");
        }
    }
    api.database.run("drop trigger full_disk on mail_tokens").await;
    let mail = api.mail("ann@example.com", 2).await;
    assert!(mail.contains("password") && !link_in(&mail).is_empty(), "{mail}");
    api.database.ping().await.unwrap();
    assert_eq!(ask("forgot-password", "nobody@example.com").await.status, StatusCode::OK);
}
