//! Sessions over HTTP: each verb on a real session, for its owner alone, and the books through kills.

use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack, proc};
use devpocket_tests::{wait_for, wait_until};
use nix::unistd::Pid;
use serde_json::{Value, json};
use uuid::Uuid;

/// How long anything may take that happens by itself: an end after HUP, a restart, the next look at a node's roll.
const LIMIT: Duration = Duration::from_secs(30);

fn owner(stack: &Stack) -> Rest {
    Rest::new(stack.address(0), Some(&stack.admin.access_token))
}

/// A session that runs a script on a raw terminal.
async fn make(rest: &Rest, script: &str) -> (String, Value) {
    make_with(rest, script, json!({})).await
}

async fn make_with(rest: &Rest, script: &str, more: Value) -> (String, Value) {
    let mut body = raw_script(script);
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    let made = rest.post("/api/sessions", &body).await.expect(201);
    (made["id"].as_str().expect("an id").to_owned(), made)
}

async fn status_of(rest: &Rest, id: &str) -> Value {
    rest.get(&format!("/api/sessions/{id}")).await.expect(200)
}

/// Waits for a status and gives the session.
async fn wait_status(rest: &Rest, id: &str, status: &str) -> Value {
    wait_for(&format!("the session is {status}"), LIMIT, async || {
        let answer = rest.get(&format!("/api/sessions/{id}")).await;
        (answer.status == 200 && answer.body["status"] == status).then_some(answer.body)
    })
    .await
}

/// Waits until a session's screen holds a text.
async fn wait_shown(rest: &Rest, id: &str, needle: &str) {
    wait_until(&format!("the screen shows {needle:?}"), LIMIT, async || {
        let screen = rest.get(&format!("/api/sessions/{id}/screen")).await;
        screen.body["content"].as_str().is_some_and(|text| text.contains(needle))
    })
    .await;
}

/// The ids of a page.
fn ids(page: &Value) -> Vec<&str> {
    let sessions = page["sessions"].as_array().expect("sessions");
    sessions.iter().map(|session| session["id"].as_str().expect("an id")).collect()
}

#[tokio::test]
async fn a_session_is_made_shown_changed_and_deleted() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let more = json!({
        "name": "build", "description": "the nightly one", "idle_timeout": 3600, "max_duration": 86_400,
        "terminal_size": {"rows": 30, "cols": 100}, "environment": {"GREETING": "hello"}, "working_directory": "/",
        "user_id": Uuid::nil(), "status": "exited",
    });
    let (id, made) = make_with(&rest, "printf \"$GREETING from $(pwd)\"; exec cat", more).await;
    assert_eq!((&made["name"], &made["status"]), (&json!("build"), &json!("detached")), "{made}");
    assert_eq!((&made["idle_timeout"], &made["max_duration"]), (&json!(3600), &json!(86_400)), "{made}");
    assert_eq!(made["terminal_size"], json!({"rows": 30, "cols": 100}), "{made}");
    assert!(made["node"].is_string() && made["started_at"].is_string(), "{made}");
    assert_eq!(made.get("ssh_profile_id"), Some(&Value::Null), "{made}");
    assert!(made.get("environment").is_none(), "secrets may be in it: {made}");
    wait_shown(&rest, &id, "hello from /").await;

    // An attached client makes it active, and sees what happens over HTTP.
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let attached = socket.attach(id.parse().expect("an id"), json!({})).await;
    assert_eq!(attached.size, (30, 100));
    assert_eq!(wait_status(&rest, &id, "active").await["attached_clients"], 1);

    let change = json!({
        "name": "renamed", "description": null, "idle_timeout": null, "terminal_size": {"rows": 10, "cols": 40},
    });
    let changed = rest.put(&format!("/api/sessions/{id}"), &change).await.expect(200);
    assert_eq!((&changed["name"], &changed["description"]), (&json!("renamed"), &Value::Null), "{changed}");
    assert_eq!((&changed["idle_timeout"], &changed["max_duration"]), (&Value::Null, &json!(86_400)));
    wait_until("the size is that asked for", LIMIT, async || {
        status_of(&rest, &id).await["terminal_size"] == json!({"rows": 10, "cols": 40})
    })
    .await;
    let other_word = json!({"size": {"rows": 11, "cols": 41}});
    rest.put(&format!("/api/sessions/{id}"), &other_word).await.expect(200);
    wait_until("the size is that asked for by its other word", LIMIT, async || {
        status_of(&rest, &id).await["terminal_size"] == other_word["size"]
    })
    .await;

    assert_eq!(rest.delete(&format!("/api/sessions/{id}")).await.status, 204);
    rest.get(&format!("/api/sessions/{id}")).await.is_problem(404, "session_not_found");
    rest.delete(&format!("/api/sessions/{id}")).await.is_problem(404, "session_not_found");
    let exited = socket.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["reason"], "terminated", "{}", exited.body);
    assert_eq!(rest.get("/api/sessions").await.expect(200)["total"], 0);
}

