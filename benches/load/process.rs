//! A server's process: started, looked at, ended.

use std::{
    fs, io,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::sys::{self, Signal};

/// A process that ends when this value goes.
pub(crate) struct Process {
    child: Child,
    log: Box<Path>,
}

/// What a process holds in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// At present.
    pub(crate) resident: u64,
    /// At most since the process began, or since [`Process::forget_peak`].
    pub(crate) peak: u64,
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

    /// The number that the system has it by.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The time on a core that the process and its descendants have used, threads that ended included.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.family()?.into_iter().map(sys::cpu_time).sum()
    }

    /// The memory of the process and its descendants, with pages that several of them share counted once.
    pub(crate) fn family_memory_bytes(&self) -> Result<u64> {
        self.family()?
            .into_iter()
            .map(|id| kibibytes(&format!("/proc/{id}/smaps_rollup"), "Pss:"))
            .sum()
    }

    /// The memory of the process alone.
    pub(crate) fn memory(&self) -> Result<Memory> {
        memory_of(self.child.id())
    }

    /// Lets the peak of memory begin again at what is held at present.
    pub(crate) fn forget_peak(&self) -> Result<()> {
        // Word 5 of proc(5), clear_refs.
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")
            .context("reset the peak of a process's memory")
    }

    /// Tells the process to reload.
    pub(crate) fn hang_up(&self) -> Result<()> {
        sys::signal(self.child.id(), Signal::HangUp)
    }

    /// The process and those below it.
    fn family(&self) -> Result<Vec<u32>> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            next += 1;
            family.extend(children(parent).context("list processes")?);
        }
        Ok(family)
    }
}

/// The memory of the process with this number.
pub(crate) fn memory_of(id: u32) -> Result<Memory> {
    let file = format!("/proc/{id}/status");
    Ok(Memory {
        resident: kibibytes(&file, "VmRSS:")?,
        peak: kibibytes(&file, "VmHWM:")?,
    })
}

/// Asks the process to end, and ends it where it does not. Failures are left alone: the process is gone then.
impl Drop for Process {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(10);
        let asked = Instant::now();
        let _ = sys::signal(self.child.id(), Signal::Terminate);
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

fn children(parent: u32) -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for thread in fs::read_dir(format!("/proc/{parent}/task"))? {
        // A thread may end while the list is read.
        let children = fs::read_to_string(thread?.path().join("children")).unwrap_or_default();
        let numbers = children.split_whitespace();
        ids.extend(numbers.filter_map(|id| id.parse::<u32>().ok()));
    }
    Ok(ids)
}

/// The size that `file`, one of `/proc`'s, gives behind `label`; in bytes.
fn kibibytes(file: &str, label: &str) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("read {file}"))?;
    let size = text.lines().find_map(|line| line.strip_prefix(label));
    let number = size.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    Ok(number.with_context(|| format!("{file} has no number behind {label}"))? * 1024)
}
