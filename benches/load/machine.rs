//! What a table has to say of the machine.

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result};

/// The processor, its cores, the kernel and how busy they are, in one paragraph.
pub(crate) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let read = |file| fs::read_to_string(file).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let processor = processors
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "{processor}, {cores} cores that generator and server share, Linux {}. Load average at the start: {}; whatever \
         else runs makes every figure worse, the ratios too.",
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown")
    )
}

/// How long the machine's cores together stood still because its host ran something else, since the machine started; in
/// steps of 10 ms.
pub(crate) fn stolen() -> Result<Duration> {
    const STOLEN: usize = 8;
    const TICK: Duration = Duration::from_millis(10);
    let stat = fs::read_to_string("/proc/stat").context("read the times of the cores")?;
    let all = stat.lines().next().unwrap_or_default();
    let ticks = all.split_whitespace().nth(STOLEN);
    let ticks: u32 = ticks
        .context("no stolen time in /proc/stat")?
        .parse()
        .context("a number of ticks")?;
    Ok(TICK * ticks)
}
