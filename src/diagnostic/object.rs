use std::{fmt, sync::Arc};

/// The kinds of object that meshdns reads.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// `networking.istio.io` ServiceEntry: a host and where its endpoints come from.
    ServiceEntry,
    /// `networking.istio.io` WorkloadEntry: one VM.
    WorkloadEntry,
    /// `networking.istio.io` WorkloadGroup: a template of WorkloadEntries, never an endpoint itself.
    WorkloadGroup,
    /// Kubernetes core Pod.
    Pod,
    /// Kubernetes core Node: where the Pods on it are.
    Node,
}

impl Kind {
    /// Every kind, in the order in which outputs list them.
    pub const ALL: [Self; 5] = [
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::WorkloadGroup,
        Self::Pod,
        Self::Node,
    ];

    /// Those that clusters are asked for.
    pub const OF_CLUSTERS: [Self; 4] = [
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::WorkloadGroup,
        Self::Pod,
    ];

    /// Whether it is one of Kubernetes' own.
    pub fn is_of_core(self) -> bool {
        matches!(self, Self::Pod | Self::Node)
    }

    /// The kind as manifests spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::WorkloadGroup => "WorkloadGroup",
            Self::Pod => "Pod",
            Self::Node => "Node",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What identifies an object in a mesh: its kind, namespace and name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectKey {
    /// The object's kind; the API version plays no part, as in Istio.
    pub kind: Kind,
    /// `metadata.namespace`, `default` where the manifest names none.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            // It is in no namespace.
            Kind::Node => write!(f, "{} {}", self.kind, self.name),
            kind => write!(f, "{kind} {}/{}", self.namespace, self.name),
        }
    }
}
