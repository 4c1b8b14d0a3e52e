//! The memory that sessions have at a real keeper: what is left of it of those that ended, and what becomes of one whose
//! memory is damaged.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use devpocket_tests::client::start::{command, raw_script, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::process::send;
use devpocket_tests::stack::{Stack, users};
use devpocket_tests::wait_until;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::json;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(60);
/// As many keep their output.
const WHOLE: usize = 32;
/// A screen and what tells what it is of.
const SMALL_KIB: u64 = 100;

/// The memory of each session.
fn memory_files(keeper: Pid) -> Vec<PathBuf> {
    let descriptors = fs::read_dir(format!("/proc/{keeper}/fd")).expect("the keeper's descriptors");
    let paths = descriptors.filter_map(|entry| Some(entry.ok()?.path()));
    let is_memory =
        |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("ptyd-ring"));
    paths.filter(is_memory).collect()
}

/// What each session's memory takes, in KiB.
fn memories(keeper: Pid) -> Vec<u64> {
    let files = memory_files(keeper);
    files.iter().filter_map(|path| Some(fs::metadata(path).ok()?.blocks() / 2)).collect()
}

fn small(keeper: Pid) -> usize {
    memories(keeper).into_iter().filter(|kib| *kib < SMALL_KIB).count()
}

/// The story: 30 builds that had ended kept 155 MB for a day.
#[tokio::test]
async fn of_many_ended_sessions_the_oldest_keep_their_last_screen_alone() {
    if !users::is_root() {
        // Nobody else may look at the keeper's descriptors.
        return;
    }
    let stack = Stack::start().await;
    let keeper = stack.keeper_pid();
    let mut ended = Vec::new();
    for number in 0..WHOLE + 3 {
        let script = format!("seq -f 'line %.0f of a build that says much' 12000; printf 'end of {number}'");
        let (mut socket, attached) = session(&stack, Framing::Json, raw_script(&script)).await;
        socket.read_to_end(attached.session).await;
        ended.push(attached.session);
    }
    wait_until("the oldest gave their memory back", SOON, async || small(keeper) == 3).await;
    assert!(memories(keeper).into_iter().sum::<u64>() > WHOLE as u64 * 512, "the others have theirs");

    assert!(stack.kill_worker());
    let (mut socket, attached) = Socket::attach_patiently(
        &stack.opening(0, Framing::Json),
        ended[0],
        &json!({"offset": 0, "scrollback": 1000}),
    )
    .await;
    assert_eq!(attached.kind, "snapshot");
    let shown = socket.read_until(ended[0], "end of 0").await;
    let told = socket.wait_status(ended[0], "exited").await;
    assert!(shown.contains("line 11999 ") && shown.contains("end of 0"), "{shown:?}");
    assert!(!shown.contains("line 11000 "), "the lines above the screen are gone");
    assert_eq!(told.data()["exit"], json!({"code": 0}));
    let scrollback = Rest::new(stack.address(0), Some(&stack.admin.access_token))
        .get(&format!("/api/sessions/{}/scrollback", ended[0]))
        .await
        .expect(200);
    assert_eq!((&scrollback["lines"], &scrollback["first_line"]), (&json!([]), &scrollback["total"]));
    wait_until("nothing was written to what was given back", SOON, async || small(keeper) == 3).await;

    // A recent one has all its lines.
    let (mut socket, attached) =
        Socket::attach_patiently(&stack.opening(0, Framing::Json), ended[WHOLE], &json!({"offset": 0})).await;
    assert_eq!(attached.kind, "replay");
    assert!(socket.read_to_end(ended[WHOLE]).await.0.contains("line 1 of"));
}

/// The story: nobody read its output any more, its program ran on, and to its clients it had never been.
#[tokio::test]
async fn a_session_whose_memory_is_damaged_is_ended_and_told_so() {
    if !users::is_root() {
        return;
    }
    let stack = Stack::start().await;
    let (mut socket, damaged) = session(&stack, Framing::Binary, command(&["cat"])).await;
    let worker = stack.worker_ready().await;
    send(worker, Signal::SIGSTOP);
    for path in memory_files(stack.keeper_pid()) {
        let memory = fs::OpenOptions::new().write(true).open(path).expect("a session's memory");
        // How far its output goes, beyond all that can have been read.
        memory.write_all_at(&[0xFF; 8], 32).expect("it can be written");
    }
    assert!(stack.kill_worker());
    socket.wait_status(damaged.session, "interrupted").await;
    let (mut whole, other) = session(&stack, Framing::Binary, command(&["cat"])).await;

    let opening = stack.opening(0, Framing::Binary);
    let (mut socket, _) = Socket::attach_patiently(&opening, damaged.session, &json!({})).await;
    let told = socket.wait_status(damaged.session, "exited").await;
    assert_eq!(told.data()["reason"], "terminated", "{}", told.body);
    let rest = Rest::new(stack.address(0), Some(&stack.admin.access_token));
    wait_until("the books know", SOON, async || {
        let booked = rest.get(&format!("/api/sessions/{}", damaged.session)).await.expect(200);
        booked["status"] == "terminated"
    })
    .await;
    whole.send_input(other.session, None, b"goes on\n");
    whole.read_until(other.session, "goes on").await;
}
