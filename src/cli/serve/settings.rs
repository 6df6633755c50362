//! The settings in force, as the status pages show them: a row for each key of docs/configuration.md's table.
//!
//! What is secret is never among them: files are named, not read.

use std::{fmt::Display, path::Path, time::Duration};

use crate::{
    config::{
        Config, File, Overrides, SaidBy,
        file::{ClusterKeys, ForwardKeys},
    },
    dns::{Name, Ttl},
    forward::Route,
    health::{MassFailure, Settings},
    ui::Setting,
};

/// What was said, and what that comes to.
pub(super) struct Said<'s> {
    pub(super) config: &'s Config,
    pub(super) file: &'s File,
}

/// The rows as they are made.
struct Rows {
    all: Vec<Row>,
    /// Whether a running server can't change the keys that are added.
    needs_restart: bool,
}

struct Row {
    setting: Setting,
    needs_restart: bool,
}

/// The settings in force, and who says so: of what a running server can't change, as it was `started`; else the `newest`.
pub(super) fn in_force(flags: &Overrides, started: &Said<'_>, newest: &Said<'_>) -> Vec<Setting> {
    let both = rows(flags, started).into_iter().zip(rows(flags, newest));
    let chosen = both.map(|(started, newest)| {
        if newest.needs_restart {
            started
        } else {
            newest
        }
    });
    chosen.map(|row| row.setting).collect()
}

/// As many rows, of the same keys, whatever was said.
fn rows(flags: &Overrides, said: &Said<'_>) -> Vec<Row> {
    let mut rows = Rows {
        all: Vec::new(),
        needs_restart: true,
    };
    rows.add_sources(flags, said);
    rows.add_listeners(flags, said);
    rows.add_pages(flags, said);
    rows.add_process(flags, said);
    rows.add_limits(said);
    rows.needs_restart = false;
    rows.add_zones(flags, said);
    rows.add_answers(said);
    rows.add_forwarding(flags, said);
    rows.add_health(said);
    rows.all
}

impl Rows {
    /// A key that a flag says too.
    fn add(&mut self, key: &str, value: impl Display, is_flag: bool, is_file: bool) {
        let setting = Setting {
            key: key.to_owned(),
            value: value.to_string(),
            source: match (is_flag, is_file) {
                (true, _) => "flag or variable",
                (false, true) => "file",
                (false, false) => "default",
            },
        };
        let needs_restart = self.needs_restart;
        self.all.push(Row {
            setting,
            needs_restart,
        });
    }

    /// A key that the file alone says.
    fn add_key(&mut self, key: &str, value: impl Display, is_file: bool) {
        self.add(key, value, false, is_file);
    }

    fn add_sources(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let folders = config.folders.iter().map(|folder| folder.display());
        let is_flag = !flags.folders.is_empty();
        self.add("folders", listed(folders), is_flag, file.folders.is_some());
        let clusters = config.clusters.iter().map(|cluster| &cluster.name);
        let is_file = file.kubernetes.is_some();
        self.add("kubernetes", listed(clusters), flags.kubernetes, is_file);
        self.add_clusters(flags, said);
        let links = lower(&config.follow_links);
        let is_file = file.follow_links.is_some();
        self.add("followLinks", links, flags.follow_links.is_some(), is_file);
    }

