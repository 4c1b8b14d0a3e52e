//! A client of the terminal stream, written from docs/protocol.md alone: a raw socket for tests that look at single
//! messages, and a durable client that goes on over any number of lost connections. Knows no code of the product.

pub mod blocking;
pub mod durable;
pub mod event;
pub mod frame;
pub mod inflate;
pub mod opening;
pub mod sink;
pub mod socket;
pub mod start;
pub mod talk;
pub mod watcher;

pub use blocking::BlockingSocket;
pub use durable::{Durable, DurableOptions, End};
pub use event::{Event, History, ServerMessage, Violation};
pub use opening::{Credential, Framing, OpenError, Opening};
pub use sink::{Hasher, Sink};
pub use socket::Socket;
pub use talk::{Attached, ERROR_LIMIT, EVENT_LIMIT};
pub use watcher::Watcher;
