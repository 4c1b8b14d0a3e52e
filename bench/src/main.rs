//! Measures DevPocket side by side with a bare PTY, `ssh localhost` and a usual web terminal, and prints one table. Must not know how a
//! figure is measured.

mod bulk;
mod clock;
mod contender;
mod creation;
mod crowd;
mod echo;
mod http;
mod interrupt;
mod machine;
mod memory;
mod node_pty;
mod options;
mod reattach;
mod recovery;
mod report;
mod rig;
mod slow;
mod sockets;
mod sshd;
mod storm;
mod sys;
mod tty;
mod usage;
mod wire;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::Parser;

use contender::Contender;
use node_pty::NodePty;
use options::{Figure, Options};
use report::{Report, Row};

fn main() -> anyhow::Result<ExitCode> {
    let mut options = Options::parse();
    let mut facts = machine::facts()?;
    facts.push((Contender::NodePty.name(), look_for_node_pty(&mut options)));
    let mut report = Report::new(facts);
    for figure in options.figures() {
        eprintln!("measuring {} ...", figure.name());
        match measured(figure, &options) {
            Ok(rows) => report.rows.extend(rows),
            Err(err) => report.refused.push((figure.name(), format!("{err:#}"))),
        }
    }
    print!("{}", report.markdown());
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", report.json());
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if report.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lets the web terminal take part if it starts here; its versions, or why it is left out.
fn look_for_node_pty(options: &mut Options) -> String {
    match NodePty::start().and_then(|server| server.versions()) {
        Ok(versions) => {
            options.has_node_pty = true;
            versions
        }
        Err(err) => {
            eprintln!("{} is left out: {err:#}", Contender::NodePty.name());
            format!("left out: {err:#}")
        }
    }
}

/// The rows of one figure. A check that fails, in a panic of the shared client too, refuses this figure alone.
fn measured(figure: Figure, options: &Options) -> anyhow::Result<Vec<Row>> {
    // One thread: an extra wake-up between the socket's thread and the caller's would be counted as the product's.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            match figure {
                Figure::Echo => echo::measure(options).await,
                Figure::Bulk => bulk::measure(options).await,
                Figure::Creation => creation::measure(options).await,
                Figure::Memory => memory::measure(options).await,
                Figure::Recovery => recovery::measure(options).await,
                Figure::Reattach => reattach::measure(options).await,
                Figure::Wire => wire::measure(options).await,
                Figure::CtrlC => interrupt::measure(options).await,
                Figure::Slow => slow::measure(options).await,
                Figure::Http => http::measure(options).await,
                Figure::LoginStorm => storm::measure(options).await,
                Figure::Sockets => sockets::measure(options).await,
            }
        })
    }));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without text");
        Err(anyhow!("a check failed: {text}"))
    })
}
