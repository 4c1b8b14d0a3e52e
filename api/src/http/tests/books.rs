//! The books of sessions beside a node that fails half way, and beside others that look at the same moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use devpocket_shared::ids::{SessionId, TerminalSize, UserId};
use devpocket_shared::wire::{Change, Limits, Spec, Update};
use devpocket_tests::wait_for;
use tokio::sync::Notify;
use tokio::time::Instant;
use uuid::Uuid;

use super::Api;
use super::node::{Held, Node};
use super::nodes::{Side, node_id, status};
use crate::domain::session::{Changes, Session, Status};
use crate::domain::sessions::{Caller, NewSession, SessionError, Wanted};
use crate::store::tests::owner;
use crate::store::{Added, SessionFilter, SessionStore};

/// Far longer than what is tested here takes, and far shorter than a request is tried at a node that may come back.
const SOON: Duration = Duration::from_secs(6);

fn spec(name: &str) -> Spec {
    let (name, size) = (Some(name.to_owned()), TerminalSize::DEFAULT);
    Spec { name, command: Vec::new(), working_directory: None, environment: Vec::new(), size }
}

fn new(name: &str) -> NewSession {
    NewSession { spec: spec(name), description: None, limits: Limits::default() }
}

fn id() -> SessionId {
    SessionId::new(Uuid::now_v7())
}

fn unreachable<T>(asked: &Result<T, SessionError>) -> bool {
    matches!(asked, Err(SessionError::Link(_)))
}

async fn booked(api: &Api, owner: UserId) -> Vec<Session> {
    api.database.sessions(owner, &SessionFilter::default(), 0, 100).await.unwrap().0
}

/// The story: a creation that was answered with 503 came back under its key as made and lost.
#[tokio::test]
async fn a_creation_that_was_given_up_is_made_when_it_is_asked_for_again() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let side = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let here = node_id();
    let empty = Node::listen_as(side.place.path(), here, Held::default());
    side.compare().await;
    let begun = Session {
        node: Some(here),
        ..Session::new(id(), ann, &spec("late"), Limits::default(), time::OffsetDateTime::now_utc())
    };
    assert_eq!(api.database.add_session(&begun).await.unwrap(), Added::Done);
    seconds.fetch_add(70, Ordering::SeqCst);
    side.compare().await;
    assert_eq!(status(&api, ann, begun.id).await, Status::Lost);
    drop(empty);
    let node = Node::listen_and_make_at_once_as(side.place.path(), here);
    let made = side.sessions.create(caller, begun.id, new("late")).await.unwrap();
    assert_eq!((made.session.status, made.session.id), (Status::Running, begun.id));
    assert!(node.is_live(begun.id) && made.session.error_message.is_none());
    assert_eq!(booked(&api, ann).await.len(), 1);
}

/// The story: a creation whose node was away took ten seconds, kept its name for a minute and was lost for ever.
#[tokio::test]
async fn a_creation_that_its_node_was_never_asked_for_leaves_nothing() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let side = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let here = node_id();
    let create = async || {
        let began = Instant::now();
        let made = side.sessions.create(caller, id(), new("mine")).await;
        assert!(began.elapsed() < SOON, "after {:?}", began.elapsed());
        made
    };
    // Nothing has ever been there.
    assert!(unreachable(&create().await) && booked(&api, ann).await.is_empty());
    // It has just ended, and nobody has noticed.
    let node = Node::listen_as(side.place.path(), here, Held::default());
    let other = node.start(ann);
    side.compare().await;
    assert!(side.sessions.show(caller, other).await.unwrap().is_answered);
    let held = node.leave();
    let left = async || booked(&api, ann).await.iter().map(|session| session.id).collect::<Vec<_>>();
    assert!(unreachable(&create().await));
    assert_eq!(left().await, [other]);
    // It is known to be away.
    assert!(unreachable(&create().await));
    assert_eq!(left().await, [other]);
    held.lock().unwrap().clear();
    let _node = Node::listen_and_make_at_once_as(side.place.path(), here);
    assert_eq!(create().await.unwrap().session.name.as_deref(), Some("mine"));
}

