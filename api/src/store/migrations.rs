//! The schema's migrations, inside the binary: the same names in `migrations/postgres` and `migrations/sqlite`. Knows no
//! table but its own.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use sqlx::migrate::Migrator;
use sqlx::{PgConnection, SqliteConnection};

use super::StoreError;
use super::statement::{Connection, sql};

static POSTGRES: LazyLock<Migrator> =
    LazyLock::new(|| beside_newer(sqlx::migrate!("../migrations/postgres")));
static SQLITE: LazyLock<Migrator> = LazyLock::new(|| beside_newer(sqlx::migrate!("../migrations/sqlite")));

/// What a run did.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// Migrations run.
    pub count: usize,
    /// The schema's version after it.
    pub version: i64,
}

/// A release goes on, and starts again, while the next one has migrated already: migrations are safe for the one before.
fn beside_newer(mut migrator: Migrator) -> Migrator {
    migrator.set_ignore_missing(true);
    migrator
}

/// Runs what is missing; one process at a time, by sqlx's advisory lock.
pub(super) async fn run_postgres(connection: &mut PgConnection) -> Result<Applied, StoreError> {
    let before = versions(Connection::Postgres(connection)).await;
    POSTGRES.run(&mut *connection).await?;
    Ok(applied(&before, &versions(Connection::Postgres(connection)).await))
}

/// Runs what is missing.
pub(super) async fn run_sqlite(connection: &mut SqliteConnection) -> Result<Applied, StoreError> {
    let before = versions(Connection::Sqlite(connection)).await;
    SQLITE.run(&mut *connection).await?;
    Ok(applied(&before, &versions(Connection::Sqlite(connection)).await))
}

/// Fails if a migration is missing; needs no right but to read.
pub(super) async fn check(connection: Connection<'_>) -> Result<(), StoreError> {
    let known = match &connection {
        Connection::Postgres(_) => &POSTGRES,
        Connection::Sqlite(_) => &SQLITE,
    };
    let there = versions(connection).await;
    if known.iter().all(|migration| there.contains(&migration.version)) {
        Ok(())
    } else {
        Err(StoreError::Outdated)
    }
}

/// The migrations that are there; none before the first.
async fn versions(connection: Connection<'_>) -> BTreeSet<i64> {
    let rows = connection.all::<(i64,)>(sql("select version from _sqlx_migrations where success")).await;
    rows.unwrap_or_default().into_iter().map(|(version,)| version).collect()
}

/// As the first release left it.
#[cfg(test)]
pub(super) async fn run_first(connection: Connection<'_>) -> Result<(), StoreError> {
    match connection {
        Connection::Postgres(connection) => POSTGRES.run_to(1, connection).await?,
        Connection::Sqlite(connection) => SQLITE.run_to(1, connection).await?,
    }
    Ok(())
}

fn applied(before: &BTreeSet<i64>, after: &BTreeSet<i64>) -> Applied {
    Applied { count: after.difference(before).count(), version: after.last().copied().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_databases_have_the_same_migrations() {
        let names = |migrator: &Migrator| {
            migrator.iter().map(|m| (m.version, m.description.to_string())).collect::<Vec<_>>()
        };
        assert_eq!(names(&POSTGRES), names(&SQLITE));
        assert!(POSTGRES.iter().count() > 0);
    }
}
