//! Mesh folders: generated once and kept, copied for each run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::big_mesh::Mesh;

/// The folder with this mesh, made where it is not there yet, below Cargo's target folder.
pub(super) fn kept(mesh: &Mesh) -> Result<PathBuf> {
    let Mesh {
        services,
        pods,
        vms,
        selects,
        format,
        ..
    } = mesh;
    // Another version where the generator writes other files for the same figures.
    let name = format!("mesh-v1-{services}x{pods}+{vms}-{selects:?}-{format:?}");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if !folder.is_dir() {
        eprintln!("writing {}", folder.display());
        // A name of its own first: a run that is cut short leaves no half mesh.
        let unfinished = folder.with_extension("unfinished");
        if unfinished.is_dir() {
            fs::remove_dir_all(&unfinished).context("remove a half mesh")?;
        }
        fs::create_dir_all(&unfinished).context("make the mesh folder")?;
        mesh.write(&unfinished).context("write the mesh")?;
        fs::rename(&unfinished, &folder).context("rename the mesh folder")?;
    }
    Ok(folder)
}

/// A folder with the same files, which may be replaced but not written to: they are hard links.
pub(super) fn copy(kept: &Path) -> Result<tempfile::TempDir> {
    let copy = tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .context("make a folder beside the mesh")?;
    for file in fs::read_dir(kept).context("list the mesh")? {
        let file = file.context("list the mesh")?;
        fs::hard_link(file.path(), copy.path().join(file.file_name())).context("link a file")?;
    }
    Ok(copy)
}

/// Replaces a file by one with this text, complete from the first moment.
pub(super) fn replace(folder: &Path, name: &str, text: &str) -> Result<()> {
    let fresh = folder.join(format!(".{name}.new"));
    fs::write(&fresh, text).context("write a file")?;
    fs::rename(fresh, folder.join(name)).context("rename a file")
}
