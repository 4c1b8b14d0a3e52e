//! Whatever takes long over HTTP, of the same account or another's: no key waits for it. What a key takes otherwise is the
//! benchmarks' to tell.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Account, Stack};
use devpocket_tests::wait_until;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What any key may take on a busy machine, and nine of ten. What is done where keys pass through is waited for by most.
const WORST: Duration = Duration::from_millis(500);
const MOSTLY: Duration = Duration::from_millis(150);
const KEYS: usize = 300;
/// So often each kind of slow work is done before the last key is typed.
const ROUNDS: usize = 3;
const SIDE: usize = 1000;
const LIMIT: Duration = Duration::from_secs(60);

/// What goes on beside the keys, and how often it has been done.
#[derive(Default)]
struct Beside {
    tasks: JoinSet<()>,
    done: Vec<(&'static str, Arc<AtomicUsize>)>,
}

impl Beside {
    /// Asks for something again and again; each answer has this status.
    fn again_and_again(
        &mut self,
        what: &'static str,
        status: u16,
        request: impl Fn(usize) -> RequestBuilder + Send + 'static,
    ) {
        let done = Arc::new(AtomicUsize::new(0));
        self.done.push((what, done.clone()));
        self.tasks.spawn(async move {
            loop {
                let answer = request(done.load(Ordering::SeqCst)).send().await.expect("an answer");
                assert_eq!(answer.status(), status, "{what}");
                answer.bytes().await.expect("a body");
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
    }

    fn least_done(&self) -> usize {
        self.done.iter().map(|(_, done)| done.load(Ordering::SeqCst)).min().unwrap_or_default()
    }
}

/// A screen of the largest size, each cell of another colour than the one before.
fn colours() -> String {
    let mut out = String::new();
    for row in 0..SIDE {
        let _infallible = write!(out, "\x1b[{}H", row + 1);
        for col in 0..SIDE {
            let _infallible = write!(out, "\x1b[3{}mx", (row + col) % 8);
        }
    }
    out
}

/// The story: the worker wrote large screens down on the thread that passes keys on, and held up every session's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_key_waits_for_slow_work_over_http() {
    let stack = Stack::start().await;
    let api = stack.address(0);
    stack.place.write_work("colours", colours().as_bytes());
    let owner = Rest::new(api, Some(&stack.admin.access_token));
    let script = format!("stty raw -echo; cat {}; exec cat", stack.place.work("colours").display());
    let size = json!({"rows": SIDE, "cols": SIDE});
    let large = json!({"command": ["sh", "-c", script], "terminal_size": size});
    let large =
        owner.post("/api/sessions", &large).await.expect(201)["id"].as_str().expect("an id").to_owned();
    let screen = format!("/api/sessions/{large}/screen");
    wait_until("the large screen is drawn", LIMIT, async || {
        let shown = owner.get(&screen).await.expect(200);
        shown["content"]
            .as_str()
            .is_some_and(|text| text.trim_end().ends_with('x') && text.len() > SIDE * SIDE)
    })
    .await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let typed = socket.connect(raw_script("printf ready; exec cat")).await.session;
    socket.read_until(typed, "ready").await;

    let other = Account::register(api, "other").await;
    let (client, mut beside) = (Client::new(), Beside::default());
    let ask = |method: Method, path: String, token: &str| {
        client.request(method, format!("http://{api}{path}")).bearer_auth(token)
    };
    for (what, account) in [("an export", &stack.admin), ("another's export", &other)] {
        let request = ask(Method::GET, "/api/profile/export".to_owned(), &account.access_token);
        beside.again_and_again(what, 200, move |_| request.try_clone().expect("no stream"));
    }
    for (what, account) in [("a search", &stack.admin), ("another's search", &other)] {
        let request = ask(Method::POST, "/api/sessions/search".to_owned(), &account.access_token);
        let request = request.json(&json!({"query": "x"}));
        beside.again_and_again(what, 200, move |_| request.try_clone().expect("no stream"));
    }
    for (what, format) in [("a screen as HTML", "html"), ("a screen as JSON", "json")] {
        let path = format!("{screen}?format={format}");
        let request = ask(Method::GET, path, &stack.admin.access_token);
        beside.again_and_again(what, 200, move |_| request.try_clone().expect("no stream"));
    }
    for (what, kind) in [("a wrong login", "a"), ("another", "b"), ("a third", "c")] {
        let client = client.clone();
        // Of one name or address no more than five would be looked at.
        beside.again_and_again(what, 401, move |number| {
            let body = json!({"username": format!("{kind}-{number}"), "password": "Wrong-horse-7"});
            client.post(format!("http://{api}/api/auth/login")).json(&body)
        });
    }

    wait_until("everything has begun", LIMIT, async || beside.least_done() > 0).await;
    let began = Instant::now();
    let mut took = Vec::new();
    while took.len() < KEYS || beside.least_done() < ROUNDS {
        assert!(began.elapsed() < LIMIT, "{} keys, {:?}", took.len(), beside.done);
        let (key, typed_at) = (format!("<{}>", took.len()), Instant::now());
        socket.send_input(typed, None, key.as_bytes());
        socket.read_until(typed, &key).await;
        took.push(typed_at.elapsed());
    }
    assert!(beside.tasks.try_join_next().is_none(), "what goes on beside the keys ended");
    took.sort_unstable();
    let (mostly, worst) = (took[took.len() * 9 / 10], took[took.len() - 1]);
    assert!(
        worst < WORST && mostly < MOSTLY,
        "{mostly:?} mostly, at most {worst:?}, beside {:?}",
        beside.done
    );
}
