//! What the user wants: settings from flags, `MESHDNS_*` variables and one file, with a default and a limit for each.
//!
//! A flag wins over a variable, a variable over the file (`clap` joins the first two; what comes out of it is
//! [`Overrides`]). [`Config::resolve`] joins the rest. The file is read again on SIGHUP: [`Config::policy`] is what can
//! change at run time, [`Config::needs_restart`] names what can't.
//!
//! Never opens a socket and never reads the mesh.

mod answers;
mod contradiction;
pub mod file;
mod forward;
mod health;
mod kubernetes;
mod restraint;
mod ui;
pub mod value;
pub mod yaml;

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

pub use answers::Answers;
pub use contradiction::{Contradiction, Taken};
use file::TcpKeys;
pub use file::{File, FileError};
pub use health::HealthKeys;
pub use ui::{HistoryKeys, SaidBy, Ui, UiKeys};
use value::{
    Context, Domain, Folder, Http, Limit, Links, Listen, Listeners, LogFormat, LogLevel, Namespace,
    Period, TtlPeriod, Upstream, Wait, Workers, Zone,
};

use yaml::OneOrMore;

use crate::{
    dns::{Name, Ttl},
    forward::Settings as ForwardSettings,
    health::Settings as HealthSettings,
    history::Limits,
    pipeline::Policy,
    serve::{CertificateFiles, Listener, RateLimit, TcpLimits},
    source::{ClusterSettings, FollowLinks},
    wire::MAX_UDP_BYTES,
    zone::{AskerPreset, Identity, Settings},
};

/// The mesh folder where none is named.
pub const DEFAULT_FOLDER: &str = "zones";

/// Where DNS is answered where nothing is said: a port that needs no rights, on this machine only.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 5300);

/// Where the HTTP pages are where nothing is said: CoreDNS's metrics port, on this machine only.
const DEFAULT_HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9153);

/// How long what can't be read at the start is waited for where nothing is said: long enough that a rollout stops and is seen,
/// short enough that one broken file is no outage of a node that starts again.
const DEFAULT_START_PATIENCE: Duration = Duration::from_secs(30);

/// What flags and variables say; each wins over the file.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "docs/configuration.md describes each flag")]
pub struct Overrides {
    pub folders: Vec<PathBuf>,
    pub follow_links: Option<Links>,
    pub kubernetes: bool,
    pub kubeconfig: Option<PathBuf>,
    pub context: Option<Context>,
    pub namespaces: Vec<Namespace>,
    pub listen: Vec<Listeners>,
    pub tls_certificate: Option<PathBuf>,
    pub tls_key: Option<PathBuf>,
    pub zones: Vec<Domain>,
    pub ttl: Option<TtlPeriod>,
    pub upstreams: Vec<Upstream>,
    pub http: Option<Http>,
    pub ui: Option<Http>,
    pub workers: Option<Workers>,
    pub poll: Option<Wait>,
    pub start_patience: Option<Period>,
    pub state_dir: Option<PathBuf>,
    pub lameduck: Option<Period>,
    pub log_format: Option<LogFormat>,
    pub log_level: Option<LogLevel>,
}

/// Every setting, decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The mesh folders or files.
    pub folders: Vec<PathBuf>,
    /// The clusters to follow.
    pub clusters: Vec<ClusterSettings>,
    /// How far links in the folders are followed.
    pub follow_links: FollowLinks,
    /// Where DNS is answered, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// What is known of those who ask at an address: by the address, and whether it is QUIC's, as often as it is said.
    pub presets: Vec<((SocketAddr, bool), AskerPreset)>,
    /// Where DNS is answered encrypted.
    pub encrypted: Vec<Listener>,
    /// What encrypted clients are shown: the certificate's file.
    pub tls_certificate: Option<PathBuf>,
    /// The file of its key.
    pub tls_key: Option<PathBuf>,
    /// Where the HTTP pages are; none for no HTTP.
    pub http: Vec<SocketAddr>,
    /// The status pages.
    pub ui: Ui,
    /// How much is kept of what was answered before, for the status pages.
    pub history: Limits,
    /// How many threads answer UDP queries.
    pub workers: NonZeroUsize,
    /// How often to look for changes, instead of waiting for events; `None` for events.
    pub poll: Option<Duration>,
    /// How long to wait for what can't be read at the start.
    pub start_patience: Duration,
    /// Where the last good state is kept; `None` for nowhere.
    pub state_dir: Option<PathBuf>,
    /// How long to keep answering after SIGTERM.
    pub lameduck: Duration,
    /// Whether cookies are answered.
    pub cookies: bool,
    /// The file of what they are made with; `None` for a random key.
    pub cookie_key_file: Option<PathBuf>,
    /// The largest answer over UDP to a client without a valid cookie, in bytes.
    pub max_answer_bytes: usize,
    /// How many answers go over UDP to a network.
    pub rate_limit: Option<RateLimit>,
    /// Limits on TCP connections.
    pub tcp: TcpLimits,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written.
    pub log_level: LogLevel,
    /// What answers hold.
    pub answers: Answers,
    /// Domains that are answered as a whole.
    pub zones: Vec<Name>,
    /// Those of them that are answered in part: other names are forwarded.
    pub partial_zones: Vec<Name>,
    /// The names in each apex's NS RRset.
    pub name_servers: Vec<Name>,
    /// The TTL of addresses.
    pub ttl: Ttl,
    /// The TTL of negative answers.
    pub negative_ttl: Ttl,
    /// How the server names itself.
    pub identity: Identity,
    /// Where names go that are not ours; `None` refuses them.
    pub forward: Option<ForwardSettings>,
    /// What our own checks are; `None` where the configuration has no `health`, and nobody is checked.
    pub health: Option<HealthSettings>,
}

