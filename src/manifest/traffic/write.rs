use std::fmt;

use serde_json::json;

use super::{AnswerMode, MaxAddresses, ShareBy, Shares, TrafficDistribution, TrafficNotes};

impl TrafficNotes {
    /// The annotations that say this, by name, as they are read.
    pub fn annotations(&self) -> Vec<(&'static str, String)> {
        let mut all = self.parts();
        if !self.https.is_empty() {
            all.push(("meshdns.io/https", self.https.join(",")));
        }
        if !self.texts.is_empty() {
            all.push(("meshdns.io/txt", json!(self.texts).to_string()));
        }
        if let Some(config) = &self.grpc_config {
            all.push(("meshdns.io/grpc-config", config.to_string()));
        }
        if self.takes_pointers {
            all.push(("meshdns.io/ptr", "true".to_owned()));
        }
        all
    }

    /// Those that decide which addresses an answer holds.
    pub fn parts(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        if let Some(shares) = &self.shares {
            all.push(("meshdns.io/share", shares.to_string()));
            if let ShareBy::Label(key) = &shares.by {
                all.push(("meshdns.io/share-by", format!("label:{key}")));
            }
        }
        if let Some(answer) = self.answer {
            all.push(("meshdns.io/answer", answer.to_string()));
        }
        if let Some(most) = self.max_addresses {
            all.push(("meshdns.io/max-addresses", most.to_string()));
        }
        if let Some(distribution) = self.distribution {
            let distribution = match distribution {
                TrafficDistribution::Any => "Any",
                TrafficDistribution::SameZone => "PreferSameZone",
                TrafficDistribution::SameNode => "PreferSameNode",
            };
            let name = "networking.istio.io/traffic-distribution";
            all.push((name, distribution.to_owned()));
        }
        all
    }
}

/// As `meshdns.io/share` has it.
impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (group, share)) in self.wanted.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{group}={share}")?;
        }
        Ok(())
    }
}

/// As `meshdns.io/answer` has it.
impl fmt::Display for AnswerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Side => "side",
            Self::Mix => "mix",
            Self::All => "all",
        })
    }
}

/// As `meshdns.io/max-addresses` has it.
impl fmt::Display for MaxAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fitting => f.write_str("auto"),
            Self::Number(number) => number.fmt(f),
            Self::All => f.write_str("0"),
        }
    }
}
