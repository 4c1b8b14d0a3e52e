//! Several nodes behind one database, each with an api of its own.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use devpocket_shared::ids::{NodeId, SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{Change, Limits, Spec, Update};
use devpocket_tests::wait_for;
use time::{Duration, OffsetDateTime};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Api;
use super::node::Node;
use crate::domain::clock::Clock;
use crate::domain::session::{Changes, Status};
use crate::domain::sessions::{BatchAction, Caller, NewSession, Outcome, SessionError, Sessions, Wanted};
use crate::link::{Link, Target};
use crate::store::tests::owner;
use crate::store::{SessionFilter, SessionStore};

/// An api's sessions, of which a test sees and moves the time.
pub(super) struct Side {
    pub(super) sessions: Sessions,
    pub(super) place: tempfile::TempDir,
}

impl Side {
    pub(super) fn new(api: &Api, seconds: &Arc<AtomicI64>) -> Self {
        Self::again(api, seconds, tempfile::tempdir().unwrap())
    }

    /// Another process at the place of one before.
    fn again(api: &Api, seconds: &Arc<AtomicI64>, place: tempfile::TempDir) -> Self {
        let (start, moved) = (OffsetDateTime::now_utc(), seconds.clone());
        let clock = Clock::from_fn(move || start + Duration::seconds(moved.load(Ordering::SeqCst)));
        Self { sessions: sessions(api, place.path(), clock), place }
    }

    pub(super) async fn compare(&self) {
        self.sessions.compare(&mut BTreeSet::new()).await.unwrap();
    }
}

fn sessions(api: &Api, directory: &Path, clock: Clock) -> Sessions {
    let link = Link::new(Target::Unix(directory.join("ptyd.sock")), TaskTracker::new());
    Sessions::new(Arc::new(api.database.clone()), Arc::new(link), clock)
}

pub(super) async fn status(api: &Api, owner: UserId, id: SessionId) -> Status {
    api.database.session(owner, id).await.unwrap().unwrap().status
}

pub(super) fn node_id() -> NodeId {
    NodeId::new(Uuid::new_v4())
}

fn new() -> NewSession {
    let (size, command) = (TerminalSize::DEFAULT, Vec::new());
    let spec = Spec { name: None, command, working_directory: None, environment: Vec::new(), size };
    NewSession { spec, description: None, limits: Limits::default() }
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
    let status = async |id: SessionId| status(&api, ann, id).await;
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

/// The story: an api that was started together with a node in the place of another held the sessions of that one for living
/// for a day, and they could not even be deleted.
#[tokio::test]
async fn a_session_is_lost_within_a_minute_where_api_and_node_were_replaced_together() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let before = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let node = Node::listen_as(before.place.path(), node_id(), super::node::Held::default());
    let session = node.start(ann);
    before.compare().await;
    drop(node);
    let _node = Node::listen_as(before.place.path(), node_id(), super::node::Held::default());
    let after = Side::again(&api, &seconds, before.place);
    for (passed, expected) in [(0, Status::Running), (59, Status::Running), (61, Status::Lost)] {
        seconds.store(passed, Ordering::SeqCst);
        after.compare().await;
        assert_eq!(status(&api, ann, session).await, expected, "after {passed} s");
    }
}

#[tokio::test]
async fn a_session_whose_node_nobody_has_heard_of_for_half_an_hour_is_lost_until_it_comes_back() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let id = node_id();
    let other = Node::listen_as(right.place.path(), id, super::node::Held::default());
    let there = other.start(ann);
    let _node = Node::listen_as(left.place.path(), node_id(), super::node::Held::default());
    for passed in [0, 700] {
        seconds.store(passed, Ordering::SeqCst);
        right.compare().await;
        left.compare().await;
    }
    // Its api is gone too: the nodes were there beside each other, so that neither came in the other's place.
    let held = other.leave();
    for minute in 1..=30 {
        seconds.store(700 + 60 * minute, Ordering::SeqCst);
        assert_eq!(status(&api, ann, there).await, Status::Running, "after {minute} minutes");
        left.compare().await;
    }
    assert_eq!(status(&api, ann, there).await, Status::Lost);
    let _back = Node::listen_as(right.place.path(), id, held);
    right.compare().await;
    left.compare().await;
    assert_eq!(status(&api, ann, there).await, Status::Running);
}