#[tokio::test]
async fn input_is_typed_and_takes_no_geometry_lease() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (id, _) = make(&rest, "printf ready; exec cat").await;
    wait_shown(&rest, &id, "ready").await;
    let mut laptop = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let size = json!({"client_id": "laptop", "terminal_size": {"rows": 50, "cols": 150}});
    laptop.attach(id.parse().expect("an id"), size).await;
    wait_until("the laptop has the size", LIMIT, async || {
        status_of(&rest, &id).await["terminal_size"] == json!({"rows": 50, "cols": 150})
    })
    .await;
    let typed = rest.post(&format!("/api/sessions/{id}/input"), &json!({"data": "ab\u{e4}c"})).await;
    assert_eq!(typed.expect(200), json!({"bytes": 5}));
    wait_shown(&rest, &id, "readyab\u{e4}c").await;
    assert_eq!(status_of(&rest, &id).await["terminal_size"], json!({"rows": 50, "cols": 150}));
    // Whoever owns the session may set its size; the laptop still has the say when it acts.
    let small = json!({"rows": 5, "cols": 20});
    assert_eq!(rest.post(&format!("/api/sessions/{id}/resize"), &small).await.expect(200), small);
    wait_until("the size is set", LIMIT, async || status_of(&rest, &id).await["terminal_size"] == small)
        .await;
    laptop.send_input(id.parse().expect("an id"), None, b"z");
    laptop.ask(json!({"type": "ping"})).await;
    wait_until("the laptop has the size again", LIMIT, async || {
        status_of(&rest, &id).await["terminal_size"] == json!({"rows": 50, "cols": 150})
    })
    .await;
}

#[tokio::test]
async fn a_screen_and_its_scrollback_are_read_in_every_format() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let script = "i=0; while [ $i -lt 60 ]; do printf 'line %d\\r\\n' $i; i=$((i + 1)); done; \
                  printf '\\033[31m<red>\\033]0;a title\\007\\033]7;file://h/tmp\\007'; exec cat";
    let (id, _) = make_with(&rest, script, json!({"terminal_size": {"rows": 24, "cols": 80}})).await;
    wait_shown(&rest, &id, "<red>").await;
    let screen = async |format: &str| {
        rest.get(&format!("/api/sessions/{id}/screen?format={format}")).await.expect(200)
    };
    let text = screen("text").await;
    assert!(text["content"].as_str().expect("text").contains("line 59"), "{text}");
    assert_eq!(text["terminal_size"], json!({"rows": 24, "cols": 80}));
    assert!(screen("ansi").await["content"].as_str().expect("text").contains("\u{1b}["));
    assert!(screen("html").await["content"].as_str().expect("text").contains("&lt;red&gt;"));
    let cells = screen("json").await;
    assert!(cells["content"].is_object(), "{cells}");
    rest.get(&format!("/api/sessions/{id}/screen?format=png")).await.is_problem(422, "invalid_fields");

    // 60 lines and one begun: 37 are above the 24 rows.
    let page = rest.get(&format!("/api/sessions/{id}/scrollback?lines=5")).await.expect(200);
    assert_eq!((&page["first_line"], &page["total"]), (&json!(32), &json!(37)), "{page}");
    assert_eq!(page["lines"][4], "line 36");
    let page = rest.get(&format!("/api/sessions/{id}/scrollback?before_line=2")).await.expect(200);
    assert_eq!(page["lines"], json!(["line 0", "line 1"]));
    rest.get(&format!("/api/sessions/{id}/scrollback?lines=0")).await.is_problem(422, "invalid_fields");

    let shown = status_of(&rest, &id).await;
    assert_eq!((&shown["title"], &shown["cwd"]), (&json!("a title"), &json!("/tmp")), "{shown}");
    let health = rest.get(&format!("/api/sessions/{id}/health")).await.expect(200);
    assert_eq!((&health["healthy"], &health["status"]), (&json!(true), &json!("detached")), "{health}");
}

