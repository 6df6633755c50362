//! Settings that are right one by one, and can't hold together.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
};

use super::{Config, SaidBy};
use crate::{
    diagnostic::Kind,
    dns::Name,
    serve::{Listener, Transport},
};

/// What two settings have against each other.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Contradiction {
    /// A certificate without its key.
    #[error("the certificate {} has no key: name its file with {KEY}", .0.display())]
    NoKey(PathBuf),
    /// A key without its certificate.
    #[error("the key {} has no certificate: name its file with {CERTIFICATE}", .0.display())]
    NoCertificate(PathBuf),
    /// Encrypted clients without anything to show them.
    #[error(
        "listening at {0} takes a certificate and its key: name their files with {CERTIFICATE} and {KEY}"
    )]
    NothingToShow(Listener),
    /// A zone whose other names are forwarded, to nobody.
    #[error(
        "zone {0} has `unmatched: forward`, and there is nobody to forward to: name an upstream with --upstream"
    )]
    NoUpstream(Name),
    /// Two clusters that nobody could tell apart.
    #[error("two clusters are called {0}: give each a `name` of its own")]
    SameCluster(Arc<str>),
    /// Clusters, and nothing to follow them with.
    #[error(
        "this meshdns is built without the feature `kubernetes`: it can't follow the cluster {0}"
    )]
    NoKubernetes(Arc<str>),
    /// Two checks that nobody could tell apart.
    #[error("two of `health.checks` are called {0}: give each a name of its own")]
    SameCheck(Box<str>),
    /// A check of objects that have no hosts, by their hosts.
    #[error(
        "the check {0} matches `hosts`, which WorkloadEntries have none of: leave WorkloadEntry out of its `kinds`, or match by `namespaces` and `labels`"
    )]
    NoHosts(Box<str>),
    /// A page where no pages are.
    #[error("`health.api` takes the HTTP pages, and `http` is off: turn one of them around")]
    NoPages,
    /// Pages that show names, files and clients to whoever can reach the machine.
    #[error(
        "the status pages at {0} would be everyone's: name a file with a token (`ui.tokenFile`), or say `ui.open: true`"
    )]
    Unguarded(SocketAddr, SaidBy),
    /// Of one address, two accounts of who asks there.
    #[error("{0} stands twice in `listen`, and who asks there is said otherwise: say it once")]
    OtherAskers(SocketAddr),
    /// Two sockets that can't be bound at the same time.
    #[error("{0} and {1} take the same port: give one of them another one")]
    SamePort(Taken, Taken),
}

const CERTIFICATE: &str = "--tls-certificate (`tls.certificate` in the file)";
const KEY: &str = "--tls-key (`tls.key` in the file)";

/// What takes a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Taken {
    /// DNS over UDP and TCP.
    Plain(SocketAddr),
    /// DNS that is encrypted.
    Encrypted(Listener),
    /// The HTTP pages.
    Http(SocketAddr),
    /// The status pages.
    Ui(SocketAddr),
}

impl Taken {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Plain(address) | Self::Http(address) | Self::Ui(address) => *address,
            Self::Encrypted(listener) => listener.address,
        }
    }

    fn takes_udp(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Encrypted(listener) => listener.transport == Transport::Quic,
            Self::Http(_) | Self::Ui(_) => false,
        }
    }

    fn takes_tcp(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Http(_) | Self::Ui(_) => true,
            Self::Encrypted(listener) => listener.transport != Transport::Quic,
        }
    }

    /// Whether the operating system can't let both in. Port 0 is another port each time, and an address of IPv6 takes
    /// nothing of IPv4.
    fn excludes(&self, other: &Self) -> bool {
        let (own, others) = (self.address(), other.address());
        let is_same_port = own.port() == others.port() && own.port() != 0;
        let is_any = own.ip().is_unspecified() || others.ip().is_unspecified();
        let is_same_place = own.ip() == others.ip() || is_any && own.is_ipv4() == others.is_ipv4();
        let is_same_protocol =
            self.takes_udp() && other.takes_udp() || self.takes_tcp() && other.takes_tcp();
        is_same_port && is_same_place && is_same_protocol
    }
}

/// As the settings spell it.
impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(address) => write!(f, "listening at {address}"),
            Self::Encrypted(listener) => write!(f, "listening at {listener}"),
            Self::Http(address) => write!(f, "the HTTP pages at {address}"),
            Self::Ui(address) => write!(f, "the status pages at {address}"),
        }
    }
}

