//! One packet with its descriptors over the keeper's socket pair; knows no message.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use devpocket_shared::wire::codec::{self, CodecError};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    setsockopt, socketpair, sockopt,
};

use super::{MAX_DESCRIPTORS, MAX_PACKET_BYTES};

/// A packet could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The other side is gone.
    #[error("the other side of the handover socket is gone")]
    Closed,
    /// The socket would block; try again when it is ready.
    #[error("the handover socket is not ready")]
    NotReady,
    /// The packet or its descriptors were cut short.
    #[error("a handover packet was cut short")]
    Truncated,
    /// The packet holds no message of the expected type.
    #[error("a handover packet is malformed")]
    Malformed(#[from] CodecError),
    /// The system refused.
    #[error("handover socket failed")]
    Os(#[source] Errno),
}

/// A connected pair of SEQPACKET sockets, close-on-exec and non-blocking, with room for several large packets.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    for fd in [&ours, &theirs] {
        // Best effort: the kernel caps it at net.core.wmem_max, and the default of 208 KiB takes any single packet.
        let _capped = setsockopt(fd, sockopt::SndBuf, &(4 * MAX_PACKET_BYTES));
    }
    Ok((ours, theirs))
}

/// Sends `message` with `descriptors` beside it, as one packet.
pub fn send<T: bincode::Encode>(
    socket: BorrowedFd<'_>,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), HandoverError> {
    send_bytes(socket, &codec::encode(message)?, descriptors)
}

/// Sends an already encoded message.
pub fn send_bytes(
    socket: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), HandoverError> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control: &[ControlMessage<'_>] = if raw.is_empty() { &[] } else { &rights };
    match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(packet)], control, MsgFlags::MSG_NOSIGNAL, None) {
        Ok(sent) if sent == packet.len() => Ok(()),
        Ok(_) => Err(HandoverError::Truncated),
        Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::ETOOMANYREFS) => Err(HandoverError::NotReady),
        Err(Errno::EPIPE | Errno::ECONNRESET) => Err(HandoverError::Closed),
        Err(errno) => Err(HandoverError::Os(errno)),
    }
}

/// Receives one message and the descriptors beside it, which are close-on-exec. `buffer` has
/// [`MAX_PACKET_BYTES`].
pub fn receive<T: bincode::Decode<()>>(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<(T, Vec<OwnedFd>), HandoverError> {
    debug_assert!(buffer.len() >= MAX_PACKET_BYTES);
    let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let (read, truncated, descriptors) = {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let got = match recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut control), flags) {
            Ok(got) => got,
            Err(Errno::EAGAIN) => return Err(HandoverError::NotReady),
            Err(Errno::ECONNRESET) => return Err(HandoverError::Closed),
            Err(errno) => return Err(HandoverError::Os(errno)),
        };
        let mut descriptors = Vec::new();
        for message in got.cmsgs().map_err(|_| HandoverError::Truncated)? {
            if let ControlMessageOwned::ScmRights(raw) = message {
                // SAFETY: the kernel has just made these descriptors for us; nobody else owns them.
                descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
            }
        }
        (got.bytes, got.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC), descriptors)
    };
    if read == 0 {
        return Err(HandoverError::Closed);
    }
    if truncated {
        return Err(HandoverError::Truncated);
    }
    let message = codec::decode(buffer.get(..read).ok_or(HandoverError::Truncated)?)?;
    Ok((message, descriptors))
}
