//! Who asks, where that decides what is seen: a listener of a namespace's own, a forwarder that says for whom it asks. What each gets is
//! reference/answer-policy.md's cases 40 and 41.

use std::net::{SocketAddr, UdpSocket};

use rustix::process::Signal;

use crate::{
    harness::{Place, until},
    program::{PATIENCE, Server},
};

/// One host that `shop` alone sees, and one that is nearer to some than to others.
const MESH: &str = r"apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: secret, namespace: ns1}
spec:
  hosts: [secret.internal.com]
  exportTo: [shop]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 192.0.2.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: near
  namespace: ns1
  annotations: {networking.istio.io/traffic-distribution: PreferClose}
spec:
  hosts: [near.internal.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 192.0.2.11, locality: eu/eu-1}
  - {address: 192.0.2.12, locality: us/us-1}
";

const CONFIGURATION: &str = "\
zones: [internal.com]
listen:
- 127.0.0.1:0
- {address: '127.0.0.3:0', namespace: shop, locality: eu/eu-1, forwarder: true}
answers: {exportTo: enforce}
forwarders: [auto, {network: 127.0.0.7, trust: [subnet]}]
clients:
- {network: 10.1.0.0/16, namespace: shop, locality: us/us-1}
";

fn serve(place: &Place) -> Server {
    place.write("zones/mesh.yaml", MESH);
    place.write("meshdns.yaml", CONFIGURATION);
    Server::start(place.meshdns(&[
        "serve",
        "--config",
        "meshdns.yaml",
        "--http",
        "127.0.0.1:0",
        "zones",
    ]))
}

/// The option of a query asked for 10.1.0.5/32, or its answer's with this scope.
fn subnet(scope: u8) -> [u8; 12] {
    [0, 8, 0, 8, 0, 1, 32, scope, 10, 1, 0, 5]
}

