//! Names that are not in the mesh, answered from the cache: meshdns with an upstream, beside unbound and CoreDNS.
//!
//! All of them forward to one authority, which counts what it is asked. Before anything is measured, each is asked for
//! every name until that costs the authority no question; and what the authority is asked during the measurement stands
//! below the table. The authority is another meshdns, since it counts.
//!
//! And what it costs the names of the mesh that others are forwarded: meshdns with an upstream beside meshdns without.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result, bail};

use crate::{
    bench::{Bench, PATIENCE},
    caches::{CACHES, UNBOUND},
    data::{Data, ELSEWHERE},
    dnsperf::{self, Extent, Size},
    mix::{self, PLAIN},
    pages,
    servers::{self, MESH, REFLECTOR, Server, free_port},
    table::{self, Pairs},
};

/// How often all names are asked until a cache holds them.
const PASSES: u32 = 10;

/// What a query for a name of the mesh may cost with an upstream, beside one without.
const FORWARDING: Pairs = Pairs {
    title: "with forwarding and without",
    columns: ["without", "with"],
    ratio: "with / without",
    goal: 1.05,
};

/// The server that has the names, and where it tells how often it was asked.
struct Authority {
    server: Server,
    http: SocketAddr,
}

impl Authority {
    fn start(names: &Bench<'_>) -> Result<Self> {
        let http = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let pages = http.to_string();
        let flags = ["--zone", ELSEWHERE, "--ttl", "1h", "--http", &pages];
        let server = servers::meshdns(1, names.folder, &flags)?;
        Ok(Self {
            server: names.wait(server)?,
            http,
        })
    }

    /// How many questions it was asked so far.
    fn asked(&self) -> Result<u64> {
        pages::metric(self.http, "meshdns_dns_requests_total")
    }
}

/// Measures and prints both tables.
pub(crate) fn compare(bench: &Bench<'_>) -> Result<()> {
    let folder = bench.folder.join("elsewhere");
    fs::create_dir(&folder).context("make a folder")?;
    let data = Data::new(ELSEWHERE, bench.options.names);
    data.write(&folder).context("write the names elsewhere")?;
    let names = Bench {
        options: bench.options,
        data,
        folder: &folder,
    };
    let authority = Authority::start(&names).context("the authority")?;
    let upstream = format!("127.0.0.1:{}", authority.server.port);
    let flags = [&MESH[..], &["--upstream", &upstream]].concat();
    let forwarding = bench.wait(servers::meshdns(1, bench.folder, &flags)?)?;

    let mut caches = vec![forwarding];
    for cache in &CACHES {
        let port = Some(authority.server.port);
        match cache
            .start(1, names.folder, port)
            .and_then(|server| names.wait(server))
        {
            Ok(server) => caches.push(server),
            Err(error) => println!("\n**{} is left out**: {error:#}", cache.name),
        }
    }
    names.compare_caches(&authority, &caches)?;

    let without = bench.wait(servers::meshdns(1, bench.folder, &MESH)?)?;
    let pair = [&without, &caches[0]];
    let runs = bench.rounds(&PLAIN, &pair)?;
    println!("\n### {}, {}\n", PLAIN.title, FORWARDING.title);
    table::print_pairs(&pair, &runs, &FORWARDING);
    Ok(())
}

impl Bench<'_> {
    fn compare_caches(&self, authority: &Authority, caches: &[Server]) -> Result<()> {
        let mix = &mix::CACHED;
        let queries = mix.write_queries(&self.data, self.folder)?;
        let mut size = None;
        for cache in caches {
            self.warm(cache, &queries, authority)
                .with_context(|| format!("fill the cache of {}", cache.name))?;
            let answers = dnsperf::first_answers(cache, mix, &self.data, PATIENCE)?;
            size.get_or_insert(answers);
        }
        let size: Size = size.context("there is a cache to imitate")?;
        let reflector = servers::reflector(1, size.appended(), self.folder)?;
        let all: Vec<&Server> = std::iter::once(&reflector).chain(caches).collect();
        let before = authority.asked()?;
        let runs = self.rounds(mix, &all)?;
        let asked = authority.asked()? - before;
        let Size { query, answer } = size;
        println!("\n### {} ({query} bytes in, {answer} out)\n", mix.title);
        table::print(&all, &runs, [REFLECTOR, UNBOUND], &[(UNBOUND, 1.0)]);
        println!("\nQuestions to the authority meanwhile: {asked}.");
        Ok(())
    }

    /// Asks for every name until that costs the authority no question.
    fn warm(&self, cache: &Server, queries: &Path, authority: &Authority) -> Result<()> {
        let mut missed = 0;
        for _ in 0..PASSES {
            let before = authority.asked()?;
            dnsperf::run(cache, &mix::CACHED, queries, Extent::EachOnce, None)?;
            missed = authority.asked()? - before;
            if missed == 0 {
                return Ok(());
            }
        }
        bail!(
            "asking for {} names still costs the authority {missed} questions",
            self.options.names
        )
    }
}
