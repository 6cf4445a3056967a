//! An authority of a test's own, and whom it vouches for, in files.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SignatureScheme, SupportedProtocolVersion,
    client::ResolvesClientCert, crypto::aws_lc_rs, server::WebPkiClientVerifier,
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: tempfile::TempDir,
}

/// A certificate and its key.
pub(crate) struct Issued {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for these hosts or addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let file = |end: &str| self.dir.path().join(format!("{}.{end}", names.join("-")));
        let (cert, key) = (file("pem"), file("key"));
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        fs::write(&cert, params.signed_by(&pair, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&key, pair.serialize_pem()).unwrap();
        Issued { cert, key }
    }

    /// Those that believe this authority and no other.
    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// A server that takes only clients whom this authority vouches for.
    pub(crate) fn server(&self, shown: &Issued) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients =
            WebPkiClientVerifier::builder_with_provider(self.roots(), provider.clone()).build();
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients.unwrap())
            .with_single_cert(shown.chain(), shown.key())
            .unwrap()
    }

    /// A client that believes this authority and shows a certificate, if it has one.
    pub(crate) fn client(&self, shown: Option<&Issued>) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => builder.with_client_auth_cert(shown.chain(), shown.key()).unwrap(),
        }
    }
}

/// Shows one certificate and counts how often it was asked for it.
#[derive(Debug)]
struct Watched {
    shown: Arc<CertifiedKey>,
    asks: Arc<AtomicUsize>,
}

impl ResolvesClientCert for Watched {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asks.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&self.shown))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl Authority {
    /// As [`client`](Self::client), with one version of TLS; and how often it was asked.
    pub(crate) fn watched_client(
        &self,
        shown: &Issued,
        version: &'static SupportedProtocolVersion,
    ) -> (ClientConfig, Arc<AtomicUsize>) {
        self.showing(shown.chain(), shown.key(), version)
    }

    /// One that shows a certificate and has another key.
    pub(crate) fn lying_client(
        &self,
        shown: &Issued,
        version: &'static SupportedProtocolVersion,
    ) -> ClientConfig {
        let key = PrivateKeyDer::try_from(KeyPair::generate().unwrap().serialize_der()).unwrap();
        self.showing(shown.chain(), key, version).0
    }

    fn showing(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        version: &'static SupportedProtocolVersion,
    ) -> (ClientConfig, Arc<AtomicUsize>) {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let (shown, asks) = (Arc::new(CertifiedKey::new(chain, key)), Arc::default());
        let watched = Watched { shown, asks: Arc::clone(&asks) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_cert_resolver(Arc::new(watched));
        (config, asks)
    }
}

impl Issued {
    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_file_iter(&self.cert).unwrap().map(Result::unwrap).collect()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_file(&self.key).unwrap()
    }
}

/// A path as an argument.
pub(crate) fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}
