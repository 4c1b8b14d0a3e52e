//! The page in a real browser: `web/e2e/terminal.mjs` opens it, types, loses the network and types on.

use std::path::Path;
use std::process::Command;

use devpocket_tests::stack::Standalone;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_goes_on_in_a_browser_that_was_offline() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/e2e/terminal.mjs");
    assert!(script.exists(), "{} is missing: the test needs a whole checkout", script.display());
    let (standalone, link) = Standalone::start().await;
    let url = format!("http://localhost:{}", standalone.address.port());
    let run =
        tokio::task::spawn_blocking(move || Command::new("node").arg(script).arg(url).arg(link).output());
    let output = run.await.expect("no panic").expect("node runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}\n{complained}", output.status);
    drop(standalone);
}
