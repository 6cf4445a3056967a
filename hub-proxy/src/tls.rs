//! Certificates: loading, checking, replacing while serving.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};

use crate::{BoxError, clock};

mod watch;

/// A certificate chain with its key, as a listener uses it. Clones share one
/// pair, so [`reload`](Self::reload) reaches every listener.
///
/// TLS 1.2 and 1.3 with rustls' defaults over aws-lc-rs; the process-wide
/// default provider is neither needed nor set.
#[derive(Clone)]
pub struct TlsKeys(Arc<Inner>);

struct Inner {
    files: Option<Files>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// The pair that the next handshake uses.
#[derive(Debug)]
struct Current(ArcSwap<Pair>);

#[derive(Debug)]
struct Pair {
    key: Arc<CertifiedKey>,
    not_after: Timestamp,
}

/// What is wrong with which file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no such file.
    #[error("{path}: no such file; correct the path or put the file there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// The file is not PEM, or a PEM block in it is broken.
    #[error("{path}: not PEM")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but without a certificate in it.
    #[error("{path}: contains no certificate")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but without a private key in it.
    #[error("{path}: contains no private key")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key needs a passphrase.
    #[error("{path}: the private key is encrypted; store it without a passphrase")]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// A key of a kind TLS servers do not use, or a damaged one.
    #[error("{path}: the private key cannot be used")]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: BoxError,
    },
    /// The first certificate cannot be understood.
    #[error("{path}: the certificate cannot be used")]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: BoxError,
    },
    /// The key is not that of the first certificate in the file. The server's
    /// own certificate must come first, those of its issuers after it.
    #[error(
        "{key}: the private key does not belong to the first certificate in {cert}; use the key \
         it was requested with, and put the server's own certificate first"
    )]
    KeyMismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// No browser would accept it any more.
    #[error("{path}: the certificate expired on {not_after}; renew it and replace the file")]
    Expired {
        /// The certificate file.
        path: PathBuf,
        /// Its last moment.
        not_after: Timestamp,
    },
    /// No browser would accept it yet.
    #[error("{path}: the certificate is not valid before {not_before}")]
    NotYetValid {
        /// The certificate file.
        path: PathBuf,
        /// Its first moment.
        not_before: Timestamp,
    },
    /// The provider offers no protocol version we allow.
    #[error("TLS cannot be set up")]
    Setup(#[source] BoxError),
}

impl TlsKeys {
    /// Reads a certificate chain, the server's own first, and its private key
    /// (PKCS#8, PKCS#1 or SEC1), both PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        let files = Files { cert: cert.into(), key: key.into() };
        let pair = files.read()?;
        Self::new(Some(files), pair)
    }

    /// As [`load`](Self::load), from memory. Errors call the two texts
    /// `certificate` and `key`; there is nothing to reload.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), but for those about files.
    pub fn from_pem(cert: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let pair = Pair::parse((Path::new("certificate"), cert), (Path::new("key"), key))?;
        Self::new(None, pair)
    }

    /// Reads the files again; handshakes from now on use what they hold.
    /// Running connections are not touched.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); the old pair stays in use then.
    pub fn reload(&self) -> Result<(), TlsError> {
        if let Some(files) = &self.0.files {
            self.0.current.0.store(Arc::new(files.read()?));
        }
        Ok(())
    }

    /// When the certificate in use expires.
    pub fn not_after(&self) -> Timestamp {
        self.0.current.0.load().not_after
    }

    pub(crate) fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.config)
    }

    fn new(files: Option<Files>, pair: Pair) -> Result<Self, TlsError> {
        let current = Arc::new(Current(ArcSwap::from_pointee(pair)));
        let resolver: Arc<dyn ResolvesServerCert> = current.clone();
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.into()))?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(Arc::new(Inner { files, current, config: Arc::new(config) })))
    }
}

impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.0.files.as_ref();
        f.debug_struct("TlsKeys")
            .field("cert", &files.map(|files| &files.cert))
            .field("key", &files.map(|files| &files.key))
            .field("not_after", &self.not_after())
            .finish()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

impl Files {
    fn read(&self) -> Result<Pair, TlsError> {
        let (cert, key) = (read(&self.cert)?, read(&self.key)?);
        Pair::parse((&self.cert, &cert), (&self.key, &key))
    }
}

impl Pair {
    fn parse(cert: (&Path, &[u8]), key: (&Path, &[u8])) -> Result<Self, TlsError> {
        let chain = parse_chain(cert.0, cert.1)?;
        let not_after = check_validity(cert.0, &chain[0], clock::now())?;
        let key_der = parse_key(key.0, key.1)?;
        let signing = provider()
            .key_provider
            .load_private_key(key_der)
            .map_err(|error| TlsError::BadKey { path: key.0.into(), source: error.into() })?;
        let pair = CertifiedKey::new(chain, signing);
        match pair.keys_match() {
            Ok(()) => Ok(Self { key: Arc::new(pair), not_after }),
            Err(rustls::Error::InconsistentKeys(_)) => {
                Err(TlsError::KeyMismatch { cert: cert.0.into(), key: key.0.into() })
            }
            Err(error) => {
                Err(TlsError::BadCertificate { path: cert.0.into(), source: error.into() })
            }
        }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TlsError::Missing { path: path.into() },
        _ => TlsError::Unreadable { path: path.into(), source: error.into() },
    })
}

/// At least one certificate.
fn parse_chain(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| TlsError::NotPem { path: path.into() })?;
    match chain.is_empty() {
        false => Ok(chain),
        true if has_pem(text) => Err(TlsError::NoCertificate { path: path.into() }),
        true => Err(TlsError::NotPem { path: path.into() }),
    }
}

fn parse_key(path: &Path, text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if has(text, "ENCRYPTED PRIVATE KEY-----") => {
            TlsError::EncryptedKey { path: path.into() }
        }
        pem::Error::NoItemsFound if has_pem(text) => TlsError::NoKey { path: path.into() },
        _ => TlsError::NotPem { path: path.into() },
    })
}

fn has_pem(text: &[u8]) -> bool {
    has(text, "-----BEGIN ")
}

fn has(text: &[u8], wanted: &str) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted.as_bytes())
}

/// Refuses a certificate browsers would refuse today; returns its last moment.
fn check_validity(
    path: &Path,
    cert: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<Timestamp, TlsError> {
    let bad = |source: BoxError| TlsError::BadCertificate { path: path.into(), source };
    let (_, parsed) =
        x509_parser::parse_x509_certificate(cert).map_err(|error| bad(error.into()))?;
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|error| bad(error.into()))
    };
    let not_before = time(parsed.validity().not_before)?;
    let not_after = time(parsed.validity().not_after)?;
    if now > not_after {
        return Err(TlsError::Expired { path: path.into(), not_after });
    }
    if now < not_before {
        return Err(TlsError::NotYetValid { path: path.into(), not_before });
    }
    Ok(not_after)
}
