//! The keeper replaces its program in place while clients ask for sessions and shells begin: nobody notices.

use std::fs;
use std::time::Duration;

use devpocket_tests::client::{Event, Framing, Socket};
use devpocket_tests::shell::Shell;
use devpocket_tests::stack::{LinkKind, Options, Stack};
use devpocket_tests::wait_until;
use nix::unistd::Pid;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);
/// So many are asked for at once that there is always one on its way.
const AT_ONCE: usize = 8;
const ROUNDS: u32 = 6;

fn is_replaced(stack: &Stack, worker: Pid) -> bool {
    stack.worker_pid().is_some_and(|now| now != worker)
}

/// One that was asked for while the keeper waited for others to start, or by the worker it had told to stop, was refused as
/// `node_unavailable`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_asked_for_in_a_reload_are_made() {
    make_in_reloads(LinkKind::Unix).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_asked_for_in_a_reload_are_made_over_quic() {
    make_in_reloads(LinkKind::Quic).await;
}

async fn make_in_reloads(link: LinkKind) {
    let mut stack = Stack::start_with(Options { link, ..Options::default() }).await;
    // So many places to look for its program that a start takes its time.
    let path = format!("{}/bin:/usr/bin", "/no:".repeat(8 << 10));
    let data = json!({"session_type": "local", "command": ["true"], "environment": {"PATH": path}});
    let mut socket = Socket::must_open(&stack.opening(0, Framing::Json)).await;
    let (mut asked, mut waiting) = (0, 0);
    for round in 0..ROUNDS {
        let worker = stack.worker_ready().await;
        let mut made = 0;
        while waiting > 0 || !is_replaced(&stack, worker) {
            while waiting < AT_ONCE && !is_replaced(&stack, worker) {
                asked += 1;
                socket.send(&json!({"type": "connect", "request_id": format!("new-{asked}"), "data": data}));
                waiting += 1;
            }
            let answered = socket.wait("a new session", |event| match event {
                Event::Message(message) if message.request_id.is_some() => {
                    assert_eq!(message.error(), None, "round {round}, {asked} asked for: {}", message.body);
                    (message.status() == Some("connected")).then_some(())
                }
                _ => None,
            });
            answered.await;
            waiting -= 1;
            made += 1;
            // In the middle of it.
            if made == AT_ONCE {
                stack.reexec_keeper();
            }
        }
    }
}

/// What it reads its script from was closed with the program before, and fish showed what it could not read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fish_that_begins_before_a_reload_marks_its_commands_after_it() {
    let mut stack = Stack::start().await;
    // Its own configuration comes first, and takes until we say so.
    let config = "echo > $HOME/begun; while not test -e $HOME/go; sleep 0.01; end\n";
    let shell = Shell::start(&stack, &["fish", "-l"], &[(".config/fish/config.fish", config)]).await;
    wait_until("fish has begun", LIMIT, async || shell.home.path().join("begun").exists()).await;
    // Twice: what was taken over is handed on.
    for _ in 0..2 {
        let worker = stack.worker_ready().await;
        stack.reexec_keeper();
        wait_until("another worker runs", LIMIT, async || is_replaced(&stack, worker)).await;
    }
    fs::write(shell.home.path().join("go"), "").expect("a file");
    assert_eq!(shell.says("echo begun").await, (0, "begun\n".to_owned()));
    assert_eq!(shell.says("false").await, (1, String::new()));
    shell.must_show_nothing_of_ours().await;
    let screen = shell.screen().await;
    assert!(!screen.contains("error") && !screen.contains("warning"), "{screen}");
}
