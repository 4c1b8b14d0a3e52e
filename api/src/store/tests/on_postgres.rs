//! The contract on PostgreSQL.
#![expect(clippy::duplicate_mod, reason = "the contract holds for both databases")]

#[path = "contract.rs"]
mod contract;

use super::*;

type Kept = PostgresPlace;

#[tokio::test]
async fn a_server_that_goes_away_is_unavailable_and_comes_back_by_itself() {
    let mut place = Kept::make().await;
    let database = place.open().await;
    database.ping().await.unwrap();
    place.server().stop();
    let asked = tokio::time::Instant::now();
    for _ in 0..2 {
        let failed = database.any_user().await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "{failed:?}");
    }
    assert!(asked.elapsed() < std::time::Duration::from_secs(10), "{:?}", asked.elapsed());
    place.server().start_again().await;
    database.ping().await.unwrap();
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
