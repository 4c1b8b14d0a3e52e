//! What the books of sessions promise, on both databases.

use devpocket_shared::ids::TerminalSize;
use devpocket_shared::wire::{Change, EndReason, Exit, Limits, Spec, Update};
use futures_util::future::join_all;
use time::Duration;

use super::*;
use crate::store::tests::{Place, PostgresPlace, SqlitePlace, owner, t0};

fn session(owner: UserId, name: &str) -> Session {
    let spec = Spec {
        name: Some(name.to_owned()),
        command: vec!["sh".to_owned(), "-c".to_owned(), "echo '\u{e4}\\\u{1F600}\"'".to_owned()],
        working_directory: Some("/tmp".to_owned()),
        environment: Vec::new(),
        size: TerminalSize::new(30, 100).unwrap(),
    };
    let limits = Limits { idle_timeout_secs: Some(60), max_duration_secs: Some(u32::MAX) };
    Session::new(SessionId::new(Uuid::now_v7()), owner, &spec, limits, t0())
}

fn named(name: &str) -> Changes {
    let update = Update { name: Change::Set(name.to_owned()), ..Update::default() };
    Changes { update, ..Changes::default() }
}

fn described(description: &str) -> Changes {
    Changes { description: Change::Set(description.to_owned()), ..Changes::default() }
}

fn node() -> NodeId {
    NodeId::new(Uuid::from_u128(9))
}

async fn found(database: &Database, session: &Session) -> Session {
    database.session(session.owner, session.id).await.unwrap().unwrap()
}

async fn what_is_written_is_read_back<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let (ann, bob) = (owner(&database, "ann").await, owner(&database, "bob").await);
    let mut session = session(ann, "build");
    session.description = Some("my own".to_owned());
    assert_eq!(database.add_session(&session).await.unwrap(), Added::Done);
    assert_eq!(found(&database, &session).await, session);
    let at = t0() + Duration::microseconds(1);
    database.session_started(session.id, Some(node()), at).await.unwrap();
    (session.status, session.node, session.started_at) = (Status::Running, Some(node()), Some(at));
    assert_eq!(found(&database, &session).await, session);
    let unended = database.unended_sessions(Some(ann)).await.unwrap();
    let expected = Unended {
        id: session.id,
        node: Some(node()),
        status: Status::Running,
        created_at: t0(),
        asked_until: None,
    };
    assert_eq!(unended, [expected]);
    assert_eq!(database.unended_sessions(None).await.unwrap(), [expected]);
    assert_eq!(database.unended_sessions(Some(bob)).await.unwrap(), []);

    let ended = Session {
        status: Status::Terminated,
        ended_at: Some(t0() + Duration::hours(1)),
        last_activity_at: Some(t0() + Duration::minutes(59)),
        exit: Some(Exit::Signal("SIGHUP".to_owned())),
        reason: Some(EndReason::IdleTimeout),
        title: Some("a Title".to_owned()),
        cwd: Some("/home".to_owned()),
        bytes_out: 1 << 40,
        command_count: 7,
        ..session.clone()
    };
    database.session_ended(&ended).await.unwrap();
    assert_eq!(found(&database, &session).await, ended);
    // An end is final: neither another end nor a loss changes it.
    let other = Session { exit: Some(Exit::Code(1)), ..ended.clone() };
    database.session_ended(&other).await.unwrap();
    database.session_given_up(session.id, Status::Lost, "gone", t0()).await.unwrap();
    assert_eq!(found(&database, &session).await, ended);
    assert_eq!(database.ended_sessions(node(), t0()).await.unwrap(), [session.id]);
    assert_eq!(database.ended_sessions(node(), t0() + Duration::hours(2)).await.unwrap(), []);
    let title = SessionFilter { text: Some("a title".to_owned()), ..SessionFilter::default() };
    assert_eq!(database.sessions(ann, &title, 0, 10).await.unwrap(), (vec![ended], 1));

    assert_eq!(database.session(bob, session.id).await.unwrap(), None);
    assert_eq!(database.sessions(bob, &SessionFilter::default(), 0, 10).await.unwrap(), (Vec::new(), 0));
    assert_eq!(database.describe(bob, session.id, &named("x")).await.unwrap(), Described::NotFound);
    assert!(!database.delete_session(bob, session.id).await.unwrap());
    assert!(database.delete_session(ann, session.id).await.unwrap());
    assert_eq!(database.session(ann, session.id).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_written_is_read_back_on_sqlite() {
    what_is_written_is_read_back::<SqlitePlace>().await;
}

#[tokio::test]
async fn what_is_written_is_read_back_on_postgres() {
    what_is_written_is_read_back::<PostgresPlace>().await;
}

async fn a_name_is_one_living_sessions<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let (ann, bob) = (owner(&database, "ann").await, owner(&database, "bob").await);
    let wanted: Vec<Session> = (0..8).map(|_| session(ann, "build")).collect();
    let added = join_all(wanted.iter().map(|session| database.add_session(session))).await;
    let added: Vec<Added> = added.into_iter().map(Result::unwrap).collect();
    assert_eq!(added.iter().filter(|added| **added == Added::Done).count(), 1, "{added:?}");
    let first = &wanted[added.iter().position(|added| *added == Added::Done).unwrap()];
    assert_eq!(database.add_session(&session(bob, "build")).await.unwrap(), Added::Done, "another owner's");
    // One made over a socket has the name all the same, and does not take it.
    let other = session(ann, "build");
    database.adopt_session(&other).await.unwrap();
    assert_eq!(found(&database, &other).await.name.as_deref(), Some("build"));
    assert_eq!(database.describe(ann, other.id, &named("build")).await.unwrap(), Described::NameTaken);
    assert_eq!(database.describe(ann, other.id, &described("x")).await.unwrap(), Described::Done);
    database.session_given_up(first.id, Status::Failed, "no such program", t0()).await.unwrap();
    assert_eq!(database.describe(ann, other.id, &named("build")).await.unwrap(), Described::Done);
    assert_eq!(database.add_session(&session(ann, "build")).await.unwrap(), Added::NameTaken);
    // An account that is gone is no name that is taken.
    database.run("delete from users").await;
    assert_eq!(database.add_session(&session(ann, "other")).await.unwrap(), Added::OwnerGone);
    database.adopt_session(&session(ann, "other")).await.unwrap();
    assert!(!database.has_owner(ann).await.unwrap());
}

