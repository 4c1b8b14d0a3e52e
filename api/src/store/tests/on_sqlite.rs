//! The contract on SQLite.
#![expect(clippy::duplicate_mod, reason = "the contract holds for both databases")]

#[path = "contract.rs"]
mod contract;
#[path = "races.rs"]
mod races;

use super::*;

type Kept = SqlitePlace;
