//! Writes what the fuzzer begins with: a folder of seeds for each target, out of what the tests and the docs have.
//!
//! Done by the target `query` in place of its work where the variable `SEEDS` names a folder: a program of its own would need
//! libFuzzer's functions without its `main`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::BASE64URL_NOPAD;
use hickory_proto::{
    op::{Edns, Message, Query},
    rr::{Name, RData, Record, RecordType, rdata},
};

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{ASKED_NAME, files, repository};

/// Numbered files of a target.
struct Seeds {
    folder: PathBuf,
    count: usize,
}

impl Seeds {
    fn of(folder: &Path, target: &str) -> Self {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("a new folder");
        Self { folder, count: 0 }
    }

    fn add(&mut self, seed: impl AsRef<[u8]>) {
        let path = self.folder.join(self.count.to_string());
        fs::write(path, seed).expect("a new file");
        self.count += 1;
    }
}

/// The questions of every transcript in tests/cases, each once, as stubs ask them.
fn queries() -> Vec<Vec<u8>> {
    let mut asked = Vec::new();
    for path in files(&repository().join("tests/cases"), &["dig.txt"]) {
        let text = fs::read_to_string(path).expect("a transcript");
        let lines = text.lines().filter_map(|line| line.strip_prefix("$ dig "));
        asked.extend(lines.map(str::to_owned));
    }
    asked.sort();
    asked.dedup();
    let messages = asked.iter().filter_map(|line| {
        let mut words = line.split_whitespace();
        let name = Name::from_ascii(words.next()?).ok()?;
        let record_type: RecordType = words.next()?.parse().ok()?;
        let mut message = Message::query();
        message.add_query(Query::query(name, record_type));
        if !line.contains("+noedns") {
            message.edns = Some(Edns::new());
        }
        message.to_vec().ok()
    });
    messages.collect()
}

/// Replies of upstreams: addresses, a chain of aliases, and a name that does not exist.
fn replies() -> Vec<Vec<u8>> {
    let name = Name::from_ascii(ASKED_NAME).expect("a name");
    let other = Name::from_ascii("edge.cdn.example.net").expect("a name");
    let address = |owner: &Name, last| {
        let address = rdata::A::new(192, 0, 2, last);
        Record::from_rdata(owner.clone(), 300, RData::A(address))
    };
    let alias = Record::from_rdata(name.clone(), 60, RData::CNAME(rdata::CNAME(other.clone())));
    let soa = rdata::SOA::new(other.clone(), other.clone(), 1, 2, 3, 4, 300);
    let soa = Record::from_rdata(other.clone(), 300, RData::SOA(soa));
    let question = Query::query(name.clone(), RecordType::A);
    let reply = |rcode: u8, answers: Vec<Record>, authorities: Vec<Record>| {
        let mut message = Message::query();
        message.add_query(question.clone());
        message.answers = answers;
        message.authorities = authorities;
        message.edns = Some(Edns::new());
        let mut bytes = message.to_vec().expect("a message");
        bytes[..4].copy_from_slice(&[0x12, 0x34, 0x81, 0x80 | rcode]);
        bytes
    };
    vec![
        reply(0, vec![address(&name, 1), address(&name, 2)], vec![]),
        reply(0, vec![alias, address(&other, 3)], vec![soa.clone()]),
        reply(3, vec![], vec![soa]),
        reply(2, vec![], vec![]),
    ]
}

/// The `yaml` blocks of the page on configuration, one document each.
fn configurations() -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/configuration.md")).expect("a page");
    let blocks = page.split("```yaml\n").skip(1);
    let mut found: Vec<String> = blocks
        .filter_map(|block| Some(block.split("```").next()?.to_owned()))
        .collect();
    for path in files(&repository().join("deploy"), &["meshdns.yaml"]) {
        found.push(fs::read_to_string(path).expect("a configuration"));
    }
    found
}