#[tokio::test]
async fn a_name_is_one_living_sessions_on_sqlite() {
    a_name_is_one_living_sessions::<SqlitePlace>().await;
}

#[tokio::test]
async fn a_name_is_one_living_sessions_on_postgres() {
    a_name_is_one_living_sessions::<PostgresPlace>().await;
}

/// The story: a change wrote every column as it had read it before, and undid what another did meanwhile.
async fn changes_at_once_undo_nothing_of_each_other<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let ann = owner(&database, "ann").await;
    let made = session(ann, "build");
    assert_eq!(database.add_session(&made).await.unwrap(), Added::Done);
    for round in 1..=5_u16 {
        let (name, description) = (format!("name {round}"), format!("text {round}"));
        let size = Some(TerminalSize::new(round, 80).unwrap());
        let idle = Change::Set(60 + u32::from(round));
        let changes = [
            named(&name),
            described(&description),
            Changes { update: Update { size, ..Update::default() }, ..Changes::default() },
            Changes { update: Update { idle_timeout_secs: idle, ..Update::default() }, ..Changes::default() },
            Changes {
                update: Update { max_duration_secs: Change::Clear, ..Update::default() },
                ..Changes::default()
            },
        ];
        let done = join_all(changes.iter().map(|change| database.describe(ann, made.id, change))).await;
        assert!(done.into_iter().all(|done| done.unwrap() == Described::Done));
        let mut expected = made.clone();
        changes.iter().for_each(|change| expected.change(change));
        assert_eq!(found(&database, &made).await, expected);
        for text in [name, description] {
            let filter = SessionFilter { text: Some(text), ..SessionFilter::default() };
            assert_eq!(database.sessions(ann, &filter, 0, 10).await.unwrap().1, 1, "{filter:?}");
        }
    }
}

#[tokio::test]
async fn changes_at_once_undo_nothing_of_each_other_on_sqlite() {
    changes_at_once_undo_nothing_of_each_other::<SqlitePlace>().await;
}

#[tokio::test]
async fn changes_at_once_undo_nothing_of_each_other_on_postgres() {
    changes_at_once_undo_nothing_of_each_other::<PostgresPlace>().await;
}

