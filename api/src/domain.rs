//! What the api decides, free of HTTP and SQL.

pub mod identity;
