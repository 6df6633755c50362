use std::{net::IpAddr, ops::Deref, slice};

use smallvec::SmallVec;

use crate::{dns::Name, manifest::Address};

/// The addresses of a workload: one as a rule, which needs no memory of its own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Addresses {
    /// A single one.
    One(IpAddr),
    /// None, or more than one.
    Other(Box<[IpAddr]>),
    /// Those of a name, which stand elsewhere.
    Name(Box<Name>),
}

// A mesh has one for each of what may be a million workloads.
const _: () = assert!(size_of::<Addresses>() == 24);

impl From<SmallVec<[IpAddr; 2]>> for Addresses {
    fn from(addresses: SmallVec<[IpAddr; 2]>) -> Self {
        match *addresses {
            [address] => Self::One(address),
            _ => Self::Other(addresses.into_boxed_slice()),
        }
    }
}

impl Deref for Addresses {
    type Target = [IpAddr];

    fn deref(&self) -> &[IpAddr] {
        match self {
            Self::One(address) => slice::from_ref(address),
            Self::Other(addresses) => addresses,
            Self::Name(_) => &[],
        }
    }
}

impl From<&Address> for Addresses {
    fn from(address: &Address) -> Self {
        match address {
            Address::Ip(ip) => Self::One(*ip),
            Address::Name(text) => Name::from_text(text).map_or_else(
                |_| Self::Other(Box::default()),
                |name| Self::Name(Box::new(name)),
            ),
            Address::Unix(_) | Address::Network(_) => Self::Other(Box::default()),
        }
    }
}
