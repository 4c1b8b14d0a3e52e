//! The OpenAPI document and the real api, compared by schemathesis: nothing is answered that the document does not say.

use std::fs;
use std::process::Command;

use devpocket_tests::rest::Rest;
use devpocket_tests::stack::account::{PASSWORD, post};
use devpocket_tests::stack::{Account, Stack, target_directory};
use serde_json::{Value, json};

/// Cases for each operation, beside those at the bounds of its parameters and those that chains of operations make.
const EXAMPLES: u32 = 40;
/// Operations that end what the account of a run is signed in with: each is tried on an account that nothing else needs.
const ENDING: [&str; 4] = ["logout", "sign_out_device", "delete_account", "change_password"];
/// Operations that succeed with the right words alone, and often once only.
const WITH_WORDS: [&str; 7] = [
    "login",
    "refresh",
    "verify_email",
    "reset_password",
    "sign_out_device",
    "delete_account",
    "change_password",
];
/// Operations that are only ever refused here: the one needs the secret of a standalone server, the other a WebSocket.
const REFUSED: [&str; 2] = ["first_run", "open_terminal"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_document_says() {
    let stack = Stack::start().await;
    compare(&stack, &stack.admin, &["--exclude-operation-id-regex", &ENDING.join("|")]).await;
    for operation in ENDING {
        let account = Account::register(stack.address(0), operation).await;
        compare(&stack, &account, &["--include-operation-id", operation]).await;
    }
    for operation in WITH_WORDS {
        let account = Account::register(stack.address(0), &format!("{operation}_2")).await;
        let phase = ["--phases", "fuzzing", "--mode", "positive", "--include-operation-id", operation];
        compare(&stack, &account, &phase).await;
    }
    // An answer that never came was not compared.
    let document = Rest::new(stack.address(0), None).get("/openapi.json").await.expect(200);
    let counted = reqwest::get(format!("http://{}/metrics", stack.address(0))).await.expect("an answer");
    let counted = counted.text().await.expect("a body");
    let missing: Vec<String> = operations(&document)
        .filter(|operation| !REFUSED.contains(&operation.id) && !operation.succeeded(&counted))
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    assert!(missing.is_empty(), "these never succeeded: {missing:?}\n{counted}");
}

#[tokio::test]
async fn the_program_prints_the_document_that_it_serves() {
    let stack = Stack::start().await;
    let served = Rest::new(stack.address(0), None).get("/openapi.json").await.expect(200);
    let printed = Command::new(stack.place.path("bin/devpocket")).arg("openapi").output().expect("it runs");
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(serde_json::from_slice::<Value>(&printed.stdout).expect("JSON"), served);
}

/// Runs schemathesis as `account`.
async fn compare(stack: &Stack, account: &Account, arguments: &[&str]) {
    let program = target_directory().join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run scripts/install-schemathesis.sh", program.display());
    let directory = tempfile::tempdir().expect("a directory");
    let config = directory.path().join("schemathesis.toml");
    let written = include_str!("../schemathesis/schemathesis.toml").to_owned() + &words(stack, account).await;
    fs::write(&config, written).expect("the configuration can be written");
    let times = times();
    // The same cases every day, others in a longer run; the report names the seed.
    let seed: &[&str] = if times == 1 { &["--seed", "1"] } else { &[] };
    let mut run = Command::new(program);
    run.current_dir(directory.path())
        .env("DEVPOCKET_TOKEN", &account.access_token)
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("http://{}/openapi.json", stack.address(0))])
        .args(["--max-examples", &(EXAMPLES * times).to_string()])
        .args(seed)
        .args(arguments);
    let output = tokio::task::spawn_blocking(move || run.output()).await.expect("no panic").expect("it runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}\n{said}\n{complained}", output.status);
}

/// What a case may say to succeed, as the configuration's dictionaries.
async fn words(stack: &Stack, account: &Account) -> String {
    let api = stack.address(0);
    let (name, email) = (&account.user["username"], &account.user["email"]);
    let email = email.as_str().expect("an address");
    let devices = Rest::new(api, Some(&account.access_token)).get("/api/auth/devices").await.expect(200);
    post(api, "/api/auth/forgot-password", None, &json!({ "email": email })).await;
    let proof = stack.mailed_secret(email, "Confirm").await;
    let reset = stack.mailed_secret(email, "Your DevPocket password").await;
    let device = &devices["devices"][0]["id"];
    let refresh = &account.refresh_token;
    let dictionaries = [
        ("password", json!(PASSWORD)),
        ("username", name.clone()),
        ("device", device.clone()),
        ("refresh_token", json!(refresh)),
        ("proof", json!(proof)),
        ("reset", json!(reset)),
    ];
    dictionaries.map(|(name, word)| format!("[dictionaries.{name}]\nvalues = [{word}]\n")).concat()
}

/// An operation of the document.
struct Operation<'a> {
    method: String,
    path: &'a str,
    id: &'a str,
    successes: Vec<&'a str>,
}

impl Operation<'_> {
    /// Whether the api's metrics have an answer of this operation that is no refusal.
    fn succeeded(&self, metrics: &str) -> bool {
        let Self { method, path, successes, .. } = self;
        successes.iter().any(|status| {
            let labels =
                [format!("method=\"{method}\""), format!("route=\"{path}\""), format!("status=\"{status}\"")];
            let mut lines = metrics.lines().filter(|line| line.starts_with("devpocket_http_requests_total{"));
            // Those that have not happened stand there as 0.
            lines.any(|line| labels.iter().all(|label| line.contains(label)) && !line.ends_with(" 0"))
        })
    }
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = document["paths"].as_object().expect("paths");
    paths.iter().flat_map(|(path, item)| {
        item.as_object().expect("an object").iter().map(move |(method, operation)| {
            let answers = operation["responses"].as_object().expect("answers").keys();
            Operation {
                method: method.to_uppercase(),
                path,
                id: operation["operationId"].as_str().expect("an id"),
                successes: answers.map(String::as_str).filter(|status| status.starts_with('2')).collect(),
            }
        })
    })
}

/// How many times as many cases as usual (`make test-long`).
#[expect(clippy::disallowed_methods, reason = "a test binary has no configuration but this variable")]
fn times() -> u32 {
    std::env::var("OPENAPI_TIMES").map_or(1, |times| times.parse().expect("OPENAPI_TIMES is a number"))
}
