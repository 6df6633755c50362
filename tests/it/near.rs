//! Endpoints near to the client before others: reference/answer-policy.md's cases 31 to 34, each asked with turns that are spread
//! evenly, so that what arrives is counted exactly.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use meshdns::{
    answer::{Outcome, Query, answer},
    diagnostic::Kind,
    dns::{Name, RecordType},
    explain::explain,
    manifest,
    mesh::{FileChange, Locality, Reading},
    pipeline::{Pipeline, Policy},
    select::{ClientNetwork, ClientNetworks, TrafficPolicy},
    zone::Settings,
};

const HOST: &str = "orders.internal.com";
const NEAR: &str = "networking.istio.io/traffic-distribution: PreferClose";
const TURNS: u32 = 10_000;

/// In the same network as nobody's endpoint, and in eu/eu-1 by the configuration.
const OF_EU_1: &str = "10.1.0.5";

fn policy(traffic: TrafficPolicy) -> Policy {
    let network = ClientNetwork {
        namespace: None,
        locality: Locality::from_text("eu/eu-1"),
        locality_text: Some("eu/eu-1".into()),
    };
    let clients = Arc::new(ClientNetworks::new([(
        "10.1.0.0/16".parse().expect("a network"),
        network,
    )]));
    Policy {
        settings: Arc::new(Settings {
            zones: vec!["internal.com".parse().expect("a name")],
            forwarders: vec!["10.1.9.9/32".parse().expect("a network")],
            clients: clients.clone(),
            ..Settings::default()
        }),
        traffic: Arc::new(TrafficPolicy { clients, ..traffic }),
        ..Policy::default()
    }
}

fn service(annotation: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: orders\n  namespace: shop\n  annotations:\n    meshdns.io/max-addresses: auto\n    {annotation}\n\
         spec:\n  hosts: [{HOST}]\n  resolution: STATIC\n  ports: [{{number: 80, name: http, protocol: HTTP}}]\n\
         \x20 workloadSelector: {{labels: {{app: orders}}}}\n"
    )
}

