//! `serve`: answers DNS until it is told to stop.
//!
//! Starts the parts in the order in which their failures are best told: sockets, then folders; and stops them in reverse.

mod checks;
mod failure;
mod listen;
mod pages;
mod progress;
mod reload;
mod run;
mod settings;
mod signals;
mod supervisor;

use std::path::PathBuf;

use clap::Args;

use super::{Exit, Failure, clusters, exit, log, policy};
use crate::config::{
    Config, Overrides,
    value::{Http, Listeners, LogFormat, LogLevel, Period, Wait, Workers},
};

const EXAMPLES: &str = "\
Examples:
  meshdns serve                            the folder zones, at 127.0.0.1:5300
  meshdns serve zones --listen :53         at port 53 of every address
  meshdns serve zones --zone internal.com  NXDOMAIN for what internal.com has not
  meshdns serve zones --listen :53 --listen tls://:853 --tls-certificate tls.crt --tls-key tls.key
  meshdns serve --config /etc/meshdns/meshdns.yaml
  meshdns serve --kubernetes                the cluster that kubectl shows, or this Pod's own
  meshdns serve --kubernetes --kubeconfig ~/.kube/config --context prod

Then ask it:
  dig @127.0.0.1 -p 5300 svc1.internal.com
  curl http://127.0.0.1:9153/ready";

const ENVIRONMENT: &str = "\
Environment:
  Every flag has a variable, shown beside it: a flag wins over it, and it wins
  over the configuration file. Lists are separated by commas, MESHDNS_FOLDERS as
  PATH is. NO_COLOR turns colours off.

Signals:
  SIGHUP           read the configuration file, every manifest and the certificate again
  SIGTERM, SIGINT  turn unready, answer for --lameduck, then exit with 0;
                   a second one exits at once";

/// Answer DNS from a mesh folder, and follow its changes
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{ENVIRONMENT}\n\n{}", exit::HELP)
)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
pub(super) struct ServeArgs {
    #[arg(value_name = "FOLDER", help = policy::FOLDERS_HELP)]
    folders: Vec<PathBuf>,

    #[command(flatten)]
    policy: policy::PolicyArgs,

    /// Address to answer at, over UDP and TCP; repeat for more [default: 127.0.0.1:5300]
    ///
    /// IP:PORT, [IPV6]:PORT, or IP for port 53; :PORT or PORT is every address of the machine, IPv4 and IPv6. Port 0
    /// takes a free one. Below 1024 takes root or CAP_NET_BIND_SERVICE. Encrypted, with --tls-certificate and --tls-key:
    /// tls://ADDR for DNS over TLS (port 853), https://ADDR/dns-query over HTTPS (443), quic://ADDR over QUIC (853).
    #[arg(
        long,
        value_name = "ADDR",
        env = "MESHDNS_LISTEN",
        value_delimiter = ',',
        hide_env_values = true
    )]
    listen: Vec<Listeners>,

    /// Certificate to show to encrypted clients: PEM, with those that vouch for it behind it
    ///
    /// Both files are looked at every 2 s and at SIGHUP; others are served as soon as they fit together, to connections
    /// that begin then.
    #[arg(
        long,
        value_name = "FILE",
        env = "MESHDNS_TLS_CERTIFICATE",
        hide_env_values = true
    )]
    tls_certificate: Option<PathBuf>,

    /// Private key of that certificate: PEM
    #[arg(
        long,
        value_name = "FILE",
        env = "MESHDNS_TLS_KEY",
        hide_env_values = true
    )]
    tls_key: Option<PathBuf>,

    /// Address of /health, /ready and /metrics, or off [default: 127.0.0.1:9153]
    #[arg(
        long,
        value_name = "ADDR|off",
        env = "MESHDNS_HTTP",
        hide_env_values = true
    )]
    http: Option<Http>,

    /// Address of the status pages for people, and of their API, or off [default: 127.0.0.1:9154]
    ///
    /// They show names, files and addresses. Where others than this machine can reach the address, whoever asks needs the token
    /// of `ui.tokenFile`, unless the configuration says `ui.open: true`. `kubectl port-forward` and `ssh -L` reach the default.
    #[arg(
        long,
        value_name = "ADDR|off",
        env = "MESHDNS_UI",
        hide_env_values = true
    )]
    ui: Option<Http>,

    /// Threads that answer UDP queries [default: one a core]
    #[arg(
        long,
        value_name = "N",
        env = "MESHDNS_WORKERS",
        hide_env_values = true
    )]
    workers: Option<Workers>,

    /// Look for changes this often, instead of waiting for events of the operating system
    ///
    /// For folders on network file systems, which have no events. Where the operating system has none to give, meshdns
    /// finds out by itself and says so.
    #[arg(
        long,
        value_name = "DURATION",
        env = "MESHDNS_POLL",
        hide_env_values = true
    )]
    poll: Option<Wait>,

    /// How long to wait for what can't be read at the start [default: 30s]
    ///
    /// Until then the rest is answered, a name or address that may be in there gets SERVFAIL, so that clients ask another
    /// server, and /ready says what is missing. Then it counts as absent.
    #[arg(
        long,
        value_name = "DURATION",
        env = "MESHDNS_START_PATIENCE",
        hide_env_values = true
    )]
    start_patience: Option<Period>,

    /// Folder to keep the last good state in, for a start at which files can't be read [default: none]
    ///
    /// It is written every 10 s at most, where something changed, and at the end. What is in it stands in for what can't be
    /// read, for a week at most, and /ready says so.
    #[arg(
        long,
        value_name = "FOLDER",
        env = "MESHDNS_STATE_DIR",
        hide_env_values = true
    )]
    state_dir: Option<PathBuf>,

    /// How long to keep answering after SIGTERM, so that clients can turn away [default: 0s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "MESHDNS_LAMEDUCK",
        hide_env_values = true
    )]
    lameduck: Option<Period>,

    /// How to write log lines to stderr: text or json [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MESHDNS_LOG_FORMAT",
        hide_env_values = true
    )]
    log_format: Option<LogFormat>,

    /// Which log lines to write: error, warn, info, debug, trace or off [default: info]
    ///
    /// Single modules by pairs, as in info,meshdns::control=debug.
    #[arg(
        long,
        value_name = "LEVEL",
        env = "MESHDNS_LOG",
        hide_env_values = true
    )]
    log_level: Option<LogLevel>,
}

impl ServeArgs {
    /// Answers until a signal ends it.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let overrides = self.policy.overrides(Overrides {
            folders: policy::folders_or_variable(self.folders),
            listen: self.listen,
            tls_certificate: self.tls_certificate,
            tls_key: self.tls_key,
            http: self.http,
            ui: self.ui,
            workers: self.workers,
            poll: self.poll,
            start_patience: self.start_patience,
            state_dir: self.state_dir,
            lameduck: self.lameduck,
            log_format: self.log_format,
            log_level: self.log_level,
            ..Overrides::default()
        });
        let file = self.policy.file()?;
        let config = Config::resolve(&overrides, &file);
        config.check()?;
        clusters::probe(&config.clusters)?;
        let log = log::start(config.log_format, &config.log_level)?;
        run::run(reload::Plan {
            policy: self.policy,
            overrides,
            file,
            config,
            log,
        })
    }
}
