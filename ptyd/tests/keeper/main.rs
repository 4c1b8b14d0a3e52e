//! The keeper as a real process with real shells; only the worker is the test itself, speaking the handover. Tests that
//! need root to be true run as root only, and say so in their names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers may fail it")]
#![allow(clippy::print_stderr, reason = "a failed test shows the keeper's log")]
#![allow(clippy::wildcard_enum_match_arm, reason = "whatever else comes fails the test")]
#![allow(unreachable_pub, reason = "a test is nobody's library")]

mod certificates;
mod ending;
mod handing_over;
mod node;
mod replacing;
mod sessions;
mod starting;
mod worker;
