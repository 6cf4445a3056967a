//! The certificate of a running server, wherever it comes from.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

mod status;

pub use self::status::CertificateStatus;
use crate::{Acme, RedirectToHttps, TlsKeys, TlsWarning};

/// Where a server has its certificate from, for those who leave that to their
/// operator. Clones share it.
#[derive(Clone, Debug)]
pub enum Certificate {
    /// From files, which somebody else renews.
    Files(TlsKeys),
    /// From an authority, renewed here.
    Acme(Acme),
}

impl Certificate {
    /// What listeners use.
    pub fn keys(&self) -> TlsKeys {
        match self {
            Self::Files(keys) => keys.clone(),
            Self::Acme(acme) => acme.keys(),
        }
    }

    /// What is not quite right with the certificate in use.
    pub fn warnings(&self) -> Vec<TlsWarning> {
        match self {
            Self::Files(keys) => keys.warnings(),
            Self::Acme(_) => Vec::new(),
        }
    }

    /// Makes `redirect` answer an authority that asks on port 80.
    pub fn answering(&self, redirect: RedirectToHttps) -> RedirectToHttps {
        match self {
            Self::Files(_) => redirect,
            Self::Acme(acme) => redirect.answering(acme.http_challenges()),
        }
    }

    /// Takes up newer certificates, ordering them where they come from an
    /// authority, until `stop` is cancelled. To be run once.
    pub async fn keep_fresh(&self, stop: CancellationToken) {
        match self {
            Self::Files(keys) => keys.keep_watching(stop).await,
            Self::Acme(acme) => acme.run(stop).await,
        }
    }

    /// The pair that is read from files, if it is.
    pub fn files(&self) -> Option<&TlsKeys> {
        match self {
            Self::Files(keys) => Some(keys),
            Self::Acme(_) => None,
        }
    }

    /// Does not wait so long for the next order, after one that failed; when it
    /// will be, if one did. See [`Acme::try_soon`].
    pub fn try_soon(&self) -> Option<Timestamp> {
        match self {
            Self::Files(_) => None,
            Self::Acme(acme) => acme.try_soon(),
        }
    }
}
