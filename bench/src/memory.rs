//! Memory that an idle session costs the servers. Must not know what the session's own program takes.

use std::time::Duration;

use anyhow::ensure;
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::sleep;

use crate::contender::Contender;
use crate::crowd::Crowd;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::tty::Tty;
use crate::usage;

/// A program that prints nothing: the ring stays untouched.
const PROGRAM: [&str; 2] = ["sleep", "infinity"];
/// Between two looks at memory that may still change.
const SETTLE: Duration = Duration::from_millis(500);
/// Looks before memory counts as never settling.
const MOST_LOOKS: u32 = 60;
/// Two looks that differ by no more than this, in bytes, are settled.
const STILL: u64 = 64 << 10;

/// KiB per session, attached and detached.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(options.contenders()).await?;
    let count = options.memory_sessions();
    let mut attached = Row::new(format!("memory of an idle session of {count}, attached"), "KiB");
    let mut detached = Row::new("memory of the same, after detach", "KiB");
    for contender in &rig.contenders {
        if contender.is_ours() {
            let connect = json!({"session_type": "local", "command": PROGRAM});
            let before = settled(&rig.processes(*contender)?).await?;
            let crowd = Crowd::open(&rig.opening(*contender)?, count, &connect, None).await?;
            // After the sessions: a worker that was replaced meanwhile would fail here, not shrink the figure.
            attached.add(*contender, per_session(&rig, *contender, before, count).await?);
            crowd.detach().await?;
            detached.add(*contender, per_session(&rig, *contender, before, count).await?);
        } else if *contender == Contender::Ssh {
            let count = options.memory_connections();
            let before = settled(&rig.processes(*contender)?).await?;
            let script = format!("echo ready; exec {}", PROGRAM.join(" "));
            let connections = (0..count).map(|_| {
                let mut tty = rig.tty(*contender, &script)?;
                tty.read_until("ready\r\n")?;
                Ok(tty)
            });
            let _connections: Vec<Tty> = connections.collect::<anyhow::Result<_>>()?;
            attached.add(*contender, per_session(&rig, *contender, before, count).await?);
        }
    }
    for ours in [Contender::Unix, Contender::Quic] {
        attached.expect(ours, Target::AtMost(150.0));
        detached.expect(ours, Target::AtMost(150.0));
    }
    Ok(vec![attached, detached])
}

async fn per_session(rig: &Rig, contender: Contender, before: u64, count: usize) -> anyhow::Result<f64> {
    let grown = settled(&rig.processes(contender)?).await?.saturating_sub(before);
    Ok(grown as f64 / 1024.0 / count as f64)
}

/// The memory of these processes once it no longer changes.
pub async fn settled(processes: &[Pid]) -> anyhow::Result<u64> {
    let mut last = usage::memory(processes)?;
    for _ in 0..MOST_LOOKS {
        sleep(SETTLE).await;
        let memory = usage::memory(processes)?;
        if memory.abs_diff(last) <= STILL {
            return Ok(memory);
        }
        last = memory;
    }
    ensure!(false, "the memory of {processes:?} does not settle");
    Ok(last)
}
