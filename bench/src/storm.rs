//! Keystroke echo while many clients sign in with wrong passwords, beside the same echo idle. Must not know how a password
//! is checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::contender::Contender;
use crate::echo::{BUSY_ROUND, Pace, keyboards, round};
use crate::http::caller::{Caller, Request};
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;

/// Clients that sign in.
const CLIENTS: usize = 8;
/// Least answers in a round: less, and nobody was disturbed.
const LEAST_ANSWERS: u64 = 20;
/// How long until the first answers are there.
const LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// p50 and p99 beside wrong logins, idle in the same round, and how many logins were answered.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let contenders = options.contenders().into_iter().filter(|one| *one != Contender::Quic);
    let mut rig = Rig::start(contenders.collect()).await?;
    if !rig.contenders.contains(&Contender::Unix) {
        // With --quic alone; who types over the Unix socket is disturbed all the same.
        rig = Rig::start(vec![Contender::Bare, Contender::Ssh, Contender::Unix]).await?;
    }
    let api = rig.stack(Contender::Unix)?.address(0);
    let what = format!("beside wrong logins of {CLIENTS} clients");
    let mut idle = Row::new("echo p50, idle", "us");
    let mut p50 = Row::new(format!("echo p50, {what}"), "us");
    let mut p99 = Row::new(format!("echo p99, {what}"), "us");
    let mut logins = Row::new("wrong logins answered meanwhile", "1/s");
    let mut keyboards = keyboards(&rig, &rig.contenders).await?;
    for _ in 0..options.server_rounds() {
        for (contender, keys) in &mut keyboards {
            let times = round(keys, Pace::Typing, options.keystrokes(), Duration::ZERO).await;
            idle.add(*contender, percentile(&times.context(contender.name())?, 50));
            let storm = Storm::begin(api).await?;
            let (began, before) = (Instant::now(), storm.answered());
            let times = round(keys, Pace::Typing, options.keystrokes(), BUSY_ROUND).await;
            let (answered, took) = (storm.answered() - before, began.elapsed());
            storm.end()?;
            let times = times.with_context(|| format!("{} in the storm", contender.name()))?;
            ensure!(answered >= LEAST_ANSWERS, "only {answered} logins were answered in {took:?}");
            p50.add(*contender, percentile(&times, 50));
            p99.add(*contender, percentile(&times, 99));
            logins.add(*contender, answered as f64 / took.as_secs_f64());
        }
    }
    for contender in &rig.contenders {
        let target = if contender.is_ours() { Target::AtMost(1.5) } else { Target::None };
        p50.compare_row(*contender, &idle, "idle", target);
    }
    Ok(vec![idle, p50, p99, logins])
}

/// Clients that sign in wrongly in a loop, each time with another name: five for one name would close it without a hash, and
/// an unknown name costs what a known one does.
struct Storm {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Storm {
    /// Starts all, and waits until each can have had an answer.
    async fn begin(api: SocketAddr) -> anyhow::Result<Self> {
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..CLIENTS).map(|_| {
            let (over, answered) = (Arc::clone(&over), Arc::clone(&answered));
            thread::spawn(move || sign_in_wrongly(api, &over, &answered))
        });
        let storm = Self { clients: clients.collect(), over, answered };
        let deadline = Instant::now() + LIMIT;
        while storm.answered() < CLIENTS as u64 {
            ensure!(Instant::now() < deadline, "no login is answered");
            sleep(LOOK_EVERY).await;
        }
        Ok(storm)
    }

    /// Wrong logins answered so far.
    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends all; an error if one had another answer than "wrong password".
    fn end(mut self) -> anyhow::Result<()> {
        self.over.store(true, Ordering::Relaxed);
        for client in self.clients.drain(..) {
            client.join().map_err(|_| anyhow!("a client panicked"))??;
        }
        Ok(())
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn sign_in_wrongly(api: SocketAddr, over: &AtomicBool, answered: &AtomicU64) -> anyhow::Result<()> {
    let mut caller = Caller::connect(api)?;
    while !over.load(Ordering::Relaxed) {
        let name = format!("nobody-{}", &Uuid::new_v4().simple().to_string()[..16]);
        let body = json!({"username": name, "password": "Wrong-horse-8-battery"});
        let status = caller.call(&Request::post(api, "/api/auth/login", &body))?;
        ensure!(status == 401, "a wrong login: {status} {}", String::from_utf8_lossy(caller.body()));
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
