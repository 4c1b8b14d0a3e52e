//! A session that nobody watches and that prints nothing, at the shortest `idle_timeout` there is.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Stack, proc};
use devpocket_tests::{wait_for, wait_until};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::time::Instant;

const IDLE: Duration = Duration::from_secs(60);
/// What the end may take beyond it on a busy machine.
const LATE: Duration = Duration::from_secs(30);

async fn make(rest: &Rest, script: &str) -> String {
    let mut body = raw_script(script);
    body["idle_timeout"] = json!(IDLE.as_secs());
    let made = rest.post("/api/sessions", &body).await.expect(201);
    made["id"].as_str().expect("an id").to_owned()
}

async fn shown(rest: &Rest, id: &str) -> Value {
    rest.get(&format!("/api/sessions/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_session_idle_for_its_time_is_ended_and_one_that_prints_or_is_watched_is_not() {
    let stack = Stack::start().await;
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    rest.post("/api/sessions", &json!({"idle_timeout": IDLE.as_secs() - 1}))
        .await
        .is_problem(422, "invalid_fields");
    let pid_file = stack.place.work("pid");
    let began = Instant::now();
    let quiet = make(&rest, &format!("echo $$ >{}; exec cat", pid_file.display())).await;
    let printing = make(&rest, "while :; do printf .; sleep 5; done").await;
    let watched = make(&rest, "exec cat").await;
    let pid = wait_for("the program runs", LATE, async || {
        fs::read_to_string(&pid_file).ok()?.trim().parse().ok().map(Pid::from_raw)
    })
    .await;
    // The time goes on in the worker after this one.
    assert!(stack.kill_worker());
    let opening = stack.opening(0, Framing::Json);
    let (_socket, attached) =
        Socket::attach_patiently(&opening, watched.parse().expect("an id"), &json!({})).await;

    wait_until("the program has ended", IDLE + LATE, async || proc::facts(pid).is_none()).await;
    let took = began.elapsed();
    assert!(took >= IDLE, "ended after {took:?}");
    wait_until("its end is known", LATE, async || shown(&rest, &quiet).await["status"] == "terminated").await;
    let ended = shown(&rest, &quiet).await;
    assert_eq!(
        (&ended["reason"], &ended["exit_signal"]),
        (&json!("idle_timeout"), &json!("SIGHUP")),
        "{ended}"
    );
    let mut late = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    late.send(&json!({"type": "attach", "session_id": quiet, "data": {}}));
    let exited = late.wait_status(quiet.parse().expect("an id"), "exited").await;
    assert_eq!(exited.data()["reason"], "idle_timeout", "{}", exited.body);
    for id in [printing, attached.session.to_string()] {
        let living = shown(&rest, &id).await;
        assert!(living["ended_at"].is_null() && living["idle_timeout"] == IDLE.as_secs(), "{living}");
    }
}
