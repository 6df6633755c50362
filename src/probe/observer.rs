//! One observation of one endpoint.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;

use super::{
    connect::{self, Dial},
    grpc, http,
    miss::Miss,
    tls,
};
use crate::{
    health::{Failure, Nothing, Observation, Pass, Reach, Target},
    manifest::ProbeMethod,
};

/// Makes observations.
#[derive(Clone)]
pub struct Observer {
    dial: Dial,
    connector: TlsConnector,
}

impl Observer {
    /// Goes where `reach` lets it, from `source`, or from where the routes say; `source` counts for its own family alone.
    pub fn new(reach: Reach, source: Option<IpAddr>) -> Self {
        Self {
            dial: Dial::new(reach, source),
            connector: tls::connector(),
        }
    }

    /// Probes `target` once, within its timeout and a tenth of a second for the end of its connections.
    pub async fn observe(&self, target: &Target) -> Observation {
        let begun = Instant::now();
        let limit = Duration::from_secs(target.probe.timeout_seconds.into());
        let mut left = Vec::new();
        let observation = match timeout(limit, self.try_it(target, &mut left)).await {
            Ok(Ok(status)) => Observation::Pass(Pass {
                latency: begun.elapsed(),
                status,
            }),
            Ok(Err(miss)) => miss.into(),
            // Who looks late may have missed what came in time.
            Err(_) if begun.elapsed() > limit + limit / 2 => Observation::Nothing(Nothing::Late),
            Err(_) => Observation::Fail(Failure::Timeout),
        };
        connect::close(left).await;
        observation
    }

    /// Returns the last status over HTTP, and 0 over anything else.
    async fn try_it(&self, target: &Target, left: &mut Vec<TcpStream>) -> Result<u16, Miss> {
        let address = target.address;
        match &target.probe.method {
            ProbeMethod::Tcp { port } => {
                self.dial.connect((address, *port).into()).await?;
                Ok(0)
            }
            ProbeMethod::Http(get) => {
                http::get(&self.dial, &self.connector, address, get, left).await
            }
            ProbeMethod::Grpc { port, service } => {
                let to = (address, *port).into();
                let stream = self.dial.connect(to).await?;
                grpc::check(to, service, stream).await?;
                Ok(0)
            }
            ProbeMethod::Exec => Err(Nothing::Exec.into()),
        }
    }
}
