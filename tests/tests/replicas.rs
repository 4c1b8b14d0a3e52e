//! Several apis on one database: started, stopped and killed in any order.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::account::PASSWORD;
use devpocket_tests::stack::{Account, DatabaseKind, Options, Stack};
use devpocket_tests::wait_until;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn apis_that_start_at_once_on_an_empty_database_all_serve() {
    let mut stack = Stack::start_with(Options { apis: 0, ..Options::default() }).await;
    for _ in 0..4 {
        stack.add_api();
    }
    for index in 0..4 {
        stack.api_ready(index).await;
    }
    stack.admin = Account::register(stack.address(3), "owner").await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
    for index in 1..4 {
        let mut socket = Socket::must_open(&stack.opening(index, Framing::Json)).await;
        socket.attach(session, json!({})).await;
    }
}

#[tokio::test]
async fn an_api_that_is_told_to_end_sends_its_clients_to_another_where_they_go_on() {
    for (database, redis) in [(DatabaseKind::Sqlite, false), (DatabaseKind::Postgres, true)] {
        let options = Options { database, redis, apis: 2, ..Options::default() };
        let mut stack = Stack::start_with(options).await;
        let mut sockets = Vec::new();
        for framing in [Framing::Json, Framing::Binary] {
            let mut socket = Socket::must_open(&stack.opening(0, framing)).await;
            let session = socket.connect(json!({"session_type": "local", "command": ["cat"]})).await.session;
            socket.send_input(session, None, b"before\n");
            socket.read_until(session, "before\r\nbefore\r\n").await;
            sockets.push((socket, session));
        }
        assert!(stack.end_api(0), "it ends by itself, sockets or not");
        for (mut socket, session) in sockets {
            assert_eq!(socket.wait_closed(Duration::from_secs(10)).await, Some(1001));
            let mut socket = Socket::must_open(&stack.opening(1, Framing::Binary)).await;
            let attached = socket.attach(session, json!({"offset": 16})).await;
            assert_eq!((attached.kind.as_str(), attached.offset), ("replay", 16), "at the exact byte");
            socket.send_input(session, None, b"after\n");
            socket.read_until(session, "after\r\nafter\r\n").await;
        }
    }
}

/// Sends a request whose body its handler has to ask for; then it is under way.
async fn under_way(api: SocketAddr, path: &str, token: &str, body: &Value) -> TcpStream {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(api).await.expect("the api takes connections");
    stream.write_all(head.as_bytes()).await.expect("the api reads");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).await.expect("its handler asks for the body");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(body.as_bytes()).await.expect("the api reads");
    stream
}

/// The story: a request that waited for a node or a database when its api was told to end had its connection cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_still_waits_when_an_api_ends_is_answered_and_told_to_come_back() {
    for database in [DatabaseKind::Sqlite, DatabaseKind::Postgres] {
        let redis = database == DatabaseKind::Postgres;
        let mut stack = Stack::start_with(Options { database, redis, ..Options::default() }).await;
        let (api, token) = (stack.address(0), stack.admin.access_token.clone());
        let made = Rest::new(api, Some(&token)).post("/api/sessions", &json!({"command": ["cat"]})).await;
        let resize = format!("/api/sessions/{}/resize", made.expect(201)["id"].as_str().expect("an id"));
        let node = [stack.keeper_pid(), stack.worker_ready().await];
        // A node that takes connections and says nothing, or a database in which somebody has what is asked for.
        let mut locking = None;
        let mut stream = match &stack.postgres {
            Some(postgres) => {
                locking = Some(postgres.lock("users").await);
                let login = json!({"username": "owner", "password": PASSWORD});
                under_way(api, "/api/auth/login", "", &login).await
            }
            None => {
                node.iter().for_each(|pid| kill(*pid, Signal::SIGSTOP).expect("it runs"));
                under_way(api, &resize, &token, &json!({"rows": 5, "cols": 5})).await
            }
        };
        let mut answer = String::new();
        let (ended, _) = tokio::join!(async { stack.end_api(0) }, async {
            stream.read_to_string(&mut answer).await.expect("it is answered")
        });
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer: {answer:?}"));
        assert!(head.starts_with("HTTP/1.1 503 "), "{answer}");
        for header in ["\r\nretry-after: ", "\r\nconnection: close"] {
            assert!(head.contains(header), "{header:?}: {answer}");
        }
        let problem: Value = serde_json::from_str(body).expect("JSON");
        // Or that it was found meanwhile that nothing comes of it.
        let codes: &[&str] =
            if locking.is_some() { &["draining"] } else { &["draining", "node_unavailable"] };
        assert!(codes.iter().any(|code| problem["code"] == *code), "{answer}");
        assert!(ended, "nobody is waited for in vain");
        if locking.is_none() {
            node.iter().for_each(|pid| kill(*pid, Signal::SIGCONT).expect("it runs"));
        }
    }
}

/// The story: whoever waited for a command at an api that was told to end had no answer at all, and could not know whether the
/// command had run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_is_waited_for_has_an_answer_before_its_api_ends() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let shell = Shell::bash(&stack, "").await;
    let other = Rest::new(stack.address(1), Some(&stack.admin.access_token));
    let go_on = shell.home.path().join("go-on");
    let waiting = format!("echo be''gun; until [ -e {} ]; do sleep 0.1; done; echo ended", go_on.display());
    let ending = async {
        wait_until("the command runs", Duration::from_secs(20), async || {
            let screen = other.get(&shell.path("screen")).await.expect(200);
            screen["content"].as_str().is_some_and(|text| text.contains("begun"))
        })
        .await;
        kill(stack.api_pid(0), Signal::SIGTERM).expect("it runs");
    };
    let (answer, ()) = tokio::join!(shell.try_run(&waiting, 60), ending);
    let result = answer.expect(200);
    assert_eq!((&result["timed_out"], &result["exit_code"]), (&json!(true), &Value::Null), "{result}");
    assert!(result["output"].as_str().is_some_and(|output| output.contains("begun")), "{result}");
    // It goes on, and the history has its end.
    fs::write(&go_on, "").expect("a file");
    wait_until("the command has ended", Duration::from_secs(20), async || {
        let history = other.get(&shell.path("history")).await.expect(200);
        let last = &history["commands"][0];
        (&last["id"], &last["exit_code"]) == (&result["id"], &json!(0))
    })
    .await;
}
