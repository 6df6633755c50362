//! Tells file systems apart: those of the network, where no event tells what another machine writes, those that the kernel
//! makes up, and those that are full.

use std::path::Path;

use rustix::fs::statfs;

/// File systems that others write to without this kernel noticing, by the numbers of `statfs(2)` and
/// `linux/magic.h`. All that run in user space have one: `sshfs`, `GlusterFS`, `virtiofs`.
const REMOTE: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x00c3_6400, "Ceph"),
    (0x0116_1970, "GFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x786f_4256, "vboxsf"),
    (0x7c7c_6673, "prl_fs"),
    (0x6573_5546, "FUSE"),
];

/// File systems without a disk that show the kernel's own state, by the same numbers.
const KERNEL: [(u32, &str); 13] = [
    (0x9fa0, "proc"),
    (0x6265_6572, "sysfs"),
    (0x1cd1, "devpts"),
    (0x0027_e0eb, "cgroup"),
    (0x6367_7270, "cgroup2"),
    (0x6462_6720, "debugfs"),
    (0x7472_6163, "tracefs"),
    (0x7363_6673, "securityfs"),
    (0xf97c_ff8c, "selinuxfs"),
    (0xcafe_4a11, "bpf"),
    (0x6165_676c, "pstore"),
    (0x6265_6570, "configfs"),
    (0x1980_0202, "mqueue"),
];

/// How little room is none, in bytes: whoever writes may leave less than a block.
const NO_ROOM_BYTES: u64 = 64 << 10;

/// The type of the first file system under `paths` about which events can't be relied on.
pub(super) fn remote_file_system<'p>(
    mut paths: impl Iterator<Item = &'p Path>,
) -> Option<&'static str> {
    paths.find_map(|path| named(&REMOTE, statfs(path).ok()?.f_type))
}

/// The type of the file system under `path`, where it shows the kernel's own state.
pub(super) fn kernel_file_system(path: &Path) -> Option<&'static str> {
    named(&KERNEL, statfs(path).ok()?.f_type)
}

/// Whether the disk under `path` is full, so that what was written there last may be cut.
pub(super) fn is_full(path: &Path) -> bool {
    let Ok(disk) = statfs(path) else {
        return false;
    };
    let block_bytes = u64::try_from(disk.f_bsize).unwrap_or(1);
    // One without blocks, as of the kernel, is never full.
    disk.f_blocks > 0 && disk.f_bavail.saturating_mul(block_bytes) < NO_ROOM_BYTES
}

/// The name of the file system with this number, which architectures have in different widths, if `known` has it.
fn named(known: &[(u32, &'static str)], number: impl Into<i128>) -> Option<&'static str> {
    let number = number.into() & i128::from(u32::MAX);
    let is_it = |(known, _): &&(u32, &str)| i128::from(*known) == number;
    known.iter().find(is_it).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_other_machines_write_to() {
        assert_eq!(named(&REMOTE, 0x6969_i64), Some("NFS"));
        assert_eq!(named(&REMOTE, 0xff53_4d42_i64), Some("CIFS"));
        // Where the number is signed and has 32 bits.
        assert_eq!(named(&REMOTE, -0x00ac_b2be_i32), Some("CIFS"));
        assert_eq!(named(&REMOTE, 0xef53_i64), None, "ext4");
        let here = [Path::new("/proc"), Path::new("/nowhere")];
        assert_eq!(remote_file_system(here.into_iter()), None);
        assert_eq!(kernel_file_system(Path::new("/proc")), Some("proc"));
        assert_eq!(kernel_file_system(Path::new("/nowhere")), None);
        assert!(!is_full(Path::new("/proc")));
    }
}
