//! What 64 KiB of each attack cost at most: `cargo run --release -p ptyd-screen --example hostile_cost`. The largest screen,
//! a large one, a usual one, and the smallest. Each piece counts as in its best round, since other processes disturb the others.
//! Fails where one costs more than it may.
#![allow(clippy::print_stdout, clippy::cast_precision_loss, reason = "a measurement, printed")]

#[path = "../tests/common/attacks.rs"]
mod attacks;

use std::process::ExitCode;

use attacks::attacks;
use nix::sys::resource::{UsageWho, getrusage};
use ptyd_screen::{Screen, Size};

const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 16;
const ROUNDS: usize = 5;
/// What 64 KiB of anything may cost, in milliseconds of a processor.
const MOST_MS: f64 = 5.0;

fn main() -> ExitCode {
    let mut is_met = true;
    println!(
        "ms a 64 KiB piece: worst and mean of {PIECES}, the best of {ROUNDS} rounds; units of work a byte"
    );
    for (rows, cols) in [(1000, 1000), (200, 400), (24, 80), (1, 2)] {
        println!("\n| {rows}x{cols} | worst | mean | work | MiB |\n|---|---|---|---|---|");
        let (mut most, mut most_name) = (0.0, "");
        for attack in attacks(usize::from(rows), usize::from(cols), PIECE_BYTES * PIECES) {
            let mut best = vec![f64::MAX; PIECES];
            let (mut work, mut memory) = (0, 0);
            for _ in 0..ROUNDS {
                let mut screen = Screen::new(Size::new(rows, cols), vec![0; 4 << 20], 10_000);
                screen.feed(&attack.before, &mut Vec::new());
                let before = screen.work();
                for (piece, best) in attack.flood.chunks(PIECE_BYTES).zip(&mut best) {
                    let mut effects = Vec::new();
                    let start = cpu_seconds();
                    screen.feed(piece, &mut effects);
                    *best = best.min((cpu_seconds() - start) * 1e3);
                }
                (work, memory) = (screen.work() - before, screen.memory_bytes());
            }
            let worst = best.iter().copied().fold(0.0, f64::max);
            let mean = best.iter().sum::<f64>() / PIECES as f64;
            if worst > most {
                (most, most_name) = (worst, attack.name);
            }
            let (work, memory) = (work / attack.flood.len() as u64, memory as f64 / f64::from(1 << 20));
            println!("| {} | {worst:.2} | {mean:.2} | {work} | {memory:.1} |", attack.name);
        }
        let missed = if most > MOST_MS { " **missed**" } else { "" };
        println!("most: {most:.2} ms, {most_name}; target at most {MOST_MS} ms{missed}");
        is_met &= most <= MOST_MS;
    }
    if is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Processor time of this process, in seconds: what other processes do counts little.
fn cpu_seconds() -> f64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0.0 };
    [usage.user_time(), usage.system_time()]
        .into_iter()
        .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
        .sum()
}
