use std::{
    hash::{BuildHasher as _, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use prometheus_client::collector::Collector;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime,
    signal::unix::{Signal, SignalKind, signal},
    time,
};
use tracing::{debug, error, info, warn};

use super::{
    super::{Exit, Failure, log::LogControl, policy::PolicyArgs},
    listen, progress,
    supervisor::{self, Watchdog},
};
use crate::{
    config::{Config, Overrides},
    control::{self, Control, StartError},
    forward::{self, Forwarder, InForce},
    http::{self, Lifecycle, Pages},
    metrics::{ConfigReloads, Page, Traffic},
    resolve,
    serve::{BindError, Certificates, Running},
    source::Wish,
    status::Watching,
};

/// How long questions wait in the sockets for the first load: less than the 2 s that a forwarder waits before it asks
/// another server. Answered with SERVFAIL, a restart would cost more, for CoreDNS passes that on and keeps it for 5 s.
const HOLD: Duration = Duration::from_secs(1);

/// What `serve` was asked to do.
pub(super) struct Plan {
    /// Where the configuration file is, to read it again.
    pub(super) policy: PolicyArgs,
    /// What wins over the file, whenever it is read.
    pub(super) overrides: Overrides,
    pub(super) config: Config,
    pub(super) log: LogControl,
}

pub(super) fn run(plan: Plan) -> Result<Exit, Failure> {
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(plan.config.workers.get())
        .enable_all()
        .build()
        .context("start the threads for TCP and HTTP")?;
    runtime.block_on(serve(plan))
}

/// Takes as many file descriptors as the machine's owner allows: shells give 1,024, fewer than TCP connections may take.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        debug!(%error, "the limit on file descriptors stays as it is");
    }
}

async fn serve(plan: Plan) -> Result<Exit, Failure> {
    raise_descriptor_limit();
    let config = &plan.config;
    let mut hangup = signal(SignalKind::hangup()).context("watch for SIGHUP")?;
    let mut stop = Stop::new().context("watch for SIGTERM and SIGINT")?;
    let certificates = listen::certificates(config)?;
    let sockets = listen::bind(config, certificates.as_ref())?;
    let own = listen::own_addresses(&sockets);
    let forwarder = match config.forward.clone() {
        Some(settings) => Some(Forwarder::start(settings, &own)?),
        None => None,
    };
    let forwarding = Arc::new(InForce::new(forwarder));
    let pages = http::Sockets::bind(&usable(&config.http))?;
    let seed = RandomState::new().hash_one(0);
    let mut control = control::start(
        control::Options {
            folders: config.folders.clone(),
            policy: config.policy(seed),
            wish: config.poll.map_or(Wish::Events, Wish::Poll),
        },
        progress::show(config.log_format, &plan.log.lines),
    )?;

    let traffic = Arc::new(Traffic::default());
    let reloads = Arc::new(ConfigReloads::default());
    let lifecycle = Arc::new(Lifecycle::default());
    let names = Arc::new(resolve::Figures::default());
    let mut counted: Vec<Box<dyn Collector>> = vec![
        Box::new(traffic.clone()),
        Box::new(forward::Page(forwarding.clone())),
        Box::new(resolve::Page(names.clone())),
    ];
    if let Some(certificates) = &certificates {
        counted.push(Box::new(certificates.clone()));
    }
    tokio::spawn(resolve::run(
        control.names().clone(),
        forwarding.clone(),
        control.snapshots().clone(),
        names,
    ));
    for address in pages.addresses() {
        info!(%address, "serving /health, /ready and /metrics");
    }
    pages.serve(&http::router(Arc::new(Pages {
        lifecycle: lifecycle.clone(),
        status: control.status().clone(),
        metrics: Page::new(
            control.status().clone(),
            control.snapshots().clone(),
            reloads.clone(),
            counted,
        ),
    })));
    let listening = listen::Listening::of(&sockets);
    // A mesh that takes longer is not worth waiting for: whoever asks is told so.
    let _ = time::timeout(HOLD, first_load(&control)).await;
    let running = sockets.serve(control.snapshots().clone(), traffic, forwarding.clone())?;
    lifecycle.mark_bound();
    listening.tell();

    let reloading = Reloading {
        plan: &plan,
        seed,
        control: &control,
        running: &running,
        forwarding: &forwarding,
        own: &own,
        reloads: &reloads,
        certificates: certificates.as_deref(),
    };
    let lameduck = reloading.until_stopped(&mut hangup, &mut stop).await;
    lifecycle.mark_stopping();
    supervisor::stops();
    if !lameduck.is_zero() {
        info!(
            "shutting down, and answering for {} more",
            humantime::format_duration(lameduck)
        );
        tokio::select! {
            () = time::sleep(lameduck) => {}
            () = stop.signalled() => {
                warn!("told twice to stop: exiting at once");
                return Ok(Exit::Fine);
            }
        }
    }
    tokio::select! {
        () = running.stop() => {}
        () = stop.signalled() => {}
    }
    control.stop();
    info!("stopped");
    Ok(Exit::Fine)
}

/// Waits until the first load is done.
async fn first_load(control: &Control) {
    const STEP: Duration = Duration::from_millis(5);
    while control.status().load().generation == 0 {
        time::sleep(STEP).await;
    }
}

/// What SIGHUP reads again, and whom it tells.
struct Reloading<'p> {
    plan: &'p Plan,
    seed: u64,
    control: &'p Control,
    running: &'p Running,
    forwarding: &'p InForce,
    /// Where this server answers.
    own: &'p [SocketAddr],
    reloads: &'p ConfigReloads,
    certificates: Option<&'p Certificates>,
}

