//! Sessions made and deleted in a hurry while others list them: what was deleted stays deleted.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{DatabaseKind, Options, Stack};
use futures_util::future::join_all;
use serde_json::json;

/// Loops that make and delete, and sessions of each.
const MAKERS: usize = 8;
const SESSIONS: usize = 25;
/// Loops that list.
const LISTERS: usize = 10;

/// The story: of a few hundred some came back as lost or exited, and stayed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_are_deleted_while_others_list_them_stay_deleted() {
    for (database, apis) in [(DatabaseKind::Sqlite, 1), (DatabaseKind::Postgres, 2)] {
        let api_environment = vec![("RATE_LIMITS".to_owned(), "off".to_owned())];
        let stack =
            Stack::start_with(Options { database, apis, api_environment, ..Options::default() }).await;
        let rest: Vec<Rest> =
            (0..apis).map(|api| Rest::new(stack.address(api), Some(&stack.admin.access_token))).collect();
        let over = AtomicBool::new(false);
        let listing = join_all((0..LISTERS).map(async |n| {
            while !over.load(Ordering::Relaxed) {
                rest[n % apis].get("/api/sessions?limit=5").await.expect(200);
            }
        }));
        let making = async {
            let deleted = join_all((0..MAKERS).map(async |n| {
                let command = if n % 2 == 0 { json!(["true"]) } else { json!(["sleep", "50"]) };
                let mut deleted = Vec::new();
                for number in 0..SESSIONS {
                    let body = json!({"command": command});
                    let made = rest[n % apis].post("/api/sessions", &body).await.expect(201);
                    let id = made["id"].as_str().expect("an id").to_owned();
                    let deletion = rest[(n + number) % apis].delete(&format!("/api/sessions/{id}")).await;
                    assert_eq!(deletion.status, 204, "{deletion:?}");
                    deleted.push(id);
                }
                deleted
            }))
            .await;
            over.store(true, Ordering::Relaxed);
            deleted.into_iter().flatten().collect::<BTreeSet<_>>()
        };
        let (_, deleted) = tokio::join!(listing, making);
        assert_eq!(deleted.len(), MAKERS * SESSIONS);
        for rest in &rest {
            // What the node has is looked at once more for it.
            let left = rest.get("/api/sessions").await.expect(200);
            assert_eq!(left["total"], 0, "deleted and there again: {left}");
        }
    }
}
