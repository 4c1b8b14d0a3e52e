//! What an api sends by mail, to a real mail server, and what it does when that is slow or away.

use std::time::Duration;

use devpocket_tests::mail_sink::MailSink;
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::{wait_for, wait_until};
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(30);
const NEW: &str = "Another-horse-8";

async fn stack(url: &str, more: &[(&str, &str)]) -> Stack {
    let mut api_environment = vec![("SMTP_URL".to_owned(), url.to_owned())];
    api_environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Stack::start_with(Options { database: DatabaseKind::Postgres, api_environment, ..Options::default() })
        .await
}

/// The secret in a mail: its one word of 64 hex digits.
fn link_in(mail: &str) -> &str {
    let is_secret = |word: &&str| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    mail.split(|c: char| c.is_whitespace() || c == '/').find(is_secret).expect("a link")
}

#[tokio::test]
async fn an_account_proves_its_address_and_gets_a_new_password_by_mail() {
    let sink = MailSink::start(0).await;
    let more = [
        ("REQUIRE_EMAIL_VERIFICATION", "on"),
        ("MAIL_FROM", "Pocket <pocket@example.org>"),
        ("LOG", "trace"),
    ];
    let stack = stack(&sink.url(), &more).await;
    let api = stack.address(0);
    Account::register(api, "bob").await;
    let mail = async |count: usize| {
        wait_for("a mail is there", LIMIT, async || sink.mails_to("bob@example.com").get(count).cloned())
            .await
    };
    let login = async |password: &str| {
        post(api, "/api/auth/login", None, &json!({"username": "bob", "password": password})).await.status()
    };
    let proof = mail(0).await.content;
    assert!(proof.contains("From: Pocket <pocket@example.org>\n"), "{proof}");
    assert!(proof.contains("To: bob@example.com\n") && proof.contains("\nMessage-ID: <"), "{proof}");
    assert_eq!(login(PASSWORD).await, StatusCode::FORBIDDEN);
    let link = proof.split_whitespace().find(|word| word.starts_with("http://")).expect("a link");
    let opened = Client::new().get(link).send().await.expect("an answer");
    assert_eq!(opened.status(), StatusCode::OK);
    assert_eq!(login(PASSWORD).await, StatusCode::OK);

    post(api, "/api/auth/forgot-password", None, &json!({"email": "bob@example.com"})).await;
    let reset = mail(1).await.content;
    let body = json!({"token": link_in(&reset), "new_password": NEW});
    assert_eq!(post(api, "/api/auth/reset-password", None, &body).await.status(), StatusCode::OK);
    assert_eq!(login(NEW).await, StatusCode::OK);

    let log = stack.api_log(0);
    for secret in [link_in(&reset), link_in(&proof), PASSWORD, NEW] {
        assert!(!log.contains(secret), "a secret reached the log");
    }
}

#[tokio::test]
async fn a_mail_server_that_says_later_is_asked_again_and_one_that_refuses_is_not() {
    let sink = MailSink::start(1).await;
    let stack = stack(&sink.url(), &[("REGISTRATION", "open")]).await;
    // The admin's registration was put off: it comes with the second try.
    wait_until("the mail that was put off is there", LIMIT, async || {
        sink.mails_to("owner@example.com").len() == 1
    })
    .await;
    assert_eq!(sink.tries(), 2);
    Account::register(stack.address(0), "refused").await;
    wait_until("a refusal is logged", LIMIT, async || stack.api_log(0).contains("given up")).await;
    assert_eq!(sink.tries(), 3);
    let log = stack.api_log(0);
    assert!(!log.contains("@example.com"), "an address reached the log: {log}");
}

/// A server that takes connections and never says a word.
#[tokio::test]
async fn nobody_waits_for_a_mail_server_nor_learns_from_time_who_has_an_account() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let stack = stack(&format!("smtp://{}", mute.local_addr().expect("an address")), &[]).await;
    let api = stack.address(0);
    for email in ["owner@example.com", "nobody@example.com", "owner@example.com"] {
        let asked = Instant::now();
        let answer = post(api, "/api/auth/forgot-password", None, &json!({"email": email})).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    let asked = Instant::now();
    Account::register(api, "bob").await;
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
}
