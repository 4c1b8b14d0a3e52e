//! The keeper's own program is replaced in place.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use devpocket_shared::wire::ErrorCode;
use nix::sys::signal::Signal;
use ptyd::handover::{Descriptor, ExitStatus, ToKeeper, ToWorker, Welcome};

use crate::node::{Node, PATIENCE, binary_of, clock, put, runs, wait_until};
use crate::worker::{Worker, command, owner};

#[test]
fn a_new_binary_takes_over_shells_rings_sockets_and_boot_id() {
    let node = Node::start();
    let mut worker = node.worker();
    let (before, _, _) = worker.take_over();
    let shell = worker.sh("while read x; do echo \"<$x>\"; done; exit 5");
    shell.mark("kept");
    let ended = worker.sh("exit 4");
    worker.exit_of(ended.id);
    let binary = node.dir().join("ptyd");
    put(Path::new(env!("CARGO_BIN_EXE_ptyd")), &binary);
    let inode = fs::metadata(&binary).unwrap().ino();

    node.signal(Signal::SIGHUP);
    until_stop(&mut worker);
    worker.leave();
    let mut worker = node.worker();
    let (after, _, sessions) = worker.take_over();
    assert_eq!((after.boot_id, after.node_id, after.sessions), (before.boot_id, before.node_id, 2));
    assert!(binary_of(node.pid()).is_none_or(|found| found == inode), "the new binary runs");
    let again = sessions.iter().find(|session| session.id == shell.id).unwrap();
    assert!(again.pid == shell.pid && again.marked("kept"));
    assert_eq!(again.record, shell.id.uuid().as_bytes());
    again.type_text("hello\n");
    again.output_with("<hello>");
    let tombstone = sessions.iter().find(|session| session.id == ended.id).unwrap();
    assert_eq!(tombstone.exit, Some(ExitStatus::Code(4)));
    // It is still our child: its exit is ours to reap, and new ones can be made.
    again.type_text("\u{4}");
    assert_eq!(worker.exit_of(shell.id), ExitStatus::Code(5));
    worker.sh("exec cat");
}

#[test]
fn an_exit_while_the_program_is_replaced_is_not_missed() {
    let node = Node::start();
    let mut worker = node.serving();
    let sessions: Vec<_> = (0..30).map(|_| worker.sh("read x; exit 6")).collect();
    node.signal(Signal::SIGHUP);
    for session in &sessions {
        session.type_text("go\n");
    }
    // Some are reaped by the old program, some by the new one; each is told once, by either.
    let mut told = std::collections::BTreeMap::new();
    loop {
        match worker.next().0 {
            ToWorker::Exited { session_id, exit } => assert_eq!(told.insert(session_id, exit), None),
            ToWorker::Stop => break,
            other => panic!("{other:?}"),
        }
    }
    worker.leave();
    let mut worker = node.worker();
    let (_, _, adopted) = worker.take_over();
    assert_eq!(adopted.len(), sessions.len());
    for session in adopted {
        let exit = session.exit.unwrap_or_else(|| worker.exit_of(session.id));
        assert_eq!(exit, ExitStatus::Code(6));
    }
}

#[test]
fn a_binary_that_refuses_the_state_changes_nothing() {
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.sh("exec cat");
    let binary = node.dir().join("ptyd");
    let inode = fs::metadata(&binary).unwrap().ino();
    // One that ends well without a look at the state once took the keeper's place.
    for refusing in ["/bin/false", "/etc/passwd", "/bin/true", "/bin/echo"] {
        let reason = "refused the state";
        let before = node.log().len();
        put(Path::new(refusing), &binary);
        node.signal(Signal::SIGHUP);
        wait_until("the refusal is logged", || node.log()[before..].contains(reason));
    }
    fs::remove_file(&binary).unwrap();
    node.signal(Signal::SIGHUP);
    wait_until("the missing binary is logged", || node.log().contains("the new binary cannot be opened"));
    assert!(binary_of(node.pid()).is_none_or(|found| found == inode), "the old binary runs");
    assert!(runs(worker.pid), "the worker was left alone");
    shell.type_text("hello\n");
    shell.output_with("hello");
    worker.sh("exec cat");
}

