//! The reference pages say what the code does. `UPDATE=1 cargo test --test it docs` rewrites what is generated.

use std::{fmt::Write as _, fs, path::Path};

use meshdns::diagnostic::code;

fn page(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name)
}

#[test]
fn every_diagnostic_is_documented() {
    const HEAD: &str = "\
# Diagnostics

What `meshdns check` prints and `meshdns serve` logs. A code is stable: it is never given to another rule.

An *error* takes the object out (what it said before stays in service), and MDNS120 the value of an annotation alone. A
*warning* leaves the object in, an *info* is worth knowing. `check` ends with status 79 where there is an error. A number
in brackets is this project's for a rule that Istio's CRDs or its webhook have: G for any object, S for ServiceEntry, E for
WorkloadEntry, W for WorkloadGroup.
`tests/validation/` has an example of each code.

An object of a cluster is named as `kubectl` names it, with the field: `serviceentry.networking.istio.io/svc1 -n ns1, spec.hosts[0]`.
Where several clusters are followed, the cluster stands behind the namespace.

A file that is no manifest (values, a kustomization without `kind`, a list of patches, a lock file, a template) is told by
one info, behind what is wrong with the mesh; with `check --strict` it is an error. A document that can't be read, is no
mapping or names no kind is an error where its file names one of the kinds that meshdns reads or their API group, or
seems to.

| Code | Meaning |
| --- | --- |
";
    let mut expected = HEAD.to_owned();
    for (code, meaning) in code::ALL {
        writeln!(expected, "| {code} | {} |", meaning.replace('|', "\\|"))
            .expect("a string can be written to");
    }
    let path = page("diagnostics.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &expected).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).expect("the page is there");
    assert_eq!(found, expected, "run UPDATE=1 cargo test --test it docs");
}

/// Everything in `text` that begins with `prefix` and goes on with characters that are `part` of it.
fn words<'t>(text: &'t str, prefix: &str, part: fn(char) -> bool) -> Vec<&'t str> {
    let begins = text.match_indices(prefix).map(|(at, _)| at);
    let word = |at: usize| {
        let rest = &text[at + prefix.len()..];
        let end = rest.find(|letter| !part(letter)).unwrap_or(rest.len());
        &text[at..at + prefix.len() + end]
    };
    begins.map(word).collect()
}

#[test]
fn pages_name_metrics_and_diagnostics_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("a page can be read");
    let metrics = read(&page("metrics.md"));
    let metrics = words(&metrics, "| `meshdns_", |letter| {
        letter.is_ascii_lowercase() || letter == '_'
    });
    let codes: Vec<String> = code::ALL.iter().map(|(code, _)| code.to_string()).collect();
    let pages = fs::read_dir(root.join("docs")).expect("a folder");
    let pages = pages.map(|entry| entry.expect("an entry").path());
    for path in pages.chain([root.join("README.md"), root.join("CHANGELOG.md")]) {
        let text = read(&path);
        let path = path.display();
        // A prefix alone stands for many.
        let named = words(&text, "`meshdns_", |letter| {
            letter.is_ascii_lowercase() || letter == '_'
        });
        for metric in named.into_iter().filter(|metric| !metric.ends_with('_')) {
            let row = format!("| {metric}");
            assert!(metrics.contains(&&*row), "{path}: no such metric: {metric}");
        }
        let named = words(&text, "MDNS", |letter| letter.is_ascii_digit());
        for code in named.into_iter().filter(|code| code.len() == 7) {
            assert!(codes.iter().any(|known| known == code), "{path}: {code}");
        }
    }
}
