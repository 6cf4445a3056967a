//! Clients that show certificates (S-03, S-04).

use std::{path::PathBuf, sync::Arc};

use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{
    TlsError, provider,
    targets::{Anybody, authorities, of_system},
};

/// Who vouches for clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientAuthorities {
    /// The authorities' certificates, PEM; there may be several. Read again with the pair.
    /// Without one, those of this system if a certificate is required, and nobody if it is
    /// not.
    pub path: Option<PathBuf>,
    /// Whether clients without a certificate are turned away. One that the authorities
    /// do not vouch for is never taken.
    pub required: bool,
}

impl ClientAuthorities {
    /// Every client needs a certificate by one of the authorities in this file.
    pub fn required(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), required: true }
    }

    /// Clients are asked for one, and served without one, too.
    pub fn optional(path: impl Into<PathBuf>) -> Self {
        Self { path: Some(path.into()), required: false }
    }

    /// Every client needs a certificate by one of the authorities of this system.
    pub fn of_system() -> Self {
        Self { path: None, required: true }
    }

    /// Clients are asked for a certificate, and any will do that they have the key of, or
    /// none. That shows who somebody is to whoever knows the certificate, and proves
    /// nothing to others.
    pub fn anybody() -> Self {
        Self { path: None, required: false }
    }

    /// Those who vouch, if there are any.
    pub(super) fn read(&self) -> Result<Option<Arc<RootCertStore>>, TlsError> {
        let roots = match &self.path {
            Some(path) => authorities(path)?,
            None if self.required => of_system()?,
            None => return Ok(None),
        };
        Ok(Some(Arc::new(roots)))
    }

    /// One who asks clients, and believes `roots`, or anybody.
    pub(super) fn verifier(
        &self,
        roots: Option<Arc<RootCertStore>>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let Some(roots) = roots else { return Ok(Arc::new(Anybody(provider()))) };
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| match &self.path {
            Some(path) => TlsError::BadCertificate { path: path.clone(), source: error.into() },
            None => TlsError::NoAuthorities(Some(error.into())),
        })
    }
}

/// As node does with `requestCert` alone.
impl ClientCertVerifier for Anybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls12(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_tls13(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[cfg(test)]
mod tests {
    use rustls::server::danger::ClientCertVerifier;

    use super::*;

    #[test]
    fn s_03_whoever_is_asked_without_an_authority_may_be_anybody() {
        let anybody = ClientAuthorities::anybody();
        assert!(anybody.read().unwrap().is_none());
        let verifier: Arc<dyn ClientCertVerifier> = anybody.verifier(None).unwrap();
        assert!(verifier.offer_client_auth() && !verifier.client_auth_mandatory());
        assert!(verifier.root_hint_subjects().is_empty());
    }
}
