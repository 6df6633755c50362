//! The verdicts of an earlier process, so that a restart neither lets in who was out nor asks everyone at once.
//!
//! A file holds each check as the stanza that it is, and beside it who passes it and who fails it.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Target, Verdict};
use crate::manifest::{Probe, ProbeMethod};

/// For how long verdicts count, in seconds: who is away for longer finds another mesh. Proven checks count for ever.
const VERDICTS_LAST_SECONDS: u64 = 600;

/// The form of the file.
const VERSION: u32 = 1;

/// What an earlier process knew; empty where there was none.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    at: u64,
    seed: Option<u64>,
    proven: Vec<Arc<Probe>>,
    verdicts: HashMap<Target, SavedVerdict>,
}

/// What held of a target.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SavedVerdict {
    pub(super) verdict: Verdict,
    pub(super) had_place: bool,
    /// In seconds since 1970.
    pub(super) since: u64,
}

/// A file of verdicts can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// It is no file of ours, or not all of it.
    #[error("read verdicts")]
    Read(#[source] serde_json::Error),
    /// Another version wrote it.
    #[error("read verdicts in form {0}: this meshdns knows form {VERSION}")]
    Version(u32),
    /// A check in it is none.
    #[error("read a check among verdicts: {0}")]
    Check(String),
}

/// The file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SavedFile {
    version: u32,
    /// When it was written, in seconds since 1970.
    at: u64,
    seed: u64,
    checks: Vec<SavedCheck>,
}

/// A check, and what it says of targets: their addresses, and since when in seconds since 1970.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SavedCheck {
    /// The stanza.
    probe: Value,
    pub(super) is_proven: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    passing: Vec<(IpAddr, u64)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failing: Vec<(IpAddr, u64)>,
    /// Those that fail and were never in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    never_in: Vec<(IpAddr, u64)>,
}

impl Saved {
    /// Reads what [`Board::to_save`](super::Board::to_save) wrote.
    ///
    /// # Errors
    ///
    /// [`SavedError`] where a part can't be used: nothing is taken from such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, SavedError> {
        let file: SavedFile = serde_json::from_slice(bytes).map_err(SavedError::Read)?;
        if file.version != VERSION {
            return Err(SavedError::Version(file.version));
        }
        let mut saved = Self {
            at: file.at,
            seed: Some(file.seed),
            ..Self::default()
        };
        for check in file.checks {
            let probe = Probe::from_text(&check.probe.to_string())
                .map_err(|problems| SavedError::Check(problems.join("; ")))?;
            saved.take_in(Arc::new(probe), check);
        }
        Ok(saved)
    }

    fn take_in(&mut self, probe: Arc<Probe>, check: SavedCheck) {
        for (targets, verdict, had_place) in [
            (check.passing, Verdict::Passing, true),
            (check.failing, Verdict::Failing, true),
            (check.never_in, Verdict::Failing, false),
        ] {
            self.verdicts
                .extend(targets.into_iter().map(|(address, since)| {
                    let probe = probe.clone();
                    let known = SavedVerdict {
                        verdict,
                        had_place,
                        since,
                    };
                    (Target { address, probe }, known)
                }));
        }
        if check.is_proven {
            self.proven.push(probe);
        }
    }

    /// When it was written, in seconds since 1970; 0 where nothing was.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// The checks that passed for someone at some time.
    pub(super) fn proven(&self) -> &[Arc<Probe>] {
        &self.proven
    }

    /// What times are spread by.
    pub(super) fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// What held of `target`, unless that was too long ago; `now` in seconds since 1970.
    pub(super) fn take(&mut self, target: &Target, now: u64) -> Option<SavedVerdict> {
        self.forget_old(now);
        self.verdicts.remove(target)
    }

    /// Whether there are verdicts that nobody asked for yet.
    pub(super) fn is_waiting(&mut self, now: u64) -> bool {
        self.forget_old(now);
        !self.verdicts.is_empty()
    }

    fn forget_old(&mut self, now: u64) {
        if now > self.at + VERDICTS_LAST_SECONDS {
            self.verdicts = HashMap::new();
        }
    }
}

