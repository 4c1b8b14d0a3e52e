//! A statement for either database: one text in the dialects' common subset, with `$1`, `$2`, .. for its values. Knows no
//! table.
//!
//! Built at run time rather than by generics over `sqlx::Database`: those need a dozen bounds on every function
//! (docs/decisions/0008).

use std::time::Duration;

use devpocket_shared::ids::{DeviceId, NodeId, SessionId, UserId};
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Arguments, Database, Encode, FromRow, PgConnection, Postgres, Sqlite, SqliteConnection, Type};
use time::OffsetDateTime;
use tokio::time::timeout;
use uuid::Uuid;

use super::{StoreError, micros};

/// How long an answer may take, here; the databases themselves give up earlier, unless nobody can reach them.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// What both databases' rows can be read into; derive it by `sqlx::FromRow`.
pub(super) trait Row:
    for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin
{
}

impl<R> Row for R where R: for<'r> FromRow<'r, PgRow> + for<'r> FromRow<'r, SqliteRow> + Send + Unpin {}

/// A value of a statement. `None` of a type is that type's null. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) enum Value {
    Uuid(Option<Uuid>),
    Text(Option<String>),
    Integer(Option<i64>),
    Bool(Option<bool>),
    Bytes(Vec<u8>),
}

/// A text and the values it needs.
#[derive(Clone)]
pub(super) struct Statement {
    text: &'static str,
    values: Vec<Value>,
}

/// A statement without values yet.
pub(super) const fn sql(text: &'static str) -> Statement {
    Statement { text, values: Vec::new() }
}

impl Statement {
    /// Gives the next `$n` its value.
    pub(super) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    fn arguments<'q, D>(values: Vec<Value>) -> Result<D::Arguments, sqlx::Error>
    where
        D: Database,
        Option<Uuid>: Encode<'q, D> + Type<D>,
        Option<String>: Encode<'q, D> + Type<D>,
        Option<i64>: Encode<'q, D> + Type<D>,
        Option<bool>: Encode<'q, D> + Type<D>,
        Vec<u8>: Encode<'q, D> + Type<D>,
    {
        let mut arguments = D::Arguments::default();
        for value in values {
            match value {
                Value::Uuid(value) => arguments.add(value),
                Value::Text(value) => arguments.add(value),
                Value::Integer(value) => arguments.add(value),
                Value::Bool(value) => arguments.add(value),
                Value::Bytes(value) => arguments.add(value),
            }
            .map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}

/// A connection to either database, for one statement.
pub(super) enum Connection<'c> {
    Postgres(&'c mut PgConnection),
    Sqlite(&'c mut SqliteConnection),
}

impl Connection<'_> {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(self, statement: Statement) -> Result<u64, StoreError> {
        let Statement { text, values } = statement;
        answer(async {
            Ok(match self {
                Self::Postgres(connection) => {
                    let arguments = Statement::arguments::<Postgres>(values)?;
                    sqlx::query_with(text, arguments).execute(connection).await?.rows_affected()
                }
                Self::Sqlite(connection) => {
                    let arguments = Statement::arguments::<Sqlite>(values)?;
                    sqlx::query_with(text, arguments).execute(connection).await?.rows_affected()
                }
            })
        })
        .await
    }

    /// The first row, if there is one. All are read: who drops an answer behind its first row does not hear that what the statement wrote
    /// was not kept.
    pub(super) async fn optional<R: Row>(self, statement: Statement) -> Result<Option<R>, StoreError> {
        Ok(self.all(statement).await?.into_iter().next())
    }

    /// Every row.
    pub(super) async fn all<R: Row>(self, statement: Statement) -> Result<Vec<R>, StoreError> {
        let Statement { text, values } = statement;
        answer(async {
            match self {
                Self::Postgres(connection) => {
                    let arguments = Statement::arguments::<Postgres>(values)?;
                    sqlx::query_as_with(text, arguments).fetch_all(connection).await
                }
                Self::Sqlite(connection) => {
                    let arguments = Statement::arguments::<Sqlite>(values)?;
                    sqlx::query_as_with(text, arguments).fetch_all(connection).await
                }
            }
        })
        .await
    }
}

/// Waits for what a database is asked, within bounds.
pub(super) async fn answer<T>(
    asked: impl Future<Output = Result<T, sqlx::Error>> + Send,
) -> Result<T, StoreError> {
    timeout(ANSWER_TIMEOUT, asked).await.unwrap_or_else(|_| Err(timed_out())).map_err(StoreError::from)
}

/// What is said of an answer that did not come in time.
pub(super) fn timed_out() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

impl From<Uuid> for Value {
    fn from(value: Uuid) -> Self {
        Self::Uuid(Some(value))
    }
}

impl From<Option<Uuid>> for Value {
    fn from(value: Option<Uuid>) -> Self {
        Self::Uuid(value)
    }
}

impl From<UserId> for Value {
    fn from(value: UserId) -> Self {
        value.uuid().into()
    }
}

impl From<DeviceId> for Value {
    fn from(value: DeviceId) -> Self {
        value.uuid().into()
    }
}

impl From<SessionId> for Value {
    fn from(value: SessionId) -> Self {
        value.uuid().into()
    }
}

impl From<Option<NodeId>> for Value {
    fn from(value: Option<NodeId>) -> Self {
        Self::Uuid(value.map(NodeId::uuid))
    }
}

impl From<NodeId> for Value {
    fn from(value: NodeId) -> Self {
        value.uuid().into()
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<&SecretString> for Value {
    fn from(value: &SecretString) -> Self {
        value.expose_secret().into()
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Integer(Some(value))
    }
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Self {
        Self::Integer(value)
    }
}

impl From<OffsetDateTime> for Value {
    fn from(value: OffsetDateTime) -> Self {
        micros(value).into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(Some(value))
    }
}

impl From<Option<bool>> for Value {
    fn from(value: Option<bool>) -> Self {
        Self::Bool(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}
