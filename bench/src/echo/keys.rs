//! One keyboard on a program that repeats what is typed. Must not know how its times are used.

use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{BlockingSocket, Socket};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::contender::Contender;
use crate::node_pty::terminal::WebTerminal;
use crate::rig::Rig;
use crate::tty::Tty;

/// The terminal echoes nothing itself: every byte passes through the program.
const PROGRAM: &str = "printf ready; exec cat";
/// How long one byte may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Nothing comes for so long once everything has come.
const QUIET: Duration = Duration::from_millis(300);

/// A keyboard.
pub struct Keys {
    line: Line,
    pressed: u64,
}

enum Line {
    Tty(Tty),
    Web(Box<WebTerminal>),
    Stream(Box<BlockingSocket>),
}

impl Keys {
    /// Starts the program behind a contender.
    pub async fn open(rig: &Rig, contender: Contender) -> anyhow::Result<Self> {
        let line = match contender {
            Contender::Bare | Contender::Ssh | Contender::Tmux | Contender::Libraries => {
                let mut tty = rig.tty(contender, &format!("stty raw -echo; {PROGRAM}"))?;
                tty.read_until("ready")?;
                Line::Tty(tty)
            }
            Contender::NodePty => {
                let mut terminal = rig.node_pty()?.open(&format!("stty raw -echo; {PROGRAM}"))?;
                terminal.read_until("ready")?;
                Line::Web(Box::new(terminal))
            }
            Contender::Unix | Contender::Quic | Contender::Sqlite | Contender::Postgres => {
                let mut socket = Socket::must_open(&rig.opening(contender)?).await;
                let mut connect = raw_script(PROGRAM);
                // Of its own: the same client asking the same again would get the session it had (protocol section 3).
                connect["client_id"] = Uuid::new_v4().simple().to_string().into();
                let session = socket.connect(connect).await.session;
                socket.read_until(session, "ready").await;
                // What the server says beside the output has then come too.
                while timeout(QUIET, socket.next_event()).await.is_ok() {}
                Line::Stream(Box::new(BlockingSocket::new(socket, session, LIMIT)?))
            }
        };
        Ok(Self { line, pressed: 0 })
    }

    /// Types a byte and waits until that byte, and nothing else, has come back. Blocks the thread: who waits in a runtime is
    /// woken later than who waits in a read, and both are measured alike.
    pub fn press(&mut self) -> anyhow::Result<Duration> {
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
            Line::Web(terminal) => {
                terminal.write(&typed)?;
                let echoed = terminal.read();
                let took = began.elapsed();
                let echoed = echoed?;
                ensure!(echoed.as_bytes() == typed, "typed {typed:?}, came back {echoed:?}");
                Ok(took)
            }
            Line::Stream(socket) => {
                socket.send_input(self.pressed, &typed)?;
                let echoed = socket.next_output();
                let took = began.elapsed();
                let echoed =
                    echoed.with_context(|| format!("keystroke {} did not come back", self.pressed))?;
                ensure!(echoed[..] == typed, "typed {typed:?}, came back {echoed:?}");
                Ok(took)
            }
        }
    }
}
