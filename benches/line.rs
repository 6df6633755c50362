//! Wall time of each step of the line, without sockets: what a query costs, and what a change costs.
//!
//! ```text
//! cargo bench --bench line
//! cargo bench --bench line -- answer
//! ```
//!
//! For comparing two versions on one machine; small enough to run after each change. What the kernel adds to a query is
//! in the bench `load`.

use std::{
    fmt::Write as _,
    hint::black_box,
    sync::Arc,
    time::{Duration, SystemTime},
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use meshdns::{
    answer::answer,
    dns::Name,
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
    wire,
    zone::{self, Settings},
};
use serde::Deserialize;

const HOSTS: usize = 10_000;
const PODS_PER_HOST: usize = 4;

/// An OPT record with a client cookie, as dig sends it.
const COOKIE: &[u8] = b"\0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08\x01\x23\x45\x67\x89\xab\xcd\xef";

fn queries(criterion: &mut Criterion) {
    const TURN: u32 = 1 << 30;
    /// A prime, so that steps of it visit every host.
    const STEP: usize = 7_919;
    let pipeline = mesh();
    let snapshot = pipeline.snapshot();
    let mut out = Vec::with_capacity(wire::MAX_UDP_BYTES);
    for (name, additional) in [("plain", &b""[..]), ("cookie", COOKIE)] {
        let messages: Vec<Vec<u8>> = (0..HOSTS)
            .map(|index| question(index, additional))
            .collect();
        let message = &messages[HOSTS / 2][..];
        let mut buffer = wire::NameBuffer::default();
        let query = wire::parse(message, TURN, &mut buffer).expect("the question is well-formed");
        let answered = answer(snapshot, &query);
        let limit_bytes = wire::udp_limit_bytes(&query);
        let written = wire::write(&query, &answered, limit_bytes, &mut out);
        assert!(
            written.bytes >= question(HOSTS / 2, b"").len() + PODS_PER_HOST * 16,
            "the host answers"
        );

        let mut group = criterion.benchmark_group(format!("query/{name}"));
        group.bench_function("parse", |bencher| {
            let mut buffer = wire::NameBuffer::default();
            bencher.iter(|| wire::parse(black_box(message), TURN, &mut buffer).is_ok());
        });
        group.bench_function("answer", |bencher| {
            bencher.iter(|| black_box(answer(snapshot, black_box(&query))));
        });
        group.bench_function("write", |bencher| {
            bencher.iter(|| {
                out.clear();
                wire::write(
                    black_box(&query),
                    black_box(&answered),
                    limit_bytes,
                    &mut out,
                )
            });
        });
        group.bench_function("all", |bencher| {
            let mut buffer = wire::NameBuffer::default();
            bencher.iter(|| {
                out.clear();
                let query = wire::parse(black_box(message), TURN, &mut buffer)
                    .expect("the question is well-formed");
                let answered = answer(snapshot, &query);
                wire::write(&query, &answered, wire::udp_limit_bytes(&query), &mut out)
            });
        });
        // The same as `all`, but what is looked up is no longer in the core's nearest caches.
        let mut next = 0;
        group.bench_function("all, other names each time", |bencher| {
            let mut buffer = wire::NameBuffer::default();
            bencher.iter(|| {
                out.clear();
                next = (next + STEP) % HOSTS;
                let query = wire::parse(&messages[next], TURN, &mut buffer)
                    .expect("the question is well-formed");
                let answered = answer(snapshot, &query);
                wire::write(&query, &answered, wire::udp_limit_bytes(&query), &mut out)
            });
        });
        group.finish();
    }
}

fn changes(criterion: &mut Criterion) {
    let many: String = (0..50).map(|index| pods_text(index, true)).collect();
    let texts = [
        ("VMs", include_str!("../zones/ns1/vms.yaml").to_owned()),
        ("Pods, YAML", many.clone()),
        ("Pods, JSON", json(&many)),
    ];
    let file: Arc<str> = "mesh/file.yaml".into();
    let mut group = criterion.benchmark_group("manifest/parse");
    for (name, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| manifest::parse(&file, black_box(&text)));
        });
    }
    group.finish();

    let mut pipeline = mesh();
    let host: Name = host(HOSTS / 2).parse().expect("a valid name");
    let selection = pipeline.select(&host).expect("the mesh has the host");
    let settings = pipeline.policy().settings.clone();
    criterion.bench_function("zone/compile one host", |bencher| {
        bencher.iter(|| zone::compile(black_box(&selection.gathering), &settings));
    });
    criterion.bench_function("select one host", |bencher| {
        bencher.iter(|| pipeline.select(black_box(&host)));
    });

    let mut ready = false;
    let mut group = criterion.benchmark_group("pipeline");
    group.bench_function("one Pod turns (un)ready among 10,000 hosts", |bencher| {
        bencher.iter_batched(
            || {
                ready = !ready;
                vec![pods(HOSTS / 2, ready)]
            },
            |change| pipeline.apply(change, SystemTime::UNIX_EPOCH).names_changed,
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A mesh of [`HOSTS`] hosts in one declared zone, each with a selector and [`PODS_PER_HOST`] ready Pods.
fn mesh() -> Pipeline {
    let zone: Name = "mesh.example".parse().expect("a valid name");
    let mut pipeline = Pipeline::new(Policy {
        settings: Arc::new(Settings {
            zones: vec![zone],
            ..Settings::default()
        }),
        ..Policy::default()
    });
    let services = (0..HOSTS).map(service);
    let pods = (0..HOSTS).map(|index| pods(index, true));
    let report = pipeline.apply(services.chain(pods), SystemTime::UNIX_EPOCH);
    assert_eq!(
        report.affected.hosts.len(),
        HOSTS,
        "every document is valid"
    );
    pipeline
}

fn host(index: usize) -> String {
    format!("host-{index}.mesh.example")
}

/// A query for the addresses of one host, with `additional` as its one additional record where that is not empty.
fn question(index: usize, additional: &[u8]) -> Vec<u8> {
    let count = u8::from(!additional.is_empty());
    let mut message = vec![0x2f, 0x1c, 0, 0, 0, 1, 0, 0, 0, 0, 0, count];
    let name: Name = host(index).parse().expect("a valid name");
    message.extend(name.as_wire());
    message.extend([0, 1, 0, 1]);
    message.extend(additional);
    message
}

/// A file with the ServiceEntry of one host.
fn service(index: usize) -> FileChange {
    let host = host(index);
    let text = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: service-{index}, namespace: bench}}
spec:
  hosts: [{host}]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  resolution: STATIC
  workloadSelector: {{labels: {{app: app-{index}}}}}
"
    );
    read(&format!("mesh/service-{index}.yaml"), &text)
}

