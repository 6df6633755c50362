use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::{dns::MAX_NAME_LEN, wire::HEADER_LEN};

/// The two upper bits of a pointer ([RFC 1035 §4.1.4](https://www.rfc-editor.org/rfc/rfc1035#section-4.1.4)).
const POINTER: u16 = 0xc000;

/// How many names and ends of names later ones may point to.
const MOST_KNOWN: usize = 1024;

/// Reads the name at `at` of `message` into `name`, in wire form and without pointers. Returns where it ends.
///
/// `None` where it is malformed or longer than a name may be. A pointer leads to what stands before the name, behind the
/// header, so that no circle is possible.
pub(super) fn read_name(message: &[u8], at: usize, name: &mut Vec<u8>) -> Option<usize> {
    name.clear();
    let (mut at, mut first, mut end) = (at, at, None);
    loop {
        let length = *message.get(at)?;
        match length {
            0 => {
                name.push(0);
                return (name.len() <= MAX_NAME_LEN).then_some(end.unwrap_or(at + 1));
            }
            1..0x40 => {
                let label = message.get(at..=at + usize::from(length))?;
                name.extend_from_slice(label);
                at += label.len();
            }
            0xc0.. => {
                let low = *message.get(at + 1)?;
                let target = usize::from(u16::from_be_bytes([length, low]) & !POINTER);
                if !(HEADER_LEN..first).contains(&target) {
                    return None;
                }
                end = end.or(Some(at + 2));
                (at, first) = (target, target);
            }
            _ => return None,
        }
        if name.len() >= MAX_NAME_LEN {
            return None;
        }
    }
}

/// A message in the making, in which names point to what stands there already.
pub(super) struct Names {
    pub(super) out: Vec<u8>,
    known: HashTable<Known>,
    hashes: RandomState,
}

/// A name, or the end of one, that stands in the message.
#[derive(Clone, Copy)]
struct Known {
    hash: u64,
    at: u16,
}

impl Names {
    /// A header, and a question about `name`.
    pub(super) fn behind_question(name: &[u8]) -> Self {
        let mut names = Self {
            out: vec![0; HEADER_LEN],
            known: HashTable::new(),
            hashes: RandomState::default(),
        };
        names.push(name);
        names.out.extend_from_slice(&[0; 4]);
        names
    }

    /// Appends a name that stands in wire form without pointers. Names compare without regard to case.
    pub(super) fn push(&mut self, name: &[u8]) {
        let labels = self.labels(name);
        for (place, &(start, hash)) in labels.iter().enumerate() {
            let rest = &name[start..];
            let known = self
                .known
                .find(hash, |known| is_at(&self.out, known.at, rest));
            if let Some(&Known { at, .. }) = known {
                let base = self.out.len();
                self.out.extend_from_slice(&name[..start]);
                self.out.extend_from_slice(&(POINTER | at).to_be_bytes());
                return self.note(base, &labels[..place]);
            }
        }
        let base = self.out.len();
        self.out.extend_from_slice(name);
        self.note(base, &labels);
    }

    /// Where each label of `name` starts, and the hash of what stands from there on.
    fn labels(&self, name: &[u8]) -> Vec<(usize, u64)> {
        let mut labels = Vec::new();
        let mut at = 0;
        while name[at] != 0 {
            labels.push((at, 0));
            at += 1 + usize::from(name[at]);
        }
        let lower = name.to_ascii_lowercase();
        let (mut end, mut behind) = (at, 0_u64);
        for (start, hash) in labels.iter_mut().rev() {
            behind = self.hashes.hash_one((behind, &lower[*start..end]));
            (end, *hash) = (*start, behind);
        }
        labels
    }

    /// Lets later names point to `labels` of the name at `base`, as far as pointers reach.
    fn note(&mut self, base: usize, labels: &[(usize, u64)]) {
        for &(start, hash) in labels {
            let at = u16::try_from(base + start).ok();
            let Some(at) = at.filter(|at| at & POINTER == 0) else {
                return;
            };
            if self.known.len() < MOST_KNOWN {
                self.known
                    .insert_unique(hash, Known { hash, at }, |known| known.hash);
            }
        }
    }
}

/// Whether `name` stands at `at` of a message that [`Names`] wrote.
fn is_at(message: &[u8], at: u16, name: &[u8]) -> bool {
    let (mut at, mut rest) = (usize::from(at), name);
    loop {
        match message[at] {
            0 => return rest == [0],
            0xc0.. => {
                at = usize::from(u16::from_be_bytes([message[at], message[at + 1]]) & !POINTER);
            }
            length => {
                let label = &message[at..=at + usize::from(length)];
                let Some((same, behind)) = rest.split_at_checked(label.len()) else {
                    return false;
                };
                if !same.eq_ignore_ascii_case(label) {
                    return false;
                }
                (at, rest) = (at + label.len(), behind);
            }
        }
    }
}