#[tokio::test]
async fn how_a_session_ended_is_seen_in_the_list() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (by_itself, _) = make(&rest, "printf 'last words'; exit 7").await;
    let ended = wait_status(&rest, &by_itself, "exited").await;
    assert_eq!((&ended["exit_code"], &ended["reason"]), (&json!(7), &Value::Null), "{ended}");
    assert!(ended["ended_at"].is_string() && ended["bytes_out"] == 10, "{ended}");
    let (asked, _) = make(&rest, "exec cat").await;
    rest.post_nothing(&format!("/api/sessions/{asked}/terminate")).await.expect(200);
    let ended = wait_status(&rest, &asked, "terminated").await;
    assert_eq!(
        (&ended["exit_signal"], &ended["reason"]),
        (&json!("SIGHUP"), &json!("terminated")),
        "{ended}"
    );
    // One that ignores HUP is killed at once when that is asked for.
    let (stubborn, _) = make(&rest, "trap '' HUP; printf ready; while :; do sleep 1; done").await;
    wait_shown(&rest, &stubborn, "ready").await;
    rest.post(&format!("/api/sessions/{stubborn}/terminate"), &json!({"force": true})).await.expect(200);
    let began = tokio::time::Instant::now();
    let ended = wait_status(&rest, &stubborn, "terminated").await;
    assert_eq!(ended["exit_signal"], "SIGKILL", "{ended}");
    assert!(began.elapsed() < Duration::from_secs(4), "killed after {:?}", began.elapsed());
    let (living, _) = make(&rest, "exec cat").await;

    let list = async |query: &str| rest.get(&format!("/api/sessions?{query}")).await.expect(200);
    let all = list("").await;
    assert_eq!(ids(&all), [&living, &stubborn, &asked, &by_itself], "newest first");
    assert_eq!(all["total"], 4);
    assert_eq!(ids(&list("status=exited").await), [&by_itself]);
    assert_eq!(ids(&list("status=terminated").await), [&stubborn, &asked]);
    assert_eq!(ids(&list("active_only=true").await), [&living]);
    assert_eq!(ids(&list("status=detached").await), [&living]);
    assert_eq!(list("status=active").await["total"], 0);
    let part = list("offset=1&limit=2").await;
    assert_eq!((ids(&part), &part["total"]), (vec![stubborn.as_str(), asked.as_str()], &json!(4)));
    for bad in ["status=running", "limit=0", "limit=101", "offset=-1", "active_only=1"] {
        rest.get(&format!("/api/sessions?{bad}")).await.is_problem(422, "invalid_fields");
    }
    assert_eq!(
        rest.get("/api/sessions/active/count").await.expect(200),
        json!({"count": 1, "active": 0, "detached": 1})
    );
    let overview = rest.get("/api/sessions/stats/overview").await.expect(200);
    for (field, value) in [("total", 4), ("exited", 1), ("terminated", 2), ("detached", 1), ("lost", 0)] {
        assert_eq!(overview[field], value, "{field} in {overview}");
    }
    // The last screen of one that is over is still there; nobody types at it any more.
    let screen = rest.get(&format!("/api/sessions/{by_itself}/screen")).await.expect(200);
    assert!(screen["content"].as_str().expect("text").contains("last words"), "{screen}");
    for (path, body) in [("input", json!({"data": "x"})), ("resize", json!({"rows": 5, "cols": 5}))] {
        rest.post(&format!("/api/sessions/{by_itself}/{path}"), &body).await.is_problem(409, "session_ended");
    }
    let path = format!("/api/sessions/{by_itself}");
    rest.put(&path, &json!({"max_duration": 5})).await.is_problem(409, "session_ended");
    assert_eq!(rest.put(&path, &json!({"name": "kept"})).await.expect(200)["name"], "kept");
}

