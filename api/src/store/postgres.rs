//! PostgreSQL: its pool, its bounds. Knows no table.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Executor, PgPool, Postgres};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::migrations::{self, Applied};
use super::outage::{Lent, Outage};
use super::statement::{Connection as On, answer, timed_out};
use super::{Schema, StoreError};

/// Connections of one api. Statements take about a millisecond, so ten do thousands a second, and a dozen apis stay
/// within the hundred connections a server allows out of the box.
const CONNECTIONS: u32 = 10;
/// How long a request waits for a connection; a server that is down costs a request this long, at most once ([`Outage`]).
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// Bounds that the server keeps to: of a statement, of a wait for a lock, and of a transaction whose api hangs.
const BOUNDS: &str = "set statement_timeout = '10s'; set lock_timeout = '5s'; \
    set idle_in_transaction_session_timeout = '20s'";
/// A connection that was in order so short a while ago is not asked again before its next use: under load that would be a
/// round trip before each statement.
const STILL_GOOD: Duration = Duration::from_millis(100);
/// How long a connection given back may take to say that it is in order. Over it, it is closed.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a start waits for a server that is not there yet, and looks again after.
pub(super) const OPENING_PATIENCE: Duration = Duration::from_secs(30);
const OPENING_WAIT: Duration = Duration::from_millis(500);

/// A server by its pool, and whether it is there. Cloning is cheap.
#[derive(Clone, Debug)]
pub(super) struct Server {
    pool: PgPool,
    outage: Arc<Outage>,
}

impl Server {
    /// A connection; refused at once while the server was found to be away a moment ago.
    pub(super) async fn acquire(&self) -> Result<Lent<PoolConnection<Postgres>>, sqlx::Error> {
        self.unless_away()?;
        self.acquire_anyway().await
    }

    /// A connection for who wants to know whether the server is there.
    pub(super) async fn acquire_anyway(&self) -> Result<Lent<PoolConnection<Postgres>>, sqlx::Error> {
        self.watched(self.pool.acquire()).await
    }

    /// Begins a transaction; refused as [`Server::acquire`].
    pub(super) async fn begin(&self) -> Result<Lent<sqlx::Transaction<'static, Postgres>>, sqlx::Error> {
        self.unless_away()?;
        self.watched(self.pool.begin()).await
    }

    /// Notes what came of a statement.
    pub(super) fn noted<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.as_ref().err().is_none_or(StoreError::is_answer) {
            self.outage.note_answer(Instant::now());
        }
        done
    }

    /// Closes every connection.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }

    fn unless_away(&self) -> Result<(), sqlx::Error> {
        if self.outage.is_on(Instant::now()) { Err(sqlx::Error::PoolTimedOut) } else { Ok(()) }
    }

    async fn watched<T>(
        &self,
        asked: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<Lent<T>, sqlx::Error> {
        let began = Instant::now();
        let asked = asked.await;
        match &asked {
            Ok(_) | Err(sqlx::Error::Database(_)) => self.outage.note_answer(Instant::now()),
            Err(_) => self.outage.note_failure(began, Instant::now(), CONNECTIONS),
        }
        asked.map(|it| self.outage.lend(it))
    }
}

/// The options in a `postgres:` URL. sqlx logs no statement: its look at whether it should makes tracing's filters of single
/// layers forget the span around the next line (tokio-rs/tracing issue 2519), and with it the request's id.
pub(super) fn options(url: &SecretString) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url.expose_secret())?
        .application_name("devpocket")
        .disable_statement_logging())
}

/// Connects; waits so long for a server that is still starting.
pub(super) async fn open(
    url: &SecretString,
    schema: Schema,
    patience: Duration,
) -> Result<Server, StoreError> {
    let options = options(url)?;
    let deadline = Instant::now() + patience;
    loop {
        match connect(&options, schema).await {
            Err(StoreError::Unavailable(err)) if Instant::now() < deadline => {
                warn!(error = &err as &dyn std::error::Error, "waiting for the database: {err}");
                sleep(OPENING_WAIT).await;
            }
            answer => return answer.map(|pool| Server { pool, outage: Arc::default() }),
        }
    }
}

/// Brings the schema up to date, on a connection without bounds: a migration may take its time, and so may the wait for
/// another process that runs it (an advisory lock of sqlx's).
pub(super) async fn migrate(url: &SecretString) -> Result<Applied, StoreError> {
    run_migrations(&options(url)?).await
}

async fn connect(options: &PgConnectOptions, schema: Schema) -> Result<PgPool, StoreError> {
    // Not by the pool: what it says of a server that does not answer is that it waited in vain.
    match schema {
        Schema::Migrate => run_migrations(options).await.map(drop)?,
        Schema::Check => check(options).await?,
    }
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            Box::pin(async move {
                connection.execute(BOUNDS).await?;
                Ok(())
            })
        })
        .test_before_acquire(false)
        .before_acquire(|connection, held| {
            Box::pin(async move {
                if held.idle_for > STILL_GOOD {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                // The pool asks the same without a bound: of a server that vanished without a word each connection would
                // keep its place until TCP gives up, a quarter of an hour later.
                timeout(PING_TIMEOUT, connection.ping()).await.map_err(|_| timed_out())??;
                Ok(true)
            })
        })
        .connect_with(options.clone())
        .await?;
    Ok(pool)
}

async fn check(options: &PgConnectOptions) -> Result<(), StoreError> {
    let mut connection = answer(options.connect()).await?;
    let checked = migrations::check(On::Postgres(&mut connection)).await;
    drop(connection.close().await);
    checked
}

async fn run_migrations(options: &PgConnectOptions) -> Result<Applied, StoreError> {
    let mut connection = answer(options.connect()).await?;
    let applied = migrations::run_postgres(&mut connection).await;
    // Closed without a goodbye, it would still give its lock back.
    drop(connection.close().await);
    applied
}
