//! What the black-box tests and the benchmarks share: a stack of real processes, a client of the terminal stream
//! written from docs/protocol.md alone, and a proxy that breaks connections. Knows no code of `api` or `ptyd`.

pub mod client;
pub mod coloured;
pub mod corpus;
pub mod flood;
pub mod mail_sink;
pub mod metrics;
pub mod proxy;
pub mod random;
pub mod rest;
pub mod routes;
pub mod shell;
pub mod stack;
pub mod throttle;
pub mod until;
pub mod witness;

pub use random::Random;
pub use throttle::Throttle;
pub use until::{wait_for, wait_until};
pub use witness::Witness;
