//! The OpenAPI document and the real api, compared by schemathesis: nothing is answered that the document does not say.

use std::path::Path;
use std::process::Command;

use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Account, Stack, target_directory};
use serde_json::Value;

/// Cases for each operation, beside those at the bounds of its parameters and those that chains of operations make.
const EXAMPLES: u32 = 40;
/// Operations that end what the account of a run is signed in with: each is tried on an account that nothing else needs.
const ENDING: [&str; 4] = ["logout", "sign_out_device", "delete_account", "change_password"];
/// Operations that are only ever refused here: they need the secret of a mail or of the first start, a password, or a
/// WebSocket. The last two did not succeed in `ENDING` either.
const REFUSED: [&str; 7] = [
    "verify_email",
    "reset_password",
    "first_run",
    "login",
    "open_terminal",
    "delete_account",
    "change_password",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_document_says() {
    let stack = Stack::start().await;
    compare(&stack, &stack.admin, &["--exclude-operation-id-regex", &ENDING.join("|")]).await;
    for operation in ENDING {
        let account = Account::register(stack.address(0), operation).await;
        compare(&stack, &account, &["--include-operation-id", operation]).await;
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
            lines.any(|line| labels.iter().all(|label| line.contains(label)))
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

/// Runs schemathesis as `account`.
async fn compare(stack: &Stack, account: &Account, operations: &[&str]) {
    let program = target_directory().join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run scripts/install-schemathesis.sh", program.display());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis/schemathesis.toml");
    let times = times();
    // The same cases every day, others in a longer run; the report names the seed.
    let seed: &[&str] = if times == 1 { &["--seed", "1"] } else { &[] };
    let mut run = Command::new(program);
    run.current_dir(stack.place.path("log"))
        .env("DEVPOCKET_TOKEN", &account.access_token)
        .arg("--config-file")
        .arg(config)
        .args([
            "run",
            &format!("http://{}/openapi.json", stack.address(0)),
            "--max-examples",
            &(EXAMPLES * times).to_string(),
        ])
        .args(seed)
        .args(operations);
    let output = tokio::task::spawn_blocking(move || run.output()).await.expect("no panic").expect("it runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    println!("{said}");
}

/// How many times as many cases as usual (`make test-long`).
#[expect(clippy::disallowed_methods, reason = "a test binary has no configuration but this variable")]
fn times() -> u32 {
    std::env::var("OPENAPI_TIMES").map_or(1, |times| times.parse().expect("OPENAPI_TIMES is a number"))
}
