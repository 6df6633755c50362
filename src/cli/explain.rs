//! `explain`: one name's story, told for people or programs.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use super::{
    Exit, Failure, exit, health, load, output,
    policy::{self, PolicyArgs},
    server::Server,
};
use crate::{
    config::value::ValueError,
    dns::{Name, RecordType},
    explain,
};

const EXAMPLES: &str = "\
Examples:
  meshdns explain svc1.internal.com                   why the name answers what it does
  meshdns explain svc1.internal.com --type AAAA       the same for IPv6
  meshdns explain svc1.internal.com --client 10.96.0.10
                                                      what CoreDNS gets, where the host has shares
  meshdns explain svc1.internal.com --upstream system  names as endpoints looked up, too
  meshdns explain svc1.internal.com --server http://127.0.0.1:9154
                                                      what the running server answers, and since when
  meshdns explain nosuch.internal.com zones --zone internal.com
                                                      why there is no such name
  meshdns explain svc1.internal.com --output json | jq '.hosts[].endpoints[] | select(.in | not)'
                                                      the endpoints that are left out

A name that does not exist is an answer too: the exit code is 0.";

/// Tell why a name answers what it does
#[derive(Args, Debug)]
#[command(
    after_help = EXAMPLES,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
pub(super) struct ExplainArgs {
    /// Name to ask for
    #[arg(value_name = "NAME")]
    name: String,

    #[arg(value_name = "FOLDER", help = policy::FOLDERS_HELP)]
    folders: Vec<PathBuf>,

    /// Record type to ask for, such as A, AAAA, SOA or TYPE65
    #[arg(long = "type", short = 't', value_name = "TYPE", default_value = "A")]
    record_type: QueryType,

    /// Address of the client that asks, which may be a forwarder's [default: somebody who asks for himself]
    #[arg(long, value_name = "IP")]
    client: Option<IpAddr>,

    /// Running server to ask for its own story, by the address of its status pages [default: the folders are read here]
    ///
    /// At the address of its HTTP pages it is asked what its checks came to, which a story made here takes in.
    #[arg(long, value_name = "URL")]
    server: Option<String>,

    /// How to print the story
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,

    #[command(flatten)]
    policy: PolicyArgs,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object
    Json,
}

/// A record type as `dig` takes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct QueryType(RecordType);

impl FromStr for QueryType {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        RecordType::from_text(text)
            .map(Self)
            .ok_or(ValueError::Word(
                "a record type such as A, AAAA or SOA, or TYPE and its number, as in TYPE65",
            ))
    }
}

impl ExplainArgs {
    /// Prints the story of one name.
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let name = Name::from_text(&self.name)
            .with_context(|| format!("`{}` is no domain name", self.name))
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        if let Some(url) = &self.server
            && self.ask(url, &name)?
        {
            return Ok(Exit::Fine);
        }
        let config = self.policy.config(self.folders)?;
        let mut loaded = load::load(&config)?;
        let upstreams = load::upstreams(&config)?;
        if let Some(upstreams) = &upstreams {
            let wildcards = name.ancestors().filter_map(|above| above.wildcard_below());
            let hosts: Vec<Name> = std::iter::once(name.clone()).chain(wildcards).collect();
            upstreams.resolve(&mut loaded.pipeline, Some(&hosts));
        }
        health::join(&mut loaded.pipeline, &config, self.server.as_deref())?;
        let explanation =
            explain::explain(&loaded.pipeline, &name, self.record_type.0, self.client);
        let others = upstreams
            .as_ref()
            .filter(|_| explanation.is_others)
            .and_then(|upstreams| upstreams.of(&name));
        output::data(|out| match self.output {
            Format::Text => explain::write_text(out, &explanation, others.as_ref()),
            Format::Json => {
                let story = explain::Story::new(&explanation, others.as_ref());
                serde_json::to_writer_pretty(&mut *out, &story)?;
                writeln!(out)
            }
        })?;
        loaded.mention_errors(&config);
        Ok(Exit::Fine)
    }

    /// Prints the story of the server at `url`; `false` where it has none to tell.
    fn ask(&self, url: &str, name: &Name) -> Result<bool, Failure> {
        let record_type = self.record_type.0.to_string();
        let client = self.client.map(|client| client.to_string());
        let mut parameters = vec![("type", record_type.as_str())];
        parameters.extend(client.as_deref().map(|client| ("client", client)));
        let accept = match self.output {
            Format::Text => "text/plain",
            Format::Json => "application/json",
        };
        let server = Server::new(url)?;
        let told = server.ask(&["hosts", &name.to_host()], &parameters, accept)?;
        let Some(told) = told else { return Ok(false) };
        output::data(|out| match self.output {
            Format::Text => out.write_all(&told.body),
            Format::Json => output::pretty(out, &told.body),
        })?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u16>) {
        let parsed = text.parse::<QueryType>().ok();
        assert_eq!(parsed.map(|query_type| query_type.0.0), expected);
    }

    #[test]
    fn reads_types_as_dig_does() {
        check("a", Some(1));
        check("AAAA", Some(28));
        check("type65", Some(65));
        check("HTTPS", Some(65));
        check("TYPE65536", None);
        check("NOSUCH", None);
        check("", None);
    }
}
