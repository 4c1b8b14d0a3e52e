//! Sessions that print at a steady rate when told to, each read by a real client. Must not know what runs beside them.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::ensure;
use devpocket_tests::client::start::raw_script;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::time::{Instant, sleep};

use crate::contender::Contender;
use crate::crowd::{Crowd, Order};
use crate::rig::Rig;
use crate::tty::Tty;

/// What each session prints.
pub const LINES_PER_SECOND: u32 = 20;

/// Prints a line of 70 bytes every 50 ms between `g` and any other key. It begins anywhere within the 50 ms, so that
/// the sessions do not print in step.
const PROGRAM: &str = r#"exec perl -e '
use Time::HiRes "time";
$| = 1;
print "ready";
my ($due, $number, $going) = (0, 0, 0);
for (;;) {
    my $keys = ""; vec($keys, 0, 1) = 1;
    my $wait = $going ? $due - time : undef;
    $wait = 0 if defined $wait && $wait < 0;
    if (select($keys, undef, undef, $wait) > 0) {
        sysread(STDIN, my $key, 1) or exit;
        $going = $key eq "g";
        $due = time + rand 0.05;
    } elsif ($going) {
        printf "%08d %s\n", $number++, "x" x 60;
        $due += 0.05;
    }
}'"#;
const BEGIN: &str = "g";
const PAUSE: &str = "p";

/// How long all sessions may take to begin or to fall silent.
const LIMIT: Duration = Duration::from_secs(10);
/// No line for so long is silence: twice the time between two lines of one session.
const SILENCE: Duration = Duration::from_millis(100);
/// How often the thread looks whether it is over, in milliseconds.
const LOOK_EVERY_MS: u8 = 200;

/// The printers of one contender.
pub enum Printers {
    /// On terminals of baselines.
    Ttys(Ttys),
    /// On sessions of ours.
    Crowd(Crowd),
}

/// Programs on terminals, read by one thread.
pub struct Ttys {
    inputs: Vec<File>,
    lines: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    // Dropped after the thread has ended.
    ttys: Vec<Tty>,
}

impl Printers {
    /// Starts `count` silent printers behind a contender.
    pub async fn start(rig: &Rig, contender: Contender, count: usize) -> anyhow::Result<Self> {
        if contender.is_ours() {
            let connect = raw_script(PROGRAM);
            let crowd = Crowd::open(&rig.opening(contender)?, count, &connect, Some("ready")).await?;
            return Ok(Self::Crowd(crowd));
        }
        let mut ttys = Vec::new();
        for _ in 0..count {
            let mut tty = rig.tty(contender, &format!("stty raw -echo; {PROGRAM}"))?;
            tty.read_until("ready")?;
            ttys.push(tty);
        }
        Ok(Self::Ttys(Ttys::serve(ttys)?))
    }

    /// Lets all print, and waits until as many lines have come as there are sessions.
    pub async fn begin(&mut self) -> anyhow::Result<()> {
        let goal = self.lines() + self.count();
        self.write(BEGIN).await?;
        let deadline = Instant::now() + LIMIT;
        while self.lines() < goal {
            ensure!(Instant::now() < deadline, "the printers do not print");
            sleep(SILENCE / 10).await;
        }
        Ok(())
    }

    /// Lets none print, and waits until nothing comes any more.
    pub async fn pause(&mut self) -> anyhow::Result<()> {
        self.write(PAUSE).await?;
        let deadline = Instant::now() + LIMIT;
        loop {
            let before = self.lines();
            sleep(SILENCE).await;
            if self.lines() == before {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the printers do not stop");
        }
    }

    /// Lines received so far.
    pub fn lines(&self) -> u64 {
        match self {
            Self::Ttys(ttys) => ttys.lines.load(Ordering::Relaxed),
            Self::Crowd(crowd) => crowd.lines(),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Ttys(ttys) => ttys.ttys.len() as u64,
            Self::Crowd(crowd) => crowd.sessions(),
        }
    }

    async fn write(&mut self, key: &'static str) -> anyhow::Result<()> {
        match self {
            Self::Ttys(ttys) => {
                for input in &mut ttys.inputs {
                    input.write_all(key.as_bytes())?;
                }
                Ok(())
            }
            Self::Crowd(crowd) => crowd.order(Order::Type(key)).await,
        }
    }
}

impl Ttys {
    fn serve(ttys: Vec<Tty>) -> anyhow::Result<Self> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        for tty in &ttys {
            let (input, output) = tty.clone_files()?;
            inputs.push(input);
            outputs.push(output);
        }
        let (lines, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stop) = (Arc::clone(&lines), Arc::clone(&over));
        let thread = thread::spawn(move || {
            if let Err(err) = drain(&mut outputs, &counter, &stop) {
                // Too few lines will be counted, and the round refused.
                eprintln!("a printer broke: {err}");
            }
        });
        Ok(Self { inputs, lines, over, thread: Some(thread), ttys })
    }
}

impl Drop for Ttys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

/// Reads all outputs and counts lines until it is over.
fn drain(outputs: &mut [File], lines: &AtomicU64, over: &AtomicBool) -> std::io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    while !over.load(Ordering::Relaxed) {
        let mut waiting: Vec<PollFd<'_>> =
            outputs.iter().map(|output| PollFd::new(output.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut waiting, PollTimeout::from(LOOK_EVERY_MS))?;
        let ready: Vec<bool> = waiting.iter().map(|one| one.any().unwrap_or(false)).collect();
        for (output, _) in outputs.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            let read = output.read(&mut chunk)?;
            if read == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let count = chunk[..read].iter().filter(|byte| **byte == b'\n').count();
            lines.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
    Ok(())
}
