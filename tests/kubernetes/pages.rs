//! The page on clusters: its `console` blocks are run beside a cluster that has the sample mesh.

use std::{fs, path::Path, process::Command};

use crate::{
    program::console::steps,
    rig::{
        cluster::Cluster,
        needs::{self, Need},
    },
    story::sample_in,
};

#[test]
fn the_page_on_clusters_tells_the_truth() {
    if !needs::met(&[Need::Program("kubectl version --client")]) {
        return;
    }
    let Some(cluster) = Cluster::own() else {
        return;
    };
    cluster.define_all();
    sample_in(&cluster);
    let home = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(home.path().join(".kube")).expect("a new folder");
    fs::copy(cluster.admin().path(), home.path().join(".kube/config")).expect("a new file");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::os::unix::fs::symlink(root.join("deploy"), home.path().join("deploy"))
        .expect("a new link");
    let binary = Path::new(env!("CARGO_BIN_EXE_meshdns"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        needs::path()
    );
    let shell = || {
        let mut shell = Command::new("bash");
        shell
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", &path);
        shell
    };
    let steps = steps(&fs::read_to_string(root.join("docs/kubernetes.md")).expect("the page"));
    assert!(steps.len() >= 4, "the page has commands");
    for step in steps {
        step.check(shell, &step.command);
    }
}