/// The story: while its node was away, or another api's, a session could be neither ended nor deleted, and kept its name.
#[tokio::test]
async fn what_is_ended_or_deleted_while_its_node_cannot_be_reached_is_once_it_is() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let (here, there) = (node_id(), node_id());
    let node = Node::listen_as(left.place.path(), here, super::node::Held::default());
    let other = Node::listen_as(right.place.path(), there, super::node::Held::default());
    let mine = [node.start(ann), node.start(ann)];
    let [ended, deleted] = [other.start(ann), other.start(ann)];
    left.compare().await;
    right.compare().await;

    // At another api's node.
    assert_eq!(left.sessions.terminate(caller, ended).await.unwrap().session.status, Status::Running);
    left.sessions.delete(caller, deleted).await.unwrap();
    assert!(
        left.sessions.delete(caller, deleted).await.is_err_and(|err| matches!(err, SessionError::NotFound))
    );
    assert_eq!(api.database.session(ann, deleted).await.unwrap(), None);
    let mut told = BTreeSet::new();
    left.sessions.end_wanted(&mut told).await.unwrap();
    left.compare().await;
    assert!(told.is_empty() && other.is_live(ended) && other.is_live(deleted));
    right.sessions.end_wanted(&mut told).await.unwrap();
    assert!(told.contains(&ended) && !other.is_live(ended));
    right.compare().await;
    assert_eq!(status(&api, ann, ended).await, Status::Exited);
    assert_eq!(other.count(), 1);
    right.compare().await;
    assert_eq!(api.database.session(ann, deleted).await.unwrap(), None, "it is not taken in again");
    let noted = async || api.database.count("select count(*) from unwanted_sessions").await;
    assert_eq!(noted().await, 1, "somebody may be about to enter it");
    seconds.fetch_add(61, Ordering::SeqCst);
    // Each is still there for the other.
    left.compare().await;
    right.compare().await;
    assert_eq!(noted().await, 0);

    // At the own one, which is away.
    let held = node.leave();
    left.sessions.terminate(caller, mine[0]).await.unwrap();
    left.sessions.delete(caller, mine[1]).await.unwrap();
    let (listed, _) = api.database.sessions(ann, &SessionFilter::default(), 0, 10).await.unwrap();
    assert!(listed.iter().all(|session| session.id != mine[1]));
    let node = Node::listen_as(left.place.path(), here, held);
    left.compare().await;
    left.sessions.end_wanted(&mut told).await.unwrap();
    assert_eq!((node.is_live(mine[0]), node.is_live(mine[1])), (false, false));
}

