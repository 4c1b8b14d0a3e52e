//! One keyboard on a program that repeats what is typed. Must not know how its times are used.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Event, Socket};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::contender::Contender;
use crate::rig::Rig;
use crate::tty::Tty;

/// The terminal echoes nothing itself: every byte passes through the program.
const PROGRAM: &str = "printf ready; exec cat";
/// How long one byte may take.
const LIMIT: Duration = Duration::from_secs(10);

/// A keyboard.
pub struct Keys {
    line: Line,
    pressed: u64,
}

enum Line {
    Tty(Tty),
    Stream { socket: Box<Socket>, session: Uuid },
}

impl Keys {
    /// Starts the program behind a contender.
    pub async fn open(rig: &Rig, contender: Contender) -> anyhow::Result<Self> {
        let line = match contender {
            Contender::Bare | Contender::Ssh | Contender::Tmux => {
                let mut tty = rig.tty(contender, &format!("stty raw -echo; {PROGRAM}"))?;
                tty.read_until("ready")?;
                Line::Tty(tty)
            }
            Contender::Unix | Contender::Quic => {
                let mut socket = Socket::must_open(&rig.opening(contender)?).await;
                let mut connect = raw_script(PROGRAM);
                // Of its own: the same client asking the same again would get the session it had (protocol section 3).
                connect["client_id"] = Uuid::new_v4().simple().to_string().into();
                let session = socket.connect(connect).await.session;
                socket.read_until(session, "ready").await;
                Line::Stream { socket: Box::new(socket), session }
            }
        };
        Ok(Self { line, pressed: 0 })
    }

    /// Types a byte and waits until that byte, and nothing else, has come back.
    pub async fn press(&mut self) -> anyhow::Result<Duration> {
        self.pressed += 1;
        let typed = [b'a' + (self.pressed % 26) as u8];
        let began = Instant::now();
        match &mut self.line {
            Line::Tty(tty) => {
                tty.write(&typed)?;
                let mut echoed = [0; 64];
                let read = tty.read(&mut echoed)?;
                let took = began.elapsed();
                ensure!(echoed[..read] == typed, "typed {typed:?}, came back {:?}", &echoed[..read]);
                Ok(took)
            }
            Line::Stream { socket, session } => {
                socket.send_input(*session, Some(self.pressed), &typed);
                let echoed = timeout(LIMIT, next_output(socket)).await;
                let echoed =
                    echoed.with_context(|| format!("keystroke {} did not come back", self.pressed))??;
                let took = began.elapsed();
                ensure!(echoed[..] == typed, "typed {typed:?}, came back {echoed:?}");
                Ok(took)
            }
        }
    }
    /// Types nothing for a while; what the server says beside the echo is read meanwhile.
    pub async fn rest(&mut self, pause: Duration) -> anyhow::Result<()> {
        match &mut self.line {
            Line::Tty(_) => sleep(pause).await,
            Line::Stream { socket, .. } => {
                if let Ok(output) = timeout(pause, next_output(socket)).await {
                    bail!("nothing was typed, but came back {:?}", output?);
                }
            }
        }
        Ok(())
    }
}

/// Waits for output; an error or the end of the connection is an error.
async fn next_output(socket: &mut Socket) -> anyhow::Result<Bytes> {
    loop {
        match socket.next().await? {
            Event::Output { bytes, .. } => return Ok(bytes),
            Event::InputAck { .. } => {}
            Event::Message(message) if message.error().is_none() => {}
            other => bail!("not an echo: {other:?}"),
        }
    }
}
