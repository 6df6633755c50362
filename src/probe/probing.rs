//! Probes that can be turned on and off while the server runs.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};

use super::prober::{Prober, SharedBoard, StartError};
use crate::{control::Health, health::Settings, pipeline::JudgedEndpoint, status::Status};

/// How long a page waits for what holds of endpoints: the loop may be reading a large mesh.
const PATIENCE: Duration = Duration::from_secs(2);

/// Probes as the settings want them: while there are none there is no thread, no socket and no metric.
#[derive(Debug)]
pub struct Probing {
    health: Arc<Health>,
    own: Vec<SocketAddr>,
    seed: u64,
    prober: Mutex<Option<Prober>>,
    has_api: AtomicBool,
}

impl Probing {
    /// Without probes: [`Probing::set`] begins them. `own` is where this server listens.
    pub fn new(health: Arc<Health>, own: Vec<SocketAddr>, seed: u64) -> Self {
        Self {
            health,
            own,
            seed,
            prober: Mutex::default(),
            has_api: AtomicBool::new(false),
        }
    }

    /// Where this server listens.
    pub fn own(&self) -> &[SocketAddr] {
        &self.own
    }

    /// Begins to probe, goes on by other settings, or ends where there are none.
    ///
    /// # Errors
    ///
    /// Fails where probes are to begin and there is no thread to be had.
    pub fn set(&self, settings: Option<Settings>) -> Result<(), StartError> {
        let has_api = settings.as_ref().is_some_and(|settings| settings.has_api);
        self.has_api.store(has_api, Relaxed);
        let mut prober = self.prober();
        match (&*prober, settings) {
            (Some(prober), Some(settings)) => prober.set_settings(settings),
            (None, Some(settings)) => {
                let (health, own) = (self.health.clone(), self.own.clone());
                *prober = Some(Prober::start(health, settings, own, self.seed)?);
            }
            (_, None) => *prober = None,
        }
        Ok(())
    }

    /// What holds of endpoints, while they are probed.
    pub fn board(&self) -> Option<SharedBoard> {
        self.prober().as_ref().map(Prober::board)
    }

    /// What `/api/health` shows; `None` where it is not to be there.
    pub fn shown_board(&self) -> Option<SharedBoard> {
        self.board().filter(|_| self.has_api.load(Relaxed))
    }

    /// What holds of the endpoints that are probed; `None` where the loop has other things to do for too long.
    pub async fn judged(&self) -> Option<Arc<[JudgedEndpoint]>> {
        self.health.judged(PATIENCE).await
    }

    /// Ends all probes and saves the verdicts, which stand.
    pub fn stop(&self) {
        if let Some(prober) = &mut *self.prober() {
            prober.stop();
        }
    }

    fn prober(&self) -> MutexGuard<'_, Option<Prober>> {
        self.prober.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// [`Probing`] on the metrics page.
#[derive(Debug)]
pub struct ProbeMetrics {
    /// What is probed, and what came of it.
    pub probing: Arc<Probing>,
    /// Which endpoints are named, if any are.
    pub status: Arc<ArcSwap<Status>>,
}

impl Collector for ProbeMetrics {
    fn encode(&self, mut page: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(board) = self.probing.board() else {
            return Ok(());
        };
        let status = self.status.load();
        board.encode(&mut page, status.last_ones)?;
        match &status.checked {
            Some(endpoints) => board.encode_endpoints(&mut page, endpoints),
            None => Ok(()),
        }
    }
}