    /// What is said of the clusters, of one behind the other.
    fn add_clusters(&mut self, flags: &Overrides, said: &Said<'_>) {
        let clusters = &said.config.clusters;
        let keys = said.file.kubernetes.iter().flat_map(|clusters| &clusters.0);
        let is_file = |is_said: fn(&ClusterKeys) -> bool| keys.clone().any(is_said);
        let kubeconfigs = clusters
            .iter()
            .filter_map(|cluster| cluster.kubeconfig.as_deref());
        self.add(
            "kubernetes[].kubeconfig",
            listed(kubeconfigs.map(Path::display)),
            flags.kubeconfig.is_some(),
            is_file(|keys| keys.kubeconfig.is_some()),
        );
        self.add(
            "kubernetes[].context",
            listed(
                clusters
                    .iter()
                    .filter_map(|cluster| cluster.context.as_ref()),
            ),
            flags.context.is_some(),
            is_file(|keys| keys.context.is_some()),
        );
        self.add(
            "kubernetes[].namespaces",
            listed(clusters.iter().flat_map(|cluster| &cluster.namespaces)),
            !flags.namespaces.is_empty(),
            is_file(|keys| keys.namespaces.is_some()),
        );
        self.add_key(
            "kubernetes[].name",
            listed(clusters.iter().map(|cluster| &cluster.name)),
            is_file(|keys| keys.name.is_some()),
        );
        self.add_key(
            "kubernetes[].podSelector",
            listed(
                clusters
                    .iter()
                    .filter_map(|cluster| cluster.pod_selector.as_ref()),
            ),
            is_file(|keys| keys.pod_selector.is_some()),
        );
    }

    fn add_listeners(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let plain = config.listen.iter().map(ToString::to_string);
        let encrypted = config.encrypted.iter().map(ToString::to_string);
        let listen = listed(plain.chain(encrypted));
        let is_flag = !flags.listen.is_empty();
        self.add("listen", listen, is_flag, file.listen.is_some());
        let tls = file.tls.clone().unwrap_or_default();
        self.add(
            "tls.certificate",
            path(config.tls_certificate.as_deref()),
            flags.tls_certificate.is_some(),
            tls.certificate.is_some(),
        );
        self.add(
            "tls.key",
            path(config.tls_key.as_deref()),
            flags.tls_key.is_some(),
            tls.key.is_some(),
        );
    }

    fn add_pages(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let is_flag = flags.http.is_some();
        self.add("http", listed(&config.http), is_flag, file.http.is_some());
        let (ui, keys) = (&config.ui, file.ui.clone().unwrap_or_default());
        let is_flag = ui.said_by == SaidBy::Flag;
        self.add(
            "ui.listen",
            listed(&ui.listen),
            is_flag,
            keys.listen.is_some(),
        );
        self.add_key("ui.hosts", listed(&ui.hosts), keys.hosts.is_some());
        let token = path(ui.token_file.as_deref());
        self.add_key("ui.tokenFile", token, keys.token_file.is_some());
        self.add_key("ui.open", switch(ui.is_open), keys.open.is_some());
        let keys = file.history.clone().unwrap_or_default();
        let size = bytes(config.history.bytes as u64);
        self.add_key("history.maxSize", size, keys.max_size.is_some());
        self.add_key(
            "history.maxAge",
            time(config.history.age),
            keys.max_age.is_some(),
        );
    }

    fn add_process(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let is_flag = flags.workers.is_some();
        self.add("workers", config.workers, is_flag, file.workers.is_some());
        let poll = config.poll.map_or("none: by events".to_owned(), time);
        self.add("poll", poll, flags.poll.is_some(), file.poll.is_some());
        self.add(
            "startPatience",
            time(config.start_patience),
            flags.start_patience.is_some(),
            file.start_patience.is_some(),
        );
        let folder = path(config.state_dir.as_deref());
        let is_flag = flags.state_dir.is_some();
        self.add("stateDir", folder, is_flag, file.state_dir.is_some());
        let format = lower(&config.log_format);
        let is_flag = flags.log_format.is_some();
        self.add("logFormat", format, is_flag, file.log_format.is_some());
    }

