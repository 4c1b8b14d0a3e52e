//! The contract on PostgreSQL.
#![expect(clippy::duplicate_mod, reason = "the contract holds for both databases")]

#[path = "contract.rs"]
mod contract;
#[path = "races.rs"]
mod races;

use devpocket_tests::proxy::{Plan, Proxy};
use secrecy::ExposeSecret;

use super::*;

type Kept = PostgresPlace;

#[tokio::test]
async fn a_server_that_goes_away_is_unavailable_and_comes_back_by_itself() {
    let mut place = Kept::make().await;
    let database = place.open().await;
    database.ping().await.unwrap();
    place.server().stop();
    let asked = tokio::time::Instant::now();
    for _ in 0..4 {
        let failed = database.any_user().await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
    // The first waits for two seconds; the others know.
    assert!(asked.elapsed() < std::time::Duration::from_secs(5), "{:?}", asked.elapsed());
    place.server().start_again().await;
    database.ping().await.unwrap();
    database.any_user().await.unwrap();
}

/// The story that must not be: one wait in vain for a turn is an outage for everybody.
#[tokio::test]
async fn a_server_that_is_busy_is_not_taken_for_one_that_is_away() {
    let place = Kept::make().await;
    let (database, witness) = (place.open().await, place.open().await);
    let holding =
        futures_util::future::join_all((0..10).map(|_| database.execute(sql("select pg_sleep(3.5)"))));
    let waiting = async {
        let limit = std::time::Duration::from_secs(8);
        devpocket_tests::wait_until("every connection is in use", limit, async || {
            let busy = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
            witness.count(busy).await == 10
        })
        .await;
        // For two seconds, in vain; the next one has its turn soon.
        let first = database.any_user().await;
        (first, database.any_user().await)
    };
    let (held, (first, second)) = tokio::join!(holding, waiting);
    assert!(held.iter().all(Result::is_ok), "{held:?}");
    assert!(matches!(first, Err(StoreError::Unavailable(_))), "{first:?}");
    assert!(second.is_ok(), "{second:?}");
}

/// The story: a connection that nobody answers on any more kept its place in the pool, and when all had been in use as
/// the server's host vanished, the api was without a database until it was started again, whatever stood in its place.
#[tokio::test]
async fn connections_that_nobody_answers_on_any_more_are_replaced() {
    let place = Kept::make().await;
    let Location::Postgres(url) = place.location() else { unreachable!("PostgreSQL") };
    let url = url.expose_secret();
    let (_, address) = url.split_once('@').unwrap();
    let address = address.split_once('/').unwrap().0.to_owned();
    let proxy = Proxy::start(address.parse().unwrap(), || Plan::UNBROKEN).await;
    let through = url.replace(&address, &proxy.address.to_string());
    let witness = place.open().await;
    let location = Location::of_url(&SecretString::from(through)).unwrap();
    let database = Database::open(&location, Schema::Check).await.unwrap();
    // Every connection is in use when the host behind it vanishes.
    let asking = futures_util::future::join_all((0..10).map(|_| database.execute(sql("select pg_sleep(9)"))));
    let vanishing = async {
        let limit = std::time::Duration::from_secs(8);
        devpocket_tests::wait_until("all of them wait", limit, async || {
            let waiting = "select count(*) from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
            witness.count(waiting).await == 10
        })
        .await;
        proxy.silence();
    };
    let (answers, ()) = tokio::join!(asking, vanishing);
    assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
    devpocket_tests::wait_until(
        "the database is there again",
        std::time::Duration::from_secs(10),
        async || database.ping().await.is_ok(),
    )
    .await;
}

#[tokio::test]
async fn the_server_ends_what_takes_too_long() {
    let place = Kept::make().await;
    let database = place.open().await;
    let mut settings = Vec::new();
    for name in ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"] {
        let (value,): (String,) =
            database.optional(sql("select current_setting($1)").bind(name)).await.unwrap().unwrap();
        settings.push(value);
    }
    assert_eq!(settings, ["10s", "5s", "20s"]);
}

/// The story: the wait for another process's migrations was bounded like a statement, so that of replicas started
/// beside a long migration all but one failed.
#[tokio::test]
async fn a_migration_may_wait_for_another_process_for_as_long_as_it_takes() {
    let place = Kept::make().await;
    let Location::Postgres(url) = place.location() else { unreachable!("PostgreSQL") };
    let options = crate::store::postgres::options(&url).unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let (timeout,): (String,) = crate::store::statement::Connection::Postgres(&mut connection)
        .optional(sql("select current_setting('statement_timeout')"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(timeout, "0");
}

#[tokio::test]
async fn a_full_disk_is_known_from_the_first_write_it_refuses() {
    let place = PostgresPlace::make().await;
    let database = place.open().await;
    database
        .run(
            "create function refuse() returns trigger language plpgsql as \
             $$begin raise exception using errcode = '53100', message = 'could not extend file'; end$$",
        )
        .await;
    contract::is_known_to_refuse_writes_until_one_is_taken(
        &database,
        "create trigger full_disk before insert or update on write_probes execute function refuse()",
        "insert into write_probes (id, filling) values (8, 'x')",
        "drop trigger full_disk on write_probes",
    )
    .await;
}
