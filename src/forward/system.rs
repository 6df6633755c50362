//! The upstreams that the machine itself uses, as its `resolv.conf` names them.
//!
//! What can't be read, names nobody or changes from look to look never takes the place of what was good.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tracing::{debug, warn};

use super::{
    address::{AddressError, socket_address},
    own::Own,
};

/// How often `resolv.conf` is looked at. It is rewritten when the network changes.
const INTERVAL: Duration = Duration::from_secs(2);

/// How soon a change is looked at again: who writes the file piece by piece is done by then.
const SECOND_LOOK: Duration = Duration::from_millis(250);

/// More name servers than this are passed over; resolvers themselves take three.
const MOST_NAME_SERVERS: usize = 15;

/// The port of the servers that `resolv.conf` names.
const DNS_PORT: u16 = 53;

/// A `resolv.conf` and the last good servers of it, without this server itself.
#[derive(Debug)]
pub(super) struct ResolvConf {
    path: PathBuf,
    own: Own,
    held: Mutex<Looks>,
}

/// What the looks at the file have found.
#[derive(Debug, Default)]
struct Looks {
    /// What was taken, or found to be of no use; `None` where nothing could be read.
    text: Option<String>,
    /// What the last look found, where that is another thing.
    next: Option<String>,
    servers: Vec<SocketAddr>,
}

/// What a look says.
#[derive(Debug, Eq, PartialEq)]
enum Finding {
    /// Nothing else than before.
    Same,
    /// Something else, which may not be whole yet.
    Unsettled,
    /// Other servers.
    Servers,
    /// Nobody whom it names is of use.
    Nobody,
    /// It can't be read, which it could before.
    Unreadable,
}

impl ResolvConf {
    /// Reads the file, on the thread that this is called from. Where it is of no use, the servers that it had `before` stay.
    pub(super) fn read(path: &Path, own: Own, before: Option<&Self>) -> Arc<Self> {
        let before = before.filter(|before| before.path == path);
        let mut looks = Looks {
            servers: before.map(Self::servers).unwrap_or_default(),
            ..Looks::default()
        };
        let read = std::fs::read_to_string(path);
        let error = read.as_ref().err().map(ToString::to_string);
        let finding = looks.settle(read.ok(), &own);
        let conf = Self {
            path: path.to_owned(),
            own,
            held: Mutex::new(looks),
        };
        conf.tell(&finding, error.as_deref());
        Arc::new(conf)
    }

    /// The servers, in order.
    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        self.held().servers.clone()
    }

    /// Looks at the file from time to time, as long as somebody has it, and hands `take` its servers when they change.
    pub(super) async fn follow(this: Weak<Self>, take: impl Fn(&[SocketAddr], &Path)) {
        let mut wait = INTERVAL;
        loop {
            tokio::time::sleep(wait).await;
            let Some(held) = this.upgrade() else { return };
            let looking = Arc::clone(&held);
            // A file may be on a disk that hangs.
            let look = tokio::task::spawn_blocking(move || looking.look()).await;
            wait = INTERVAL;
            match look {
                Ok(Finding::Servers) => take(&held.servers(), &held.path),
                Ok(Finding::Unsettled) => wait = SECOND_LOOK,
                _ => {}
            }
        }
    }

    fn look(&self) -> Finding {
        let read = std::fs::read_to_string(&self.path);
        let error = read.as_ref().err().map(ToString::to_string);
        let finding = self.held().look(read, &self.own);
        self.tell(&finding, error.as_deref());
        finding
    }

    fn tell(&self, finding: &Finding, error: Option<&str>) {
        let file = self.path.display();
        let stays = if self.held().servers.is_empty() {
            "there is no upstream"
        } else {
            "its last good upstreams stay"
        };
        match finding {
            Finding::Nobody => {
                warn!(%file, "it names no upstream besides this server: {stays}");
            }
            Finding::Unreadable => {
                let error = error.unwrap_or_default();
                warn!(%file, "it can't be read, and {stays}: {error}");
            }
            Finding::Same | Finding::Unsettled | Finding::Servers => {}
        }
    }

    fn held(&self) -> MutexGuard<'_, Looks> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looks {
    /// Takes in what a look has read. Only what two looks in a row find is believed.
    fn look(&mut self, read: io::Result<String>, own: &Own) -> Finding {
        let text = match read {
            Ok(text) if self.text.as_ref() == Some(&text) => {
                self.next = None;
                return Finding::Same;
            }
            Ok(text) => text,
            Err(_) => {
                self.next = None;
                let was_read = self.text.take().is_some();
                return if was_read {
                    Finding::Unreadable
                } else {
                    Finding::Same
                };
            }
        };
        if self.next.as_ref() == Some(&text) {
            self.next = None;
            return self.settle(Some(text), own);
        }
        self.next = Some(text);
        Finding::Unsettled
    }

    /// Takes in what the file says, `None` where it can't be read.
    fn settle(&mut self, text: Option<String>, own: &Own) -> Finding {
        self.text = text;
        let Some(text) = &self.text else {
            return Finding::Unreadable;
        };
        let named = name_servers(text).filter(|address| !own.holds(*address));
        let servers: Vec<_> = named.take(MOST_NAME_SERVERS).collect();
        if servers.is_empty() {
            return Finding::Nobody;
        }
        if servers == self.servers {
            return Finding::Same;
        }
        self.servers = servers;
        Finding::Servers
    }
}

