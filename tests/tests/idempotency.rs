//! POST /api/sessions with an `Idempotency-Key`: one session for each key, whatever happens to the connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::stack::process::send;
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack, proc};
use devpocket_tests::{Random, wait_until};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(30);
/// What promises.md calls 50 random points; of them some in the request and some while it is being answered.
const CUTS: usize = 50;

async fn stacks() -> [Stack; 2] {
    let with = |database, redis| Options { database, redis, apis: 2, ..Options::default() };
    [
        Stack::start_with(with(DatabaseKind::Sqlite, false)).await,
        Stack::start_with(with(DatabaseKind::Postgres, true)).await,
    ]
}

fn rest(stack: &Stack, api: usize) -> Rest {
    Rest::new(stack.address(api), Some(&stack.admin.access_token))
}

async fn create(stack: &Stack, api: usize, key: &str, body: &Value) -> Answered {
    rest(stack, api).post_with("/api/sessions", &[("idempotency-key", key)], body).await
}

/// Sends the beginning of a request, and goes without a goodbye: after so many bytes, or a little after the last one.
async fn cut(address: SocketAddr, request: &[u8], bytes: usize, linger: Duration) {
    let mut stream = TcpStream::connect(address).await.expect("the api takes connections");
    stream.set_zero_linger().expect("a socket option");
    stream.write_all(&request[..bytes]).await.expect("the api reads");
    let mut answer = [0; 1024];
    // Whatever it answers meanwhile is lost.
    let _late = timeout(linger, stream.read(&mut answer)).await;
}

#[tokio::test]
async fn fifty_cut_connections_leave_exactly_one_session_for_each_key() {
    for stack in stacks().await {
        let mut random = Random::new(28);
        let bodies: Vec<(String, String)> = (0..CUTS)
            .map(|n| {
                let marker = stack.place.work(&format!("cut-{n}-runs")).display().to_string();
                let script = format!(": {marker}; while :; do sleep 1; done");
                (marker, json!({"name": format!("cut-{n}"), "command": ["sh", "-c", script]}).to_string())
            })
            .collect();
        let cuts = bodies.iter().enumerate().map(|(n, (_, body))| {
            let head = format!(
                "POST /api/sessions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: \
                 application/json\r\nidempotency-key: key-{n}\r\ncontent-length: {}\r\n\r\n",
                stack.admin.access_token,
                body.len()
            );
            let request = format!("{head}{body}").into_bytes();
            // Every second one is sent whole, and cut within the time that a session takes to be made.
            let whole = n % 2 == 0;
            let bytes =
                if whole { request.len() } else { random.between(1, request.len() as u64 - 1) as usize };
            let linger = Duration::from_micros(if whole { random.between(0, 20_000) } else { 0 });
            let address = stack.address(n % 2);
            async move { cut(address, &request, bytes, linger).await }
        });
        join_all(cuts).await;

        // The client asks again, at either api: the same session, whether the first request made it or not.
        let mut ids = BTreeSet::new();
        for (n, (_, body)) in bodies.iter().enumerate() {
            let body: Value = serde_json::from_str(body).expect("JSON");
            let first = create(&stack, n % 2, &format!("key-{n}"), &body).await.expect(201);
            let again = create(&stack, (n + 1) % 2, &format!("key-{n}"), &body).await.expect(201);
            assert_eq!(first, again);
            ids.insert(first["id"].as_str().expect("an id").to_owned());
        }
        assert_eq!(ids.len(), CUTS);
        let listed = rest(&stack, 0).get("/api/sessions?limit=100").await.expect(200);
        assert_eq!(listed["total"], CUTS, "no row beside them");
        for (marker, _) in &bodies {
            // A shell that is about to run something looks for a moment like two.
            wait_until(&format!("no program is beside it: {marker}"), SOON, async || {
                let running = proc::all();
                let words = running
                    .iter()
                    .filter(|process| process.arguments.iter().any(|word| word.contains(marker)));
                words.count() == 1
            })
            .await;
        }
    }
}

