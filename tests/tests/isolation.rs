//! What a program in a session can see and use up: nothing of the daemon, and no more than its limits.

use std::collections::BTreeSet;
use std::time::Duration;

use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::stack::{Options, Stack, proc, users};
use devpocket_tests::wait_until;
use serde_json::{Value, json};

/// Processes a session may start beside what its user had before (the design's figure).
const PROCESS_LIMIT: usize = 512;
/// How long a shell may take to come up while a fork bomb keeps every core busy.
const BESIDE_BOMB_LIMIT: Duration = Duration::from_secs(60);

/// What a session's environment may hold: the design's list.
const ENVIRONMENT: [&str; 9] =
    ["HOME", "USER", "LOGNAME", "SHELL", "PATH", "TERM", "COLORTERM", "LANG", "DEVPOCKET_SESSION"];

/// Runs a command in a session of its own and gives what it printed.
async fn run(stack: &Stack, data: Value) -> String {
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let session = socket.connect(data).await.session;
    let (output, _exited) = socket.read_to_end(session).await;
    output
}

fn command(words: &[&str]) -> Value {
    json!({"session_type": "local", "command": words})
}

#[tokio::test]
async fn the_environment_of_a_session_holds_nothing_of_the_daemon() {
    let marker = "a-secret-of-the-daemon";
    let keeper_environment = vec![("DEVPOCKET_TEST_MARKER".to_owned(), marker.to_owned())];
    let stack = Stack::start_with(Options { keeper_environment, ..Options::default() }).await;
    let mut data = command(&["env"]);
    data["environment"] = json!({"ASKED_FOR": "yes"});
    let output = run(&stack, data).await;
    assert!(!output.contains(marker), "{output}");
    assert!(output.contains("ASKED_FOR=yes\r\n"), "{output}");
    assert!(output.contains("TERM=xterm-256color\r\n"), "{output}");
    assert!(output.contains("COLORTERM=truecolor\r\n"), "{output}");
    let names: BTreeSet<&str> = output.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    let expected: BTreeSet<&str> = ENVIRONMENT.into_iter().chain(["ASKED_FOR"]).collect();
    assert_eq!(names, expected, "{output}");
    if users::is_root() {
        assert!(output.contains(&format!("USER={}\r\n", users::SHELL)), "{output}");
    }
}

#[tokio::test]
async fn a_session_inherits_no_descriptor_but_its_terminal() {
    let stack = Stack::start().await;
    let output = run(&stack, command(&["ls", "-l", "/proc/self/fd"])).await;
    let targets: Vec<&str> = output.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    let (terminal, listing) = targets.split_at(3.min(targets.len()));
    assert_eq!(terminal.len(), 3, "{output}");
    assert!(terminal.iter().all(|target| target.starts_with("/dev/pts/")), "{output}");
    // The fourth is the directory that `ls` itself reads.
    assert!(listing.len() == 1 && listing[0].starts_with("/proc/"), "{output}");
}

#[tokio::test]
async fn a_session_has_a_process_session_and_a_controlling_terminal_of_its_own() {
    let stack = Stack::start().await;
    let script = "ps -o sid=,pgid=,pid= -p $$; tty; echo through > /dev/tty; stty -a | grep -o ' iutf8'";
    let output = run(&stack, command(&["sh", "-c", script])).await;
    let mut lines = output.lines();
    let ids: Vec<&str> = lines.next().expect("ids").split_whitespace().collect();
    assert!(ids.len() == 3 && ids[0] == ids[2] && ids[1] == ids[2], "{output}");
    assert!(lines.next().is_some_and(|tty| tty.starts_with("/dev/pts/")), "{output}");
    assert_eq!(lines.next(), Some("through"), "{output}");
    assert_eq!(lines.next(), Some(" iutf8"), "{output}");
}

