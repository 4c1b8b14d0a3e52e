//! The api tier: accounts, HTTP, and the terminal stream in front of ptyd. Holds nothing between requests that the
//! database or ptyd does not hold.
#![forbid(unsafe_code)]

pub mod admin;
pub mod config;
pub mod coordination;
pub mod counts;
pub mod domain;
pub mod dotenv;
pub mod http;
pub mod link;
pub mod logs;
pub mod mail;
pub mod problem;
pub mod run;
pub mod server;
pub mod standalone;
pub mod state;
pub mod store;
pub mod terminal;

pub(crate) use devpocket_shared::chain;
