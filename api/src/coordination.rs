//! What apis have to agree on beside the database: by one api alone, in its memory, and by many over Redis.

mod memory;
mod redis;
mod revocations;

pub use memory::MemoryCoordination;
pub use redis::{RedisCoordination, RedisUrlError};

#[cfg(test)]
mod tests;
