//! How far links in mesh folders may lead.
//!
//! Those who fill a mesh folder are not always those who run the server: a link is a way to make it read what they can't.

use std::path::{Path, PathBuf};

use super::mounts::kernel_file_system;

/// How far links in mesh folders are followed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FollowLinks {
    /// To what is in the mesh folders, hidden folders included, as in a volume of a `ConfigMap`.
    Inside,
    /// Wherever they lead, but to folders that a mesh folder is in and to the kernel's own file systems.
    #[default]
    Anywhere,
}

impl FollowLinks {
    /// Why a link is not followed that leads to `target`, behind all links; `roots` are the mesh folders.
    pub(super) fn refuses(self, target: &Path, roots: &[PathBuf]) -> Option<String> {
        let shown = target.display();
        if roots.iter().any(|root| target.starts_with(root)) {
            return None;
        }
        if roots.iter().any(|root| root.starts_with(target)) {
            return Some(format!(
                "the link leads to {shown}, which a mesh folder is in: it is not followed"
            ));
        }
        if let Some(file_system) = kernel_file_system(target) {
            return Some(format!(
                "the link leads to {shown}, on the kernel's file system {file_system}: it is not followed"
            ));
        }
        (self == Self::Inside).then(|| {
            format!(
                "the link leads out of the mesh folders, to {shown}: it is not followed, as `followLinks: inside` has it"
            )
        })
    }
}
