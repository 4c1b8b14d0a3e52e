//! An open database of either kind: statements one by one, and transactions. Knows no table.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Postgres, SqlitePool};
use tokio::time::Instant;
use tracing::warn;

use super::migrations::Applied;
use super::outage::Lent;
use super::postgres::{OPENING_PATIENCE, Server};
use super::statement::{Connection, Row, Statement, answer, sql};
use super::writes::{PROBE_BYTES, Writes};
use super::{Location, Schema, StoreError, postgres, sqlite};
use crate::counts;

/// An open database; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Database {
    pool: Pool,
    writes: Arc<Writes>,
}

/// What a database that answers is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answering {
    /// Everything, as far as is known.
    Everything,
    /// It was read; the last write was refused, by a full disk or a server that only reads.
    ReadsAlone,
}

#[derive(Clone, Debug)]
enum Pool {
    Postgres(Server),
    Sqlite(SqlitePool),
}

/// A unit of work. Dropped without a commit, nothing of it was done.
pub(super) struct Transaction {
    begun: Begun,
    writes: Arc<Writes>,
}

enum Begun {
    Postgres(Lent<sqlx::Transaction<'static, Postgres>>),
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
}

/// What runs one at a time over all apis.
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub(super) enum Turn {
    /// Making an account that may be the very first.
    FirstAccount = 0x6465_7670_0001,
}

impl Database {
    /// Opens the database; SQLite's is made if it is not there, PostgreSQL's server waited for if it is not there yet.
    pub async fn open(location: &Location, schema: Schema) -> Result<Self, StoreError> {
        Self::open_within(location, schema, OPENING_PATIENCE).await
    }

    /// As [`Database::open`], without waiting: for who has somebody watching.
    pub async fn open_now(location: &Location, schema: Schema) -> Result<Self, StoreError> {
        Self::open_within(location, schema, Duration::ZERO).await
    }

    async fn open_within(
        location: &Location,
        schema: Schema,
        patience: Duration,
    ) -> Result<Self, StoreError> {
        let pool = match location {
            Location::Postgres(url) => Pool::Postgres(postgres::open(url, schema, patience).await?),
            Location::Sqlite(options) => Pool::Sqlite(sqlite::open(options, schema).await?.0),
        };
        Ok(Self { pool, writes: Arc::default() })
    }

    /// Brings a database's schema up to date and leaves it.
    pub async fn migrate(location: &Location) -> Result<Applied, StoreError> {
        match location {
            Location::Postgres(url) => postgres::migrate(url).await,
            Location::Sqlite(options) => {
                let (pool, applied) = sqlite::open(options, Schema::Migrate).await?;
                pool.close().await;
                Ok(applied)
            }
        }
    }

    /// Asks the database for an answer, and for a write if it has refused one: nothing is written otherwise.
    pub async fn ping(&self) -> Result<Answering, StoreError> {
        self.ask().await?;
        if self.writes.are_to_be_tried(Instant::now()) {
            match self.probe().await {
                Ok(()) => self.writes.note_taken(),
                Err(err) => warn!("the database takes no writes: {}", crate::chain(&err)),
            }
        }
        Ok(if self.writes.are_refused() { Answering::ReadsAlone } else { Answering::Everything })
    }

    /// An error if the last write that is known of was refused; whoever watches over an api asks [`Database::ping`] every few
    /// seconds, which finds out when one is taken again.
    pub(super) fn takes_writes(&self) -> Result<(), StoreError> {
        if self.writes.are_refused() {
            return Err(StoreError::Unavailable(sqlx::Error::Io(
                std::io::ErrorKind::ReadOnlyFilesystem.into(),
            )));
        }
        Ok(())
    }

    /// Writes something, always in the same place.
    async fn probe(&self) -> Result<(), StoreError> {
        let mut filling = vec![0; PROBE_BYTES];
        // Of what repeats itself PostgreSQL would keep a few bytes.
        getrandom::fill(&mut filling).map_err(|_| StoreError::corrupt("no randomness"))?;
        let probe = sql("insert into write_probes (id, filling) values (1, $1)
             on conflict (id) do update set filling = excluded.filling");
        self.execute(probe.bind(filling.as_slice())).await?;
        Ok(())
    }

    async fn ask(&self) -> Result<(), StoreError> {
        let ping = sql("select 1");
        match &self.pool {
            Pool::Postgres(server) => {
                let connection = &mut *server.acquire_anyway().await?.it;
                server.noted(Connection::Postgres(connection).execute(ping).await)?;
            }
            Pool::Sqlite(_) => {
                self.execute(ping).await?;
            }
        }
        Ok(())
    }

    /// Closes every connection. What SQLite was told is in the database file alone then.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Postgres(server) => server.close().await,
            Pool::Sqlite(pool) => pool.close().await,
        }
    }

