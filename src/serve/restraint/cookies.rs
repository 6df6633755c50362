use std::{
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use siphasher::sip::SipHasher24;

use crate::wire::{CLIENT_COOKIE_LEN, COOKIE_LEN, Cookie};

/// The length of a key, in bytes.
const KEY_LEN: usize = 16;

/// The most keys in a file: one in use, and some that are coming or going.
const MOST_KEYS: usize = 8;

/// The version of the server's part ([RFC 9018 §4.1](https://www.rfc-editor.org/rfc/rfc9018#section-4.1)).
const VERSION: u8 = 1;

/// Version, reserved bytes and time of the server's part; its hash follows.
const FIXED_LEN: usize = 8;
const TIME_AT: usize = 4;
const HASH_LEN: usize = 8;

/// For how long a server's part is valid, in seconds, and by how much it may be of the future: clocks differ
/// ([RFC 9018 §4.3](https://www.rfc-editor.org/rfc/rfc9018#section-4.3)).
const VALID_SECONDS: i32 = 3600;
const FUTURE_SECONDS: i32 = 300;

/// A server's part older than this is replaced, though it is valid.
const RENEWAL_SECONDS: i32 = 1800;

/// What the server's part of cookies is made with. Replicas with the same keys take each other's.
///
/// The first makes them, all are good for checking: to change it, every replica learns the next one as its second first.
#[derive(Clone)]
pub struct CookieKeys(Arc<[SipHasher24]>);

/// Checks cookies for one worker, and remembers some: whoever asks much sends the same one each time.
#[derive(Clone, Debug)]
pub struct CookieChecker {
    keys: CookieKeys,
    /// The last cookie of each slot, and whose it is; empty before the first.
    recent: Vec<(Cookie, IpAddr)>,
}

/// How many cookies a worker remembers.
const SLOTS: usize = 256;

/// For how many seconds a cookie is given to a client that does not send it back before another is made.
const SHARED_SECONDS: u32 = 60;

/// There are no keys for cookies.
#[derive(Debug, thiserror::Error)]
pub enum CookieKeyError {
    /// The file can't be read.
    #[error("read the keys of cookies from {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A line is no key.
    #[error("{}:{line}: expected a key of 32 hexadecimal digits, as `openssl rand -hex 16` makes one", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
    /// No key, or too many.
    #[error("{}: expected 1 to {MOST_KEYS} keys, each on a line, and found {count}", file.display())]
    Count {
        /// The file.
        file: PathBuf,
        /// How many there are.
        count: usize,
    },
    /// The operating system has no random numbers.
    #[error("get a random key for cookies")]
    Random(#[source] getrandom::Error),
}

/// A cookie that was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CheckedCookie {
    /// What the client gets back.
    pub cookie: Cookie,
    /// Whether the client showed that it gets what is sent to its address.
    pub is_valid: bool,
}

impl CookieKeys {
    /// One key that nobody else has.
    ///
    /// # Errors
    ///
    /// [`CookieKeyError::Random`].
    pub fn random() -> Result<Self, CookieKeyError> {
        let mut key = [0; KEY_LEN];
        getrandom::fill(&mut key).map_err(CookieKeyError::Random)?;
        Ok(Self::of(&[key]))
    }

    /// The keys that `file` holds, each as 32 hexadecimal digits on a line of its own. Lines that begin with `#` say nothing.
    ///
    /// # Errors
    ///
    /// [`CookieKeyError`] where it can't be read, or does not hold 1 to 8 keys and nothing else.
    pub fn read(file: &Path) -> Result<Self, CookieKeyError> {
        let text = fs::read_to_string(file).map_err(|source| CookieKeyError::Read {
            file: file.into(),
            source,
        })?;
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = data_encoding::HEXLOWER_PERMISSIVE
                .decode(line.as_bytes())
                .ok();
            let key = key.and_then(|key| <[u8; KEY_LEN]>::try_from(key).ok());
            keys.push(key.ok_or_else(|| CookieKeyError::NoKey {
                file: file.into(),
                line: number + 1,
            })?);
        }
        if !(1..=MOST_KEYS).contains(&keys.len()) {
            let (file, count) = (file.into(), keys.len());
            return Err(CookieKeyError::Count { file, count });
        }
        Ok(Self::of(&keys))
    }

    /// These keys, of which there is one at least.
    pub fn of(keys: &[[u8; KEY_LEN]]) -> Self {
        assert!(!keys.is_empty(), "the first key makes cookies");
        Self(keys.iter().map(SipHasher24::new_with_key).collect())
    }

    /// Looks at the cookie that `client` sent, which is 8 bytes long or longer, at `now`, in seconds since 1970 modulo 2^32
    /// ([RFC 9018 §4]).
    ///
    /// [RFC 9018 §4]: https://www.rfc-editor.org/rfc/rfc9018#section-4
    pub fn check(&self, received: &[u8], client: IpAddr, now: u32) -> CheckedCookie {
        let (of_client, of_server) = received
            .split_first_chunk::<CLIENT_COOKIE_LEN>()
            .expect("a reader of messages takes no shorter cookies");
        let client = client.to_canonical();
        let mut is_valid = false;
        if let Some((&fixed, rest)) = of_server.split_first_chunk::<FIXED_LEN>()
            && let Ok(hash) = <[u8; HASH_LEN]>::try_from(rest)
            && let Some(age) = age(fixed, now)
        {
            let mut keys = self.0.iter();
            let maker = keys.position(|key| self::hash(key, *of_client, fixed, client) == hash);
            if maker == Some(0) && age <= RENEWAL_SECONDS {
                return CheckedCookie {
                    cookie: joined(*of_client, fixed, hash),
                    is_valid: true,
                };
            }
            is_valid = maker.is_some();
        }
        let mut fixed = [VERSION, 0, 0, 0, 0, 0, 0, 0];
        fixed[TIME_AT..].copy_from_slice(&now.to_be_bytes());
        let hash = hash(&self.0[0], *of_client, fixed, client);
        CheckedCookie {
            cookie: joined(*of_client, fixed, hash),
            is_valid,
        }
    }
}

