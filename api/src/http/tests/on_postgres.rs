//! The tests on PostgreSQL.
#![expect(clippy::duplicate_mod, reason = "every test runs on both databases")]

#[path = "accounts.rs"]
mod accounts;
#[path = "first_run.rs"]
mod first_run;
#[path = "refresh.rs"]
mod refresh;
#[path = "shape.rs"]
mod shape;

use super::*;

type Api = super::Api<crate::store::tests::PostgresPlace>;
