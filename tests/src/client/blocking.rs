//! A socket whose reads block the thread, for measurements: nothing but the connection stands between the caller and the
//! server, as with a pipe to `ssh`. One session in binary mode; what is not its output is passed over.

use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use uuid::Uuid;

use super::frame::{self, ServerFrame};
use super::socket::Socket;

/// The socket.
pub struct BlockingSocket {
    stream: WebSocket<TcpStream>,
    channel: u16,
}

impl BlockingSocket {
    /// Goes on with an open socket on which nothing is under way, attached to `session`. A read may take at most `limit`.
    pub fn new(socket: Socket, session: Uuid, limit: Duration) -> std::io::Result<Self> {
        let channel = socket.channel(session).ok_or(std::io::ErrorKind::NotConnected)?;
        let stream = socket.into_stream()?;
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(limit))?;
        Ok(Self { stream: WebSocket::from_raw_socket(stream, Role::Client, None), channel })
    }

    /// Sends typed bytes.
    pub fn send_input(&mut self, seq: u64, bytes: &[u8]) -> Result<(), tungstenite::Error> {
        self.stream.send(Message::Binary(frame::input(self.channel, seq, bytes)))
    }

    /// The next output.
    pub fn next_output(&mut self) -> Result<Bytes, tungstenite::Error> {
        loop {
            let Message::Binary(bytes) = self.stream.read()? else { continue };
            if let Some(ServerFrame::Output { bytes, .. }) = frame::parse(bytes) {
                return Ok(bytes);
            }
        }
    }
}
