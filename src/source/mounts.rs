//! Tells network file systems, where no event tells what another machine writes.

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

/// The type of the first file system under `paths` about which events can't be relied on.
pub(super) fn remote_file_system<'p>(
    mut paths: impl Iterator<Item = &'p Path>,
) -> Option<&'static str> {
    paths.find_map(|path| remote(statfs(path).ok()?.f_type))
}

/// The name of the file system with this number, which architectures have in different widths, if it is remote.
fn remote(number: impl Into<i128>) -> Option<&'static str> {
    let number = number.into() & i128::from(u32::MAX);
    let is_it = |(known, _): &&(u32, &str)| i128::from(*known) == number;
    REMOTE.iter().find(is_it).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_other_machines_write_to() {
        assert_eq!(remote(0x6969_i64), Some("NFS"));
        assert_eq!(remote(0xff53_4d42_i64), Some("CIFS"));
        // Where the number is signed and has 32 bits.
        assert_eq!(remote(-0x00ac_b2be_i32), Some("CIFS"));
        assert_eq!(remote(0xef53_i64), None, "ext4");
        let here = [Path::new("/proc"), Path::new("/nowhere")];
        assert_eq!(remote_file_system(here.into_iter()), None);
    }
}