    /// What clients may take.
    fn add_limits(&mut self, said: &Said<'_>) {
        let Said { config, file } = said;
        let keys = file.cookies.clone().unwrap_or_default();
        self.add_key(
            "cookies.answer",
            switch(config.cookies),
            keys.answer.is_some(),
        );
        let key = path(config.cookie_key_file.as_deref());
        self.add_key("cookies.keyFile", key, keys.key_file.is_some());
        let is_file = file
            .udp
            .as_ref()
            .is_some_and(|udp| udp.max_answer_bytes.is_some());
        self.add_key("udp.maxAnswerBytes", config.max_answer_bytes, is_file);
        let (limit, keys) = (config.rate_limit.as_ref(), file.rate_limit.as_ref());
        let answers = limit.map(|limit| limit.answers_per_second);
        self.add_key(
            "rateLimit.answersPerSecond",
            listed(answers),
            keys.is_some(),
        );
        let slip = limit.map(|limit| limit.slip);
        let is_file = keys.is_some_and(|keys| keys.slip.is_some());
        self.add_key("rateLimit.slip", listed(slip), is_file);
        let exempt = limit.iter().flat_map(|limit| &limit.exempt);
        let is_file = keys.is_some_and(|keys| keys.exempt.is_some());
        self.add_key("rateLimit.exempt", listed(exempt), is_file);
        let (tcp, keys) = (&config.tcp, file.tcp.clone().unwrap_or_default());
        self.add_key(
            "tcp.maxConnections",
            tcp.connections,
            keys.max_connections.is_some(),
        );
        self.add_key(
            "tcp.maxConnectionsPerClient",
            tcp.connections_per_client,
            keys.max_connections_per_client.is_some(),
        );
        let buffered = bytes(tcp.buffered_bytes as u64);
        self.add_key(
            "tcp.maxBufferedBytes",
            buffered,
            keys.max_buffered_bytes.is_some(),
        );
        self.add_key(
            "tcp.idleTimeout",
            time(tcp.idle_timeout),
            keys.idle_timeout.is_some(),
        );
        let message = time(tcp.message_timeout);
        self.add_key(
            "tcp.messageTimeout",
            message,
            keys.message_timeout.is_some(),
        );
        self.add_key(
            "tcp.writeTimeout",
            time(tcp.write_timeout),
            keys.write_timeout.is_some(),
        );
    }

    fn add_zones(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let zones = config.zones.iter().map(|zone| {
            let forwards = config.partial_zones.contains(zone);
            format!(
                "{zone}{}",
                if forwards {
                    " (unmatched: forward)"
                } else {
                    ""
                }
            )
        });
        let is_flag = !flags.zones.is_empty();
        self.add("zones", listed(zones), is_flag, file.zones.is_some());
        let seconds = |ttl: Ttl| format!("{}s", ttl.as_secs());
        self.add(
            "ttl",
            seconds(config.ttl),
            flags.ttl.is_some(),
            file.ttl.is_some(),
        );
        self.add_key(
            "negativeTtl",
            seconds(config.negative_ttl),
            file.negative_ttl.is_some(),
        );
        self.add_key(
            "nameServers",
            listed(&config.name_servers),
            file.name_servers.is_some(),
        );
        let is_flag = flags.lameduck.is_some();
        self.add(
            "lameduck",
            time(config.lameduck),
            is_flag,
            file.lameduck.is_some(),
        );
        let is_flag = flags.log_level.is_some();
        self.add(
            "logLevel",
            &config.log_level.0,
            is_flag,
            file.log_level.is_some(),
        );
        let (identity, keys) = (&config.identity, file.identity.clone().unwrap_or_default());
        self.add_key(
            "identity.version",
            listed(&identity.version),
            keys.version.is_some(),
        );
        self.add_key(
            "identity.serverId",
            listed(&identity.server_id),
            keys.server_id.is_some(),
        );
        let nsid = identity.nsid.as_ref().map(|nsid| nsid.escape_ascii());
        self.add_key("identity.nsid", listed(nsid), keys.nsid.is_some());
    }

