//! The mesh whose shares are counted: hosts with Pods and VMs, in the subnet of who asks and outside of it.

use std::{fmt::Write as _, net::IpAddr};

use super::{Asker, WANTED};
use crate::machine::Machine;

/// Endpoints, and the hosts that answer with them.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// A host of which Pods have a share, and the parent of a wildcard of the same kind.
    pub(super) shared: &'static str,
    /// One without a share.
    pub(super) without_share: &'static str,
    /// Where the VMs are, for readers.
    pub(super) told: &'static str,
    /// What the addresses of its Pods and VMs begin with, and what those of VMs end with.
    networks: [&'static str; 2],
    vms: (u8, u8),
}

/// In the subnet of who asks, one nearer to him than the others: he is 10.0.0.53.
pub(super) const NEAR: Place = Place {
    shared: "near.internal.com",
    without_share: "near-evenly.internal.com",
    told: "in the VMs' subnet",
    networks: ["10.244.0", "10.0.0"],
    vms: (47, 52),
};

/// In other subnets.
pub(super) const ELSEWHERE: Place = Place {
    shared: "elsewhere.internal.com",
    without_share: "elsewhere-evenly.internal.com",
    told: "outside of the VMs' subnet",
    networks: ["10.244.1", "10.8.0"],
    vms: (1, 6),
};

/// Many VMs, so that one answer for many can hold few Pods beside them.
pub(super) const MANY: Place = Place {
    shared: "many.internal.com",
    without_share: "many-evenly.internal.com",
    told: "outside of the VMs' subnet",
    networks: ["10.244.2", "10.9.0"],
    vms: (1, 60),
};

impl Place {
    /// One of the names below the wildcard.
    pub(super) fn name_below(&self, number: usize) -> String {
        format!("n{number}.{}", self.shared)
    }

    /// Three Pods and the VMs, with the two ServiceEntries that select them.
    fn text(&self) -> String {
        let Self {
            shared,
            without_share,
            networks: [pods, vms],
            ..
        } = self;
        let (app, _) = shared.split_once('.').expect("a domain");
        let mut text = String::new();
        let mut service = |name: &str, hosts: &str, annotations: &str| {
            write!(
                text,
                "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}, namespace: shop, annotations: {{{annotations}}}}}
spec:
  hosts: [{hosts}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  workloadSelector: {{labels: {{app: {app}}}}}
"
            )
            .expect("a string can be written to");
        };
        let annotation = format!("meshdns.io/share: \"pod={WANTED}\"");
        service(app, &format!("{shared}, '*.{shared}'"), &annotation);
        service(&format!("{app}-evenly"), without_share, "");
        for number in 1..=3 {
            write!(
                text,
                "---
apiVersion: v1
kind: Pod
metadata: {{name: {app}-{number}, namespace: shop, labels: {{app: {app}}}}}
status:
  phase: Running
  podIP: {pods}.{number}
  conditions: [{{type: Ready, status: \"True\"}}]
"
            )
            .expect("a string can be written to");
        }
        for number in self.vms.0..=self.vms.1 {
            write!(
                text,
                "---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {app}-{number}, namespace: shop}}
spec: {{address: {vms}.{number}, labels: {{app: {app}}}}}
"
            )
            .expect("a string can be written to");
        }
        text
    }
}

pub(super) fn is_pod(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[..2] == [10, 244])
}

/// A machine with the mesh, for which nothing is running yet.
pub(super) fn machine() -> Machine {
    let machine = Machine::new();
    // glibc tries addresses last that no route leads to.
    machine.run("ip", &["route", "add", "default", "dev", "eth0"]);
    let text: String = [NEAR, ELSEWHERE, MANY].map(|place| place.text()).concat();
    machine.write("zones/shop.yaml", &text);
    machine
}

/// The flag with which a server takes all who ask from this machine for such.
pub(super) fn flag_for(machine: &Machine, asker: Asker) -> Option<String> {
    let side = match asker {
        Asker::Unknown => return None,
        Asker::Listed => "",
        Asker::ListedForSides => "answers: {split: {forwarders: side}}\n",
    };
    let text = format!("forwarders: [auto, 10.0.0.0/24]\n{side}");
    let file = machine.write("meshdns.yaml", &text);
    Some(format!("--config={}", file.display()))
}
