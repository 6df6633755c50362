//! A server's process: started, looked at, ended.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::sys;

/// A process that ends when this value goes.
pub(crate) struct Process {
    child: Child,
    log: Box<Path>,
}

/// What a process and its descendants have used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a core.
    pub(crate) cpu: Duration,
    /// Memory, with pages that several of the processes share counted once.
    pub(crate) memory_bytes: u64,
}

impl Process {
    /// Starts `command`; what it prints goes to `log`.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let out = fs::File::create(log).context("create a log file")?;
        command
            .stdin(Stdio::null())
            .stdout(out.try_clone().context("share a log file")?)
            .stderr(out);
        sys::end_with_parent(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("start {}", command.get_program().display()))?;
        Ok(Self {
            child,
            log: log.into(),
        })
    }

    /// Fails, with what the process printed last, where it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        let Some(status) = self.child.try_wait().context("wait for a process")? else {
            return Ok(());
        };
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("it ended with {status}, saying:\n{last}")
    }

    /// What the process and its descendants have used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut total = Usage::default();
        for id in family(self.child.id()).context("list processes")? {
            let usage = usage_of(id).with_context(|| format!("read the usage of process {id}"))?;
            total.cpu += usage.cpu;
            total.memory_bytes += usage.memory_bytes;
        }
        Ok(total)
    }
}

/// Asks the process to end, and ends it where it does not. Failures are left alone: the process is gone then.
impl Drop for Process {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let asked = Instant::now();
        let _ = sys::terminate(self.child.id());
        while asked.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `id` and the processes below it.
fn family(id: u32) -> io::Result<Vec<u32>> {
    let mut family = vec![id];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        next += 1;
        for thread in fs::read_dir(format!("/proc/{parent}/task"))? {
            let children = fs::read_to_string(thread?.path().join("children"))?;
            family.extend(
                children
                    .split_whitespace()
                    .filter_map(|id| id.parse::<u32>().ok()),
            );
        }
    }
    Ok(family)
}

/// The scheduler's own count, in nanoseconds: `utime` and `stime` come in hundredths of a second.
fn usage_of(id: u32) -> io::Result<Usage> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task"))? {
        let statistics = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += number(statistics.split_whitespace().next())?;
    }
    let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
    let shared_out = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kibibytes = number(shared_out.and_then(|rest| rest.split_whitespace().next()))?;
    Ok(Usage {
        cpu: Duration::from_nanos(nanoseconds),
        memory_bytes: kibibytes * 1024,
    })
}

fn number(text: Option<&str>) -> io::Result<u64> {
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no number where /proc has one"))
}
