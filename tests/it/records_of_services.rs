//! Records besides addresses, as those who ask see them: SRV with the names of endpoints, TXT, HTTPS and PTR. The cases of
//! reference/answer-policy.md, each asked in messages.

use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hickory_proto::{
    op::Message,
    rr::{RData, Record},
};
use meshdns::{
    answer::{Edns, Query, answer},
    dns::{Name, RecordType},
    manifest,
    mesh::{FileChange, Reading, ResolvedName},
    pipeline::{Pipeline, Policy},
    select::WhenAllUnhealthy,
    wire,
    zone::Settings,
};

const A: RecordType = RecordType::A;
const AAAA: RecordType = RecordType::AAAA;
const SRV: RecordType = RecordType::SRV;
const TXT: RecordType = RecordType::TXT;
const HTTPS: RecordType = RecordType::HTTPS;
const PTR: RecordType = RecordType::PTR;
const ANY: RecordType = RecordType::ANY;

/// A mesh in YAML, and what it is asked with.
struct Mesh {
    text: String,
    zones: Vec<&'static str>,
    partial: Vec<&'static str>,
    forwarded: Vec<&'static str>,
    when_all_unhealthy: WhenAllUnhealthy,
    told: Vec<(&'static str, IpAddr)>,
}

/// What a question got.
#[derive(Debug)]
struct Reply {
    rcode: String,
    is_cut: bool,
    answers: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
    bytes: usize,
    is_for_others: bool,
}

impl Mesh {
    fn new() -> Self {
        Self {
            text: String::new(),
            zones: vec!["internal.com"],
            partial: Vec::new(),
            forwarded: Vec::new(),
            when_all_unhealthy: WhenAllUnhealthy::None,
            told: Vec::new(),
        }
    }