    fn add_answers(&mut self, said: &Said<'_>) {
        let Said { config, file } = said;
        let (answers, keys) = (&config.answers, file.answers.clone().unwrap_or_default());
        let (traffic, split) = (&answers.traffic, keys.split.unwrap_or_default());
        let when = lower(&answers.when_all_unhealthy);
        self.add_key(
            "answers.whenAllUnhealthy",
            when,
            keys.when_all_unhealthy.is_some(),
        );
        self.add_key(
            "answers.maxAddresses",
            answers.max_addresses,
            keys.max_addresses.is_some(),
        );
        let shares = traffic
            .shares
            .iter()
            .map(|(host, shares)| format!("{} {shares}", host.to_host()));
        self.add_key(
            "answers.shares",
            listed(sorted(shares)),
            keys.shares.is_some(),
        );
        self.add_key(
            "answers.ptr",
            switch(answers.has_pointers),
            keys.ptr.is_some(),
        );
        let is_file = split.addresses.is_some();
        self.add_key("answers.split.addresses", traffic.side_addresses, is_file);
        let is_file = split.forwarders.is_some();
        self.add_key("answers.split.forwarders", traffic.forwarders_get, is_file);
        let factor = format!("{}%", traffic.health_factor_percent);
        self.add_key(
            "answers.split.healthFactor",
            factor,
            split.health_factor.is_some(),
        );
        let near = if traffic.prefers_near {
            "preferSameZone"
        } else {
            "off"
        };
        self.add_key("answers.locality", near, keys.locality.is_some());
        let is_file = keys.min_endpoints.is_some();
        self.add_key("answers.minEndpoints", traffic.min_endpoints, is_file);
        let export = if answers.enforces_export {
            "enforce"
        } else {
            "ignore"
        };
        self.add_key("answers.exportTo", export, keys.export_to.is_some());
        let auto = answers.finds_forwarders.then(|| "auto".to_owned());
        let networks = answers.forwarders.iter().map(|network| {
            let is_trusted = answers.trusted_forwarders.contains(network);
            format!(
                "{network}{}",
                if is_trusted { " (trust: subnet)" } else { "" }
            )
        });
        let forwarders = listed(auto.into_iter().chain(networks));
        self.add_key("forwarders", forwarders, file.forwarders.is_some());
        let clients = file.clients.iter().flat_map(|clients| &clients.0);
        let clients = clients.map(|keys| keys.network.0);
        self.add_key("clients", listed(clients), file.clients.is_some());
    }

    fn add_forwarding(&mut self, flags: &Overrides, said: &Said<'_>) {
        let Said { config, file } = said;
        let keys = file.forward.clone().unwrap_or(ForwardKeys::default());
        let settings = config.forward.as_ref();
        let routes = || settings.into_iter().flat_map(|settings| &settings.routes);
        let for_all = routes().filter(|route| is_for_all(route));
        let upstreams = listed(for_all.flat_map(|route| &route.upstreams));
        let is_flag = !flags.upstreams.is_empty();
        self.add(
            "forward.upstreams",
            upstreams,
            is_flag,
            keys.upstreams.is_some(),
        );
        let domains = routes().filter(|route| !is_for_all(route));
        let domains =
            domains.map(|route| format!("{} at {}", route.domain, listed(&route.upstreams)));
        self.add_key("forward.domains", listed(domains), !keys.domains.is_empty());
        let policy = settings.map(|settings| lower(&settings.policy));
        self.add_key("forward.policy", listed(policy), keys.policy.is_some());
        let timeout = settings.map(|settings| time(settings.timeout));
        self.add_key("forward.timeout", listed(timeout), keys.timeout.is_some());
        let retry = settings.map(|settings| {
            settings
                .retry_after
                .map_or("by the times of replies".to_owned(), time)
        });
        self.add_key(
            "forward.retryAfter",
            listed(retry),
            keys.retry_after.is_some(),
        );
        let clients = settings.into_iter().flat_map(|settings| &settings.clients);
        self.add_key("forward.clients", listed(clients), keys.clients.is_some());
        let waiting = settings.map(|settings| settings.max_waiting);
        self.add_key(
            "forward.maxWaiting",
            listed(waiting),
            keys.max_waiting.is_some(),
        );
        let cache = settings.map(|settings| bytes(settings.cache_bytes));
        self.add_key(
            "forward.cacheSize",
            listed(cache),
            keys.cache_size.is_some(),
        );
        let stale = settings.map(|settings| time(settings.serve_stale));
        self.add_key(
            "forward.serveStale",
            listed(stale),
            keys.serve_stale.is_some(),
        );
        let resolv_conf = settings.map(|settings| settings.resolv_conf.display());
        self.add_key(
            "forward.resolvConf",
            listed(resolv_conf),
            keys.resolv_conf.is_some(),
        );
    }