/// A file with the Pods of one host, the first of them ready or not.
fn pods(index: usize, first_is_ready: bool) -> FileChange {
    read(
        &format!("mesh/pods-{index}.yaml"),
        &pods_text(index, first_is_ready),
    )
}

fn pods_text(index: usize, first_is_ready: bool) -> String {
    let mut text = String::new();
    for pod in 0..PODS_PER_HOST {
        let ready = if pod > 0 || first_is_ready {
            "True"
        } else {
            "False"
        };
        let [high, low] = u16::try_from(index).expect("few hosts").to_be_bytes();
        write!(
            text,
            "\
---
apiVersion: v1
kind: Pod
metadata:
  name: app-{index}-{pod}
  namespace: bench
  labels:
    app: app-{index}
status:
  phase: Running
  podIP: 10.{high}.{low}.{pod}
  conditions:
  - type: Ready
    status: \"{ready}\"
"
        )
        .expect("a string takes everything");
    }
    text
}

/// The documents of `yaml` as one list, as `kubectl get -o json` prints them (but for the blanks).
fn json(yaml: &str) -> String {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let items: Vec<serde_json::Value> = documents
        .map(|document| Deserialize::deserialize(document).expect("the text is valid"))
        .collect();
    serde_json::json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn read(file: &str, text: &str) -> FileChange {
    let file: Arc<str> = file.into();
    let contents = manifest::parse(&file, text);
    assert!(
        contents.diagnostics.is_empty(),
        "the text is valid: {:?}",
        contents.diagnostics
    );
    FileChange {
        file,
        reading: Reading::Read(contents),
    }
}

criterion_group! {
    name = line;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = queries, changes
}
criterion_main!(line);