#[test]
fn a_program_replaced_again_and_again_keeps_its_descriptors_in_order() {
    let node = Node::start_with(|command| {
        command.args(["--metrics-listen", "127.0.0.1:0"]);
    });
    let mut worker = node.worker();
    let (welcome, descriptors, _) = worker.take_over();
    let metrics = metrics_address(&welcome, descriptors);
    let shell = worker.sh("while read x; do echo \"<$x>\"; done");
    let mut open = Vec::new();
    for round in 0..5 {
        node.signal(Signal::SIGHUP);
        until_stop(&mut worker);
        worker.leave();
        worker = node.worker();
        let (welcome, descriptors, sessions) = worker.take_over();
        assert_eq!(sessions[0].pid, shell.pid);
        assert_eq!(metrics_address(&welcome, descriptors), metrics);
        sessions[0].type_text(&format!("{round}\n"));
        sessions[0].output_with(&format!("<{round}>"));
        open.push(fs::read_dir(format!("/proc/{}/fd", node.pid())).map(Iterator::count).unwrap_or(0));
    }
    assert!(open.windows(2).all(|pair| pair[0] == pair[1]), "descriptors leak: {open:?}");
}

#[test]
fn a_termination_goes_on_over_a_replacement() {
    let node = Node::start();
    let mut worker = node.serving();
    let stubborn = worker.sh("trap '' HUP; echo ready; exec sleep 1000");
    stubborn.output_with("ready");
    worker.say(&ToKeeper::Terminate { session_id: stubborn.id });
    node.signal(Signal::SIGHUP);
    until_stop(&mut worker);
    worker.leave();
    let mut worker = node.serving();
    assert_eq!(worker.exit_of(stubborn.id), ExitStatus::Signal(Signal::SIGKILL as i32));
}

/// A damaged file of the state directory once ended the new program after it had taken the place of the old one, and
/// every session with it.
#[test]
fn a_state_directory_in_any_disorder_costs_no_session() {
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.sh("while read x; do echo \"<$x>\"; done");
    for (file, content) in [
        ("owner", Some("")),
        ("owner", Some("nonsense")),
        ("node_id", Some("")),
        ("link_secrets", Some("short")),
        ("link_secrets", None),
        ("keeper.pid", None),
        ("keeper.lock", None),
        ("owner", None),
    ] {
        let path = node.state_dir().join(file);
        match content {
            Some(content) => fs::write(path, content).unwrap(),
            None => fs::remove_file(path).unwrap(),
        }
        node.signal(Signal::SIGHUP);
        until_stop(&mut worker);
        worker.leave();
        worker = node.worker();
        let (_, _, sessions) = worker.take_over();
        assert_eq!(sessions[0].pid, shell.pid, "{file}");
        sessions[0].type_text(&format!("{file}\n"));
        sessions[0].output_with(&format!("<{file}>"));
    }
    // Whose the node is, is not forgotten either.
    let (code, _) = worker.try_spawn(owner(2), command(&["true"])).err().unwrap();
    assert_eq!(code, ErrorCode::LocalSessionsUnavailable);
    worker.sh("exec cat");
}

/// A re-exec waits until no session is starting, which in a busy node was never so. And what was asked for while it waited
/// was refused: it is the next worker's to ask for.
#[test]
fn a_steady_stream_of_new_sessions_does_not_hold_a_replacement_up() {
    const AT_ONCE: usize = 64;
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.sh("exec cat");
    // So many places to look for it that there is always one on its way.
    let mut spec = command(&["true"]);
    spec.environment.push(("PATH".to_owned(), format!("{}/bin", "/no:".repeat(8 << 10))));
    node.signal(Signal::SIGHUP);
    let (mut waiting, until) = (0, clock() + PATIENCE);
    loop {
        assert!(clock() < until, "timed out: the program is replaced");
        while waiting < AT_ONCE {
            worker.ask(owner(1), spec.clone());
            waiting += 1;
        }
        match worker.next().0 {
            ToWorker::Spawned { .. } => waiting -= 1,
            ToWorker::Exited { session_id, .. } => {
                worker.say(&ToKeeper::Drained { session_id });
                worker.say(&ToKeeper::Forget { session_id });
            }
            ToWorker::Stop => break,
            other => panic!("{other:?}"),
        }
    }
    worker.leave();
    let mut worker = node.worker();
    let (_, _, sessions) = worker.take_over();
    assert!(sessions.iter().any(|session| session.pid == shell.pid));
    worker.sh("exec cat");
}

/// Where the metrics are that a worker was told to show.
fn metrics_address(welcome: &Welcome, descriptors: Vec<OwnedFd>) -> SocketAddr {
    let mut given = welcome.descriptors.iter().zip(descriptors);
    let (_, listener) =
        given.find(|(kind, _)| **kind == Descriptor::Metrics).expect("a listener for metrics");
    TcpListener::from(listener).local_addr().unwrap()
}

fn until_stop(worker: &mut Worker) {
    while !matches!(worker.next().0, ToWorker::Stop) {}
}
