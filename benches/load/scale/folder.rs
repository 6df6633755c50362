//! Mesh folders: generated once and kept, copied for a run that changes them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use tempfile::TempDir;

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

/// Where a folder is in memory, so that it costs the machine little to change it.
const IN_MEMORY: &str = "/dev/shm";

/// A folder with the same files, which may be replaced but not written to: in memory, or where there is not enough of it,
/// on the disk with what is kept.
pub(super) fn copy(kept: &Path) -> Result<TempDir> {
    let in_memory = copy_into(IN_MEMORY, kept, |from, to| fs::copy(from, to).map(|_| ()));
    in_memory.or_else(|_| {
        copy_into(env!("CARGO_TARGET_TMPDIR"), kept, |from, to| {
            fs::hard_link(from, to)
        })
    })
}

/// Where a copy is, for a table.
pub(super) fn place(copy: &TempDir) -> &'static str {
    if copy.path().starts_with(IN_MEMORY) {
        "in memory"
    } else {
        "on a disk, because /dev/shm can't hold them: to change them makes latencies worse"
    }
}

fn copy_into(
    place: &str,
    kept: &Path,
    copy: impl Fn(&Path, &Path) -> io::Result<()>,
) -> Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("meshdns-run-")
        .tempdir_in(place)
        .with_context(|| format!("make a folder in {place}"))?;
    for file in fs::read_dir(kept).context("list the mesh")? {
        let file = file.context("list the mesh")?;
        copy(&file.path(), &folder.path().join(file.file_name()))
            .with_context(|| format!("copy a file into {place}"))?;
    }
    Ok(folder)
}

/// Replaces a file by one with this text, complete from the first moment.
pub(super) fn replace(folder: &Path, name: &str, text: &str) -> Result<()> {
    let fresh = folder.join(format!(".{name}.new"));
    fs::write(&fresh, text).context("write a file")?;
    fs::rename(fresh, folder.join(name)).context("rename a file")
}
