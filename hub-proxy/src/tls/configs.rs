//! What handshakes with clients are made with, beside the pair: made anew when the
//! authorities of clients change.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{ResolvesServerCert, WebPkiClientVerifier},
};

use super::{ClientAuthorities, Current, HTTP_2, TlsError, TlsOffer};

/// What does not change.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) current: Arc<Current>,
    pub(super) protocols: Vec<Vec<u8>>,
    pub(super) offer: TlsOffer,
}

/// One state of what does.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) http1: Arc<ServerConfig>,
    /// The same, with HTTP/2 before the other protocols.
    pub(super) http2: Arc<ServerConfig>,
    /// Who vouches for clients, if they need somebody.
    roots: Option<Arc<RootCertStore>>,
}

impl Recipe {
    /// Reads the authorities, if there are any.
    pub(super) fn read(&self, clients: Option<&ClientAuthorities>) -> Result<Configs, TlsError> {
        let roots = roots_of(clients)?;
        self.make(clients, roots)
    }

    /// Reads them again. `None` if they are those in use: sessions go on then, where
    /// new configurations know none. With other authorities they must not, since who
    /// resumes a session is not asked for a certificate again.
    pub(super) fn read_again(
        &self,
        clients: Option<&ClientAuthorities>,
        used: &Configs,
    ) -> Result<Option<Configs>, TlsError> {
        let roots = roots_of(clients)?;
        let anchors = |roots: &Option<Arc<RootCertStore>>| {
            roots.as_ref().map(|roots| roots.roots.clone()).unwrap_or_default()
        };
        if anchors(&roots) == anchors(&used.roots) {
            return Ok(None);
        }
        self.make(clients, roots).map(Some)
    }

    fn make(
        &self,
        clients: Option<&ClientAuthorities>,
        roots: Option<Arc<RootCertStore>>,
    ) -> Result<Configs, TlsError> {
        let verifier = match clients {
            Some(clients) => clients.verifier(roots.clone())?,
            None => WebPkiClientVerifier::no_client_auth(),
        };
        let resolver: Arc<dyn ResolvesServerCert> = self.current.clone();
        let provider = self.offer.provider(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&self.offer.versions())
            .map_err(|error| TlsError::Setup(error.into()))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(resolver);
        config.alpn_protocols.clone_from(&self.protocols);
        // Sessions are with their clients, however many those are (S-07). The keys of tickets
        // are this configuration's own, so no session outlives the authorities that let it be.
        config.ticketer =
            aws_lc_rs::Ticketer::new().map_err(|error| TlsError::Setup(error.into()))?;
        let mut http2 = config.clone();
        http2.alpn_protocols.insert(0, HTTP_2.to_vec());
        Ok(Configs { http1: Arc::new(config), http2: Arc::new(http2), roots })
    }
}

fn roots_of(clients: Option<&ClientAuthorities>) -> Result<Option<Arc<RootCertStore>>, TlsError> {
    clients.map_or(Ok(None), ClientAuthorities::read)
}
