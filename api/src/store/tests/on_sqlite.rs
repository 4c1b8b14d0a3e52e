//! The contract on SQLite.
#![expect(clippy::duplicate_mod, reason = "the contract holds for both databases")]

#[path = "contract.rs"]
mod contract;
#[path = "races.rs"]
mod races;

use super::*;

type Kept = SqlitePlace;

#[tokio::test]
async fn a_full_disk_is_known_from_the_first_write_it_refuses() {
    let place = SqlitePlace::make().await;
    let database = place.open().await;
    database.run("insert into write_probes (id, filling) values (9, zeroblob(100000))").await;
    let pages = database.count("select page_count from pragma_page_count()").await;
    database.close().await;
    let Location::Sqlite(options) = place.location() else { unreachable!("SQLite") };
    // What a full disk is to SQLite: SQLITE_FULL for whatever needs another page.
    let full = Location::Sqlite(Box::new(options.pragma("max_page_count", pages.to_string())));
    let database = Database::open(&full, Schema::Check).await.unwrap();
    contract::is_known_to_refuse_writes_until_one_is_taken(
        &database,
        "select 1",
        "insert into write_probes (id, filling) values (8, zeroblob(100000))",
        "delete from write_probes where id = 9",
    )
    .await;
}
