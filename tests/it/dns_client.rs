//! A small DNS client: asks one question of a server, and prints the reply in dig's words.

use std::fmt::Write as _;

use hickory_proto::{
    op::Message,
    rr::{RData, Record},
};

use crate::transport::{Server, Transport};

/// What to ask.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    name: String,
    record_type: u16,
    class: u16,
    recursion_desired: bool,
    /// The payload size of the OPT record; `None` sends none.
    edns: Option<u16>,
    nsid: bool,
}

impl Question {
    /// Reads dig's words: `NAME TYPE [CLASS] [+rd] [+noedns] [+bufsize=N] [+nsid]`.
    pub(crate) fn parse(arguments: &str) -> Self {
        let mut words = arguments.split_whitespace();
        let name = words.next().expect("a name").to_owned();
        let record_type = type_number(words.next().expect("a type"));
        let mut question = Self {
            name,
            record_type,
            class: 1,
            recursion_desired: false,
            edns: Some(1232),
            nsid: false,
        };
        for word in words {
            match word {
                "CH" => question.class = 3,
                "+rd" => question.recursion_desired = true,
                "+noedns" => question.edns = None,
                "+nsid" => question.nsid = true,
                other => match other.strip_prefix("+bufsize=") {
                    Some(size) => question.edns = Some(size.parse().expect("a size")),
                    None => panic!("dig can't say {other} here"),
                },
            }
        }
        question
    }

    /// The query's bytes.
    pub(crate) fn encode(&self, id: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        packet.extend(id.to_be_bytes());
        packet.extend([
            u8::from(self.recursion_desired),
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            0,
            u8::from(self.edns.is_some()),
        ]);
        for label in self
            .name
            .trim_end_matches('.')
            .split('.')
            .filter(|label| !label.is_empty())
        {
            packet.push(u8::try_from(label.len()).expect("a short label"));
            packet.extend(label.as_bytes());
        }
        packet.push(0);
        packet.extend(self.record_type.to_be_bytes());
        packet.extend(self.class.to_be_bytes());
        if let Some(size) = self.edns {
            packet.extend([0, 0, 41]);
            packet.extend(size.to_be_bytes());
            packet.extend([0, 0, 0, 0]);
            packet.extend(if self.nsid {
                &[0, 4, 0, 3, 0, 0][..]
            } else {
                &[0, 0][..]
            });
        }
        packet
    }
}

fn type_number(text: &str) -> u16 {
    match text {
        "A" => 1,
        "NS" => 2,
        "CNAME" => 5,
        "SOA" => 6,
        "PTR" => 12,
        "TXT" => 16,
        "AAAA" => 28,
        "SRV" => 33,
        "HTTPS" => 65,
        "ANY" => 255,
        other => other
            .strip_prefix("TYPE")
            .and_then(|number| number.parse().ok())
            .expect("a known type"),
    }
}

/// Asks the server that a transport leads to.
pub(crate) struct Client {
    transport: Transport,
    server: Server,
    last_id: u16,
}

impl Client {
    /// Asks `server`, which `transport` leads to.
    pub(crate) fn new(transport: Transport, server: Server) -> Self {
        Self {
            transport,
            server,
            last_id: 1,
        }
    }

    /// Asks and prints.
    pub(crate) fn dig(&mut self, question: &Question) -> String {
        if self.transport.has_ids {
            self.last_id = self.last_id.wrapping_add(1);
        } else {
            self.last_id = 0;
        }
        let reply = self.server.ask(&question.encode(self.last_id));
        let message = Message::from_vec(&reply).expect("a well-formed reply");
        assert_eq!(
            message.metadata.id, self.last_id,
            "the reply has the query's id"
        );
        assert_eq!(
            message.edns.is_some(),
            question.edns.is_some(),
            "an OPT answers an OPT, and nothing else"
        );
        print(&message)
    }
}

/// A reply's bytes in dig's words.
pub(crate) fn print_reply(reply: &[u8]) -> String {
    print(&Message::from_vec(reply).expect("a well-formed reply"))
}

/// Status and flags, extended errors, then each section; address records sorted, for their order is random by design.
fn print(message: &Message) -> String {
    let header = &message.metadata;
    let mut flags = String::from("qr");
    for (flag, is_set) in [
        ("aa", header.authoritative),
        ("tc", header.truncation),
        ("rd", header.recursion_desired),
        ("ra", header.recursion_available),
        ("ad", header.authentic_data),
        ("cd", header.checking_disabled),
    ] {
        if is_set {
            write!(flags, " {flag}").expect("a string can be written to");
        }
    }
    let status = format!("{:?}", header.response_code).to_uppercase();
    let mut printed = format!(
        ";; {} {flags}\n",
        if status == "NXDOMAIN" {
            "NXDOMAIN"
        } else {
            &status
        }
    );
    for (code, data) in message.edns.iter().flat_map(|edns| edns.options().as_ref()) {
        let bytes = Vec::<u8>::try_from(data).expect("an option has bytes");
        match u16::from(*code) {
            15 => writeln!(
                printed,
                ";; EDE {}",
                u16::from_be_bytes([bytes[0], bytes[1]])
            ),
            3 => writeln!(printed, ";; NSID {}", String::from_utf8_lossy(&bytes)),
            other => writeln!(printed, ";; OPTION {other}"),
        }
        .expect("a string can be written to");
    }
    for (title, records) in [
        ("", &message.answers),
        (";; AUTHORITY\n", &message.authorities),
        (";; ADDITIONAL\n", &message.additionals),
    ] {
        if !records.is_empty() {
            printed.push_str(title);
        }
        let mut lines: Vec<_> = records
            .iter()
            .map(|record| (address(record), line(record)))
            .collect();
        lines.sort();
        printed.extend(lines.into_iter().map(|(_, line)| line));
    }
    printed
}

fn address(record: &Record) -> Option<std::net::IpAddr> {
    match &record.data {
        RData::A(a) => Some(a.0.into()),
        RData::AAAA(aaaa) => Some(aaaa.0.into()),
        _ => None,
    }
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        RData::SOA(soa) => format!(
            "{} {} SERIAL {} {} {} {}",
            soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire, soa.minimum
        ),
        other => other.to_string(),
    };
    format!(
        "{} {} {} {} {data}\n",
        record.name,
        record.ttl,
        record.dns_class,
        record.record_type()
    )
}
