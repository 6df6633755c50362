use super::name::name_len;
use crate::dns::{Class, RecordType};

/// One record's place in a message and its fixed fields.
pub(super) struct Record<'m> {
    /// Where its owner stands.
    pub(super) owner_at: usize,
    pub(super) kind: RecordType,
    pub(super) class: Class,
    pub(super) ttl: u32,
    pub(super) data: &'m [u8],
    /// Where it ends.
    pub(super) end: usize,
}

impl<'m> Record<'m> {
    /// `None` where it does not end in the message.
    pub(super) fn read(message: &'m [u8], owner_at: usize) -> Option<Self> {
        let fixed_at = owner_at + owner_len(message.get(owner_at..)?)?;
        let (fixed, rest) = message.get(fixed_at..)?.split_first_chunk::<10>()?;
        let field = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        let data_len = usize::from(field(8));
        Some(Self {
            owner_at,
            kind: RecordType(field(0)),
            class: Class(field(2)),
            ttl: u32::from(field(4)) << 16 | u32::from(field(6)),
            data: rest.get(..data_len)?,
            end: fixed_at + fixed.len() + data_len,
        })
    }

    /// Where its data stands.
    pub(super) fn data_at(&self) -> usize {
        self.end - self.data.len()
    }
}

/// The length of the name that `bytes` begin with, which may end in a pointer. Where that points is not looked at.
fn owner_len(bytes: &[u8]) -> Option<usize> {
    const POINTER: u8 = 0xc0;
    if let Some(length) = name_len(bytes) {
        return Some(length);
    }
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            byte if byte >= POINTER => return Some(at + 2),
            byte @ 1..0x40 => at += 1 + usize::from(byte),
            _ => return None,
        }
    }
}
