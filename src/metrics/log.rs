use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter},
};

/// How many log lines were left out.
#[derive(Debug, Default)]
pub struct LogLines {
    unread: AtomicU64,
    repeated: AtomicU64,
}

impl LogLines {
    /// Counts a line that found no room because nobody reads stderr.
    pub fn count_unread(&self) {
        self.unread.fetch_add(1, Relaxed);
    }

    /// Counts a line that was said too often of late.
    pub fn count_repeated(&self) {
        self.repeated.fetch_add(1, Relaxed);
    }

    /// How many found no room.
    pub fn unread(&self) -> u64 {
        self.unread.load(Relaxed)
    }

    /// How many were said too often.
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Relaxed)
    }
}

impl Collector for LogLines {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = page.encode_descriptor(
            "log_lines_dropped",
            "Log lines that were left out",
            None,
            MetricType::Counter,
        )?;
        for (why, lines) in [("unread", self.unread()), ("repeated", self.repeated())] {
            let labels = [("why", why)];
            ConstCounter::new(lines).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
