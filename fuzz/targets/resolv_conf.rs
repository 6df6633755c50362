#![no_main]
//! Any resolv.conf names upstreams or none.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use arc_swap::ArcSwap;
use libfuzzer_sys::fuzz_target;
use meshdns::{
    config::{Config, File, Overrides},
    dns::Name,
    forward::Forwarder,
    zone::Snapshot,
};
use tempfile::TempDir;
use tokio::runtime;

/// More name servers than these are passed over.
const MOST: usize = 15;

static PLACE: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("resolv.conf");
    (folder, path)
});

fuzz_target!(|bytes: &[u8]| {
    let (_, path) = &*PLACE;
    fs::write(path, bytes).expect("a file");
    let text = format!(
        "forward: {{upstreams: system, cacheSize: 1MiB, resolvConf: {}}}\n",
        path.display()
    );
    let file = File::parse("meshdns.yaml".into(), &text).expect("a configuration");
    let settings = Config::resolve(&Overrides::default(), &file).forward;
    // What follows the file's changes ends with it, before it has begun.
    let runtime = runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let _inside = runtime.enter();
    let mesh = ArcSwap::from_pointee(Snapshot::not_ready(Arc::default()));
    let forwarder = Forwarder::start(settings.expect("it forwards"), &[], Arc::new(mesh));
    let forwarder = forwarder.expect("no upstream over TLS");
    let asked = Name::from_text("www.example.org").expect("a name");
    if let Some((_, upstreams)) = forwarder.upstreams_for(&asked) {
        assert!(upstreams.len() <= MOST);
    }
});
