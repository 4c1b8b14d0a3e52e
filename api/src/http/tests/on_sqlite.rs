//! The tests on SQLite.
#![expect(clippy::duplicate_mod, reason = "every test runs on both databases")]

#[path = "accounts.rs"]
mod accounts;
#[path = "books.rs"]
mod books;
#[path = "cleanup.rs"]
mod cleanup;
#[path = "devices.rs"]
mod devices;
#[path = "first_run.rs"]
mod first_run;
#[path = "headers.rs"]
mod headers;
#[path = "limits.rs"]
mod limits;
#[path = "links.rs"]
mod links;
#[path = "nodes.rs"]
mod nodes;
#[path = "profile.rs"]
mod profile;
#[path = "reference.rs"]
mod reference;
#[path = "refresh.rs"]
mod refresh;
#[path = "routes.rs"]
mod routes;
#[path = "shape.rs"]
mod shape;

use super::*;

type Api = super::Api<crate::store::tests::SqlitePlace>;
