//! What is promised of kept answers, on both databases.

use futures_util::future::join_all;
use time::Duration;

use super::*;
use crate::store::tests::{Place, PostgresPlace, SqlitePlace, owner, t0};

fn key(user_id: UserId) -> AnswerKey<'static> {
    AnswerKey { user_id, route: "/things", key_hash: b"key" }
}

fn attempt(n: u128, now: OffsetDateTime) -> Attempt<'static> {
    Attempt {
        id: Uuid::from_u128(n),
        fingerprint: b"body",
        resource_id: Uuid::from_u128(100 + n),
        held_until: now + Duration::seconds(30),
        expires_at: now + Duration::hours(24),
    }
}

async fn an_attempt_is_made_once_and_its_answer_kept_for_its_time_for_its_owner<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let (ann, bob) = (owner(&database, "ann").await, owner(&database, "bob").await);
    let begin = async |user, n, now| database.begin_answer(key(user), attempt(n, now), now).await.unwrap();
    let begun = join_all((1..=8).map(|n| begin(ann, n, t0()))).await;
    let mine: Vec<_> = begun.iter().filter(|begun| matches!(begun, Begun::Now(_))).collect();
    assert!(
        mine.len() == 1 && begun.iter().filter(|begun| matches!(begun, Begun::UnderWay(_))).count() == 7,
        "{begun:?}"
    );
    let Begun::Now(resource) = *mine[0] else { unreachable!("it begins") };
    let first = Uuid::from_u128(resource.as_u128() - 100);

    let other_body = Attempt { fingerprint: b"other", ..attempt(9, t0()) };
    assert_eq!(database.begin_answer(key(ann), other_body, t0()).await.unwrap(), Begun::Reused);
    let elsewhere = AnswerKey { route: "/others", ..key(ann) };
    assert!(matches!(database.begin_answer(elsewhere, attempt(10, t0()), t0()).await, Ok(Begun::Now(_))));
    assert!(matches!(begin(bob, 11, t0()).await, Begun::Now(_)));

    let answer = KeptAnswer { status: 201, body: b"{\"id\":1}".to_vec() };
    database.keep_answer(key(ann), Uuid::from_u128(99), &answer).await.unwrap();
    let held_until = t0() + Duration::seconds(30);
    assert_eq!(
        begin(ann, 12, t0()).await,
        Begun::UnderWay(held_until),
        "another attempt's answer is not its"
    );
    database.keep_answer(key(ann), first, &answer).await.unwrap();
    database.release_answer(key(ann), first).await.unwrap();
    let almost = t0() + Duration::hours(24) - Duration::SECOND;
    database.forget_expired(almost).await.unwrap();
    assert_eq!(begin(ann, 13, almost).await, Begun::Done(answer));
    assert_eq!(database.count("select count(*) from kept_answers").await, 3);
    database.forget_expired(almost + Duration::SECOND).await.unwrap();
    assert!(matches!(begin(ann, 14, almost + Duration::SECOND).await, Begun::Now(_)));
    assert_eq!(database.count("select count(*) from kept_answers").await, 1, "the expired are gone");
    database.run("delete from users where username = 'ann'").await;
    assert_eq!(database.count("select count(*) from kept_answers").await, 0);
    assert_eq!(begin(ann, 15, almost).await, Begun::OwnerGone, "nobody's request is begun");
}

/// The story: PostgreSQL lets a statement see the account that another is deleting, and refused the row when that was
/// done, which was answered with 500.
async fn an_attempt_for_an_account_that_is_being_deleted_finds_that_it_is_gone<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let ann = owner(&database, "ann").await;
    let mut deletion = database.begin().await.unwrap();
    deletion.execute(sql("delete from users")).await.unwrap();
    let deleting = async {
        database.waiters(1).await;
        deletion.commit().await.unwrap();
    };
    let (begun, ()) = tokio::join!(database.begin_answer(key(ann), attempt(1, t0()), t0()), deleting);
    assert_eq!(begun.unwrap(), Begun::OwnerGone);
}

async fn an_attempt_that_its_api_left_behind_is_taken_over_with_the_same_id<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let ann = owner(&database, "ann").await;
    let begin = async |n, now| database.begin_answer(key(ann), attempt(n, now), now).await.unwrap();
    assert_eq!(begin(1, t0()).await, Begun::Now(Uuid::from_u128(101)));
    let later = t0() + Duration::seconds(30);
    assert_eq!(begin(2, later - Duration::SECOND).await, Begun::UnderWay(later));
    assert_eq!(begin(3, later).await, Begun::Now(Uuid::from_u128(101)));
    // The first was slow, not dead: it is not the one any more.
    database.release_answer(key(ann), Uuid::from_u128(1)).await.unwrap();
    assert_eq!(begin(4, later).await, Begun::UnderWay(later + Duration::seconds(30)));
    database.release_answer(key(ann), Uuid::from_u128(3)).await.unwrap();
    assert_eq!(begin(5, later).await, Begun::Now(Uuid::from_u128(101)));
}

