//! The objects of a large cluster as an API server writes them, made from templates as they are sent.

use serde_json::{Value, json};

/// How large a cluster is. Its services are alike: each selects Pods and VMs of its own.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) services: usize,
    pub(super) pods: usize,
    pub(super) vms: usize,
}

/// A kind that is followed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    ServiceEntry,
    WorkloadEntry,
    WorkloadGroup,
    Pod,
}

impl Kind {
    /// The one that a path ends with.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        match path.rsplit('/').next()? {
            "serviceentries" => Some(Self::ServiceEntry),
            "workloadentries" => Some(Self::WorkloadEntry),
            "workloadgroups" => Some(Self::WorkloadGroup),
            "pods" => Some(Self::Pod),
            _ => None,
        }
    }

    pub(super) fn api_version(self) -> &'static str {
        match self {
            Self::Pod => "v1",
            _ => "networking.istio.io/v1",
        }
    }
}

impl Size {
    /// How many objects of a kind there are.
    pub(super) fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::ServiceEntry => self.services,
            Kind::WorkloadEntry => self.vms,
            Kind::WorkloadGroup => 0,
            Kind::Pod => self.pods,
        }
    }

    pub(super) fn endpoints(&self) -> usize {
        self.pods + self.vms
    }
}

/// The name of a service.
pub(super) fn host(service: usize) -> String {
    format!("svc-{service:06}.big.example")
}

/// The address of a Pod, and of a VM.
pub(super) fn pod_address(pod: usize) -> String {
    address(10, pod)
}

fn address(first: usize, number: usize) -> String {
    let [high, middle, low] = [16, 8, 0].map(|bits| (number >> bits) & 0xff);
    format!("{first}.{high}.{middle}.{low}")
}

/// Text with places for what differs from object to object.
pub(super) struct Template(Vec<Piece>);

enum Piece {
    Text(Vec<u8>),
    Number,
    Service,
    Namespace,
    Address,
    Ready,
    Version,
}

/// A mark in a template's text, and the place that it marks.
type Mark = (&'static str, fn() -> Piece);

const MARKS: [Mark; 6] = [
    ("@NUMBER@", || Piece::Number),
    ("@SERVICE@", || Piece::Service),
    ("@NAMESPACE@", || Piece::Namespace),
    ("@ADDRESS@", || Piece::Address),
    ("@READY@", || Piece::Ready),
    ("@VERSION@", || Piece::Version),
];

impl Template {
    fn of(object: &Value) -> Self {
        let text = object.to_string();
        let mut pieces = Vec::new();
        let mut rest = text.as_str();
        let next = |rest: &str| {
            let found = MARKS
                .iter()
                .filter_map(|(mark, piece)| Some((rest.find(mark)?, mark, piece)));
            found
                .min_by_key(|(place, ..)| *place)
                .map(|(place, mark, piece)| (place, mark.len(), piece()))
        };
        while let Some((place, length, piece)) = next(rest) {
            pieces.push(Piece::Text(rest[..place].into()));
            pieces.push(piece);
            rest = &rest[place + length..];
        }
        pieces.push(Piece::Text(rest.into()));
        Self(pieces)
    }

    fn write(&self, values: &Values, into: &mut Vec<u8>) {
        for piece in &self.0 {
            let text = match piece {
                Piece::Text(text) => {
                    into.extend_from_slice(text);
                    continue;
                }
                Piece::Number => format!("{:06}", values.number),
                Piece::Service => format!("{:06}", values.service),
                Piece::Namespace => format!("{:03}", values.service % NAMESPACES),
                Piece::Address => values.address.clone(),
                Piece::Ready => if values.is_ready { "True" } else { "False" }.to_owned(),
                Piece::Version => values.version.to_string(),
            };
            into.extend_from_slice(text.as_bytes());
        }
    }
}

const NAMESPACES: usize = 200;

struct Values {
    number: usize,
    service: usize,
    address: String,
    is_ready: bool,
    version: u64,
}

/// Everything that is sent.
pub(super) struct Objects {
    size: Size,
    service: Template,
    vm: Template,
    /// From 5 to 9 KiB.
    pods: Vec<Template>,
}

impl Objects {
    pub(super) fn new(size: Size) -> Self {
        Self {
            size,
            service: Template::of(&service()),
            vm: Template::of(&vm()),
            pods: (0..5).map(|more| Template::of(&pod(more))).collect(),
        }
    }

    /// Appends an object in JSON.
    pub(super) fn write(
        &self,
        kind: Kind,
        number: usize,
        version: u64,
        is_ready: bool,
        into: &mut Vec<u8>,
    ) {
        let each = |count: usize| count.div_ceil(self.size.services.max(1)).max(1);
        let (template, service, first) = match kind {
            Kind::ServiceEntry | Kind::WorkloadGroup => (&self.service, number, 0),
            Kind::WorkloadEntry => (&self.vm, number / each(self.size.vms), 172),
            Kind::Pod => (
                &self.pods[number % self.pods.len()],
                number / each(self.size.pods),
                10,
            ),
        };
        let values = Values {
            number,
            service,
            address: address(first, number),
            is_ready,
            version,
        };
        template.write(&values, into);
    }

    /// The shortest and the longest Pod, in bytes.
    pub(super) fn pod_bytes(&self) -> [usize; 2] {
        let lengths = (0..self.pods.len()).map(|number| {
            let mut text = Vec::new();
            self.write(Kind::Pod, number, 1_234_567, true, &mut text);
            text.len()
        });
        let lengths: Vec<usize> = lengths.collect();
        [lengths[0], lengths[lengths.len() - 1]]
    }
}

fn metadata(name: &str, labels: &Value) -> Value {
    json!({
        "name": name, "namespace": "team-@NAMESPACE@", "uid": "5f0c6a52-1d2e-4c1b-9a55-000000@NUMBER@",
        "resourceVersion": "@VERSION@", "generation": 1, "creationTimestamp": "2026-11-20T08:00:00Z", "labels": labels,
    })
}

/// Who wrote which field, as a server keeps it: a third of an object, and nobody reads it.
fn managed_fields(fields: &[&str]) -> Value {
    let owned: serde_json::Map<String, Value> = fields
        .iter()
        .map(|field| {
            (
                format!("f:{field}"),
                json!({"f:value": {}, ".": {}, "f:lastTransitionTime": {}}),
            )
        })
        .collect();
    json!([{
        "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1",
        "time": "2026-11-20T08:00:00Z", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:metadata": {"f:labels": owned.clone()}, "f:spec": owned},
    }])
}

fn service() -> Value {
    let mut made = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": metadata("svc-@NUMBER@", &json!({"app.kubernetes.io/managed-by": "Helm", "team": "team-@NAMESPACE@"})),
        "spec": {
            "hosts": ["svc-@SERVICE@.big.example"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP", "targetPort": 8080}],
            "workloadSelector": {"labels": {"app": "app-@SERVICE@"}},
        },
    });
    made["metadata"]["managedFields"] = managed_fields(&[
        "hosts",
        "location",
        "ports",
        "resolution",
        "workloadSelector",
    ]);
    made
}

