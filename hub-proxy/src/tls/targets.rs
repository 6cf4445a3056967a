//! TLS towards targets: whom we believe, and who we are to them.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use secrecy::SecretString;

use super::{
    HTTP_1, TlsError,
    pem::{self, Text},
    provider,
};

/// How targets at `https` are spoken to. Clones are the same and share sessions.
#[derive(Clone, Debug)]
pub struct TargetTls(Arc<ClientConfig>);

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
        let setup = |error: rustls::Error| TlsError::Setup(error.into());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(setup)?;
        let builder = if config.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        } else {
            builder.with_root_certificates(match &config.authorities {
                Some(path) => authorities(path)?,
                None => of_system()?,
            })
        };
        let mut made = match &config.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let (cert_pem, key_pem) = (pem::read(cert)?, pem::read(key)?);
                let chain = pem::chain(Text { path: cert, bytes: &cert_pem })?;
                let key_text = Text { path: key, bytes: &key_pem };
                let key_der = pem::key(key_text, config.passphrase.as_ref())?;
                builder.with_client_auth_cert(chain, key_der).map_err(|error| match error {
                    rustls::Error::InconsistentKeys(_) => {
                        TlsError::KeyMismatch { cert: cert.clone(), key: key.clone() }
                    }
                    other => TlsError::BadKey { path: key.clone(), source: other.into() },
                })?
            }
        };
        made.alpn_protocols = vec![HTTP_1.to_vec()];
        Ok(Self(Arc::new(made)))
    }

    /// Believes the authorities of this system and is nobody.
    pub(crate) fn of_system() -> Result<Self, TlsError> {
        Self::load(&TargetTlsConfig::default())
    }

    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
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

fn of_system() -> Result<RootCertStore, TlsError> {
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
struct Anybody(Arc<CryptoProvider>);

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
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
