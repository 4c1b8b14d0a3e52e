//! A mail server that keeps what it is given (RFC 5321, as much of it as a client without TLS needs). Must not know who
//! sends to it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A mail as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Whom the envelope names.
    pub to: String,
    /// Headers and text, decoded from quoted-printable.
    pub content: String,
}

#[derive(Default)]
struct Kept {
    mails: Vec<Received>,
    put_off: usize,
    tries: usize,
}

/// A running mail server; it is gone when dropped.
pub struct MailSink {
    address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
    _serving: JoinSet<()>,
}

impl MailSink {
    /// Takes mails on a loopback port. The first `put_off` tries are answered with "try again later"; an address that
    /// begins with `refused` is refused.
    pub async fn start(put_off: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::new(Mutex::new(Kept { put_off, ..Kept::default() }));
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&kept);
        serving.spawn(async move {
            let mut dialogues = JoinSet::new();
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                let kept = Arc::clone(&shared);
                dialogues.spawn(async move { drop(serve(socket, &kept).await) });
            }
        });
        Self { address, kept, _serving: serving }
    }

    /// What `SMTP_URL` names it by.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The mails to an address so far.
    pub fn mails_to(&self, address: &str) -> Vec<Received> {
        let kept = self.kept.lock().expect("nobody panicked");
        kept.mails.iter().filter(|mail| mail.to == address).cloned().collect()
    }

    /// How often somebody began a mail.
    pub fn tries(&self) -> usize {
        self.kept.lock().expect("nobody panicked").tries
    }
}

async fn serve(socket: TcpStream, kept: &Mutex<Kept>) -> std::io::Result<()> {
    let mut stream = BufReader::new(socket);
    stream.write_all(b"220 sink ESMTP\r\n").await?;
    let (mut to, mut line) = (String::new(), String::new());
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_ascii_uppercase();
        let answer = if command.starts_with("EHLO") {
            "250 sink\r\n"
        } else if command.starts_with("MAIL") {
            let mut kept = kept.lock().expect("nobody panicked");
            kept.tries += 1;
            if kept.tries <= kept.put_off { "451 later\r\n" } else { "250 ok\r\n" }
        } else if command.starts_with("RCPT TO:<REFUSED") {
            "550 nobody\r\n"
        } else if command.starts_with("RCPT") {
            to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
            "250 ok\r\n"
        } else if command == "DATA" {
            stream.write_all(b"354 go on\r\n").await?;
            let content = read_data(&mut stream).await?;
            let mail = Received { to: to.clone(), content };
            kept.lock().expect("nobody panicked").mails.push(mail);
            "250 kept\r\n"
        } else if command == "QUIT" {
            stream.write_all(b"221 bye\r\n").await?;
            return Ok(());
        } else {
            "250 ok\r\n"
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// The lines up to the one that is a dot, with soft line breaks joined and `=XX` decoded.
async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut content = String::new();
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await? > 0 && line != ".\r\n"
    } {
        content.push_str(line.strip_prefix('.').unwrap_or(&line));
    }
    let content = content.replace("=\r\n", "").replace("\r\n", "\n");
    let mut decoded = Vec::new();
    let mut bytes = content.bytes();
    while let Some(byte) = bytes.next() {
        let hex: String =
            if byte == b'=' { bytes.clone().take(2).map(char::from).collect() } else { String::new() };
        match u8::from_str_radix(&hex, 16) {
            Ok(value) if hex.len() == 2 => {
                decoded.push(value);
                bytes.nth(1);
            }
            _ => decoded.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}
