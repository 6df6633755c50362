//! What hostile files cost whoever reads them: memory and computing, of a process that does nothing else.

use std::{fmt::Write as _, fs, path::Path, time::SystemTime};

use meshdns::{
    diagnostic::code,
    mesh::Reading,
    pipeline::{Pipeline, Policy},
    source::{self, FollowLinks},
};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How much 1 MiB of such a file may add, in kibibytes, while it is read too.
const MOST_ADDED_KIB: u64 = 32 << 10;

/// The same for one that our own reader of YAML leaves to a library, which holds it in pieces first.
const MOST_ADDED_BY_LIBRARY_KIB: u64 = 128 << 10;

/// Far more hundredths of a second than a build for debugging takes for any of them, which is some 20 times as much as the
/// program takes.
const MOST_TICKS: u64 = 1_500;

/// A field of `/proc/self/status`, in kibibytes.
fn kib(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.expect("every Linux tells").trim_end_matches(" kB");
    number
        .trim_matches([':', '\t', ' '])
        .parse()
        .expect("a number")
}

/// How many hundredths of a second this process has computed.
fn ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("this process runs");
    let (_, fields) = stat.rsplit_once(')').expect("a command in brackets");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let tick = |at: usize| fields[at].parse::<u64>().expect("a number");
    tick(11) + tick(12)
}

/// Takes in the file `name` in `folder` as `serve` does; returns the mesh, and the diagnostics of what could not be read.
fn take_in(folder: &Path, name: &str) -> (Pipeline, Vec<code::Code>) {
    let mut pipeline = Pipeline::new(Policy::default());
    let mut unreadable = Vec::new();
    source::load(vec![folder.join(name)], FollowLinks::default(), |batch| {
        for change in &batch.changes {
            if let Reading::Unreadable(diagnostic) = &change.reading {
                unreadable.push(diagnostic.code);
            }
        }
        pipeline.take_in(batch.changes, SystemTime::now());
    })
    .expect("the file is there");
    pipeline.compile(SystemTime::now());
    (pipeline, unreadable)
}

/// One test, so that no other one uses memory or computes meanwhile.
#[test]
fn a_mebibyte_of_what_is_nothing_of_ours_costs_little() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mebibyte = |part: &str| part.repeat((1 << 20) / part.len());
    let list = |item: &str| {
        let items = mebibyte(item);
        let items = items.trim_end_matches(',');
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{items}]}}")
    };
    let wrong =
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nspec: {address: 1}\n";
    let mapping = |start: &str, separator: &str| {
        let mut text = start.to_owned();
        for number in 0.. {
            write!(text, "{number:x}{separator}").expect("a text takes everything");
            if text.len() >= 1 << 20 {
                break;
            }
        }
        text
    };
    let files = [
        // One document each.
        ("array.json", format!("[{}1]", mebibyte("1,"))),
        ("nested.json", format!("[{}1]", mebibyte("[],"))),
        (
            "members.json",
            format!("{{{}}}", mapping("\"", "\":1,\"") + "\":1"),
        ),
        ("items.yaml", mebibyte("- 1\n")),
        ("flow.yaml", format!("a: [{}1]\n", mebibyte("1, "))),
        ("odd-items.yaml", mebibyte("- 1\n") + "- é\n"),
        ("entries.yaml", mapping("x", ": 1\nx") + ": 1\n"),
        ("odd-entries.yaml", mapping("x", ": 1\nx") + ": é\n"),
        ("text.yaml", mebibyte("a")),
        ("odd-text.yaml", mebibyte("é")),
        ("words.yaml", mebibyte("a b\n")),
        ("quoted.yaml", format!("a: \"{}\"\n", mebibyte("\\n"))),
        ("literal.yaml", format!("a: |\n{}", mebibyte("  a\n"))),
        ("text.json", format!("{{\"a\": \"{}\"}}", mebibyte("\\n"))),
        ("documents.yaml", mebibyte("---\n{}\n")),
        ("texts.yaml", mebibyte("---\na\n")),
        ("values.yaml", mebibyte("{}")),
        ("values.json", mebibyte("{\"a\":1} [2]\n")),
        ("broken.yaml", mebibyte("---\n]\n")),
        ("kinds.yaml", mebibyte("---\nkind: A\napiVersion: b\n")),
        ("list.json", list("{},")),
        ("wrong.yaml", mebibyte(wrong)),
    ];
    // What a process needs once, whatever it reads.
    fs::write(folder.path().join("first.yaml"), "a: 1\n").expect("a new file");
    take_in(folder.path(), "first.yaml");
    let before = kib("VmRSS");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("a new file");
        // From here on the peak is that of what follows.
        fs::write("/proc/self/clear_refs", "5").expect("our own process");
        let spent = ticks();
        let (pipeline, unreadable) = take_in(folder.path(), name);
        let added = kib("VmHWM").saturating_sub(before);
        let spent = ticks() - spent;
        let most = if name.starts_with("odd-") {
            MOST_ADDED_BY_LIBRARY_KIB
        } else {
            MOST_ADDED_KIB
        };
        assert!(added <= most, "{name}: {added} KiB");
        assert!(
            spent <= MOST_TICKS,
            "{name}: {spent} hundredths of a second"
        );
        assert!(pipeline.diagnostics().len() <= 1_001, "{name}");
        assert_eq!(unreadable, [], "{name}");
    }
    fs::write(folder.path().join("many.yaml"), "---\n{}\n".repeat(600_001)).expect("a new file");
    let spent = ticks();
    let (_, unreadable) = take_in(folder.path(), "many.yaml");
    assert_eq!(unreadable, [code::FILE_TOO_LARGE]);
    assert!(ticks() - spent <= MOST_TICKS);
}
