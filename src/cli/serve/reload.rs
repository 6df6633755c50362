//! What a running server reads again at SIGHUP: the configuration file, every manifest and the certificate.
//!
//! What can't be used changes nothing, and the log says why.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{signal::unix::Signal, time};
use tracing::{error, info, warn};

use super::{
    super::{log::LogControl, policy::PolicyArgs},
    checks,
    settings::{self, Said},
    signals::Stop,
    supervisor::{self, Watchdog},
};
use crate::{
    chain::Chain,
    config::{Config, File, Overrides},
    control::Control,
    forward::{self, Forwarder, InForce},
    metrics::ConfigReloads,
    probe::Probing,
    serve::Certificates,
    status::{Status, Watching},
    threads,
    ui::Setting,
};

/// What `serve` was asked to do.
pub(super) struct Plan {
    /// Where the configuration file is, to read it again.
    pub(super) policy: PolicyArgs,
    /// What wins over the file, whenever it is read.
    pub(super) overrides: Overrides,
    /// What the configuration file said at the start.
    pub(super) file: File,
    pub(super) config: Config,
    pub(super) log: LogControl,
}

impl Plan {
    /// The settings in force where the configuration file says `file`, which comes to `config`.
    pub(super) fn settings(&self, file: &File, config: &Config) -> Vec<Setting> {
        let started = Said {
            config: &self.config,
            file: &self.file,
        };
        settings::in_force(&self.overrides, &started, &Said { config, file })
    }
}

/// The parts of a running server that take what SIGHUP reads again.
pub(super) struct Reloading<'p> {
    pub(super) plan: &'p Plan,
    pub(super) seed: u64,
    pub(super) control: &'p Control,
    pub(super) forwarding: &'p InForce,
    pub(super) probing: &'p Probing,
    /// Where this server answers.
    pub(super) own: &'p [SocketAddr],
    pub(super) reloads: &'p ConfigReloads,
    /// The settings in force, as the status pages show them.
    pub(super) settings: &'p ArcSwap<Vec<Setting>>,
    pub(super) certificates: Option<&'p Certificates>,
}

impl Reloading<'_> {
    /// Follows SIGHUP, and tells systemd how the server is, until told to stop; returns how long to go on answering.
    pub(super) async fn until_stopped(&self, hangup: &mut Signal, stop: &mut Stop) -> Duration {
        let mut current = self.plan.config.clone();
        let mut watchdog = Watchdog::new();
        let mut is_ready = false;
        loop {
            tokio::select! {
                () = stop.signalled() => return current.lameduck,
                () = ready(self.control), if !is_ready => {
                    is_ready = true;
                    supervisor::tell_ready();
                    continue;
                }
                () = watchdog.is_due() => {
                    if self.is_alive() {
                        supervisor::tell_alive();
                    }
                    continue;
                }
                _ = hangup.recv() => {}
            }
            info!("SIGHUP: reading everything again");
            supervisor::tell_reloading();
            if let Some((file, next, forwarder)) = self.reread() {
                if current.forward != next.forward {
                    self.forward_by(forwarder);
                }
                self.check_by(&current, &next);
                info!("configuration read again");
                self.plan.log.set(&next.log_level);
                self.settings
                    .store(Arc::new(self.plan.settings(&file, &next)));
                self.reloads.count_success();
                current = next;
            }
            self.control.reload();
            if let Some(certificates) = self.certificates {
                certificates.look_at_once();
            }
            if is_ready {
                supervisor::tell_ready();
            }
        }
    }

    /// Whether queries are answered and changes followed. That this is asked shows that the threads for TCP and HTTP run.
    fn is_alive(&self) -> bool {
        threads::ended().is_empty() && self.control.status().load().watching != Watching::Stopped
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

    /// Answers, and checks endpoints, by `next` from now on.
    fn check_by(&self, current: &Config, next: &Config) {
        let policy = |config| checks::policy(config, self.seed, self.probing.own());
        let (was, policy) = (policy(current), policy(next));
        let (options, had) = (checks::options(next), checks::options(current));
        if was != policy || had != options {
            self.control.set_policy(policy, options);
        }
        if current.health != next.health
            && let Err(error) = self.probing.set(next.health.clone())
        {
            error!("endpoints are not checked: {}", Chain(&error));
        }
    }

    /// The settings as the file has them now, and what forwards by them; `None` where there is no file or it can't be used.
    fn reread(&self) -> Option<(File, Config, Option<Arc<Forwarder>>)> {
        let plan = self.plan;
        if !plan.policy.has_file() {
            return None;
        }
        let (file, next, forwarder) = match self.next() {
            Ok(next) => next,
            Err(error) => {
                self.reloads.count_failure();
                error!("the configuration stays as it was: {error:#}");
                return None;
            }
        };
        for key in plan.config.needs_restart(&next) {
            warn!(
                key,
                "`{key}` changed in the configuration file: restart for it to take effect"
            );
        }
        Some((file, next, forwarder))
    }

    /// What the file asks for, and what forwards by it.
    fn next(&self) -> anyhow::Result<(File, Config, Option<Arc<Forwarder>>)> {
        let file = self.plan.policy.file()?;
        let next = Config::resolve(&self.plan.overrides, &file);
        next.check()?;
        let forwarder = self.forwarder(next.forward.clone())?;
        Ok((file, next, forwarder))
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
            (Some(settings), None) => {
                let mesh = self.control.snapshots().clone();
                Forwarder::start(settings, self.own, mesh).map(Some)
            }
        }
    }
}

/// Waits until a mesh is published, be it that a part of it can't be read.
pub(super) async fn published(control: &Control) {
    until(control, |status| status.generation > 0).await;
}

/// Waits until `/ready` says so.
async fn ready(control: &Control) {
    until(control, Status::is_ready).await;
}

async fn until(control: &Control, condition: impl Fn(&Status) -> bool) {
    const STEP: Duration = Duration::from_millis(5);
    while !condition(&control.status().load()) {
        time::sleep(STEP).await;
    }
}
