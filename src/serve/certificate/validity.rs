use std::time::SystemTime;

/// From when until when clients take a certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

impl Validity {
    /// What the certificate says, in DER ([RFC 5280 §4.1]); `None` where it is malformed.
    ///
    /// [RFC 5280 §4.1]: https://www.rfc-editor.org/rfc/rfc5280#section-4.1
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        const SEQUENCE: u8 = 0x30;
        const VERSION: u8 = 0xa0;
        let whole = Der(certificate).next(SEQUENCE)?;
        let mut signed = Der(Der(whole).next(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.skip()?;
        }
        // Serial number, algorithm of the signature, issuer.
        for _ in 0..3 {
            signed.skip()?;
        }
        let mut times = Der(signed.next(SEQUENCE)?);
        Some(Self {
            from: times.time()?,
            until: times.time()?,
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

/// Elements of DER, one behind the other.
struct Der<'d>(&'d [u8]);

impl<'d> Der<'d> {
    /// The content of the next element, where it has this tag.
    fn next(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (found, content) = self.element()?;
        (found == tag).then_some(content)
    }

    fn skip(&mut self) -> Option<()> {
        self.element().map(|_| ())
    }

    fn element(&mut self) -> Option<(u8, &'d [u8])> {
        const LONG: u8 = 0x80;
        let (&[tag, length], rest) = self.0.split_first_chunk()?;
        let (length, rest) = if length < LONG {
            (usize::from(length), rest)
        } else {
            // The length stands in so many bytes; more than four would be more than there is.
            let (bytes, rest) = rest.split_at_checked(usize::from(length & !LONG))?;
            if bytes.len() > 4 {
                return None;
            }
            let add = |length: usize, &byte: &u8| length << 8 | usize::from(byte);
            (bytes.iter().fold(0, add), rest)
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// A moment: `YYMMDDhhmmssZ` or, from 2050 on, `YYYYMMDDhhmmssZ`.
    fn time(&mut self) -> Option<SystemTime> {
        const UTC_TIME: u8 = 0x17;
        const GENERALIZED_TIME: u8 = 0x18;
        let (tag, text) = self.element()?;
        let text = std::str::from_utf8(text).ok()?;
        let text = match tag {
            // Two digits from 50 on are those of the twentieth century.
            UTC_TIME if text.get(..2)? >= "50" => format!("19{text}"),
            UTC_TIME => format!("20{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14)?;
        let part = |from: usize, to: usize| digits.get(from..to);
        let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
        let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
        let moment = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        if year < "1970" {
            // Before anyone's clock.
            return Some(SystemTime::UNIX_EPOCH);
        }
        humantime::parse_rfc3339(&moment).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(tag: u8, text: &str, expected: &str) {
        let element = [
            &[tag, u8::try_from(text.len()).expect("short")],
            text.as_bytes(),
        ]
        .concat();
        let found = Der(&element).time();
        let found = found.map(|time| humantime::format_rfc3339_seconds(time).to_string());
        assert_eq!(found.unwrap_or_default(), expected);
    }

    #[test]
    fn reads_both_forms_of_a_time() {
        check(0x17, "261129173126Z", "2026-11-29T17:31:26Z");
        check(0x17, "491231235959Z", "2049-12-31T23:59:59Z");
        check(0x17, "990101000000Z", "1999-01-01T00:00:00Z");
        check(0x17, "600101000000Z", "1970-01-01T00:00:00Z");
        check(0x18, "20500101000000Z", "2050-01-01T00:00:00Z");
        check(0x18, "99991231235959Z", "9999-12-31T23:59:59Z");
        for wrong in [
            "",
            "Z",
            "261129173126",
            "26112917312Z",
            "269929173126Z",
            "äääääääZ",
        ] {
            check(0x17, wrong, "");
        }
        check(0x04, "261129173126Z", "");
    }

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
