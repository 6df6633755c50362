//! Who may see the pages: those who ask by a name that is meant, and who have the token, where there is one.

use std::{hint::black_box, net::IpAddr, sync::Arc};

use axum::http::{HeaderMap, Uri, header};
use data_encoding::BASE64;

use super::refusal::Refusal;
use crate::dns::Name;

/// The rules.
#[derive(Debug, Default)]
pub struct Guard {
    /// Names that the pages may be asked for by, besides `localhost` and addresses.
    pub hosts: Vec<Name>,
    /// What whoever asks has to have; `None` where all may see.
    pub token: Option<Arc<str>>,
}

impl Guard {
    /// Whether a request may be answered.
    ///
    /// A page of another site could have its name mean this machine's address and read what is here; by the name in the request
    /// that is seen.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let named = headers.get(header::HOST).map(header::HeaderValue::to_str);
        let host = match (uri.authority(), named) {
            (Some(authority), _) => authority.as_str(),
            (None, Some(Ok(host))) => host,
            (None, _) => "",
        };
        if !self.is_meant(host) {
            return Err(Refusal::misdirected(host));
        }
        match &self.token {
            Some(token) if !has_token(headers, token) => Err(Refusal::unauthorized()),
            _ => Ok(()),
        }
    }

    /// Whether `host`, with or without a port, means this server.
    fn is_meant(&self, host: &str) -> bool {
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        if let Some((address, _)) = bracketed {
            return address.parse::<IpAddr>().is_ok();
        }
        let name = host.split_once(':').map_or(host, |(name, _)| name);
        if name.is_empty() {
            return false;
        }
        name.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || Name::from_text(name).is_ok_and(|name| self.hosts.contains(&name))
    }
}

/// Whether the request has the token: as a bearer's, or as the password of any user.
fn has_token(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(header::AUTHORIZATION);
    let Some((scheme, given)) = given
        .and_then(|given| given.to_str().ok())
        .and_then(|given| given.split_once(' '))
    else {
        return false;
    };
    let given = given.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return is_same(given.as_bytes(), token.as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return false;
    }
    let Ok(pair) = BASE64.decode(given.as_bytes()) else {
        return false;
    };
    let colon = pair.iter().position(|byte| *byte == b':');
    colon.is_some_and(|colon| is_same(&pair[colon + 1..], token.as_bytes()))
}

/// Compares in a time that tells nothing of how much is right.
fn is_same(given: &[u8], token: &[u8]) -> bool {
    let mut difference = u8::from(given.len() != token.len());
    for (index, byte) in given.iter().enumerate() {
        difference = black_box(difference | (byte ^ token[index % token.len()]));
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_host(host: &str, expected: bool) {
        let guard = Guard {
            hosts: vec![Name::from_text("mesh.example").expect("valid")],
            token: None,
        };
        assert_eq!(guard.is_meant(host), expected, "{host}");
    }

    #[test]
    fn the_pages_are_asked_for_by_an_address_or_by_a_name_that_is_meant() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9154",
            "localhost:9154",
            "LOCALHOST",
            "[::1]",
            "[::1]:9154",
            "10.0.0.1:80",
            "mesh.example",
            "Mesh.Example.:443",
        ] {
            check_host(host, true);
        }
        for host in [
            "",
            ":9154",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "[evil]",
            "sub.mesh.example",
        ] {
            check_host(host, false);
        }
    }

    #[test]
    fn a_token_is_the_bearers_or_the_password_of_any_user() {
        let check = |given: &str, expected: bool| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, given.parse().expect("valid"));
            assert_eq!(has_token(&headers, "s3:cret"), expected, "{given}");
        };
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair.as_bytes()));
        check("Bearer s3:cret", true);
        check("bearer s3:cret", true);
        check(&basic("anyone:s3:cret"), true);
        check(&basic(":s3:cret"), true);
        check("Bearer s3:cre", false);
        check("Bearer s3:crets3:cret", false);
        check("Bearer ", false);
        check("s3:cret", false);
        check(&basic("s3"), false);
        check(&basic("s3:cret"), false);
        check("Basic =", false);
        check("Digest s3:cret", false);
        assert!(!has_token(&HeaderMap::new(), "s3:cret"));
    }
}