/// The story: one that its node was asked for and did not answer was starting for a minute, whatever the node said.
#[tokio::test]
async fn a_creation_that_was_not_answered_is_settled_by_the_nodes_next_roll() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let side = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let (here, first) = (node_id(), id());
    let node = Node::listen_and_make_as(side.place.path(), here, Arc::new(Notify::new()));
    side.compare().await;
    let dying = async {
        wait_for("the node was asked", Duration::from_secs(20), async || (node.count() == 1).then_some(()))
            .await;
        // A look of the books at this very moment, which finds it on the roll, says nothing of its end.
        assert_eq!(status(&api, ann, first).await, Status::Starting);
        drop(node);
    };
    let (made, ()) = tokio::join!(side.sessions.create(caller, first, new("mine")), dying);
    assert!(unreachable(&made), "{made:?}");
    assert_eq!(status(&api, ann, first).await, Status::Starting, "nobody knows");
    let _node = Node::listen_and_make_at_once_as(side.place.path(), here);
    side.compare().await;
    assert_eq!(status(&api, ann, first).await, Status::Lost);
    // Its name is free, and it may be asked for again.
    side.sessions.create(caller, id(), new("mine")).await.unwrap();
    let again = side.sessions.create(caller, first, new("another")).await.unwrap();
    assert_eq!(again.session.status, Status::Running);
}

/// While somebody asks for one again it is not settled by a roll from before.
#[tokio::test]
async fn a_creation_that_is_asked_for_again_is_not_given_up_meanwhile() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let (side, other) = (Side::new(&api, &seconds), Side::new(&api, &seconds));
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let (here, say_so) = (node_id(), Arc::new(Notify::new()));
    let begun = Session {
        node: Some(here),
        ..Session::new(id(), ann, &spec("slow"), Limits::default(), time::OffsetDateTime::now_utc())
    };
    assert_eq!(api.database.add_session(&begun).await.unwrap(), Added::Done);
    api.database.note_asking(begun.id, None).await.unwrap();
    let before = api.database.unended_sessions(Some(ann)).await.unwrap().pop().unwrap();
    let node = Node::listen_and_make_as(side.place.path(), here, say_so.clone());
    // Another api reaches the same node, which knows nothing of it as far as that one sees.
    let _empty = Node::listen_as(other.place.path(), here, Held::default());
    let meanwhile = async {
        wait_for("the node was asked", Duration::from_secs(20), async || (node.count() == 1).then_some(()))
            .await;
        other.compare().await;
        let now = time::OffsetDateTime::now_utc();
        api.database.session_lost(&before, "as it was", now).await.unwrap();
        assert_eq!(status(&api, ann, begun.id).await, Status::Starting);
        say_so.notify_one();
    };
    let (made, ()) = tokio::join!(side.sessions.create(caller, begun.id, new("slow")), meanwhile);
    assert_eq!(made.unwrap().session.status, Status::Running);
}

/// The story: of sessions that were deleted while somebody listed them some came back, and stayed.
#[tokio::test]
async fn a_session_that_is_deleted_while_it_is_listed_does_not_come_back() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let side = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    let node = Node::listen_as(side.place.path(), node_id(), Held::default());
    side.compare().await;
    let list = async || {
        let all = Wanted::Filtered(SessionFilter::default());
        side.sessions.list(caller, all, 0, 10).await.unwrap().0.len()
    };
    // Neither has been entered when the node says what it has.
    for was_booked in [false, true] {
        let session = node.start(ann);
        let gate = node.hold_details();
        let deleting = async {
            gate.reached.notified().await;
            if was_booked {
                side.compare().await;
            }
            side.sessions.delete(caller, session).await.unwrap();
            gate.opened.notify_one();
        };
        let (listed, ()) = tokio::join!(list(), deleting);
        assert_eq!((listed, node.count()), (0, 0));
        assert!(booked(&api, ann).await.is_empty(), "was booked: {was_booked}");
        side.compare().await;
        assert_eq!(list().await, 0);
    }
}

/// The story: a change that the node refused was answered with an error, and the name was another.
#[tokio::test]
async fn a_change_that_the_node_does_not_take_is_not_in_the_books() {
    let api = Api::new().await;
    let seconds = Arc::new(AtomicI64::new(0));
    let side = Side::new(&api, &seconds);
    let ann = owner(&api.database, "ann").await;
    let caller = Caller { owner: ann, request_id: "test" };
    // It takes no changes.
    let node = Node::listen_as(side.place.path(), node_id(), Held::default());
    let session = node.start(ann);
    side.compare().await;
    let before = api.database.session(ann, session).await.unwrap().unwrap();
    let update = Update {
        name: Change::Set("another".to_owned()),
        max_duration_secs: Change::Set(9),
        ..Update::default()
    };
    let changes = Changes { update, description: Change::Set("words".to_owned()) };
    let refused = side.sessions.change(caller, session, changes).await;
    assert!(matches!(refused, Err(SessionError::Refused(_))), "{refused:?}");
    assert_eq!(api.database.session(ann, session).await.unwrap().unwrap(), before);
}
