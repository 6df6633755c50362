//! `snippet`: what to tell another program so that it asks meshdns.
//!
//! Owns the text for each program, in that program's own syntax with what people need to know in its comments: it can be
//! redirected into the file that it names. A setting that the program can't express is refused, never left out.
//!
//! Never looks at a mesh and never writes a file.

mod corefile;
mod resolver;
mod stub;

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use clap::{Args, ValueEnum};

use super::{Exit, Failure, exit, output};
use crate::config::value::Domain;

/// DNS's own port: what each program uses where none is said.
const DNS_PORT: u16 = 53;

const EXAMPLES: &str = "\
Examples:
  meshdns snippet coredns --server 10.0.0.53 --server 10.0.0.54 --zone internal.com
                                      a server block for the Corefile
  meshdns snippet systemd-resolved --server 10.0.0.53:5300 --zone internal.com \\
      | sudo tee /etc/systemd/resolved.conf.d/50-mesh.conf
  meshdns snippet unbound --server '[2001:db8::53]' --zone internal.com --zone mesh.example

The first comment names the file, the last one a command that tells whether it works.
Serve with the same --zone: other names of a domain that is forwarded have to get NXDOMAIN.";

/// Print what makes another resolver ask meshdns
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
pub(super) struct SnippetArgs {
    /// Program to configure
    #[arg(value_enum, value_name = "PROGRAM")]
    program: Program,

    /// Address of a meshdns server, IP, IP:PORT or [IPV6]:PORT; repeat for more
    #[arg(long = "server", value_name = "ADDR", required = true)]
    servers: Vec<Server>,

    /// Domain that meshdns answers, such as internal.com; repeat for more
    #[arg(long = "zone", value_name = "NAME", required = true)]
    zones: Vec<Domain>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
#[allow(clippy::doc_markdown, reason = "the comments are help texts")]
enum Program {
    /// A cluster's CoreDNS: a server block of the Corefile
    #[value(name = "coredns")]
    CoreDns,
    /// kube-dns, and a NodeLocal DNSCache that follows it: the ConfigMap's stubDomains
    KubeDns,
    /// NodeLocal DNSCache: a server block of its own Corefile
    NodeLocalDns,
    /// A machine with systemd-resolved: a drop-in
    SystemdResolved,
    /// A machine whose NetworkManager runs dnsmasq: a file for that dnsmasq
    #[value(name = "networkmanager")]
    NetworkManager,
    /// dnsmasq
    Dnsmasq,
    /// unbound
    Unbound,
    /// BIND
    Bind,
    /// A machine without a resolver of its own: /etc/resolv.conf
    #[value(name = "resolv.conf")]
    ResolvConf,
}

/// Where a meshdns server is. Forwarders know addresses alone: a name would have to be looked up through themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Server(SocketAddr);

/// Not the address of one server.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a server's IP address, as in 10.0.0.53, 10.0.0.53:5300 or [2001:db8::53]:5300")]
struct NotAServer;

impl FromStr for Server {
    type Err = NotAServer;

    fn from_str(text: &str) -> Result<Self, NotAServer> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let address = match bare.unwrap_or(text).parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip, DNS_PORT),
            Err(_) => text.parse().map_err(|_| NotAServer)?,
        };
        let has_scope = matches!(address, SocketAddr::V6(address) if address.scope_id() != 0);
        if address.ip().is_unspecified() || address.port() == 0 || has_scope {
            return Err(NotAServer);
        }
        Ok(Self(address))
    }
}

impl Server {
    fn ip(self) -> IpAddr {
        self.0.ip()
    }

    /// The address, and where the port is not 53, the port behind `separator`.
    fn with_port(self, separator: &str) -> String {
        match self.0.port() {
            DNS_PORT => self.ip().to_string(),
            port => format!("{}{separator}{port}", self.ip()),
        }
    }

