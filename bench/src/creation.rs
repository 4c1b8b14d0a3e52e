//! Sessions opened per second, up to the program's first output at the client. Must not know what else a session can do.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use devpocket_tests::client::{Event, Opening, Socket};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::tty::Tty;

/// Sockets (of ours) or threads (of a baseline) that open at the same time, each one session after the other.
const OPENERS: usize = 4;
/// Prints at once and stays.
const TRIVIAL: &str = "echo ready; exec sleep infinity";

/// What is started in each session.
#[derive(Clone, Copy, Debug)]
enum Program {
    Trivial,
    LoginShell,
}

/// Sessions per second with a trivial command and with the login shell.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(options.contenders()).await?;
    let mut rows = Vec::new();
    for program in [Program::Trivial, Program::LoginShell] {
        let name = match program {
            Program::Trivial => "a trivial command",
            Program::LoginShell => "the login shell",
        };
        let mut row = Row::new(format!("sessions opened, {name}"), "per s");
        for _ in 0..options.creation_rounds() {
            for contender in &rig.contenders {
                let each = options.created_by_each();
                let took = if contender.is_ours() {
                    by_sockets(&rig.opening(*contender)?, program, each).await?
                } else {
                    by_threads(&rig, *contender, program, each)?
                };
                row.add(*contender, (OPENERS * each) as f64 / took.as_secs_f64());
            }
        }
        for ours in [Contender::Unix, Contender::Quic] {
            row.compare(ours, Contender::Bare, Target::None);
            row.compare(ours, Contender::Ssh, Target::None);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Opens sessions of ours; ends them after the clock has stopped.
async fn by_sockets(opening: &Opening, program: Program, each: usize) -> anyhow::Result<Duration> {
    let connect = match program {
        Program::Trivial => json!({"session_type": "local", "command": ["sh", "-c", TRIVIAL]}),
        Program::LoginShell => json!({"session_type": "local"}),
    };
    let mut sockets = Vec::new();
    for _ in 0..OPENERS {
        sockets.push(Socket::must_open(opening).await);
    }
    let began = Instant::now();
    let mut openers = JoinSet::new();
    for socket in sockets {
        openers.spawn(open_each(socket, connect.clone(), each));
    }
    let opened = openers.join_all().await;
    let took = began.elapsed();
    for (mut socket, sessions) in opened {
        for session in &sessions {
            socket.send(&json!({"type": "terminate", "session_id": session}));
        }
        for session in sessions {
            socket.wait_status(session, "exited").await;
        }
    }
    Ok(took)
}

async fn open_each(mut socket: Socket, connect: Value, each: usize) -> (Socket, Vec<Uuid>) {
    let mut sessions = Vec::new();
    for _ in 0..each {
        let session = socket.connect(connect.clone()).await.session;
        let is_output = |event: &Event| matches!(event, Event::Output { session: of, .. } if *of == session);
        socket.wait("the first output", |event| is_output(event).then_some(())).await;
        sessions.push(session);
    }
    (socket, sessions)
}

/// Opens sessions of a baseline; ends them after the clock has stopped.
fn by_threads(rig: &Rig, contender: Contender, program: Program, each: usize) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let (took, ttys) = thread::scope(|scope| {
        let open_each =
            || -> anyhow::Result<Vec<Tty>> { (0..each).map(|_| open_tty(rig, contender, program)).collect() };
        let threads: Vec<_> = (0..OPENERS).map(|_| scope.spawn(open_each)).collect();
        let ttys: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (began.elapsed(), ttys)
    });
    for opened in ttys {
        opened.map_err(|_panic| anyhow!("a thread panicked"))??;
    }
    Ok(took)
}

fn open_tty(rig: &Rig, contender: Contender, program: Program) -> anyhow::Result<Tty> {
    let mut tty = match (contender, program) {
        (_, Program::Trivial) => rig.tty(contender, TRIVIAL)?,
        (Contender::Ssh, Program::LoginShell) => Tty::piped(rig.sshd()?.client(None))?,
        (_, Program::LoginShell) => {
            let mut shell = Command::new("bash");
            shell.arg("-l");
            Tty::bare(shell)?
        }
    };
    tty.read(&mut [0; 4096]).context("the program ended before its first output")?;
    Ok(tty)
}
