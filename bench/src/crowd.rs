//! Many attached sessions, served by threads of their own so that they cost the one that measures nothing but CPU. Must
//! not know what is measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::client::{Event, Opening, Socket};
use serde_json::{Value, json};
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Sessions on one socket (protocol section 1).
const SESSIONS_PER_SOCKET: usize = 64;
/// How long all sessions may take to do what they are told.
const LIMIT: Duration = Duration::from_secs(120);
/// How often it is looked whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Orders that wait: one is given only after the one before was obeyed.
const ORDERS: usize = 4;

/// What all sessions are told.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Type this.
    Type(&'static str),
    /// Leave.
    Detach,
}

/// What happened in all sessions.
#[derive(Debug, Default)]
struct Tally {
    opened: AtomicU64,
    lines: AtomicU64,
    detached: AtomicU64,
    failed: AtomicU64,
}

/// The sessions. They live on after `Drop`, without clients.
pub struct Crowd {
    orders: Vec<mpsc::Sender<Order>>,
    tally: Arc<Tally>,
    threads: Vec<JoinHandle<()>>,
    sessions: u64,
}

impl Crowd {
    /// Opens `sessions` sessions with `connect` and waits until each has printed `ready`, if there is such a word.
    pub async fn open(
        opening: &Opening,
        sessions: usize,
        connect: &Value,
        ready: Option<&'static str>,
    ) -> anyhow::Result<Self> {
        let tally = Arc::new(Tally::default());
        let (mut orders, mut threads) = (Vec::new(), Vec::new());
        for first in (0..sessions).step_by(SESSIONS_PER_SOCKET) {
            let (sender, receiver) = mpsc::channel(ORDERS);
            let part = Part {
                opening: opening.clone(),
                connect: connect.clone(),
                ready,
                sessions: SESSIONS_PER_SOCKET.min(sessions - first),
                tally: Arc::clone(&tally),
            };
            threads.push(thread::spawn(move || part.serve(receiver)));
            orders.push(sender);
        }
        let crowd = Self { orders, tally, threads, sessions: sessions as u64 };
        crowd.reach("every session is open", &crowd.tally.opened, crowd.sessions).await?;
        Ok(crowd)
    }

    /// Gives an order to all.
    pub async fn order(&self, order: Order) -> anyhow::Result<()> {
        for sender in &self.orders {
            sender.send(order).await.context("a socket of the crowd is gone")?;
        }
        Ok(())
    }

    /// Detaches all, and waits until the server has said so.
    pub async fn detach(&self) -> anyhow::Result<()> {
        self.order(Order::Detach).await?;
        self.reach("every session is detached", &self.tally.detached, self.sessions).await
    }

    /// How many sessions there are.
    pub const fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Lines received so far.
    pub fn lines(&self) -> u64 {
        self.tally.lines.load(Ordering::Relaxed)
    }

    async fn reach(&self, what: &str, counter: &AtomicU64, goal: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + LIMIT;
        while counter.load(Ordering::Relaxed) < goal {
            let ended = self.threads.iter().any(JoinHandle::is_finished);
            let failed = ended || self.tally.failed.load(Ordering::Relaxed) > 0;
            ensure!(!failed, "a socket of the crowd broke before {what}");
            let count = counter.load(Ordering::Relaxed);
            ensure!(Instant::now() < deadline, "waited {LIMIT:?} until {what}: {count} of {goal}");
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.orders.clear();
        for thread in self.threads.drain(..) {
            // A panic was printed and counted as failure where it matters.
            let _ended = thread.join();
        }
    }
}

/// The sessions of one socket.
struct Part {
    opening: Opening,
    connect: Value,
    ready: Option<&'static str>,
    sessions: usize,
    tally: Arc<Tally>,
}

impl Part {
    /// Runs until no more orders can come.
    fn serve(self, orders: mpsc::Receiver<Order>) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (mut socket, sessions) = self.open().await;
            if let Err(err) = self.obey(&mut socket, &sessions, orders).await {
                eprintln!("a socket of the crowd broke: {err:#}");
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    async fn open(&self) -> (Socket, Vec<Uuid>) {
        let mut socket = Socket::must_open(&self.opening).await;
        let mut sessions = Vec::new();
        for _ in 0..self.sessions {
            let session = socket.connect(self.connect.clone()).await.session;
            if let Some(ready) = self.ready {
                socket.read_until(session, ready).await;
            }
            sessions.push(session);
            self.tally.opened.fetch_add(1, Ordering::Relaxed);
        }
        (socket, sessions)
    }

    async fn obey(
        &self,
        socket: &mut Socket,
        sessions: &[Uuid],
        mut orders: mpsc::Receiver<Order>,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                event = socket.next() => self.count(&event?)?,
                order = orders.recv() => match order {
                    None => return Ok(()),
                    Some(Order::Type(text)) => {
                        for session in sessions {
                            socket.send_input(*session, None, text.as_bytes());
                        }
                    }
                    Some(Order::Detach) => {
                        for session in sessions {
                            socket.send(&json!({"type": "detach", "session_id": session}));
                        }
                    }
                },
            }
        }
    }

    fn count(&self, event: &Event) -> anyhow::Result<()> {
        match event {
            Event::Output { bytes, .. } => {
                let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
                self.tally.lines.fetch_add(lines as u64, Ordering::Relaxed);
            }
            Event::Message(message) => {
                ensure!(message.error().is_none(), "an error: {}", message.body);
                if message.status() == Some("detached") {
                    self.tally.detached.fetch_add(1, Ordering::Relaxed);
                }
            }
            Event::Closed { code, reason } => anyhow::bail!("the connection ended: {code:?} {reason}"),
            Event::Snapshot { .. } | Event::InputAck { .. } | Event::Echo { .. } | Event::Said { .. } => {}
        }
        Ok(())
    }
}
