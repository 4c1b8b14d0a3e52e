//! Several nodes behind one database, each with an api of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use devpocket_shared::ids::{NodeId, SessionId};
use time::{Duration, OffsetDateTime};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Api;
use super::node::Node;
use crate::domain::clock::Clock;
use crate::domain::session::Status;
use crate::domain::sessions::{Caller, SessionError, Sessions};
use crate::link::{Link, Target};
use crate::store::SessionStore;
use crate::store::tests::owner;

/// An api's sessions, of which a test sees and moves the time.
struct Side {
    sessions: Sessions,
    place: tempfile::TempDir,
}

impl Side {
    fn new(api: &Api, seconds: &Arc<AtomicI64>) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (start, moved) = (OffsetDateTime::now_utc(), seconds.clone());
        let clock = Clock::from_fn(move || start + Duration::seconds(moved.load(Ordering::SeqCst)));
        Self { sessions: sessions(api, place.path(), clock), place }
    }

    async fn compare(&self) {
        self.sessions.compare(&mut BTreeSet::new()).await.unwrap();
    }
}

fn sessions(api: &Api, directory: &Path, clock: Clock) -> Sessions {
    let link = Link::new(Target::Unix(directory.join("ptyd.sock")), TaskTracker::new());
    Sessions::new(Arc::new(api.database.clone()), Arc::new(link), clock)
}

fn node_id() -> NodeId {
    NodeId::new(Uuid::new_v4())
}

/// The story: apis that lead to different nodes marked each other's sessions lost every five seconds, and whoever came to
/// the wrong one was told that the session is over, or nothing of it.
#[tokio::test]
async fn a_session_on_another_apis_node_is_neither_lost_nor_over() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let node = Node::listen_as(left.place.path(), node_id(), super::node::Held::default());
    let other = Node::listen_as(right.place.path(), node_id(), super::node::Held::default());
    let (here, there) = (node.start(ann), other.start(ann));
    let status = async |id: SessionId| api.database.session(ann, id).await.unwrap().unwrap().status;
    for _ in 0..3 {
        left.compare().await;
        right.compare().await;
        // Far longer than a session may be starting.
        seconds.fetch_add(3600, Ordering::SeqCst);
    }
    assert_eq!((status(here).await, status(there).await), (Status::Running, Status::Running));

    let caller = Caller { owner: ann, request_id: "test" };
    let shown = left.sessions.show(caller, there).await.unwrap();
    assert_eq!(shown.session.status, Status::Running);
    let elsewhere = |err: &SessionError| matches!(err, SessionError::Elsewhere);
    assert!(left.sessions.terminate(caller, there).await.is_err_and(|err| elsewhere(&err)));
    assert!(left.sessions.delete(caller, there).await.is_err_and(|err| elsewhere(&err)));
    assert!(left.sessions.input(caller, there, "x".to_owned()).await.is_err_and(|err| elsewhere(&err)));
    assert!(left.sessions.fate(caller, there).await.is_err_and(|err| elsewhere(&err)));
    assert!(other.is_live(there));
    drop(node);
    assert_eq!(left.sessions.fate_without_node(caller, there).await.unwrap(), None);
    let gone = left.sessions.fate_without_node(caller, here).await.unwrap().unwrap();
    assert_eq!(gone.status, Status::Lost);

    // Another node in the place of one that this api has seen there: that one is gone.
    let _replaced = Node::listen_as(left.place.path(), node_id(), super::node::Held::default());
    left.compare().await;
    assert_eq!((status(here).await, status(there).await), (Status::Lost, Status::Running));
}

/// An api that is started when its node has been replaced already cannot know that, and waits for a day.
#[tokio::test]
async fn a_session_whose_node_nobody_has_heard_of_for_a_day_is_lost_until_it_comes_back() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let id = node_id();
    let other = Node::listen_as(right.place.path(), id, super::node::Held::default());
    let there = other.start(ann);
    right.compare().await;
    let _node = Node::listen_as(left.place.path(), node_id(), super::node::Held::default());
    let held = other.leave();
    let status = async || api.database.session(ann, there).await.unwrap().unwrap().status;
    let day = 24 * 60 * 60;
    for (passed, expected) in [(0, Status::Running), (day - 1, Status::Running), (day + 1, Status::Lost)] {
        seconds.store(passed, Ordering::SeqCst);
        left.compare().await;
        assert_eq!(status().await, expected, "after {passed} s");
    }
    let _back = Node::listen_as(right.place.path(), id, held);
    right.compare().await;
    left.compare().await;
    assert_eq!(status().await, Status::Running);
}
