use std::hash::{Hash, Hasher};

use crate::{
    dns::{Name, RecordType},
    wire::{MARK_LEN, UpstreamQuestion},
};

/// Random bytes that name this process in its questions, so that one which comes back is known.
pub(super) type Mark = [u8; MARK_LEN];

/// What an upstream is asked: equal questions get equal answers.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) record_type: RecordType,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

/// A [`Question`] whose name stands in a client's query.
#[derive(Clone, Copy, Debug)]
pub(super) struct AskedQuestion<'q> {
    /// In lower-case wire form.
    pub(super) name: &'q [u8],
    pub(super) record_type: RecordType,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

impl Question {
    /// What every server can answer at once: the one that CoreDNS asks, too.
    pub(super) fn probe() -> Self {
        Self {
            name: Name::root(),
            record_type: RecordType::NS,
            dnssec_ok: false,
            checking_disabled: false,
        }
    }

    /// How much memory the name takes where it is too long to be held in place.
    pub(super) fn heap_bytes(&self) -> usize {
        self.name.as_wire().len()
    }

    pub(super) fn as_asked(&self) -> AskedQuestion<'_> {
        AskedQuestion {
            name: self.name.as_wire(),
            record_type: self.record_type,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }

    /// The message that asks it; without marks, it has no OPT record.
    pub(super) fn message<'q>(&'q self, id: u16, marks: Option<&'q [u8]>) -> UpstreamQuestion<'q> {
        UpstreamQuestion {
            id,
            name: self.name.as_wire(),
            record_type: self.record_type,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
            marks,
        }
    }
}

impl AskedQuestion<'_> {
    pub(super) fn to_owned(self) -> Question {
        Question {
            name: Name::from_lowercase_wire(self.name),
            record_type: self.record_type,
            dnssec_ok: self.dnssec_ok,
            checking_disabled: self.checking_disabled,
        }
    }

    fn key(&self) -> (&[u8], u16, bool, bool) {
        let Self {
            name, record_type, ..
        } = self;
        (name, record_type.0, self.dnssec_ok, self.checking_disabled)
    }
}

impl PartialEq for AskedQuestion<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Hash for AskedQuestion<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        self.as_asked() == other.as_asked()
    }
}

impl Eq for Question {}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_asked().hash(state);
    }
}
