//! Certificates: loading, checking, replacing while serving.

use std::{
    fmt,
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

use crate::clock;

mod check;
mod error;
mod pair;
mod pem;
mod watch;

pub use self::error::{TlsError, TlsWarning};
use self::{
    pair::{Files, Pair},
    pem::Text,
};

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

/// The pair that the next handshake uses.
#[derive(Debug)]
struct Current(ArcSwap<Pair>);

impl TlsKeys {
    /// Reads a certificate chain, the server's own first, and its private key
    /// (PKCS#8, PKCS#1 or SEC1), both PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::load_for(cert, key, Vec::new())
    }

    /// As [`load`](Self::load), and the certificate has to be for all of
    /// `hosts`: DNS names or IP addresses. A [`reload`](Self::reload) asks the
    /// same (TLS-2).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`TlsError::NotForHost`] for the first host that
    /// is missing.
    pub fn load_for(
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        hosts: Vec<String>,
    ) -> Result<Self, TlsError> {
        let files = Files { cert: cert.into(), key: key.into(), hosts };
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
        let cert = Text { path: Path::new("certificate"), bytes: cert };
        let key = Text { path: Path::new("key"), bytes: key };
        Self::new(None, Pair::parse(cert, key, &[], clock::now())?)
    }

    /// Reads the files again; handshakes from now on use what they hold.
    /// Running connections are not touched.
    ///
    /// # Errors
    ///
    /// As [`load_for`](Self::load_for); the old pair stays in use then.
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

    /// What is not quite right with the pair in use.
    pub fn warnings(&self) -> Vec<TlsWarning> {
        self.0.current.0.load().warnings.clone()
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
        f.debug_struct("TlsKeys")
            .field("files", &self.0.files)
            .field("not_after", &self.not_after())
            .finish()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().key))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