/// The story: a list showed two sessions, of which a filter found one and the counts another number; health said of one that
/// nobody had asked that it is well; a change was refused after it had been made, and one id spoilt a whole batch.
#[tokio::test]
async fn at_an_api_that_leads_to_another_node_lists_counts_and_acts_agree() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let node = Node::listen_as(left.place.path(), node_id(), super::node::Held::default());
    let other = Node::listen_as(right.place.path(), node_id(), super::node::Held::default());
    let (here, there) = (node.start(ann), other.start(ann));
    left.compare().await;
    right.compare().await;

    let all = SessionFilter::default;
    let live = |attached| Wanted::Live { filter: all(), attached };
    for (wanted, expected) in [(Wanted::Filtered(all()), 2), (live(false), 2), (live(true), 0)] {
        let (listed, total) = left.sessions.list(caller, wanted, 0, 10).await.unwrap();
        assert_eq!((listed.len(), total), (usize::try_from(expected).unwrap(), expected));
    }
    let overview = left.sessions.overview(caller).await.unwrap();
    assert_eq!((overview.active, overview.detached), (0, 2));
    assert_eq!(overview.by_status[&Status::Running], 2);
    let known = left.sessions.count_known(caller).await.unwrap();
    assert_eq!((known.all, known.live), (2, 2));
    for (id, answered) in [(here, true), (there, false)] {
        assert_eq!(left.sessions.health(caller, id).await.unwrap().shown.is_answered, answered);
    }
    let name = Update { name: Change::Set("another".to_owned()), ..Update::default() };
    let changes = Changes { update: name, ..Changes::default() };
    let refused = left.sessions.change(caller, there, changes).await;
    assert!(matches!(refused, Err(SessionError::Elsewhere)), "{refused:?}");
    let booked = api.database.session(ann, there).await.unwrap().unwrap();
    assert_eq!(booked.name.as_deref(), Some("work"));
    let ids = [there, SessionId::new(Uuid::new_v4()), here];
    let outcomes = left.sessions.batch(caller, BatchAction::Terminate, &ids).await.unwrap();
    assert_eq!(outcomes, [Outcome::Done, Outcome::NotFound, Outcome::Done]);
    assert!(!node.is_live(here));
}

/// The story: a creation whose api died half way was gone on with at the api of another node, where it made a second session
/// of the same id.
#[tokio::test]
async fn a_creation_is_gone_on_with_at_the_node_alone_that_it_began_at() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (left, right) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let (here, say_so) = (node_id(), Arc::new(Notify::new()));
    let node = Node::listen_and_make_as(left.place.path(), here, say_so.clone());
    let other = Node::listen_and_make_as(right.place.path(), node_id(), Arc::new(Notify::new()));
    let id = SessionId::new(Uuid::now_v7());
    let meanwhile = async {
        wait_for("the node made it", std::time::Duration::from_secs(20), async || {
            (node.count() == 1).then_some(())
        })
        .await;
        let begun = api.database.session(ann, id).await.unwrap().unwrap();
        assert_eq!((begun.status, begun.node), (Status::Starting, Some(here)));
        right.compare().await;
        let elsewhere = right.sessions.create(caller, id, new()).await;
        assert!(matches!(elsewhere, Err(SessionError::Elsewhere)), "{elsewhere:?}");
        assert_eq!((status(&api, ann, id).await, other.count()), (Status::Starting, 0));
        say_so.notify_one();
    };
    let (made, ()) = tokio::join!(left.sessions.create(caller, id, new()), meanwhile);
    assert_eq!(made.unwrap().session.status, Status::Running);
    let found = right.sessions.create(caller, id, new()).await.unwrap();
    assert_eq!((found.session.node, other.count()), (Some(here), 0));
}

/// An api that was killed when the session was there and had not been answered for: the one that comes after it finds out.
#[tokio::test]
async fn a_creation_whose_api_died_before_it_heard_of_it_is_running_by_the_nodes_next_roll() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let before = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    // It never says that it made one.
    let (here, silent) = (node_id(), Arc::new(Notify::new()));
    let node = Node::listen_and_make_as(before.place.path(), here, silent);
    let id = SessionId::new(Uuid::now_v7());
    let limit = std::time::Duration::from_secs(20);
    let made = wait_for("the node made it", limit, async || (node.count() == 1).then_some(()));
    tokio::select! {
        answered = before.sessions.create(caller, id, new()) => panic!("{answered:?}"),
        () = made => {}
    }
    assert_eq!(status(&api, ann, id).await, Status::Starting);
    let after = Side::again(&api, &seconds, before.place);
    after.compare().await;
    let session = api.database.session(ann, id).await.unwrap().unwrap();
    assert_eq!((session.status, session.node), (Status::Running, Some(here)));
    assert!(session.started_at.is_some(), "{session:?}");
    // And not for another minute only.
    seconds.fetch_add(3600, Ordering::SeqCst);
    after.compare().await;
    assert_eq!((status(&api, ann, id).await, node.count()), (Status::Running, 1));
}
