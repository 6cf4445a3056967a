//! Whom to trust when an operator names certificates.

use std::{path::Path, sync::Arc};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
    server::ParsedCertificate,
};
use rustls_platform_verifier::Verifier;

use crate::args::UsageError;

/// The verifier's word for an authority's certificate in a server's place.
pub(super) const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

/// A configuration that trusts the certificates in `file` besides the system's.
///
/// # Errors
///
/// [`UsageError`] if the file cannot be read or holds no certificates.
pub(super) fn trusting(file: &Path) -> Result<ClientConfig, UsageError> {
    let unusable = |message: String| UsageError {
        message,
        hint: "--ca-file and HUB_CA_FILE name a file with certificates in PEM form".to_owned(),
    };
    let shown = file.display();
    let pem = std::fs::read(file).map_err(|error| {
        unusable(format!("the certificates in {shown} cannot be read: {error}"))
    })?;
    let named: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(format!("the certificates in {shown} are damaged: {error}")))?;
    if named.is_empty() {
        return Err(unusable(format!("there is no certificate in {shown}")));
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let usual = Verifier::new_with_extra_roots(named.iter().cloned(), Arc::clone(&provider))
        .map_err(|error| {
            unusable(format!("the certificates in {shown} cannot be used: {error}"))
        })?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Named { usual, named }))
        .with_no_client_auth();
    Ok(config)
}

/// Trusts the usual authorities, the named ones, and a server that shows a named
/// certificate itself.
///
/// `openssl req -x509` marks what it makes as an authority's, which the usual
/// verifier accepts from no server. Other clients (curl) do when they are given
/// that very certificate; so its bytes are compared here. Its name and dates are
/// checked all the same.
#[derive(Debug)]
struct Named {
    usual: Verifier,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match usual {
            Err(Error::InvalidCertificate(CertificateError::Other(error)))
                if error.to_string() == CA_AS_SERVER && self.named.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