impl CookieChecker {
    /// With nothing remembered.
    pub fn new(keys: CookieKeys) -> Self {
        Self {
            keys,
            recent: Vec::new(),
        }
    }

    /// What [`CookieKeys::check`] says, but that a client's part alone gets a cookie that may be a minute old.
    #[inline]
    pub fn check(&mut self, received: &[u8], client: IpAddr, now: u32) -> CheckedCookie {
        let of_client = received
            .first_chunk::<CLIENT_COOKIE_LEN>()
            .expect("a reader of messages takes no shorter cookies");
        let slot = slot(*of_client);
        if let Some((cookie, owner)) = self.recent.get(slot)
            && *owner == client
        {
            let made = u32::from_be_bytes([cookie[12], cookie[13], cookie[14], cookie[15]]);
            let age = now.wrapping_sub(made);
            let is_back = age <= RENEWAL_SECONDS.cast_unsigned() && received == cookie;
            if is_back || received == &cookie[..CLIENT_COOKIE_LEN] && age < SHARED_SECONDS {
                return CheckedCookie {
                    cookie: *cookie,
                    is_valid: is_back,
                };
            }
        }
        self.check_anew(received, slot, client, now)
    }

    #[inline(never)]
    fn check_anew(
        &mut self,
        received: &[u8],
        slot: usize,
        client: IpAddr,
        now: u32,
    ) -> CheckedCookie {
        const NOBODY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
        let checked = self.keys.check(received, client, now);
        if self.recent.is_empty() {
            self.recent = vec![([0; COOKIE_LEN], NOBODY); SLOTS];
        }
        self.recent[slot] = (checked.cookie, client);
        checked
    }
}

/// Where a cookie is remembered, by the client's part: whoever chooses that finds its own slot, or makes others' be made anew.
fn slot(of_client: [u8; CLIENT_COOKIE_LEN]) -> usize {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let [first, ..] = u64::from_ne_bytes(of_client)
        .wrapping_mul(ODD)
        .to_be_bytes();
    usize::from(first)
}

/// Without the keys.
impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.0.len())
    }
}