#[tokio::test]
async fn a_session_over_its_longest_time_is_ended_whoever_is_attached() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (id, _) = make_with(&rest, "exec cat", json!({"max_duration": 2})).await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let attached = socket.attach(id.parse().expect("an id"), json!({})).await;
    // Its limit outlives the worker that was told of it.
    assert!(stack.kill_worker());
    let ended = wait_status(&rest, &id, "terminated").await;
    assert_eq!(ended["reason"], "max_duration", "{ended}");
    let mut late = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    late.send(&json!({"type": "attach", "session_id": attached.session, "data": {}}));
    let exited = late.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["reason"], "max_duration", "{}", exited.body);
}

#[tokio::test]
async fn a_limit_may_be_set_on_a_session_made_over_a_socket() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (mut socket, attached) = session(&stack, Framing::Json, raw_script("exec cat")).await;
    let path = format!("/api/sessions/{}", attached.session);
    let changed = rest.put(&path, &json!({"max_duration": 1, "name": "brief"})).await.expect(200);
    assert_eq!((&changed["max_duration"], &changed["name"]), (&json!(1), &json!("brief")), "{changed}");
    let exited = socket.wait_status(attached.session, "exited").await;
    assert_eq!(exited.data()["reason"], "max_duration", "{}", exited.body);
}

