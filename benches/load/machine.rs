//! What a table has to say of the machine.

use std::{fs, thread};

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
