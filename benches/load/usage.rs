//! What a server and the machine's host use of the cores meanwhile.

use std::{
    fmt, mem,
    ops::AddAssign,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::{machine, sys};

/// What the process used, and what the machine's host took away, in some time.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
    pub(crate) stolen: Duration,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.time += other.time;
        self.cpu += other.cpu;
        self.stolen += other.stolen;
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: Duration| part.as_secs_f64() / self.time.as_secs_f64() * 100.0;
        write!(
            formatter,
            "CPU {:.0} % of a core, {:.1} % stolen by the host",
            share(self.cpu),
            share(self.stolen)
        )
    }
}

/// Reads usage from one time to the next.
pub(crate) struct Meter {
    process: u32,
    since: Instant,
    cpu: Duration,
    stolen: Duration,
}

impl Meter {
    pub(crate) fn start(process: u32) -> Result<Self> {
        Ok(Self {
            process,
            since: Instant::now(),
            cpu: sys::cpu_time(process)?,
            stolen: machine::stolen()?,
        })
    }

    /// What was used since the last time.
    pub(crate) fn lap(&mut self) -> Result<Usage> {
        let before = mem::replace(self, Self::start(self.process)?);
        Ok(Usage {
            time: self.since - before.since,
            cpu: self.cpu.saturating_sub(before.cpu),
            stolen: self.stolen.saturating_sub(before.stolen),
        })
    }
}
