//! Wall time of each step of the line, without sockets: what a query costs, and what a change costs.
//!
//! ```text
//! cargo bench --bench line
//! cargo bench --bench line -- answer
//! ```
//!
//! For comparing two versions on one machine; small enough to run after each change. What the kernel adds to a query is
//! in the bench `udp`.

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

const HOSTS: usize = 1_000;
const PODS_PER_HOST: usize = 4;

/// A question for a host of the mesh, as a resolver asks it: without EDNS, and with a client cookie as dig sends it.
const PLAIN: &[u8] = b"\x2f\x1c\0\0\0\x01\0\0\0\0\0\0\x08host-500\x04mesh\x07example\0\0\x01\0\x01";
const COOKIE: &[u8] =
    b"\x2f\x1c\0\0\0\x01\0\0\0\0\0\x01\x08host-500\x04mesh\x07example\0\0\x01\0\x01\
    \0\0\x29\x04\xd0\0\0\0\0\0\x0c\0\x0a\0\x08\x01\x23\x45\x67\x89\xab\xcd\xef";

fn queries(criterion: &mut Criterion) {
    const TURN: u32 = 1 << 30;
    let pipeline = mesh();
    let snapshot = pipeline.snapshot();
    let mut out = Vec::with_capacity(wire::MAX_UDP_BYTES);
    for (name, message) in [("plain", PLAIN), ("cookie", COOKIE)] {
        let query = wire::parse(message, TURN).expect("the question is well-formed");
        let answered = answer(snapshot, &query);
        let limit_bytes = wire::udp_limit_bytes(&query);
        let written = wire::write(&query, &answered, limit_bytes, &mut out);
        assert!(
            written.bytes >= PLAIN.len() + PODS_PER_HOST * 16,
            "the host answers"
        );

        let mut group = criterion.benchmark_group(format!("query/{name}"));
        group.bench_function("parse", |bencher| {
            bencher.iter(|| wire::parse(black_box(message), TURN).is_ok());
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
            bencher.iter(|| {
                out.clear();
                let query =
                    wire::parse(black_box(message), TURN).expect("the question is well-formed");
                let answered = answer(snapshot, &query);
                wire::write(&query, &answered, wire::udp_limit_bytes(&query), &mut out)
            });
        });
        group.finish();
    }
}

fn changes(criterion: &mut Criterion) {
    let texts = [
        ("VMs", include_str!("../zones/ns1/vms.yaml")),
        ("Pods", include_str!("../zones/ns1/pods.yaml")),
    ];
    let file: Arc<str> = "mesh/file.yaml".into();
    let mut group = criterion.benchmark_group("manifest/parse");
    for (name, text) in texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| manifest::parse(&file, black_box(text)));
        });
    }
    group.finish();

    let mut pipeline = mesh();
    let host: Name = host(HOSTS / 2).parse().expect("a valid name");
    let selection = pipeline.select(&host).expect("the mesh has the host");
    let settings = pipeline.policy().settings.clone();
    criterion.bench_function("zone/compile one host", |bencher| {
        bencher.iter(|| zone::compile(black_box(&selection), &settings));
    });
    criterion.bench_function("select one host", |bencher| {
        bencher.iter(|| pipeline.select(black_box(&host)));
    });

    let mut ready = false;
    let mut group = criterion.benchmark_group("pipeline");
    group.bench_function("one Pod turns (un)ready among 1,000 hosts", |bencher| {
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
    let report = pipeline.apply(services.chain(pods).collect(), SystemTime::UNIX_EPOCH);
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
metadata: {{name: app-{index}-{pod}, namespace: bench, labels: {{app: app-{index}}}}}
status:
  phase: Running
  podIP: 10.{high}.{low}.{pod}
  conditions: [{{type: Ready, status: \"{ready}\"}}]
"
        )
        .expect("a string takes everything");
    }
    read(&format!("mesh/pods-{index}.yaml"), &text)
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