impl SavedFile {
    pub(super) fn new(at: u64, seed: u64, checks: Vec<SavedCheck>) -> Self {
        Self {
            version: VERSION,
            at,
            seed,
            checks,
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, texts and lists can be written")
    }
}

impl SavedCheck {
    pub(super) fn new(probe: &Probe, is_proven: bool) -> Self {
        Self {
            probe: stanza(probe),
            is_proven,
            passing: Vec::new(),
            failing: Vec::new(),
            never_in: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, address: IpAddr, known: SavedVerdict) {
        let list = match known.verdict {
            Verdict::Pending => return,
            Verdict::Passing => &mut self.passing,
            Verdict::Failing if known.had_place => &mut self.failing,
            Verdict::Failing => &mut self.never_in,
        };
        list.push((address, known.since));
    }
}

/// A probe as the stanza that is read as that probe.
pub(crate) fn stanza(probe: &Probe) -> Value {
    let (name, method) = match &probe.method {
        ProbeMethod::Tcp { port } => ("tcpSocket", json!({ "port": port })),
        ProbeMethod::Grpc { port, service } => {
            ("grpc", json!({ "port": port, "service": service }))
        }
        ProbeMethod::Exec => ("exec", json!({ "command": ["true"] })),
        ProbeMethod::Http(get) => {
            let headers = get.headers.iter();
            let headers = headers.map(|(name, value)| json!({ "name": name, "value": value }));
            let mut method = json!({
                "port": get.port,
                "path": get.path,
                "scheme": if get.is_tls { "HTTPS" } else { "HTTP" },
                "httpHeaders": headers.collect::<Vec<_>>(),
            });
            if let Some(host) = &get.host {
                method["host"] = json!(host);
            }
            ("httpGet", method)
        }
    };
    json!({
        name: method,
        "initialDelaySeconds": probe.initial_delay_seconds,
        "timeoutSeconds": probe.timeout_seconds,
        "periodSeconds": probe.period_seconds,
        "successThreshold": probe.success_threshold,
        "failureThreshold": probe.failure_threshold,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::manifest::HttpGet;

    fn any_probe() -> impl Strategy<Value = Probe> {
        let headers = proptest::collection::vec(("[A-Za-z][A-Za-z0-9-]{0,8}", "[ -~]{0,12}"), 0..3);
        let http = (
            1..=u16::MAX,
            any::<bool>(),
            "/[ -~]{0,12}",
            proptest::option::of("[a-z.]{1,9}"),
            headers,
        );
        let http = http.prop_map(|(port, is_tls, path, host, headers)| {
            let headers = headers
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()));
            ProbeMethod::Http(HttpGet {
                port,
                is_tls,
                path: path.into(),
                host: host.map(Into::into),
                headers: headers.collect(),
            })
        });
        let method = prop_oneof![
            http,
            (1..=u16::MAX).prop_map(|port| ProbeMethod::Tcp { port }),
            (1..=u16::MAX, "[ -~]{0,12}").prop_map(|(port, service)| ProbeMethod::Grpc {
                port,
                service: service.into()
            }),
        ];
        (
            method,
            0..99_u32,
            1..99_u32,
            1..99_u32,
            (1..9_u32, 1..9_u32),
        )
            .prop_map(
                |(
                    method,
                    initial_delay_seconds,
                    timeout_seconds,
                    period_seconds,
                    (success, failure),
                )| Probe {
                    method,
                    initial_delay_seconds,
                    timeout_seconds,
                    period_seconds,
                    success_threshold: success,
                    failure_threshold: failure,
                },
            )
    }

    proptest! {
        #[test]
        fn a_stanza_is_read_as_the_probe_that_it_was_written_from(probe in any_probe()) {
            prop_assert_eq!(Probe::from_text(&stanza(&probe).to_string()), Ok(probe));
        }

        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Saved::parse(&bytes).is_err());
        }
    }

    #[test]
    fn half_a_file_is_none() {
        let mut check = SavedCheck::new(
            &Probe::from_text("tcpSocket: {port: 80}").expect("valid"),
            true,
        );
        let address = "10.0.0.1".parse().expect("valid");
        let known = SavedVerdict {
            verdict: Verdict::Failing,
            had_place: true,
            since: 7,
        };
        check.add(address, known);
        let bytes = SavedFile::new(1000, 5, vec![check]).to_bytes();
        for length in 0..bytes.len() {
            assert!(Saved::parse(&bytes[..length]).is_err(), "{length}");
        }
        let mut saved = Saved::parse(&bytes).expect("whole");
        let target = Target {
            address,
            probe: saved.proven()[0].clone(),
        };
        assert_eq!(saved.take(&target, 1600), Some(known));
        assert_eq!(saved.take(&target, 1600), None);
        let mut saved = Saved::parse(&bytes).expect("whole");
        assert_eq!(saved.take(&target, 1601), None);
    }

    #[test]
    fn another_version_is_refused() {
        let bytes = br#"{"version": 9, "at": 1, "seed": 1, "checks": []}"#;
        let error = Saved::parse(bytes).expect_err("refused").to_string();
        assert_eq!(error, "read verdicts in form 9: this meshdns knows form 1");
    }
}
