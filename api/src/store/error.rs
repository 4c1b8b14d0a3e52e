//! How storage fails, in the kinds that callers tell apart.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgDatabaseError;
use sqlx::sqlite::SqliteError;

/// Storage failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, or is too busy, now; the same call may succeed later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused, or holds what no row should.
    #[error("the database failed")]
    Failed(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database could not be migrated")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// The schema lacks migrations, and this process was told not to run them.
    #[error("the database's schema is older than this release; run `devpocket migrate`")]
    Outdated,
}

impl StoreError {
    /// A row holds what no row should.
    pub(crate) fn corrupt(what: &'static str) -> Self {
        Self::Failed(sqlx::Error::Decode(what.into()))
    }

    /// Whether the database itself says so; else nobody knows whether it is there.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Unavailable(err) | Self::Failed(err) => err.as_database_error().is_some(),
            Self::Migrate(_) | Self::Outdated => false,
        }
    }

    /// Whether the statement was given up, because it and another transaction's waited for each other (SQLSTATE 40P01).
    pub(super) fn is_deadlock(&self) -> bool {
        match self {
            Self::Unavailable(err) => {
                err.as_database_error().and_then(DatabaseError::code).is_some_and(|code| code == "40P01")
            }
            Self::Failed(_) | Self::Migrate(_) | Self::Outdated => false,
        }
    }

    /// Whether the database takes no writes, whichever: its disk is full or fails, or it only reads.
    pub(super) fn is_refused_write(&self) -> bool {
        match self {
            Self::Unavailable(err) | Self::Failed(err) => match code(err) {
                Some(Code::Postgres(code)) => REFUSED_BY_POSTGRES.contains(&code.as_str()),
                Some(Code::Sqlite(code)) => refused_by_sqlite(code),
                None => false,
            },
            Self::Migrate(_) | Self::Outdated => false,
        }
    }

    /// Whether a row was refused because another has the same key.
    pub(super) fn is_duplicate(&self) -> bool {
        match self {
            Self::Failed(err) => err.as_database_error().is_some_and(DatabaseError::is_unique_violation),
            Self::Unavailable(_) | Self::Migrate(_) | Self::Outdated => false,
        }
    }

    /// Whether a row was refused because what it belongs to is gone.
    pub(super) fn is_orphan(&self) -> bool {
        match self {
            Self::Failed(err) => err.as_database_error().is_some_and(DatabaseError::is_foreign_key_violation),
            Self::Unavailable(_) | Self::Migrate(_) | Self::Outdated => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(err: sqlx::Error) -> Self {
        if may_pass(&err) { Self::Unavailable(err) } else { Self::Failed(err) }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(err: sqlx::migrate::MigrateError) -> Self {
        if let sqlx::migrate::MigrateError::Execute(err) = err {
            return err.into();
        }
        Self::Migrate(err)
    }
}

/// Whether the same call may succeed later.
fn may_pass(err: &sqlx::Error) -> bool {
    match code(err) {
        Some(Code::Postgres(code)) => return postgres_may_pass(&code),
        Some(Code::Sqlite(code)) => return sqlite_may_pass(code),
        None => {}
    }
    matches!(
        err,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}

/// What a database calls its error.
enum Code {
    Postgres(String),
    Sqlite(i32),
}

fn code(err: &sqlx::Error) -> Option<Code> {
    let err = err.as_database_error()?;
    if let Some(err) = err.try_downcast_ref::<PgDatabaseError>() {
        return Some(Code::Postgres(err.code().to_owned()));
    }
    let code = err.try_downcast_ref::<SqliteError>().and_then(DatabaseError::code);
    code.and_then(|code| code.parse().ok()).map(Code::Sqlite)
}

/// A full disk, a server that only reads (fail-over), a disk that fails.
const REFUSED_BY_POSTGRES: [&str; 3] = ["53100", "25006", "58030"];

/// SQLITE_FULL, SQLITE_READONLY, and of SQLITE_IOERR what is about writing: WRITE (a quota), FSYNC, TRUNCATE, SHMSIZE
/// (sqlite.org/rescode.html).
fn refused_by_sqlite(code: i32) -> bool {
    matches!(code & 0xff, 8 | 13) || matches!(code, 778 | 1034 | 1546 | 4874)
}

/// By SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html).
fn postgres_may_pass(code: &str) -> bool {
    // Connection exception, out of resources (memory, disk, connections), operator intervention (shutdown, a cancelled
    // statement), serialization failure and deadlock, a lock not granted in time, a server that only reads (fail-over), a disk
    // that fails.
    ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
        || ["55P03", "25006", "58030"].contains(&code)
}

/// SQLITE_BUSY and SQLITE_LOCKED, in their low byte (sqlite.org/rescode.html), and what [`refused_by_sqlite`] is about.
fn sqlite_may_pass(code: i32) -> bool {
    matches!(code & 0xff, 5 | 6) || refused_by_sqlite(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_told_from_what_does_not() {
        for (code, passes) in [
            ("08006", true),
            ("53300", true),
            ("57P01", true),
            ("57014", true),
            ("40P01", true),
            ("25006", true),
            // 23505 & 0xff is no code of SQLite's, but others of this class are.
            ("23505", false),
            ("23502", false),
            ("22021", false),
            ("42P01", false),
            ("28P01", false),
        ] {
            assert_eq!(postgres_may_pass(code), passes, "{code}");
        }
        // BUSY, BUSY_SNAPSHOT, LOCKED, FULL, READONLY, IOERR_WRITE; CONSTRAINT_UNIQUE, CORRUPT, IOERR_READ.
        for (code, passes) in [
            (5, true),
            (517, true),
            (6, true),
            (13, true),
            (8, true),
            (778, true),
            (2067, false),
            (11, false),
            (266, false),
        ] {
            assert_eq!(sqlite_may_pass(code), passes, "{code}");
        }
    }
}
