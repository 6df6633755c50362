use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use super::{CheckPolicy, MassFailure, Reach};

/// What the configuration's `health` says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Which endpoints are checked how.
    pub policy: CheckPolicy,
    /// When failures are too many to be believed; `None` to believe all of them.
    pub mass_failure: Option<MassFailure>,
    /// What accepts or refuses TCP while our own network is well.
    pub canaries: Vec<SocketAddr>,
    /// Where probes may go.
    pub networks: Vec<IpNet>,
    /// Where they come from; `None` leaves that to the routes.
    pub source: Option<IpAddr>,
    /// How long `/ready` waits for the first observations.
    pub start_within: Duration,
    /// How many probes may start in a second; at least 1.
    pub max_per_second: u32,
    /// How many may be on their way at once; at least 1.
    pub max_in_flight: usize,
    /// Whether targets that come and go need more and more passes.
    pub has_flap_damping: bool,
    /// Where verdicts are kept for the next start.
    pub state_file: Option<PathBuf>,
    /// Where operators say what holds.
    pub overrides: Option<PathBuf>,
    /// How long after a resolver forgot a drained endpoint it is safe to stop it.
    pub drain_margin: Duration,
    /// Whether there is a metric for each endpoint.
    pub has_endpoint_metrics: bool,
    /// Whether `/api/health` is there.
    pub has_api: bool,
}

impl Settings {
    /// [`Settings::max_per_second`] where nothing is said.
    pub const MAX_PER_SECOND: u32 = 10_000;

    /// [`Settings::max_in_flight`] where nothing is said.
    pub const MAX_IN_FLIGHT: usize = 4096;

    /// [`Settings::start_within`] where nothing is said.
    pub const START_WITHIN: Duration = Duration::from_secs(5);

    /// [`Settings::drain_margin`] where nothing is said.
    pub const DRAIN_MARGIN: Duration = Duration::from_secs(30);

    /// [`Settings::networks`] where nothing is said: the addresses that no router of the Internet knows.
    pub const NETWORKS: [&str; 5] = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    ];
}

/// What an empty section means.
impl Default for Settings {
    fn default() -> Self {
        let networks = Self::NETWORKS.iter();
        let networks = networks.map(|text| text.parse().expect("the text is a network"));
        let networks: Vec<IpNet> = networks.collect();
        Self {
            policy: CheckPolicy {
                reach: Reach::new(networks.clone(), Vec::new()),
                ..CheckPolicy::default()
            },
            mass_failure: Some(MassFailure::default()),
            canaries: Vec::new(),
            networks,
            source: None,
            start_within: Self::START_WITHIN,
            max_per_second: Self::MAX_PER_SECOND,
            max_in_flight: Self::MAX_IN_FLIGHT,
            has_flap_damping: true,
            state_file: None,
            overrides: None,
            drain_margin: Self::DRAIN_MARGIN,
            has_endpoint_metrics: false,
            has_api: false,
        }
    }
}
