//! What travels between api and ptyd: a stream of frames for each request or attachment, the same over QUIC and over
//! a Unix socket. Knows nothing of either transport.
//!
//! A stream opens with two control frames from the api, [`Hello`] and a [`Request`], sent together; ptyd answers with
//! its own [`Hello`] and then an [`Answer`]. After `Answer::Attached` both sides speak [`ToPtyd`] and [`ToApi`], with the
//! terminal's bytes as raw frames beside them.

pub mod code;
pub mod codec;
pub mod commands;
pub mod details;
pub mod frame;
#[cfg(test)]
mod golden;
pub mod message;
pub mod private;
#[cfg(feature = "transport")]
pub mod stream;

pub use code::ErrorCode;
pub use commands::{Command, CommandResult};
pub use details::{Change, Limits, RollEntry, SessionDetails, Update};
pub use frame::{Frame, FrameError, FrameHeader, FrameKind};
pub use message::{
    Answer, Attach, AttachMode, Attached, Create, CreationKey, Delivery, EndReason, Exit, Failure, Hello,
    NodeInfo, Request, Resume, ScreenFormat, SessionInfo, Signal, SnapshotReason, Spec, ToApi, ToPtyd,
};
