//! Sessions outlive every worker.

use std::fs;

use nix::sys::signal::Signal;
use ptyd::handover::{ExitStatus, ToKeeper};

use crate::node::{Node, runs, wait_until};
use crate::worker::{Session, command};

#[test]
fn a_killed_worker_costs_nothing_and_what_happened_meanwhile_is_told() {
    let node = Node::start();
    let mut worker = node.serving();
    let shell = worker.sh("echo one; read x; echo \"two $x\"; exec sleep 1000");
    shell.output_with("one");
    shell.mark("kept");
    let brief = worker.sh("echo last words; read x; exit 9");
    brief.output_with("last words");
    let forgotten = worker.sh("exit 0");
    worker.exit_of(forgotten.id);
    // Said just before the end, and to be heard nevertheless.
    worker.say(&ToKeeper::Record { session_id: shell.id, record: b"a record".to_vec() });
    worker.say(&ToKeeper::Forget { session_id: forgotten.id });
    brief.type_text("go\n");
    let (boot_before, pid) = (boot_id(&node), worker.pid);
    worker.kill();

    let mut worker = node.worker();
    assert!(!runs(pid), "one worker at a time");
    wait_until("the brief session has ended", || !runs(brief.pid));
    let (welcome, _, sessions) = worker.take_over();
    assert_eq!((welcome.boot_id.to_string(), welcome.sessions), (boot_before, 2));
    let [again, brief_again] = find(sessions, [&shell, &brief]);
    assert_eq!((again.pid, again.owner, &again.record[..]), (shell.pid, shell.owner, &b"a record"[..]));
    assert!(again.marked("kept") && again.exit.is_none());
    again.type_text("still\n");
    again.output_with("two still");
    let exit = match brief_again.exit {
        Some(exit) => exit,
        // It was adopted alive, so its end is told.
        None => worker.exit_of(brief.id),
    };
    assert_eq!(exit, ExitStatus::Code(9));
    assert_eq!(brief_again.record, brief.id.uuid().as_bytes());
}

#[test]
fn an_ended_session_keeps_its_ring_until_it_is_forgotten_and_its_terminal_until_it_is_read() {
    let node = Node::start();
    let mut worker = node.serving();
    let session = worker.sh("echo bye; exit 1");
    session.mark("tombstone");
    worker.exit_of(session.id);
    worker.kill();

    let mut worker = node.worker();
    let [again] = find(worker.take_over().2, [&session]);
    assert_eq!(again.exit, Some(ExitStatus::Code(1)));
    again.output_with("bye");
    worker.say(&ToKeeper::Drained { session_id: session.id });
    worker.kill();

    let mut worker = node.worker();
    let [again] = find(worker.take_over().2, [&session]);
    assert!(again.master.is_none() && again.marked("tombstone"));
    worker.say(&ToKeeper::Forget { session_id: session.id });
    worker.kill();
    assert!(node.worker().take_over().2.is_empty());
}

#[test]
fn a_worker_that_hangs_is_replaced() {
    let node = Node::start();
    let mut worker = node.serving();
    let session = worker.sh("exec cat");
    worker.hang();
    let (pid, mut next) = (worker.pid, node.worker());
    assert!(!runs(pid));
    let [again] = find(next.take_over().2, [&session]);
    again.type_text("alive\n");
    again.output_with("alive");
    assert!(node.log().contains("silent for too long"));
}

#[test]
fn a_worker_that_talks_nonsense_is_replaced() {
    let node = Node::start();
    let mut worker = node.serving();
    let session = worker.sh("exec cat");
    worker.babble();
    let mut next = node.worker();
    assert!(!runs(worker.pid));
    find(next.take_over().2, [&session]);
    assert!(node.log().contains("malformed"));
}

