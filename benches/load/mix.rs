//! What is asked.

use std::{
    fs,
    iter::repeat_n,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::data::{ADDRESSES, DIAL, Data, WILD};

/// A mix of queries, for every name in turn.
pub(crate) struct Mix {
    /// What `--mix` calls it.
    pub(crate) key: &'static str,
    /// What its table is headed with.
    pub(crate) title: &'static str,
    /// Where the queries go.
    pub(crate) host: IpAddr,
    /// How they go there.
    pub(crate) transport: Transport,
    /// How much more than the reflector's a query over UDP may cost.
    pub(crate) reflector_goal: f64,
    /// Whether queries carry EDNS with a client cookie, as dig's do.
    pub(crate) cookie: bool,
    /// How many names in a row each question is asked for, over and over.
    questions: &'static [(usize, Question)],
}

/// How queries go to a server.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Transport {
    Udp,
    /// Several queries on their way on each of a few connections that stay open.
    Tcp,
}

/// What is asked for a name, and what comes back.
pub(crate) struct Question {
    /// The type asked for.
    pub(crate) qtype: Type,
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
    Srv = 33,
}

const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

const A: Question = Question {
    qtype: Type::A,
    rcode: NOERROR,
    answers: ADDRESSES,
    asked: str::to_owned,
};
const NODATA: Question = Question {
    qtype: Type::Aaaa,
    answers: 0,
    ..A
};
const NO_NAME: Question = Question {
    rcode: NXDOMAIN,
    answers: 0,
    asked: |name| format!("no-{name}"),
    ..A
};
const BELOW_WILDCARD: Question = Question {
    asked: |name| {
        let (label, _) = name.split_once('.').expect("a name of several labels");
        format!("{label}.{WILD}")
    },
    ..A
};
const BELOW_DIAL: Question = Question {
    answers: 2,
    asked: |name| {
        let (label, _) = name.split_once('.').expect("a name of several labels");
        format!("{label}.{DIAL}")
    },
    ..A
};
const SERVICE: Question = Question {
    qtype: Type::Srv,
    asked: |name| format!("_http._tcp.{name}"),
    ..A
};

/// A over UDP, without EDNS.
pub(crate) const PLAIN: Mix = Mix {
    key: "a",
    title: "A, no EDNS",
    host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    transport: Transport::Udp,
    reflector_goal: 1.15,
    cookie: false,
    questions: &[(1, A)],
};

const REAL: Mix = Mix {
    key: "real",
    title: "75 % A, 20 % AAAA (NODATA), 5 % NXDOMAIN",
    questions: &[(15, A), (4, NODATA), (1, NO_NAME)],
    ..PLAIN
};

/// A over UDP of names that a cache holds.
pub(crate) const CACHED: Mix = Mix {
    key: "cached",
    title: "A of names that are not in the mesh, from the cache of a forwarder",
    ..PLAIN
};

static MIXES: [Mix; 11] = [
    PLAIN,
    Mix {
        key: "cookie",
        title: "A, EDNS with a client cookie",
        cookie: true,
        ..PLAIN
    },
    REAL,
    Mix {
        key: "real-cookie",
        title: "75 % A, 20 % AAAA (NODATA), 5 % NXDOMAIN, EDNS with a client cookie",
        cookie: true,
        ..REAL
    },
    Mix {
        key: "nodata",
        title: "AAAA of names that have only A: NODATA",
        questions: &[(1, NODATA)],
        ..PLAIN
    },
    Mix {
        key: "nxdomain",
        title: "A of names that don't exist: NXDOMAIN",
        questions: &[(1, NO_NAME)],
        ..PLAIN
    },
    Mix {
        key: "wildcard",
        title: "A of names below a wildcard",
        questions: &[(1, BELOW_WILDCARD)],
        ..PLAIN
    },
    Mix {
        key: "dial",
        title: "A of names below a wildcard whose questions are shared out between two sides",
        reflector_goal: 1.25,
        questions: &[(1, BELOW_DIAL)],
        ..PLAIN
    },
    Mix {
        key: "srv",
        title: "SRV of services, with the addresses of their targets",
        reflector_goal: 1.4,
        questions: &[(1, SERVICE)],
        ..PLAIN
    },
    Mix {
        key: "ipv6",
        title: "A over IPv6",
        host: IpAddr::V6(Ipv6Addr::LOCALHOST),
        ..PLAIN
    },
    Mix {
        key: "tcp",
        title: "A over TCP, connections that stay open, pipelined",
        transport: Transport::Tcp,
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
    /// Every name that is asked for, with what is asked.
    pub(crate) fn queries(&self, data: &Data) -> impl Iterator<Item = (String, &Question)> {
        data.shuffled()
            .zip(self.in_turn().cycle())
            .map(|(name, question)| ((question.asked)(&name), question))
    }

    /// The first queries, in which each question has the share that it has in all of them.
    pub(crate) fn sample(&self, data: &Data) -> impl Iterator<Item = (String, &Question)> {
        self.queries(data).take(self.in_turn().count())
    }

    fn in_turn(&self) -> impl Iterator<Item = &Question> + Clone {
        let questions = self.questions.iter();
        questions.flat_map(|(names, question)| repeat_n(question, *names))
    }

    /// Whether answers of this code are expected, by the word that dnsperf has for it.
    pub(crate) fn expects(&self, code: &str) -> bool {
        self.in_turn().any(|question| match question.rcode {
            NXDOMAIN => code == "NXDOMAIN",
            _ => code == "NOERROR",
        })
    }

    /// Whether answers of this code are expected.
    pub(crate) fn has_code(&self, rcode: u8) -> bool {
        self.in_turn().any(|question| question.rcode == rcode)
    }

    /// Writes dnsperf's input.
    pub(crate) fn write_queries(&self, data: &Data, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(format!("{}.queries", self.key));
        let lines: Vec<String> = self
            .queries(data)
            .map(|(name, question)| format!("{name} {}\n", question.qtype.text()))
            .collect();
        fs::write(&file, lines.concat()).context("write the queries")?;
        Ok(file)
    }
}

impl Type {
    fn text(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Srv => "SRV",
        }
    }
}