    /// The address, and where the port is not 53, the port as in a URL.
    fn as_socket(self) -> String {
        match self.0.port() {
            DNS_PORT => self.ip().to_string(),
            _ => self.0.to_string(),
        }
    }
}

/// Which names go where. Neither list is empty or names anything twice.
struct Mesh {
    servers: Vec<Server>,
    /// As they are typed: lowercase, without the root's dot.
    zones: Vec<String>,
}

impl Mesh {
    /// A server at another port than DNS's own.
    fn server_with_port(&self) -> Option<Server> {
        let mut servers = self.servers.iter().copied();
        servers.find(|server| server.0.port() != DNS_PORT)
    }

    /// `line` of each server, joined by `separator`.
    fn servers(&self, separator: &str, line: impl Fn(Server) -> String) -> String {
        let lines: Vec<String> = self.servers.iter().copied().map(line).collect();
        lines.join(separator)
    }

    /// `line` of each zone, joined by `separator`.
    fn zones(&self, separator: &str, line: impl Fn(&str) -> String) -> String {
        let lines: Vec<String> = self.zones.iter().map(|zone| line(zone)).collect();
        lines.join(separator)
    }

    /// The comment lines that end every snippet: questions to the program at `address`, whose answers tell that it works.
    fn check(&self, comment: &str, address: &str) -> String {
        self.zones("\n", |zone| {
            format!("{comment} Check: dig @{address} {zone} SOA +short")
        })
    }
}

/// What a program can't be told.
#[derive(Debug, thiserror::Error)]
enum SnippetError {
    #[error("resolv.conf has no place for a port, and {0} has one: let meshdns listen at port 53")]
    Port(SocketAddr),
    #[error("{program} asks at most {most} servers, and these are {found}")]
    TooMany {
        program: &'static str,
        most: usize,
        found: usize,
    },
    #[error("`--zone .` would send every name to meshdns: name the domains that it answers")]
    Root,
    #[error("kube-dns takes no underscore in a domain, as in {0}")]
    Underscore(String),
}

impl SnippetArgs {
    /// Prints the snippet.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let program = self.program;
        let snippet = self
            .mesh()
            .and_then(|mesh| program.snippet(&mesh))
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        output::data(|out| writeln!(out, "{snippet}"))?;
        Ok(Exit::Fine)
    }

    fn mesh(self) -> Result<Mesh, SnippetError> {
        let mut mesh = Mesh {
            servers: Vec::new(),
            zones: Vec::new(),
        };
        for server in self.servers {
            if !mesh.servers.contains(&server) {
                mesh.servers.push(server);
            }
        }
        for Domain(name) in self.zones {
            let zone = name.to_host();
            if zone == "." {
                return Err(SnippetError::Root);
            }
            if !mesh.zones.contains(&zone) {
                mesh.zones.push(zone);
            }
        }
        Ok(mesh)
    }
}

impl Program {
    fn snippet(self, mesh: &Mesh) -> Result<String, SnippetError> {
        match self {
            Self::CoreDns => corefile::coredns(mesh),
            Self::KubeDns => corefile::kube_dns(mesh),
            Self::NodeLocalDns => corefile::node_local_dns(mesh),
            Self::SystemdResolved => Ok(stub::systemd_resolved(mesh)),
            Self::NetworkManager => Ok(resolver::network_manager(mesh)),
            Self::Dnsmasq => Ok(resolver::dnsmasq(mesh)),
            Self::Unbound => Ok(resolver::unbound(mesh)),
            Self::Bind => Ok(resolver::bind(mesh)),
            Self::ResolvConf => stub::resolv_conf(mesh),
        }
    }
}

/// Fails where there are more servers than the program asks.
fn at_most(mesh: &Mesh, most: usize, program: &'static str) -> Result<(), SnippetError> {
    match mesh.servers.len() {
        found if found > most => Err(SnippetError::TooMany {
            program,
            most,
            found,
        }),
        _ => Ok(()),
    }
}