impl Config {
    /// Joins what was said on the command line with what the file says.
    pub fn resolve(overrides: &Overrides, file: &File) -> Self {
        let defaults = Settings::default();
        let flags = overrides.clone();
        let file = file.clone();
        let clusters = kubernetes::resolve(&flags, file.kubernetes);
        let listeners = first_said(flags.listen, file.listen);
        let listeners = listeners.unwrap_or_else(|| vec![default_listeners()]);
        let tls = file.tls.unwrap_or_default();
        let cookies = file.cookies.unwrap_or_default();
        let http = page_addresses(flags.http.or(file.http), DEFAULT_HTTP);
        let zones = first_said(
            flags.zones.into_iter().map(Zone::from).collect(),
            file.zones,
        );
        let zones = zones.unwrap_or_default();
        let apex = |zone: &Zone| zone.apex.0.clone();
        let identity = file.identity.unwrap_or_default();
        let listen: Vec<SocketAddr> = listeners
            .iter()
            .flat_map(Listeners::plain)
            .copied()
            .collect();
        let encrypted: Vec<Listener> = listeners.iter().flat_map(Listeners::encrypted).collect();
        let ui = ui::resolve(flags.ui, file.ui.unwrap_or_default());
        let pages: Vec<SocketAddr> = http.iter().chain(&ui.listen).copied().collect();
        let own = with_ports(&listen, &encrypted, &pages);
        Self {
            folders: first_said(
                flags.folders,
                file.folders.map(|folders| {
                    let paths = folders.0.into_iter().map(|Folder(path)| path);
                    OneOrMore::<_>(paths.collect())
                }),
            )
            .unwrap_or_else(|| default_folders(&clusters)),
            clusters,
            follow_links: flags
                .follow_links
                .or(file.follow_links)
                .map_or(FollowLinks::default(), |links| links.0),
            listen,
            presets: listeners.iter().flat_map(Listeners::presets).collect(),
            encrypted,
            tls_certificate: flags.tls_certificate.or(tls.certificate.map(|path| path.0)),
            tls_key: flags.tls_key.or(tls.key.map(|path| path.0)),
            http,
            ui,
            history: ui::history(file.history.as_ref()),
            workers: flags
                .workers
                .or(file.workers)
                .map_or_else(one_per_core, |workers| workers.0),
            poll: flags.poll.or(file.poll).map(|wait| wait.0),
            start_patience: flags
                .start_patience
                .or(file.start_patience)
                .map_or(DEFAULT_START_PATIENCE, |period| period.0),
            state_dir: flags.state_dir.or(file.state_dir.map(|path| path.0)),
            lameduck: flags
                .lameduck
                .or(file.lameduck)
                .map_or(Duration::ZERO, |period| period.0),
            cookies: cookies.answer.is_none_or(|answer| answer.0),
            cookie_key_file: cookies.key_file.map(|path| path.0),
            max_answer_bytes: file
                .udp
                .and_then(|udp| udp.max_answer_bytes)
                .map_or(MAX_UDP_BYTES, |bytes| bytes.0),
            rate_limit: file.rate_limit.map(restraint::rate_limit),
            tcp: tcp(&file.tcp.unwrap_or_default()),
            log_format: flags
                .log_format
                .or(file.log_format)
                .unwrap_or(LogFormat::Text),
            log_level: flags
                .log_level
                .or(file.log_level)
                .unwrap_or_else(|| "info".parse().expect("a level")),
            answers: answers::resolve(file.answers, file.forwarders, file.clients),
            partial_zones: zones
                .iter()
                .filter(|zone| zone.is_partial)
                .map(apex)
                .collect(),
            zones: zones.iter().map(apex).collect(),
            name_servers: first_said(Vec::new(), file.name_servers)
                .map_or(defaults.name_servers, names),
            ttl: flags.ttl.or(file.ttl).map_or(defaults.ttl, |ttl| ttl.0),
            negative_ttl: file.negative_ttl.map_or(defaults.negative_ttl, |ttl| ttl.0),
            identity: Identity {
                version: identity.version.map(|text| text.0),
                server_id: identity.server_id.map(|text| text.0),
                nsid: identity.nsid.map(|text| text.0.into_boxed_bytes()),
            },
            forward: forward::resolve(flags.upstreams, file.forward.unwrap_or_default()),
            health: file.health.map(|keys| health::resolve(keys, own)),
        }
    }

