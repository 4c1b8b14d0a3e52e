//! Bytes on the wire: what a connection carries to the client for what a program prints, while somebody works. Must not
//! know how frames are made.

use std::time::Duration;

use anyhow::ensure;
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Event, Framing, Socket};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;

/// What somebody types, key by key.
const WORK: [(&str, &[&str]); 4] = [
    ("a shell", &["ls -l --color=always /usr/bin | tail -n 30", "\r", "cat /etc/os-release", "\r"]),
    (
        "vim",
        &[
            "vim -u NONE -N -i NONE --cmd 'syntax on | set nomore number' /etc/services",
            "\r",
            "10jdd5jddpGggO",
            "The quick brown fox jumps over the lazy dog.",
            "\x1b",
            "\x06",
            "\x06",
            "\x02",
            "/http",
            "\r",
            ":q!",
            "\r",
        ],
    ),
    (
        "a progress bar",
        &[
            "i=0; while [ $i -le 100 ]; do printf '\\r[%-50s] %3d%%' $(printf '%*s' $((i/2)) '' | tr ' ' '#') $i; i=$((i+1)); sleep 0.02; done; echo",
            "\r",
        ],
    ),
    ("htop", &["htop -d 5", "\r", "\x1b[B", "\x1b[B", "\x1b[B", "\x1b[A", "q"]),
];
/// Between two keys.
const PAUSE: Duration = Duration::from_millis(25);
/// Between two steps: what a program draws for a while.
const LOOK: Duration = Duration::from_millis(700);
/// Output that stays away for so long has ended.
const STILL: Duration = Duration::from_millis(300);

/// Per cent of the payload, plain and compressed.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig =
        Rig::start(options.contenders().into_iter().filter(|one| *one == Contender::Unix).collect()).await?;
    let mut rows = Vec::new();
    for (name, framing, bound) in [("plain", Framing::Binary, 106.0), ("compressed", Framing::Deflate, 25.0)]
    {
        let mut all = Row::new(format!("bytes to the client, of what was printed, {name}"), "%");
        for contender in &rig.contenders {
            let opening = rig.stack(*contender)?.opening(0, framing);
            let mut worker = Worker::start(Socket::must_open(&opening).await).await?;
            let (mut carried, mut printed) = (0, 0);
            for (what, steps) in WORK {
                let part = worker.work(steps).await?;
                ensure!(part.1 > 0, "{what} prints nothing");
                let mut row = Row::new(format!("the same, {what}"), "%");
                row.add(*contender, part.0 as f64 / part.1 as f64 * 100.0);
                rows.push(row);
                carried += part.0;
                printed += part.1;
            }
            all.add(*contender, carried as f64 / printed as f64 * 100.0);
            all.expect(*contender, Target::AtMost(bound));
        }
        rows.push(all);
    }
    Ok(rows)
}

/// Somebody at work in a shell.
struct Worker {
    socket: Socket,
    session: Uuid,
    end: u64,
}

impl Worker {
    async fn start(mut socket: Socket) -> anyhow::Result<Self> {
        let shell = "stty sane; PS1='$ ' TERM=xterm-256color exec bash --norc --noprofile -i";
        let attached = socket.connect(raw_script(shell)).await;
        let mut worker = Self { socket, session: attached.session, end: attached.offset };
        worker.watch(STILL).await?;
        Ok(worker)
    }

    /// Bytes carried and printed while these steps are typed.
    async fn work(&mut self, steps: &[&str]) -> anyhow::Result<(u64, u64)> {
        let (carried, printed) = (self.socket.received_bytes(), self.end);
        for step in steps {
            for key in keys(step) {
                self.socket.send_input(self.session, None, key.as_bytes());
                self.watch(PAUSE).await?;
            }
            if step.ends_with(['\r', '\x06', '\x02', 'A', 'B']) {
                let until = tokio::time::Instant::now() + LOOK;
                while tokio::time::Instant::now() < until {
                    self.watch(PAUSE).await?;
                    sleep(PAUSE).await;
                }
            }
        }
        self.watch(STILL).await?;
        Ok((self.socket.received_bytes() - carried, self.end - printed))
    }

    /// Takes what comes, and draws it, until nothing has come for so long.
    async fn watch(&mut self, still: Duration) -> anyhow::Result<()> {
        while let Ok(event) = timeout(still, self.socket.event("output")).await {
            match event {
                Event::Output { end, .. } => self.end = end,
                Event::Closed { .. } => anyhow::bail!("the connection was closed"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// An escape sequence is one key, anything else a key for each character.
fn keys(step: &str) -> Vec<String> {
    if step.len() > 1 && step.starts_with('\x1b') {
        vec![step.to_owned()]
    } else {
        step.chars().map(String::from).collect()
    }
}
