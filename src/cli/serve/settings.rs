//! The settings in force, as the status pages show them.

use std::fmt::Display;

use crate::{
    config::{Config, File, Overrides, SaidBy},
    ui::Setting,
};

/// A key, its value, and whether a flag or the file says so.
type Row = (&'static str, String, bool, bool);

/// The settings in force, and who says so.
pub(super) fn in_force(config: &Config, flags: &Overrides, file: &File) -> Vec<Setting> {
    let rows = answers(config, flags, file).into_iter();
    let rows = rows.chain(process(config, flags, file));
    let settings = rows.map(|(key, value, is_flag, is_file)| Setting {
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

/// What is answered, and where.
fn answers(config: &Config, flags: &Overrides, file: &File) -> Vec<Row> {
    let forward = config.forward.iter().flat_map(|forward| &forward.routes);
    let clusters = config.clusters.iter().map(|cluster| &cluster.name);
    let folders = config.folders.iter().map(|folder| folder.display());
    let listen = config.listen.iter().map(ToString::to_string);
    let encrypted = config.encrypted.iter().map(ToString::to_string);
    vec![
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
    ]
}

/// How the process does that.
fn process(config: &Config, flags: &Overrides, file: &File) -> Vec<Row> {
    let time = |time| humantime::format_duration(time).to_string();
    vec![
        (
            "http",
            listed(&config.http),
            flags.http.is_some(),
            file.http.is_some(),
        ),
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
    ]
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    values.join(", ")
}