    /// Runs a statement; how many rows it changed. One that locks rows of many accounts may meet the deletion of one of them,
    /// which locks the same in another order, and be given up by PostgreSQL: it is run again, once.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, StoreError> {
        self.writes.noted(match &self.pool {
            Pool::Postgres(server) => {
                let connection = &mut *waited(server.acquire()).await?.it;
                server.noted(match Connection::Postgres(connection).execute(statement.clone()).await {
                    Err(err) if err.is_deadlock() => {
                        Connection::Postgres(connection).execute(statement).await
                    }
                    done => done,
                })
            }
            Pool::Sqlite(pool) => {
                Connection::Sqlite(&mut *waited(pool.acquire()).await?).execute(statement).await
            }
        })
    }

    /// The first row, if there is one.
    pub(super) async fn optional<R: Row>(&self, statement: Statement) -> Result<Option<R>, StoreError> {
        self.writes.noted(match &self.pool {
            Pool::Postgres(server) => {
                let connection = &mut *waited(server.acquire()).await?.it;
                server.noted(Connection::Postgres(connection).optional(statement).await)
            }
            Pool::Sqlite(pool) => {
                Connection::Sqlite(&mut *waited(pool.acquire()).await?).optional(statement).await
            }
        })
    }

    /// Every row; as [`Database::execute`], if PostgreSQL gives it up.
    pub(super) async fn all<R: Row>(&self, statement: Statement) -> Result<Vec<R>, StoreError> {
        self.writes.noted(match &self.pool {
            Pool::Postgres(server) => {
                let connection = &mut *waited(server.acquire()).await?.it;
                server.noted(match Connection::Postgres(connection).all(statement.clone()).await {
                    Err(err) if err.is_deadlock() => Connection::Postgres(connection).all(statement).await,
                    done => done,
                })
            }
            Pool::Sqlite(pool) => {
                Connection::Sqlite(&mut *waited(pool.acquire()).await?).all(statement).await
            }
        })
    }

    /// Begins a unit of work. In SQLite it is the only one that writes, from its first statement on; in PostgreSQL it sees
    /// what others commit meanwhile, so that what is read to be changed is locked first.
    pub(super) async fn begin(&self) -> Result<Transaction, StoreError> {
        let begun = answer(async {
            Ok(match &self.pool {
                Pool::Postgres(server) => Begun::Postgres(waited(server.begin()).await?),
                Pool::Sqlite(pool) => Begun::Sqlite(waited(pool.begin_with("begin immediate")).await?),
            })
        })
        .await;
        Ok(Transaction { begun: self.writes.noted(begun)?, writes: Arc::clone(&self.writes) })
    }
}

/// Waits for a connection, and counts for how long.
async fn waited<T>(connection: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let began = Instant::now();
    let connection = connection.await;
    counts::database_wait(began.elapsed());
    connection
}

impl Transaction {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Statement) -> Result<u64, StoreError> {
        let done = self.connection().execute(statement).await;
        self.writes.noted(done)
    }

    /// The first row, if there is one.
    pub(super) async fn optional<R: Row>(&mut self, statement: Statement) -> Result<Option<R>, StoreError> {
        let done = self.connection().optional(statement).await;
        self.writes.noted(done)
    }

    /// Every row.
    pub(super) async fn all<R: Row>(&mut self, statement: Statement) -> Result<Vec<R>, StoreError> {
        let done = self.connection().all(statement).await;
        self.writes.noted(done)
    }

    /// Waits until no other transaction has this turn; it ends with this one.
    pub(super) async fn take(&mut self, turn: Turn) -> Result<(), StoreError> {
        match self.begun {
            Begun::Postgres(_) => {
                self.execute(sql("select pg_advisory_xact_lock($1)").bind(turn as i64)).await?;
            }
            // The only one that writes.
            Begun::Sqlite(_) => {}
        }
        Ok(())
    }

    /// Locks the rows of a `select .. for ..`, which is PostgreSQL's alone: SQLite's transaction is the only one that writes.
    pub(super) async fn lock_in_postgres(&mut self, select: Statement) -> Result<(), StoreError> {
        match self.begun {
            Begun::Postgres(_) => self.execute(select).await.map(|_| ()),
            Begun::Sqlite(_) => Ok(()),
        }
    }

    /// Makes it last.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let done = answer(async {
            match self.begun {
                Begun::Postgres(transaction) => transaction.it.commit().await,
                Begun::Sqlite(transaction) => transaction.commit().await,
            }
        })
        .await;
        self.writes.noted(done)
    }

    fn connection(&mut self) -> Connection<'_> {
        match &mut self.begun {
            Begun::Postgres(transaction) => Connection::Postgres(&mut transaction.it),
            Begun::Sqlite(transaction) => Connection::Sqlite(transaction),
        }
    }
}

/// For tests that look at rows, or change what no call does yet.
#[cfg(test)]
impl Database {
    pub(crate) fn is_postgres(&self) -> bool {
        matches!(self.pool, Pool::Postgres(_))
    }

    pub(crate) async fn run(&self, text: &'static str) {
        self.execute(sql(text)).await.unwrap();
    }

    pub(crate) async fn count(&self, text: &'static str) -> i64 {
        self.optional::<(i64,)>(sql(text)).await.unwrap().unwrap().0
    }
}
