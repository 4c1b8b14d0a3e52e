//! How long a node is waited for, and what is refused at the start.

use std::os::unix::fs::PermissionsExt;

use devpocket_shared::certificates;
use devpocket_shared::ids::UserId;
use tokio::net::UnixListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::*;

fn list() -> Request {
    Request::List { owner: UserId::new(Uuid::nil()) }
}

/// A link to a socket in a directory.
fn link(directory: &tempfile::TempDir) -> Link {
    Link::new(Target::Unix(directory.path().join("ptyd.sock")), TaskTracker::new())
}

fn listen(directory: &tempfile::TempDir) -> UnixListener {
    UnixListener::bind(directory.path().join("ptyd.sock")).unwrap()
}

async fn answer(socket: UnixStream) {
    let (mut reader, mut writer) = stream::over_unix(socket).unwrap();
    let hello: Hello = reader.next_control().await.unwrap().unwrap();
    let _: Request = reader.next_control().await.unwrap().unwrap();
    writer.send(&hello).await.unwrap();
    writer.send(&Answer::Done).await.unwrap();
    writer.finish().await.unwrap();
}

/// The story: whatever needs the node waited ten seconds for its 503, though nothing was there.
#[tokio::test]
async fn a_node_where_nothing_runs_is_waited_for_for_a_moment() {
    let place = tempfile::tempdir().unwrap();
    let link = link(&place);
    for has_been_there in [false, true] {
        if has_been_there {
            // The socket of one that was killed stays.
            drop(listen(&place));
        }
        let began = Instant::now();
        let asked = link.request_now("test", &list()).await;
        assert!(matches!(asked, Err(OnceError::NotSent(_))), "{asked:?}");
        let typed = link.request_once("test", &list()).await;
        assert!(matches!(typed, Err(OnceError::NotSent(_))), "{typed:?}");
        assert!(began.elapsed() < REQUEST, "after {:?}", began.elapsed());
    }
}

/// A worker that is killed again and again leaves its keeper's socket, and its requests half way.
#[tokio::test]
async fn a_worker_that_is_started_again_is_waited_for() {
    let place = tempfile::tempdir().unwrap();
    let (link, listener) = (link(&place), listen(&place));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        let began = Instant::now();
        while began.elapsed() < ABSENCE * 2 {
            drop(listener.accept().await.unwrap());
        }
        answer(listener.accept().await.unwrap().0).await;
    });
    let asked = link.request_now("test", &list()).await;
    assert!(matches!(asked, Ok((Answer::Done, _))), "{asked:?}");
    serving.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_nobody_is_waited_for_for_long_once() {
    let place = tempfile::tempdir().unwrap();
    let (link, listener) = (link(&place), listen(&place));
    let asked = async |longest: Duration| {
        let began = Instant::now();
        let asked = link.request_now("test", &list()).await;
        assert!(matches!(asked, Err(OnceError::Unknown(_))), "{asked:?}");
        assert_eq!(began.elapsed().as_secs(), longest.as_secs());
    };
    asked(REQUEST).await;
    asked(SILENT_REQUEST).await;
    // It answers again: from there on it is waited for as before.
    let unanswered = async {
        for _ in 0..3 {
            drop(listener.accept().await.unwrap());
        }
        answer(listener.accept().await.unwrap().0).await;
    };
    let request = list();
    let (again, ()) = tokio::join!(link.request_now("test", &request), unanswered);
    assert!(again.is_ok(), "{again:?}");
    asked(REQUEST).await;
}

/// The error of a start with the certificates of a directory, after `damage` to it.
fn refused(damage: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    certificates::make_all(dir.path()).unwrap();
    damage(dir.path());
    let address = PtydAddress::Quic("localhost:1".to_owned());
    let refused = Link::from_config(address, Some(dir.path()), TaskTracker::new()).unwrap_err();
    crate::chain(&refused)
}

/// It once started, and every ptyd turned it away without a word in its log.
#[tokio::test]
async fn a_certificate_that_is_not_an_apis_is_refused_at_the_start_and_its_file_named() {
    let said = refused(|dir| {
        for (from, to) in [("ptyd.pem", "api.pem"), ("ptyd.key", "api.key")] {
            std::fs::copy(dir.join(from), dir.join(to)).unwrap();
        }
    });
    assert!(said.contains("/api.pem cannot be used") && said.contains(MAKE_COMMAND), "{said}");
}

#[tokio::test]
async fn a_key_that_others_could_read_or_write_is_refused_at_the_start() {
    let with_mode = |file: &'static str, mode| {
        refused(move |dir| {
            std::fs::set_permissions(dir.join(file), std::fs::Permissions::from_mode(mode)).unwrap();
        })
    };
    assert!(with_mode("api.key", 0o644).contains("everybody may read it"));
    assert!(with_mode("api.key", 0o620).contains("others may write to it"));
    assert!(with_mode("ca.pem", 0o666).contains("others may write to it"));
}
