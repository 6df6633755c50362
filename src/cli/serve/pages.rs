//! The status pages: where they are, who may see them, and what they show.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::SystemTime};

use anyhow::Context as _;
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{
    super::{Exit, Failure},
    failure::no_address,
    listen,
    reload::Plan,
};
use crate::{
    config::{Config, SaidBy},
    control::Control,
    forward::InForce,
    history::Limits,
    http::{Audience, Sockets},
    metrics::Traffic,
    probe::Probing,
    serve::Certificates,
    threads,
    ui::{self, Guard, Lately, Ui, UiMetrics},
};

/// How many characters a token has at most: more would not fit a request's head.
const LONGEST_TOKEN: usize = 1024;

/// The pages before they are shown: their sockets, and who may see them.
pub(super) struct Pages {
    sockets: Sockets,
    guard: Guard,
    pub(super) metrics: Arc<UiMetrics>,
}

/// What the pages show.
pub(super) struct Parts<'p> {
    pub(super) plan: &'p Plan,
    pub(super) control: &'p Control,
    pub(super) forwarding: &'p Arc<InForce>,
    pub(super) traffic: &'p Arc<Traffic>,
    pub(super) probing: &'p Arc<Probing>,
    pub(super) certificates: Option<&'p Arc<Certificates>>,
}

impl Pages {
    /// Takes the addresses, and reads the token.
    pub(super) fn bind(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            guard: guard(config)?,
            sockets: take_addresses(config)?,
            metrics: Arc::default(),
        })
    }

    /// Where they are to be.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.addresses()
    }

    /// What is kept for them: nothing where they are nowhere.
    pub(super) fn history(&self, config: &Config) -> Option<Limits> {
        (!self.addresses().is_empty()).then_some(config.history)
    }

    /// Shows them; returns what ends their streams.
    pub(super) fn serve(self, parts: &Parts<'_>) -> Arc<Ui> {
        let Parts {
            plan,
            control,
            forwarding,
            traffic,
            probing,
            certificates,
        } = *parts;
        let ui = Arc::new(Ui {
            guard: self.guard,
            status: control.status().clone(),
            snapshots: control.snapshots().clone(),
            exhibit: control.exhibit().clone(),
            questions: control.questions().clone(),
            forwarding: forwarding.clone(),
            traffic: traffic.clone(),
            probing: probing.clone(),
            settings: ArcSwap::from_pointee(plan.settings(&plan.file, &plan.config)),
            certificates: certificates.cloned(),
            metrics: self.metrics,
            started: SystemTime::now(),
            lately: Lately::default(),
            closing: watch::Sender::new(false),
        });
        let addresses = self.sockets.addresses();
        if addresses.is_empty() {
            return ui;
        }
        for address in addresses {
            info!(%address, "serving the status pages");
        }
        tokio::spawn(threads::lasting("ui".to_owned(), ui::watch(ui.clone())));
        let router = ui::router(ui.clone());
        self.sockets
            .serve(&router, Audience::PEOPLE, &ui.metrics.crowding);
        ui
    }
}

/// Takes the addresses. A default that another program has is no reason not to answer DNS.
fn take_addresses(config: &Config) -> Result<Sockets, Failure> {
    match Sockets::bind(&listen::usable(&config.ui.listen)) {
        Ok(sockets) => Ok(sockets),
        Err(error)
            if config.ui.said_by == SaidBy::Nobody
                && error.source.kind() == io::ErrorKind::AddrInUse =>
        {
            warn!(
                address = %error.address,
                "another program uses the port of the status pages, which are not shown: choose another one with --ui, or --ui off"
            );
            Ok(Sockets::none())
        }
        Err(error) => Err(no_address(error, "--ui")),
    }
}

/// Who may see the pages.
fn guard(config: &Config) -> Result<Guard, Failure> {
    let file = config.ui.token_file.as_deref();
    // Where there are no pages nobody needs a token.
    let file = file.filter(|_| !config.ui.listen.is_empty());
    Ok(Guard {
        hosts: config.ui.hosts.clone(),
        token: file.map(token).transpose()?,
    })
}

fn token(file: &Path) -> Result<Arc<str>, Failure> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("read the token in {}", file.display()))
        .map_err(|error| Failure::new(Exit::NoInput, error))?;
    let token = text.trim();
    if token.is_empty() || token.len() > LONGEST_TOKEN || token.contains(char::is_whitespace) {
        let error = anyhow::anyhow!(
            "{}: `ui.tokenFile` is to hold one token of 1 to {LONGEST_TOKEN} characters without spaces",
            file.display()
        );
        return Err(Failure::new(Exit::Config, error));
    }
    Ok(token.into())
}
