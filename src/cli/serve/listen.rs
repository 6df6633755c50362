//! The sockets for DNS, and the certificate that is shown at some of them.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use tracing::{info, warn};

use super::super::Failure;
use crate::{
    config::Config,
    descriptors::Shares,
    serve::{
        AnswerLimits, CertificateError, Certificates, CookieKeyError, CookieKeys, Encrypted,
        Listener, ServeSettings, Sockets, TcpLimits, Transport,
    },
    zone::AskerPreset,
};

/// What encrypted clients are shown, where there is a listener for them.
pub(super) fn certificates(config: &Config) -> Result<Option<Arc<Certificates>>, CertificateError> {
    let files = config.certificate();
    let files = files.filter(|_| !config.encrypted.is_empty());
    files.map(Certificates::load).transpose()
}

/// What is done against answers to those who did not ask.
fn answer_limits(config: &Config) -> Result<AnswerLimits, CookieKeyError> {
    let keys = || match &config.cookie_key_file {
        Some(file) => CookieKeys::read(file),
        None => CookieKeys::random(),
    };
    Ok(AnswerLimits {
        cookie_keys: config.cookies.then(keys).transpose()?,
        udp_bytes_without_cookie: config.max_answer_bytes,
        rate: config.rate_limit.clone(),
    })
}

/// Takes the addresses that the configuration names.
pub(super) fn bind(
    config: &Config,
    certificates: Option<&Arc<Certificates>>,
) -> Result<Sockets, Failure> {
    let settings = ServeSettings {
        listen: usable(&config.listen),
        workers: config.workers,
        tcp: within_descriptors(config.tcp),
        answers: answer_limits(config)?,
        presets: config
            .presets
            .iter()
            .copied()
            .filter(|(_, preset)| *preset != AskerPreset::default())
            .collect(),
        encrypted: certificates.map(|certificates| Encrypted {
            listen: usable_encrypted(&config.encrypted),
            certificates: Arc::clone(certificates),
        }),
    };
    Ok(Sockets::bind(&settings)?)
}

/// No more connections than files may be open for them: pages, mesh files and upstreams need some too.
fn within_descriptors(limits: TcpLimits) -> TcpLimits {
    let connections = limits.connections.min(Shares::of_this_process().clients);
    if connections < limits.connections {
        warn!(
            connections,
            wished = limits.connections,
            "the limit on open files allows fewer connections than `tcp.maxConnections`: raise it (LimitNOFILE=, ulimit -n)"
        );
    }
    TcpLimits {
        connections,
        ..limits
    }
}

/// Every address at which this server answers, whatever is spoken there.
pub(super) fn own_addresses(sockets: &Sockets) -> Vec<SocketAddr> {
    let encrypted = sockets.encrypted().into_iter();
    let encrypted = encrypted.map(|listener| listener.address);
    sockets.addresses().into_iter().chain(encrypted).collect()
}

/// Where queries are answered.
pub(super) struct Listening {
    plain: Vec<SocketAddr>,
    encrypted: Vec<Listener>,
}

impl Listening {
    pub(super) fn of(sockets: &Sockets) -> Self {
        Self {
            plain: sockets.addresses(),
            encrypted: sockets.encrypted(),
        }
    }

    /// Says so in the log.
    pub(super) fn tell(self) {
        for address in self.plain {
            info!(%address, "answering over UDP and TCP");
        }
        for Listener { transport, address } in self.encrypted {
            match transport {
                Transport::Tls => info!(%address, "answering over TLS"),
                Transport::Https { path } => info!(%address, %path, "answering over HTTPS"),
                Transport::Quic => info!(%address, "answering over QUIC"),
            }
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

/// As [`usable`], for each thing that is spoken.
fn usable_encrypted(listeners: &[Listener]) -> Vec<Listener> {
    let beside = |listener: &Listener| {
        let same = listeners.iter();
        let same = same.filter(|other| other.transport == listener.transport);
        same.map(|other| other.address).collect::<Vec<_>>()
    };
    let can_stay = |listener: &&Listener| usable(&beside(listener)).contains(&listener.address);
    listeners.iter().filter(can_stay).cloned().collect()
}