    /// What decides how the mesh is answered; `seed` stays the same as long as the process lives.
    pub fn policy(&self, seed: u64) -> Policy {
        Policy {
            checks: self
                .health
                .as_ref()
                .map(|health| Arc::new(health.policy.clone())),
            settings: Arc::new(Settings {
                zones: self.zones.clone(),
                partial_zones: self.partial_zones.clone(),
                forwarded: self
                    .forward
                    .iter()
                    .flat_map(|forward| &forward.routes)
                    .map(|route| route.domain.clone())
                    .collect(),
                name_servers: self.name_servers.clone(),
                ttl: self.ttl,
                negative_ttl: self.negative_ttl,
                identity: self.identity.clone(),
                max_addresses: self.answers.max_addresses,
                forwarders: self.answers.forwarders.clone(),
                finds_forwarders: self.answers.finds_forwarders,
                trusted_forwarders: self.answers.trusted_forwarders.clone(),
                clients: self.answers.traffic.clients.clone(),
                has_pointers: self.answers.has_pointers,
                seed,
            }),
            when_all_unhealthy: self.answers.when_all_unhealthy,
            enforces_export: self.answers.enforces_export,
            traffic: Arc::new(self.answers.traffic.clone()),
        }
    }

    /// Where the certificate and its key are; `None` where nothing is said.
    pub fn certificate(&self) -> Option<CertificateFiles> {
        Some(CertificateFiles {
            certificate: self.tls_certificate.clone()?,
            key: self.tls_key.clone()?,
        })
    }

    /// The keys in which `next` differs from this, and that a running server can't change.
    pub fn needs_restart(&self, next: &Self) -> Vec<&'static str> {
        let differences = [
            ("folders", self.folders != next.folders),
            ("kubernetes", self.clusters != next.clusters),
            ("followLinks", self.follow_links != next.follow_links),
            (
                "listen",
                self.listen != next.listen
                    || self.encrypted != next.encrypted
                    || self.presets != next.presets,
            ),
            ("tls", self.certificate() != next.certificate()),
            ("http", self.http != next.http),
            ("ui", self.ui != next.ui),
            ("history", self.history != next.history),
            ("workers", self.workers != next.workers),
            ("poll", self.poll != next.poll),
            ("stateDir", self.state_dir != next.state_dir),
            ("startPatience", self.start_patience != next.start_patience),
            (
                "cookies",
                self.cookies != next.cookies || self.cookie_key_file != next.cookie_key_file,
            ),
            ("udp", self.max_answer_bytes != next.max_answer_bytes),
            ("rateLimit", self.rate_limit != next.rate_limit),
            ("tcp", self.tcp != next.tcp),
            ("logFormat", self.log_format != next.log_format),
        ];
        let differing = differences.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(key, _)| key).collect()
    }
}

/// Where the server listens for sure: a port that is chosen at the start is known to nobody before.
fn with_ports(
    plain: &[SocketAddr],
    encrypted: &[Listener],
    pages: &[SocketAddr],
) -> Vec<SocketAddr> {
    let encrypted = encrypted.iter().map(|listener| &listener.address);
    let all = plain.iter().chain(pages).chain(encrypted).copied();
    all.filter(|address| address.port() != 0).collect()
}

/// Where pages are that are said to be there, or else at `default`.
fn page_addresses(said: Option<Http>, default: SocketAddr) -> Vec<SocketAddr> {
    match said {
        None => vec![default],
        Some(Http::Off) => Vec::new(),
        Some(Http::At(listen)) => listen.addresses().to_vec(),
    }
}

/// A folder, unless clusters are followed.
fn default_folders(clusters: &[ClusterSettings]) -> Vec<PathBuf> {
    let default = clusters.is_empty().then(|| DEFAULT_FOLDER.into());
    default.into_iter().collect()
}

fn default_listeners() -> Listeners {
    Listeners {
        at: Listen::from(DEFAULT_LISTEN),
        transport: None,
        preset: AskerPreset::default(),
    }
}

