//! What 64 KiB of each attack cost at most: `cargo run --release -p ptyd-screen --example hostile_cost`. The largest screen,
//! a usual one, and the smallest.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "a measurement, printed")]

#[path = "../tests/common/attacks.rs"]
mod attacks;

use std::time::{Duration, Instant};

use attacks::attacks;
use ptyd_screen::{Screen, Size};

const PIECE_BYTES: usize = 64 << 10;
const PIECES: usize = 16;
const ROUNDS: usize = 3;

fn main() {
    println!("ms a 64 KiB piece: worst and mean of {PIECES}, the best of {ROUNDS} rounds; units of work a byte");
    for (rows, cols) in [(1000, 1000), (24, 80), (1, 2)] {
        println!("\n| {rows}x{cols} | worst | mean | work | MiB |\n|---|---|---|---|---|");
        let (mut most, mut most_name) = (0.0, "");
        for attack in attacks(usize::from(rows), usize::from(cols), PIECE_BYTES * PIECES) {
            let (mut worst, mut mean) = (f64::MAX, f64::MAX);
            let (mut work, mut memory) = (0, 0);
            for _ in 0..ROUNDS {
                let mut screen = Screen::new(Size::new(rows, cols), vec![0; 4 << 20], 10_000);
                screen.feed(&attack.before, &mut Vec::new());
                let before = screen.work();
                let mut times = Vec::new();
                for piece in attack.flood.chunks(PIECE_BYTES) {
                    let mut effects = Vec::new();
                    let start = Instant::now();
                    screen.feed(piece, &mut effects);
                    times.push(start.elapsed());
                }
                let ms = |time: Duration| time.as_secs_f64() * 1e3;
                worst = worst.min(times.iter().copied().map(ms).fold(0.0, f64::max));
                mean = mean.min(ms(times.iter().sum::<Duration>()) / PIECES as f64);
                (work, memory) = (screen.work() - before, screen.memory_bytes());
            }
            if worst > most {
                (most, most_name) = (worst, attack.name);
            }
            let (work, memory) = (work / attack.flood.len() as u64, memory as f64 / f64::from(1 << 20));
            println!("| {} | {worst:.2} | {mean:.2} | {work} | {memory:.1} |", attack.name);
        }
        println!("most: {most:.2} ms, {most_name}");
    }
}
