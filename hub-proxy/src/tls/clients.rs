//! Clients that show certificates (S-03, S-04).

use std::{path::PathBuf, sync::Arc};

use rustls::{
    RootCertStore,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{TlsError, provider, targets::authorities};

/// Who vouches for clients.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientAuthorities {
    /// The authorities' certificates, PEM; there may be several. Read again with the pair.
    pub path: PathBuf,
    /// Whether clients without a certificate are turned away. One that these
    /// authorities do not vouch for is never taken.
    pub required: bool,
}

impl ClientAuthorities {
    /// Every client needs a certificate by one of the authorities in this file.
    pub fn required(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), required: true }
    }

    /// Clients are asked for one, and served without one, too.
    pub fn optional(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), required: false }
    }

    pub(super) fn read(&self) -> Result<Arc<RootCertStore>, TlsError> {
        authorities(&self.path).map(Arc::new)
    }

    pub(super) fn verifier(
        &self,
        roots: Arc<RootCertStore>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| TlsError::BadCertificate {
            path: self.path.clone(),
            source: error.into(),
        })
    }
}
