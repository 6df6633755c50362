//! Replays `tests/cases/<topic>/<case>/dig.txt` against the case's `mesh/` folder: in the core, and over UDP, TCP, TLS,
//! HTTPS and QUIC. The transcript must come out the same each time.
//!
//! Steps of a transcript (a line `; …` is a comment, what follows a step is what it prints):
//!
//! ```text
//! $ serve --zone internal.com --ttl 30s      first, where the defaults are not meant
//! $ serve --checks all --when-all-fail none   every VM and inline endpoint is probed, port 8080
//! $ serve --max-addresses auto|N|0            how many addresses an answer holds
//! $ serve --share HOST:pod=N                 the share of Pods
//! $ serve --forwarder NETWORK                who asks for others
//! $ serve --checks none                      nobody is probed, but heartbeats count
//! $ serve --forwarded DOMAIN                 the same: others answer for the domain, nobody of them here
//! $ dig NAME TYPE [CLASS] [+noedns] [+bufsize=N] [+nsid]
//! $ write mesh/FILE later/FILE               replace or add a file of the mesh
//! $ rm mesh/FILE
//! $ told NAME [ADDRESS...]                   what others say of the name of an endpoint
//! $ asks                                     the names of endpoints that others are asked about
//! $ overrides [FILE]                         an override file, or its end
//! $ wait SECONDS                             time passes
//! $ probed                                   what is to be probed, and what holds of it so far
//! $ found ADDRESS passes|fails|waits|held    what follows from probes of an address
//! $ why HOST                                 each candidate, whether it is in, and why
//! $ check                                    what is wrong with the mesh now
//! ```
//!
//! `UPDATE=1 cargo test --test it cases` rewrites the transcripts.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::IpAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    dns_client::{Client, Question},
    transport::{self, Transport},
};
use arc_swap::ArcSwap;
use meshdns::{
    diagnostic::Kind,
    dns::{Name, RecordType},
    explain::explain,
    health::{
        CheckPolicy, CheckRule, HeldFor, Out, Overrides, Reach, Ruling, Target, TargetId, Wanted,
        WhenAllFail,
    },
    manifest::{self, LabelMap, MaxAddresses, Percent, Probe, ShareBy, Shares},
    mesh::{FileChange, Reading, ResolvedName},
    pipeline::{Pipeline, Policy, Report},
    select::{TrafficPolicy, WhenAllUnhealthy},
    zone::{Identity, Settings, Snapshot},
};

/// A case's mesh, and the snapshot made from it.
struct Mesh {
    pipeline: Pipeline,
    snapshots: Arc<ArcSwap<Snapshot>>,
    now: SystemTime,
    /// What is to be probed.
    targets: BTreeMap<TargetId, Wanted>,
}

impl Mesh {
    fn load(case: &Path, policy: Policy) -> Self {
        let mut pipeline = Pipeline::new(policy);
        let mut files: Vec<PathBuf> = fs::read_dir(case.join("mesh"))
            .expect("a case has a mesh folder")
            .map(|entry| entry.expect("the folder can be listed").path())
            .collect();
        files.sort();
        let changes = files.iter().map(|file| {
            let name = file
                .file_name()
                .expect("a listed file has a name")
                .to_string_lossy()
                .into_owned();
            read(&format!("mesh/{name}"), file)
        });
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let report = pipeline.apply(changes, now);
        let mut mesh = Self {
            pipeline,
            snapshots: Arc::new(ArcSwap::new(report.snapshot.clone())),
            now,
            targets: BTreeMap::new(),
        };
        mesh.publish(report);
        mesh
    }

    fn publish(&mut self, report: Report) {
        for id in report.targets.unwanted {
            self.targets.remove(&id);
        }
        let wanted = report.targets.wanted.into_iter();
        self.targets
            .extend(wanted.map(|wanted| (wanted.id, wanted)));
        self.snapshots.store(report.snapshot);
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        let report = self.pipeline.compile(self.now);
        self.publish(report);
    }

    /// `ADDRESS WHAT`
    fn find(&mut self, arguments: &str) {
        let (address, what) = arguments.split_once(' ').expect("$ found ADDRESS WHAT");
        let address = address.parse::<IpAddr>().expect("an address");
        let out = |is_pending, text: &str| {
            Ruling::Out(Out {
                is_pending,
                had_place: !is_pending,
                text: text.into(),
            })
        };
        let ruling = match what {
            "passes" => Ruling::Passing,
            "fails" => out(false, "check fails"),
            "waits" => out(true, "waits for its first check"),
            "held" => Ruling::Held(HeldFor::Unproven, "check never passed for anyone".into()),
            other => panic!("a check can't come to {other}"),
        };
        let targets = self.targets.values();
        let of_address = targets.filter(|wanted| wanted.target.address == address);
        let told = of_address.map(|wanted| (wanted.id, ruling.clone()));
        self.pipeline.take_in_rulings(told.collect::<Vec<_>>());
        self.pass(1);
    }