async fn what_a_node_knows_is_adopted<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let ann = owner(&database, "ann").await;
    // Found on the roll before who made it had entered it: its command comes later.
    let made = Session { status: Status::Running, node: Some(node()), ..session(ann, "build") };
    let seen = Session { command: Vec::new(), working_directory: None, ..made.clone() };
    database.adopt_session(&seen).await.unwrap();
    database.adopt_session(&made).await.unwrap();
    assert_eq!(found(&database, &made).await, made);
    database.adopt_session(&seen).await.unwrap();
    assert_eq!(found(&database, &made).await, made, "and is not lost again");
    // Believed lost, it lives; or has ended.
    database.session_given_up(made.id, Status::Lost, "gone", t0()).await.unwrap();
    assert_eq!(database.ended_sessions(node(), t0()).await.unwrap(), [], "its end may still be told");
    database.adopt_session(&seen).await.unwrap();
    assert_eq!(found(&database, &made).await, made);
    database.session_given_up(made.id, Status::Lost, "gone", t0()).await.unwrap();
    let exit = Some(Exit::Code(-1));
    let ended = Session { status: Status::Exited, ended_at: Some(t0()), exit, ..made.clone() };
    database.session_ended(&ended).await.unwrap();
    let read = found(&database, &made).await;
    assert_eq!((read.status, read.exit, read.error_message), (Status::Exited, ended.exit, None));
    // An account that is gone has no sessions, and leaves none.
    let nobody = session(UserId::new(Uuid::from_u128(5)), "left");
    database.adopt_session(&nobody).await.unwrap();
    assert_eq!(database.session(nobody.owner, nobody.id).await.unwrap(), None);
    database.run("delete from users").await;
    assert_eq!(database.count("select count(*) from sessions").await, 0);
}

#[tokio::test]
async fn what_a_node_knows_is_adopted_on_sqlite() {
    what_a_node_knows_is_adopted::<SqlitePlace>().await;
}

#[tokio::test]
async fn what_a_node_knows_is_adopted_on_postgres() {
    what_a_node_knows_is_adopted::<PostgresPlace>().await;
}

async fn a_list_is_filtered_counted_and_cut_by_the_database<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let ann = owner(&database, "ann").await;
    let mut made = Vec::new();
    for (number, name) in ["One 100%", "two_x", "THR\u{c4}E"].into_iter().enumerate() {
        let hours = Duration::hours(i64::try_from(number).unwrap());
        let session = Session { created_at: t0() + hours, ..session(ann, name) };
        assert_eq!(database.add_session(&session).await.unwrap(), Added::Done);
        made.push(session);
    }
    database.session_given_up(made[0].id, Status::Failed, "no", t0()).await.unwrap();
    let check = async |filter: SessionFilter, expected: &[usize]| {
        let (page, total) = database.sessions(ann, &filter, 0, 10).await.unwrap();
        let ids: Vec<SessionId> = page.iter().map(|session| session.id).collect();
        let expected: Vec<SessionId> = expected.iter().map(|number| made[*number].id).collect();
        assert_eq!((ids, total), (expected.clone(), i64::try_from(expected.len()).unwrap()), "{filter:?}");
    };
    let all = SessionFilter::default;
    check(all(), &[2, 1, 0]).await;
    check(SessionFilter { live_only: true, ..all() }, &[2, 1]).await;
    check(SessionFilter { status: Some(Status::Failed), ..all() }, &[0]).await;
    for (text, expected) in [("100%", &[0][..]), ("o_", &[1]), ("thr\u{e4}e", &[2]), ("\\", &[2, 1, 0])] {
        check(SessionFilter { text: Some(text.to_owned()), ..all() }, expected).await;
    }
    check(SessionFilter { created_after: Some(t0() + Duration::hours(1)), ..all() }, &[2, 1]).await;
    check(SessionFilter { created_before: Some(t0() + Duration::hours(1)), ..all() }, &[0]).await;
    let (page, total) = database.sessions(ann, &all(), 1, 1).await.unwrap();
    assert_eq!((page[0].id, page.len(), total), (made[1].id, 1, 3));
    let mut counts = database.count_sessions(ann).await.unwrap();
    counts.sort_by_key(|count| count.status);
    let count = |status, sessions| Count { status, sessions, bytes_out: 0 };
    assert_eq!(counts, [count(Status::Starting, 2), count(Status::Failed, 1)]);
}

#[tokio::test]
async fn a_list_is_filtered_counted_and_cut_by_the_database_on_sqlite() {
    a_list_is_filtered_counted_and_cut_by_the_database::<SqlitePlace>().await;
}

#[tokio::test]
async fn a_list_is_filtered_counted_and_cut_by_the_database_on_postgres() {
    a_list_is_filtered_counted_and_cut_by_the_database::<PostgresPlace>().await;
}