#[tokio::test]
async fn duplicates_at_two_apis_get_one_answer_and_what_differs_is_told() {
    for stack in stacks().await {
        let body = json!({"name": "one", "command": ["cat"]});
        let answers = join_all((0..20).map(|n| create(&stack, n % 2, "same", &body))).await;
        let first = answers[0].clone().expect(201);
        for answer in answers {
            assert_eq!(answer.expect(201), first);
        }
        assert_eq!(rest(&stack, 1).get("/api/sessions").await.expect(200)["total"], 1);

        let other = json!({"name": "two", "command": ["cat"]});
        create(&stack, 1, "same", &other).await.is_problem(422, "idempotency_key_reused");
        // A refusal is an answer too: it stays what it was when the reason has gone.
        let taken = create(&stack, 0, "taken", &body).await;
        taken.is_problem(409, "name_taken");
        let id = first["id"].as_str().expect("an id");
        rest(&stack, 0).delete(&format!("/api/sessions/{id}")).await.expect(204);
        assert_eq!(create(&stack, 1, "taken", &body).await.body, taken.body);
        let fresh = create(&stack, 1, "fresh", &body).await.expect(201);
        assert_ne!(fresh["id"], first["id"]);
        assert_eq!(create(&stack, 0, "same", &body).await.expect(201), first, "also of what is over");

        for bad in ["", &"k".repeat(256), "h\u{e4}", "tab\there"] {
            create(&stack, 0, bad, &body).await.is_problem(400, "idempotency_key_invalid");
        }
        create(&stack, 0, &"k".repeat(255), &json!({"command": ["cat"]})).await.expect(201);

        // Another account's key of the same name is another.
        let bob = Account::register(stack.address(0), "bob").await;
        let bobs = Rest::new(stack.address(0), Some(&bob.access_token));
        let answer = bobs.post_with("/api/sessions", &[("idempotency-key", "same")], &body).await;
        answer.is_problem(403, "local_sessions_unavailable");
    }
}

#[tokio::test]
async fn what_failed_on_our_side_is_tried_again_and_makes_the_same_session() {
    let mut stack = Stack::start().await;
    let body = json!({"name": "late", "command": ["cat"]});
    stack.kill_keeper().await;
    create(&stack, 0, "late", &body).await.is_problem(503, "node_unavailable");
    stack.start_keeper().await;
    stack.worker_ready().await;
    let made = create(&stack, 0, "late", &body).await.expect(201);
    assert_eq!(made["name"], "late");
    let listed = rest(&stack, 0).get("/api/sessions").await.expect(200);
    assert_eq!((&listed["total"], &listed["sessions"][0]["id"]), (&json!(1), &made["id"]));
}

/// The lease of a dead api is long; what matters is that the one who goes on makes the same session.
#[tokio::test]
async fn an_api_killed_while_it_makes_a_session_leaves_it_to_be_found_again() {
    let mut stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let body = json!({"name": "orphan", "command": ["cat"]});
    stack.worker_ready().await;
    // The node answers, and makes nothing for now.
    send(stack.keeper_pid(), Signal::SIGSTOP);
    let (address, token) = (stack.address(0), stack.admin.access_token.clone());
    let asked = {
        let body = body.clone();
        async move {
            let rest = Rest::new(address, Some(&token));
            rest.try_post_with("/api/sessions", &[("idempotency-key", "orphan")], &body).await
        }
    };
    // It waits for the node, having entered the session into its books.
    let mut asking = JoinSet::new();
    asking.spawn(asked);
    wait_until("the session is in the books", SOON, async || {
        stack.admin_command(&["list-sessions", "--json"]).json()["total"] == 1
    })
    .await;
    stack.kill_api(0);
    let answer = asking.join_next().await.expect("a task").expect("it ends");
    assert!(answer.is_none(), "its answer is lost");
    let under_way = create(&stack, 1, "orphan", &body).await;
    under_way.is_problem(409, "idempotency_in_progress");
    let secs: u64 = under_way.retry_after.and_then(|secs| secs.parse().ok()).expect("a time");
    assert!((10..=35).contains(&secs), "the dead api's attempt is waited for for so long: {secs}");
    stack.kill_keeper().await;
    stack.start_keeper().await;
    stack.worker_ready().await;
    let mut made = Value::Null;
    wait_until("another api goes on", Duration::from_secs(60), async || {
        let answer = create(&stack, 1, "orphan", &body).await;
        made = answer.body;
        answer.status == 201
    })
    .await;
    let listed = rest(&stack, 1).get("/api/sessions").await.expect(200);
    assert_eq!((&listed["total"], &listed["sessions"][0]["id"]), (&json!(1), &made["id"]));
}
