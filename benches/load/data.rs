//! The names that every server holds: a mesh folder and a zone file that say the same.
//!
//! Nothing here is random: two runs measure the same names, and ask for them in the same order.

use std::{
    fmt::Write as _,
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

/// The zone of the mesh's names.
pub(crate) const ZONE: &str = "mesh.example";
/// The zone of names that are not in the mesh.
pub(crate) const ELSEWHERE: &str = "elsewhere.example";
/// The parent of a wildcard.
pub(crate) const WILD: &str = "wild.mesh.example";
/// The parent of a wildcard whose questions are shared out between two sides.
pub(crate) const DIAL: &str = "dial.mesh.example";
/// How many addresses each name has.
pub(crate) const ADDRESSES: u32 = 4;
const TTL_SECONDS: u32 = 5;

/// The names of a zone, and how many.
pub(crate) struct Data {
    zone: &'static str,
    names: u32,
}

/// Where the mesh folder is.
pub(crate) fn mesh_folder(folder: &Path) -> PathBuf {
    folder.join("mesh")
}

/// Where the zone file is.
pub(crate) fn zone_file(folder: &Path) -> PathBuf {
    folder.join("names.zone")
}

impl Data {
    pub(crate) fn new(zone: &'static str, names: u32) -> Self {
        Self { zone, names }
    }

    /// Every name once, in an order that has nothing to do with the one in memory.
    pub(crate) fn shuffled(&self) -> impl Iterator<Item = String> {
        // Steps of a prime that is larger than any count of names visit each of them once.
        const STEP: u64 = 2_654_435_761;
        let names = u64::from(self.names);
        (0..names).map(move |index| {
            let index = index * STEP % names;
            self.name(u32::try_from(index).expect("below the count of names"))
        })
    }

    /// Writes the mesh folder and the zone file below `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        const DOCUMENTS_PER_FILE: usize = 100;
        let mesh = mesh_folder(folder);
        fs::create_dir(&mesh)?;
        let hosts: Vec<(String, u32)> = (0..self.names)
            .map(|index| (self.name(index), index))
            .chain([(format!("*.wild.{}", self.zone), self.names)])
            .collect();
        for (index, part) in hosts.chunks(DOCUMENTS_PER_FILE).enumerate() {
            let documents: Vec<String> = part
                .iter()
                .map(|(host, number)| service_entry(host, *number))
                .collect();
            fs::write(
                mesh.join(format!("{index:04}.yaml")),
                documents.join("---\n"),
            )?;
        }
        fs::write(mesh.join("dial.yaml"), dialled(self.zone, self.names))?;
        let mut zone = format!(
            "$ORIGIN {}.\n$TTL {TTL_SECONDS}\n@ SOA ns hostmaster 1 60 10 86400 5\n@ NS ns\nns A 127.0.0.1\n",
            self.zone
        );
        for (host, number) in &hosts {
            for address in addresses(*number) {
                writeln!(zone, "{host}. A {address}").expect("a string takes everything");
                if !host.starts_with('*') {
                    write_endpoint(&mut zone, host, address);
                }
            }
        }
        // What others hold in its place is as large as what is drawn.
        for address in addresses(self.names).take(2) {
            writeln!(zone, "*.dial.{}. A {address}", self.zone).expect("a string takes everything");
        }
        fs::write(zone_file(folder), zone)
    }

    fn name(&self, index: u32) -> String {
        format!("service-{index}.team-{}.{}", index % 97, self.zone)
    }
}

/// What a mesh's host answers besides its addresses: each endpoint has a name, to which the service leads.
fn write_endpoint(zone: &mut String, host: &str, address: IpAddr) {
    let label = address.to_string().replace('.', "-");
    writeln!(
        zone,
        "{label}.{host}. A {address}\n_http._tcp.{host}. SRV 0 65280 80 {label}.{host}."
    )
    .expect("a string takes everything");
}

/// Four addresses that no other name has.
fn addresses(number: u32) -> impl Iterator<Item = IpAddr> {
    const PRIVATE: u32 = 0x0a00_0000;
    (0..ADDRESSES).map(move |index| Ipv4Addr::from(PRIVATE + number * ADDRESSES + index).into())
}

/// A host of two sides, of which one has 30 % of the questions.
fn dialled(zone: &str, number: u32) -> String {
    let mut document = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: dialled
  namespace: bench
  annotations:
    meshdns.io/share-by: label:side
    meshdns.io/share: a=30, b=70
spec:
  hosts: [\"*.dial.{zone}\"]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints:
"
    );
    for (address, side) in addresses(number).zip(["a", "a", "b", "b"]) {
        writeln!(
            document,
            "    - {{address: {address}, labels: {{side: {side}}}}}"
        )
        .expect("a string takes everything");
    }
    document
}

fn service_entry(host: &str, number: u32) -> String {
    let mut document = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: service-{number}
  namespace: bench
spec:
  hosts:
    - \"{host}\"
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
    - number: 80
      name: http
      protocol: HTTP
  endpoints:
"
    );
    for address in addresses(number) {
        writeln!(document, "    - address: {address}").expect("a string takes everything");
    }
    document
}
