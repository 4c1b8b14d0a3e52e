//! One keep-alive connection on which requests follow each other, as lean as can be: what it costs is missing to the
//! server on the same cores. Knows as much of HTTP as our answers need: a status and a length. Must not know what is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Room for a head and most bodies.
const CHUNK: usize = 64 << 10;

/// A request, as it is sent.
#[derive(Clone, Debug)]
pub struct Request(String);

/// The connection.
pub struct Caller {
    stream: TcpStream,
    received: Vec<u8>,
    filled: usize,
    body: usize,
}

impl Request {
    /// GET, signed in or not.
    pub fn get(server: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let credential = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        Self(format!("GET {path} HTTP/1.1\r\nhost: {server}\r\n{credential}\r\n"))
    }

    /// POST of JSON.
    pub fn post(server: SocketAddr, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json");
        Self(format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}"))
    }
}

impl Caller {
    /// Connects.
    pub fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LIMIT))?;
        Ok(Self { stream, received: vec![0; CHUNK], filled: 0, body: 0 })
    }

    /// Asks, and reads the whole answer; its status.
    pub fn call(&mut self, request: &Request) -> anyhow::Result<u16> {
        self.stream.write_all(request.0.as_bytes())?;
        self.filled = 0;
        let (status, head, length) = loop {
            self.read()?;
            if let Some(found) = parse(&self.received[..self.filled])? {
                break found;
            }
        };
        self.body = head;
        while self.filled < head + length {
            self.read()?;
        }
        ensure!(self.filled == head + length, "more came than one answer");
        Ok(status)
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.received[self.body..self.filled]
    }

    fn read(&mut self) -> anyhow::Result<()> {
        if self.filled == self.received.len() {
            self.received.resize(2 * self.filled, 0);
        }
        match self.stream.read(&mut self.received[self.filled..]).context("no answer")? {
            0 => bail!("the server closed the connection"),
            read => self.filled += read,
        }
        Ok(())
    }
}

/// Status, length of the head and of the body; none while the head is not whole.
fn parse(received: &[u8]) -> anyhow::Result<Option<(u16, usize, usize)>> {
    let Some(end) = received.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = str::from_utf8(&received[..end])?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim())
    });
    Ok(Some((status, end + 4, length.context("no content-length")?.parse()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_a_length() {
        let check = |text: &str, found| assert_eq!(parse(text.as_bytes()).unwrap(), found, "{text:?}");
        check("HTTP/1.1 200 OK\r\ncontent-le", None);
        check("HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nab", Some((401, 48, 3)));
        assert!(parse(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
