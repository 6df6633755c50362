use std::{
    fs::File,
    hash::{BuildHasher, RandomState},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use tokio_rustls::rustls::{
    Error as TlsError,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};

use super::{CertificateFiles, Validity};

/// The longest file that is read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// A certificate and its key can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("read {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file is longer than any certificate with all those that vouch for it.
    #[error("{} has more than {MAX_FILE_BYTES} bytes: it is no certificate and no key", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// A file is no PEM.
    #[error("read {} as PEM", file.display())]
    Pem {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is no certificate in the file.
    #[error(
        "{} holds no certificate: it has to be PEM, with a line -----BEGIN CERTIFICATE-----",
        file.display()
    )]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// There is no key in the file.
    #[error(
        "{} holds no private key: it has to be PEM, with a line -----BEGIN PRIVATE KEY-----, and not encrypted",
        file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The key belongs to another certificate.
    #[error(
        "the key in {} is not that of the first certificate in {}",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate says something that no certificate says.
    #[error("the first certificate in {} is malformed", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
    },
    /// The key or the certificate is of a kind that TLS has no use for.
    #[error("use the certificate in {} with the key in {}", certificate.display(), key.display())]
    Unusable {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
        /// Why not.
        source: TlsError,
    },
}

/// A certificate, those that vouch for it, and its key.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) validity: Validity,
    /// Of the content of both files.
    fingerprint: u64,
}

impl Pair {
    pub(super) fn read(files: &CertificateFiles) -> Result<Self, CertificateError> {
        let certificate = read(&files.certificate)?;
        let key = read(&files.key)?;
        let fingerprint = fingerprint(&certificate, &key);
        let chain = chain(&files.certificate, &certificate)?;
        let first = chain.first().expect("an empty chain is an error");
        let validity = Validity::of(first).ok_or_else(|| CertificateError::Malformed {
            file: files.certificate.clone(),
        })?;
        let private = PrivateKeyDer::from_pem_slice(&key).map_err(|source| match source {
            pem::Error::NoItemsFound => CertificateError::NoKey {
                file: files.key.clone(),
            },
            source => CertificateError::Pem {
                file: files.key.clone(),
                source,
            },
        })?;
        let key = CertifiedKey::from_der(chain, private, &ring::default_provider());
        let key = key.map_err(|source| match source {
            TlsError::InconsistentKeys(_) => CertificateError::Mismatch {
                key: files.key.clone(),
                certificate: files.certificate.clone(),
            },
            source => CertificateError::Unusable {
                key: files.key.clone(),
                certificate: files.certificate.clone(),
                source,
            },
        })?;
        Ok(Self {
            key: Arc::new(key),
            validity,
            fingerprint,
        })
    }

    /// Whether both come from files of the same content.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let read =
        File::open(file).and_then(|opened| opened.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > MAX_FILE_BYTES => Err(CertificateError::TooLarge {
            file: file.to_owned(),
        }),
        Ok(_) => Ok(bytes),
        Err(source) => Err(CertificateError::Read {
            file: file.to_owned(),
            source,
        }),
    }
}

fn chain(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let file = || file.to_owned();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let chain = chain.map_err(|source| CertificateError::Pem {
        file: file(),
        source,
    })?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate { file: file() });
    }
    Ok(chain)
}

fn fingerprint(certificate: &[u8], key: &[u8]) -> u64 {
    static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    SEED.hash_one((certificate, key))
}
