//! One run of `serve`, from the first socket to the last answer.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use prometheus_client::collector::Collector;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    time,
};
use tracing::{debug, info, warn};

use super::{
    super::{Exit, Failure, clusters},
    checks, listen, pages, progress,
    reload::{Plan, Reloading, published},
    signals::Stop,
    supervisor,
};
use crate::{
    config::Config,
    control, descriptors,
    forward::{self, Forwarder, InForce},
    history::Limits,
    http::{self, Audience, Lifecycle, Pages},
    metrics::{ConfigReloads, Crowding, MetricsPage, Traffic},
    probe::{ProbeMetrics, Probing},
    resolve,
    serve::Running,
    source::Wish,
    threads,
};

/// How long questions wait in the sockets for the first load: less than the 2 s that a forwarder waits before it asks
/// another server. Answered with SERVFAIL, a restart would cost more, for CoreDNS passes that on and keeps it for 5 s.
const HOLD: Duration = Duration::from_secs(1);

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

/// What the loop is to serve, and how.
fn options(
    config: &Config,
    seed: u64,
    own: &[SocketAddr],
    shown: Option<Limits>,
) -> control::Options {
    control::Options {
        folders: config.folders.clone(),
        follow_links: config.follow_links,
        policy: checks::policy(config, seed, own),
        wish: config.poll.map_or(Wish::Events, Wish::Poll),
        start_patience: config.start_patience,
        state_dir: config.state_dir.clone(),
        health: checks::options(config),
        shown,
    }
}

/// Looks up endpoints that are names, for as long as the process lasts.
fn look_up_names(
    control: &control::Control,
    forwarding: &Arc<InForce>,
    figures: Arc<resolve::Figures>,
) {
    let resolving = resolve::run(
        control.names().clone(),
        forwarding.clone(),
        control.snapshots().clone(),
        figures,
    );
    tokio::spawn(threads::lasting("resolve".to_owned(), resolving));
}

/// What forwards, where upstreams are configured.
fn forwarder(
    config: &Config,
    own: &[SocketAddr],
    control: &control::Control,
) -> Result<Option<Arc<Forwarder>>, Failure> {
    let Some(settings) = config.forward.clone() else {
        return Ok(None);
    };
    let snapshots = control.snapshots().clone();
    Ok(Some(Forwarder::start(settings, own, snapshots)?))
}

/// Raises the limit on open files, and sets some of them aside for checks.
fn share_descriptors(config: &Config) {
    raise_descriptor_limit();
    if let Some(health) = &config.health {
        descriptors::set_aside_for(health.max_in_flight);
    }
}

fn tell_addresses(for_machines: &http::Sockets) {
    for address in for_machines.addresses() {
        info!(%address, "serving /health, /ready and /metrics");
    }
}

async fn serve(plan: Plan) -> Result<Exit, Failure> {
    let config = &plan.config;
    share_descriptors(config);
    let mut hangup = signal(SignalKind::hangup()).context("watch for SIGHUP")?;
    let mut stop = Stop::new().context("watch for SIGTERM and SIGINT")?;
    let certificates = listen::certificates(config)?;
    let sockets = listen::bind(config, certificates.as_ref())?;
    let own = listen::own_addresses(&sockets);
    let for_machines = http::Sockets::bind(&listen::usable(&config.http))?;
    let for_people = pages::Pages::bind(config)?;
    let never_probed = [
        own.clone(),
        for_machines.addresses(),
        for_people.addresses(),
    ]
    .concat();
    let seed = RandomState::new().hash_one(0);
    let mut following = clusters::follow(&config.clusters)?;
    let mut control = control::start(
        options(config, seed, &never_probed, for_people.history(config)),
        std::mem::take(&mut following.inboxes),
        progress::show(config.log_format, &plan.log.lines),
    )?;
    let forwarding = Arc::new(InForce::new(forwarder(config, &own, &control)?));

    let probing = Arc::new(Probing::new(control.health().clone(), never_probed, seed));
    probing.set(config.health.clone())?;

    let traffic = Arc::new(Traffic::default());
    let reloads = Arc::new(ConfigReloads::default());
    let lifecycle = Arc::new(Lifecycle::default());
    let names = Arc::new(resolve::Figures::default());
    let page_crowding = Arc::new(Crowding::default());
    let mut counted: Vec<Box<dyn Collector>> = vec![
        Box::new(traffic.clone()),
        Box::new(forward::ForwardMetrics(forwarding.clone())),
        Box::new(resolve::ResolveMetrics(names.clone())),
        Box::new(ProbeMetrics {
            probing: probing.clone(),
            status: control.status().clone(),
        }),
        Box::new(http::Figures(page_crowding.clone())),
        Box::new(for_people.metrics.clone()),
        Box::new(plan.log.dropped.clone()),
    ];
    counted.extend(following.figures.take());
    if let Some(certificates) = &certificates {
        counted.push(Box::new(certificates.clone()));
    }
    look_up_names(&control, &forwarding, names);
    tell_addresses(&for_machines);
    let router = http::router(Arc::new(Pages {
        lifecycle: lifecycle.clone(),
        status: control.status().clone(),
        metrics: MetricsPage::new(
            control.status().clone(),
            control.snapshots().clone(),
            reloads.clone(),
            counted,
        ),
        probing: Some(probing.clone()),
    }));
    for_machines.serve(&router, Audience::MACHINES, &page_crowding);
    let ui = for_people.serve(&pages::Parts {
        plan: &plan,
        control: &control,
        forwarding: &forwarding,
        traffic: &traffic,
        probing: &probing,
        certificates: certificates.as_ref(),
    });
    let listening = listen::Listening::of(&sockets);
    // A mesh that takes longer is not worth waiting for: questions get SERVFAIL until it is loaded.
    let _ = time::timeout(HOLD, published(&control)).await;
    let running = sockets.serve(control.snapshots().clone(), traffic, forwarding.clone())?;
    lifecycle.mark_bound();
    listening.tell();

    let reloading = Reloading {
        plan: &plan,
        seed,
        control: &control,
        forwarding: &forwarding,
        probing: &probing,
        own: &own,
        reloads: &reloads,
        settings: &ui.settings,
        certificates: certificates.as_deref(),
    };
    let lameduck = reloading.until_stopped(&mut hangup, &mut stop).await;
    lifecycle.mark_stopping();
    ui.close();
    probing.stop();
    supervisor::tell_stopping();
    if !answer_on(lameduck, &mut stop).await {
        return Ok(Exit::Fine);
    }
    end(running, &mut stop).await;
    drop(following);
    control.stop();
    info!("stopped");
    Ok(Exit::Fine)
}

/// Lets what was begun be answered, until a further signal.
async fn end(running: Running, stop: &mut Stop) {
    tokio::select! {
        () = running.stop() => {}
        () = stop.signalled() => {}
    }
}

/// Answers for so long after the first signal; `false` where a second one ends that.
async fn answer_on(lameduck: Duration, stop: &mut Stop) -> bool {
    if lameduck.is_zero() {
        return true;
    }
    info!(
        "shutting down, and answering for {} more",
        humantime::format_duration(lameduck)
    );
    tokio::select! {
        () = time::sleep(lameduck) => true,
        () = stop.signalled() => {
            warn!("told twice to stop: exiting at once");
            false
        }
    }
}