#[test]
fn messages_about_sessions_that_are_not_there_or_not_so_far_change_nothing() {
    let node = Node::start();
    let mut worker = node.serving();
    let session = worker.sh("exec cat");
    let nobody = devpocket_shared::ids::SessionId::new(uuid::Uuid::new_v4());
    for session_id in [nobody, session.id] {
        worker.say(&ToKeeper::Drained { session_id });
        worker.say(&ToKeeper::Forget { session_id });
        worker.say(&ToKeeper::Record { session_id, record: vec![0; 9 << 10] });
    }
    worker.say(&ToKeeper::Terminate { session_id: nobody });
    worker.say(&ToKeeper::BatchTaken);
    worker.say(&ToKeeper::Signal { session_id: nobody, signal: 9, target: ptyd::handover::Target::Session });
    session.type_text("hello\n");
    session.output_with("hello");
    worker.leave();
    let mut worker = node.worker();
    let [again] = find(worker.take_over().2, [&session]);
    assert!(again.master.is_some());
    assert_eq!(again.record, session.id.uuid().as_bytes());
}

#[test]
fn three_hundred_sessions_are_handed_over_in_batches() {
    let node = Node::start();
    let mut worker = node.serving();
    let sessions: Vec<Session> = worker.spawn_many(300, &command(&["cat"]));
    worker.kill();
    let mut worker = node.worker();
    let (welcome, _, mut again) = worker.take_over();
    assert_eq!((welcome.sessions, again.len()), (300, 300));
    let key = |session: &Session| session.id;
    let mut sessions = sessions;
    sessions.sort_by_key(key);
    again.sort_by_key(key);
    for (before, after) in sessions.iter().zip(&again) {
        assert_eq!((before.id, before.pid), (after.id, after.pid));
        after.type_text("x");
        after.output_with("x");
    }
}

#[test]
fn what_starts_while_the_worker_dies_is_not_left_running_unknown() {
    let node = Node::start();
    let mut worker = node.serving();
    // A first answer makes sure that the keeper listens; the second spawn is cut off by the kill or not: either way it
    // is handed over or gone.
    worker.sh("exec sleep 1000");
    let spec = command(&["sleep", "4242"]);
    let session_id = devpocket_shared::ids::SessionId::new(uuid::Uuid::new_v4());
    worker.say(&ToKeeper::Spawn(Box::new(ptyd::handover::Spawn {
        request: 77,
        session_id,
        owner: crate::worker::owner(1),
        spec,
        region_bytes: crate::worker::REGION_BYTES,
        record: Vec::new(),
    })));
    worker.kill();
    let (_, _, sessions) = node.worker().take_over();
    let adopted = sessions.iter().any(|session| session.id == session_id);
    let tag = format!("DEVPOCKET_SESSION={session_id}");
    wait_until("it is adopted or gone", || adopted == any_process_with(&tag));
}

fn find<const N: usize>(sessions: Vec<Session>, wanted: [&Session; N]) -> [Session; N] {
    let mut sessions = sessions;
    wanted.map(|wanted| {
        let at = sessions.iter().position(|session| session.id == wanted.id).expect("handed over");
        sessions.swap_remove(at)
    })
}

fn boot_id(node: &Node) -> String {
    let log = node.log();
    let (_, rest) = log.split_once("\"boot.id\":\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

fn any_process_with(variable: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("environ")).ok())
        .any(|environment| environment.split(|byte| *byte == 0).any(|found| found == variable.as_bytes()))
}

#[test]
fn a_worker_is_killed_again_and_again_and_the_shell_never_notices() {
    let node = Node::start();
    let mut worker = node.serving();
    let mut session = worker.sh("while read x; do echo \"<$x>\"; done");
    for round in 0..6 {
        nix::sys::signal::kill(worker.pid, Signal::SIGKILL).unwrap();
        worker = node.worker();
        [session] = find(worker.take_over().2, [&session]);
        session.type_text(&format!("{round}\n"));
        session.output_with(&format!("<{round}>"));
    }
}