#[tokio::test]
async fn nobody_else_reaches_a_session_and_nobody_without_a_token() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (id, _) = make_with(&rest, "printf secret; exec cat", json!({"name": "mine"})).await;
    wait_shown(&rest, &id, "secret").await;
    let other = Account::register(stack.address(0), "other").await;
    let other = Rest::new(stack.address(0), Some(&other.access_token));
    let nobody = Rest::new(stack.address(0), None);
    let calls = async |rest: &Rest, id: &str| {
        let path = |rest: &str| format!("/api/sessions/{id}{rest}");
        let (input, size) = (json!({"data": "exit\n"}), json!({"rows": 5, "cols": 5}));
        let mut answers: Vec<Answered> = Vec::new();
        for get in ["", "/screen", "/scrollback", "/health"] {
            answers.push(rest.get(&path(get)).await);
        }
        answers.push(rest.put(&path(""), &json!({"name": "theirs"})).await);
        answers.push(rest.post(&path("/terminate"), &json!({"force": true})).await);
        answers.push(rest.post(&path("/input"), &input).await);
        answers.push(rest.post(&path("/resize"), &size).await);
        answers.push(rest.delete(&path("")).await);
        answers
    };
    for id in [id.as_str(), "no-uuid", "00000000-0000-0000-0000-000000000000"] {
        for answer in calls(&other, id).await {
            answer.is_problem(404, "session_not_found");
        }
        for answer in calls(&nobody, id).await {
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
    for action in ["terminate", "delete"] {
        let body = json!({"action": action, "session_ids": [id]});
        let answer = other.post("/api/sessions/batch", &body).await.expect(200);
        assert_eq!(
            (&answer["failed"], &answer["results"][0]["code"]),
            (&json!(1), &json!("session_not_found"))
        );
    }
    assert_eq!(other.post_nothing("/api/sessions/cleanup/inactive").await.expect(200)["count"], 0);
    assert_eq!(other.get("/api/sessions").await.expect(200)["total"], 0);
    let found = other.post("/api/sessions/search", &json!({"query": "mine"})).await.expect(200);
    assert_eq!(found["total"], 0);
    assert_eq!(other.get("/api/sessions/active/count").await.expect(200)["count"], 0);
    for path in ["", "/active/count", "/stats/overview"] {
        assert_eq!(nobody.get(&format!("/api/sessions{path}")).await.status, 401, "{path}");
    }
    for path in ["", "/search", "/batch", "/cleanup/inactive"] {
        assert_eq!(nobody.post(&format!("/api/sessions{path}"), &json!({})).await.status, 401, "{path}");
    }
    // Not an admin: no shell on the server for it.
    let refused = other.post("/api/sessions", &json!({})).await;
    refused.is_problem(403, "local_sessions_unavailable");
    let shown = status_of(&rest, &id).await;
    assert_eq!((&shown["status"], &shown["name"]), (&json!("detached"), &json!("mine")), "{shown}");
}

#[tokio::test]
async fn what_is_out_of_bounds_is_said_field_by_field() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let check = |answer: Answered, field: &str| {
        answer.is_problem(422, "invalid_fields");
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    };
    for (body, field) in [
        (json!({"session_type": "ssh"}), "session_type"),
        (json!({"name": "x".repeat(257)}), "name"),
        (json!({"name": "\u{e4}".repeat(200)}), "name"),
        (json!({"name": 7}), "name"),
        (json!({"command": "ls"}), "command"),
        (json!({"command": [""]}), "command"),
        (json!({"command": ["a\u{0}b"]}), "command"),
        (json!({"environment": {"A=B": "c"}}), "environment"),
        (json!({"environment": {"A": 1}}), "environment"),
        (json!({"working_directory": "/a\u{0}"}), "working_directory"),
        (json!({"terminal_size": {"rows": 0, "cols": 80}}), "terminal_size"),
        (json!({"idle_timeout": 59}), "idle_timeout"),
        (json!({"idle_timeout": 604_801}), "idle_timeout"),
        (json!({"idle_timeout": "60"}), "idle_timeout"),
        (json!({"max_duration": 0}), "max_duration"),
        (json!({"description": "x".repeat(1001)}), "description"),
    ] {
        check(rest.post("/api/sessions", &body).await, field);
    }
    assert_eq!(rest.get("/api/sessions").await.expect(200)["total"], 0, "nothing was made");
    let (id, _) = make_with(&rest, "exec cat", json!({"name": "one"})).await;
    let path = format!("/api/sessions/{id}");
    for (body, field) in [
        (json!({"name": null}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"idle_timeout": 1}), "idle_timeout"),
        (json!({"terminal_size": 5}), "terminal_size"),
    ] {
        check(rest.put(&path, &body).await, field);
    }
    check(rest.post(&format!("{path}/input"), &json!({})).await, "data");
    check(rest.post(&format!("{path}/input"), &json!({"data": "x".repeat(262_145)})).await, "data");
    check(rest.post(&format!("{path}/resize"), &json!({"rows": 5})).await, "cols");
    check(rest.post(&format!("{path}/terminate"), &json!({"force": "yes"})).await, "force");
    check(rest.post("/api/sessions/batch", &json!({"action": "stop", "session_ids": [id]})).await, "action");
    check(
        rest.post("/api/sessions/batch", &json!({"action": "delete", "session_ids": []})).await,
        "session_ids",
    );
    check(rest.post("/api/sessions/search", &json!({"created_after": "today"})).await, "created_after");
    check(rest.post("/api/sessions/cleanup/inactive", &json!({"inactive_for": 5})).await, "inactive_for");

    // Among the living a name is one session's.
    rest.post("/api/sessions", &json!({"name": "one"})).await.is_problem(409, "name_taken");
    let (second, _) = make(&rest, "exec cat").await;
    let second = format!("/api/sessions/{second}");
    rest.put(&second, &json!({"name": "one"})).await.is_problem(409, "name_taken");
    rest.post_nothing(&format!("{path}/terminate")).await.expect(200);
    wait_status(&rest, &id, "terminated").await;
    assert_eq!(rest.put(&second, &json!({"name": "one"})).await.expect(200)["name"], "one");

    let gone = rest.post("/api/sessions", &json!({"command": ["/no/such/program"], "name": "two"})).await;
    gone.is_problem(422, "spawn_failed");
    let failed = rest.get("/api/sessions?status=failed").await.expect(200);
    assert_eq!((&failed["total"], &failed["sessions"][0]["name"]), (&json!(1), &json!("two")), "{failed}");
    assert!(failed["sessions"][0]["error_message"].is_string(), "{failed}");
}

