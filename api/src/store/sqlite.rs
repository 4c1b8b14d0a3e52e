//! SQLite: its pool, its bounds. Knows no table.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlitePool};

use super::migrations::{self, Applied};
use super::statement::Connection as On;
use super::{Schema, StoreError};

/// Readers beside the one writer SQLite allows. Queries take well under a millisecond, so more would only wait.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often opening is tried, and the wait between: two seconds in all, where it takes milliseconds.
const OPENING_TRIES: u32 = 20;
const OPENING_WAIT: Duration = Duration::from_millis(100);

/// Opens the database and makes it, with its directory, if it is not there.
///
/// An acknowledged write is on disk: WAL with a sync at every commit.
pub(super) async fn open(
    options: &SqliteConnectOptions,
    schema: Schema,
) -> Result<(SqlitePool, Applied), StoreError> {
    if let Some(directory) = options.get_filename().parent() {
        std::fs::create_dir_all(directory).map_err(sqlx::Error::Io)?;
    }
    let options = options
        .clone()
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // As of PostgreSQL's options.
        .disable_statement_logging()
        .busy_timeout(BUSY_TIMEOUT);
    // Several apis may start at once. SQLite has no lock that spans the switch to WAL and sqlx's migrations, so one of
    // them can find the file locked, or a table that another made a moment ago; when it looks again all is done.
    for _ in 1..OPENING_TRIES {
        match connect(&options, schema).await {
            Err(StoreError::Outdated) => return Err(StoreError::Outdated),
            Ok(opened) => return Ok(opened),
            Err(_) => tokio::time::sleep(OPENING_WAIT).await,
        }
    }
    connect(&options, schema).await
}

async fn connect(
    options: &SqliteConnectOptions,
    schema: Schema,
) -> Result<(SqlitePool, Applied), StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // SQLite ends a transaction by itself when the disk is full; sqlx then takes the connection to be inside it for
        // ever, and refuses every further one.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await?;
    let mut connection = pool.acquire().await?;
    let applied = match schema {
        Schema::Migrate => migrations::run_sqlite(&mut connection).await?,
        Schema::Check => {
            migrations::check(On::Sqlite(&mut connection)).await?;
            Applied::default()
        }
    };
    drop(connection);
    Ok((pool, applied))
}
