//! What idle sockets cost the api, in memory and in CPU: without a session, and with one each. Must not know what a socket
//! could be asked.

mod idle;

use std::time::Duration;

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::contender::Contender;
use crate::memory::settled;
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::usage;
use idle::Idle;

/// How long the api is watched doing nothing, in which every socket is looked at many times.
const WATCH: Duration = Duration::from_secs(5);

/// Memory and CPU of the api of each of ours.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("the limit of open files")?;
    let count = options.idle_sockets();
    let mut without = Rows::new(&format!("{count} idle sockets"));
    let mut with = Rows::new(&format!("{count} idle sockets with a session each"));
    for contender in options.contenders().into_iter().filter(|one| one.is_ours()) {
        for (rows, connect) in [
            (&mut without, None),
            (&mut with, Some(json!({"session_type": "local", "command": ["sleep", "infinity"]}))),
        ] {
            // A fresh one each time: memory that was used before would be used again, and not show.
            let rig = Rig::start(vec![contender]).await?;
            let api = [rig.stack(contender)?.api_pid(0)];
            let before = settled(&api).await?;
            let sockets = Idle::open(rig.opening(contender)?, count, connect).await?;
            let after = settled(&api).await?;
            rows.add(contender, after, after.saturating_sub(before), count);
            rows.cpu.add(contender, cpu_share(&api).await?);
            sockets.close()?;
        }
    }
    Ok(without.done().into_iter().chain(with.done()).collect())
}

/// Per cent of a core.
async fn cpu_share(api: &[Pid]) -> anyhow::Result<f64> {
    let (before, began) = (usage::cpu(api)?, Instant::now());
    sleep(WATCH).await;
    let spent = usage::cpu(api)?.saturating_sub(before);
    Ok(spent.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0)
}

struct Rows {
    total: Row,
    each: Row,
    cpu: Row,
}

impl Rows {
    fn new(what: &str) -> Self {
        Self {
            total: Row::new(format!("memory of the api with {what}"), "MiB"),
            each: Row::new(format!("growth for each of {what}"), "KiB"),
            cpu: Row::new(format!("CPU of the api with {what}"), "% of a core"),
        }
    }

    fn add(&mut self, contender: Contender, total: u64, grown: u64, count: usize) {
        self.total.add(contender, total as f64 / f64::from(1 << 20));
        self.each.add(contender, grown as f64 / 1024.0 / count as f64);
    }

    fn done(mut self) -> [Row; 3] {
        for ours in [Contender::Unix, Contender::Quic] {
            for row in [&mut self.total, &mut self.each, &mut self.cpu] {
                row.expect(ours, Target::None);
            }
        }
        [self.total, self.each, self.cpu]
    }
}
