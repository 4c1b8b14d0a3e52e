//! POST /api/sessions/{id}/commands with an `Idempotency-Key`: one command for each key, whatever happens to the connection, the
//! api and the node.

use std::fs::{self, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use devpocket_tests::rest::{Answered, Rest};
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::process::send;
use devpocket_tests::stack::{DatabaseKind, Options, Stack};
use devpocket_tests::{wait_for, wait_until};
use futures_util::future::join_all;
use nix::libc::O_NOCTTY;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

const SOON: Duration = Duration::from_secs(30);

async fn stacks() -> [Stack; 2] {
    let with = |database, redis| Options { database, redis, apis: 2, ..Options::default() };
    [
        Stack::start_with(with(DatabaseKind::Sqlite, false)).await,
        Stack::start_with(with(DatabaseKind::Postgres, true)).await,
    ]
}

/// A shell, as its owner asks for it at each api.
struct Typist {
    shell: Shell,
    apis: Vec<Rest>,
}

impl Typist {
    async fn start(stack: &Stack) -> Self {
        let shell = Shell::bash(stack, "").await;
        assert_eq!(shell.says("true").await.0, 0, "it is at its prompt");
        let token = &stack.admin.access_token;
        let apis = (0..2).map(|api| Rest::new(stack.address(api), Some(token))).collect();
        Self { shell, apis }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.shell.home.path().join(name)
    }

    /// A command that leaves a line in a file and runs until another one is there.
    fn held(&self, name: &str) -> (Value, PathBuf, PathBuf) {
        let (ran, go_on) = (self.file(&format!("{name}-ran")), self.file(&format!("{name}-go-on")));
        let command = format!(
            "echo be''gun; echo x >> {}; until [ -e {} ]; do sleep 0.05; done; echo ended",
            ran.display(),
            go_on.display()
        );
        (json!({"command": command, "timeout": 60}), ran, go_on)
    }

    async fn send(&self, api: usize, key: &str, body: &Value) -> Answered {
        self.apis[api].post_with(&self.shell.path("commands"), &[("idempotency-key", key)], body).await
    }

    /// As often as somebody is said to have typed just now, which is before anything is.
    async fn patiently(&self, api: usize, key: &str, body: &Value) -> Answered {
        wait_for("nobody types", SOON, async || {
            let answer = self.send(api, key, body).await;
            (answer.body["code"] != "line_in_use").then_some(answer)
        })
        .await
    }
}

fn times(ran: &Path) -> usize {
    fs::read_to_string(ran).map_or(0, |text| text.lines().count())
}

fn is_replayed(answer: &Answered) -> bool {
    answer.headers.contains_key("idempotent-replayed")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_sent_again_while_it_runs_and_afterwards_is_typed_once_and_has_one_answer() {
    for stack in stacks().await {
        let typist = Typist::start(&stack).await;
        let (body, ran, go_on) = typist.held("one");
        let sent = join_all((0..6).map(|n| typist.send(n % 2, "one", &body)));
        let going_on = async {
            wait_until("it runs", SOON, async || times(&ran) > 0).await;
            fs::write(&go_on, "").expect("a file");
        };
        let (answers, ()) = tokio::join!(sent, going_on);
        let answers: Vec<_> = answers.into_iter().collect();
        let first = answers[0].clone().expect(200);
        assert_eq!((&first["exit_code"], &first["output"]), (&json!(0), &json!("begun\nended\n")));
        assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1, "{answers:?}");
        for answer in answers {
            assert_eq!(answer.expect(200), first);
        }
        let again = typist.send(1, "one", &body).await;
        assert!(is_replayed(&again), "{again:?}");
        assert_eq!(again.expect(200), first);
        assert_eq!(times(&ran), 1);

        let other = json!({"command": "echo x", "timeout": 60});
        typist.send(0, "one", &other).await.is_problem(422, "idempotency_key_reused");
        let elsewhere = Typist::start(&stack).await;
        elsewhere.send(1, "one", &body).await.is_problem(422, "idempotency_key_reused");
        typist.send(0, "", &other).await.is_problem(400, "idempotency_key_invalid");
        // How long is waited makes it no other command, and what becomes of the session no other answer.
        let patient = json!({"command": body["command"], "timeout": 5});
        typist.apis[0].delete(&format!("/api/sessions/{}", typist.shell.id)).await.expect(204);
        assert_eq!(typist.send(0, "one", &patient).await.expect(200), first);
    }
}

/// The story: that it had not ended in time was kept as its answer, and whoever sent it again was told so for a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_too_short_for_a_command_waits_for_its_end_with_the_same_key() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let typist = Typist::start(&stack).await;
    let (body, ran, go_on) = typist.held("short");
    let impatient = json!({"command": body["command"], "timeout": 1});
    let first = typist.patiently(0, "short", &impatient).await.expect(200);
    assert_eq!((&first["timed_out"], &first["exit_code"]), (&json!(true), &Value::Null), "{first}");
    fs::write(&go_on, "").expect("a file");
    let again = typist.send(1, "short", &body).await;
    assert!(is_replayed(&again), "{again:?}");
    let again = again.expect(200);
    let end = (&again["timed_out"], &again["exit_code"], &again["output"]);
    assert_eq!(end, (&json!(false), &json!(0), &json!("begun\nended\n")), "{again}");
    assert_eq!(typist.send(0, "short", &impatient).await.expect(200), again);
    assert_eq!(times(&ran), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_typed_may_be_sent_again_and_what_the_shell_did_not_take_has_its_answer() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let typist = Typist::start(&stack).await;
    let (held, ran, go_on) = typist.held("held");
    let (body, wrong) = (json!({"command": "echo x >> late; wc -l < late"}), json!({"command": "if x; fi"}));
    let running = async {
        let first = typist.patiently(0, "held", &held).await;
        assert_eq!(first.expect(200)["exit_code"], 0);
    };
    let late = async {
        wait_until("it runs", SOON, async || times(&ran) == 1).await;
        typist.send(1, "late", &body).await.is_problem(409, "command_running");
        typist.send(0, "nothing", &json!({"command": " "})).await.is_problem(422, "invalid_fields");
        fs::write(&go_on, "").expect("a file");
    };
    tokio::join!(running, late);
    for _ in 0..2 {
        assert_eq!(typist.patiently(0, "late", &body).await.expect(200)["output"], "1\n");
    }
    let refused = typist.patiently(0, "wrong", &wrong).await;
    refused.is_problem(422, "command_not_run");
    let again = typist.send(1, "wrong", &wrong).await;
    assert!(is_replayed(&again) && again.is_shaped_like(&refused), "{again:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_gone_finds_the_answer_and_an_api_that_was_killed_leaves_the_command_to_another() {
    for mut stack in stacks().await {
        let typist = Typist::start(&stack).await;
        // Its connection is gone before anything was answered.
        let (body, ran, go_on) = typist.held("gone");
        let content = body.to_string();
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             idempotency-key: gone\r\ncontent-length: {}\r\n\r\n{content}",
            typist.shell.path("commands"),
            stack.admin.access_token,
            content.len()
        );
        let mut stream = TcpStream::connect(stack.address(0)).await.expect("the api takes connections");
        stream.write_all(request.as_bytes()).await.expect("the api reads");
        wait_until("it runs", SOON, async || times(&ran) == 1).await;
        stream.set_zero_linger().expect("a socket option");
        drop(stream);
        fs::write(&go_on, "").expect("a file");
        assert_eq!(typist.send(0, "gone", &body).await.expect(200)["output"], "begun\nended\n");
        assert_eq!(times(&ran), 1);

        // Its api is gone once the command runs.
        let (body, ran, go_on) = typist.held("killed");
        let mut asking = JoinSet::new();
        let (rest, path, asked) = (typist.apis[0].clone(), typist.shell.path("commands"), body.clone());
        asking
            .spawn(async move { rest.try_post_with(&path, &[("idempotency-key", "killed")], &asked).await });
        wait_until("it runs", SOON, async || times(&ran) == 1).await;
        // The shell has begun it; that the books say so too takes a moment.
        let under_way = json!({"command": body["command"], "timeout": 1});
        wait_until("it may be waited for elsewhere", SOON, async || {
            let answer = typist.send(1, "other", &json!({"command": "true"})).await;
            answer.body["code"] == "command_running"
        })
        .await;
        stack.kill_api(0);
        assert!(asking.join_next().await.expect("a task").expect("it ends").is_none(), "its answer is lost");
        fs::write(&go_on, "").expect("a file");
        let found = typist.send(1, "killed", &under_way).await.expect(200);
        assert_eq!((&found["exit_code"], &found["output"]), (&json!(0), &json!("begun\nended\n")), "{found}");
        assert_eq!((typist.send(1, "killed", &body).await.expect(200), times(&ran)), (found, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_knows_whether_it_was_typed_it_is_not_typed_again() {
    let stack = Stack::start_with(Options { apis: 2, ..Options::default() }).await;
    let typist = Typist::start(&stack).await;
    let body = json!({"command": "echo x >> twice"});
    let worker = stack.worker_ready().await;
    let shell = typist.shell.says("echo $$").await.1.trim().parse().map(Pid::from_raw).expect("a number");
    let terminal = OpenOptions::new().read(true).custom_flags(O_NOCTTY).open(format!("/proc/{shell}/fd/0"));
    let terminal = terminal.expect("the shell's terminal");
    // What is typed lies there, and its shell does not begin it until the worker is gone that could tell.
    send(shell, Signal::SIGSTOP);
    let dying = async {
        wait_until("the command is typed", SOON, async || {
            let mut waiting = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
            poll(&mut waiting, PollTimeout::ZERO).expect("a terminal") == 1
        })
        .await;
        send(worker, Signal::SIGKILL);
        send(shell, Signal::SIGCONT);
    };
    let (answer, ()) = tokio::join!(typist.patiently(0, "twice", &body), dying);
    answer.is_problem(503, "input_uncertain");
    for api in [0, 1, 1] {
        let again = typist.send(api, "twice", &body).await;
        again.is_problem(503, "input_uncertain");
        assert_eq!(again.retry_after, None);
    }
    let other = wait_for("the shell is back at its prompt", SOON, async || {
        let answer = typist.send(1, "another", &json!({"command": "cat twice; true"})).await;
        (answer.status == 200).then_some(answer.body)
    })
    .await;
    let output = other["output"].as_str().expect("text");
    assert!(output.matches("x\n").count() <= 1, "{other}");
    typist.send(0, "twice", &body).await.is_problem(503, "input_uncertain");
}

/// The story: the database took note of a command, and could not say so in time; the answer was that nothing was typed, and the key
/// was good for nothing ever after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_typed_since_the_database_did_not_say_that_it_had_noted_it_is_typed_with_the_same_key() {
    let options = Options { database: DatabaseKind::Postgres, redis: true, apis: 2, ..Options::default() };
    let stack = Stack::start_with(options).await;
    let postgres = stack.postgres.as_ref().expect("it is there");
    let typist = Typist::start(&stack).await;
    let body = json!({"command": "echo x >> stalled", "timeout": 20});
    let synchronous = |name: &str| {
        postgres.run(&format!("alter system set synchronous_standby_names = '{name}'"));
        postgres.run("select pg_reload_conf()");
    };
    // Commits are made, and told of once there is another server that has them.
    synchronous("nobody");
    typist.send(0, "stalled", &body).await.is_problem(503, "database_unavailable");
    synchronous("");
    let answer = wait_for("it is typed", SOON, async || {
        let answer = typist.send(1, "stalled", &body).await;
        (answer.status == 200).then_some(answer)
    })
    .await;
    assert_eq!(answer.body["exit_code"], 0, "{answer:?}");
    assert_eq!(times(&typist.file("stalled")), 1);
    assert!(is_replayed(&typist.send(0, "stalled", &body).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_much_is_kept_of_an_account_little_is_of_another_answer() {
    let options = Options { database: DatabaseKind::Postgres, redis: true, apis: 2, ..Options::default() };
    let stack = Stack::start_with(options).await;
    let typist = Typist::start(&stack).await;
    let body = json!({"command": "for i in {1..1000}; do echo line $i; done"});
    for (key, bytes) in [("roomy", usize::MAX), ("crowded", 1 << 10)] {
        if key == "crowded" {
            stack.postgres.as_ref().expect("it is there").run(
                "insert into kept_answers (user_id, route, key_hash, fingerprint, attempt_id, held_until, resource_id,
                     expires_at, status, body)
                 select id, '/x', 'key', 'body', id, 0, id, 9000000000000000, 200, decode(repeat('00', 16 << 20), 'hex')
                 from users",
            );
        }
        let first = typist.patiently(0, key, &body).await.expect(200);
        let kept = typist.send(1, key, &body).await.expect(200);
        let (whole, kept) = (first["output"].as_str().expect("text"), kept["output"].as_str().expect("text"));
        assert!(whole.len() > 8000 && whole.ends_with(kept), "{whole}");
        assert_eq!(kept.len(), bytes.min(whole.len()), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_long_output_the_end_is_kept_and_the_database_shows_none_of_it() {
    let options = Options { database: DatabaseKind::Sqlite, redis: false, apis: 2, ..Options::default() };
    let stack = Stack::start_with(options).await;
    let typist = Typist::start(&stack).await;
    let body = json!({"command": "for i in {1..20000}; do echo sec''ret-$i; done"});
    let first = typist.patiently(0, "long", &body).await.expect(200);
    let whole = first["output"].as_str().expect("text");
    assert!(whole.ends_with("secret-20000\n") && whole.len() > 200_000, "{}", whole.len());
    let again = typist.send(1, "long", &body).await.expect(200);
    let kept = again["output"].as_str().expect("text");
    assert!(kept.len() == 64 << 10 && whole.ends_with(kept), "{}", kept.len());
    assert_eq!((&again["output_truncated"], &again["id"]), (&json!(true), &first["id"]));
    assert_eq!(again["output_range"], first["output_range"]);
    for file in fs::read_dir(stack.place.path("api")).expect("a directory") {
        let bytes = fs::read(file.expect("an entry").path()).unwrap_or_default();
        assert!(!bytes.windows(10).any(|bytes| bytes == b"secret-200"), "output in clear");
    }
}
