//! Proofs that a domain leads here, while an authority asks for them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use arc_swap::ArcSwap;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::{server::ClientHello, sign::CertifiedKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::problem::AcmeProblem;

/// The protocol of RFC 8737, which nobody but an authority speaks.
pub(crate) const ACME_TLS: &[u8] = b"acme-tls/1";

/// Where an authority looks for the file of RFC 8555 section 8.3.
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// What is told to an authority that asks on port 80. Clones share the answers.
#[derive(Clone, Default)]
pub struct HttpChallenges(Answers<String>);

/// What is shown to an authority that asks on port 443.
#[derive(Clone, Default)]
pub(crate) struct TlsChallenges(Answers<Arc<CertifiedKey>>);

/// Answers by token or by domain.
type Answers<A> = Arc<ArcSwap<BTreeMap<String, A>>>;

/// An answer that is taken back when this is dropped.
pub(super) struct Published(Option<Box<dyn FnOnce() + Send>>);

/// Whether a request is for a proof, and for which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HttpAnswer {
    /// The request is about something else.
    NotAsked,
    /// There is no such proof.
    Unknown,
    /// The body of the answer.
    Proof(String),
}

impl HttpChallenges {
    pub(crate) fn answer(&self, path: &str) -> HttpAnswer {
        match path.strip_prefix(WELL_KNOWN) {
            None => HttpAnswer::NotAsked,
            Some(token) => match self.0.load().get(token) {
                None => HttpAnswer::Unknown,
                Some(proof) => HttpAnswer::Proof(proof.clone()),
            },
        }
    }

    /// Answers `proof` for `token` until the result is dropped.
    pub(super) fn publish(&self, token: &str, proof: &str) -> Published {
        publish(&self.0, token.to_owned(), proof.to_owned())
    }
}

impl TlsChallenges {
    /// The certificate for an authority that asks; `None` for everybody else.
    pub(crate) fn answer(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load().get(&hello.server_name()?.to_ascii_lowercase()).cloned()
    }

    /// Shows a certificate with `digest` for `domain` until the result is dropped.
    pub(super) fn publish(&self, domain: &str, digest: &[u8]) -> Result<Published, AcmeProblem> {
        let pair = proof(domain, digest).map_err(AcmeProblem::internal)?;
        Ok(publish(&self.0, domain.to_owned(), Arc::new(pair)))
    }
}

/// Whether the client is an authority that looks for a proof.
pub(crate) fn is_asked(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else { return false };
    // It offers nothing else (RFC 8737 section 3).
    offered.next() == Some(ACME_TLS) && offered.next().is_none()
}

/// A certificate that holds the proof (RFC 8737 section 3).
fn proof(domain: &str, digest: &[u8]) -> Result<CertifiedKey, crate::BoxError> {
    let mut params = CertificateParams::new(vec![domain.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let signing = crate::tls::provider().key_provider.load_private_key(key)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], signing))
}

fn publish<A: Clone + Send + Sync + 'static>(
    answers: &Answers<A>,
    key: String,
    answer: A,
) -> Published {
    answers.rcu(|all| {
        let mut all = BTreeMap::clone(all);
        all.insert(key.clone(), answer.clone());
        all
    });
    let answers = Arc::clone(answers);
    Published(Some(Box::new(move || {
        answers.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.remove(&key);
            all
        });
    })))
}

impl Drop for Published {
    fn drop(&mut self) {
        if let Some(take_back) = self.0.take() {
            take_back();
        }
    }
}

impl fmt::Debug for HttpChallenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
}

impl fmt::Debug for TlsChallenges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.load().keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_5_a_proof_is_answered_until_it_is_taken_back() {
        let challenges = HttpChallenges::default();
        let path = "/.well-known/acme-challenge/token";
        assert_eq!(challenges.answer(path), HttpAnswer::Unknown);
        let published = challenges.publish("token", "token.thumb");
        assert_eq!(challenges.answer(path), HttpAnswer::Proof("token.thumb".to_owned()));
        assert_eq!(challenges.answer("/.well-known/acme-challenge/"), HttpAnswer::Unknown);
        assert_eq!(challenges.answer("/hub/login"), HttpAnswer::NotAsked);
        drop(published);
        assert_eq!(challenges.answer(path), HttpAnswer::Unknown);
    }
}
