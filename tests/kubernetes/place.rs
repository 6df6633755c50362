//! A namespace of a server that tests share, with a service on its way from VMs to Pods, behind a proxy of its own.

use serde_json::{Value, json};

use crate::{
    mesh::{self, Mesh},
    rig::{
        cluster::{Cluster, Kubeconfig},
        objects::{namespace, pod, pod_status, selecting, vm},
        proxy::Proxy,
    },
};

/// The address of each Pod, and of the VM.
pub(crate) const POD_1: &str = "10.0.0.1";
pub(crate) const POD_2: &str = "10.0.0.2";
pub(crate) const VM: &str = "10.0.0.9";
pub(crate) const ALL: [&str; 3] = [POD_1, POD_2, VM];

/// Where a test works.
pub(crate) struct Place<'c> {
    pub(crate) cluster: &'c Cluster,
    pub(crate) namespace: String,
    /// The host that its ServiceEntry has.
    pub(crate) host: String,
    pub(crate) proxy: Proxy,
    pub(crate) kubeconfig: Kubeconfig,
}

impl Place<'static> {
    /// A namespace of the server that tests share; `None` where this machine can't have one.
    pub(crate) fn shared(name: &str) -> Option<Self> {
        Some(Self::within(Cluster::shared()?, name))
    }
}

impl<'c> Place<'c> {
    /// A namespace with one ServiceEntry, two Pods that are ready and one VM.
    pub(crate) fn within(cluster: &'c Cluster, name: &str) -> Self {
        let proxy = Proxy::start(cluster.address, cluster.certificate());
        let kubeconfig = cluster.admin_at(proxy.address);
        let place = Self {
            cluster,
            namespace: name.to_owned(),
            host: format!("{name}.internal.com"),
            proxy,
            kubeconfig,
        };
        let labels = place.labels();
        cluster.api.create_all(&[
            namespace(name),
            selecting(name, "svc", &place.host, &labels),
            place.pod(1),
            place.pod(2),
            vm(name, "vm", &labels, VM),
        ]);
        place
    }

    pub(crate) fn labels(&self) -> Value {
        json!({"app": self.namespace})
    }

    /// A Pod that is ready, at 10.0.0.`number`.
    pub(crate) fn pod(&self, number: u8) -> Value {
        let address = format!("10.0.0.{number}");
        let name = format!("pod-{number}");
        pod(&self.namespace, &name, &self.labels(), &address, true)
    }

    /// Turns a Pod ready, or not.
    #[track_caller]
    pub(crate) fn turn(&self, number: u8, is_ready: bool) {
        let status = pod_status(&format!("10.0.0.{number}"), is_ready);
        self.cluster.api.set_status(&self.pod(number), &status);
    }

    /// Sees that a change gets through: a Pod turns unready, and ready again.
    #[track_caller]
    pub(crate) fn follows(&self, mesh: &Mesh) {
        self.turn(1, false);
        mesh.wait_for(&self.host, &[POD_2, VM]);
        self.turn(1, true);
        mesh.wait_for(&self.host, &ALL);
    }

    /// The arguments that keep a server to this namespace.
    pub(crate) fn only(&self) -> [&str; 2] {
        ["--namespace", &self.namespace]
    }

    /// A server that follows this namespace through the proxy, ready.
    pub(crate) fn follow(&self) -> Mesh {
        Mesh::follow(&self.kubeconfig, &self.only())
    }

    /// The same with more arguments.
    pub(crate) fn follow_with(&self, arguments: &[&str]) -> Mesh {
        Mesh::follow(&self.kubeconfig, &[&self.only(), arguments].concat())
    }

    /// The same, whether it becomes ready or not.
    pub(crate) fn listen_with(&self, arguments: &[&str]) -> Mesh {
        let arguments = [&self.only(), arguments].concat();
        Mesh::listening(mesh::serve(&self.kubeconfig, &arguments))
    }
}