#[tokio::test]
async fn sessions_are_searched_and_handled_in_batches() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let mut made = Vec::new();
    for name in ["Alpha 100%", "beta", "gamma_x"] {
        made.push(make_with(&rest, "exec cat", json!({"name": name})).await.0);
    }
    let search = async |body: Value| rest.post("/api/sessions/search", &body).await.expect(200);
    assert_eq!(ids(&search(json!({"query": "ALPHA"})).await), [&made[0]]);
    assert_eq!(ids(&search(json!({"query": "%"})).await), [&made[0]], "a sign is a sign");
    assert_eq!(ids(&search(json!({"query": "a_x"})).await), [&made[2]]);
    assert_eq!(search(json!({"query": "' or 1=1 --"})).await["total"], 0);
    assert_eq!(search(json!({"status": "detached", "limit": 1})).await["total"], 3);
    assert_eq!(search(json!({"created_after": "2100-01-01T00:00:00Z"})).await["total"], 0);
    assert_eq!(search(json!({"created_before": "2100-01-01T00:00:00Z"})).await["total"], 3);

    let batch = json!({"action": "terminate", "session_ids": [made[0], "nonsense", made[1], Uuid::new_v4()]});
    let done = rest.post("/api/sessions/batch", &batch).await.expect(200);
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(2), &json!(2)), "{done}");
    let oks: Vec<bool> =
        done["results"].as_array().expect("results").iter().map(|result| result["ok"] == true).collect();
    assert_eq!(oks, [true, false, true, false], "{done}");
    for id in &made[..2] {
        wait_status(&rest, id, "terminated").await;
    }
    let batch = json!({"action": "delete", "session_ids": made});
    assert_eq!(rest.post("/api/sessions/batch", &batch).await.expect(200)["succeeded"], 3);
    assert_eq!(rest.get("/api/sessions").await.expect(200)["total"], 0);
    // Nothing has been quiet for a day.
    let (_, _) = make(&rest, "exec cat").await;
    assert_eq!(rest.post_nothing("/api/sessions/cleanup/inactive").await.expect(200)["count"], 0);
}

#[tokio::test]
async fn a_deleted_session_stays_deleted_though_its_program_resists_and_the_worker_dies() {
    let stack = Stack::start().await;
    let rest = owner(&stack);
    let (id, _) = make(&rest, "trap '' HUP; echo \"pid $$.\"; while :; do sleep 1; done").await;
    wait_shown(&rest, &id, ".").await;
    let screen = rest.get(&format!("/api/sessions/{id}/screen")).await.expect(200);
    let text = screen["content"].as_str().expect("text");
    let pid = text.trim().strip_prefix("pid ").and_then(|text| text.split('.').next());
    let pid = Pid::from_raw(pid.and_then(|pid| pid.parse().ok()).expect("a pid"));
    assert_eq!(rest.delete(&format!("/api/sessions/{id}")).await.status, 204);
    assert!(stack.kill_worker());
    stack.worker_ready().await;
    assert_eq!(rest.get("/api/sessions").await.expect(200)["total"], 0);
    rest.get(&format!("/api/sessions/{id}")).await.is_problem(404, "session_not_found");
    rest.get(&format!("/api/sessions/{id}/screen")).await.is_problem(404, "session_not_found");
    wait_until("its program is killed", LIMIT, async || proc::facts(pid).is_none()).await;
    assert_eq!(rest.get("/api/sessions/stats/overview").await.expect(200)["total"], 0);
}

