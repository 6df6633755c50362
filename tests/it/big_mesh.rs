//! A large mesh: services with selectors, their Pods and their VMs, in files of many objects.
//!
//! Which labels an object has is drawn from a seed: two runs make the same mesh. Objects are as `kubectl get` prints
//! them, without what DNS does not look at.

use std::{fs, io, net::Ipv4Addr, path::Path};

use serde_json::{Value, json};

/// How large a mesh, and how it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mesh {
    /// ServiceEntries, `svc-000000.big.example` and so on.
    pub(crate) services: usize,
    /// Pods of each service.
    pub(crate) pods: usize,
    /// WorkloadEntries of each service, all healthy.
    pub(crate) vms: usize,
    /// Namespaces; each has as many services as the others.
    pub(crate) namespaces: usize,
    /// Objects in a file: ServiceEntries first, then Pods, then WorkloadEntries.
    pub(crate) objects_a_file: usize,
    /// What a service selects.
    pub(crate) selects: Selects,
    /// How files are written.
    pub(crate) format: Format,
}

/// What a service selects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Selects {
    /// Its own Pods and VMs, by one label or by two.
    Own,
    /// All of its namespace, by a label that everyone has.
    Everyone,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Format {
    /// One document per object, in block style.
    Yaml,
    /// One `kind: List`, on one line.
    Json,
}

/// The label that everyone has, and the one that a service's own have.
const EVERYONE: (&str, &str) = ("mesh", "big");
const OWN: &str = "app";

impl Mesh {
    /// How many files [`Self::write`] makes.
    pub(crate) fn files(&self) -> usize {
        let objects = self.services * (1 + self.pods + self.vms);
        objects.div_ceil(self.objects_a_file)
    }

    /// Writes every file below `folder`, all Pods ready.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        (0..self.files()).try_for_each(|file| {
            fs::write(folder.join(self.file_name(file)), self.text(file, |_| true))
        })
    }

    /// What a file is called.
    pub(crate) fn file_name(&self, file: usize) -> String {
        let extension = match self.format {
            Format::Yaml => "yaml",
            Format::Json => "json",
        };
        format!("part-{file:05}.{extension}")
    }

    /// What a file says; `is_ready` tells of each Pod, counted over all services.
    pub(crate) fn text(&self, file: usize, is_ready: impl Fn(usize) -> bool) -> String {
        match self.format {
            Format::Yaml => self.documents(file, is_ready).collect(),
            Format::Json => {
                let items: Vec<Value> = self.objects(file, is_ready).collect();
                json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
            }
        }
    }

    /// The objects of a file, each as a YAML document of its own.
    pub(crate) fn documents(
        &self,
        file: usize,
        is_ready: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = String> {
        self.objects(file, is_ready).map(|object| {
            let text = serde_yaml::to_string(&object).expect("an object can be written");
            format!("---\n{text}")
        })
    }

    fn objects(
        &self,
        file: usize,
        is_ready: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = Value> {
        let first = file * self.objects_a_file;
        let all = self.services * (1 + self.pods + self.vms);
        let objects = first..all.min(first + self.objects_a_file);
        objects.map(move |index| self.object(index, &is_ready))
    }

    /// The name of a service.
    pub(crate) fn host(service: usize) -> String {
        format!("svc-{service:06}.big.example")
    }

    /// The service of a Pod.
    pub(crate) fn service_of(&self, pod: usize) -> usize {
        pod / self.pods
    }

    /// The file that holds a Pod.
    pub(crate) fn file_of(&self, pod: usize) -> usize {
        (self.services + pod) / self.objects_a_file
    }

    /// The address of a Pod.
    pub(crate) fn address_of(pod: usize) -> Ipv4Addr {
        address(Ipv4Addr::new(10, 0, 0, 0), pod)
    }

    fn object(&self, index: usize, is_ready: &impl Fn(usize) -> bool) -> Value {
        let pods = self.services * self.pods;
        if index < self.services {
            self.service_entry(index)
        } else if index < self.services + pods {
            let pod = index - self.services;
            self.pod(pod, is_ready(pod))
        } else {
            self.workload_entry(index - self.services - pods)
        }
    }

    fn service_entry(&self, service: usize) -> Value {
        let mut selector = json!({});
        if self.selects == Selects::Own {
            selector[OWN] = app(service);
        }
        if self.selects == Selects::Everyone || service % 2 == 1 {
            selector[EVERYONE.0] = EVERYONE.1.into();
        }
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": format!("svc-{service}"), "namespace": self.namespace(service)},
            "spec": {
                "hosts": [Self::host(service)],
                "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}],
                "resolution": "STATIC",
                "workloadSelector": {"labels": selector},
            },
        })
    }

    fn pod(&self, pod: usize, is_ready: bool) -> Value {
        let service = self.service_of(pod);
        let ip = Self::address_of(pod);
        json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "labels": labels(service, pod),
                "name": format!("svc-{service}-{pod}"),
                "namespace": self.namespace(service),
            },
            "status": {
                "conditions": [{"status": if is_ready { "True" } else { "False" }, "type": "Ready"}],
                "phase": "Running",
                "podIP": ip,
                "podIPs": [{"ip": ip}],
            },
        })
    }

    fn workload_entry(&self, vm: usize) -> Value {
        let service = vm / self.vms;
        json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": {"name": format!("vm-{service}-{vm}"), "namespace": self.namespace(service)},
            "spec": {
                "address": address(Ipv4Addr::new(172, 16, 0, 0), vm),
                "labels": labels(service, vm),
            },
        })
    }

    fn namespace(&self, service: usize) -> String {
        format!("ns-{}", service * self.namespaces / self.services)
    }
}

fn app(service: usize) -> Value {
    format!("svc-{service}").into()
}

/// Three to six labels.
fn labels(service: usize, workload: usize) -> Value {
    const MORE: [(&str, u16); 4] = [
        ("pod-template-hash", u16::MAX),
        ("team", 50),
        ("tier", 3),
        ("version", 8),
    ];
    let [first, count, low, high, ..] = random(workload).to_le_bytes();
    let value = u16::from_le_bytes([low, high]);
    let mut labels = json!({OWN: app(service), EVERYONE.0: EVERYONE.1});
    let (first, count) = (usize::from(first), 1 + usize::from(count % 4));
    for (key, values) in MORE.iter().cycle().skip(first % 4).take(count) {
        labels[*key] = format!("{}-{}", &key[..1], value % values).into();
    }
    labels
}

/// A number that looks random and is the same in every run: `SplitMix64`, seeded.
fn random(index: usize) -> u64 {
    const SEED: u64 = 0x6d65_7368_646e_7321;
    let mut bits = SEED.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The address that many behind `first`, with one left out.
fn address(first: Ipv4Addr, index: usize) -> Ipv4Addr {
    let offset = u32::try_from(index + 1).expect("fewer workloads than addresses");
    Ipv4Addr::from(u32::from(first) + offset)
}