/// The servers that a `resolv.conf` names. What is no address, or on an interface that is not there, is passed over.
fn name_servers(text: &str) -> impl Iterator<Item = SocketAddr> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let ("nameserver", Some(word)) = (words.next()?, words.next()) else {
            return None;
        };
        match socket_address(word, DNS_PORT) {
            Ok(address) => Some(address),
            Err(error @ AddressError::UnknownInterface(_)) => {
                warn!(name_server = word, "it is passed over: {error}");
                None
            }
            Err(error) => {
                debug!(name_server = word, "it is passed over: {error}");
                None
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_name_servers_and_nothing_else() {
        let text = "# nameserver 192.0.2.9\nsearch a.test\nnameserver 192.0.2.1\n nameserver\t::1 \nnameserver\nnameserver fe80::1%none\nnameserver fe80::1%lo\nnameserver 192.0.\noptions edns0\n";
        let found: Vec<_> = name_servers(text)
            .map(|address| address.to_string())
            .collect();
        assert_eq!(found, ["192.0.2.1:53", "[::1]:53", "[fe80::1%1]:53"]);
    }

    /// Looks at each of `texts` in turn, `-` for a file that can't be read, and compares the last bytes of the servers behind.
    #[track_caller]
    fn check(texts: &[&str], expected: &str) {
        let own = Own(vec![SocketAddr::from(([192, 0, 2, 53], DNS_PORT))]);
        let mut looks = Looks::default();
        let after = texts.iter().map(|text| {
            let read = match *text {
                "-" => Err(io::ErrorKind::NotFound.into()),
                text => Ok(text.replace('@', "nameserver 192.0.2.")),
            };
            looks.look(read, &own);
            let servers = looks.servers.iter().map(|server| match server.ip() {
                std::net::IpAddr::V4(v4) => v4.octets()[3].to_string(),
                std::net::IpAddr::V6(v6) => v6.to_string(),
            });
            servers.collect::<Vec<_>>().join("+")
        });
        assert_eq!(after.collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn what_is_not_whole_or_of_no_use_never_takes_the_place_of_what_was_good() {
        check(&["@1\n", "@1\n", "@1\n"], " 1 1");
        check(
            &["@1", "@1", "@", "@12\n@3", "@12\n@3\n", "@12\n@3\n"],
            " 1 1 1 1 12+3",
        );
        check(&["@1", "@1", "", "", "", "@2", "@2"], " 1 1 1 1 1 2");
        check(
            &["@1", "@1", "-", "-", "@1", "@1", "@2", "@2"],
            " 1 1 1 1 1 1 2",
        );
        check(&["@1", "@1", "@", "@", "@53\n", "@53\n"], " 1 1 1 1 1");
        check(&["-", "-", "@1", "@1"], "   1");
    }
}
