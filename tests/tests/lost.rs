//! Sessions whose node is gone, and with it all it held: who comes back is told, and does not try for ever.

use std::time::Duration;

use devpocket_tests::client::start::{command, raw_script, session};
use devpocket_tests::client::{Credential, Framing, ServerMessage, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Account, DatabaseKind, LinkKind, Options, Stack};
use devpocket_tests::wait_for;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

/// How long a request to a node that does not answer is tried, and some.
const TRIED: Duration = Duration::from_secs(15);

/// Attaches until the answer is final, as a client does.
async fn attach_for_good(stack: &Stack, framing: Framing, session: Uuid) -> ServerMessage {
    let attach = json!({"type": "attach", "session_id": session, "data": {"offset": 0}});
    wait_for("the attach has a final answer", TRIED * 3, async || {
        let mut socket = Socket::open(&stack.opening(0, framing)).await.ok()?;
        let answer = socket.ask(attach.clone()).await;
        (!answer.is_retryable()).then_some(answer)
    })
    .await
}

fn rest(stack: &Stack) -> Rest {
    Rest::new(stack.address(0), Some(&stack.admin.access_token))
}

async fn booked(stack: &Stack, session: Uuid) -> Value {
    rest(stack).get(&format!("/api/sessions/{session}")).await.expect(200)
}

#[tokio::test]
async fn who_comes_back_after_the_keeper_died_is_told_that_the_session_is_lost() {
    for database in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let mut stack = Stack::start_with(Options { database, ..Options::default() }).await;
        let (mut ending, ended) = session(&stack, Framing::Json, raw_script("exit 7")).await;
        ending.read_to_end(ended.session).await;
        let (mut socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
        let stranger = Account::register(stack.address(0), "stranger").await;
        // The books must know the end before the node that told it is gone.
        wait_for("the end is in the books", TRIED, async || {
            (booked(&stack, ended.session).await["status"] == "exited").then_some(())
        })
        .await;
        stack.kill_keeper().await;
        socket.wait_status(attached.session, "interrupted").await;
        stack.start_keeper().await;

        for framing in [Framing::Json, Framing::Binary] {
            let told = attach_for_good(&stack, framing, attached.session).await;
            assert_eq!(
                (told.status(), told.session),
                (Some("lost"), Some(attached.session)),
                "{}",
                told.body
            );
            assert!(told.data()["message"].is_string(), "{}", told.body);
        }
        assert_eq!(booked(&stack, attached.session).await["status"], "lost");
        // Nobody may type at it, and nobody gets a new shell by its id.
        let typed = json!({"type": "input", "session_id": attached.session, "data": "x"});
        assert_eq!(socket.ask_error(typed).await.error(), Some("not_attached"));
        let connect =
            json!({"type": "connect", "session_id": attached.session, "data": {"session_type": "local"}});
        assert_eq!(socket.ask(connect).await.status(), Some("lost"));

        // Ending it says the same.
        let terminate = json!({"type": "terminate", "session_id": attached.session});
        assert_eq!(socket.ask(terminate).await.status(), Some("lost"));

        // What had ended before is told as it was.
        let told = attach_for_good(&stack, Framing::Json, ended.session).await;
        assert_eq!(told.status(), Some("exited"), "{}", told.body);
        assert_eq!((&told.data()["exit"], told.offset()), (&json!({"code": 7}), Some(0)), "{}", told.body);

        // To everybody else neither was ever there.
        let credential = Credential::Bearer(stranger.access_token);
        let opening = stack.opening(0, Framing::Json).with_credential(credential);
        let mut other = Socket::must_open(&opening).await;
        for id in [attached.session, ended.session, Uuid::new_v4()] {
            let error = other.ask_error(json!({"type": "attach", "session_id": id, "data": {}})).await;
            assert_eq!(error.error(), Some("session_not_found"), "{}", error.body);
        }
        // The node takes new ones.
        socket.connect(json!({"session_type": "local", "command": ["cat"]})).await;
    }
}