impl Reloading<'_> {
    /// Follows SIGHUP, and tells systemd how the server is, until told to stop; returns how long to go on answering.
    async fn until_stopped(&self, hangup: &mut Signal, stop: &mut Stop) -> Duration {
        let mut current = self.plan.config.clone();
        let mut watchdog = Watchdog::new();
        let mut is_ready = false;
        loop {
            tokio::select! {
                () = stop.signalled() => return current.lameduck,
                () = first_load(self.control), if !is_ready => {
                    is_ready = true;
                    supervisor::is_ready();
                    continue;
                }
                () = watchdog.is_due() => {
                    if self.is_alive() {
                        supervisor::is_alive();
                    }
                    continue;
                }
                _ = hangup.recv() => {}
            }
            info!("SIGHUP: reading everything again");
            supervisor::reloads();
            if let Some((next, forwarder)) = self.reread() {
                if current.forward != next.forward {
                    self.forward_by(forwarder);
                }
                let (was, policy) = (current.policy(self.seed), next.policy(self.seed));
                if was.settings != policy.settings
                    || was.when_all_unhealthy != policy.when_all_unhealthy
                {
                    self.control.set_policy(policy);
                }
                info!("configuration read again");
                self.plan.log.set(&next.log_level);
                self.reloads.count_success();
                current = next;
            }
            self.control.reload();
            if let Some(certificates) = self.certificates {
                certificates.look_at_once();
            }
            if is_ready {
                supervisor::is_ready();
            }
        }
    }

    /// Whether queries are answered and changes followed. That this is asked shows that the threads for TCP and HTTP run.
    fn is_alive(&self) -> bool {
        self.running.is_whole() && self.control.status().load().watching != Watching::Stopped
    }

    /// Forwards so from now on.
    fn forward_by(&self, forwarder: Option<Arc<Forwarder>>) {
        if let Some(forwarder) = &forwarder {
            forwarder.takes_over();
        } else {
            info!("nothing is forwarded any more");
        }
        self.forwarding.store(forwarder);
        self.control.names().retry();
    }

    /// The settings as the file has them now, and what forwards by them; `None` where there is no file or it can't be used.
    fn reread(&self) -> Option<(Config, Option<Arc<Forwarder>>)> {
        let plan = self.plan;
        if !plan.policy.has_file() {
            return None;
        }
        let file = match plan.policy.file() {
            Ok(file) => file,
            Err(error) => {
                self.reloads.count_failure();
                let error = anyhow::Error::from(error);
                error!("the configuration stays as it was: {error:#}");
                return None;
            }
        };
        let next = Config::resolve(&plan.overrides, &file);
        if let Some(contradiction) = next.contradiction() {
            self.reloads.count_failure();
            error!("the configuration stays as it was: {contradiction}");
            return None;
        }
        let forwarder = match self.forwarder(next.forward.clone()) {
            Ok(forwarder) => forwarder,
            Err(error) => {
                self.reloads.count_failure();
                error!("the configuration stays as it was: {error}");
                return None;
            }
        };
        for key in plan.config.needs_restart(&next) {
            warn!(
                key,
                "`{key}` changed in the configuration file: restart for it to take effect"
            );
        }
        Some((next, forwarder))
    }

    /// What is to forward by these settings: what does so already, where they are the same.
    fn forwarder(
        &self,
        settings: Option<forward::Settings>,
    ) -> Result<Option<Arc<Forwarder>>, forward::StartError> {
        let in_force = self.forwarding.load_full();
        match (settings, in_force) {
            (None, _) => Ok(None),
            (Some(settings), Some(held)) if *held.settings() == settings => Ok(Some(held)),
            (Some(settings), Some(held)) => held.succeeded_by(settings).map(Some),
            (Some(settings), None) => Forwarder::start(settings, self.own).map(Some),
        }
    }
}

/// The signals that end the process.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The addresses that can be had: on a machine without IPv6, "every address" means IPv4's.
pub(super) fn usable(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    const EVERY_V4: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const EVERY_V6: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    let has_ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok();
    let can_go = |address: &SocketAddr| {
        address.ip() == EVERY_V6 && addresses.contains(&(EVERY_V4, address.port()).into())
    };
    let usable = addresses.iter().copied();
    usable
        .filter(|address| has_ipv6 || !can_go(address))
        .collect()
}

impl From<BindError> for Failure {
    fn from(error: BindError) -> Self {
        let exit = match &error {
            BindError::AddressInUse { .. }
            | BindError::AddressNotAvailable { .. }
            | BindError::NoFreePort { .. } => Exit::Unavailable,
            BindError::PermissionDenied { .. } => Exit::NoPermission,
            BindError::Listen { .. } | BindError::Start { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<http::BindError> for Failure {
    fn from(error: http::BindError) -> Self {
        let (exit, advice) = match error.source.kind() {
            io::ErrorKind::AddrInUse => (
                Exit::Unavailable,
                "another program uses it; choose another address with --http, or --http off",
            ),
            io::ErrorKind::PermissionDenied => (
                Exit::NoPermission,
                "a port below 1024 needs root or CAP_NET_BIND_SERVICE; or choose a higher port with --http",
            ),
            io::ErrorKind::AddrNotAvailable => {
                (Exit::Unavailable, "this machine does not have the address")
            }
            _ => return Self::new(Exit::Failed, error),
        };
        Self::new(exit, anyhow::anyhow!("{error}: {advice}"))
    }
}

impl From<forward::StartError> for Failure {
    fn from(error: forward::StartError) -> Self {
        let exit = match &error {
            forward::StartError::Itself { .. } | forward::StartError::NoAuthorities => Exit::Config,
            forward::StartError::Random(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Load(error) => error.into(),
            StartError::Thread(_) => Self::new(Exit::Failed, error),
        }
    }
}
