//! `/about`: which program this is, and what it was told.

use maud::html;
use serde::Serialize;

use super::{Shown, Stamp, Ui, html, refusal::Refusal, request::Asked};

/// A setting in force.
#[derive(Clone, Debug, Serialize)]
pub struct Setting {
    /// Its key in the configuration file.
    pub key: String,
    /// What it is.
    pub value: String,
    /// Where that is said.
    pub source: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AboutPage {
    #[serde(flatten)]
    stamp: Stamp,
    version: &'static str,
    started: String,
    /// When the certificate that encrypted clients are shown ends; `None` where there is none.
    certificate_until: Option<String>,
    settings: Vec<Setting>,
}

impl Ui {
    pub(super) fn about(&self, asked: &Asked) -> Result<Shown<AboutPage>, Refusal> {
        asked.take_only(&[])?;
        let settings = self.settings.load();
        let started = html::time(self.started);
        let served = self.certificates.as_ref();
        let certificate = served.map(|certificates| certificates.validity().until);
        let mut facts = vec![
            ("Version", html! { (env!("CARGO_PKG_VERSION")) }),
            ("Running since", started),
        ];
        if let Some(until) = certificate {
            facts.push(("Certificate", html! { "valid until " (html::time(until)) }));
        }
        let markup = html! {
            (html::facts(&facts))
            h2 id="settings" { "Settings in force" }
            div.wide tabindex="0" role="region" aria-labelledby="settings" {
                table aria-labelledby="settings" {
                    thead { tr { th scope="col" { "Key" } th scope="col" { "Value" } th scope="col" { "Said by" } } }
                    tbody {
                        @for setting in settings.iter() {
                            tr {
                                th scope="row" { code { (setting.key) } }
                                td { code { (setting.value) } }
                                td { (setting.source) }
                            }
                        }
                    }
                }
            }
        };
        Ok(Shown {
            title: "About".to_owned(),
            data: AboutPage {
                stamp: self.stamp(),
                version: env!("CARGO_PKG_VERSION"),
                started: html::rfc3339(self.started),
                certificate_until: certificate.map(html::rfc3339),
                settings: settings.to_vec(),
            },
            markup,
            version: None,
        })
    }
}
