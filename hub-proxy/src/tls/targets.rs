//! TLS towards targets: whom we believe, and who we are to them.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use rustls::{
    ClientConfig, RootCertStore,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{
    HTTP_1, TlsError,
    pem::{self, Text},
    provider,
    upkeep::LOOK_EVERY,
    watch::{Stamp, follow},
};
use crate::error::chain;

/// How targets at `https` are spoken to. Clones are the same and share sessions, so
/// [`reload`](Self::reload) reaches them all.
#[derive(Clone, Debug)]
pub struct TargetTls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    made_of: TargetTlsConfig,
    /// What the files were like just before they were read.
    read: Stamp,
    current: ArcSwap<InUse>,
}

/// What the next handshake uses.
#[derive(Debug)]
struct InUse {
    config: Arc<ClientConfig>,
    /// Who vouches for targets; nobody if that is not asked.
    roots: Option<Arc<RootCertStore>>,
    /// Who we are, if anybody.
    chain: Vec<CertificateDer<'static>>,
}

/// What a [`TargetTls`] is made of.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TargetTlsConfig {
    /// Certificates of the authorities that vouch for targets, PEM; those of this
    /// system without.
    pub authorities: Option<PathBuf>,
    /// Certificate chain and key, PEM, for targets that ask who we are.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// What the key is encrypted with.
    pub passphrase: Option<SecretString>,
    /// Takes whatever a target shows (S-12). For tests: anybody can be the target then.
    pub insecure: bool,
}

impl TargetTls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(config: &TargetTlsConfig) -> Result<Self, TlsError> {
        let made_of = config.clone();
        let read = Stamp::of(&made_of.paths());
        let current = ArcSwap::from_pointee(InUse::read(&made_of)?);
        Ok(Self(Arc::new(Inner { made_of, read, current })))
    }

    /// Reads the files again, or the authorities of this system; connections from now on
    /// are made with what they hold. Those that are open are not touched.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); all that was in use stays so then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.0.current.store(Arc::new(InUse::read(&self.0.made_of)?));
        Ok(())
    }

    /// Reloads within some seconds when the files change, and says in the log how that
    /// went. Files that cannot be used change nothing. Returns once `stop` is cancelled.
    pub async fn keep_watching(&self, stop: CancellationToken) {
        let Inner { made_of, read, current } = &*self.0;
        let paths = made_of.paths();
        let changed = || match InUse::read(made_of) {
            // Somebody has reloaded them.
            Ok(fresh) if fresh.is_like(&current.load()) => {}
            Ok(fresh) => {
                current.store(Arc::new(fresh));
                tracing::info!("Certificates towards targets were read again");
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "the certificates towards targets were not replaced; the old ones stay");
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = follow(&paths, read.clone(), LOOK_EVERY, changed) => {}
        }
    }

    /// Believes the authorities of this system and is nobody.
    pub(crate) fn of_system() -> Result<Self, TlsError> {
        Self::load(&TargetTlsConfig::default())
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0.current.load().config)
    }
}

impl TargetTlsConfig {
    /// All that are read.
    fn paths(&self) -> Vec<PathBuf> {
        let identity = self.identity.iter().flat_map(|(cert, key)| [cert, key]);
        self.authorities.iter().chain(identity).cloned().collect()
    }

    fn roots(&self) -> Result<Option<Arc<RootCertStore>>, TlsError> {
        let roots = match &self.authorities {
            _ if self.insecure => return Ok(None),
            Some(path) => authorities(path)?,
            None => of_system()?,
        };
        Ok(Some(Arc::new(roots)))
    }
}

impl InUse {
    fn read(made_of: &TargetTlsConfig) -> Result<Self, TlsError> {
        let roots = made_of.roots()?;
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Setup(error.into()))?;
        let builder = match &roots {
            Some(roots) => builder.with_root_certificates(Arc::clone(roots)),
            None => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
            }
        };
        let mut chain = Vec::new();
        let mut config = match &made_of.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let (cert_pem, key_pem) = (pem::read(cert)?, pem::read(key)?);
                chain = pem::chain(Text { path: cert, bytes: &cert_pem })?;
                let key_text = Text { path: key, bytes: &key_pem };
                let key_der = pem::key(key_text, made_of.passphrase.as_ref())?;
                let made = builder.with_client_auth_cert(chain.clone(), key_der);
                made.map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        TlsError::KeyMismatch { cert: cert.clone(), key: key.clone() }
                    }
                    other => TlsError::BadKey { path: key.clone(), source: other.into() },
                })?
            }
        };
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(Self { config: Arc::new(config), roots, chain })
    }

    fn is_like(&self, other: &Self) -> bool {
        let anchors = |one: &Self| one.roots.as_ref().map(|roots| roots.roots.clone());
        // The key is that of the certificate in either.
        self.chain == other.chain && anchors(self) == anchors(other)
    }
}

/// All certificates of a file, as authorities.
pub(super) fn authorities(path: &PathBuf) -> Result<RootCertStore, TlsError> {
    let bytes = pem::read(path)?;
    let mut roots = RootCertStore::empty();
    for cert in pem::chain(Text { path, bytes: &bytes })? {
        roots.add(cert).map_err(|error| TlsError::BadCertificate {
            path: path.clone(),
            source: error.into(),
        })?;
    }
    Ok(roots)
}

pub(super) fn of_system() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        false => Ok(roots),
        true => Err(TlsError::NoAuthorities(
            found.errors.into_iter().next().map(|error| Box::new(error) as _),
        )),
    }
}

/// Believes everybody; a signature has to be good all the same, as without it no
/// handshake is one.
#[derive(Debug)]
pub(super) struct Anybody(pub(super) Arc<CryptoProvider>);

impl Anybody {
    pub(super) fn check_tls12(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    pub(super) fn check_tls13(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    pub(super) fn schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls12(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls13(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.schemes()
    }
}
