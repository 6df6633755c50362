//! The status pages: where they are, who may see them, and what they show.

use std::{fmt::Display, fs, io, path::Path, sync::Arc};

use anyhow::Context as _;
use tracing::{info, warn};

use super::{
    super::{Exit, Failure},
    failure::no_address,
    listen,
};
use crate::{
    config::{Config, File, Overrides, SaidBy},
    http::{Audience, Sockets},
    threads,
    ui::{self, Guard, Setting, Ui},
};

/// How many characters a token has at most: more would not fit a request's head.
const LONGEST_TOKEN: usize = 1024;

/// Takes the addresses. A default that another program has is no reason not to answer DNS.
pub(super) fn bind(config: &Config) -> Result<Sockets, Failure> {
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
pub(super) fn guard(config: &Config) -> Result<Guard, Failure> {
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

/// Shows the pages; returns what ends their streams.
pub(super) fn serve(sockets: Sockets, ui: Ui) -> Arc<Ui> {
    for address in sockets.addresses() {
        info!(%address, "serving the status pages");
    }
    let crowding = ui.metrics.crowding.clone();
    let ui = Arc::new(ui);
    if sockets.addresses().is_empty() {
        return ui;
    }
    tokio::spawn(threads::lasting("ui".to_owned(), ui::watch(ui.clone())));
    sockets.serve(&ui::router(ui.clone()), Audience::PEOPLE, &crowding);
    ui
}

/// The settings in force, and who says so.
pub(super) fn settings(config: &Config, flags: &Overrides, file: &File) -> Vec<Setting> {
    let time = |time| humantime::format_duration(time).to_string();
    let http = listed(&config.http);
    let forward = config.forward.iter().flat_map(|forward| &forward.routes);
    let clusters = config.clusters.iter().map(|cluster| &cluster.name);
    let folders = config.folders.iter().map(|folder| folder.display());
    let listen = config.listen.iter().map(ToString::to_string);
    let encrypted = config.encrypted.iter().map(ToString::to_string);
    let rows = [
        (
            "folders",
            listed(folders),
            !flags.folders.is_empty(),
            file.folders.is_some(),
        ),
        (
            "kubernetes",
            listed(clusters),
            flags.kubernetes,
            file.kubernetes.is_some(),
        ),
        (
            "listen",
            listed(listen.chain(encrypted)),
            !flags.listen.is_empty(),
            file.listen.is_some(),
        ),
        (
            "tls.certificate",
            listed(config.tls_certificate.iter().map(|path| path.display())),
            flags.tls_certificate.is_some(),
            file.tls.is_some(),
        ),
        (
            "zones",
            listed(&config.zones),
            !flags.zones.is_empty(),
            file.zones.is_some(),
        ),
        (
            "forward",
            listed(forward.map(|route| &route.domain)),
            !flags.upstreams.is_empty(),
            file.forward.is_some(),
        ),
        (
            "ttl",
            format!("{}s", config.ttl.as_secs()),
            flags.ttl.is_some(),
            file.ttl.is_some(),
        ),
        (
            "negativeTtl",
            format!("{}s", config.negative_ttl.as_secs()),
            false,
            file.negative_ttl.is_some(),
        ),
        ("http", http, flags.http.is_some(), file.http.is_some()),
        (
            "ui",
            listed(&config.ui.listen),
            config.ui.said_by == SaidBy::Flag,
            file.ui.is_some(),
        ),
        (
            "poll",
            config.poll.map_or("off: by events".to_owned(), time),
            flags.poll.is_some(),
            file.poll.is_some(),
        ),
        (
            "startPatience",
            time(config.start_patience),
            flags.start_patience.is_some(),
            file.start_patience.is_some(),
        ),
        (
            "stateDir",
            listed(config.state_dir.iter().map(|path| path.display())),
            flags.state_dir.is_some(),
            file.state_dir.is_some(),
        ),
        (
            "lameduck",
            time(config.lameduck),
            flags.lameduck.is_some(),
            file.lameduck.is_some(),
        ),
        (
            "workers",
            config.workers.to_string(),
            flags.workers.is_some(),
            file.workers.is_some(),
        ),
        (
            "answers.whenAllUnhealthy",
            format!("{:?}", config.answers.when_all_unhealthy).to_lowercase(),
            false,
            file.answers.is_some(),
        ),
        (
            "health",
            if config.health.is_some() { "on" } else { "off" }.to_owned(),
            false,
            file.health.is_some(),
        ),
    ];
    let settings = rows
        .into_iter()
        .map(|(key, value, is_flag, is_file)| Setting {
            key: key.to_owned(),
            value,
            source: match (is_flag, is_file) {
                (true, _) => "flag or variable",
                (false, true) => "file",
                (false, false) => "default",
            },
        });
    settings.collect()
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    values.join(", ")
}
