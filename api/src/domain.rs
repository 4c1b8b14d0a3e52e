//! What the api decides, free of HTTP and SQL.

pub mod accounts;
pub mod answers;
pub mod clock;
pub mod coordination;
pub mod identity;
pub mod limits;
pub mod lockout;
pub mod mail;
pub mod origins;
pub mod password;
pub mod profile;
pub mod secret_token;
pub mod session;
pub mod sessions;
pub mod ticket;
pub mod token;
pub mod user;