#[tokio::test]
async fn a_session_of_a_keeper_that_stays_dead_is_told_lost_within_seconds() {
    let mut stack = Stack::start().await;
    let (mut socket, attached) = session(&stack, Framing::Binary, command(&["cat"])).await;
    stack.kill_keeper().await;
    socket.wait_status(attached.session, "interrupted").await;
    let asked = Instant::now();
    let told = attach_for_good(&stack, Framing::Json, attached.session).await;
    assert_eq!(told.status(), Some("lost"), "{}", told.body);
    assert!(asked.elapsed() < TRIED, "told after {:?}", asked.elapsed());
    // A new session has to wait for a node.
    let connect = json!({"type": "connect", "data": {"session_type": "local", "command": ["cat"]}});
    let error = socket.ask_error(connect).await;
    assert_eq!((error.error(), error.is_retryable()), (Some("node_unavailable"), true), "{}", error.body);
    // An operator is told where nobody is, and why.
    let (said, path) = (stack.api_log(0), stack.place.path("run/ptyd.sock"));
    let expected = format!("ptyd cannot be reached at unix:{}", path.display());
    let line = said.lines().find(|line| line.contains(&expected)).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("Connection refused"), "{line}");
    stack.start_keeper().await;
    let (mut socket, _) = session(&stack, Framing::Binary, command(&["cat"])).await;
    socket.ask(json!({"type": "list"})).await;
    wait_for("that it answers again is said", TRIED, async || {
        stack.api_log(0).contains("ptyd answers again at unix:").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_comes_back_with_another_state_directory_has_lost_what_the_one_before_had() {
    for link in [LinkKind::Unix, LinkKind::Quic] {
        // Those of the state directory would be lost with it.
        let options = Options { link, operators_certificates: true, ..Options::default() };
        let mut stack = Stack::start_with(options).await;
        let mut data = command(&["cat"]);
        data["name"] = json!("work");
        let (_socket, attached) = session(&stack, Framing::Binary, data.clone()).await;
        let before = wait_for("the session is in the books", TRIED, async || {
            let shown = rest(&stack).get(&format!("/api/sessions/{}", attached.session)).await;
            shown.body["node"].as_str().map(str::to_owned)
        })
        .await;
        stack.kill_keeper().await;
        stack.forget_node();
        stack.start_keeper().await;

        let told = attach_for_good(&stack, Framing::Binary, attached.session).await;
        assert_eq!(told.status(), Some("lost"), "{link:?}: {}", told.body);
        let lost = booked(&stack, attached.session).await;
        assert_eq!((&lost["status"], &lost["node"]), (&json!("lost"), &json!(before)), "{lost}");
        // Its name is free again.
        let made = rest(&stack).post("/api/sessions", &data).await.expect(201);
        assert_ne!(made["node"], json!(before), "{made}");
    }
}

/// The story: its sessions could not be ended or deleted for a day, and kept their names.
#[tokio::test]
async fn what_a_node_had_that_was_replaced_together_with_its_api_can_be_deleted_at_once_and_is_lost_soon() {
    let mut stack = Stack::start().await;
    let mut data = command(&["cat"]);
    data["name"] = json!("work");
    let [deleted, ended, left] = ["work", "other", "left"].map(|name| {
        let mut data = data.clone();
        data["name"] = json!(name);
        data
    });
    let mut ids = Vec::new();
    for data in [&deleted, &ended, &left] {
        let made = rest(&stack).post("/api/sessions", data).await.expect(201);
        ids.push(made["id"].as_str().expect("an id").to_owned());
    }
    let node = booked(&stack, ids[0].parse().expect("an id")).await["node"].clone();
    stack.kill_api(0);
    stack.kill_keeper().await;
    stack.forget_node();
    stack.start_keeper().await;
    stack.start_api(0);
    stack.api_ready(0).await;

    let rest = rest(&stack);
    let path = |index: usize| format!("/api/sessions/{}", ids[index]);
    rest.delete(&path(0)).await.expect(204);
    rest.get(&path(0)).await.is_problem(404, "session_not_found");
    let shown = rest.post(&format!("{}/terminate", path(1)), &json!({})).await.expect(200);
    assert_eq!(shown["id"], ids[1]);
    for data in [&deleted, &ended] {
        rest.post("/api/sessions", data).await.expect(201);
    }
    // The new node has been there for a minute and nobody else says that the old one is.
    let said = stack.admin_command(&["forget-node", &Uuid::new_v4().to_string()]);
    said.is_refused(3, "no such node");
    wait_for("what is left is lost", Duration::from_secs(120), async || {
        (rest.get(&path(2)).await.body["status"] == "lost").then_some(())
    })
    .await;
    let told = attach_for_good(&stack, Framing::Json, ids[2].parse().expect("an id")).await;
    assert_eq!(told.status(), Some("lost"), "{}", told.body);
    rest.post("/api/sessions", &left).await.expect(201);
    let said = stack.admin_command(&["--json", "forget-node", node.as_str().expect("a node")]);
    assert!(said.json()["lost"] == 0, "{said:?}");
}

#[tokio::test]
async fn an_operator_says_that_a_node_is_gone() {
    let mut stack = Stack::start().await;
    let made = rest(&stack).post("/api/sessions", &command(&["cat"])).await.expect(201);
    let id: Uuid = made["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let node = made["node"].as_str().expect("a node").to_owned();
    stack.kill_api(0);
    stack.kill_keeper().await;
    let said = stack.admin_command(&["--json", "forget-node", &node]);
    assert!(said.json()["lost"] == 1, "{said:?}");
    stack.start_api(0);
    stack.api_ready(0).await;
    assert_eq!(booked(&stack, id).await["status"], "lost");
}
