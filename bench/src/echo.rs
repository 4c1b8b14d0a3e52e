//! Keystroke echo: how long until a typed byte comes back, on an idle system and beside sessions that print. Must not
//! know how a contender is spoken to.

mod keys;
mod printers;

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::Instant;

use crate::contender::Contender;
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;
use keys::Keys;
use printers::{LINES_PER_SECOND, Printers};

/// Keystrokes before each round that do not count.
const WARM_UP: usize = 50;
/// A round beside printers lasts at least this long: their rate is to be checked.
const BUSY_ROUND: Duration = Duration::from_millis(1500);
/// Part of the lines due that must have arrived for a round to count as busy.
const PRINTED: f64 = 0.9;

/// p50 and p99, idle and busy.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(options.contenders()).await?;
    let mut rows = idle(&rig, options).await?;
    rows.extend(busy(&rig, options, &rows).await?);
    Ok(rows)
}

async fn idle(rig: &Rig, options: &Options) -> anyhow::Result<Vec<Row>> {
    let (mut p50, mut p99) = (Row::new("echo p50, idle", "us"), Row::new("echo p99, idle", "us"));
    let mut keyboards = keyboards(rig).await?;
    for _ in 0..options.echo_rounds() {
        for (contender, keys) in &mut keyboards {
            let times = round(keys, options.keystrokes(), Duration::ZERO).await.context(contender.name())?;
            p50.add(*contender, percentile(&times, 50));
            p99.add(*contender, percentile(&times, 99));
        }
    }
    p50.compare(Contender::Unix, Contender::Ssh, Target::AtMost(0.9));
    p50.compare(Contender::Quic, Contender::Ssh, Target::AtMost(1.4));
    for ours in [Contender::Unix, Contender::Quic] {
        p99.compare(ours, Contender::Ssh, Target::None);
    }
    Ok(vec![p50, p99])
}

/// All contenders beside printers of their own kind, of which only one contender's print at a time.
async fn busy(rig: &Rig, options: &Options, idle: &[Row]) -> anyhow::Result<Vec<Row>> {
    let count = options.busy_sessions();
    let title = |name: &str| format!("echo {name}, beside {count} sessions of {LINES_PER_SECOND} lines/s");
    let (mut p50, mut p99) = (Row::new(title("p50"), "us"), Row::new(title("p99"), "us"));
    let mut crowds = Vec::new();
    for contender in &rig.contenders {
        crowds.push(Printers::start(rig, *contender, count).await?);
    }
    // After the printers, which take long to start: nobody reads from these sockets meanwhile.
    let mut keyboards = keyboards(rig).await?;
    for _ in 0..options.echo_rounds() {
        for ((contender, keys), printers) in keyboards.iter_mut().zip(&mut crowds) {
            printers.begin().await?;
            let (began, lines) = (Instant::now(), printers.lines());
            let times = round(keys, options.keystrokes(), BUSY_ROUND).await;
            let times = times.with_context(|| format!("{} beside printers", contender.name()))?;
            let (printed, took) = (printers.lines() - lines, began.elapsed());
            printers.pause().await?;
            let due = took.as_secs_f64() * f64::from(LINES_PER_SECOND) * count as f64;
            let name = contender.name();
            ensure!(
                printed as f64 >= PRINTED * due,
                "{name}: {printed} lines arrived where {due:.0} were due"
            );
            p50.add(*contender, percentile(&times, 50));
            p99.add(*contender, percentile(&times, 99));
        }
    }
    for contender in &rig.contenders {
        let target = if contender.is_ours() { Target::AtMost(1.5) } else { Target::None };
        p50.compare_row(*contender, &idle[0], "idle", target);
    }
    Ok(vec![p50, p99])
}

async fn keyboards(rig: &Rig) -> anyhow::Result<Vec<(Contender, Keys)>> {
    let mut keyboards = Vec::new();
    for contender in &rig.contenders {
        keyboards.push((*contender, Keys::open(rig, *contender).await?));
    }
    Ok(keyboards)
}

/// Microseconds of so many keystrokes, and more until `at_least` has passed.
async fn round(keys: &mut Keys, keystrokes: usize, at_least: Duration) -> anyhow::Result<Vec<f64>> {
    for _ in 0..WARM_UP {
        keys.press().await?;
    }
    let began = Instant::now();
    let mut times = Vec::with_capacity(keystrokes);
    while times.len() < keystrokes || began.elapsed() < at_least {
        times.push(keys.press().await?.as_secs_f64() * 1e6);
    }
    Ok(times)
}
