//! What became of an endpoint that is a name.

use std::time::{Duration, SystemTime};

use crate::{
    dns::Name,
    select::{Candidate, Lookup},
};

/// One sentence about the name of `candidate` at `now`; `None` where it has an address of its own.
pub fn about_name(candidate: &Candidate, now: SystemTime) -> Option<String> {
    let (name, lookup) = candidate.named.as_ref()?;
    let name = plain(name);
    let has_none = candidate.addresses.is_empty();
    Some(match lookup {
        Lookup::NotTaken => {
            format!("address {name} is a name, which resolution DNS or DNS_ROUND_ROBIN alone takes")
        }
        Lookup::Host(host) if has_none => {
            format!(
                "{name} is host {} of this mesh, which has no address",
                plain(host)
            )
        }
        Lookup::Host(host) => format!("{name} is host {} of this mesh", plain(host)),
        Lookup::LeadsBack => {
            format!("{name} leads back to this host, and no upstream is asked for it")
        }
        Lookup::NoHost => format!("{name} is in a declared zone, and no host has it"),
        Lookup::NoUpstream => {
            format!("address {name} is a name, which needs an upstream to resolve it")
        }
        Lookup::Unknown => format!("{name} could not be resolved so far"),
        Lookup::Resolved(told) => {
            let age = age(told.at, now);
            let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
            match &told.alias {
                Some(alias) => format!("{name} is an alias of {}, said {age} ago", plain(alias)),
                None if has_none => format!("{name} has no address, said {age} ago"),
                None => format!("{name}, resolved {age} ago"),
            }
        }
    })
}

/// How long ago what is known was told; `None` where nobody else was to tell it.
pub fn age_of(lookup: &Lookup, now: SystemTime) -> Option<Duration> {
    match lookup {
        Lookup::Resolved(told) => Some(age(told.at, now)),
        _ => None,
    }
}

/// Zero where the clock was set back.
fn age(at: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(at).unwrap_or_default()
}

fn plain(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(plain) if !plain.is_empty() => plain.to_owned(),
        _ => text,
    }
}