/// How old a server's part with these first bytes is at `now`, in seconds; `None` where it is of another version, too old, or
/// too far in the future. Times compare as serial numbers do ([RFC 1982](https://www.rfc-editor.org/rfc/rfc1982)).
fn age(fixed: [u8; FIXED_LEN], now: u32) -> Option<i32> {
    let [version, _, _, _, time @ ..] = fixed;
    let age = now.wrapping_sub(u32::from_be_bytes(time)).cast_signed();
    (version == VERSION && (-FUTURE_SECONDS..=VALID_SECONDS).contains(&age)).then_some(age)
}

/// SipHash-2-4 of all that a cookie is for ([RFC 9018 §4.4](https://www.rfc-editor.org/rfc/rfc9018#section-4.4)).
fn hash(
    key: &SipHasher24,
    of_client: [u8; CLIENT_COOKIE_LEN],
    fixed: [u8; FIXED_LEN],
    client: IpAddr,
) -> [u8; HASH_LEN] {
    const IP_AT: usize = CLIENT_COOKIE_LEN + FIXED_LEN;
    let mut data = [0; IP_AT + 16];
    data[..CLIENT_COOKIE_LEN].copy_from_slice(&of_client);
    data[CLIENT_COOKIE_LEN..IP_AT].copy_from_slice(&fixed);
    let ip_len = match client {
        IpAddr::V4(v4) => {
            data[IP_AT..][..4].copy_from_slice(&v4.octets());
            4
        }
        IpAddr::V6(v6) => {
            data[IP_AT..].copy_from_slice(&v6.octets());
            16
        }
    };
    key.hash(&data[..IP_AT + ip_len]).to_le_bytes()
}

