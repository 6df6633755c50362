//! A change costs what it touches, not what there is: counted in allocations, for times say little on a busy machine.
#![allow(unsafe_code)] // an allocator that counts can't be written without

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::SystemTime,
};

use meshdns::{
    diagnostic::{Diagnostic, FilePlace, Position, Severity, code},
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy, Report},
};

/// Allocations of the process.
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, SeqCst);
        // SAFETY: the caller keeps to the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARNINGS: u32 = 100_000;

/// How many allocations a change may take, with so many warnings around.
const MAX_ALLOCATIONS: usize = 1_000;

fn file(name: &str, text: &str) -> FileChange {
    let file: Arc<str> = name.into();
    FileChange {
        reading: Reading::Read(manifest::parse(&file, text)),
        file,
    }
}

/// A file with nothing but problems.
fn warnings() -> FileChange {
    let mut change = file("warnings.yaml", "");
    if let Reading::Read(contents) = &mut change.reading {
        contents.diagnostics = (1..=WARNINGS)
            .map(|line| Diagnostic {
                origin: FilePlace {
                    file: change.file.clone(),
                    document: 1,
                    position: Position { line, column: 1 },
                }
                .into(),
                severity: Severity::Warning,
                code: code::UNKNOWN_FIELD,
                message: "no such field".into(),
                object: None,
            })
            .collect();
    }
    change
}

fn workload(address: &str) -> FileChange {
    let text = format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: vm}}\n\
         spec: {{address: {address}, labels: {{app: a}}}}\n"
    );
    file("vm.yaml", &text)
}

#[test]
fn one_change_among_many_warnings_costs_as_much_as_among_none() {
    let services = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec:\n  \
                    hosts: [a.test]\n  ports: [{number: 80, name: http, protocol: HTTP}]\n  \
                    resolution: STATIC\n  workloadSelector: {labels: {app: a}}\n";
    let mut pipeline = Pipeline::new(Policy::default());
    let first = vec![warnings(), file("a.yaml", services), workload("192.0.2.1")];
    pipeline.apply(first, SystemTime::UNIX_EPOCH);
    assert_eq!(pipeline.diagnostic_counts().warnings, WARNINGS as usize);
    let mut change = |address: &str| -> Report {
        let change = workload(address);
        let before = ALLOCATIONS.load(SeqCst);
        let report = pipeline.apply(vec![change], SystemTime::UNIX_EPOCH);
        let counts = pipeline.diagnostic_counts();
        let took = ALLOCATIONS.load(SeqCst) - before;
        assert!(took < MAX_ALLOCATIONS, "{address}: {took} allocations");
        assert!(counts.warnings >= WARNINGS as usize);
        report
    };
    for round in 0..3 {
        let report = change(&format!("192.0.2.{}", 10 + round));
        assert_eq!(report.names_changed, 1);
        // A version that can't be used: its error, and that the last good one is served.
        let report = change("192.0.2.300");
        assert_eq!(
            report.diagnostics.appeared.len(),
            2,
            "{:?}",
            report.diagnostics
        );
        let report = change(&format!("192.0.2.{}", 20 + round));
        assert_eq!(report.diagnostics.withdrawn.len(), 2);
        assert_eq!(report.mended.len(), 1);
    }
}
