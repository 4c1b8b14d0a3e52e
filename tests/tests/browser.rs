//! The pages in a real browser. The terminal: `web/e2e/terminal.mjs` opens it, types, loses the network and types on. The
//! reference of the api: `web/e2e/reference.mjs` reads it.

use std::path::Path;
use std::process::Command;

use devpocket_tests::stack::{Stack, Standalone};

/// Runs a script of `web/e2e` to its end, which must be a good one.
async fn browse(script: &str, arguments: Vec<String>) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/e2e").join(script);
    assert!(script.exists(), "{} is missing: the test needs a whole checkout", script.display());
    let run = tokio::task::spawn_blocking(move || Command::new("node").arg(script).args(arguments).output());
    let output = run.await.expect("no panic").expect("node runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_goes_on_in_a_browser_that_was_offline() {
    let (standalone, link) = Standalone::start().await;
    let url = format!("http://localhost:{}", standalone.address.port());
    browse("terminal.mjs", vec![url, link]).await;
    drop(standalone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reference_pages_show_every_operation_and_ask_nobody_else() {
    let stack = Stack::start().await;
    browse("reference.mjs", vec![format!("http://{}", stack.address(0))]).await;
}
