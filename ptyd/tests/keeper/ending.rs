//! Sessions, and the keeper itself, end in order.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use ptyd::handover::{ExitStatus, ToKeeper, ToWorker};

use crate::node::{Node, as_shell_user, clock, is_root, runs, shell_user, wait_until};
use crate::worker::{Session, Worker, command};

#[test]
fn a_session_ends_on_request_and_one_that_will_not_is_killed() {
    let node = Node::start();
    let mut worker = node.serving();
    let (obedient, stubborn) =
        (worker.sh("exec cat"), worker.sh("trap '' HUP TERM; echo ready; exec sleep 1000"));
    stubborn.output_with("ready");
    let began = clock();
    for session in [&obedient, &stubborn] {
        worker.say(&ToKeeper::Terminate { session_id: session.id });
    }
    assert_eq!(worker.exit_of(obedient.id), ExitStatus::Signal(Signal::SIGHUP as i32));
    assert!(clock() - began < Duration::from_secs(4), "nobody waits for the obedient");
    assert_eq!(worker.exit_of(stubborn.id), ExitStatus::Signal(Signal::SIGKILL as i32));
    assert!(clock() - began >= Duration::from_secs(5), "the stubborn has its grace");
}

#[test]
fn what_left_its_session_is_ended_with_it_as_root() {
    // Only a control group knows where processes went; without root there may be none.
    if !is_root() {
        return;
    }
    let node = Node::start();
    if !node.has_cgroups() {
        return;
    }
    let mut worker = node.serving();
    let session = worker.sh("setsid nohup sleep 1000 & echo \"[$!]\"; exec cat");
    let output = session.output_with("]");
    let (_, rest) = output.split_once('[').unwrap();
    let escaped = Pid::from_raw(rest.split(']').next().unwrap().parse().unwrap());
    assert!(runs(escaped));
    worker.say(&ToKeeper::Terminate { session_id: session.id });
    worker.exit_of(session.id);
    wait_until("the escaped process is gone", || !runs(escaped));
}

/// It once lived on, whatever was done to its session.
#[test]
fn what_left_its_session_is_ended_with_it_without_control_groups_too_and_nobody_else_is() {
    if is_root() {
        drop(Node::start());
    }
    let node = Node::start_with(|command| {
        if is_root() {
            as_shell_user(command);
        }
    });
    assert!(!is_root() || !node.has_cgroups());
    let mut worker = node.serving();
    let (left, other) = (leaving(&mut worker), leaving(&mut worker));
    // One that came by the variable elsewhere, as what a service manager starts.
    let mut bystander = std::process::Command::new("sleep");
    bystander.arg("1000").env("DEVPOCKET_SESSION", left.0.id.to_string());
    let mut bystander = as_shell_user_would(&mut bystander).spawn().unwrap();
    worker.say(&ToKeeper::Terminate { session_id: left.0.id });
    worker.exit_of(left.0.id);
    let gone = |worker: &Worker, pid| {
        wait_until("the escaped process is gone", || {
            worker.say(&ToKeeper::Heartbeat);
            !runs(pid)
        });
    };
    gone(&worker, left.1);
    assert!(runs(other.1) && runs(other.0.pid), "another session's lives");
    assert!(bystander.try_wait().unwrap().is_none(), "a stranger lives");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    // Of a session that has ended it is still known whose it was.
    other.0.type_text("\u{4}");
    worker.exit_of(other.0.id);
    assert!(runs(other.1));
    worker.say(&ToKeeper::Terminate { session_id: other.0.id });
    gone(&worker, other.1);
}

