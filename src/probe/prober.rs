//! The thread that probes.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering::Relaxed},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use tokio::runtime;

use super::{runner::Runner, saved, shared::Shared};
use crate::{
    control::Health,
    health::{Board, Epoch, Settings},
    precedence, threads,
};

/// Probes can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system gives no thread, or not what waiting for sockets needs.
    #[error("start the thread that probes endpoints")]
    Thread(#[source] io::Error),
}

/// The running probes; dropping it stops them.
#[derive(Debug)]
pub(super) struct Prober {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What holds of endpoints, for those who show it.
#[derive(Clone, Debug)]
pub struct SharedBoard(pub(super) Arc<Shared>);

impl Prober {
    /// Probes what `health` wants, and tells it what follows. `own` is where this server listens; times are spread by `seed`, or
    /// as they were before a restart.
    ///
    /// # Errors
    ///
    /// Fails where there is no thread to be had.
    pub(super) fn start(
        health: Arc<Health>,
        settings: Settings,
        own: Vec<SocketAddr>,
        seed: u64,
    ) -> Result<Self, StartError> {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let epoch = Epoch {
            wall: wall.unwrap_or_default(),
            seed,
        };
        let saved = saved::load(settings.state_file.as_deref());
        let shared = Arc::new(Shared::new(Board::new(&settings, epoch, saved), own));
        let runtime = runtime::Builder::new_current_thread()
            .thread_name("probe-save")
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let runner = Runner::new(health, shared.clone(), settings);
        let marked = shared.clone();
        let work = move || {
            let _mark = Mark(marked);
            precedence::give_way();
            runtime.block_on(runner.run());
        };
        let thread = threads::start("probe", work).map_err(StartError::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// What holds of endpoints.
    pub(super) fn board(&self) -> SharedBoard {
        SharedBoard(self.shared.clone())
    }

    /// Goes on by other settings; verdicts stay.
    pub(super) fn set_settings(&self, settings: Settings) {
        self.shared.set_settings(settings);
    }

    /// Ends all probes and saves the verdicts, which stand.
    pub(super) fn stop(&mut self) {
        self.shared.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop();
    }
}

impl SharedBoard {
    /// Reads the board, and how long it exists. Probes wait meanwhile.
    pub fn read<T>(&self, read: impl FnOnce(&Board, Duration) -> T) -> T {
        read(&self.0.board(), self.0.now())
    }
}

/// Notes where a bug ends the thread.
struct Mark(Arc<Shared>);

impl Drop for Mark {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.is_broken.store(true, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use prometheus_client::{
        collector::Collector, encoding::DescriptorEncoder, registry::Registry,
    };

    use super::*;
    use crate::{
        health::{Begin, Saved, Target, TargetId, Wanted},
        manifest::{Probe, ProbeMethod},
    };

    #[derive(Debug)]
    struct Page(SharedBoard);

    impl Collector for Page {
        fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
            self.0.encode(&mut page, 0)
        }
    }

    #[test]
    fn verdicts_stand_and_the_page_says_so_where_a_bug_ends_the_probes() {
        let settings = Settings::default();
        let epoch = Epoch {
            wall: Duration::from_secs(1_790_000_000),
            seed: 7,
        };
        let mut board = Board::new(&settings, epoch, Saved::default());
        let probe = Probe {
            method: ProbeMethod::Tcp { port: 80 },
            initial_delay_seconds: 0,
            timeout_seconds: 1,
            period_seconds: 10,
            success_threshold: 1,
            failure_threshold: 3,
        };
        let wanted = Wanted {
            id: TargetId(1),
            target: Target {
                address: "10.0.0.1".parse().expect("an address"),
                probe: Arc::new(probe),
            },
            begin: Begin::Start,
            created: 0,
        };
        board.want(wanted, Duration::ZERO);
        let shared = Arc::new(Shared::new(board, Vec::new()));
        let marked = shared.clone();
        let broken = thread::spawn(move || {
            let mark = Mark(marked);
            let _held = mark.0.board();
            panic!("as a bug would");
        });
        assert!(broken.join().is_err());
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Page(SharedBoard(shared))));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry).expect("a page");
        assert!(page.contains("health_stopped 1\n"), "{page}");
        assert!(
            page.contains("health_targets{verdict=\"pending\"} 1\n"),
            "{page}"
        );
    }
}