    fn why(&self, host: &str) -> String {
        let host: Name = host.parse().expect("a valid host");
        let explanation = explain(&self.pipeline, &host, RecordType::A, None);
        let mut lines = String::new();
        for story in &explanation.hosts {
            for candidate in &story.selection.candidates {
                let place = if story.selection.is_in(candidate) {
                    "in "
                } else {
                    "out"
                };
                let addresses: Vec<String> = candidate
                    .addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let addresses = if addresses.is_empty() {
                    "-".to_owned()
                } else {
                    addresses.join(",")
                };
                let why = candidate.why().unwrap_or_default();
                writeln!(lines, "{}", format!("{place} {addresses} {why}").trim_end())
                    .expect("a string");
            }
        }
        lines
    }

    /// `NAME [ADDRESS...]`
    fn tell(&mut self, arguments: &str) {
        self.now += Duration::from_secs(1);
        let mut words = arguments.split_whitespace();
        let name = words.next().expect("$ told NAME");
        let name = Name::from_text(name).expect("a valid name");
        let addresses = words.map(|word| word.parse().expect("an address"));
        let told = ResolvedName::new(addresses.collect(), self.now);
        self.pipeline.take_in_names([(name, Some(told))]);
        self.pass(0);
    }

    fn apply(&mut self, change: FileChange) {
        self.now += Duration::from_secs(1);
        let report = self.pipeline.apply(vec![change], self.now);
        self.publish(report);
    }
}

fn read(name: &str, file: &Path) -> FileChange {
    let file_name: Arc<str> = name.into();
    let bytes = fs::read(file).unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
    let contents = manifest::parse_bytes(&file_name, &bytes);
    FileChange {
        file: file_name,
        reading: Reading::Read(contents),
    }
}

/// What `$ serve` says, or the defaults.
fn policy(arguments: &str) -> Policy {
    let mut settings = Settings {
        identity: Identity {
            version: Some("meshdns".into()),
            server_id: Some("test-server".into()),
            nsid: Some((*b"test-nsid").into()),
        },
        ..Settings::default()
    };
    let mut when_all_unhealthy = WhenAllUnhealthy::None;
    let mut checks = None;
    let mut traffic = TrafficPolicy::default();
    let mut words = arguments.split_whitespace();
    while let (Some(flag), Some(value)) = (words.next(), words.next()) {
        match flag {
            "--zone" => settings.zones.push(value.parse().expect("a valid zone")),
            "--forwarded" => {
                let domain = Name::from_text(value).expect("a valid domain");
                settings.forwarded.push(domain);
            }
            "--ttl" => {
                let ttl = humantime::parse_duration(value).expect("a duration");
                settings.ttl = ttl.try_into().expect("a TTL");
            }
            "--when-all-unhealthy" => {
                assert_eq!(value, "all");
                when_all_unhealthy = WhenAllUnhealthy::All;
            }
            "--max-addresses" => settings.max_addresses = max_addresses(value),
            "--forwarder" => settings.forwarders.push(value.parse().expect("a network")),
            "--share" => {
                let (host, share) = value.split_once(':').expect("--share HOST:pod=N");
                let share = share.strip_prefix("pod=").and_then(Percent::from_text);
                let wanted = [("pod".into(), share.expect("a share"))].into();
                let by = ShareBy::Kind;
                let host = host.parse().expect("a host");
                traffic.shares.insert(host, Shares { by, wanted });
            }
            "--checks" if value == "none" => checks = Some(CheckPolicy::default()),
            "--checks" => checks = Some(check_all()),
            "--when-all-fail" => {
                let checks = checks.get_or_insert_with(check_all);
                checks.when_all_fail = WhenAllFail::None;
            }
            other => panic!("a case can't say {other}"),
        }
    }
    Policy {
        settings: Arc::new(settings),
        when_all_unhealthy,
        checks: checks.map(Arc::new),
        traffic: Arc::new(traffic),
        enforces_export: false,
    }
}

fn max_addresses(text: &str) -> MaxAddresses {
    match text.parse().ok().map(NonZeroU16::new) {
        None => MaxAddresses::Fitting,
        Some(None) => MaxAddresses::All,
        Some(Some(number)) => MaxAddresses::Number(number),
    }
}

/// Probes every VM and every inline endpoint.
fn check_all() -> CheckPolicy {
    let probe = Probe::from_text("tcpSocket: {port: 8080}").expect("a probe");
    let everywhere = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("a network"));
    CheckPolicy {
        rules: vec![CheckRule {
            name: "all".into(),
            namespaces: Box::default(),
            labels: LabelMap::default(),
            kinds: [Kind::WorkloadEntry, Kind::ServiceEntry].into(),
            hosts: Box::default(),
            probe: Some(Arc::new(probe)),
        }],
        reach: Reach::new(everywhere.into(), Vec::new()),
        ..CheckPolicy::default()
    }
}

