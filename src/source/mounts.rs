//! Tells network file systems, where no event tells what another machine writes.

use std::path::{Path, PathBuf};

/// File systems that others write to without this kernel noticing.
const REMOTE: [&str; 14] = [
    "9p",
    "afs",
    "ceph",
    "cifs",
    "gfs2",
    "glusterfs",
    "lustre",
    "nfs",
    "nfs4",
    "prl_fs",
    "smb3",
    "smbfs",
    "vboxsf",
    "virtiofs",
];

/// The type of the first file system under `paths`, absolute and without links, about which events can't be relied on.
pub(super) fn remote_file_system<'p>(mut paths: impl Iterator<Item = &'p Path>) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let is_remote =
        |file_system: &&str| REMOTE.contains(file_system) || file_system.starts_with("fuse");
    paths
        .find_map(|path| file_system_of(path, &mounts).filter(is_remote))
        .map(str::to_owned)
}

/// Finds the mount that holds `path` in the text of `/proc/self/mountinfo`; see `proc_pid_mountinfo(5)`.
fn file_system_of<'m>(path: &Path, mounts: &'m str) -> Option<&'m str> {
    let mount = |line: &'m str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let point = unescape(mount.split(' ').nth(4)?);
        path.starts_with(&point)
            .then_some((point.as_os_str().len(), file_system.split(' ').next()?))
    };
    // Of two mounts on the same point the later one is on top.
    let (_, file_system) = mounts
        .lines()
        .filter_map(mount)
        .max_by_key(|(len, _)| *len)?;
    Some(file_system)
}

/// Undoes the octal escapes of white space and backslashes.
fn unescape(text: &str) -> PathBuf {
    let plain = [
        (r"\040", " "),
        (r"\011", "\t"),
        (r"\012", "\n"),
        (r"\134", r"\"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    });
    PathBuf::from(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = r"22 1 252:1 / / rw,relatime - ext4 /dev/vda1 rw
40 22 0:35 / /srv rw - nfs4 server:/export rw
41 40 0:36 / /srv/local rw shared:1 - tmpfs tmpfs rw
42 22 0:37 / /mnt/my\040share rw - cifs //server/share rw
43 22 0:38 / /mnt/sshfs rw - fuse.sshfs host: rw";

    #[test]
    fn the_longest_mount_point_counts() {
        let of = |path: &str| file_system_of(Path::new(path), MOUNTS);
        assert_eq!(of("/etc/zones"), Some("ext4"));
        assert_eq!(of("/srv/zones"), Some("nfs4"));
        assert_eq!(of("/srv/local/zones"), Some("tmpfs"));
        assert_eq!(of("/srvother"), Some("ext4"));
        assert_eq!(of("/mnt/my share/zones"), Some("cifs"));
        assert_eq!(of("/mnt/sshfs"), Some("fuse.sshfs"));
    }
}
