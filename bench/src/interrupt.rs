//! Ctrl-C in a flood on a phone: how long until the prompt is seen, over a link of one megabit per second. Must not know
//! what is sent meanwhile.

use std::time::Duration;

use anyhow::Context;
use devpocket_tests::Throttle;
use devpocket_tests::client::{Event, Framing, Socket, Watcher};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::contender::Contender;
use crate::node_pty::NodePty;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::tty::Tty;
use crate::usage;

/// One megabit.
const BYTES_PER_SECOND: u32 = 125_000;
/// How long the flood runs before the key.
const FLOOD: Duration = Duration::from_secs(3);
/// Output after which a session's own memory no longer grows: several times its ring.
const WARM_BYTES: u64 = 4 << 20;
/// How long a prompt may take.
const LIMIT: Duration = Duration::from_secs(180);
/// How long the one of a web terminal is waited for: everything printed before it comes first, which can be minutes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a client of ours lets the server send ahead.
const WINDOW_BYTES: u64 = 256 << 10;

const READY: &str = "ready";
pub const PROMPT: &str = "over> ";
const INTERRUPT: &[u8] = b"\x03";

/// Milliseconds to the prompt, and what it costs the worker, or Node.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let contenders = options.contenders_and_node_pty().into_iter().filter(|one| *one != Contender::Bare);
    let rig = Rig::start(contenders.collect()).await?;
    let mut prompt = Row::new("Ctrl-C in `yes` at 1 Mbit/s to the prompt", "ms");
    let mut memory = Row::new("the same, growth of the worker", "KiB");
    let mut patience = PATIENCE;
    for _ in 0..options.interrupt_rounds() {
        for contender in &rig.contenders {
            let (took, grown) = if contender.is_ours() {
                let (took, grown) = ours(&rig, *contender).await?;
                (Some(took), Some(grown))
            } else if *contender == Contender::NodePty {
                let (took, grown) = web(patience).await?;
                (took, Some(grown))
            } else {
                (Some(ssh(&rig).await?), None)
            };
            if let Some(grown) = grown {
                memory.add(*contender, grown as f64 / 1024.0);
            }
            match took {
                Some(took) => prompt.add(*contender, took.as_secs_f64() * 1e3),
                // Said already.
                None if patience.is_zero() => {}
                None => {
                    prompt.add_more_than(*contender, patience.as_secs_f64() * 1e3);
                    // The rounds after this one need not wait as long to say the same.
                    patience = Duration::ZERO;
                }
            }
        }
    }
    for contender in [Contender::Unix, Contender::Quic] {
        prompt.expect(contender, Target::AtMost(150.0));
        memory.expect(contender, Target::AtMost(1024.0));
    }
    Ok(vec![prompt, memory])
}

/// A program that floods once a line was typed, until Ctrl-C, and then shows a prompt.
pub fn script() -> String {
    format!("trap : INT; stty -echo; printf {READY}; read -r go; yes; printf '{PROMPT}'; exec cat")
}

/// Opens a session of ours that waits for the line.
pub async fn open(rig: &Rig, contender: Contender) -> anyhow::Result<(Socket, Uuid)> {
    let mut socket = Socket::must_open(&rig.opening(contender)?).await;
    let data = json!({"session_type": "local", "command": ["sh", "-c", script()], "delivery": "lossless"});
    let session = socket.connect(data).await.session;
    socket.read_until(session, READY).await;
    Ok((socket, session))
}

/// Begins the flood and reads so much of it that the session's own memory no longer grows; then leaves it to others.
async fn warm(socket: &mut Socket, session: Uuid) {
    socket.send_input(session, None, b"go\n");
    let mut printed = 0;
    while printed < WARM_BYTES {
        if let Event::Output { end, .. } = socket.next_event().await {
            printed = end;
        }
    }
    socket.ask(json!({"type": "detach", "session_id": session})).await;
}

async fn ours(rig: &Rig, contender: Contender) -> anyhow::Result<(Duration, u64)> {
    let stack = rig.stack(contender)?;
    let worker = [stack.worker_pid().context("no worker runs")?];
    let (mut socket, session) = open(rig, contender).await?;
    warm(&mut socket, session).await;
    let before = usage::memory(&worker)?;
    let throttle = Throttle::start(stack.address(0), BYTES_PER_SECOND).await;
    let opening = stack.opening_at(throttle.address, Framing::Binary);
    let mut phone = Watcher::attach(&opening, session, WINDOW_BYTES, json!({"client_id": "phone"})).await;
    let until = Instant::now() + FLOOD;
    phone.watch("the flood has run", LIMIT, |_| Instant::now() >= until).await;
    let grown = usage::memory(&worker)?.saturating_sub(before);
    let began = Instant::now();
    phone.input(INTERRUPT);
    phone.watch("the prompt is there", LIMIT, |phone| phone.text().contains(PROMPT)).await;
    let took = began.elapsed();
    socket.ask(json!({"type": "terminate", "session_id": session})).await;
    Ok((took, grown))
}

async fn ssh(rig: &Rig) -> anyhow::Result<Duration> {
    let sshd = rig.sshd()?;
    let throttle = Throttle::start(sshd.address(), BYTES_PER_SECOND).await;
    let client = sshd.client_at(throttle.address, false, Some(&script()));
    // The proxy needs this thread.
    tokio::task::spawn_blocking(move || {
        let mut tty = Tty::piped(client)?;
        tty.read_until(READY)?;
        tty.write(b"go\n")?;
        let mut chunk = vec![0; 64 << 10];
        let until = Instant::now() + FLOOD;
        while Instant::now() < until {
            tty.read(&mut chunk)?;
        }
        let began = Instant::now();
        tty.write(INTERRUPT)?;
        tty.read_until(PROMPT)?;
        Ok(began.elapsed())
    })
    .await?
}

/// Through a web terminal; no time if the prompt did not come within `patience`. The server is a fresh one, because what a
/// flood leaves in its memory is room for the next.
async fn web(patience: Duration) -> anyhow::Result<(Option<Duration>, u64)> {
    let server = NodePty::start()?;
    let process = [server.process()];
    let mut warm = server.open(&script())?;
    warm.read_until(READY)?;
    warm.write(b"go\n")?;
    let mut printed = 0;
    while printed < WARM_BYTES {
        printed += warm.read()?.len() as u64;
    }
    drop(warm);
    let throttle = Throttle::start(server.address(), BYTES_PER_SECOND).await;
    // The proxy needs this thread.
    tokio::task::spawn_blocking(move || {
        let mut terminal = server.open_at(throttle.address, &script())?;
        terminal.read_until(READY)?;
        let before = usage::memory(&process)?;
        terminal.write(b"go\n")?;
        let until = Instant::now() + FLOOD;
        while Instant::now() < until {
            terminal.read()?;
        }
        let grown = usage::memory(&process)?.saturating_sub(before);
        let began = Instant::now();
        terminal.write(INTERRUPT)?;
        let mut tail = String::new();
        while !tail.ends_with(PROMPT) {
            if began.elapsed() >= patience {
                return Ok((None, grown));
            }
            // A prompt may come in two parts.
            tail = tail.split_off(tail.len().saturating_sub(PROMPT.len()));
            tail.push_str(&terminal.read()?);
        }
        Ok((Some(began.elapsed()), grown))
    })
    .await?
}
