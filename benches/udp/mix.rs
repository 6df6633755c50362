//! What is asked.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::data::{ADDRESSES, Data, WILD, ZONE};

/// A kind of query, asked for every name in turn.
pub(crate) struct Mix {
    /// What `--mix` calls it.
    pub(crate) key: &'static str,
    /// What its table is headed with.
    pub(crate) title: &'static str,
    /// Where the queries go.
    pub(crate) host: IpAddr,
    /// The type asked for.
    pub(crate) qtype: Type,
    /// Whether queries carry EDNS with a client cookie, as dig's do.
    pub(crate) cookie: bool,
    /// The answer's code.
    pub(crate) rcode: u8,
    /// How many records the answer section has.
    pub(crate) answers: u32,
    /// From a name that exists to the name asked for.
    asked: fn(&str) -> String,
}

/// The type a query asks for.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    A = 1,
    Aaaa = 28,
}

/// The cookie that dnsperf sends, RFC 7873's client part.
pub(crate) const CLIENT_COOKIE: &str = "0123456789abcdef";

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

const PLAIN: Mix = Mix {
    key: "a",
    title: "A, no EDNS",
    host: V4,
    qtype: Type::A,
    cookie: false,
    rcode: NOERROR,
    answers: ADDRESSES,
    asked: str::to_owned,
};

static MIXES: [Mix; 6] = [
    PLAIN,
    Mix {
        key: "cookie",
        title: "A, EDNS with a client cookie",
        cookie: true,
        ..PLAIN
    },
    Mix {
        key: "nodata",
        title: "AAAA of names that have only A: NODATA",
        qtype: Type::Aaaa,
        answers: 0,
        ..PLAIN
    },
    Mix {
        key: "nxdomain",
        title: "A of names that don't exist: NXDOMAIN",
        rcode: NXDOMAIN,
        answers: 0,
        asked: |name| format!("no-{name}"),
        ..PLAIN
    },
    Mix {
        key: "wildcard",
        title: "A of names below a wildcard",
        asked: |name| {
            let (label, _) = name.split_once('.').expect("a name of several labels");
            format!("{label}.{WILD}")
        },
        ..PLAIN
    },
    Mix {
        key: "ipv6",
        title: "A over IPv6",
        host: IpAddr::V6(Ipv6Addr::LOCALHOST),
        ..PLAIN
    },
];

/// The mixes with these keys; `all` is every one.
pub(crate) fn chosen(keys: &[String]) -> Result<Vec<&'static Mix>> {
    let mut chosen = Vec::new();
    for key in keys {
        if key == "all" {
            return Ok(MIXES.iter().collect());
        }
        let Some(mix) = MIXES.iter().find(|mix| mix.key == key) else {
            let known: Vec<&str> = MIXES.iter().map(|mix| mix.key).collect();
            bail!(
                "there is no mix {key}; there are {} and all",
                known.join(", ")
            );
        };
        chosen.push(mix);
    }
    Ok(chosen)
}

impl Mix {
    /// Every name that is asked for.
    pub(crate) fn names(&self, data: &Data) -> impl Iterator<Item = String> {
        data.shuffled().map(|name| {
            debug_assert!(name.ends_with(ZONE), "every name is in the zone");
            (self.asked)(&name)
        })
    }

    /// Writes dnsperf's input.
    pub(crate) fn write_queries(&self, data: &Data, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(format!("{}.queries", self.key));
        let qtype = self.qtype.text();
        let lines: Vec<String> = self
            .names(data)
            .map(|name| format!("{name} {qtype}"))
            .collect();
        fs::write(&file, lines.join("\n") + "\n").context("write the queries")?;
        Ok(file)
    }
}

impl Type {
    fn text(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
        }
    }
}
