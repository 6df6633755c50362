//! One observation of one endpoint, as a test asks for it.

use std::{net::SocketAddr, sync::Arc};

use meshdns::{
    health::{Nothing, Observation, Pass, Reach, Target},
    manifest::{HttpGet, Probe, ProbeMethod},
    probe::Observer,
};
use tokio::runtime;

/// A probe that has time, for tests in which nothing may run out of it.
pub(crate) const LONG: u32 = 50;

/// An observer of loopback addresses.
pub(crate) fn observer() -> Observer {
    Observer::new(reach(), None)
}

pub(crate) fn reach() -> Reach {
    let networks = ["127.0.0.0/8", "::1/128"];
    let networks = networks.map(|network| network.parse().expect("a network"));
    Reach::new(networks.to_vec(), Vec::new())
}

/// `method` with a timeout.
pub(crate) fn probe(method: ProbeMethod, timeout_seconds: u32) -> Probe {
    Probe {
        method,
        initial_delay_seconds: 0,
        timeout_seconds,
        period_seconds: 10,
        success_threshold: 1,
        failure_threshold: 3,
    }
}

pub(crate) fn tcp(to: SocketAddr) -> ProbeMethod {
    ProbeMethod::Tcp { port: to.port() }
}

/// `GET /` at a port.
pub(crate) fn get(port: u16) -> HttpGet {
    HttpGet {
        port,
        is_tls: false,
        path: "/".into(),
        host: None,
        headers: Box::default(),
    }
}

/// What `observer` sees at `to`. Where this machine was too busy to tell, it is asked again.
pub(crate) fn observe_by(observer: &Observer, to: SocketAddr, probe: Probe) -> Observation {
    let target = Target {
        address: to.ip(),
        probe: Arc::new(probe),
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        for _ in 0..10 {
            let observation = observer.observe(&target).await;
            if observation != Observation::Nothing(Nothing::Late) {
                return observation;
            }
        }
        panic!("this machine is too busy for anything");
    })
}

pub(crate) fn observe(to: SocketAddr, method: ProbeMethod, timeout_seconds: u32) -> Observation {
    observe_by(&observer(), to, probe(method, timeout_seconds))
}

/// What `GET /` comes to, with all the time that it wants.
pub(crate) fn observe_http(to: SocketAddr) -> Observation {
    observe(to, ProbeMethod::Http(get(to.port())), LONG)
}

/// Checks that a probe passed, with this status over HTTP and 0 elsewhere.
#[track_caller]
pub(crate) fn assert_passes(observation: Observation, expected: u16) {
    let Observation::Pass(Pass { status, .. }) = observation else {
        panic!("{observation:?} is no pass");
    };
    assert_eq!(status, expected);
}
