//! What a table was measured on and with. Must not know what was measured.

use std::fs;
use std::process::Command;

use anyhow::Context;

/// Lines of name and value.
pub fn facts() -> anyhow::Result<Vec<(&'static str, String)>> {
    let cores = std::thread::available_parallelism().context("cores can be counted")?;
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown processor", |(_, name)| name);
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.lines().next().unwrap_or_default().trim_start_matches("MemTotal:").trim();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split_whitespace().next().unwrap_or_default();
    Ok(vec![
        ("machine", format!("{cores} cores, {model}, {memory}, Linux {}", kernel.trim())),
        ("load before", format!("{load} (1 min)")),
        ("commit", commit()),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("ssh", ssh_version()),
    ])
}

/// The commit of the checkout that this was built from, marked if there are changes beside it.
fn commit() -> String {
    let git = |arguments: &[&str]| -> Option<String> {
        let output =
            Command::new("git").args(["-C", env!("CARGO_MANIFEST_DIR")]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with changes"),
    }
}

/// ssh says its version on stderr.
fn ssh_version() -> String {
    let output = Command::new("ssh").arg("-V").output();
    output.map_or_else(
        |_| "none".to_owned(),
        |output| String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    )
}
