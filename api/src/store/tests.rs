//! What storage promises, on both databases, and the databases that other tests work on.

mod on_postgres;
mod on_sqlite;

use std::collections::BTreeMap;
use std::sync::Arc;

use devpocket_tests::stack::{Postgres, Redis};
use secrecy::SecretString;
use tempfile::TempDir;

use super::*;
use crate::coordination::{MemoryCoordination, RedisCoordination};
use crate::domain::coordination::Coordination;
use crate::store::statement::{Connection, sql};

/// A place where a database of a test's own is, and goes away with it.
pub(crate) trait Place: Sized {
    async fn make() -> Self;
    fn location(&self) -> Location;
    /// What goes with it: SQLite is for one api alone, PostgreSQL for many, which agree over Redis.
    fn coordination(&self) -> Arc<dyn Coordination>;

    async fn open(&self) -> Database {
        Database::open(&self.location(), Schema::Migrate).await.unwrap()
    }
}

/// A directory for a SQLite file.
pub(crate) struct SqlitePlace(TempDir);

/// A PostgreSQL server, and a Redis.
pub(crate) struct PostgresPlace(Postgres, Redis);

impl Place for SqlitePlace {
    async fn make() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn location(&self) -> Location {
        Location::file(&self.0.path().join("devpocket.db"))
    }

    fn coordination(&self) -> Arc<dyn Coordination> {
        Arc::new(MemoryCoordination::default())
    }
}

impl Place for PostgresPlace {
    async fn make() -> Self {
        Self(Postgres::start().await, Redis::start().await)
    }

    fn location(&self) -> Location {
        Location::of_url(&SecretString::from(self.0.url())).unwrap()
    }

    fn coordination(&self) -> Arc<dyn Coordination> {
        Arc::new(RedisCoordination::new(&self.1.url().into()).unwrap())
    }
}

impl SqlitePlace {
    pub(crate) async fn migrate_first(&self) {
        use sqlx::ConnectOptions;
        let Location::Sqlite(options) = self.location() else { unreachable!("SQLite") };
        let options = options.create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        migrations::run_first(Connection::Sqlite(&mut connection)).await.unwrap();
        for text in [
            "insert into users (id, email, email_key, username, username_key, subscription_tier, is_active, is_verified,
                 is_admin, created_at)
             values (x'00000000000000000000000000000001', 'a@b.co', 'a@b.co', 'Ann', 'ann', 'pro', true, true, true, 1)",
            "insert into devices (id, user_id, created_at, last_seen_at) values (x'00000000000000000000000000000002', x'00000000000000000000000000000001', 1, 1)",
            "insert into refresh_tokens (token_hash, device_id, created_at, expires_at)
             values (x'616263', x'00000000000000000000000000000002', 1, 9000000000000000)",
        ] {
            Connection::Sqlite(&mut connection).execute(sql(text)).await.unwrap();
        }
    }
}

impl PostgresPlace {
    pub(crate) fn server(&mut self) -> &mut Postgres {
        &mut self.0
    }

    pub(crate) async fn migrate_first(&self) {
        use sqlx::ConnectOptions;
        let options = super::postgres::options(&self.0.url().into()).unwrap();
        let mut connection = options.connect().await.unwrap();
        migrations::run_first(Connection::Postgres(&mut connection)).await.unwrap();
        for text in [
            "insert into users (id, email, email_key, username, username_key, subscription_tier, is_active, is_verified,
                 is_admin, created_at)
             values ('00000000-0000-0000-0000-000000000001', 'a@b.co', 'a@b.co', 'Ann', 'ann', 'pro', true, true, true, 1)",
            "insert into devices (id, user_id, created_at, last_seen_at) values ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 1, 1)",
            "insert into refresh_tokens (token_hash, device_id, created_at, expires_at)
             values ('abc', '00000000-0000-0000-0000-000000000002', 1, 9000000000000000)",
        ] {
            Connection::Postgres(&mut connection).execute(sql(text)).await.unwrap();
        }
    }
}

/// When the accounts of these tests were made.
pub(crate) fn t0() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
}

/// Makes an account.
pub(crate) async fn owner(database: &Database, name: &str) -> UserId {
    let new = NewUser {
        id: UserId::new(uuid::Uuid::now_v7()),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
        username: Username::parse(name).unwrap(),
        display_name: None,
        password_hash: None,
        created_at: t0(),
        if_first: None,
    };
    database.create_user(&new).await.unwrap();
    new.id
}

impl Database {
    /// Waits until so many statements wait for another transaction. SQLite does not tell, and what a test does next holds
    /// however far they are.
    pub(crate) async fn waiters(&self, many: i64) {
        if !self.is_postgres() {
            return;
        }
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        let limit = std::time::Duration::from_secs(20);
        devpocket_tests::wait_until("statements wait for a lock", limit, async || {
            self.count(waiting).await == many
        })
        .await;
    }

    /// Every row of every table as text, bytes in hex; what sqlx keeps about migrations aside.
    pub(crate) async fn dump(&self) -> BTreeMap<String, Vec<String>> {
        let mut dump = BTreeMap::new();
        for table in self.tables().await {
            let row = if self.is_postgres() {
                "to_jsonb(t)::text".to_owned()
            } else {
                let columns = format!("select name from pragma_table_info('{table}')");
                let columns: Vec<(String,)> = self.all(sql(columns.leak())).await.unwrap();
                columns.iter().map(|(name,)| format!("quote(\"{name}\")")).collect::<Vec<_>>().join("||','||")
            };
            let rows: Vec<(String,)> =
                self.all(sql(format!("select {row} from \"{table}\" as t").leak())).await.unwrap();
            let mut rows: Vec<String> = rows.into_iter().map(|(row,)| row).collect();
            rows.sort();
            dump.insert(table, rows);
        }
        dump
    }

    async fn tables(&self) -> Vec<String> {
        let tables = if self.is_postgres() {
            sql("select table_name::text from information_schema.tables where table_schema = 'public'")
        } else {
            sql("select name from sqlite_schema where type = 'table' and name not like 'sqlite%'")
        };
        let tables: Vec<(String,)> = self.all(tables).await.unwrap();
        tables.into_iter().map(|(name,)| name).filter(|name| name != "_sqlx_migrations").collect()
    }
}
