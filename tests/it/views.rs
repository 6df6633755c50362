//! What `exportTo` hides from whom, where it is enforced: reference/answer-policy.md's cases 37 to 39, and the law that a client sees
//! the mesh as if what it may not see did not exist.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use meshdns::{
    answer::{Outcome, Query, answer},
    dns::{Name, Rcode, RecordType},
    explain, manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
    select::{ClientNetwork, ClientNetworks, TrafficPolicy},
    zone::Settings,
};
use proptest::prelude::*;

/// A ServiceEntry with one address of its own.
fn service(namespace: &str, name: &str, host: &str, export: &str, endpoint: &str) -> String {
    let export = match export {
        "" => String::new(),
        export => format!("  exportTo: [{export}]\n"),
    };
    let resolution = if endpoint.parse::<IpAddr>().is_ok() {
        "STATIC"
    } else {
        "DNS"
    };
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  hosts: [\"{host}\"]\n  location: MESH_INTERNAL\n  resolution: {resolution}\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
         {export}  endpoints: [{{address: {endpoint}}}]\n"
    )
}

fn pod(namespace: &str, name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         status: {{phase: Running, podIP: {address}, conditions: [{{type: Ready, status: \"True\"}}]}}\n"
    )
}

fn policy(zones: &[&str]) -> Policy {
    let network = ClientNetwork {
        namespace: Some("shop".into()),
        ..ClientNetwork::default()
    };
    let clients = Arc::new(ClientNetworks::new([(
        "10.9.0.0/16".parse().expect("a network"),
        network,
    )]));
    Policy {
        settings: Arc::new(Settings {
            zones: zones
                .iter()
                .map(|zone| zone.parse().expect("a name"))
                .collect(),
            forwarders: vec!["10.9.9.9/32".parse().expect("a network")],
            clients: clients.clone(),
            ..Settings::default()
        }),
        traffic: Arc::new(TrafficPolicy {
            clients,
            ..TrafficPolicy::default()
        }),
        enforces_export: true,
        ..Policy::default()
    }
}

fn apply(pipeline: &mut Pipeline, file: &str, text: &str) {
    let file: Arc<str> = file.into();
    let change = FileChange {
        reading: Reading::Read(manifest::parse(&file, text)),
        file,
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    pipeline.apply([change], now);
}

fn load(policy: Policy, text: &str) -> Pipeline {
    let mut pipeline = Pipeline::new(policy);
    apply(&mut pipeline, "mesh.yaml", text);
    pipeline
}

/// The addresses that a client gets, or the response code where it gets none.
fn asked(pipeline: &Pipeline, client: &str, name: &str) -> Result<Vec<IpAddr>, Rcode> {
    let name: Name = name.parse().expect("a name");
    let snapshot = pipeline.snapshot();
    let asker = snapshot.asker(client.parse().expect("an address"));
    let query = Query {
        asker: &asker,
        ..Query::of(&name, RecordType::A)
    };
    let answered = answer(snapshot.seen_by(asker), &query);
    let Outcome::Addresses(addresses) = answered.outcome else {
        return Err(answered.outcome.rcode());
    };
    let mut out = Vec::new();
    addresses.write(&mut out);
    let length = out.len() / addresses.count();
    let octets = out.chunks(length).map(|record| {
        let octets: [u8; 4] = record[12..].try_into().expect("four octets");
        IpAddr::from(octets)
    });
    Ok(octets.collect())
}

/// The data of the records that a client gets, and the response code.
fn told(
    pipeline: &Pipeline,
    client: &str,
    name: &str,
    record_type: RecordType,
) -> (Rcode, Vec<String>) {
    let name: Name = name.parse().expect("a name");
    let client = client.parse().expect("an address");
    let told = explain::explain(pipeline, &name, record_type, Some(client));
    let mut data: Vec<String> = told.answer.into_iter().map(|record| record.data).collect();
    data.sort_unstable();
    (told.rcode, data)
}

#[track_caller]
fn check(pipeline: &Pipeline, client: &str, name: &str, expected: Result<&str, Rcode>) {
    let expected = expected.map(|address| vec![address.parse().expect("an address")]);
    assert_eq!(
        asked(pipeline, client, name),
        expected,
        "{client} asks {name}"
    );
}

const HOST: &str = "orders.internal.com";
const IN_SHOP: &str = "10.244.0.1";
const IN_BILLING: &str = "10.244.0.2";

/// Pods of two namespaces, and two that share their node's address.
fn clients() -> String {
    let mut text = pod("shop", "a", IN_SHOP) + &pod("billing", "b", IN_BILLING);
    text += &pod("shop", "node-a", "10.0.0.7");
    text += &pod("billing", "node-b", "10.0.0.7");
    text
}

#[test]
fn a_host_is_there_for_the_namespaces_that_it_is_exported_to_and_for_nobody_else() {
    let text = clients() + &service("ns1", "orders", HOST, "shop", "10.1.0.1");
    let declared = load(policy(&["internal.com"]), &text);
    check(&declared, IN_SHOP, HOST, Ok("10.1.0.1"));
    check(&declared, IN_BILLING, HOST, Err(Rcode::NxDomain));
    check(&declared, "192.0.2.1", HOST, Err(Rcode::NxDomain));
    let outside = load(policy(&[]), &text);
    check(&outside, IN_SHOP, HOST, Ok("10.1.0.1"));
    check(&outside, IN_BILLING, HOST, Err(Rcode::Refused));
    // Not even that there is something below tells of it.
    check(&declared, IN_SHOP, "internal.com", Err(Rcode::NoError));
    let deep = clients() + &service("ns1", "deep", "a.b.internal.com", "shop", "10.1.0.1");
    let declared = load(policy(&["internal.com"]), &deep);
    check(&declared, IN_SHOP, "b.internal.com", Err(Rcode::NoError));
    check(
        &declared,
        IN_BILLING,
        "b.internal.com",
        Err(Rcode::NxDomain),
    );
}

#[test]
fn where_a_host_is_hidden_the_next_owner_of_the_name_answers() {
    let text = clients()
        + &service("ns1", "orders", HOST, "shop", "10.1.0.1")
        + &service("ns2", "orders", HOST, "", "10.2.0.1")
        + &service("ns3", "all", "*.internal.com", "", "10.3.0.1");
    let pipeline = load(policy(&["internal.com"]), &text);
    check(&pipeline, IN_SHOP, HOST, Ok("10.1.0.1"));
    check(&pipeline, IN_BILLING, HOST, Ok("10.2.0.1"));
    let hidden = text
        .replace("exportTo: [shop]", "exportTo: [shop, ns1]")
        .replace(&service("ns2", "orders", HOST, "", "10.2.0.1"), "");
    let pipeline = load(policy(&["internal.com"]), &hidden);
    check(&pipeline, IN_BILLING, HOST, Ok("10.3.0.1"));
}

#[test]
fn the_own_namespaces_entry_beats_the_oldest() {
    let text = clients()
        + &service("aaa", "orders", HOST, "", "10.1.0.1")
        + &service("shop", "orders", HOST, "", "10.2.0.1");
    let pipeline = load(policy(&["internal.com"]), &text);
    check(&pipeline, IN_SHOP, HOST, Ok("10.2.0.1"));
    check(&pipeline, IN_BILLING, HOST, Ok("10.1.0.1"));
}

#[test]
fn an_address_of_several_namespaces_and_forwarders_see_what_is_public() {
    let text = clients() + &service("ns1", "orders", HOST, "shop", "10.1.0.1");
    let pipeline = load(policy(&["internal.com"]), &text);
    check(&pipeline, "10.0.0.7", HOST, Err(Rcode::NxDomain));
    // Of the network that the configuration gives to `shop`, all but the forwarder in it.
    check(&pipeline, "10.9.0.1", HOST, Ok("10.1.0.1"));
    check(&pipeline, "10.9.9.9", HOST, Err(Rcode::NxDomain));
}

#[test]
fn where_it_is_not_enforced_only_what_is_hidden_from_all_is_hidden() {
    let text = clients()
        + &service("ns1", "orders", HOST, "shop", "10.1.0.1")
        + &service("ns1", "never", "never.internal.com", "\"~\"", "10.1.0.2");
    let ignoring = Policy {
        enforces_export: false,
        ..policy(&["internal.com"])
    };
    let mut pipeline = load(ignoring, &text);
    for client in [IN_SHOP, IN_BILLING, "192.0.2.1"] {
        check(&pipeline, client, HOST, Ok("10.1.0.1"));
        check(
            &pipeline,
            client,
            "never.internal.com",
            Err(Rcode::NxDomain),
        );
    }
    assert!(
        pipeline.mesh().residents().is_none(),
        "nobody asks who has which address"
    );
    // Turned on by a configuration that is read again, and off.
    let now = SystemTime::UNIX_EPOCH + Duration::from_mins(29_833_335);
    let before = pipeline.policy().clone();
    pipeline.set_policy(policy(&["internal.com"]), now);
    check(&pipeline, IN_BILLING, HOST, Err(Rcode::NxDomain));
    pipeline.set_policy(before, now);
    check(&pipeline, IN_BILLING, HOST, Ok("10.1.0.1"));
    assert!(!pipeline.snapshot().has_views());
}

#[test]
fn explain_tells_whose_view_it_is_and_what_is_kept_from_it() {
    let text = clients() + &service("ns1", "orders", HOST, "shop", "10.1.0.1");
    let pipeline = load(policy(&["internal.com"]), &text);
    let name: Name = HOST.parse().expect("a name");
    let told = |client: &str| {
        let client = client.parse().expect("an address");
        explain::explain(&pipeline, &name, RecordType::A, Some(client))
    };
    let seen = told(IN_SHOP);
    assert_eq!(seen.rcode, Rcode::NoError);
    assert_eq!(
        seen.asker.and_then(|asker| asker.namespace).as_deref(),
        Some("shop")
    );
    assert!(seen.hosts[0].answers);
    let hidden = told(IN_BILLING);
    assert_eq!(hidden.rcode, Rcode::NxDomain);
    let [(_, loss)] = &*hidden.hosts[0].selection.lost else {
        panic!("{:?}", hidden.hosts[0].selection.lost);
    };
    assert_eq!(format!("{loss:?}"), "NotExported");
}

/// One ServiceEntry of a random mesh.
#[derive(Clone, Debug)]
struct Drawn {
    namespace: &'static str,
    host: &'static str,
    export: &'static str,
    endpoint: String,
}

const NAMESPACES: [&str; 3] = ["billing", "ns1", "shop"];
const HOSTS: [&str; 6] = [
    "a.internal.com",
    "b.a.internal.com",
    "*.internal.com",
    "*.a.internal.com",
    "x.other.org",
    "deep.down.other.org",
];
const ASKED: [&str; 9] = [
    "a.internal.com",
    "b.a.internal.com",
    "c.a.internal.com",
    "c.internal.com",
    "internal.com",
    "x.other.org",
    "other.org",
    "down.other.org",
    "deep.down.other.org",
];

fn drawn() -> impl Strategy<Value = Drawn> {
    let export = proptest::sample::select(vec!["", ".", "\"*\"", "\"~\"", "shop", "billing, shop"]);
    let endpoint = prop_oneof![
        3 => (1..250_u8).prop_map(|octet| format!("10.7.0.{octet}")),
        1 => proptest::sample::select(HOSTS.iter().filter(|host| !host.starts_with('*')).collect::<Vec<_>>()).prop_map(|host| (*host).to_owned()),
    ];
    (
        proptest::sample::select(NAMESPACES.to_vec()),
        proptest::sample::select(HOSTS.to_vec()),
        export,
        endpoint,
    )
        .prop_map(|(namespace, host, export, endpoint)| Drawn {
            namespace,
            host,
            export,
            endpoint,
        })
}

impl Drawn {
    fn is_seen_by(&self, namespace: Option<&str>) -> bool {
        let names: Vec<&str> = self.export.split(", ").collect();
        match &*names {
            ["" | "\"*\""] => true,
            ["\"~\""] => false,
            names => namespace.is_some_and(|namespace| {
                names.contains(&namespace) || names.contains(&".") && namespace == self.namespace
            }),
        }
    }

    fn text(&self, index: usize, export: &str) -> String {
        let name = format!("s{index}");
        service(self.namespace, &name, self.host, export, &self.endpoint)
    }
}

/// The mesh as a client of `namespace` is to see it, with nothing in it that hides anything.
fn filtered(services: &[Drawn], namespace: Option<&str>) -> String {
    let seen: Vec<_> = services
        .iter()
        .enumerate()
        .filter(|(_, service)| service.is_seen_by(namespace))
        .collect();
    let own: BTreeSet<&str> = seen
        .iter()
        .filter(|(_, service)| Some(service.namespace) == namespace)
        .map(|(_, service)| service.host)
        .collect();
    let mut text = String::new();
    for (index, service) in seen {
        if Some(service.namespace) == namespace || !own.contains(service.host) {
            write!(text, "{}", service.text(index, "")).expect("a string");
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// In whatever order objects come and go.
    #[test]
    fn a_client_sees_the_mesh_as_if_what_it_may_not_see_did_not_exist(
        services in proptest::collection::vec(drawn(), 1..7),
        changes in proptest::collection::vec((0..7_usize, proptest::bool::ANY), 0..8),
    ) {
        let zones = ["internal.com", "10.in-addr.arpa"];
        let mut pipeline = load(policy(&zones), &clients());
        let mut held: Vec<bool> = vec![true; services.len()];
        for (index, service) in services.iter().enumerate() {
            apply(&mut pipeline, &format!("{index}.yaml"), &service.text(index, service.export));
        }
        for (index, is_there) in changes {
            let index = index % services.len();
            held[index] = is_there;
            let text = if is_there { services[index].text(index, services[index].export) } else { String::new() };
            apply(&mut pipeline, &format!("{index}.yaml"), &text);
        }
        let held: Vec<Drawn> = services.iter().zip(&held).filter(|(_, held)| **held).map(|(service, _)| service.clone()).collect();
        let plain = Policy { enforces_export: false, ..policy(&zones) };
        for (client, namespace) in [(IN_SHOP, Some("shop")), (IN_BILLING, Some("billing")), ("192.0.2.1", None)] {
            let alone = load(plain.clone(), &filtered(&held, namespace));
            for name in ASKED {
                let of_view = asked(&pipeline, client, name).map(BTreeSet::from_iter);
                let of_filtered = asked(&alone, client, name).map(BTreeSet::from_iter);
                prop_assert_eq!(&of_view, &of_filtered, "{} asks {}", client, name);
            }
            // Names that are made from hosts, and those of addresses.
            let services = HOSTS.iter().map(|host| (format!("_http._tcp.{host}"), RecordType::SRV));
            let octets = held.iter().filter_map(|service| service.endpoint.strip_prefix("10.7.0."));
            let reverse = octets.map(|octet| (format!("{octet}.0.7.10.in-addr.arpa"), RecordType::PTR));
            for (name, record_type) in services.filter(|(name, _)| !name.contains('*')).chain(reverse) {
                let of_view = told(&pipeline, client, &name, record_type);
                let of_filtered = told(&alone, client, &name, record_type);
                prop_assert_eq!(&of_view, &of_filtered, "{} asks {} {}", client, name, record_type);
            }
        }
    }
}
