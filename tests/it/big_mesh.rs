//! Writes a large mesh to a folder: services with selectors, their Pods and their VMs.

use std::{fmt::Write as _, fs, io, path::Path};

/// How large a mesh to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// ServiceEntries, `svc-0.big.example` and so on, a hundred to a namespace.
    pub(crate) services: usize,
    /// Pods of each service, all ready.
    pub(crate) pods: usize,
    /// WorkloadEntries of each service, all healthy.
    pub(crate) vms: usize,
    /// Objects in a file.
    pub(crate) objects_a_file: usize,
}

impl Size {
    /// How many files [`write`] makes.
    pub(crate) fn files(self) -> usize {
        (self.services * (1 + self.pods + self.vms)).div_ceil(self.objects_a_file)
    }
}

/// Writes the mesh below `folder` as `part-0.yaml` and so on; each service's objects follow one another.
pub(crate) fn write(folder: &Path, size: Size) -> io::Result<()> {
    let mut objects = (0..size.services).flat_map(|service| {
        let pods = (0..size.pods).map(move |number| pod(service, number, true));
        let vms = (0..size.vms).map(move |number| vm(service, number));
        std::iter::once(service_entry(service))
            .chain(pods)
            .chain(vms)
    });
    for part in 0..size.files() {
        let text: String = objects.by_ref().take(size.objects_a_file).collect();
        fs::write(folder.join(format!("part-{part}.yaml")), text)?;
    }
    Ok(())
}

/// The name of a service.
pub(crate) fn host(service: usize) -> String {
    format!("svc-{service}.big.example")
}

fn service_entry(service: usize) -> String {
    let namespace = service / 100;
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: svc-{service}\n  \
         namespace: ns-{namespace}\nspec:\n  hosts:\n  - {}\n  ports:\n  - number: 80\n    name: http\n    \
         protocol: HTTP\n  resolution: STATIC\n  workloadSelector:\n    labels:\n      app: svc-{service}\n",
        host(service)
    )
}

/// A Pod of a service, as `kubectl get -o yaml` has it, without the noise.
pub(crate) fn pod(service: usize, number: usize, ready: bool) -> String {
    let mut text = String::new();
    let (namespace, ip) = (service / 100, address(10, service, number));
    let ready = if ready { "True" } else { "False" };
    write!(
        text,
        "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: svc-{service}-{number}\n  namespace: ns-{namespace}\n  \
         labels:\n    app: svc-{service}\n    class: pod\n    pod-template-hash: h{service}\nstatus:\n  \
         phase: Running\n  podIP: {ip}\n  podIPs:\n  - ip: {ip}\n  conditions:\n  - type: Ready\n    \
         status: \"{ready}\"\n"
    )
    .expect("a string can be written to");
    text
}

fn vm(service: usize, number: usize) -> String {
    let (namespace, ip) = (service / 100, address(172, service, number));
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: vm-{service}-{number}\n  \
         namespace: ns-{namespace}\nspec:\n  address: {ip}\n  labels:\n    app: svc-{service}\n    class: vm\n    \
         instance-id: i-{service}-{number}\n"
    )
}

/// The address of a service's Pod, as [`pod`] writes it.
pub(crate) fn pod_address(service: usize, number: usize) -> String {
    address(10, service, number)
}

fn address(first: u8, service: usize, number: usize) -> String {
    let index = service * 16 + number;
    format!(
        "{first}.{}.{}.{}",
        index >> 16 & 255,
        index >> 8 & 255,
        index & 255
    )
}
