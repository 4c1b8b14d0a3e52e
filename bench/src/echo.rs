//! Keystroke echo: how long until a typed byte comes back, on an idle system and beside sessions that print. Must not
//! know how a contender is spoken to.

pub mod keys;
mod printers;

use std::time::Duration;

use anyhow::{Context, ensure};
use devpocket_tests::Random;
use tokio::time::{Instant, sleep};

use crate::contender::Contender;
use crate::options::Options;
use crate::report::sample::percentile;
use crate::report::{Row, Target};
use crate::rig::Rig;
use keys::Keys;
use printers::{LINES_PER_SECOND, Printers};

/// Keystrokes before each round that do not count.
const WARM_UP: usize = 50;
/// Between two keystrokes when somebody types, at random.
const PAUSE_MICROS: (u64, u64) = (1000, 3000);
/// A round beside printers lasts at least this long: their rate is to be checked.
pub const BUSY_ROUND: Duration = Duration::from_millis(1500);
/// Part of the lines due that must have arrived for a round to count as busy.
const PRINTED: f64 = 0.9;

/// How keystrokes follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pace {
    /// With pauses: everybody sleeps when the next one comes, as when a person types.
    Typing,
    /// The next as soon as the last came back. All processes then come to run on one core or on several by chance, and
    /// a round's figure says which: for scale only.
    BackToBack,
}

/// Two rows of the same keystrokes.
struct Pair {
    p50: Row,
    p99: Row,
}

impl Pair {
    fn new(what: &str) -> Self {
        let row = |name: &str| Row::new(format!("echo {name}, {what}"), "us");
        Self { p50: row("p50"), p99: row("p99") }
    }

    fn add(&mut self, contender: Contender, times: &[f64]) {
        self.p50.add(contender, percentile(times, 50));
        self.p99.add(contender, percentile(times, 99));
    }
}

/// p50 and p99, idle and busy.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let rig = Rig::start(options.contenders_and_node_pty()).await?;
    let (typing, back_to_back) = idle(&rig, options).await?;
    let beside = busy(&rig, options, &typing.p50).await?;
    Ok([typing, back_to_back, beside].into_iter().flat_map(|pair| [pair.p50, pair.p99]).collect())
}

async fn idle(rig: &Rig, options: &Options) -> anyhow::Result<(Pair, Pair)> {
    let (mut typing, mut back_to_back) = (Pair::new("idle"), Pair::new("idle, typed without a pause"));
    let mut keyboards = keyboards(rig, &rig.contenders).await?;
    for _ in 0..options.echo_rounds() {
        for (pace, pair) in [(Pace::Typing, &mut typing), (Pace::BackToBack, &mut back_to_back)] {
            for (contender, keys) in &mut keyboards {
                let times = round(keys, pace, options.keystrokes(), Duration::ZERO).await;
                pair.add(*contender, &times.context(contender.name())?);
            }
        }
    }
    for (ours, target) in [(Contender::Unix, Target::AtMost(0.9)), (Contender::Quic, Target::AtMost(1.4))] {
        typing.p50.compare(ours, Contender::Ssh, target);
        for row in [&mut typing.p99, &mut back_to_back.p50, &mut back_to_back.p99] {
            row.compare(ours, Contender::Ssh, Target::None);
        }
        for row in [&mut typing.p50, &mut typing.p99, &mut back_to_back.p50, &mut back_to_back.p99] {
            row.compare(ours, Contender::NodePty, Target::None);
        }
    }
    Ok((typing, back_to_back))
}

/// All contenders beside printers of their own kind; only one contender's print at a time.
async fn busy(rig: &Rig, options: &Options, idle: &Row) -> anyhow::Result<Pair> {
    let count = options.busy_sessions();
    let mut pair = Pair::new(&format!("beside {count} sessions of {LINES_PER_SECOND} lines/s"));
    let contenders = options.contenders();
    let mut crowds = Vec::new();
    for contender in &contenders {
        crowds.push(Printers::start(rig, *contender, count).await?);
    }
    // After the printers, which take long to start: nobody reads from these sockets meanwhile.
    let mut keyboards = keyboards(rig, &contenders).await?;
    for _ in 0..options.echo_rounds() {
        for ((contender, keys), printers) in keyboards.iter_mut().zip(&mut crowds) {
            printers.begin().await?;
            let (began, lines) = (Instant::now(), printers.lines());
            let times = round(keys, Pace::Typing, options.keystrokes(), BUSY_ROUND).await;
            let times = times.with_context(|| format!("{} beside printers", contender.name()))?;
            let (printed, took) = (printers.lines() - lines, began.elapsed());
            printers.pause().await?;
            let due = took.as_secs_f64() * f64::from(LINES_PER_SECOND) * count as f64;
            let name = contender.name();
            ensure!(
                printed as f64 >= PRINTED * due,
                "{name}: {printed} lines arrived where {due:.0} were due"
            );
            pair.add(*contender, &times);
        }
    }
    for contender in &contenders {
        let target = if contender.is_ours() { Target::AtMost(1.5) } else { Target::None };
        pair.p50.compare_row(*contender, idle, "idle", target);
    }
    Ok(pair)
}

/// A keyboard at each of these contenders.
pub async fn keyboards(rig: &Rig, contenders: &[Contender]) -> anyhow::Result<Vec<(Contender, Keys)>> {
    let mut keyboards = Vec::new();
    for contender in contenders {
        keyboards.push((*contender, Keys::open(rig, *contender).await?));
    }
    Ok(keyboards)
}

/// Microseconds of so many keystrokes, and more until `at_least` has passed.
pub async fn round(
    keys: &mut Keys,
    pace: Pace,
    keystrokes: usize,
    at_least: Duration,
) -> anyhow::Result<Vec<f64>> {
    let mut random = Random::new(0);
    for _ in 0..WARM_UP {
        keys.press()?;
    }
    let began = Instant::now();
    let mut times = Vec::with_capacity(keystrokes);
    while times.len() < keystrokes || began.elapsed() < at_least {
        if pace == Pace::Typing {
            let pause = random.between(PAUSE_MICROS.0, PAUSE_MICROS.1);
            sleep(Duration::from_micros(pause)).await;
        }
        times.push(keys.press()?.as_secs_f64() * 1e6);
    }
    Ok(times)
}
