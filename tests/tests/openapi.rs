//! The OpenAPI document and the real api, compared by schemathesis: nothing is answered that the document does not say.

use std::path::Path;
use std::process::Command;

use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Account, Stack, target_directory};

/// Cases for each operation, beside those at the bounds of its parameters and those that chains of operations make.
const EXAMPLES: &str = "20";
/// Operations that end what the account of a run is signed in with: tried on an account that nothing else needs.
const ENDING: &str = "logout|sign_out_device|delete_account|change_password";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_as_the_document_says() {
    let stack = Stack::start().await;
    let owner = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    compare(&stack, &stack.admin, &["--exclude-operation-id-regex", ENDING]).await;
    // Else most of what was compared were refusals.
    owner.get("/api/auth/me").await.expect(200);
    let made = owner.get("/api/sessions/stats/overview").await.expect(200);
    assert!(made["total"].as_u64() > Some(0), "no session was made: {made}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_sign_in_answers_as_the_document_says() {
    let stack = Stack::start().await;
    for operation in ENDING.split('|') {
        let account = Account::login(stack.address(0), "owner").await;
        compare(&stack, &account, &["--include-operation-id", operation]).await;
    }
}

/// Runs schemathesis as `account`.
async fn compare(stack: &Stack, account: &Account, operations: &[&str]) {
    let program = target_directory().join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run scripts/install-schemathesis.sh", program.display());
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemathesis/schemathesis.toml");
    let mut run = Command::new(program);
    run.current_dir(stack.place.path("log"))
        .env("DEVPOCKET_TOKEN", &account.access_token)
        .arg("--config-file")
        .arg(config)
        .args(["run", &format!("http://{}/openapi.json", stack.address(0)), "--max-examples", EXAMPLES])
        .args(operations);
    let output = tokio::task::spawn_blocking(move || run.output()).await.expect("no panic").expect("it runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    println!("{said}");
}
