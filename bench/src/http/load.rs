//! The same work over and over on several threads for a while. Must not know what it is for.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};

use super::caller::{Caller, Request};

/// Work on each thread that does not count.
const WARM_UP: usize = 10;

/// What was done.
pub struct Load {
    /// Seconds that each piece of work took.
    pub times: Vec<f64>,
    /// From the first to the end of the last.
    took: Duration,
}

impl Load {
    /// A request on each of so many connections. Another status than this refuses the figure.
    pub fn of_requests(
        server: SocketAddr,
        request: &Request,
        status: u16,
        connections: usize,
        lasting: Duration,
    ) -> anyhow::Result<Self> {
        Self::of(connections, lasting, || {
            let mut caller = Caller::connect(server)?;
            Ok(move || {
                let answered = caller.call(request)?;
                let body = String::from_utf8_lossy(caller.body());
                ensure!(answered == status, "answered {answered}: {body}");
                Ok(())
            })
        })
    }

    /// Whatever `make` makes, on each of so many threads.
    pub fn of<W: FnMut() -> anyhow::Result<()>>(
        threads: usize,
        lasting: Duration,
        make: impl Fn() -> anyhow::Result<W> + Sync,
    ) -> anyhow::Result<Self> {
        let start = Barrier::new(threads);
        let worker = || {
            let warmed = make().and_then(|mut work| {
                (0..WARM_UP).try_for_each(|_| work())?;
                Ok(work)
            });
            // Also when something failed: the others wait.
            start.wait();
            let mut work = warmed?;
            let (began, mut times) = (Instant::now(), Vec::new());
            while began.elapsed() < lasting {
                let asked = Instant::now();
                work()?;
                times.push(asked.elapsed().as_secs_f64());
            }
            anyhow::Ok((times, began.elapsed()))
        };
        let ended: Vec<_> = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
            running.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut all = Self { times: Vec::new(), took: Duration::ZERO };
        for ended in ended {
            let (times, took) = ended.map_err(|_| anyhow!("a thread panicked"))??;
            all.times.extend(times);
            all.took = all.took.max(took);
        }
        ensure!(!all.times.is_empty(), "nothing was done");
        Ok(all)
    }

    /// How many a second.
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.took.as_secs_f64()
    }
}
