//! What the api decides, free of HTTP and SQL.

pub mod accounts;
pub mod clock;
pub mod identity;
pub mod lockout;
pub mod origins;
pub mod password;
pub mod secret_token;
pub mod session;
pub mod sessions;
pub mod ticket;
pub mod token;
pub mod user;
