//! Somebody at work in a shell, and what the connection carries for it. Must not know what is worked on.

use std::iter;
use std::ops::{Add, Sub};
use std::path::Path;
use std::time::Duration;

use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Event, Framing, Socket};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::relay::Relay;
use crate::contender::Contender;
use crate::node_pty::terminal::WebTerminal;
use crate::rig::Rig;
use crate::tty::Tty;

const SHELL: &str = "stty sane rows 24 cols 80; PS1='$ ' TERM=xterm-256color exec bash --norc --noprofile -i";
/// Between two keys.
const PAUSE: Duration = Duration::from_millis(25);
/// What a step puts on the screen is looked at for so long.
const LOOK: Duration = Duration::from_millis(250);
/// Output that stays away for so long has ended.
const STILL: Duration = Duration::from_millis(300);

/// Bytes that came to the client, and bytes that were printed, since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    carried: u64,
    /// Of the programs alone.
    pub printed: u64,
}

/// A terminal with somebody at it.
pub enum Desk {
    Ours { socket: Box<Socket>, session: Uuid, printed: u64 },
    Ssh { tty: Tty, relay: Relay, printed: u64 },
    Web { terminal: Box<WebTerminal>, relay: Relay, printed: u64 },
}

impl Desk {
    /// Opens a shell.
    pub async fn start(rig: &Rig, contender: Contender, framing: Framing) -> anyhow::Result<Self> {
        let mut desk = if contender.is_ours() {
            let mut socket = Socket::must_open(&rig.stack(contender)?.opening(0, framing)).await;
            let session = socket.connect(raw_script(SHELL)).await.session;
            Self::Ours { socket: Box::new(socket), session, printed: 0 }
        } else if contender == Contender::NodePty {
            let server = rig.node_pty()?;
            let relay = Relay::start(server.address())?;
            let terminal = server.open_at(relay.address(), SHELL)?;
            Self::Web { terminal: Box::new(terminal), relay, printed: 0 }
        } else {
            let relay = Relay::start(rig.sshd()?.address())?;
            let compressed = framing == Framing::Deflate;
            let client = rig.sshd()?.client_at(relay.address(), compressed, Some(SHELL));
            Self::Ssh { tty: Tty::piped(client)?, relay, printed: 0 }
        };
        // Signing in takes ssh a moment.
        while desk.carried().printed == 0 {
            desk.watch(STILL).await?;
        }
        desk.watch(STILL).await?;
        Ok(desk)
    }

    /// What was carried up to now.
    pub fn carried(&self) -> Carried {
        match self {
            Self::Ours { socket, printed, .. } => {
                Carried { carried: socket.received_bytes(), printed: *printed }
            }
            Self::Ssh { relay, printed, .. } | Self::Web { relay, printed, .. } => {
                Carried { carried: relay.to_client(), printed: *printed }
            }
        }
    }

    /// Types these steps, each so many times, key by key, and looks at what each of them shows. `{}` in a step stands for `files`.
    pub async fn work(&mut self, steps: &[(&str, usize)], files: &Path) -> anyhow::Result<()> {
        for step in steps.iter().flat_map(|(step, times)| iter::repeat_n(step, *times)) {
            for key in keys(&step.replace("{}", &files.display().to_string())) {
                self.press(key.as_bytes())?;
                self.watch(PAUSE).await?;
            }
            if step.chars().count() <= 4 {
                let until = Instant::now() + LOOK;
                while Instant::now() < until {
                    self.watch(PAUSE).await?;
                }
            }
        }
        self.watch(STILL).await
    }

    fn press(&mut self, key: &[u8]) -> anyhow::Result<()> {
        match self {
            Self::Ours { socket, session, .. } => socket.send_input(*session, None, key),
            Self::Ssh { tty, .. } => tty.write(key)?,
            Self::Web { terminal, .. } => terminal.write(key)?,
        }
        Ok(())
    }

    /// Takes what comes until nothing has come for so long.
    async fn watch(&mut self, still: Duration) -> anyhow::Result<()> {
        match self {
            Self::Ours { socket, printed, .. } => {
                while let Ok(event) = timeout(still, socket.event("output")).await {
                    match event {
                        Event::Output { end, .. } => *printed = end,
                        Event::Closed { .. } => anyhow::bail!("the connection was closed"),
                        _ => {}
                    }
                }
            }
            Self::Ssh { tty, printed, .. } => {
                let mut chunk = [0; 64 << 10];
                while tty.waits_for_output(still)? {
                    *printed += tty.read(&mut chunk)? as u64;
                }
            }
            Self::Web { terminal, printed, .. } => {
                while let Some(output) = terminal.read_within(still)? {
                    *printed += output.len() as u64;
                }
            }
        }
        Ok(())
    }
}

impl Carried {
    /// What was carried, in per cent of what was printed.
    pub fn per_cent(self) -> f64 {
        self.carried as f64 / self.printed as f64 * 100.0
    }
}

impl Add for Carried {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { carried: self.carried + other.carried, printed: self.printed + other.printed }
    }
}

impl Sub for Carried {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { carried: self.carried - other.carried, printed: self.printed - other.printed }
    }
}

/// An escape sequence is one key, anything else a key for each character; nothing is a key that is not pressed.
fn keys(step: &str) -> Vec<String> {
    if step.len() > 1 && step.starts_with('\x1b') {
        vec![step.to_owned()]
    } else {
        step.chars().map(String::from).collect()
    }
}