/// A session, and a process of it that left its process session and does not hear a hang-up; its parent is gone.
fn leaving(worker: &mut Worker) -> (Session, Pid) {
    let session = worker.sh("(setsid nohup sleep 1000 & echo \"[$!]\"); exec cat");
    let output = session.output_with("]");
    let (_, rest) = output.split_once('[').unwrap();
    let escaped = Pid::from_raw(rest.split(']').next().unwrap().parse().unwrap());
    wait_until("it has left", || {
        nix::unistd::getsid(Some(escaped)).is_ok_and(|session| session == escaped)
            && std::fs::read_to_string(format!("/proc/{escaped}/comm")).is_ok_and(|name| name == "sleep\n")
    });
    (session, escaped)
}

/// Runs as the shells do.
fn as_shell_user_would(command: &mut std::process::Command) -> &mut std::process::Command {
    use std::os::unix::process::CommandExt;
    let user = shell_user();
    if is_root() { command.uid(user.uid.as_raw()).gid(user.gid.as_raw()) } else { command }
}

#[test]
fn sigterm_ends_sessions_worker_and_keeper_and_tells_everyone() {
    let mut node = Node::start();
    let mut worker = node.serving();
    let obedient: Vec<_> = (0..20).map(|_| worker.spawn(command(&["cat"]))).collect();
    let stubborn = worker.sh("trap '' HUP; echo ready; exec sleep 1000");
    stubborn.output_with("ready");
    node.signal(Signal::SIGTERM);
    let mut exits = BTreeSet::new();
    loop {
        match worker.next().0 {
            ToWorker::Exited { session_id, .. } => {
                worker.say(&ToKeeper::Drained { session_id });
                assert!(exits.insert(session_id), "told once");
            }
            ToWorker::Stop => break,
            other => panic!("{other:?}"),
        }
    }
    let expected: BTreeSet<_> = obedient.iter().chain([&stubborn]).map(|session| session.id).collect();
    assert_eq!(exits, expected);
    worker.leave();
    assert!(node.ended().success());
    assert!(!runs(stubborn.pid));
    assert!(!node.state_dir().join("keeper.pid").exists() && !node.state_dir().join("ptyd.sock").exists());
}

#[test]
fn an_idle_keeper_ends_without_waiting_for_anything() {
    let mut node = Node::start();
    let mut worker = node.serving();
    let shell = worker.sh("exec cat");
    worker.say(&ToKeeper::Terminate { session_id: shell.id });
    worker.exit_of(shell.id);
    worker.say(&ToKeeper::Drained { session_id: shell.id });
    let began = clock();
    node.signal(Signal::SIGTERM);
    while !matches!(worker.next().0, ToWorker::Stop) {}
    worker.leave();
    assert!(node.ended().success());
    assert!(clock() - began < Duration::from_secs(3));
}

#[test]
fn a_second_sigterm_ends_everything_at_once() {
    let mut node = Node::start();
    let mut worker = node.serving();
    let stubborn = worker.sh("trap '' HUP; echo ready; exec sleep 1000");
    stubborn.output_with("ready");
    assert_eq!(node.cgroups().len(), usize::from(node.has_cgroups()), "what is looked for is found");
    let began = clock();
    node.signal(Signal::SIGTERM);
    wait_until("the first is taken", || node.log().contains("\"message\":\"ending\""));
    node.signal(Signal::SIGTERM);
    assert!(node.ended().success());
    assert!(clock() - began < Duration::from_secs(4));
    wait_until("session and worker are gone", || !runs(stubborn.pid) && !runs(worker.pid));
    assert_eq!(node.cgroups(), Vec::<PathBuf>::new(), "no control group is left");
}

#[test]
fn nothing_is_started_any_more_while_the_keeper_ends() {
    let node = Node::start();
    let mut worker = node.serving();
    let stubborn = worker.sh("trap '' HUP; echo ready; exec sleep 1000");
    stubborn.output_with("ready");
    node.signal(Signal::SIGTERM);
    wait_until("the end has begun", || node.log().contains("\"message\":\"ending\""));
    let (code, _) = worker.try_spawn(crate::worker::owner(1), command(&["true"])).err().unwrap();
    assert_eq!(code, devpocket_shared::wire::ErrorCode::NodeUnavailable);
}
