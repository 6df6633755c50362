use crate::dns::MAX_NAME_LEN;

/// The first byte of a label that is a pointer, or reserved, is at least this.
const FIRST_NON_LABEL: u8 = 0x40;

/// The length of the name that `bytes` begin with, where it is whole and not compressed.
#[inline] // A part of reading every query.
pub(super) fn name_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0 => break,
            length if length < FIRST_NON_LABEL => at += 1 + usize::from(length),
            _ => return None,
        }
    }
    (at < MAX_NAME_LEN).then_some(at + 1)
}
