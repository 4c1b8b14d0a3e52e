//! What ended sessions cost, and what is left of them: the memory of the host's real keeper.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use devpocket_tests::client::start::{raw_script, session};
use devpocket_tests::client::{Framing, Socket};
use devpocket_tests::rest::Rest;
use devpocket_tests::stack::{Stack, users};
use devpocket_tests::wait_until;
use nix::unistd::Pid;
use serde_json::json;

/// Far more than anything here takes.
const SOON: Duration = Duration::from_secs(60);
/// As many keep their output.
const WHOLE: usize = 32;
/// A screen and what tells what it is of.
const SMALL_KIB: u64 = 100;

/// What each session's memory takes, in KiB.
fn memories(keeper: Pid) -> Vec<u64> {
    let descriptors = fs::read_dir(format!("/proc/{keeper}/fd")).expect("the keeper's descriptors");
    let paths = descriptors.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().contains("ptyd-ring")))
        .filter_map(|path| Some(fs::metadata(path).ok()?.blocks() / 2))
        .collect()
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