    fn add_health(&mut self, said: &Said<'_>) {
        let keys = said.file.health.clone().unwrap_or_default();
        let health = said.config.health.as_ref();
        let is_on = switch(health.is_some());
        self.add_key("health", is_on, said.file.health.is_some());
        let checks = keys.checks.iter().flat_map(|checks| &checks.0);
        let checks = listed(checks.map(|check| &check.name.0));
        self.add_key("health.checks", checks, keys.checks.is_some());
        let value = |of: &dyn Fn(&Settings) -> String| listed(health.map(of));
        let number = |of: &dyn Fn(&Settings) -> usize| value(&|health| of(health).to_string());
        let on = |of: fn(&Settings) -> bool| value(&|health| switch(of(health)).to_owned());
        let rows = [
            (
                "health.workloadGroups",
                value(&|health| lower(&health.policy.workload_groups)),
                keys.workload_groups.is_some(),
            ),
            (
                "health.whenAllFail",
                value(&|health| lower(&health.policy.when_all_fail)),
                keys.when_all_fail.is_some(),
            ),
            (
                "health.massFailure",
                value(&|health| mass_failure(health.mass_failure)),
                keys.mass_failure.is_some(),
            ),
            (
                "health.canaries",
                value(&|health| listed(&health.canaries)),
                keys.canaries.is_some(),
            ),
            (
                "health.networks",
                value(&|health| listed(&health.networks)),
                keys.networks.is_some(),
            ),
            (
                "health.source",
                value(&|health| listed(health.source)),
                keys.source.is_some(),
            ),
            (
                "health.startWithin",
                value(&|health| time(health.start_within)),
                keys.start_within.is_some(),
            ),
            (
                "health.maxPerSecond",
                number(&|health| health.max_per_second as usize),
                keys.max_per_second.is_some(),
            ),
            (
                "health.maxInFlight",
                number(&|health| health.max_in_flight),
                keys.max_in_flight.is_some(),
            ),
            (
                "health.flapDamping",
                on(|health| health.has_flap_damping),
                keys.flap_damping.is_some(),
            ),
            (
                "health.stateFile",
                value(&|health| path(health.state_file.as_deref())),
                keys.state_file.is_some(),
            ),
            (
                "health.reportMaxAge",
                value(&|health| report_max_age(health.policy.report_max_age)),
                keys.report_max_age.is_some(),
            ),
            (
                "health.overrides",
                value(&|health| path(health.overrides.as_deref())),
                keys.overrides.is_some(),
            ),
            (
                "health.drainMargin",
                value(&|health| time(health.drain_margin)),
                keys.drain_margin.is_some(),
            ),
            (
                "health.perEndpointMetrics",
                on(|health| health.has_endpoint_metrics),
                keys.per_endpoint_metrics.is_some(),
            ),
            (
                "health.api",
                on(|health| health.has_api),
                keys.api.is_some(),
            ),
        ];
        for (key, value, is_file) in rows {
            self.add_key(key, value, is_file);
        }
    }
}

