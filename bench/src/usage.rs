//! What processes have used, from /proc (proc(5)). Must not know whose processes they are.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nix::unistd::{Pid, SysconfVar, sysconf};

/// CPU time of all threads of these processes, those that ended included.
pub fn cpu(processes: &[Pid]) -> anyhow::Result<Duration> {
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the kernel has clock ticks")?;
    let mut ticks = 0.0;
    for pid in processes {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything: the fields begin after the last one.
        let (_, fields) = stat.rsplit_once(')').context("a stat line has a name")?;
        let mut used = fields.split_whitespace().skip(11).map(str::parse::<u32>);
        for _user_then_system in 0..2 {
            ticks += f64::from(used.next().context("a stat line has times")??);
        }
    }
    Ok(Duration::from_secs_f64(ticks / per_second as f64))
}

/// Memory of these processes in bytes: private pages whole, shared ones in proportion to who shares them.
pub fn memory(processes: &[Pid]) -> anyhow::Result<u64> {
    let mut kibibytes = 0;
    for pid in processes {
        let path = format!("/proc/{pid}/smaps_rollup");
        let rollup = fs::read_to_string(&path).with_context(|| {
            format!("cannot read {path}: processes that are not dumpable show it to root only")
        })?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        kibibytes += line.trim().trim_end_matches("kB").trim().parse::<u64>()?;
    }
    Ok(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_of_this_process_show() {
        let me = [Pid::this()];
        let (began_cpu, began_memory) = (cpu(&me).unwrap(), memory(&me).unwrap());
        let mut block = vec![0_u8; 32 << 20];
        let mut round = 0_u8;
        while cpu(&me).unwrap() < began_cpu + Duration::from_millis(50) {
            round = round.wrapping_add(1);
            block.fill(round | 1);
        }
        let grown = memory(&me).unwrap() - began_memory;
        assert!((30 << 20..40 << 20).contains(&grown), "{grown} bytes");
        assert_eq!(std::hint::black_box(&block)[7] & 1, 1);
    }
}