/// The objects of the sample mesh as an API server sends them: as a list in pages, and as events that end a list.
fn replies_of_servers() -> Vec<Vec<u8>> {
    const KINDS: [&str; 4] = ["ServiceEntry", "WorkloadEntry", "WorkloadGroup", "Pod"];
    let mut objects = Vec::new();
    for path in files(&repository().join("zones"), &[".yaml"]) {
        let text = fs::read_to_string(path).expect("a file of the repository");
        for document in serde_yaml::Deserializer::from_str(&text) {
            let mut object = Value::deserialize(document).expect("an object");
            object["metadata"]["uid"] = json!(format!("u{}", objects.len()));
            object["metadata"]["resourceVersion"] = json!(objects.len().to_string());
            object["metadata"]["managedFields"] = json!([{"manager": "a\"}{", "fieldsV1": {"f:spec": {}}}]);
            objects.push(object);
        }
    }
    let mut found = Vec::new();
    for (number, kind) in (0_u8..).zip(KINDS) {
        let of_kind = || objects.iter().filter(|object| object["kind"] == kind);
        let mut events = vec![7 * 8 + number];
        for object in of_kind() {
            let event = json!({"type": "ADDED", "object": object});
            events.extend(format!("{event}\n").bytes());
        }
        let metadata = json!({"resourceVersion": "99", "annotations": {"k8s.io/initial-events-end": "true"}});
        let bookmark = json!({"type": "BOOKMARK", "object": {"metadata": metadata}});
        events.extend(bookmark.to_string().bytes());
        found.push(events);
        let items: Vec<_> = of_kind().collect();
        let list = json!({"kind": "List", "metadata": {"resourceVersion": "99"}, "items": items});
        found.push([&[6 * 8 + 4 + number], list.to_string().as_bytes()].concat());
    }
    let status = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
    found.push([&[0], status.as_bytes()].concat());
    found
}

/// Writes all of them.
///
/// # Panics
///
/// Where a file can't be written, or one of the repository can't be read.
pub fn write(folder: &Path) {
    let queries = queries();
    let mut seeds = Seeds::of(folder, "query");
    queries.iter().for_each(|query| seeds.add(query));
    let mut seeds = Seeds::of(folder, "doh");
    for query in &queries {
        let text = BASE64URL_NOPAD.encode(query);
        seeds.add(format!(
            "GET /dns-query?dns={text} HTTP/1.1\r\nhost: a\r\n\r\n"
        ));
        let length = query.len();
        let head = format!(
            "POST /dns-query HTTP/1.1\r\nhost: a\r\ncontent-type: application/dns-message\r\ncontent-length: {length}\r\n\r\n"
        );
        seeds.add([head.as_bytes(), query].concat());
    }
    let mut seeds = Seeds::of(folder, "reply");
    replies().iter().for_each(|reply| seeds.add(reply));
    let mut seeds = Seeds::of(folder, "manifest");
    for folder in ["tests/cases", "tests/validation", "zones"] {
        for path in files(&repository().join(folder), &[".yaml", ".yml", ".json"]) {
            seeds.add(fs::read(path).expect("a file of the repository"));
        }
    }
    let mut seeds = Seeds::of(folder, "cluster");
    replies_of_servers().iter().for_each(|reply| seeds.add(reply));
    let mut seeds = Seeds::of(folder, "configuration");
    configurations().iter().for_each(|text| seeds.add(text));
    let mut seeds = Seeds::of(folder, "resolv_conf");
    seeds.add("# a comment\nsearch a.test b.test\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0 trust-ad\n");
    seeds.add("nameserver fe80::53%eth0\n\tnameserver 127.0.0.53\r\n; another\nnameserver 192.0.2.256\nnameserver");
    let mut seeds = Seeds::of(folder, "http");
    for path in ["/health", "/ready", "/metrics", "/", "/metrics?a=b"] {
        seeds.add(format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\naccept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3\r\n\r\n"
        ));
    }
    seeds.add("HEAD /metrics HTTP/1.0\r\n\r\n");
    seeds.add("POST /ready HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
}