    /// A ServiceEntry `shop/<name>`; `spec` stands behind the resolution, and so has the ports and the endpoints.
    fn entry(mut self, name: &str, host: &str, annotations: &[(&str, &str)], spec: &str) -> Self {
        let mut notes = String::new();
        for (key, value) in annotations {
            writeln!(notes, "    meshdns.io/{key}: {value:?}").expect("a string");
        }
        write!(
            self.text,
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata:\n  name: {name}\n  namespace: shop\n\
             \x20 annotations:\n    note: none\n{notes}spec:\n  hosts: [\"{host}\"]\n{spec}\n",
        )
        .expect("a string");
        self
    }

    /// A ServiceEntry that selects `app: orders`, with these ports.
    fn orders(self, annotations: &[(&str, &str)], ports: &str) -> Self {
        let spec = format!(
            "  resolution: STATIC\n  ports: [{ports}]\n  workloadSelector: {{labels: {{app: orders}}}}"
        );
        self.entry("orders", "orders.internal.com", annotations, &spec)
    }

    fn pod(mut self, number: usize, addresses: &[&str]) -> Self {
        let ips: Vec<String> = addresses
            .iter()
            .map(|ip| format!("{{ip: \"{ip}\"}}"))
            .collect();
        write!(
            self.text,
            "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: p{number}\n  namespace: shop\n  labels: {{app: orders}}\n\
             status:\n  phase: Running\n  podIPs: [{}]\n  conditions: [{{type: Ready, status: \"True\"}}]\n",
            ips.join(", "),
        )
        .expect("a string");
        self
    }

    fn vm(mut self, number: usize, address: &str, spec: &str) -> Self {
        write!(
            self.text,
            "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: v{number}\n  namespace: shop\n\
             spec:\n  address: \"{address}\"\n  labels: {{app: orders}}\n{spec}",
        )
        .expect("a string");
        self
    }

    fn vms(self, count: usize) -> Self {
        (1..=count).fold(self, |mesh, number| {
            mesh.vm(number, &format!("10.0.0.{number}"), "")
        })
    }

    fn load(&self) -> Pipeline {
        let names = |texts: &[&str]| -> Vec<Name> {
            let names = texts.iter().map(|text| text.parse().expect("a name"));
            names.collect()
        };
        let settings = Settings {
            zones: names(&self.zones),
            partial_zones: names(&self.partial),
            forwarded: names(&self.forwarded),
            ..Settings::default()
        };
        let mut pipeline = Pipeline::new(Policy {
            settings: Arc::new(settings),
            when_all_unhealthy: self.when_all_unhealthy,
            ..Policy::default()
        });
        let told = self.told.iter().map(|(name, address)| {
            let told = ResolvedName::new(vec![*address], now());
            (name.parse().expect("a name"), Some(told))
        });
        pipeline.take_in_names(told.collect::<Vec<_>>());
        pipeline.apply([self.file()], now());
        assert_eq!(
            pipeline.diagnostic_counts().errors,
            0,
            "{:?}",
            pipeline.diagnostics()
        );
        pipeline
    }

    /// What there is to say of it.
    fn said(&self) -> String {
        let said = self.load().diagnostics();
        let said: Vec<String> = said.iter().map(ToString::to_string).collect();
        said.join("\n")
    }

    fn file(&self) -> FileChange {
        let file: Arc<str> = "mesh.yaml".into();
        FileChange {
            reading: Reading::Read(manifest::parse(&file, &self.text)),
            file,
        }
    }

    /// Asks over a transport without a limit.
    #[track_caller]
    fn ask(&self, name: &str, record_type: RecordType) -> Reply {
        ask(&self.load(), name, record_type, None, 0)
    }
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

/// Asks with this payload size, without one over TCP.
#[track_caller]
fn ask(
    pipeline: &Pipeline,
    name: &str,
    record_type: RecordType,
    payload_bytes: Option<u16>,
    turn: u32,
) -> Reply {
    let name: Name = name.parse().expect("a name");
    let query = Query::of(&name, record_type);
    let question = [
        name.as_wire(),
        &record_type.0.to_be_bytes(),
        &1_u16.to_be_bytes(),
    ]
    .concat();
    let query = Query {
        question: &question,
        turn,
        edns: payload_bytes.map(|payload_bytes| Edns {
            payload_bytes,
            ..Edns::default()
        }),
        ..query
    };
    let answered = answer(pipeline.snapshot(), &query);
    let mut out = Vec::new();
    let limit = match payload_bytes {
        Some(_) => wire::udp_limit_bytes(&query),
        None => wire::MAX_TCP_BYTES,
    };
    let written = wire::write(&query, &answered, limit, &mut out);
    assert!(out.len() <= limit, "{} bytes", out.len());
    assert_eq!(out.len(), written.bytes);
    let message = Message::from_vec(&out).expect("a whole message");
    let texts = |records: &[Record]| {
        let mut texts: Vec<String> = records.iter().map(text_of).collect();
        texts.sort();
        texts
    };
    Reply {
        rcode: message.metadata.response_code.to_string(),
        is_cut: message.metadata.truncation,
        answers: texts(&message.answers),
        authority: texts(&message.authorities),
        additional: texts(&message.additionals),
        bytes: out.len(),
        is_for_others: answered.others.is_some(),
    }
}

/// A record in a line, in which strings are told apart.
fn text_of(record: &Record) -> String {
    let text = record.to_string();
    let RData::TXT(data) = &record.data else {
        return text;
    };
    let strings = data.txt_data.iter().map(|it| String::from_utf8_lossy(it));
    let (head, _) = text.split_once(" TXT ").expect("a text");
    format!("{head} TXT {}", strings.collect::<Vec<_>>().join("|"))
}

impl Reply {
    #[track_caller]
    fn has(&self, answers: &[&str]) {
        assert_eq!((&*self.rcode, self.is_cut), ("No Error", false), "{self:?}");
        assert_eq!(self.answers, answers, "{self:?}");
    }

    #[track_caller]
    fn is_no_data(&self) {
        assert_eq!(
            (&*self.rcode, self.answers.len()),
            ("No Error", 0),
            "{self:?}"
        );
        assert_eq!(self.authority.len(), 1, "a SOA says for how long: {self:?}");
    }

    #[track_caller]
    fn is_no_name(&self) {
        assert_eq!(self.rcode, "Non-Existent Domain", "{self:?}");
        assert_eq!(self.authority.len(), 1, "a SOA says for how long: {self:?}");
    }
}

const HTTP: &str = "{number: 80, name: http, protocol: HTTP, targetPort: 8080}";

#[test]
fn srv_gives_each_endpoint_with_its_own_port_and_its_address_beside() {
    let mesh = Mesh::new()
        .orders(&[], HTTP)
        .vm(1, "10.0.1.11", "  ports: {http: 9080}\n")
        .pod(1, &["10.244.0.7"]);
    let reply = mesh.ask("_http._tcp.orders.internal.com", SRV);
    reply.has(&[
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 10-244-0-7.orders.internal.com.",
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 9080 10-0-1-11.orders.internal.com.",
    ]);
    assert_eq!(
        reply.additional,
        [
            "10-0-1-11.orders.internal.com. 5 IN A 10.0.1.11",
            "10-244-0-7.orders.internal.com. 5 IN A 10.244.0.7",
        ]
    );
}

#[test]
fn srv_weights_carry_the_dial_to_who_balances_by_them() {
    let mut mesh = Mesh::new().orders(&[("share", "pod=10")], HTTP).vms(60);
    for number in 1..=3 {
        mesh = mesh.pod(number, &[&format!("10.244.0.{number}")]);
    }
    let reply = mesh.ask("_http._tcp.orders.internal.com", SRV);
    let weight = |record: &String| -> u32 {
        let mut fields = record.split(' ').skip(5);
        fields.next().expect("a weight").parse().expect("a number")
    };
    let (pods, vms): (Vec<&String>, Vec<&String>) = reply
        .answers
        .iter()
        .partition(|record| record.contains(" 10-244-0-"));
    assert_eq!((pods.len(), vms.len()), (3, 60));
    assert!(
        pods.iter().all(|record| weight(record) == 65_280),
        "{pods:?}"
    );
    assert!(vms.iter().all(|record| weight(record) == 29_376), "{vms:?}");
    // HAProxy takes a 256th of a weight, and one more (haproxy/haproxy#3300).
    let haproxy =
        |records: &[&String]| -> u32 { records.iter().map(|it| weight(it) / 256 + 1).sum() };
    let (of_pods, of_vms) = (haproxy(&pods), haproxy(&vms));
    let percent = f64::from(of_pods) * 100.0 / f64::from(of_pods + of_vms);
    assert!((percent - 10.0).abs() < 0.05, "{percent} %");
}

#[test]
fn srv_leaves_out_whom_a_share_of_nothing_leaves_out() {
    let mesh = Mesh::new()
        .orders(&[("share", "pod=0")], HTTP)
        .vms(1)
        .pod(1, &["10.244.0.1"]);
    mesh.ask("_http._tcp.orders.internal.com", SRV).has(&[
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 10-0-0-1.orders.internal.com.",
    ]);
    mesh.ask("10-244-0-1.orders.internal.com", A).is_no_name();
}

#[test]
fn srv_weights_follow_the_weights_of_endpoints() {
    let mesh = Mesh::new()
        .orders(&[], HTTP)
        .vm(1, "10.0.0.1", "  weight: 3\n")
        .vm(2, "10.0.0.2", "  weight: 1\n");
    mesh.ask("_http._tcp.orders.internal.com", SRV).has(&[
        "_http._tcp.orders.internal.com. 5 IN SRV 0 21760 8080 10-0-0-2.orders.internal.com.",
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 10-0-0-1.orders.internal.com.",
    ]);
}

#[test]
fn names_of_services_exist_by_port_and_transport() {
    let ports = "{number: 80, name: http, protocol: HTTP}, {number: 53, name: dns, protocol: UDP}";
    let mesh = Mesh::new().orders(&[], ports).vms(1);
    mesh.ask("_dns._udp.orders.internal.com", SRV)
        .has(&["_dns._udp.orders.internal.com. 5 IN SRV 0 65280 53 10-0-0-1.orders.internal.com."]);
    mesh.ask("_http._udp.orders.internal.com", SRV).is_no_name();
    mesh.ask("_dns._tcp.orders.internal.com", SRV).is_no_name();
    mesh.ask("_sctp.orders.internal.com", SRV).is_no_name();
    mesh.ask("x._http._tcp.orders.internal.com", SRV)
        .is_no_name();
    for (name, record_type) in [
        ("_tcp.orders.internal.com", A),
        ("_tcp.orders.internal.com", SRV),
        ("_udp.orders.internal.com", TXT),
        ("_http._tcp.orders.internal.com", A),
        ("orders.internal.com", SRV),
        ("10-0-0-1.orders.internal.com", SRV),
        ("10-0-0-1.orders.internal.com", AAAA),
    ] {
        mesh.ask(name, record_type).is_no_data();
    }
    for name in [
        "_http._tcp.orders.internal.com",
        "10-0-0-1.orders.internal.com",
    ] {
        mesh.ask(name, ANY)
            .has(&[&format!("{name}. 5 IN HINFO RFC8482 ")]);
    }
    let only_tcp = Mesh::new().orders(&[], HTTP).vms(1);
    for name in ["_http._udp.orders.internal.com", "_udp.orders.internal.com"] {
        only_tcp.ask(name, SRV).is_no_name();
    }
}

#[test]
fn an_endpoint_has_a_name_while_it_is_in() {
    let mesh = Mesh::new()
        .orders(&[], HTTP)
        .vm(1, "10.0.1.11", "")
        .vm(
            2,
            "10.0.1.12",
            "status:\n  conditions: [{type: Healthy, status: \"False\"}]\n",
        )
        .vm(3, "2001:db8::3", "");
    mesh.ask("10-0-1-11.orders.internal.com", A)
        .has(&["10-0-1-11.orders.internal.com. 5 IN A 10.0.1.11"]);
    mesh.ask("2001-db8--3.Orders.internal.com", AAAA)
        .has(&["2001-db8--3.orders.internal.com. 5 IN AAAA 2001:db8::3"]);
    for name in ["10-9-9-9", "10-0-1-12", "010-0-1-11", "2001-db8-0--3"] {
        mesh.ask(&format!("{name}.orders.internal.com"), A)
            .is_no_name();
    }
    // It is found in a host without ports as well.
    let plain = Mesh::new().orders(&[], "").vms(1);
    plain
        .ask("10-0-0-1.orders.internal.com", A)
        .has(&["10-0-0-1.orders.internal.com. 5 IN A 10.0.0.1"]);
    plain.ask("_tcp.orders.internal.com", SRV).is_no_name();
}

#[test]
fn a_service_without_a_healthy_endpoint_has_no_data() {
    let mesh = Mesh::new().orders(&[], HTTP).vm(
        1,
        "10.0.1.11",
        "status:\n  conditions: [{type: Healthy, status: \"False\"}]\n",
    );
    mesh.ask("_http._tcp.orders.internal.com", SRV).is_no_data();
    let all = Mesh {
        when_all_unhealthy: WhenAllUnhealthy::All,
        ..mesh
    };
    all.ask("_http._tcp.orders.internal.com", SRV).has(&[
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 10-0-1-11.orders.internal.com.",
    ]);
}

#[test]
fn a_dual_stack_pod_is_one_target_with_both_addresses() {
    let mesh = Mesh::new()
        .orders(&[], HTTP)
        .pod(1, &["2001:db8::7", "10.244.0.7"])
        .pod(2, &["2001:db8::8"]);
    let reply = mesh.ask("_http._tcp.orders.internal.com", SRV);
    reply.has(&[
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 10-244-0-7.orders.internal.com.",
        "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 8080 2001-db8--8.orders.internal.com.",
    ]);
    assert_eq!(
        reply.additional,
        [
            "10-244-0-7.orders.internal.com. 5 IN A 10.244.0.7",
            "10-244-0-7.orders.internal.com. 5 IN AAAA 2001:db8::7",
            "2001-db8--8.orders.internal.com. 5 IN AAAA 2001:db8::8",
        ]
    );
    mesh.ask("10-244-0-7.orders.internal.com", AAAA)
        .has(&["10-244-0-7.orders.internal.com. 5 IN AAAA 2001:db8::7"]);
    mesh.ask("2001-db8--8.orders.internal.com", A).is_no_data();
}

#[test]
fn srv_that_does_not_fit_is_asked_again_over_tcp_and_addresses_come_as_they_fit() {
    let mesh = Mesh::new().orders(&[], HTTP).vms(30).load();
    let service = "_http._tcp.orders.internal.com";
    let cut = ask(&mesh, service, SRV, Some(1232), 0);
    assert!(
        cut.is_cut && cut.answers.is_empty() && cut.additional.is_empty(),
        "{cut:?}"
    );
    let whole = ask(&mesh, service, SRV, None, 0);
    assert_eq!(
        (whole.answers.len(), whole.additional.len(), whole.is_cut),
        (30, 30, false)
    );
    let mesh = Mesh::new().orders(&[], HTTP).vms(20).load();
    let fitting = ask(&mesh, service, SRV, Some(1232), 0);
    assert_eq!((fitting.answers.len(), fitting.is_cut), (20, false));
    let beside = fitting.additional.len();
    assert!(
        (1..20).contains(&beside),
        "some addresses fit, and no TC: {beside}"
    );
    assert!(fitting.bytes <= 1232);
}

#[test]
fn srv_of_a_thousand_endpoints_fits_tcp_and_each_target_has_its_address() {
    let mut mesh = Mesh::new().orders(&[], HTTP);
    for number in 0..1000 {
        mesh = mesh.vm(
            number,
            &format!("10.1.{}.{}", number / 250, number % 250 + 1),
            "",
        );
    }
    let reply = mesh.ask("_http._tcp.orders.internal.com", SRV);
    assert_eq!(reply.answers.len(), 1000);
    assert!(reply.additional.len() > 250, "{}", reply.additional.len());
    let label = |address: &str| address.replace('.', "-");
    for record in &reply.additional {
        let (owner, address) = record.split_once(" 5 IN A ").expect("an A record");
        assert_eq!(owner, format!("{}.orders.internal.com.", label(address)));
    }
}

#[test]
fn every_target_comes_first_equally_often() {
    let mesh = Mesh::new().orders(&[], HTTP).vms(3).load();
    let name: Name = "_http._tcp.orders.internal.com".parse().expect("a name");
    let mut first = [0; 3];
    for step in 0..300_u32 {
        let query = Query {
            turn: step * (u32::MAX / 300) + u32::MAX / 600,
            ..Query::of(&name, SRV)
        };
        let meshdns::answer::Outcome::Services(services) = answer(mesh.snapshot(), &query).outcome
        else {
            panic!("it is a service");
        };
        let services = services.records(name.as_wire());
        let record = services.each(None).next().expect("a record");
        let address = record
            .at
            .addresses()
            .next()
            .expect("an address")
            .to_string();
        first[usize::from(address.as_bytes()[7] - b'1')] += 1;
    }
    assert_eq!(first, [100, 100, 100]);
}

#[test]
fn an_endpoint_that_is_a_name_is_the_target_itself() {
    let spec = format!(
        "  resolution: DNS\n  ports: [{HTTP}]\n  endpoints:\n  - {{address: db.example.org, ports: {{http: 81}}}}\n  - {{address: 10.0.0.9}}"
    );
    let mut mesh = Mesh::new().entry("db", "db.internal.com", &[], &spec);
    mesh.forwarded = vec!["."];
    mesh.told = vec![("db.example.org", "203.0.113.5".parse().expect("an address"))];
    let reply = mesh.ask("_http._tcp.db.internal.com", SRV);
    reply.has(&[
        "_http._tcp.db.internal.com. 5 IN SRV 0 65280 8080 10-0-0-9.db.internal.com.",
        "_http._tcp.db.internal.com. 5 IN SRV 0 65280 81 db.example.org.",
    ]);
    assert_eq!(
        reply.additional,
        ["10-0-0-9.db.internal.com. 5 IN A 10.0.0.9"]
    );
}

#[test]
fn two_endpoints_of_one_address_are_two_targets_where_their_ports_differ() {
    let mesh = Mesh::new()
        .orders(&[], HTTP)
        .vm(1, "10.0.0.1", "  ports: {http: 9001}\n")
        .vm(2, "10.0.0.1", "  ports: {http: 9002, admin: 1}\n")
        .vm(3, "10.0.0.1", "  ports: {http: 9001, admin: 2}\n")
        .vm(4, "10.0.0.2", "  ports: {http: 9001}\n");
    for turn in [0, 1 << 30, 2 << 30, 3 << 30] {
        let reply = ask(
            &mesh.load(),
            "_http._tcp.orders.internal.com",
            SRV,
            None,
            turn,
        );
        reply.has(&[
            "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 9001 10-0-0-1.orders.internal.com.",
            "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 9001 10-0-0-2.orders.internal.com.",
            "_http._tcp.orders.internal.com. 5 IN SRV 0 65280 9002 10-0-0-1.orders.internal.com.",
        ]);
        assert_eq!(reply.additional.len(), 2, "{reply:?}");
    }
}

#[test]
fn a_host_beats_what_is_made_and_that_beats_a_wildcard() {
    let own = |host: &str, address: &str| {
        (
            host.to_owned(),
            format!("  resolution: STATIC\n  endpoints: [{{address: {address}}}]"),
        )
    };
    let mut mesh = Mesh::new().orders(&[], HTTP).vms(3);
    for (number, (host, spec)) in [
        own("10-0-0-1.orders.internal.com", "192.0.2.1"),
        own("*.orders.internal.com", "192.0.2.2"),
        own("x.10-0-0-3.orders.internal.com", "192.0.2.4"),
    ]
    .into_iter()
    .enumerate()
    {
        mesh = mesh.entry(&format!("other-{number}"), &host, &[], &spec);
    }
    let a = |name: &str, address: &str| {
        mesh.ask(name, A)
            .has(&[&format!("{name}. 5 IN A {address}")]);
    };
    a("10-0-0-1.orders.internal.com", "192.0.2.1");
    a("10-0-0-2.orders.internal.com", "10.0.0.2");
    a("10-9-9-9.orders.internal.com", "192.0.2.2");
    a("www.orders.internal.com", "192.0.2.2");
    // A host below makes it exist, too.
    a("10-0-0-3.orders.internal.com", "10.0.0.3");
    assert_eq!(
        mesh.ask("_http._tcp.orders.internal.com", SRV)
            .answers
            .len(),
        3
    );
    mesh.ask("_http._tcp.orders.internal.com", A).is_no_data();
    mesh.ask("_tcp.orders.internal.com", A).is_no_data();
    a("_nope._tcp.orders.internal.com", "192.0.2.2");
}

#[test]
fn a_wildcard_host_has_no_services() {
    let spec =
        format!("  resolution: STATIC\n  ports: [{HTTP}]\n  endpoints: [{{address: 10.0.0.1}}]");
    let mesh = Mesh::new().entry("wild", "*.shop.internal.com", &[], &spec);
    mesh.ask("_http._tcp.a.shop.internal.com", SRV).is_no_data();
    mesh.ask("10-0-0-1.a.shop.internal.com", AAAA).is_no_data();
    mesh.ask("_http._tcp.shop.internal.com", SRV).is_no_data();
}

#[test]
fn what_is_made_exists_whatever_an_upstream_says_of_names_below_a_host() {
    let spec =
        format!("  resolution: STATIC\n  ports: [{HTTP}]\n  endpoints: [{{address: 10.0.0.1}}]");
    let mut mesh = Mesh::new().entry("out", "api.example.org", &[("grpc-config", "[]")], &spec);
    mesh.forwarded = vec!["."];
    for (name, record_type) in [
        ("_http._tcp.api.example.org", SRV),
        ("10-0-0-1.api.example.org", A),
        ("_grpc_config.api.example.org", TXT),
    ] {
        let reply = mesh.ask(name, record_type);
        assert_eq!(
            (reply.answers.len(), reply.is_for_others),
            (1, false),
            "{reply:?}"
        );
    }
    // As at the host itself.
    for record_type in [AAAA, HTTPS] {
        let reply = mesh.ask("10-0-0-1.api.example.org", record_type);
        assert!(!reply.is_for_others, "{reply:?}");
        reply.is_no_data();
    }
    for (name, record_type) in [
        ("_http._tcp.api.example.org", TXT),
        ("_tcp.api.example.org", A),
        ("10-0-0-1.api.example.org", TXT),
        ("_nope._tcp.api.example.org", SRV),
        ("10-0-0-2.api.example.org", A),
        ("api.example.org", TXT),
        ("api.example.org", SRV),
    ] {
        assert!(
            mesh.ask(name, record_type).is_for_others,
            "{name} {record_type}"
        );
    }
}

#[test]
fn several_service_entries_of_a_host_have_their_ports_together() {
    let spec = |ports: &str| {
        format!("  resolution: STATIC\n  ports: [{ports}]\n  endpoints: [{{address: 10.0.0.1}}]")
    };
    let one = "{number: 80, name: http, protocol: HTTP, targetPort: 1}";
    let two = "{number: 81, name: http, protocol: HTTP, targetPort: 2}, {number: 90, name: admin, protocol: TCP}";
    let mesh = Mesh::new()
        .entry("a", "two.internal.com", &[], &spec(one))
        .entry("b", "two.internal.com", &[], &spec(two));
    mesh.ask("_http._tcp.two.internal.com", SRV)
        .has(&["_http._tcp.two.internal.com. 5 IN SRV 0 65280 1 10-0-0-1.two.internal.com."]);
    mesh.ask("_admin._tcp.two.internal.com", SRV)
        .has(&["_admin._tcp.two.internal.com. 5 IN SRV 0 65280 90 10-0-0-1.two.internal.com."]);
}

#[test]
fn texts_are_a_record_each_and_long_ones_are_cut_into_strings() {
    let long = "x".repeat(300);
    let list = serde_json::json!(["v=1", "", "quoted \"word\"", long]).to_string();
    let mesh = Mesh::new().orders(&[("txt", &list)], HTTP).vms(1);
    mesh.ask("orders.internal.com", TXT).has(&[
        "orders.internal.com. 5 IN TXT ",
        "orders.internal.com. 5 IN TXT quoted \"word\"",
        "orders.internal.com. 5 IN TXT v=1",
        &format!(
            "orders.internal.com. 5 IN TXT {}|{}",
            "x".repeat(255),
            "x".repeat(45)
        ),
    ]);
    let plain = Mesh::new().orders(&[("txt", "owner=shop")], HTTP);
    plain
        .ask("orders.internal.com", TXT)
        .has(&["orders.internal.com. 5 IN TXT owner=shop"]);
    Mesh::new()
        .orders(&[], HTTP)
        .ask("orders.internal.com", TXT)
        .is_no_data();
}

#[test]
fn a_text_at_a_host_is_ours_whoever_answers_its_other_types() {
    let spec = "  resolution: STATIC\n  endpoints: [{address: 10.0.0.1}]";
    let mut mesh = Mesh::new().entry("out", "api.example.org", &[("txt", "ours")], spec);
    mesh.forwarded = vec!["."];
    let reply = mesh.ask("api.example.org", TXT);
    assert!(!reply.is_for_others);
    reply.has(&["api.example.org. 5 IN TXT ours"]);
    assert!(mesh.ask("api.example.org", RecordType(15)).is_for_others);
}

#[test]
fn grpc_finds_its_config_in_strings_of_255_bytes_at_most() {
    let config = serde_json::json!([{"serviceConfig": {"loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": [{"service": "x".repeat(300)}]}]}}]);
    let mesh = Mesh::new()
        .orders(&[("grpc-config", &config.to_string())], HTTP)
        .vms(1);
    let reply = mesh.ask("_grpc_config.orders.internal.com", TXT);
    let [record] = &*reply.answers else {
        panic!("one record: {reply:?}")
    };
    let (_, data) = record.split_once(" TXT ").expect("a text");
    let strings: Vec<&str> = data.split('|').collect();
    assert_eq!(strings[0].len(), 255);
    assert_eq!(strings.concat(), format!("grpc_config={config}"));
    mesh.ask("_grpc_config.orders.internal.com", A).is_no_data();
    Mesh::new()
        .orders(&[], HTTP)
        .ask("_grpc_config.orders.internal.com", TXT)
        .is_no_name();
}

#[test]
fn https_is_told_of_tls_ports_alone_and_by_request() {
    let http = Mesh::new().orders(&[("https", "true")], HTTP).vms(1);
    http.ask("orders.internal.com", HTTPS).is_no_data();
    assert!(http.said().contains("MDNS625"), "{}", http.said());
    let tls = "{number: 443, name: https, protocol: HTTPS}";
    Mesh::new()
        .orders(&[], tls)
        .vms(1)
        .ask("orders.internal.com", HTTPS)
        .is_no_data();
    let mesh = Mesh::new().orders(&[("https", "true")], tls).vms(1);
    mesh.ask("orders.internal.com", HTTPS)
        .has(&["orders.internal.com. 5 IN HTTPS 1 . alpn=h2,http/1.1,"]);
    assert_eq!(mesh.said(), "");
    mesh.ask("_443._https.orders.internal.com", HTTPS)
        .is_no_name();
    mesh.ask("_https.orders.internal.com", HTTPS).is_no_name();
}

#[test]
fn https_tells_the_port_where_it_is_another_one() {
    let ports = "{number: 443, name: https, protocol: HTTPS, targetPort: 8443}, {number: 9443, name: admin, protocol: HTTPS}";
    let mesh = Mesh::new().orders(&[("https", "h3,h2")], ports).vms(1);
    mesh.ask("orders.internal.com", HTTPS)
        .has(&["orders.internal.com. 5 IN HTTPS 1 . alpn=h3,h2, port=8443"]);
    mesh.ask("_9443._https.orders.internal.com", HTTPS)
        .has(&["_9443._https.orders.internal.com. 5 IN HTTPS 1 orders.internal.com. alpn=h3,h2,"]);
    mesh.ask("_https.orders.internal.com", A).is_no_data();
    mesh.ask("_09443._https.orders.internal.com", HTTPS)
        .is_no_name();
    // A record says one port for all.
    let same = mesh.vm(2, "10.0.0.2", "  ports: {https: 8443}\n");
    assert_eq!(same.ask("orders.internal.com", HTTPS).answers.len(), 1);
    let differing = same.vm(3, "10.0.0.3", "  ports: {https: 8444, admin: 9443}\n");
    differing.ask("orders.internal.com", HTTPS).is_no_data();
    assert_eq!(
        differing
            .ask("_9443._https.orders.internal.com", HTTPS)
            .answers
            .len(),
        1
    );
}

#[test]
fn an_address_leads_to_one_name_where_its_zone_is_declared() {
    let undeclared = Mesh::new()
        .orders(&[("ptr", "true")], HTTP)
        .vm(1, "10.0.1.11", "")
        .vm(2, "2001:db8::7", "");
    assert_eq!(
        undeclared.ask("11.1.0.10.in-addr.arpa", PTR).rcode,
        "Query Refused"
    );
    assert!(
        undeclared.said().contains("MDNS626"),
        "{}",
        undeclared.said()
    );
    let mut mesh = undeclared;
    mesh.zones = vec![
        "internal.com",
        "10.in-addr.arpa",
        "8.b.d.0.1.0.0.2.ip6.arpa",
    ];
    mesh.ask("11.1.0.10.in-addr.arpa", PTR)
        .has(&["11.1.0.10.in-addr.arpa. 5 IN PTR 10-0-1-11.orders.internal.com."]);
    assert_eq!(mesh.said(), "");
    let v6 = format!("7.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
    mesh.ask(&v6, PTR)
        .has(&[&format!("{v6}. 5 IN PTR 2001-db8--7.orders.internal.com.")]);
    mesh.ask("11.1.0.10.in-addr.arpa", A).is_no_data();
    mesh.ask("11.1.0.10.in-addr.arpa", ANY)
        .has(&["11.1.0.10.in-addr.arpa. 5 IN HINFO RFC8482 "]);
    for above in ["1.0.10.in-addr.arpa", "0.10.in-addr.arpa"] {
        mesh.ask(above, PTR).is_no_data();
    }
    for other in [
        "12.1.0.10.in-addr.arpa",
        "2.0.10.in-addr.arpa",
        "1.10.in-addr.arpa",
        "x.11.1.0.10.in-addr.arpa",
    ] {
        mesh.ask(other, PTR).is_no_name();
    }
    // An apex has its own records all the same.
    assert_eq!(
        mesh.ask("10.in-addr.arpa", RecordType::SOA).answers.len(),
        1
    );
}

#[test]
fn of_two_hosts_with_an_address_the_older_has_its_name_or_who_asks_for_it() {
    let spec = "  resolution: STATIC\n  endpoints: [{address: 10.0.1.11}]";
    let mut mesh = Mesh::new()
        .entry("b-later", "a.internal.com", &[], spec)
        .entry("a-first", "b.internal.com", &[], spec)
        .entry("0-wild", "*.c.internal.com", &[], spec);
    mesh.zones.push("10.in-addr.arpa");
    mesh.ask("11.1.0.10.in-addr.arpa", PTR)
        .has(&["11.1.0.10.in-addr.arpa. 5 IN PTR 10-0-1-11.b.internal.com."]);
    let asking = mesh.entry("c-last", "d.internal.com", &[("ptr", "true")], spec);
    asking
        .ask("11.1.0.10.in-addr.arpa", PTR)
        .has(&["11.1.0.10.in-addr.arpa. 5 IN PTR 10-0-1-11.d.internal.com."]);
}

#[test]
fn the_name_of_an_address_follows_who_has_it() {
    let entry = |name: &str, host: &str, address: &str| {
        let spec = format!("  resolution: STATIC\n  endpoints: [{{address: {address}}}]");
        let mut mesh = Mesh::new().entry(name, host, &[], &spec);
        mesh.zones.push("10.in-addr.arpa");
        mesh
    };
    let file = |mesh: &Mesh, name: &str| FileChange {
        file: name.into(),
        ..mesh.file()
    };
    let mut pipeline = entry("b", "b.internal.com", "10.0.0.1").load();
    let asked = |pipeline: &Pipeline| ask(pipeline, "1.0.0.10.in-addr.arpa", PTR, None, 0).answers;
    let leads_to = |host: &str| {
        [format!(
            "1.0.0.10.in-addr.arpa. 5 IN PTR 10-0-0-1.{host}.internal.com."
        )]
    };
    assert_eq!(asked(&pipeline), leads_to("b"));
    let older = entry("a", "a.internal.com", "10.0.0.1");
    let report = pipeline.apply([file(&older, "more.yaml")], now());
    assert!(report.names_changed > 0);
    assert_eq!(asked(&pipeline), leads_to("a"));
    pipeline.apply(
        [file(&entry("a", "a.internal.com", "10.0.0.2"), "more.yaml")],
        now(),
    );
    assert_eq!(asked(&pipeline), leads_to("b"));
    pipeline.apply(
        [file(&entry("b", "b.internal.com", "10.0.0.3"), "mesh.yaml")],
        now(),
    );
    assert_eq!(asked(&pipeline), [""; 0]);
}

#[test]
fn in_a_part_of_the_addresses_others_answer_for_those_that_nobody_has() {
    let mut mesh = Mesh::new().orders(&[], HTTP).vm(1, "10.1.0.5", "");
    mesh.zones.push("1.10.in-addr.arpa");
    mesh.partial.push("1.10.in-addr.arpa");
    mesh.forwarded.push(".");
    let reply = mesh.ask("5.0.1.10.in-addr.arpa", PTR);
    assert!(!reply.is_for_others);
    reply.has(&["5.0.1.10.in-addr.arpa. 5 IN PTR 10-1-0-5.orders.internal.com."]);
    assert!(mesh.ask("6.0.1.10.in-addr.arpa", PTR).is_for_others);
}