#[tokio::test]
async fn a_database_that_is_away_is_said_and_nothing_is_made() {
    let options = Options { database: DatabaseKind::Postgres, ..Options::default() };
    let mut stack = Stack::start_with(options).await;
    let rest = owner(&stack);
    let (id, _) = make(&rest, "printf ready; exec cat").await;
    wait_shown(&rest, &id, "ready").await;
    let postgres = stack.postgres.as_mut().expect("a server of the stack's own");
    postgres.stop();
    let answer = rest.get("/api/sessions").await;
    answer.is_problem(503, "database_unavailable");
    assert!(answer.retry_after.is_some(), "{answer:?}");
    rest.post("/api/sessions", &raw_script("exec cat")).await.is_problem(503, "database_unavailable");
    // What needs no books goes on.
    rest.post(&format!("/api/sessions/{id}/input"), &json!({"data": "on"})).await.expect(200);
    wait_shown(&rest, &id, "readyon").await;
    stack.postgres.as_mut().expect("it is there").start_again().await;
    wait_until("the list is there again", LIMIT, async || {
        let list = rest.get("/api/sessions").await;
        list.status == 200 && list.body["total"] == 1
    })
    .await;
}

#[tokio::test]
async fn the_books_follow_what_happens_while_the_api_and_the_worker_are_dead() {
    let mut stack = Stack::start().await;
    let rest = owner(&stack);
    let go = stack.place.work("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done; exit 9", go.display());
    let (id, _) = make_with(&rest, &wait, json!({"name": "waiting"})).await;
    let (socket, attached) = session(&stack, Framing::Binary, raw_script(&wait)).await;
    let (stays, _) = make(&rest, "printf ready; exec cat").await;
    wait_shown(&rest, &stays, "ready").await;
    drop(socket);
    stack.kill_api(0);
    assert!(stack.kill_worker());
    stack.place.write_work("go", b"");
    stack.worker_ready().await;
    stack.start_api(0);
    stack.api_ready(0).await;
    for id in [id.as_str(), &attached.session.to_string()] {
        let ended = wait_status(&rest, id, "exited").await;
        assert_eq!(ended["exit_code"], 9, "{ended}");
    }
    let listed = rest.get("/api/sessions").await.expect(200);
    assert_eq!(listed["total"], 3, "{listed}");
    assert_eq!(status_of(&rest, &stays).await["status"], "detached");
    let typed = rest.post(&format!("/api/sessions/{stays}/input"), &json!({"data": "on"})).await;
    typed.expect(200);
    wait_shown(&rest, &stays, "readyon").await;
}

#[tokio::test]
async fn a_session_whose_node_is_gone_is_lost_and_ended_ones_are_still_listed() {
    let mut stack =
        Stack::start_with(Options { database: DatabaseKind::Postgres, ..Options::default() }).await;
    let rest = owner(&stack);
    let (ended, _) = make(&rest, "exit 3").await;
    wait_status(&rest, &ended, "exited").await;
    let (living, _) = make_with(&rest, "exec cat", json!({"name": "again"})).await;
    stack.kill_keeper().await;
    let away = rest.get(&format!("/api/sessions/{living}/screen")).await;
    away.is_problem(503, "node_unavailable");
    assert!(away.retry_after.is_some(), "{away:?}");
    // What is over needs no node.
    assert_eq!(status_of(&rest, &ended).await["exit_code"], 3);
    stack.start_keeper().await;
    let lost = wait_status(&rest, &living, "lost").await;
    assert!(lost["error_message"].is_string() && lost["ended_at"].is_string(), "{lost}");
    let listed = rest.get("/api/sessions").await.expect(200);
    assert_eq!(ids(&listed), [&living, &ended], "{listed}");
    rest.get(&format!("/api/sessions/{ended}/screen")).await.is_problem(410, "screen_gone");
    let typed = rest.post(&format!("/api/sessions/{living}/input"), &json!({"data": "x"})).await;
    typed.is_problem(409, "session_ended");
    // Its name is free again.
    make_with(&rest, "exec cat", json!({"name": "again"})).await;
    assert_eq!(rest.delete(&format!("/api/sessions/{living}")).await.status, 204);
}