/// Asks from `source`: the last bytes of the addresses of the answer, its response code, and what stands behind its OPT record.
fn ask(source: &str, server: SocketAddr, host: &str, option: &[u8]) -> (Vec<u8>, u8, Vec<u8>) {
    let mut query = b"\0\x07\0\0\0\x01\0\0\0\0\0\x01".to_vec();
    for label in host.split('.') {
        query.push(label.len().try_into().expect("a short label"));
        query.extend(label.as_bytes());
    }
    query.extend(b"\0\0\x01\0\x01");
    let answers_at = query.len();
    query.extend(b"\0\0\x29\x04\xd0\0\0\0\0\0");
    query.push(option.len().try_into().expect("a short option"));
    query.extend(option);
    let socket = UdpSocket::bind((source, 0)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time");
    socket.send_to(&query, server).expect("it is sent");
    let mut reply = vec![0; 4096];
    let length = socket.recv(&mut reply).expect("a reply");
    reply.truncate(length);
    let count = usize::from(reply[7]);
    let addresses = (0..count).map(|index| reply[answers_at + 16 * index + 15]);
    let mut addresses: Vec<u8> = addresses.collect();
    addresses.sort_unstable();
    let opt_at = reply.windows(3).rposition(|bytes| bytes == b"\0\0\x29");
    let options = opt_at.map(|at| reply[at + 11..].to_vec());
    (addresses, reply[3] & 0xf, options.unwrap_or_default())
}

const NXDOMAIN: u8 = 3;

#[test]
fn what_is_to_be_hidden_is_hidden_from_the_next_sighup_on() {
    let place = Place::new();
    let server = serve(&place);
    let asked = || ask("127.0.0.1", server.dns, "secret.internal.com", &[]).1;
    assert_eq!(asked(), NXDOMAIN);
    for (enforcement, expected) in [("ignore", 0), ("enforce", NXDOMAIN)] {
        let text = CONFIGURATION.replace("enforce", enforcement);
        place.write("meshdns.yaml", &text);
        server.signal(Signal::HUP);
        until(&format!("exportTo: {enforcement}"), || {
            (asked() == expected).then_some(())
        });
    }
}

#[test]
fn a_listener_of_a_namespace_shows_its_view_whoever_asks_there() {
    let place = Place::new();
    let server = serve(&place);
    let of_shop = server.address_in_log("address=127.0.0.3:");
    let (addresses, rcode, _) = ask("127.0.0.1", of_shop, "secret.internal.com", &[]);
    assert_eq!((addresses, rcode), (vec![1], 0));
    let (addresses, rcode, _) = ask("127.0.0.1", server.dns, "secret.internal.com", &[]);
    assert_eq!((addresses, rcode), (vec![], NXDOMAIN));
    // And where they are.
    let (addresses, ..) = ask("127.0.0.1", of_shop, "near.internal.com", &[]);
    assert_eq!(addresses, [11]);
    let (addresses, ..) = ask("127.0.0.1", server.dns, "near.internal.com", &[]);
    assert_eq!(addresses, [11, 12]);
}

#[test]
fn a_subnet_counts_where_the_forwarder_is_trusted_and_nowhere_else() {
    let place = Place::new();
    let server = serve(&place);
    let dns = server.dns;
    let (addresses, _, options) = ask("127.0.0.7", dns, "secret.internal.com", &subnet(0));
    assert_eq!((addresses, options), (vec![1], subnet(32).to_vec()));
    let (addresses, _, options) = ask("127.0.0.7", dns, "near.internal.com", &subnet(0));
    assert_eq!((addresses, options), (vec![12], subnet(32).to_vec()));
    let (addresses, rcode, options) = ask("127.0.0.8", dns, "secret.internal.com", &subnet(0));
    let expected = (vec![], NXDOMAIN);
    assert_eq!((addresses, rcode), expected);
    assert!(options.ends_with(&subnet(0)), "{options:?}");
    // Without the option a forwarder is nobody in particular.
    let (addresses, rcode, _) = ask("127.0.0.7", dns, "secret.internal.com", &[]);
    assert_eq!((addresses, rcode), expected);
}

#[test]
fn the_configuration_says_what_is_wrong_with_those_who_ask() {
    let place = Place::with_svc1();
    for (text, expected) in [
        (
            "listen: [{address: '127.0.0.1:0', namespace: Shop}]\n",
            "listen[0].namespace: invalid value `Shop`: expected a namespace",
        ),
        (
            "forwarders: [{network: 10.0.0.1, trust: [mac]}]\n",
            "forwarders[0].trust[0]: invalid value `mac`: expected subnet",
        ),
        (
            "clients: [{network: 10.0.0.0/8, locality: eu//x}]\n",
            "clients[0].locality: invalid value `eu//x`: expected REGION, REGION/ZONE",
        ),
        (
            "answers: {exportTo: yes}\n",
            "answers.exportTo: invalid value `yes`: expected ignore or enforce",
        ),
        (
            "answers: {locality: on}\n",
            "answers.locality: invalid value `on`: expected off or preferSameZone",
        ),
        (
            "answers: {minEndpoints: 0}\n",
            "answers.minEndpoints: invalid value `0`: expected a number from 1 to 65535",
        ),
    ] {
        place.write("meshdns.yaml", text);
        let ran = place.run(&["check", "--config", "meshdns.yaml", "zones"]);
        assert_eq!(ran.code, Some(78), "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{text}: {}", ran.stderr);
        assert!(ran.stderr.contains("meshdns.yaml:1:"), "{}", ran.stderr);
    }
}

#[test]
fn the_asker_changes_with_the_mesh_and_explain_tells_of_it() {
    let place = Place::new();
    let server = serve(&place);
    let (addresses, ..) = ask("127.0.0.9", server.dns, "secret.internal.com", &[]);
    assert!(addresses.is_empty());
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nstatus: {phase: Running, podIP: 127.0.0.9, conditions: [{type: Ready, status: \"True\"}]}\n";
    place.write("zones/pod.yaml", pod);
    until("the Pod sees what its namespace sees", || {
        let (addresses, ..) = ask("127.0.0.9", server.dns, "secret.internal.com", &[]);
        (addresses == [1]).then_some(())
    });
    let explained = |client: &str| {
        let ran = place.run(&[
            "explain",
            "secret.internal.com",
            "--client",
            client,
            "--config",
            "meshdns.yaml",
            "zones",
        ]);
        ran.stdout
    };
    let seen = explained("127.0.0.9");
    assert!(
        seen.contains("asker  127.0.0.9 asks for itself (Pod shop/p), namespace shop\n"),
        "{seen}"
    );
    let hidden = explained("127.0.0.10");
    assert!(
        hidden.contains("exportTo keeps it from who asks (answers.exportTo: enforce)"),
        "{hidden}"
    );
}