/// Replays one transcript and returns what it prints.
fn replay(case: &Path, transcript: &str, transport: Transport) -> String {
    let arguments = transcript
        .lines()
        .find_map(|line| line.strip_prefix("$ serve "))
        .unwrap_or_default();
    let mut mesh = Mesh::load(case, policy(arguments));
    let server = (transport.start)(mesh.snapshots.clone());
    let mut client = Client::new(transport, server);
    let mut printed = String::new();
    let mut behind_step = false;
    for line in transcript.lines() {
        let Some(step) = line.strip_prefix("$ ") else {
            // What the transcript says that a step printed is left out; comments and blank lines stay.
            if line.starts_with("; ") || (line.is_empty() && behind_step) {
                writeln!(printed, "{line}").expect("a string can be written to");
            }
            continue;
        };
        behind_step = true;
        writeln!(printed, "{line}").expect("a string can be written to");
        let (verb, arguments) = step.split_once(' ').unwrap_or((step, ""));
        match verb {
            "serve" => {}
            "dig" => printed.push_str(&client.dig(&Question::parse(arguments))),
            "write" => {
                let (target, source) = arguments.split_once(' ').expect("$ write TARGET SOURCE");
                mesh.apply(read(target, &case.join(source)));
            }
            "rm" => mesh.apply(FileChange {
                file: arguments.into(),
                reading: Reading::Gone,
            }),
            "told" => mesh.tell(arguments),
            "overrides" => {
                let text = match arguments {
                    "" => String::new(),
                    file => fs::read_to_string(case.join(file)).expect("an override file"),
                };
                let overrides = Overrides::parse("overrides.yaml", &text).expect("lines");
                mesh.pipeline.set_overrides(Arc::new(overrides));
                mesh.pass(1);
            }
            "wait" => mesh.pass(arguments.parse().expect("$ wait SECONDS")),
            "found" => mesh.find(arguments),
            "probed" => {
                for wanted in mesh.targets.values() {
                    let Target { address, probe } = &wanted.target;
                    let port = probe.method.port().unwrap_or_default();
                    writeln!(printed, "{address} {port} {:?}", wanted.begin).expect("a string");
                }
            }
            "why" => printed.push_str(&mesh.why(arguments)),
            "asks" => {
                for name in mesh.pipeline.names_wanted() {
                    writeln!(printed, "{name}").expect("a string can be written to");
                }
            }
            "check" => {
                for diagnostic in mesh.pipeline.diagnostics().iter() {
                    writeln!(printed, "{diagnostic}").expect("a string can be written to");
                }
            }
            other => panic!("{}: no such step: {other}", case.display()),
        }
    }
    printed
}

fn cases() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders = |path: &Path| {
        let mut folders: Vec<PathBuf> = fs::read_dir(path)
            .expect("the folder can be listed")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        folders.sort();
        folders
    };
    let cases: Vec<_> = folders(&root)
        .iter()
        .flat_map(|topic| folders(topic))
        .collect();
    assert!(
        cases.len() > 10,
        "the cases are where this test looks for them"
    );
    cases
}

/// Replays every transcript over `transport` and compares what it prints with `expected`, which is given the transcript.
pub(crate) fn replay_all(transport: Transport, mut expected: impl FnMut(&str) -> String) {
    let mut failures = Vec::new();
    for case in cases() {
        let (file, transcript) = transcript(&case);
        let printed = replay(&case, &transcript, transport);
        let expected = expected(&transcript);
        if printed != expected {
            failures.push(format!(
                "{}\n--- expected\n{expected}--- printed\n{printed}",
                file.display()
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} transcripts differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

fn transcript(case: &Path) -> (PathBuf, String) {
    let file = case.join("dig.txt");
    let transcript = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("read {}: {error}", file.display()));
    (file, transcript)
}

fn rewrite_all() {
    for case in cases() {
        let (file, transcript) = transcript(&case);
        let printed = replay(&case, &transcript, transport::CORE);
        if printed != transcript {
            fs::write(&file, printed).expect("a transcript can be written");
        }
    }
}

#[test]
fn in_the_core() {
    if std::env::var_os("UPDATE").is_some() {
        rewrite_all();
    }
    replay_all(transport::CORE, str::to_owned);
}

#[test]
fn over_udp() {
    replay_all(transport::UDP, str::to_owned);
}

#[test]
fn over_tcp() {
    replay_all(transport::TCP, str::to_owned);
}

#[test]
fn over_tls() {
    replay_all(transport::TLS, str::to_owned);
}

#[test]
fn over_https() {
    replay_all(transport::HTTPS, str::to_owned);
}

#[test]
fn over_quic() {
    replay_all(transport::QUIC, str::to_owned);
}
