//! What apis have to agree on beside the database. Two implementations of each: for one api alone, and over Redis.

mod memory;

pub use memory::MemoryLimiter;
