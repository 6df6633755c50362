//! The certificate that clients are shown, and its private key: two PEM files, looked at again and again.
//!
//! [`Certificates::load`] reads both; while the server runs it looks every [`LOOK_INTERVAL`] whether one of them is another
//! file or has changed, through whatever links lead to it. Handshakes get what was read last and fits together; what does
//! not never takes that out of service.
//!
//! Never asks whether clients trust the certificate: they do.

mod figures;
mod pair;
mod validity;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use tokio::{
    select,
    sync::Notify,
    task::spawn_blocking,
    time::{sleep, timeout},
};
use tokio_rustls::rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use self::pair::Pair;
pub use self::{pair::CertificateError, validity::Validity};
use crate::{chain::Chain, source::Stamp};

/// How often the files are looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long one look is waited for.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a certificate and its key are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateFiles {
    /// PEM: the server's certificate first, then those that lead to one that clients trust.
    pub certificate: PathBuf,
    /// PEM: the private key (PKCS #8, PKCS #1 or SEC 1). May be the same file.
    pub key: PathBuf,
}

/// The certificate and key that are served, and how they are followed.
#[derive(Debug)]
pub struct Certificates {
    files: CertificateFiles,
    served: ArcSwap<Pair>,
    looked: Mutex<Looked>,
    is_told: Notify,
    reloads: AtomicU64,
    failures: AtomicU64,
}

/// The stamps of both files; `None` for one that is not there.
type Stamps = [Option<Stamp>; 2];

/// What earlier looks have found.
#[derive(Debug, Default)]
struct Looked {
    /// Of the files whose content is known; as long as these don't change nothing is read.
    settled: Option<Stamps>,
    /// Of files that did not fit together when they were first seen: one of the two may just not be written yet.
    doubted: Option<Stamps>,
    /// What was last said of files that can't be used.
    complaint: Option<String>,
    /// Whether it was said that clients will refuse the certificate.
    trouble_is_told: bool,
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] where one of them can't be read or used.
    pub fn load(files: CertificateFiles) -> Result<Arc<Self>, CertificateError> {
        let stamps = stamps(&files);
        let pair = Pair::read(&files)?;
        let certificates = Self {
            files,
            served: ArcSwap::from_pointee(pair),
            looked: Mutex::default(),
            is_told: Notify::new(),
            reloads: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        };
        certificates.looked().settle(stamps);
        Ok(Arc::new(certificates))
    }

    /// Where they are.
    pub fn files(&self) -> &CertificateFiles {
        &self.files
    }

    /// When the certificate is valid that is served.
    pub fn validity(&self) -> Validity {
        self.served.load().validity
    }

    /// Has the files looked at without waiting for the next time, and read whatever they look like.
    pub fn look_at_once(&self) {
        self.is_told.notify_one();
    }

    /// Follows the files until the task is ended.
    pub(super) async fn follow(self: Arc<Self>) {
        self.tell_trouble(SystemTime::now());
        loop {
            let is_told = select! {
                () = sleep(LOOK_INTERVAL) => false,
                () = self.is_told.notified() => true,
            };
            let this = Arc::clone(&self);
            let look = spawn_blocking(move || this.look(is_told));
            // Where no thread was to be had for it, the next look brings it about.
            if let Ok(Err(_)) = timeout(LOOK_TIMEOUT, look).await {
                tracing::error!("looking at the certificate failed");
            }
        }
    }

    /// Reads the files where they have changed, or where the user says so.
    fn look(&self, is_told: bool) {
        let stamps = stamps(&self.files);
        let mut looked = self.looked();
        if is_told || looked.settled != Some(stamps) {
            match Pair::read(&self.files) {
                Ok(pair) => {
                    self.serve(pair, &mut looked);
                    looked.settle(stamps);
                }
                Err(_) if !is_told && looked.doubted != Some(stamps) => {
                    looked.doubted = Some(stamps);
                }
                Err(error) => {
                    // What can't be read may be readable the next time, without a trace in the stamps.
                    if !matches!(error, CertificateError::Read { .. }) {
                        looked.settle(stamps);
                    }
                    self.complain(&error, &mut looked);
                }
            }
        }
        drop(looked);
        self.tell_trouble(SystemTime::now());
    }

    fn serve(&self, pair: Pair, looked: &mut Looked) {
        looked.complaint = None;
        if pair.is(&self.served.load()) {
            return;
        }
        let expires = humantime::format_rfc3339_seconds(pair.validity.until);
        tracing::info!(%expires, "another certificate is served");
        self.served.store(Arc::new(pair));
        self.reloads.fetch_add(1, Relaxed);
        looked.trouble_is_told = false;
    }

    /// Says once that the files can't be used.
    fn complain(&self, error: &CertificateError, looked: &mut Looked) {
        let complaint = Chain(error).to_string();
        if looked.complaint.as_ref() == Some(&complaint) {
            return;
        }
        self.failures.fetch_add(1, Relaxed);
        tracing::error!("the certificate stays as it was: {complaint}");
        looked.complaint = Some(complaint);
    }

    /// Warns, once, of a certificate that clients will not take.
    fn tell_trouble(&self, now: SystemTime) {
        let trouble = self.validity().trouble(now);
        let mut looked = self.looked();
        if let Some(trouble) = trouble.filter(|_| !looked.trouble_is_told) {
            let certificate = self.files.certificate.display();
            tracing::warn!(%certificate, "{trouble}");
            looked.trouble_is_told = true;
        }
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looked {
    /// Notes that what these stamps belong to is known, unless it may have been written since without a trace.
    fn settle(&mut self, stamps: Stamps) {
        let now = SystemTime::now();
        let is_racy = stamps.iter().flatten().any(|stamp| stamp.is_racy(now));
        self.settled = (!is_racy).then_some(stamps);
        self.doubted = None;
    }
}

/// Every handshake gets the newest.
impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.served.load().key))
    }
}

fn stamps(files: &CertificateFiles) -> Stamps {
    let stamp = |file: &Path| Some(Stamp::of(&std::fs::metadata(file).ok()?));
    [stamp(&files.certificate), stamp(&files.key)]
}
