//! Certificates that change without files of the operator's.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;

use super::{
    Current, HTTP_1, TlsError, TlsKeys, TlsOffer,
    check::Expired,
    pair::{Files, Pair},
};
use crate::acme::challenges::{ACME_TLS, TlsChallenges};

impl TlsKeys {
    /// With `pair` for everybody but an authority that looks for proofs.
    pub(crate) fn answering(
        pair: Pair,
        challenges: TlsChallenges,
        offer: &TlsOffer,
    ) -> Result<Self, TlsError> {
        let (pair, others) = (ArcSwap::from_pointee(pair), ArcSwap::default());
        let current = Current { pair, others, challenges: Some(challenges) };
        Self::serving(None, current, &[HTTP_1, ACME_TLS], offer)
    }

    /// Handshakes from now on use `pair`.
    pub(crate) fn replace(&self, pair: Pair) {
        self.0.current.pair.store(Arc::new(pair));
    }
}

impl Pair {
    /// From a file with both, for whatever hosts.
    pub(crate) fn read(path: &Path) -> Result<Self, TlsError> {
        let (cert, key) = (path.into(), path.into());
        Files { cert, key, passphrase: None, hosts: Vec::new(), clients: None }
            .read(Expired::Refused)
    }
}
