//! The SQLite database: opening, migrating, and whether it answers. Knows no table.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqlitePool};

use super::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Readers beside the one writer SQLite allows. Queries take well under a millisecond, so more would only wait.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for the one before it.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How often opening is tried, and the wait between: two seconds in all, where it takes milliseconds.
const OPENING_TRIES: u32 = 20;
const OPENING_WAIT: Duration = Duration::from_millis(100);

/// Where the database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A file, by its path.
    File(PathBuf),
    /// A `sqlite:` URL, with options of its own.
    Url(String),
}

/// An open SQLite database, its schema up to date.
#[derive(Clone, Debug)]
pub struct Sqlite {
    pub(super) pool: SqlitePool,
}

impl Sqlite {
    /// Opens the database, makes it if it is not there, and brings its schema up to date.
    ///
    /// An acknowledged write is on disk: WAL with a sync at every commit.
    pub async fn open(location: &Location) -> Result<Self, StoreError> {
        let options = match location {
            Location::File(path) => {
                if let Some(directory) = path.parent() {
                    std::fs::create_dir_all(directory).map_err(sqlx::Error::Io)?;
                }
                SqliteConnectOptions::new().filename(path)
            }
            Location::Url(url) => SqliteConnectOptions::from_str(url)?,
        };
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // Several apis may start at once. SQLite has no lock that spans the switch to WAL and sqlx's migrations, so one of
        // them can find the file locked, or a table that another made a moment ago; when it looks again all is done.
        for _ in 1..OPENING_TRIES {
            if let Ok(pool) = connect(&options).await {
                return Ok(Self { pool });
            }
            tokio::time::sleep(OPENING_WAIT).await;
        }
        Ok(Self { pool: connect(&options).await? })
    }

    /// For tests that look at rows, or change what no call does yet.
    #[cfg(test)]
    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Asks the database for an answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("select 1").execute(&self.pool).await?;
        Ok(())
    }

    /// Closes every connection; what is written is kept in the database file alone.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn connect(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // SQLite ends a transaction by itself when the disk is full; sqlx then takes the connection to be inside it for
        // ever, and refuses every further one.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
        .connect_with(options.clone())
        .await?;
    MIGRATIONS.run(&pool).await?;
    Ok(pool)
}
