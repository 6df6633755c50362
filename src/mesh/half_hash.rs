//! Halves of hashes, which a table of numbers holds beside them: one that grows, or that meets a key with like bits, needs
//! no object to be looked at.

/// Half of a hash.
pub(super) fn half(hash: u64) -> u32 {
    u32::try_from(hash >> 32).expect("half of the bits are left")
}

/// A hash as a table wants it: it reads both ends.
pub(super) fn whole(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}