#[tokio::test]
async fn a_session_is_never_root_and_cannot_read_or_signal_the_daemon() {
    let stack = Stack::start().await;
    let (keeper, worker) = (stack.keeper_pid(), stack.worker_ready().await);
    let script = format!(
        "id -u; id -G; for pid in {keeper} {worker}; do \
         cat /proc/$pid/environ && echo LEAK environ $pid; \
         head -c 1 /proc/$pid/mem && echo LEAK mem $pid; \
         ls /proc/$pid/fd && echo LEAK fd $pid; done 2>&1; \
         cat {state}/* && echo LEAK state; ls -l {state} 2>&1; echo done",
        state = stack.place.path("ptyd").display(),
    );
    let output = run(&stack, command(&["sh", "-c", &script])).await;
    let mut lines = output.lines();
    let uid: u32 = lines.next().and_then(|line| line.parse().ok()).expect("a uid");
    let groups = lines.next().expect("groups");
    assert!(output.ends_with("done\r\n"), "{output}");
    if users::is_root() {
        assert_eq!(uid, users::ensure(users::SHELL).uid.as_raw());
        assert!(groups.split_whitespace().all(|group| group != "0"), "{output}");
        assert!(!output.contains("LEAK"), "{output}");
        let kill = format!("kill -0 {keeper} && echo LEAK; kill -0 {worker} && echo LEAK; echo done");
        let output = run(&stack, command(&["sh", "-c", &kill])).await;
        assert!(output.ends_with("done\r\n") && !output.contains("LEAK"), "{output}");
    } else {
        assert_ne!(uid, 0);
        assert!(!output.contains("LEAK environ") && !output.contains("LEAK mem"), "{output}");
    }
}

#[tokio::test]
async fn a_session_cannot_reach_the_socket_of_the_daemon() {
    if !users::is_root() {
        // Without root all of it is one user: a shell can do what that user can.
        return;
    }
    let stack = Stack::start().await;
    let (probe, socket) = (stack.place.work("probe.pl"), stack.place.path("run/ptyd.sock"));
    let words =
        ["perl".to_owned(), probe.display().to_string(), socket.display().to_string(), "00".to_owned()];
    let output = run(&stack, json!({"session_type": "local", "command": words})).await;
    assert!(output.starts_with("refused: Permission denied"), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_bomb_is_stopped_by_its_limits_and_the_next_session_is_served() {
    let stack = Stack::start().await;
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let uid = stack
        .place
        .shell_user
        .as_ref()
        .map_or_else(|| nix::unistd::getuid().as_raw(), |user| user.uid.as_raw());
    let before = proc::tasks_of(uid);
    let bomb = json!({"session_type": "local", "command": ["bash", "-c", "bomb() { bomb | bomb & }; bomb; wait; read"]});
    let bomb = socket.connect(bomb).await.session;
    // Said by the shell once it may have no more: the limit was met, and not only many processes made.
    socket.read_until(bomb, "Resource temporarily unavailable").await;
    let many = async || proc::tasks_of(uid) > before + PROCESS_LIMIT / 2;
    wait_until("the bomb has many processes", BESIDE_BOMB_LIMIT, many).await;

    let mut other = Socket::must_open(&stack.opening(0, Framing::Binary)).await;
    let connect = json!({"type": "connect", "request_id": "beside", "data": {"session_type": "local"}});
    other.send(&connect);
    let most = Duration::from_secs(60);
    let answer = other.wait_at_most(most, "connected or spawn_failed", |event| match event {
        devpocket_tests::client::Event::Message(message)
            if message.request_id.as_deref() == Some("beside") =>
        {
            (message.status() != Some("connecting")).then(|| message.clone())
        }
        _ => None,
    });
    let answer = answer.await;
    match answer.error() {
        Some(code) => assert_eq!(code, "spawn_failed", "{}", answer.body),
        None => {
            let session = answer.session.expect("a session");
            // The prompt of a login shell.
            other.read_until(session, "$ ").await;
            other.send_input(session, None, b"echo $((6*7)).\n");
            other.read_until(session, "42.").await;
        }
    }
    let peak = proc::tasks_of(uid);
    assert!(peak <= before + PROCESS_LIMIT + 64, "{peak} tasks, {before} before the bomb");

    let terminated = socket.ask(json!({"type": "terminate", "session_id": bomb})).await;
    assert_eq!(terminated.error(), None, "{}", terminated.body);
    wait_until("the bomb is gone", BESIDE_BOMB_LIMIT, async || proc::tasks_of(uid) <= before + 4).await;
}
