//! Reattach: how long until a device that knows nothing shows a session's screen, from the first byte of its connection.
//! Must not know how the screen gets there.

mod screen;

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Event, Opening, Socket};
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::tty::{self, Tty};
use screen::{Picture, Watched};

/// What is on the screen: a name, and the command that puts it there. The shell's prompt comes last, as it does.
const PROGRAMS: [(&str, &str); 3] = [
    (
        "shell",
        "PS1='$ ' exec bash --norc --noprofile -i -c 'ls -l --color=always /usr/bin | head -n 300; exec sh -i'",
    ),
    ("less", "LESS= exec less +G /etc/services"),
    ("vim", "exec vim -u NONE -N -i NONE --cmd 'set shortmess+=I nomore' /etc/services"),
];
/// Output that stays away for so long has ended.
const STILL: Duration = Duration::from_millis(400);
/// How long a program may take to draw its screen, and a screen to arrive.
const LIMIT: Duration = Duration::from_secs(20);

/// p50 of each program, in milliseconds.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let ours: Vec<Contender> = options.contenders().into_iter().filter(|one| one.is_ours()).collect();
    let rig = Rig::start(ours).await?;
    let mut rows = Vec::new();
    for (name, command) in PROGRAMS {
        let mut row = Row::new(format!("reattach, {name}, p50 of {}", options.reattaches()), "ms");
        let mut sessions = Vec::new();
        for contender in &rig.contenders {
            sessions.push((*contender, Ours::start(rig.opening(*contender)?, command).await?));
        }
        let tmux = Tmux::start(command)?;
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); sessions.len() + 1];
        for _ in 0..options.reattaches() {
            for ((_, session), times) in sessions.iter_mut().zip(&mut times) {
                times.push(session.reattach().await?.as_secs_f64() * 1e3);
            }
            times[sessions.len()].push(tmux.reattach()?.as_secs_f64() * 1e3);
        }
        for ((contender, _), times) in sessions.iter().zip(&times) {
            row.add(*contender, percentile(times, 50));
            row.expect(*contender, Target::AtMost(3.0));
        }
        row.add(Contender::Tmux, percentile(&times[sessions.len()], 50));
        rows.push(row);
        for (_, session) in sessions {
            session.end().await?;
        }
    }
    Ok(rows)
}

/// A session of ours, seen by a first device that was there from the start.
struct Ours {
    opening: Opening,
    first: Socket,
    session: Uuid,
    picture: Picture,
}

impl Ours {
    async fn start(opening: Opening, command: &str) -> anyhow::Result<Self> {
        let mut first = Socket::must_open(&opening).await;
        let mut connect = raw_script(&format!("stty sane; {command}"));
        connect["delivery"] = "lossless".into();
        let session = first.connect(connect).await.session;
        let mut watched = Watched::default();
        // Until nothing more comes.
        while let Ok(event) = timeout(STILL, first.event("output")).await {
            if let Event::Output { bytes, .. } = event {
                watched.feed(&bytes);
            }
        }
        let picture = watched.picture();
        ensure!(picture.is_drawn(), "the program draws nothing");
        Ok(Self { opening, first, session, picture })
    }

    /// From the first byte of a new connection to the last of a screen that is right.
    async fn reattach(&mut self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut socket = Socket::must_open(&self.opening).await;
        socket.send(&json!({"type": "attach", "session_id": self.session, "data": {}}));
        let mut bytes = Vec::new();
        loop {
            match timeout(LIMIT, socket.event("a snapshot")).await.context("no snapshot comes")? {
                Event::Snapshot { bytes: part, more, .. } => {
                    bytes.extend_from_slice(&part);
                    if !more {
                        break;
                    }
                }
                Event::Closed { .. } => anyhow::bail!("the connection was closed"),
                _ => {}
            }
        }
        let took = began.elapsed();
        let mut watched = Watched::default();
        watched.feed(&bytes);
        ensure!(watched.picture() == self.picture, "the screen is another: {:?}", watched.picture());
        Ok(took)
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.first.ask(json!({"type": "terminate", "session_id": self.session})).await;
        Ok(())
    }
}

/// The same program in tmux, without a status line, on a server of its own.
struct Tmux {
    directory: TempDir,
    picture: Picture,
}

impl Tmux {
    fn start(command: &str) -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("devpocket-tmux-").tempdir()?;
        let mut tmux = Self { directory, picture: Watched::default().picture() };
        let script = format!("{} new-session -d -x 80 -y 24 \"$1\" \\; set -g status off", tmux.words());
        let status =
            Command::new("sh").args(["-c", &script, "sh", command]).status().context("tmux is not here")?;
        ensure!(status.success(), "tmux: {status}");
        // A first client: what it shows once nothing more comes is what every later one must show.
        let mut client = tmux.client()?;
        let mut watched = Watched::default();
        while client.waits_for_output(STILL)? {
            let mut chunk = [0; 64 << 10];
            let read = client.read(&mut chunk)?;
            watched.feed(&chunk[..read]);
        }
        tmux.picture = watched.picture();
        ensure!(tmux.picture.is_drawn(), "tmux draws nothing");
        Ok(tmux)
    }

    fn words(&self) -> String {
        format!("exec tmux -f /dev/null -S {}", self.directory.path().join("socket").display())
    }

    fn client(&self) -> anyhow::Result<Tty> {
        let mut command = tty::script(&format!("{} attach-session", self.words()));
        command.env("TERM", "xterm-256color");
        Tty::bare(command)
    }

    /// From the start of a client to the last byte of a screen that is right.
    fn reattach(&self) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let mut client = self.client()?;
        let mut watched = Watched::default();
        let mut chunk = [0; 64 << 10];
        loop {
            ensure!(client.waits_for_output(LIMIT)?, "tmux shows another screen: {:?}", watched.picture());
            let read = client.read(&mut chunk)?;
            let took = began.elapsed();
            watched.feed(&chunk[..read]);
            if watched.picture() == self.picture {
                return Ok(took);
            }
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ended = Command::new("sh").args(["-c", &format!("{} kill-server", self.words())]).status();
    }
}
