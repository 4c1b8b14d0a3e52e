//! Many open sockets that say nothing and answer the server's pings, on a thread of their own. Must not know what is
//! measured.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use devpocket_tests::client::{Event, Opening, Socket};
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;

/// How long all sockets may take to open, with their sessions.
const LIMIT: Duration = Duration::from_secs(120);

/// The sockets; close in `Drop`, their sessions live on.
pub struct Idle {
    over: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Idle {
    /// Opens so many, and a session on each if there is something to `connect` with.
    pub async fn open(opening: Opening, count: usize, connect: Option<Value>) -> anyhow::Result<Self> {
        let ((over, end), (opened, all)) = (oneshot::channel(), oneshot::channel());
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(serve(opening, count, connect, opened, end))
        });
        let mut idle = Self { over: Some(over), thread: Some(thread) };
        if timeout(LIMIT, all).await.context("the sockets take too long to open")?.is_err() {
            idle.join()?;
            bail!("the sockets did not open");
        }
        Ok(idle)
    }

    /// Closes all; an error if one was closed by the server before.
    pub fn close(mut self) -> anyhow::Result<()> {
        self.join()
    }

    fn join(&mut self) -> anyhow::Result<()> {
        drop(self.over.take());
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| anyhow!("a socket panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        if let Err(err) = self.join() {
            eprintln!("an idle socket broke: {err:#}");
        }
    }
}

async fn serve(
    opening: Opening,
    count: usize,
    connect: Option<Value>,
    opened: oneshot::Sender<()>,
    end: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let mut sockets = JoinSet::new();
    for _ in 0..count {
        let mut socket = Socket::must_open(&opening).await;
        if let Some(mut connect) = connect.clone() {
            // A client of its own: the same one asking the same again would get the session it had.
            connect["client_id"] = Uuid::new_v4().simple().to_string().into();
            socket.connect(connect).await;
        }
        sockets.spawn(keep(socket));
    }
    ensure!(opened.send(()).is_ok(), "nobody waits for the sockets");
    tokio::select! {
        _over = end => Ok(()),
        Some(ended) = sockets.join_next() => ended?,
    }
}

/// Reads, by which pings are answered.
async fn keep(mut socket: Socket) -> anyhow::Result<()> {
    loop {
        if let Event::Closed { code, reason } = socket.next().await? {
            bail!("the server closed a socket: {code:?} {reason}");
        }
    }
}
