//! One client at 16 kbit/s beside twenty fast ones in a flood: what it costs them, and what it sees. Must not know what is
//! sent to whom.

mod fast;

use std::time::Duration;

use anyhow::Context;
use devpocket_tests::Throttle;
use devpocket_tests::client::{Framing, Socket, Watcher};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::contender::Contender;
use crate::interrupt::{self, PROMPT};
use crate::options::Options;
use crate::report::{Row, Target};
use crate::rig::Rig;
use crate::usage;
use fast::Fast;

/// 16 kbit/s.
const BYTES_PER_SECOND: u32 = 2000;
/// Clients beside it.
const FAST: usize = 20;
/// How long the flood runs before it is measured, and how long it is.
const WARM: Duration = Duration::from_secs(4);
const MEASURED: Duration = Duration::from_secs(3);
/// How often it is measured with and without the slow one in a round.
const TURNS: usize = 4;
const LIMIT: Duration = Duration::from_secs(120);
const WINDOW_BYTES: u64 = 256 << 10;

struct Rows {
    alone: Row,
    beside: Row,
    effect: Row,
    right: Row,
    memory: Row,
}

/// Speed of the fast ones, delays of the slow one, memory of the worker.
pub async fn measure(options: &Options) -> anyhow::Result<Vec<Row>> {
    let ours: Vec<Contender> = options.contenders().into_iter().filter(|one| one.is_ours()).collect();
    let rig = Rig::start(ours).await?;
    let mut rows = Rows {
        alone: Row::new(format!("`yes` to each of {FAST} fast clients"), "MB/s"),
        beside: Row::new("the same, beside one at 16 kbit/s", "MB/s"),
        effect: Row::new("its Ctrl-C to the effect", "ms"),
        right: Row::new("its Ctrl-C to the right screen", "ms"),
        memory: Row::new("growth of the worker for it", "KiB"),
    };
    for _ in 0..options.slow_rounds() {
        for contender in &rig.contenders {
            round(&rig, *contender, &mut rows).await?;
        }
    }
    for contender in &rig.contenders {
        rows.beside.compare_row(*contender, &rows.alone, "without it", Target::AtLeast(0.95));
        rows.effect.expect(*contender, Target::AtMost(120.0));
        rows.right.expect(*contender, Target::AtMost(1000.0));
        rows.memory.expect(*contender, Target::AtMost(8192.0));
    }
    Ok(vec![rows.alone, rows.beside, rows.effect, rows.right, rows.memory])
}

async fn round(rig: &Rig, contender: Contender, rows: &mut Rows) -> anyhow::Result<()> {
    let stack = rig.stack(contender)?;
    let worker = [stack.worker_pid().context("no worker runs")?];
    let (mut socket, session) = interrupt::open(rig, contender).await?;
    let fast = Fast::attach(rig.opening(contender)?, session, FAST)?;
    socket.send_input(session, None, b"go\n");
    socket.ask(json!({"type": "detach", "session_id": session})).await;
    sleep(WARM).await;
    let throttle = Throttle::start(stack.address(0), BYTES_PER_SECOND).await;
    let opening = stack.opening_at(throttle.address, Framing::Binary);
    let mut last = None;
    // In turns: what else the machine does weighs on both alike.
    for _ in 0..TURNS {
        drop(last.take());
        rows.alone.add(contender, fast.speed(MEASURED).await);
        let before = usage::memory(&worker)?;
        let mut slow = Watcher::attach(&opening, session, WINDOW_BYTES, json!({"client_id": "slow"})).await;
        watch_for(&mut slow, WARM).await;
        rows.beside.add(contender, speed_beside(&fast, &mut slow).await);
        let grown = usage::memory(&worker)?.saturating_sub(before);
        rows.memory.add(contender, grown as f64 / 1024.0);
        last = Some(slow);
    }
    let mut slow = last.context("there was a turn")?;

    let began = Instant::now();
    slow.input(b"\x03");
    slow.watch("it shows the end", LIMIT, |slow| slow.text().contains(PROMPT)).await;
    rows.right.add(contender, began.elapsed().as_secs_f64() * 1e3);
    let effect = fast.first_end().await?.duration_since(began);
    rows.effect.add(contender, effect.as_secs_f64() * 1e3);
    // The first socket was silent for too long to be there still.
    let mut socket = Socket::must_open(&rig.opening(contender)?).await;
    socket.ask(json!({"type": "terminate", "session_id": session})).await;
    Ok(())
}

/// What each of the fast ones reads while the slow one does what it can.
async fn speed_beside(fast: &Fast, slow: &mut Watcher) -> f64 {
    let measuring = fast.speed(MEASURED);
    tokio::pin!(measuring);
    loop {
        tokio::select! {
            speed = &mut measuring => return speed,
            () = slow.step() => {}
        }
    }
}

async fn watch_for(slow: &mut Watcher, time: Duration) {
    let until = Instant::now() + time;
    slow.watch("its time is over", LIMIT, |_| Instant::now() >= until).await;
}
