//! What holds for all zones.

use std::sync::Arc;

use ipnet::IpNet;

use crate::{
    authority::Authority,
    dns::{Name, Ttl},
    manifest::MaxAddresses,
    select::ClientNetworks,
};

/// How the server names itself to those who ask.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Identity {
    /// What `version.bind` and `version.server` answer in class CHAOS; `None` refuses.
    pub version: Option<Box<str>>,
    /// What `id.server` and `hostname.bind` answer in class CHAOS; `None` refuses.
    pub server_id: Option<Box<str>>,
    /// The name server identifier ([RFC 5001](https://www.rfc-editor.org/rfc/rfc5001)) for queries that ask for it.
    pub nsid: Option<Box<[u8]>>,
}

/// What holds for all zones, fixed between two loads of the configuration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Domains that are ours as a whole. Every host outside of them is the apex of its own zone.
    pub zones: Vec<Name>,
    /// Those of them that are ours in part: a name that no host has is not ours.
    pub partial_zones: Vec<Name>,
    /// Domains that others answer for where a name is not ours; the root for all, none where nothing is forwarded.
    pub forwarded: Vec<Name>,
    /// The names in each apex's NS RRset; the first is the SOA's MNAME. At least one.
    pub name_servers: Vec<Name>,
    /// How many addresses of one family an answer holds at most, where a host has no word of its own.
    pub max_addresses: MaxAddresses,
    /// The networks of those who ask for others.
    pub forwarders: Vec<IpNet>,
    /// Whether Pods that ask for others are found by their labels.
    pub finds_forwarders: bool,
    /// The networks of those of them who are believed for whom they ask.
    pub trusted_forwarders: Vec<IpNet>,
    /// What holds of clients by their networks.
    pub clients: Arc<ClientNetworks>,
    /// Whether addresses lead to the names of endpoints, in declared zones.
    pub has_pointers: bool,
    /// The TTL of address and NS records.
    pub ttl: Ttl,
    /// The TTL and the MINIMUM of the SOA: how long "no such name" and "no such data" are kept (RFC 2308).
    pub negative_ttl: Ttl,
    /// How the server names itself.
    pub identity: Identity,
    /// Seeds the hash of names; random in a server, so that nobody can choose names that collide.
    pub seed: u64,
}

impl Settings {
    /// Who answers for names, before there is any host.
    pub fn authority(&self) -> Authority {
        Authority::new(&self.zones, &self.partial_zones, &self.forwarded)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            partial_zones: Vec::new(),
            forwarded: Vec::new(),
            name_servers: vec![Name::from_text("ns.meshdns.invalid").expect("a valid name")],
            max_addresses: MaxAddresses::default(),
            forwarders: Vec::new(),
            finds_forwarders: true,
            trusted_forwarders: Vec::new(),
            clients: Arc::default(),
            has_pointers: true,
            ttl: Ttl::FIVE_SECONDS,
            negative_ttl: Ttl::FIVE_SECONDS,
            identity: Identity::default(),
            seed: 0,
        }
    }
}