fn tcp(keys: &TcpKeys) -> TcpLimits {
    let defaults = TcpLimits::default();
    let limit = |key: Option<Limit>, default: usize| key.map_or(default, |limit| limit.0);
    let wait = |key: Option<Wait>, default: Duration| key.map_or(default, |wait| wait.0);
    TcpLimits {
        connections: limit(keys.max_connections, defaults.connections),
        connections_per_client: limit(
            keys.max_connections_per_client,
            defaults.connections_per_client,
        ),
        buffered_bytes: keys
            .max_buffered_bytes
            .map_or(defaults.buffered_bytes, |memory| {
                usize::try_from(memory.bytes).unwrap_or(usize::MAX)
            }),
        idle_timeout: wait(keys.idle_timeout, defaults.idle_timeout),
        message_timeout: wait(keys.message_timeout, defaults.message_timeout),
        write_timeout: wait(keys.write_timeout, defaults.write_timeout),
    }
}

/// The list of the command line, else that of the file; an empty list says nothing.
fn first_said<T, const MOST: usize>(
    flags: Vec<T>,
    file: Option<OneOrMore<T, MOST>>,
) -> Option<Vec<T>> {
    let file = file.map(|list| list.0);
    [Some(flags), file]
        .into_iter()
        .flatten()
        .find(|list| !list.is_empty())
}

fn names(domains: Vec<Domain>) -> Vec<Name> {
    domains.into_iter().map(|Domain(name)| name).collect()
}

fn one_per_core() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn file(text: &str) -> File {
        File::parse("meshdns.yaml".into(), text).expect("a valid file")
    }

    #[test]
    fn flags_win_over_the_file() {
        let flags = Overrides {
            ttl: Some("7s".parse().expect("a TTL")),
            zones: vec!["flag.test".parse().expect("a zone")],
            ..Overrides::default()
        };
        let config = Config::resolve(
            &flags,
            &file("ttl: 9s\nnegativeTtl: 3s\nzones: [file.test]\nlameduck: 2s\n"),
        );
        assert_eq!(config.ttl.as_secs(), 7);
        assert_eq!(config.negative_ttl.as_secs(), 3);
        assert_eq!(config.lameduck, Duration::from_secs(2));
        let zones: Vec<_> = config.zones.iter().map(ToString::to_string).collect();
        assert_eq!(zones, ["flag.test."]);
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let config = Config::resolve(&Overrides::default(), &file("zones: []\nlisten: []\n"));
        assert_eq!(config.folders, [PathBuf::from("zones")]);
        assert_eq!(config.listen, [DEFAULT_LISTEN]);
        assert_eq!(config.http, [DEFAULT_HTTP]);
        assert_eq!(config.start_patience, Duration::from_secs(30));
        assert_eq!(config.policy(0).settings, Arc::new(Settings::default()));
    }

    #[test]
    fn clusters_are_those_of_the_file_or_the_one_of_flags() {
        let clusters = |flags: &Overrides, text: &str| {
            let config = Config::resolve(flags, &file(text));
            let names = config.clusters.iter();
            let names: Vec<_> = names.map(|cluster| cluster.name.to_string()).collect();
            (names.join(" "), config.folders)
        };
        let none: Vec<PathBuf> = Vec::new();
        let both = "kubernetes: [{context: a}, {name: b, kubeconfig: f}]\n";
        let flag = Overrides {
            kubernetes: true,
            ..Overrides::default()
        };
        let other = Overrides {
            context: Some("c".parse().expect("a context")),
            ..flag.clone()
        };
        let nothing = Overrides::default();
        assert_eq!(
            clusters(&nothing, ""),
            (String::new(), vec!["zones".into()])
        );
        assert_eq!(clusters(&nothing, both), ("a b".to_owned(), none.clone()));
        assert_eq!(clusters(&flag, both), ("a b".to_owned(), none.clone()));
        assert_eq!(clusters(&other, both), ("c".to_owned(), none.clone()));
        assert_eq!(clusters(&flag, ""), ("kubernetes".to_owned(), none.clone()));
        assert_eq!(
            clusters(&nothing, "kubernetes: {}\n"),
            ("kubernetes".to_owned(), none)
        );
        assert_eq!(
            clusters(&flag, "folders: f\n"),
            ("kubernetes".to_owned(), vec!["f".into()])
        );
    }

    #[test]
    fn knows_what_a_running_server_cannot_change() {
        let before = Config::resolve(&Overrides::default(), &file("ttl: 5s\n"));
        let after = Config::resolve(
            &Overrides::default(),
            &file("ttl: 6s\nlisten: :53\nhttp: off\nlameduck: 1s\n"),
        );
        assert_eq!(before.needs_restart(&after), ["listen", "http"]);
    }
}