fn mass_failure(mass: Option<MassFailure>) -> String {
    mass.map_or("off".to_owned(), |mass| {
        let hold = time(Duration::from_secs(mass.hold_for_seconds.into()));
        format!(
            "{{share: {}%, atLeast: {}, holdFor: {hold}}}",
            mass.share_percent, mass.at_least
        )
    })
}

fn report_max_age(seconds: Option<u32>) -> String {
    seconds.map_or("off".to_owned(), |seconds| {
        time(Duration::from_secs(seconds.into()))
    })
}

/// Whether names that no other route holds go there.
fn is_for_all(route: &Route) -> bool {
    route.domain == Name::root()
}

fn switch(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
}

fn bytes(bytes: u64) -> String {
    match (bytes >> 20, bytes >> 10) {
        (mebibytes, _) if mebibytes << 20 == bytes => format!("{mebibytes}MiB"),
        (_, kibibytes) if kibibytes << 10 == bytes => format!("{kibibytes}KiB"),
        _ => format!("{bytes}B"),
    }
}

fn path(path: Option<&Path>) -> String {
    listed(path.map(Path::display))
}

/// The word for a value that is one.
fn lower(word: &impl std::fmt::Debug) -> String {
    format!("{word:?}").to_lowercase()
}

fn sorted(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    values.sort_unstable();
    values
}

fn listed<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() {
        return "none".to_owned();
    }
    values.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn shown(
        flags: &Overrides,
        started: &str,
        newest: &str,
    ) -> Vec<(String, String, &'static str)> {
        let read = |text| File::parse("meshdns.yaml".into(), text).expect("a valid file");
        let (started, newest) = (read(started), read(newest));
        let configs = [&started, &newest].map(|file| Config::resolve(flags, file));
        let said = |config, file| Said { config, file };
        let settings = in_force(
            flags,
            &said(&configs[0], &started),
            &said(&configs[1], &newest),
        );
        let settings = settings.into_iter();
        settings
            .map(|row| (row.key, row.value, row.source))
            .collect()
    }

    /// The table of docs/configuration.md says which keys there are, and which of them take a restart.
    #[test]
    fn every_key_of_the_configuration_is_shown_and_the_right_ones_wait_for_a_restart() {
        let documentation = include_str!("../../../docs/configuration.md");
        let table = documentation.lines().filter_map(|line| {
            let columns: Vec<&str> = line.split('|').map(str::trim).collect();
            let &["", _, _, key, _, on_sighup, ""] = &*columns else {
                return None;
            };
            let key = key.strip_prefix('`')?.strip_suffix('`')?;
            let is_taken = ["yes", "the next start"].contains(&on_sighup);
            Some((key.to_owned(), !is_taken))
        });
        let table: BTreeMap<String, bool> = table.collect();
        assert!(table.len() > 70, "the table was found: {table:?}");
        let file = File::parse("meshdns.yaml".into(), "").expect("a valid file");
        let config = Config::resolve(&Overrides::default(), &file);
        let said = Said {
            config: &config,
            file: &file,
        };
        let rows = rows(&Overrides::default(), &said).into_iter();
        let shown: BTreeMap<String, bool> = rows
            .map(|row| (row.setting.key, row.needs_restart))
            .collect();
        assert_eq!(shown, table);
    }

    #[test]
    fn a_restart_is_waited_for_where_one_is_needed() {
        let newest = "ttl: 9s\nworkers: 7\nanswers: {maxAddresses: 3}\n";
        let all = shown(&Overrides::default(), "ttl: 8s\nworkers: 2\n", newest);
        let row = |key: &str| {
            all.iter()
                .find(|(other, ..)| other == key)
                .expect("it is shown")
        };
        assert_eq!((&*row("workers").1, row("workers").2), ("2", "file"));
        assert_eq!((&*row("ttl").1, row("ttl").2), ("9s", "file"));
        let most = row("answers.maxAddresses");
        assert_eq!((&*most.1, most.2), ("3", "file"));
        assert_eq!(row("answers.ptr").2, "default");
    }
}