impl Config {
    /// Whether the settings hold together: `serve` and `check` refuse them alike where they don't.
    ///
    /// # Errors
    ///
    /// The first [`Contradiction`] that there is.
    pub fn check(&self) -> Result<(), Contradiction> {
        self.check_certificate()?;
        self.check_upstream()?;
        self.check_clusters()?;
        self.check_health()?;
        self.check_ui()?;
        self.check_askers()?;
        self.check_ports()
    }

    fn check_certificate(&self) -> Result<(), Contradiction> {
        Err(match (&self.tls_certificate, &self.tls_key) {
            (Some(_), Some(_)) => return Ok(()),
            (Some(certificate), None) => Contradiction::NoKey(certificate.clone()),
            (None, Some(key)) => Contradiction::NoCertificate(key.clone()),
            (None, None) => match self.encrypted.first() {
                Some(listener) => Contradiction::NothingToShow(listener.clone()),
                None => return Ok(()),
            },
        })
    }

    fn check_upstream(&self) -> Result<(), Contradiction> {
        match self.partial_zones.first() {
            Some(zone) if self.forward.is_none() => Err(Contradiction::NoUpstream(zone.clone())),
            _ => Ok(()),
        }
    }

    fn check_clusters(&self) -> Result<(), Contradiction> {
        let mut names: Vec<&Arc<str>> = self.clusters.iter().map(|cluster| &cluster.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Contradiction::SameCluster(pair[0].clone()));
        }
        match names.first() {
            Some(&name) if !cfg!(feature = "kubernetes") => {
                Err(Contradiction::NoKubernetes(name.clone()))
            }
            _ => Ok(()),
        }
    }

    fn check_health(&self) -> Result<(), Contradiction> {
        let Some(health) = &self.health else {
            return Ok(());
        };
        if health.has_api && self.http.is_empty() {
            return Err(Contradiction::NoPages);
        }
        let mut names = BTreeSet::new();
        for rule in &health.policy.rules {
            if !names.insert(&rule.name) {
                return Err(Contradiction::SameCheck(rule.name.clone()));
            }
            if !rule.hosts.is_empty() && rule.kinds.contains(&Kind::WorkloadEntry) {
                return Err(Contradiction::NoHosts(rule.name.clone()));
            }
        }
        Ok(())
    }

    fn check_ui(&self) -> Result<(), Contradiction> {
        match self.ui.unguarded() {
            Some(address) => Err(Contradiction::Unguarded(address, self.ui.said_by)),
            None => Ok(()),
        }
    }

    fn check_askers(&self) -> Result<(), Contradiction> {
        let mut said = HashMap::new();
        for (at, preset) in &self.presets {
            if said
                .insert(at, preset)
                .is_some_and(|before| before != preset)
            {
                return Err(Contradiction::OtherAskers(at.0));
            }
        }
        Ok(())
    }

    fn check_ports(&self) -> Result<(), Contradiction> {
        let plain = self.listen.iter().copied().map(Taken::Plain);
        let encrypted = self.encrypted.iter().cloned().map(Taken::Encrypted);
        let pages = self.http.iter().copied().map(Taken::Http);
        // Where nobody said so, they give way.
        let is_said = self.ui.said_by != SaidBy::Nobody;
        let ui = self.ui.listen.iter().copied().filter(|_| is_said);
        let all = plain.chain(encrypted).chain(pages).chain(ui.map(Taken::Ui));
        let mut before: Vec<Taken> = Vec::new();
        for taken in all {
            // What is said twice counts once.
            if before.contains(&taken) {
                continue;
            }
            if let Some(other) = before.iter().find(|other| other.excludes(&taken)) {
                return Err(Contradiction::SamePort(other.clone(), taken));
            }
            before.push(taken);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{File, Overrides};

    /// Checks what a configuration file is refused for; empty for nothing.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let file = File::parse("meshdns.yaml".into(), text).expect("a valid file");
        let refused = Config::resolve(&Overrides::default(), &file).check();
        let refused = refused.err().map(|error| error.to_string());
        assert_eq!(refused.unwrap_or_default(), expected, "{text}");
    }

    #[test]
    fn a_port_is_taken_once() {
        let both = |first: &str, second: &str| {
            format!("{first} and {second} take the same port: give one of them another one")
        };
        let tls = "tls: {certificate: a, key: b}\n";
        check("listen: [10.0.0.1, 10.0.0.1, 10.0.0.2]\n", "");
        check("listen: [':0', '127.0.0.1:0']\nhttp: ':0'\n", "");
        check("listen: ':53'\nhttp: 10.0.0.1:54\n", "");
        check(
            "listen: [':53', 10.0.0.1]\n",
            &both("listening at 0.0.0.0:53", "listening at 10.0.0.1:53"),
        );
        check(
            "listen: ['::1', '[::]:53', '0.0.0.0:53']\n",
            &both("listening at [::1]:53", "listening at [::]:53"),
        );
        check(
            "listen: 127.0.0.1:9153\n",
            &both(
                "listening at 127.0.0.1:9153",
                "the HTTP pages at 127.0.0.1:9153",
            ),
        );
        check(&format!("{tls}listen: ['tls://:853', 'quic://:853']\n"), "");
        check(
            &format!("{tls}listen: ['tls://:853', 'https://:853']\n"),
            &both(
                "listening at tls://0.0.0.0:853",
                "listening at https://0.0.0.0:853/dns-query",
            ),
        );
        check(
            &format!("{tls}listen: ['10.0.0.1:853', 'quic://10.0.0.1']\n"),
            &both(
                "listening at 10.0.0.1:853",
                "listening at quic://10.0.0.1:853",
            ),
        );
        check(&format!("{tls}listen: ['quic://127.0.0.1:9153']\n"), "");
    }

    #[test]
    fn who_asks_at_an_address_is_said_once() {
        let shop = "{address: 10.0.0.1, namespace: shop}";
        let refused = "10.0.0.1:53 stands twice in `listen`, and who asks there is said otherwise: say it once";
        check(&format!("listen: {shop}\n"), "");
        check(&format!("listen: [{shop}, {shop}, 10.0.0.2]\n"), "");
        check(&format!("listen: [{shop}, 10.0.0.1]\n"), refused);
        check(
            &format!("listen: [{shop}, {{address: 10.0.0.1, namespace: bill}}]\n"),
            refused,
        );
    }

    #[test]
    fn the_status_pages_are_for_this_machine_or_for_those_who_are_meant() {
        let refused = |address: &str| {
            format!(
                "the status pages at {address} would be everyone's: name a file with a token (`ui.tokenFile`), or say `ui.open: true`"
            )
        };
        check("ui: {listen: '127.0.0.2:9154'}\n", "");
        check("ui: {listen: '[::1]:9154'}\n", "");
        check("ui: {listen: ':9154'}\n", &refused("0.0.0.0:9154"));
        check("ui: {listen: '10.0.0.1:9154'}\n", &refused("10.0.0.1:9154"));
        check("ui: {listen: ':9154', open: true}\n", "");
        check("ui: {listen: ':9154', tokenFile: token}\n", "");
        check(
            "http: ':9154'\nui: {listen: '127.0.0.1:9154'}\n",
            "the HTTP pages at 0.0.0.0:9154 and the status pages at 127.0.0.1:9154 take the same port: give one of them another one",
        );
        check("http: ':9154'\n", "");
    }

    #[test]
    fn clusters_have_names_of_their_own() {
        check(
            "kubernetes: [{kubeconfig: a}, {kubeconfig: b}]\n",
            "two clusters are called kubernetes: give each a `name` of its own",
        );
        if cfg!(feature = "kubernetes") {
            check("kubernetes: [{name: a}, {context: b}]\n", "");
        }
    }

    #[test]
    fn checks_can_be_told_apart_and_can_fit() {
        let checks = |checks: &str| format!("health: {{checks: [{checks}]}}\n");
        check(
            &checks("{name: a, probe: none}, {name: b, probe: none}"),
            "",
        );
        check(
            &checks("{name: a, probe: none}, {name: a, probe: none}"),
            "two of `health.checks` are called a: give each a name of its own",
        );
        check(
            &checks("{name: a, match: {hosts: a.test, kinds: WorkloadEntry}, probe: none}"),
            "the check a matches `hosts`, which WorkloadEntries have none of: leave WorkloadEntry out of its `kinds`, or match by `namespaces` and `labels`",
        );
        check(
            "http: off\nhealth: {api: on}\n",
            "`health.api` takes the HTTP pages, and `http` is off: turn one of them around",
        );
    }

    #[test]
    fn what_is_named_needs_what_belongs_to_it() {
        check(
            "tls: {key: tls.key}\n",
            "the key tls.key has no certificate: name its file with --tls-certificate (`tls.certificate` in the file)",
        );
        check(
            "zones: [{name: a.test, unmatched: forward}]\n",
            "zone a.test. has `unmatched: forward`, and there is nobody to forward to: name an upstream with --upstream",
        );
    }
}