fn vm() -> Value {
    let mut made = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": metadata("vm-@NUMBER@", &json!({"app": "app-@SERVICE@", "service.istio.io/canonical-name": "app-@SERVICE@"})),
        "spec": {
            "address": "@ADDRESS@", "labels": {"app": "app-@SERVICE@", "class": "vm"}, "serviceAccount": "app-@SERVICE@",
            "network": "network-1", "locality": "eu-central-1/eu-central-1a",
        },
        "status": {"conditions": [{
            "type": "Healthy", "status": "@READY@", "lastProbeTime": "2026-11-20T08:00:05Z",
            "lastTransitionTime": "2026-11-20T08:00:00Z",
        }]},
    });
    made["metadata"]["managedFields"] =
        managed_fields(&["address", "labels", "serviceAccount", "network", "locality"]);
    made["metadata"]["annotations"] = json!({
        "istio.io/autoRegistrationGroup": "vms", "proxy.istio.io/health-checks-enabled": "true",
        "istio.io/workloadController": "istiod-6d5f9c7b8-abcde",
    });
    made
}

/// A Pod with a sidecar, with `more` of what makes Pods long.
fn pod(more: usize) -> Value {
    let variables: Vec<Value> = (0..6 + 8 * more)
        .map(|number| json!({"name": format!("SETTING_{number}"), "value": "https://config.team.svc.cluster.local:8443"}))
        .collect();
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "env": variables, "imagePullPolicy": "IfNotPresent",
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "256Mi"}},
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 5},
            "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true}],
        })
    };
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "observedGeneration": 1, "lastProbeTime": null,
            "lastTransitionTime": "2026-11-20T08:00:10Z",
        })
    };
    let labels = json!({"app": "app-@SERVICE@", "pod-template-hash": "6c9f7d5b8", "security.istio.io/tlsMode": "istio"});
    let state = |name: &str| {
        json!({
            "name": name, "image": "registry.example/app:1.8.0", "ready": true, "started": true, "restartCount": 0,
            "imageID": "registry.example/app@sha256:4c0f0e3b5f0a9c6b1d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c",
            "containerID": "containerd://9d0f0e3b5f0a9c6b1d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c",
            "state": {"running": {"startedAt": "2026-11-20T08:00:08Z"}}, "lastState": {},
        })
    };
    let mut made = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": metadata("app-@SERVICE@-6c9f7d5b8-@NUMBER@", &labels),
        "spec": {
            "nodeName": "node-@NAMESPACE@", "serviceAccountName": "app-@SERVICE@", "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst", "schedulerName": "default-scheduler", "enableServiceLinks": true, "priority": 0,
            "containers": [container("app", "registry.example/app:1.8.0"), container("istio-proxy", "registry.example/proxyv2:1.30.0")],
            "tolerations": [
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
                {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300},
            ],
            "volumes": [{"name": "token", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}]}}],
        },
        "status": {
            "phase": "Running", "hostIP": "198.51.100.1", "hostIPs": [{"ip": "198.51.100.1"}], "podIP": "@ADDRESS@",
            "podIPs": [{"ip": "@ADDRESS@"}], "startTime": "2026-11-20T08:00:00Z", "qosClass": "Burstable",
            "conditions": [
                condition("PodReadyToStartContainers", "True"), condition("Initialized", "True"),
                condition("Ready", "@READY@"), condition("ContainersReady", "@READY@"), condition("PodScheduled", "True"),
            ],
            "containerStatuses": [state("app"), state("istio-proxy")],
        },
    });
    made["metadata"]["managedFields"] = managed_fields(&[
        "generateName",
        "labels",
        "ownerReferences",
        "containers",
        "dnsPolicy",
        "enableServiceLinks",
        "restartPolicy",
        "schedulerName",
        "securityContext",
        "terminationGracePeriodSeconds",
        "conditions",
        "containerStatuses",
        "hostIP",
        "phase",
        "podIP",
        "podIPs",
        "startTime",
    ]);
    made["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "app-@SERVICE@-6c9f7d5b8", "controller": true,
        "uid": "7d1f6c52-3c0e-4b7a-9a55-1f7b0c6f2e10", "blockOwnerDeletion": true,
    }]);
    made
}
