//! Worker kill to output again: how long a client sees nothing when the worker dies. Must not know how it is replaced.

mod stamps;

use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::client::start::raw_script;
use devpocket_tests::client::{Durable, DurableOptions};
use devpocket_tests::stack::{Stack, proc};
use tokio::time::{Instant, timeout};

use crate::clock::monotonic;
use crate::contender::Contender;
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;
use stamps::{PROGRAM, Stamps};

/// A worker must have lived so long to count as one that works; a kill before delays the next start.
const GOOD_LIFE: Duration = Duration::from_millis(10_500);
/// How long one client may wait for output before it is another's turn.
const TURN: Duration = Duration::from_millis(1);
/// How long the output may stay away.
const LIMIT: Duration = Duration::from_secs(30);

/// A client that watches the session of one system.
struct Watch<'a> {
    contender: Contender,
    stack: &'a Stack,
    client: Durable<Stamps>,
    times: Vec<f64>,
}

/// p50 and worst, in milliseconds.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let ours: Vec<Contender> = options.contenders().into_iter().filter(|one| one.is_ours()).collect();
    let rig = Rig::start(ours).await?;
    let mut watches = Vec::new();
    for contender in &rig.contenders {
        let durable = DurableOptions::lossless(vec![rig.opening(*contender)?]);
        let client = Durable::connecting(durable, raw_script(PROGRAM), Stamps::default());
        watches.push(Watch {
            contender: *contender,
            stack: rig.stack(*contender)?,
            client,
            times: Vec::new(),
        });
    }
    for _ in 0..options.kills() {
        run_on(&mut watches).await?;
        for watch in &mut watches {
            let took = watch.kill().await?;
            watch.times.push(took.as_secs_f64() * 1e3);
        }
    }
    let mut rows = Vec::new();
    for (name, per_cent) in [("p50", 50), ("worst", 100)] {
        let title = format!("worker kill to output again, {name} of {}", options.kills());
        let mut row = Row::new(title, "ms");
        for watch in &watches {
            row.add(watch.contender, percentile(&watch.times, per_cent));
            row.expect(watch.contender, Target::AtMost(300.0));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// Lets all clients receive until every worker has lived long enough.
async fn run_on(watches: &mut [Watch<'_>]) -> anyhow::Result<()> {
    let until = Instant::now() + GOOD_LIFE;
    while Instant::now() < until {
        for watch in &mut *watches {
            if !watch.client.is_joined() {
                // Not to be cut short: it may be opening a socket.
                watch.client.step().await?;
            } else if let Ok(stepped) = timeout(TURN, watch.client.step()).await {
                stepped?;
            }
        }
    }
    for watch in watches {
        ensure!(watch.client.is_joined(), "{}: not attached", watch.contender.name());
    }
    Ok(())
}

impl Watch<'_> {
    /// Kills the worker and waits for output that the program printed when that worker was dead.
    async fn kill(&mut self) -> anyhow::Result<Duration> {
        let name = self.contender.name();
        let replays = self.client.counts.replays;
        let worker = self.stack.worker_pid().with_context(|| format!("{name}: no worker runs"))?;
        let began = Instant::now();
        ensure!(self.stack.kill_worker(), "{name}: no worker runs");
        while proc::facts(worker).is_some_and(|process| process.state != 'Z') {
            std::hint::spin_loop();
        }
        let dead = monotonic()?;
        self.client.drive("output goes on", LIMIT, |client| client.sink.last() > dead).await?;
        let took = began.elapsed();
        ensure!(self.client.counts.replays > replays, "{name}: the client never noticed");
        ensure!(self.stack.worker_pid().is_some_and(|now| now != worker), "{name}: the same worker");
        Ok(took)
    }
}
