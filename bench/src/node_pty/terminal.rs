//! The client of a web terminal: text messages from a socket whose reads block the thread, as the client of ours does. Must
//! not know who serves it.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes, WebSocket};

/// How long output may stay away.
const LIMIT: Duration = Duration::from_secs(30);

/// A terminal somewhere else.
pub struct WebTerminal {
    stream: WebSocket<TcpStream>,
}

impl WebTerminal {
    /// Opens the socket at this path.
    pub fn connect(address: SocketAddr, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let opened = tungstenite::client(format!("ws://{address}{path}"), stream);
        let (stream, _response) = opened.context("the WebSocket does not open")?;
        Ok(Self { stream })
    }

    /// Types.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::binary(bytes.to_vec()))?)
    }

    /// Waits for output. The end of the program is an error.
    pub fn read(&mut self) -> anyhow::Result<Utf8Bytes> {
        self.next_text()?.context("no output comes")
    }

    /// Waits for output; none if none came within `limit`.
    pub fn read_within(&mut self, limit: Duration) -> anyhow::Result<Option<Utf8Bytes>> {
        self.stream.get_ref().set_read_timeout(Some(limit))?;
        let output = self.next_text();
        self.stream.get_ref().set_read_timeout(Some(LIMIT))?;
        output
    }

    /// Reads up to `marker`, which must be the last that comes until something is typed.
    pub fn read_until(&mut self, marker: &str) -> anyhow::Result<()> {
        let mut seen = String::new();
        while !seen.ends_with(marker) {
            let output = self.read();
            seen.push_str(&output.with_context(|| format!("no {marker:?} after {seen:?}"))?);
        }
        Ok(())
    }

    /// Reads exactly `bytes` into the end of `into`, whose capacity holds them.
    pub fn read_exactly(&mut self, bytes: usize, into: &mut Vec<u8>) -> anyhow::Result<()> {
        let mut left = bytes;
        while left > 0 {
            let output = self.read()?;
            ensure!(output.len() <= left, "{} bytes more than expected", output.len() - left);
            into.extend_from_slice(output.as_bytes());
            left -= output.len();
        }
        Ok(())
    }

    /// The next output; none if the time for reads was over first.
    fn next_text(&mut self) -> anyhow::Result<Option<Utf8Bytes>> {
        loop {
            match self.stream.read() {
                Ok(Message::Text(text)) => return Ok(Some(text)),
                Ok(Message::Close(_)) => bail!("the program ended"),
                Ok(_) => {}
                Err(tungstenite::Error::Io(err))
                    if matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return Ok(None);
                }
                Err(err) => return Err(err.into()),
            }
        }
    }
}
