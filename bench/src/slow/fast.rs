//! Clients that read one session as fast as they can, on a thread of their own. Must not know whom they are compared with.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::client::{Event, Opening, Socket};
use serde_json::json;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::interrupt::PROMPT;

const WINDOW_BYTES: u64 = 256 << 10;
const LIMIT: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What they have seen.
#[derive(Debug, Default)]
struct Seen {
    bytes: AtomicU64,
    end: Mutex<Option<Instant>>,
}

/// The clients; they go on until the end of the flood, or until `Drop`.
pub struct Fast {
    clients: usize,
    seen: Arc<Seen>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fast {
    /// Attaches so many clients, lossless: what one of them does not get, none gets.
    pub fn attach(opening: Opening, session: Uuid, clients: usize) -> anyhow::Result<Self> {
        let seen = Arc::new(Seen::default());
        let (stop, stopped) = oneshot::channel();
        let (attached, all_attached) = std::sync::mpsc::channel();
        let shared = Arc::clone(&seen);
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut reading = JoinSet::new();
                for number in 0..clients {
                    let mut socket = Socket::must_open(&opening).await;
                    let data = json!({"client_id": format!("fast {number}"), "window": WINDOW_BYTES,
                        "delivery": "lossless"});
                    socket.attach(session, data).await;
                    reading.spawn(read(socket, session, Arc::clone(&shared)));
                }
                // Nobody waits any more if that failed.
                let _told = attached.send(());
                tokio::select! {
                    _ = stopped => {}
                    () = async { while reading.join_next().await.is_some() {} } => {}
                }
            });
        });
        all_attached.recv_timeout(LIMIT).context("the fast clients do not attach")?;
        Ok(Self { clients, seen, stop: Some(stop), thread: Some(thread) })
    }

    /// MB/s that each of them reads, over this time.
    pub async fn speed(&self, time: Duration) -> f64 {
        let (began, before) = (Instant::now(), self.seen.bytes.load(Ordering::Relaxed));
        sleep(time).await;
        let bytes = self.seen.bytes.load(Ordering::Relaxed) - before;
        bytes as f64 / 1e6 / began.elapsed().as_secs_f64() / self.clients as f64
    }

    /// When the first of them saw the end of the flood.
    pub async fn first_end(&self) -> anyhow::Result<Instant> {
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(end) = self.end() {
                return Ok(end);
            }
            ensure!(Instant::now() < deadline, "no fast client sees the end");
            sleep(LOOK_EVERY).await;
        }
    }

    fn end(&self) -> Option<Instant> {
        *self.seen.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Fast {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Reads up to the end of the flood.
async fn read(mut socket: Socket, session: Uuid, seen: Arc<Seen>) {
    let (mut acked, mut tail) = (0, Vec::new());
    while !tail.ends_with(PROMPT.as_bytes()) {
        match socket.next_event().await {
            Event::Output { end, bytes, .. } => {
                seen.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                tail.extend_from_slice(&bytes[bytes.len().saturating_sub(PROMPT.len())..]);
                tail.drain(..tail.len().saturating_sub(PROMPT.len()));
                if end - acked >= WINDOW_BYTES / 8 {
                    socket.send_ack(session, end);
                    acked = end;
                }
            }
            Event::Snapshot { offset, .. } => acked = offset,
            Event::Closed { .. } => return,
            Event::InputAck { .. } | Event::Echo { .. } | Event::Said { .. } | Event::Message(_) => {}
        }
    }
    seen.end.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert_with(Instant::now);
}
