//! What fuzz targets have in common: the mesh that is asked, and the question that a reply answers.

pub mod seeds;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use meshdns::{
    dns::{Name, RecordType},
    manifest,
    mesh::{FileChange, Reading},
    pipeline::{Pipeline, Policy},
    wire::UpstreamQuestion,
    zone::{Settings, Snapshot},
};

/// The name that a reply of the target `reply` is about.
pub const ASKED_NAME: &str = "www.example.org";

/// What the target `reply` asks. The id and the type are those of the seeds.
#[must_use]
pub fn asked(name: &Name) -> UpstreamQuestion<'_> {
    UpstreamQuestion {
        id: 0x1234,
        name: name.as_wire(),
        record_type: RecordType::A,
        dnssec_ok: false,
        checking_disabled: false,
        marks: None,
    }
}

/// The folder of the repository.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every file below `folder` with one of these names' ends, in order.
#[must_use]
pub fn files(folder: &Path, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What the folder `zones` answers, with one zone that is answered as a whole.
#[must_use]
pub fn snapshot() -> Arc<Snapshot> {
    let zone = Name::from_text("internal.com").expect("a name");
    let mut pipeline = Pipeline::new(Policy {
        settings: Arc::new(Settings {
            zones: vec![zone],
            ..Settings::default()
        }),
        ..Policy::default()
    });
    let changes = files(&repository().join("zones"), &[".yaml"]).into_iter();
    let changes = changes.map(|path| {
        let text = fs::read_to_string(&path).expect("a file of the repository");
        let file: Arc<str> = path.to_string_lossy().into();
        FileChange {
            reading: Reading::Read(manifest::parse(&file, &text)),
            file,
        }
    });
    pipeline.apply(changes, SystemTime::UNIX_EPOCH);
    Arc::clone(pipeline.snapshot())
}
