//! This build, and what the operating system knows about this process: the names that every Prometheus client library
//! exports, so that common boards and alerts find them.
//!
//! On other systems than Linux the process part is empty.

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

/// Which build runs.
#[derive(Debug)]
pub(super) struct Build;

impl Collector for Build {
    fn encode(&self, mut page: DescriptorEncoder) -> fmt::Result {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("revision", env!("MESHDNS_REVISION")),
            ("rustversion", env!("MESHDNS_RUST_VERSION")),
        ];
        let mut family = page.encode_descriptor(
            "build_info",
            "Always 1; the labels tell which build runs.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(1_u32).encode(family.encode_family(&labels)?)
    }
}

/// What the operating system knows about this process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, page: DescriptorEncoder) -> fmt::Result {
        #[cfg(target_os = "linux")]
        return linux::encode(page);
        #[cfg(not(target_os = "linux"))]
        return {
            drop(page);
            Ok(())
        };
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{fmt, fs};

    use prometheus_client::encoding::DescriptorEncoder;

    use super::super::write::{counter, gauge};

    /// Where `/proc` can't be read, the page goes without.
    pub(super) fn encode(mut page: DescriptorEncoder) -> fmt::Result {
        let page = &mut page;
        if let Some(stat) = Stat::read() {
            stat.encode(page)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            gauge(
                page,
                "process_open_fds",
                "Number of open file descriptors.",
                open.count(),
            )?;
        }
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        if let Some(limit) = limit.current {
            gauge(
                page,
                "process_max_fds",
                "Maximum number of open file descriptors.",
                limit,
            )?;
        }
        Ok(())
    }

    /// The fields of `/proc/self/stat` that the page shows, in its units: see `proc_pid_stat(5)`.
    struct Stat {
        cpu_seconds: f64,
        threads: u64,
        start_seconds: f64,
        virtual_bytes: u64,
        resident_bytes: u64,
    }

    impl Stat {
        fn read() -> Option<Self> {
            let stat = fs::read_to_string("/proc/self/stat").ok()?;
            let boot = fs::read_to_string("/proc/stat").ok()?;
            let boot = boot.lines().find_map(|line| line.strip_prefix("btime "))?;
            Self::parse(&stat, boot.trim().parse().ok()?)
        }

        fn parse(stat: &str, boot_seconds: f64) -> Option<Self> {
            // The name in parentheses may hold anything; the state, field 3, follows the last one.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
            let whole = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
            #[allow(
                clippy::cast_precision_loss,
                reason = "a small constant, 100 everywhere"
            )]
            let ticks = rustix::param::clock_ticks_per_second() as f64;
            Some(Self {
                cpu_seconds: (field(14)? + field(15)?) / ticks,
                threads: whole(20)?,
                start_seconds: boot_seconds + field(22)? / ticks,
                virtual_bytes: whole(23)?,
                resident_bytes: whole(24)? * rustix::param::page_size() as u64,
            })
        }

        fn encode(&self, page: &mut DescriptorEncoder<'_>) -> fmt::Result {
            counter(
                page,
                "process_cpu_seconds",
                "Total user and system CPU time spent in seconds.",
                self.cpu_seconds,
            )?;
            gauge(page, "process_threads", "Number of threads.", self.threads)?;
            gauge(
                page,
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                self.start_seconds,
            )?;
            gauge(
                page,
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                self.virtual_bytes,
            )?;
            gauge(
                page,
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                self.resident_bytes,
            )
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn reads_the_fields_behind_a_name_with_parentheses() {
            let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 3 0 1000 8192 2 18446744073709551615";
            let stat = Stat::parse(stat, 5000.0).expect("a whole line");
            let ticks =
                f64::from(u32::try_from(rustix::param::clock_ticks_per_second()).expect("small"));
            assert!((stat.cpu_seconds - 200.0 / ticks).abs() < 1e-9);
            assert!((stat.start_seconds - (5000.0 + 1000.0 / ticks)).abs() < 1e-9);
            assert_eq!((stat.threads, stat.virtual_bytes), (3, 8192));
            assert_eq!(stat.resident_bytes, 2 * rustix::param::page_size() as u64);
        }
    }
}