fn joined(
    of_client: [u8; CLIENT_COOKIE_LEN],
    fixed: [u8; FIXED_LEN],
    hash: [u8; HASH_LEN],
) -> Cookie {
    let mut cookie = [0; COOKIE_LEN];
    cookie[..CLIENT_COOKIE_LEN].copy_from_slice(&of_client);
    cookie[CLIENT_COOKIE_LEN..][..FIXED_LEN].copy_from_slice(&fixed);
    cookie[CLIENT_COOKIE_LEN + FIXED_LEN..].copy_from_slice(&hash);
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time of the examples of RFC 9018, appendix A: 2019-06-05 10:53:05 UTC.
    const NOW: u32 = 1_559_731_985;

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER
            .decode(text.as_bytes())
            .expect("digits")
    }

    fn keys(texts: &[&str]) -> CookieKeys {
        let keys: Vec<_> = texts
            .iter()
            .map(|text| hex(text).try_into().expect("16 bytes"))
            .collect();
        CookieKeys::of(&keys)
    }

    #[track_caller]
    fn check(keys: &CookieKeys, client: &str, received: &str, now: u32, valid: bool, sent: &str) {
        let client = client.parse().expect("an address");
        let checked = keys.check(&hex(received), client, now);
        let cookie = data_encoding::HEXLOWER.encode(&checked.cookie);
        assert_eq!((checked.is_valid, &*cookie), (valid, sent));
    }

    /// The examples of [RFC 9018, appendix A](https://www.rfc-editor.org/rfc/rfc9018#appendix-A).
    #[test]
    fn makes_and_takes_what_other_servers_do() {
        let one = keys(&["e5e973e5a6b2a43f48e7dc849e37bfcf"]);
        check(
            &one,
            "198.51.100.100",
            "2464c4abcf10c957",
            NOW,
            false,
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
        );
        check(
            &one,
            "198.51.100.100",
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            NOW + 1799,
            true,
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
        );
        check(
            &one,
            "198.51.100.100",
            "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
            1_559_734_385,
            true,
            "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
        );
        check(
            &one,
            "203.0.113.203",
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
            1_559_734_700,
            false,
            "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e",
        );
        // Its reserved bytes are not zero, and count.
        check(
            &one,
            "203.0.113.203",
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
            0x5cf7_8f71,
            true,
            "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
        );
        check(
            &keys(&[
                "445536bcd2513298075a5d379663c962",
                "dd3bdf9344b678b185a6f5cb60fca715",
            ]),
            "2001:db8:220:1:59de:d0f4:8769:82b8",
            "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
            1_559_741_961,
            true,
            "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
        );
    }

    #[test]
    fn another_client_or_key_or_time_makes_it_invalid() {
        let one = keys(&["e5e973e5a6b2a43f48e7dc849e37bfcf"]);
        let sent = hex("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
        let is_valid = |keys: &CookieKeys, sent: &[u8], client: &str, now: u32| {
            keys.check(sent, client.parse().expect("an address"), now)
                .is_valid
        };
        let home = "198.51.100.100";
        assert!(is_valid(&one, &sent, home, NOW));
        assert!(is_valid(&one, &sent, "::ffff:198.51.100.100", NOW));
        assert!(is_valid(&one, &sent, home, NOW - 300) && is_valid(&one, &sent, home, NOW + 3600));
        assert!(!is_valid(&one, &sent, home, NOW - 301));
        assert!(!is_valid(&one, &sent, home, NOW + 3601));
        assert!(!is_valid(&one, &sent, "198.51.100.101", NOW));
        let other = keys(&["445536bcd2513298075a5d379663c962"]);
        assert!(!is_valid(&other, &sent, home, NOW));
        for at in 0..sent.len() {
            let mut changed = sent.clone();
            changed[at] ^= 1;
            assert!(!is_valid(&one, &changed, home, NOW), "byte {at}");
        }
        for length in [8, 16, 23, 25, 40] {
            let mut changed = sent.clone();
            changed.resize(length, 0);
            assert!(!is_valid(&one, &changed, home, NOW), "{length} bytes");
        }
    }

    #[test]
    fn what_is_remembered_says_what_is_made_anew() {
        let keys = keys(&["e5e973e5a6b2a43f48e7dc849e37bfcf"]);
        let mut remembering = CookieChecker::new(keys.clone());
        let clients = ["198.51.100.100", "198.51.100.101", "2001:db8::1"];
        let clients = clients.map(|text| text.parse::<IpAddr>().expect("an address"));
        let sent = |client, now| keys.check(b"abcdefgh", client, now).cookie.to_vec();
        for client in clients {
            for (made, now) in [
                (0, 0),
                (0, 1800),
                (0, 1801),
                (0, 3600),
                (0, 3601),
                (301, 0),
                (300, 0),
            ] {
                let (made, now) = (NOW + made, NOW + now);
                let mut damaged = sent(client, made);
                damaged[23] ^= 1;
                let others = sent(clients[0], made);
                for received in [sent(client, made), damaged, others, b"abcdefgh".to_vec()] {
                    let anew = keys.check(&received, client, now);
                    // The second time it is remembered.
                    for _ in 0..2 {
                        let checked = remembering.check(&received, client, now);
                        assert_eq!(checked.is_valid, anew.is_valid, "{received:?} at {now}");
                        let again = keys.check(&checked.cookie, client, now);
                        assert!(again.is_valid && again.cookie == checked.cookie);
                    }
                }
            }
        }
        let first = remembering.check(b"abcdefgh", clients[0], NOW).cookie;
        assert_eq!(
            remembering.check(b"abcdefgh", clients[0], NOW + 59).cookie,
            first
        );
        assert_ne!(
            remembering.check(b"abcdefgh", clients[0], NOW + 60).cookie,
            first
        );
    }

    #[track_caller]
    fn check_file(text: &str, expected: Result<usize, &str>) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys");
        fs::write(&file, text).expect("a writable folder");
        let read = CookieKeys::read(&file).map(|keys| keys.0.len());
        let read =
            read.map_err(|error| error.to_string().replace(&*file.to_string_lossy(), "keys"));
        assert_eq!(read, expected.map_err(ToOwned::to_owned));
    }

    #[test]
    fn a_file_holds_a_key_a_line() {
        let key = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        check_file(key, Ok(1));
        check_file(
            &format!("# in use\n{key}\n\n# next\n  {}\n", key.to_uppercase()),
            Ok(2),
        );
        check_file(
            "",
            Err("keys: expected 1 to 8 keys, each on a line, and found 0"),
        );
        check_file(
            &format!("{key}\n").repeat(9),
            Err("keys: expected 1 to 8 keys, each on a line, and found 9"),
        );
        for wrong in [&key[1..], "no key", &format!("{key}00")] {
            check_file(
                &format!("{key}\n{wrong}\n"),
                Err(
                    "keys:2: expected a key of 32 hexadecimal digits, as `openssl rand -hex 16` makes one",
                ),
            );
        }
    }
}
