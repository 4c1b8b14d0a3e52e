//! A node that is away, asked over HTTP: whoever needs it is told so soon, and what could not be made leaves nothing behind.

use std::time::Duration;

use devpocket_tests::client::start::raw_script;
use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::stack::Stack;
use devpocket_tests::wait_until;
use serde_json::json;
use tokio::time::timeout;

/// The longest an answer may take, on a machine that runs several suites; a request is tried for ten seconds at a node that
/// only restarts its worker.
const SOON: Duration = Duration::from_secs(6);
/// How long it may take until all is as before.
const BACK_WITHIN: Duration = Duration::from_secs(30);

async fn soon(what: &str, asked: impl Future<Output = Answered>) -> Answered {
    timeout(SOON, asked).await.unwrap_or_else(|_| panic!("{what} had no answer within {SOON:?}"))
}

#[tokio::test]
async fn whoever_needs_a_node_that_is_away_is_told_soon_and_may_come_back_for_the_same_name() {
    let mut stack = Stack::start().await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    let made = rest.post("/api/sessions", &raw_script("exec cat")).await.expect(201);
    let path = format!("/api/sessions/{}", made["id"].as_str().expect("an id"));
    // So that the api has just seen that all is well.
    rest.get(&path).await.expect(200);
    stack.kill_keeper().await;
    let shown = soon("show", rest.get(&path)).await.expect(200);
    assert_eq!(shown["status"], "detached", "as it was last seen: {shown}");
    let (input, screen) = (format!("{path}/input"), format!("{path}/screen"));
    let (resize, new) = (format!("{path}/resize"), json!({"name": "mine", "command": ["cat"]}));
    for round in 0..2 {
        for (what, answer) in [
            ("screen", soon("screen", rest.get(&screen)).await),
            ("input", soon("input", rest.post(&input, &json!({"data": "x"}))).await),
            ("resize", soon("resize", rest.post(&resize, &json!({"rows": 5, "cols": 5}))).await),
            ("create", soon("create", rest.post("/api/sessions", &new)).await),
        ] {
            assert!(
                answer.status == 503 && answer.body["code"] == "node_unavailable",
                "{what} in round {round}: {answer:?}"
            );
            assert!(answer.retry_after.is_some(), "{what}: {answer:?}");
        }
    }
    let found = rest.post("/api/sessions/search", &json!({"query": "mine"})).await.expect(200);
    assert_eq!(found["total"], 0, "{found}");
    stack.start_keeper().await;
    wait_until("the name is there for who asks again, without a key", BACK_WITHIN, async || {
        let answer = rest.post("/api/sessions", &new).await;
        assert!(answer.status == 201 || answer.status == 503, "{answer:?}");
        answer.status == 201
    })
    .await;
    let found = rest.post("/api/sessions/search", &json!({"query": "mine"})).await.expect(200);
    assert_eq!(
        (&found["total"], &found["sessions"][0]["status"]),
        (&json!(1), &json!("detached")),
        "{found}"
    );
}

/// A worker that is killed leaves its node where it is: nobody is told anything else.
#[tokio::test]
async fn a_worker_that_is_killed_is_waited_for() {
    let stack = Stack::start().await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    for round in 0..2 {
        stack.worker_ready().await;
        assert!(stack.kill_worker());
        let made = rest.post("/api/sessions", &json!({"command": ["cat"]})).await.expect(201);
        let path = format!("/api/sessions/{}", made["id"].as_str().expect("an id"));
        stack.worker_ready().await;
        assert!(stack.kill_worker());
        rest.get(&format!("{path}/screen")).await.expect(200);
        stack.worker_ready().await;
        assert!(stack.kill_worker());
        assert_eq!(rest.delete(&path).await.status, 204, "round {round}");
    }
}
