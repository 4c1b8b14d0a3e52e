//! Large output: MB/s at the client, and what it costs us in CPU. Must not know what the bytes mean.

mod log;

use std::time::Duration;

use anyhow::ensure;
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Durable, DurableOptions, Hasher, Sink};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::Instant;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::usage;
use log::Log;

/// Bytes that a client of ours lets the server send ahead: half the ring's default size.
const WINDOW_BYTES: u64 = 512 << 10;
/// How long one transfer may take.
const LIMIT: Duration = Duration::from_secs(300);
/// What the program prints before it waits for the line that starts the transfer.
const READY: &str = "ready";

/// What one transfer took.
struct Transfer {
    wall: Duration,
    cpu: Duration,
}

/// MB/s and CPU seconds per 100 MB.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(options.contenders_and_node_pty()).await?;
    let log = Log::write(options.bulk_bytes())?;
    let title = format!("bulk, {} MB of log lines", log.bytes / 1_000_000);
    let (mut speed, mut cpu) =
        (Row::new(title, "MB/s"), Row::new("bulk, CPU of the servers", "s per 100 MB"));
    // One block of memory for all transfers, touched before the first: no transfer pays for making it.
    let mut received = vec![0; log.bytes + READY.len()];
    for _ in 0..options.bulk_rounds() {
        for contender in &rig.contenders {
            received.clear();
            let transfer = transfer(&rig, *contender, &log, &mut received).await?;
            ensure_equal(*contender, &log, &received)?;
            speed.add(*contender, log.bytes as f64 / 1e6 / transfer.wall.as_secs_f64());
            if *contender != Contender::Bare {
                cpu.add(*contender, transfer.cpu.as_secs_f64() / (log.bytes as f64 / 1e8));
            }
        }
    }
    for (ours, share, cpu_target) in [(Contender::Unix, 0.8, 0.95), (Contender::Quic, 0.75, 1.0)] {
        speed.compare(ours, Contender::Bare, Target::AtLeast(share));
        speed.compare(ours, Contender::Ssh, Target::None);
        speed.compare(ours, Contender::NodePty, Target::None);
        cpu.expect(ours, Target::AtMost(cpu_target));
        cpu.compare(ours, Contender::NodePty, Target::None);
    }
    Ok(vec![speed, cpu])
}

/// The session outlives the transfer until a line is typed: its processes must still be there to be asked for CPU.
fn program(log: &Log) -> String {
    format!("printf {READY}; read -r line; cat {}; read -r line", log.path.display())
}

async fn transfer(
    rig: &Rig,
    contender: Contender,
    log: &Log,
    received: &mut Vec<u8>,
) -> anyhow::Result<Transfer> {
    if contender.is_ours() {
        return through_ours(rig, contender, log, received).await;
    }
    let script = format!("stty raw -echo; {}", program(log));
    if contender == Contender::NodePty {
        let mut terminal = rig.node_pty()?.open(&script)?;
        terminal.read_until(READY)?;
        let clocks = Clocks::start(rig.processes(contender)?)?;
        terminal.write(b"\n")?;
        terminal.read_exactly(log.bytes, received)?;
        return clocks.stop();
    }
    let mut tty = rig.tty(contender, &script)?;
    tty.read_until(READY)?;
    let clocks = Clocks::start(rig.processes(contender)?)?;
    tty.write(b"\n")?;
    tty.read_exactly(log.bytes, received)?;
    let transfer = clocks.stop()?;
    tty.write(b"\n")?;
    Ok(transfer)
}

async fn through_ours(
    rig: &Rig,
    contender: Contender,
    log: &Log,
    received: &mut Vec<u8>,
) -> anyhow::Result<Transfer> {
    let mut options = DurableOptions::lossless(vec![rig.opening(contender)?]);
    options.window = Some(WINDOW_BYTES);
    let mut client = Durable::connecting(options, raw_script(&program(log)), std::mem::take(received));
    client.drive("the program is ready", LIMIT, |client| client.sink.ends_with(READY.as_bytes())).await?;
    client.sink.clear();
    let total = (READY.len() + log.bytes) as u64;
    let clocks = Clocks::start(rig.processes(contender)?)?;
    client.input("\n");
    client.drive("everything has arrived", LIMIT, |client| client.received() >= total).await?;
    let transfer = clocks.stop()?;
    ensure!(client.counts.sockets == 1, "the connection was lost: {:?}", client.counts);
    client.tell(json!({"type": "terminate"}));
    client.drive("the session has ended", LIMIT, |client| client.end().is_some()).await?;
    *received = std::mem::take(&mut client.sink);
    Ok(transfer)
}

/// The wall's and the processes' clocks.
struct Clocks {
    processes: Vec<Pid>,
    cpu: Duration,
    began: Instant,
}

impl Clocks {
    fn start(processes: Vec<Pid>) -> anyhow::Result<Self> {
        let cpu = usage::cpu(&processes)?;
        Ok(Self { processes, cpu, began: Instant::now() })
    }

    fn stop(self) -> anyhow::Result<Transfer> {
        let wall = self.began.elapsed();
        Ok(Transfer { wall, cpu: usage::cpu(&self.processes)? - self.cpu })
    }
}

fn ensure_equal(contender: Contender, log: &Log, received: &[u8]) -> anyhow::Result<()> {
    let name = contender.name();
    ensure!(received.len() == log.bytes, "{name}: {} bytes of {}", received.len(), log.bytes);
    let mut hasher = Hasher::default();
    hasher.output(received);
    ensure!(hasher.digest() == log.digest, "{name}: the bytes differ");
    Ok(())
}
