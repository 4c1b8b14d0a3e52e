//! ptyd's parts as a library, so that its tests reach them; the binary in `main.rs` only chooses one. Knows no command
//! line beyond [`config`].

pub mod config;
pub mod handover;
pub mod keeper;
pub mod link;
pub mod worker;

pub(crate) use devpocket_shared::chain;