async fn a_command_is_begun_once_and_what_is_known_of_it_is_told_whoever_asks<P: Place>() {
    let place = P::make().await;
    let database = place.open().await;
    let (ann, bob) = (owner(&database, "ann").await, owner(&database, "bob").await);
    let begin = async |user, n, now| database.begin_command(key(user), attempt(n, now), now).await.unwrap();
    let begun = join_all((1..=8).map(|n| begin(ann, n, t0()))).await;
    let mine: Vec<_> = (1..=8).zip(&begun).filter(|(_, begun)| **begun == BegunCommand::Now).collect();
    let held_until = t0() + Duration::seconds(30);
    let waiting = begun.iter().filter(|begun| **begun == BegunCommand::UnderWay(held_until)).count();
    assert_eq!((mine.len(), waiting), (1, 7), "{begun:?}");
    let first = Uuid::from_u128(mine[0].0);
    assert_eq!(begin(bob, 9, t0()).await, BegunCommand::Now);
    let other_body = Attempt { fingerprint: b"other", ..attempt(9, t0()) };
    assert_eq!(database.begin_command(key(ann), other_body, t0()).await.unwrap(), BegunCommand::Reused);

    // Its api has died, for all that is known: nobody takes it over.
    assert_eq!(begin(ann, 10, held_until - Duration::SECOND).await, BegunCommand::UnderWay(held_until));
    assert_eq!(begin(ann, 11, held_until).await, BegunCommand::Unknown);
    database.note_started(key(ann), Uuid::from_u128(99), 6).await.unwrap();
    assert_eq!(begin(ann, 12, held_until).await, BegunCommand::Unknown, "another attempt's is not its");
    // It was slow, not dead.
    database.note_started(key(ann), first, 7).await.unwrap();
    assert_eq!(begin(ann, 13, held_until).await, BegunCommand::Started(7));
    database.forget_command(key(ann), first).await.unwrap();
    assert_eq!(begin(ann, 14, held_until).await, BegunCommand::Started(7), "what was typed stays typed");
    let answer = |body: &str| KeptAnswer { status: 200, body: body.into() };
    assert_eq!(database.keep_first_answer(key(ann), &answer("one")).await.unwrap(), None);
    assert_eq!(database.keep_first_answer(key(ann), &answer("two")).await.unwrap(), Some(answer("one")));
    assert_eq!(begin(ann, 15, held_until).await, BegunCommand::Done(answer("one")));

    // Nothing was typed, or nobody knows.
    database.forget_command(key(bob), Uuid::from_u128(8)).await.unwrap();
    assert_eq!(begin(bob, 16, t0()).await, BegunCommand::UnderWay(held_until), "another attempt's");
    database.forget_command(key(bob), Uuid::from_u128(9)).await.unwrap();
    assert_eq!(begin(bob, 17, t0()).await, BegunCommand::Now);
    database.release_answer(key(bob), Uuid::from_u128(17)).await.unwrap();
    assert_eq!(begin(bob, 18, t0()).await, BegunCommand::Unknown);
    database.run("delete from users").await;
    assert_eq!(database.count("select count(*) from kept_answers").await, 0);
    assert_eq!(begin(ann, 19, t0()).await, BegunCommand::OwnerGone);
}

macro_rules! on {
    ($database:ident, $place:ty) => {
        mod $database {
            use super::*;

            #[tokio::test]
            async fn an_attempt_is_made_once_and_its_answer_kept_for_its_time_for_its_owner() {
                super::an_attempt_is_made_once_and_its_answer_kept_for_its_time_for_its_owner::<$place>()
                    .await;
            }

            #[tokio::test]
            async fn a_command_is_begun_once_and_what_is_known_of_it_is_told_whoever_asks() {
                super::a_command_is_begun_once_and_what_is_known_of_it_is_told_whoever_asks::<$place>().await;
            }

            #[tokio::test]
            async fn an_attempt_that_its_api_left_behind_is_taken_over_with_the_same_id() {
                super::an_attempt_that_its_api_left_behind_is_taken_over_with_the_same_id::<$place>().await;
            }

            #[tokio::test]
            async fn an_attempt_for_an_account_that_is_being_deleted_finds_that_it_is_gone() {
                super::an_attempt_for_an_account_that_is_being_deleted_finds_that_it_is_gone::<$place>()
                    .await;
            }
        }
    };
}

on!(sqlite, SqlitePlace);
on!(postgres, PostgresPlace);