/// A VM `10.0.<zone>.<number>`; its locality is written where it is not empty.
fn vm(address: &str, locality: &str, is_healthy: bool) -> String {
    let status = if is_healthy { "True" } else { "False" };
    let locality = match locality {
        "" => String::new(),
        locality => format!("  locality: {locality}\n"),
    };
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: v{}, namespace: shop}}\n\
         spec:\n  address: {address}\n  labels: {{app: orders}}\n{locality}status:\n  conditions: [{{type: Healthy, status: \"{status}\"}}]\n",
        address.replace('.', "-")
    )
}

fn pod(address: &str, labels: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p{}, namespace: shop, labels: {{app: orders{labels}}}}}\n\
         status: {{phase: Running, podIP: {address}, conditions: [{{type: Ready, status: \"True\"}}]}}\n",
        address.replace('.', "-")
    )
}

fn load(policy: Policy, text: &str) -> Pipeline {
    let mut pipeline = Pipeline::new(policy);
    apply(&mut pipeline, text);
    pipeline
}

fn apply(pipeline: &mut Pipeline, text: &str) {
    let file: Arc<str> = "mesh.yaml".into();
    let change = FileChange {
        reading: Reading::Read(manifest::parse(&file, text)),
        file,
    };
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    pipeline.apply([change], now);
}

/// By the addresses of an answer, how many of ten thousand have them.
fn asked(pipeline: &Pipeline, client: &str) -> BTreeMap<String, u32> {
    let name: Name = HOST.parse().expect("a name");
    let client: IpAddr = client.parse().expect("an address");
    let mut counts = BTreeMap::new();
    for step in 0..TURNS {
        let query = Query {
            turn: step * (u32::MAX / TURNS) + u32::MAX / TURNS / 2,
            asker: &pipeline.snapshot().asker(client),
            ..Query::of(&name, RecordType::A)
        };
        let answered = answer(pipeline.snapshot(), &query);
        let Outcome::Addresses(addresses) = answered.outcome else {
            panic!("{:?}", answered.outcome);
        };
        let mut out = Vec::new();
        addresses.write(&mut out);
        let length = out.len() / addresses.count();
        let mut texts: Vec<String> = out
            .chunks(length)
            .map(|record| {
                let octets: [u8; 4] = record[12..].try_into().expect("four octets");
                IpAddr::from(octets).to_string()
            })
            .collect();
        texts.sort_unstable();
        *counts.entry(texts.join(" ")).or_default() += 1;
    }
    counts
}

#[track_caller]
fn check(pipeline: &Pipeline, client: &str, expected: &[(&str, u32)]) {
    let expected: BTreeMap<String, u32> = expected
        .iter()
        .map(|(addresses, percent)| ((*addresses).to_owned(), percent * (TURNS / 100)))
        .collect();
    assert_eq!(asked(pipeline, client), expected, "{client}");
}

fn three_zones(second_is_healthy: bool) -> String {
    let mut text = service(NEAR);
    write!(
        text,
        "{}{}{}{}",
        vm("10.0.1.1", "eu/eu-1", true),
        vm("10.0.1.2", "eu/eu-1", second_is_healthy),
        vm("10.0.2.1", "eu/eu-2", true),
        vm("10.0.3.1", "us/us-1/rack-1", true),
    )
    .expect("a string");
    text
}

const ALL: &str = "10.0.1.1 10.0.1.2 10.0.2.1 10.0.3.1";

#[test]
fn a_client_in_a_zone_gets_its_zones_endpoints_alone_while_they_are_healthy() {
    let pipeline = load(policy(TrafficPolicy::default()), &three_zones(true));
    check(&pipeline, OF_EU_1, &[("10.0.1.1 10.0.1.2", 100)]);
    check(&pipeline, "10.0.3.1", &[("10.0.3.1", 100)]);
}

#[test]
fn what_half_a_zone_cant_carry_goes_to_the_next_one_in_whole_answers() {
    let pipeline = load(policy(TrafficPolicy::default()), &three_zones(false));
    check(&pipeline, OF_EU_1, &[("10.0.1.1", 70), ("10.0.2.1", 30)]);
}

#[test]
fn a_client_of_which_nothing_is_known_gets_all_zones_and_so_do_forwarders() {
    let pipeline = load(policy(TrafficPolicy::default()), &three_zones(true));
    check(&pipeline, "192.0.2.1", &[(ALL, 100)]);
    // Where a forwarder is tells nothing of its clients, though its network has a locality.
    check(&pipeline, "10.1.9.9", &[(ALL, 100)]);
}

#[test]
fn a_zone_without_endpoints_leads_to_its_region() {
    let mut text = service(NEAR);
    text += &vm("10.0.2.1", "eu/eu-2", true);
    text += &vm("10.0.3.1", "us/us-1", true);
    let pipeline = load(policy(TrafficPolicy::default()), &text);
    check(&pipeline, OF_EU_1, &[("10.0.2.1", 100)]);
}

#[test]
fn a_pods_own_label_beats_the_topology_that_kubernetes_writes() {
    let mut text = service(NEAR);
    let topology = ", topology.kubernetes.io/region: us, topology.kubernetes.io/zone: us-1";
    text += &pod("10.244.0.1", topology);
    text += &pod(
        "10.244.0.2",
        &format!("{topology}, istio-locality: eu.eu-1"),
    );
    text += &pod("10.244.0.3", "");
    let pipeline = load(policy(TrafficPolicy::default()), &text);
    check(&pipeline, OF_EU_1, &[("10.244.0.2", 100)]);
    check(&pipeline, "10.244.0.1", &[("10.244.0.1", 100)]);
    let all = "10.244.0.1 10.244.0.2 10.244.0.3";
    check(&pipeline, "10.244.0.3", &[(all, 100)]);
}

#[test]
fn a_network_of_the_configuration_says_where_endpoints_are_that_say_nothing() {
    let mut text = service(NEAR);
    text += &vm("10.1.0.7", "", true);
    text += &vm("10.0.3.1", "us/us-1", true);
    let pipeline = load(policy(TrafficPolicy::default()), &text);
    check(&pipeline, OF_EU_1, &[("10.1.0.7", 100)]);
}

#[test]
fn too_few_endpoints_of_a_zone_are_answered_with_those_of_the_region() {
    let traffic = TrafficPolicy {
        min_endpoints: 3.try_into().expect("not zero"),
        ..TrafficPolicy::default()
    };
    let pipeline = load(policy(traffic), &three_zones(true));
    let region = "10.0.1.1 10.0.1.2 10.0.2.1";
    check(&pipeline, OF_EU_1, &[(region, 100)]);
}

#[test]
fn the_configuration_asks_for_all_hosts_and_a_service_entry_can_say_no() {
    let traffic = || TrafficPolicy {
        prefers_near: true,
        ..TrafficPolicy::default()
    };
    let zones = three_zones(true);
    let pipeline = load(policy(traffic()), &zones.replace(NEAR, "a: b"));
    check(&pipeline, OF_EU_1, &[("10.0.1.1 10.0.1.2", 100)]);
    let no = "networking.istio.io/traffic-distribution: Any";
    let pipeline = load(policy(traffic()), &zones.replace(NEAR, no));
    check(&pipeline, OF_EU_1, &[(ALL, 100)]);
}

#[test]
fn a_dial_comes_first_and_nearness_within_its_side() {
    let mut text = service("meshdns.io/share: pod=30")
        .replace("  annotations:\n", &format!("  annotations:\n    {NEAR}\n"));
    let zone = |zone: &str| {
        format!(", topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: {zone}")
    };
    text += &pod("10.244.0.1", &zone("eu-1"));
    text += &pod("10.244.0.2", &zone("eu-2"));
    text += &vm("10.0.1.1", "eu/eu-1", true);
    text += &vm("10.0.2.1", "eu/eu-2", true);
    let pipeline = load(policy(TrafficPolicy::default()), &text);
    check(&pipeline, OF_EU_1, &[("10.244.0.1", 30), ("10.0.1.1", 70)]);
    check(
        &pipeline,
        "10.0.2.1",
        &[("10.244.0.2", 30), ("10.0.2.1", 70)],
    );
}

#[test]
fn a_client_is_where_its_object_says_from_the_change_on_that_says_so() {
    let mut pipeline = load(policy(TrafficPolicy::default()), &three_zones(true));
    check(&pipeline, "10.0.9.9", &[(ALL, 100)]);
    let mut client = vm("10.0.9.9", "us/us-1", true).replace("app: orders", "app: client");
    apply(&mut pipeline, &format!("{}{client}", three_zones(true)));
    check(&pipeline, "10.0.9.9", &[("10.0.3.1", 100)]);
    client = client.replace("us/us-1", "eu/eu-2");
    apply(&mut pipeline, &format!("{}{client}", three_zones(true)));
    check(&pipeline, "10.0.9.9", &[("10.0.2.1", 100)]);
    apply(&mut pipeline, &three_zones(true));
    check(&pipeline, "10.0.9.9", &[(ALL, 100)]);
}

#[test]
fn without_a_host_that_asks_for_it_nobody_notes_who_has_which_address() {
    let zones = three_zones(true).replace(NEAR, "a: b");
    let mut pipeline = load(policy(TrafficPolicy::default()), &zones);
    assert!(pipeline.mesh().residents().is_none());
    apply(&mut pipeline, &three_zones(true));
    assert!(pipeline.mesh().residents().is_some());
    check(&pipeline, "10.0.3.1", &[("10.0.3.1", 100)]);
    apply(&mut pipeline, &zones);
    assert!(pipeline.mesh().residents().is_none());
}

#[test]
fn a_pod_without_labels_is_where_its_node_is_as_long_as_there_is_one() {
    let on_node = |address: &str, labels: &str| {
        pod(address, labels).replace("status: {", "spec: {nodeName: node-1}\nstatus: {")
    };
    let node = |zone: &str| {
        format!(
            "---\napiVersion: v1\nkind: Node\nmetadata:\n  name: node-1\n  labels: {{topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: {zone}}}\n\
             spec: {{podCIDR: 10.244.0.0/24}}\nstatus: {{conditions: [{{type: Ready, status: \"True\"}}]}}\n"
        )
    };
    let pods = service(NEAR)
        + &on_node("10.244.0.1", "")
        + &on_node("10.244.0.2", ", istio-locality: us.us-1")
        + &pod("10.244.0.3", "");
    let all = "10.244.0.1 10.244.0.2 10.244.0.3";
    let mut pipeline = load(policy(TrafficPolicy::default()), &pods);
    check(&pipeline, OF_EU_1, &[(all, 100)]);
    apply(&mut pipeline, &format!("{pods}{}", node("eu-1")));
    check(&pipeline, OF_EU_1, &[("10.244.0.1", 100)]);
    // As a client, too.
    check(&pipeline, "10.244.0.1", &[("10.244.0.1", 100)]);
    check(&pipeline, "10.244.0.2", &[("10.244.0.2", 100)]);
    assert_eq!(pipeline.mesh().object_counts()[&Kind::Node], 1);
    apply(&mut pipeline, &format!("{pods}{}", node("eu-2")));
    check(&pipeline, "10.244.0.1", &[("10.244.0.1", 100)]);
    check(&pipeline, OF_EU_1, &[("10.244.0.1", 100)]); // of its region
    apply(&mut pipeline, &pods);
    check(&pipeline, OF_EU_1, &[(all, 100)]);
    check(&pipeline, "10.244.0.1", &[(all, 100)]);
}

#[test]
fn srv_has_the_clients_zone_as_its_first_priority_and_its_region_as_the_next() {
    let pipeline = load(policy(TrafficPolicy::default()), &three_zones(true));
    let name = format!("_http._tcp.{HOST}").parse().expect("a name");
    let asked = |client: &str| {
        let client = client.parse().expect("an address");
        let told = explain(&pipeline, &name, RecordType::SRV, Some(client));
        let mut answers: Vec<String> = told.answer.into_iter().map(|it| it.data).collect();
        answers.sort();
        answers
    };
    let target = |priority: u16, label: &str| format!("{priority} 65280 80 {label}.{HOST}.");
    assert_eq!(
        asked(OF_EU_1),
        [
            target(0, "10-0-1-1"),
            target(0, "10-0-1-2"),
            target(1, "10-0-2-1"),
            target(2, "10-0-3-1"),
        ]
    );
    let all = ["10-0-1-1", "10-0-1-2", "10-0-2-1", "10-0-3-1"].map(|label| target(0, label));
    assert_eq!(asked("192.0.2.1"), all);
    assert_eq!(asked("10.1.9.9"), all, "a forwarder asks for others");
}
