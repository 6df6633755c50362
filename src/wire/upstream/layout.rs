use crate::dns::RecordType;

/// A part of a record's data.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// So many bytes.
    Bytes(usize),
    /// A name that points to others where it can.
    Name,
    /// A name that is written in full, because not everyone knows that there is one
    /// ([RFC 3597 §4](https://www.rfc-editor.org/rfc/rfc3597#section-4)). Some servers compress it all the same.
    FullName,
    /// A byte that says how many follow.
    Text,
    /// One or several of these.
    Texts,
    /// Keys in growing order, each with a value behind its length ([RFC 9460 §2.2](https://www.rfc-editor.org/rfc/rfc9460#section-2.2)).
    Parameters,
    /// Anything.
    Rest,
}

/// What the data of a record of type `kind` is made of. Types that hold no names and have no fixed parts may hold anything.
pub(super) fn layout(kind: RecordType) -> &'static [Field] {
    use Field::{Bytes, FullName, Name, Parameters, Rest, Text, Texts};
    match kind.0 {
        // A.
        1 => &[Bytes(4)],
        // NS, MD, MF, CNAME, MB, MG, MR, PTR.
        2..=5 | 7..=9 | 12 => &[Name],
        // SOA.
        6 => &[Name, Name, Bytes(20)],
        // HINFO.
        13 => &[Text, Text],
        // MINFO.
        14 => &[Name, Name],
        // MX.
        15 => &[Bytes(2), Name],
        // TXT, SPF.
        16 | 99 => &[Texts],
        // RP.
        17 => &[FullName, FullName],
        // AFSDB, RT, KX, LP.
        18 | 21 | 36 | 107 => &[Bytes(2), FullName],
        // SIG, RRSIG.
        24 | 46 => &[Bytes(18), FullName, Rest],
        // PX.
        26 => &[Bytes(2), FullName, FullName],
        // AAAA.
        28 => &[Bytes(16)],
        // NXT, NSEC.
        30 | 47 => &[FullName, Rest],
        // SRV.
        33 => &[Bytes(6), FullName],
        // NAPTR.
        35 => &[Bytes(4), Text, Text, Text, FullName],
        // DNAME.
        39 => &[FullName],
        // DS, DNSKEY, CDS, CDNSKEY, URI.
        43 | 48 | 59 | 60 | 256 => &[Bytes(4), Rest],
        // SSHFP.
        44 => &[Bytes(2), Rest],
        // TLSA, SMIMEA.
        52 | 53 => &[Bytes(3), Rest],
        // SVCB, HTTPS.
        64 | 65 => &[Bytes(2), FullName, Parameters],
        // CAA.
        257 => &[Bytes(1), Text, Rest],
        _ => &[Rest],
    }
}
