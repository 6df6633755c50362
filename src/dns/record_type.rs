use std::fmt;

/// A record type or query type, as its 16-bit number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RecordType(pub u16);

impl RecordType {
    /// An IPv4 address ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const A: Self = Self(1);
    /// A name server of the zone ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const NS: Self = Self(2);
    /// An alias ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const CNAME: Self = Self(5);
    /// The start of authority ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const SOA: Self = Self(6);
    /// The name of an address ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const PTR: Self = Self(12);
    /// Host information; carries the minimal answer to ANY ([RFC 8482](https://www.rfc-editor.org/rfc/rfc8482)).
    pub const HINFO: Self = Self(13);
    /// Text; carries what CHAOS queries ask ([RFC 1035](https://www.rfc-editor.org/rfc/rfc1035)).
    pub const TXT: Self = Self(16);
    /// An IPv6 address ([RFC 3596](https://www.rfc-editor.org/rfc/rfc3596)).
    pub const AAAA: Self = Self(28);
    /// Where a service is ([RFC 2782](https://www.rfc-editor.org/rfc/rfc2782)).
    pub const SRV: Self = Self(33);
    /// An alias of all names below its own ([RFC 6672](https://www.rfc-editor.org/rfc/rfc6672)).
    pub const DNAME: Self = Self(39);
    /// The EDNS pseudo-record ([RFC 6891](https://www.rfc-editor.org/rfc/rfc6891)).
    pub const OPT: Self = Self(41);
    /// How to reach a service, its addresses included ([RFC 9460](https://www.rfc-editor.org/rfc/rfc9460)).
    pub const SVCB: Self = Self(64);
    /// The same for HTTP ([RFC 9460](https://www.rfc-editor.org/rfc/rfc9460)).
    pub const HTTPS: Self = Self(65);
    /// A transaction signature ([RFC 8945](https://www.rfc-editor.org/rfc/rfc8945)).
    pub const TSIG: Self = Self(250);
    /// An incremental zone transfer ([RFC 1995](https://www.rfc-editor.org/rfc/rfc1995)).
    pub const IXFR: Self = Self(251);
    /// A full zone transfer ([RFC 5936](https://www.rfc-editor.org/rfc/rfc5936)).
    pub const AXFR: Self = Self(252);
    /// All types ([RFC 8482](https://www.rfc-editor.org/rfc/rfc8482)).
    pub const ANY: Self = Self(255);

    /// Whether it holds addresses and nothing else.
    pub fn is_address(self) -> bool {
        matches!(self, Self::A | Self::AAAA)
    }

    /// Reads a mnemonic as `dig` takes it, or `TYPE65`; `None` where it is neither.
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.to_ascii_uppercase();
        let of_number = |number: &str| number.parse().ok().map(Self);
        let named = || {
            let all = (0..=u16::MAX).map(Self);
            all.into_iter()
                .find(|record_type| record_type.mnemonic() == Some(&*text))
        };
        text.strip_prefix("TYPE").and_then(of_number).or_else(named)
    }

    /// The mnemonic of the types that resolvers commonly ask, `None` for the rest.
    pub fn mnemonic(self) -> Option<&'static str> {
        Some(match self.0 {
            1 => "A",
            2 => "NS",
            5 => "CNAME",
            6 => "SOA",
            12 => "PTR",
            13 => "HINFO",
            15 => "MX",
            16 => "TXT",
            28 => "AAAA",
            33 => "SRV",
            35 => "NAPTR",
            41 => "OPT",
            43 => "DS",
            46 => "RRSIG",
            47 => "NSEC",
            48 => "DNSKEY",
            64 => "SVCB",
            65 => "HTTPS",
            251 => "IXFR",
            252 => "AXFR",
            255 => "ANY",
            257 => "CAA",
            _ => return None,
        })
    }
}

/// The mnemonic, or `TYPE1000` for a type without one ([RFC 3597 §5](https://www.rfc-editor.org/rfc/rfc3597#section-5)).
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mnemonic() {
            Some(mnemonic) => f.write_str(mnemonic),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

/// A class, as its 16-bit number.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Class(pub u16);

impl Class {
    /// The Internet.
    pub const IN: Self = Self(1);
    /// CHAOS, used to ask a server who it is ([RFC 4892](https://www.rfc-editor.org/rfc/rfc4892)).
    pub const CH: Self = Self(3);
    /// Any class, in a query.
    pub const ANY: Self = Self(255);
}

/// A response code, the extended ones included
/// ([RFC 6895 §2.3](https://www.rfc-editor.org/rfc/rfc6895#section-2.3)).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u16)]
pub enum Rcode {
    /// The name exists; the answer may be empty.
    NoError = 0,
    /// The message can't be read as a query.
    FormErr = 1,
    /// The server can't answer at present.
    ServFail = 2,
    /// The name does not exist.
    NxDomain = 3,
    /// The server does not do this kind of query.
    NotImp = 4,
    /// The server does not answer this for this name.
    Refused = 5,
    /// The signature's key is not known, or the server does not speak for the zone.
    NotAuth = 9,
    /// The EDNS version is not known; needs the OPT record's upper bits.
    BadVers = 16,
    /// The server's part of the cookie is not valid ([RFC 7873 §8](https://www.rfc-editor.org/rfc/rfc7873#section-8)); needs
    /// the OPT record's upper bits.
    BadCookie = 23,
}

impl Rcode {
    /// Every response code that has a name here.
    pub const ALL: [Self; 9] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::NotAuth,
        Self::BadVers,
        Self::BadCookie,
    ];

    /// The response code with this number, where it has a name here.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|rcode| *rcode as u16 == number)
    }

    /// The mnemonic, as dig and the metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::NotAuth => "NOTAUTH",
            Self::BadVers => "BADVERS",
            Self::BadCookie => "BADCOOKIE",
        }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
