use std::time::{Duration, SystemTime};

use x509_parser::{
    certificate::{Validity as Times, X509Certificate},
    prelude::FromDer as _,
    time::ASN1Time,
};

/// From when until when clients take a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

impl Validity {
    /// What the certificate says, in DER; `None` where it is malformed.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let Times {
            not_before,
            not_after,
        } = certificate.validity();
        Some(Self {
            from: moment(*not_before)?,
            until: moment(*not_after)?,
        })
    }

    /// What is wrong with it at `now`; `None` where all is well.
    pub fn trouble(self, now: SystemTime) -> Option<String> {
        if now < self.from {
            let from = humantime::format_rfc3339_seconds(self.from);
            return Some(format!(
                "the certificate is not valid before {from}: clients will refuse it"
            ));
        }
        let until = humantime::format_rfc3339_seconds(self.until);
        let trouble = || format!("the certificate has expired at {until}: clients will refuse it");
        (now > self.until).then(trouble)
    }
}

/// A time before 1970 is that of nobody's clock: it stands for the beginning of 1970.
fn moment(time: ASN1Time) -> Option<SystemTime> {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_certificate() {
        let mut made = rcgen::CertificateParams::new(vec!["dns.test".into()]).expect("a name");
        made.not_before = rcgen::date_time_ymd(2020, 2, 29);
        made.not_after = rcgen::date_time_ymd(2077, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = made.self_signed(&key).expect("a certificate");
        let der = certificate.der();
        let validity = Validity::of(der).expect("a certificate");
        let text = |time| humantime::format_rfc3339_seconds(time).to_string();
        assert_eq!(text(validity.from), "2020-02-29T00:00:00Z");
        assert_eq!(text(validity.until), "2077-01-01T00:00:00Z");
        assert_eq!(validity.trouble(validity.from), None);
        assert_eq!(validity.trouble(validity.until), None);
        let second = Duration::from_secs(1);
        let trouble = |time| validity.trouble(time).expect("trouble");
        assert!(trouble(validity.until + second).contains("has expired"));
        assert!(trouble(validity.from - second).contains("not valid before"));
        for cut in 0..der.len() {
            // Never panics, whatever is missing.
            let _ = Validity::of(&der[..cut]);
        }
    }
}
