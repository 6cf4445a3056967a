//! Certificates: loading, checking, replacing while serving.

use std::{fmt, path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use secrecy::SecretString;

#[cfg(feature = "acme")]
use crate::acme::challenges::{TlsChallenges, is_asked};

mod check;
mod clients;
mod configs;
mod encrypted;
mod error;
mod names;
mod offer;
pub(crate) mod pair;
mod pem;
#[cfg(feature = "acme")]
mod renewed;
mod targets;
mod upkeep;
mod watch;

use self::{
    check::Expired,
    configs::{Configs, Recipe},
    pair::{Files, Pair},
    watch::Stamp,
};
pub use self::{
    clients::ClientAuthorities,
    error::{TlsError, TlsWarning},
    offer::{NoCiphers, TlsOffer, TlsVersion},
    targets::{TargetTls, TargetTlsConfig},
};

/// The protocol that browsers prefer.
pub(crate) const HTTP_2: &[u8] = b"h2";

/// The protocol of everybody else but authorities that look for a proof.
const HTTP_1: &[u8] = b"http/1.1";

/// A certificate chain with its key, as a listener uses it. Clones share one
/// pair, so [`reload`](Self::reload) reaches every listener.
///
/// TLS 1.2 and 1.3 with rustls' defaults over aws-lc-rs; the process-wide
/// default provider is neither needed nor set.
#[derive(Clone)]
pub struct TlsKeys(Arc<Inner>);

struct Inner {
    /// With what they were like just before they were read.
    files: Option<(Files, Stamp)>,
    current: Arc<Current>,
    recipe: Recipe,
    configs: ArcSwap<Configs>,
}

/// A pair in files, and what is asked of it and of clients.
#[derive(Debug)]
#[non_exhaustive]
pub struct TlsOptions {
    /// The certificate chain, the server's own first, PEM.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC1, PEM.
    pub key: PathBuf,
    /// What the key is encrypted with, if it is (PKCS#8 only).
    pub passphrase: Option<SecretString>,
    /// DNS names or IP addresses that the certificate has to be for, at each
    /// [`reload`](TlsKeys::reload), too (TLS-2).
    pub hosts: Vec<String>,
    /// Takes a certificate that has expired: better that browsers warn than that
    /// nobody gets an answer. [`keep_watching`](TlsKeys::keep_watching) puts the error
    /// in the log, and [`reload`](TlsKeys::reload) refuses the next one that has
    /// expired.
    pub even_expired: bool,
    /// Who vouches for clients; they are not asked who they are without.
    pub clients: Option<ClientAuthorities>,
    /// Which versions and ciphers are spoken.
    pub offer: TlsOffer,
}

impl TlsOptions {
    /// A pair for any host, and for any client.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            certificate: certificate.into(),
            key: key.into(),
            passphrase: None,
            hosts: Vec::new(),
            even_expired: false,
            clients: None,
            offer: TlsOffer::default(),
        }
    }
}

/// Pairs that were read and are not in use yet; see [`TlsKeys::read_again`].
#[derive(Debug)]
pub struct FreshKeys {
    own: Option<Fresh>,
    /// Of those that are shown by name.
    others: Vec<(TlsKeys, Option<Fresh>)>,
}

#[derive(Debug)]
struct Fresh {
    pair: Pair,
    /// If clients have other authorities than before.
    configs: Option<Configs>,
}

/// What the next handshake uses.
#[derive(Debug)]
struct Current {
    pair: ArcSwap<Pair>,
    /// Those that are shown to clients that ask for their names.
    others: ArcSwap<Vec<TlsKeys>>,
    /// Proofs for an authority that asks.
    #[cfg(feature = "acme")]
    challenges: Option<TlsChallenges>,
}

impl TlsKeys {
    /// Reads a certificate chain, the server's own first, and its private key
    /// (PKCS#8, PKCS#1 or SEC1), both PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Result<Self, TlsError> {
        Self::load_for(cert, key, Vec::new())
    }

    /// As [`load`](Self::load), and the certificate has to be for all of
    /// `hosts`: DNS names or IP addresses. A [`reload`](Self::reload) asks the
    /// same (TLS-2).
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load); [`TlsError::NotForHost`] for the first host that
    /// is missing.
    pub fn load_for(
        cert: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
        hosts: Vec<String>,
    ) -> Result<Self, TlsError> {
        Self::load_with(TlsOptions { hosts, ..TlsOptions::new(cert, key) })
    }

    /// As [`load_for`](Self::load_for), with everything that can be chosen.
    ///
    /// # Errors
    ///
    /// As [`load_for`](Self::load_for); the same for the file of clients' authorities.
    pub fn load_with(options: TlsOptions) -> Result<Self, TlsError> {
        let TlsOptions { certificate, key, passphrase, hosts, even_expired, clients, offer } =
            options;
        let files = Files { cert: certificate, key, passphrase, hosts, clients };
        let stamp = Stamp::of(&files.paths());
        let expired = if even_expired { Expired::Taken } else { Expired::Refused };
        let pair = files.read(expired)?;
        Self::new(Some((files, stamp)), pair, &offer)
    }

    /// As [`load`](Self::load), from memory. Errors call the two texts
    /// `certificate` and `key`; there is nothing to reload.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), but for those about files.
    pub fn from_pem(cert: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(None, Pair::of_texts(cert, key, &[])?, &TlsOffer::default())
    }

    /// As [`from_pem`](Self::from_pem), for a certificate that has to be for all
    /// of `hosts`, DNS names or IP addresses.
    ///
    /// # Errors
    ///
    /// As [`load_for`](Self::load_for), but for those about files.
    pub fn from_pem_for(cert: &[u8], key: &[u8], hosts: &[String]) -> Result<Self, TlsError> {
        Self::new(None, Pair::of_texts(cert, key, hosts)?, &TlsOffer::default())
    }

    /// Reads the files again, that of clients' authorities among them, and those of pairs
    /// that are [shown by name](Self::show_by_name); handshakes from now on use what they
    /// hold. Running connections are not touched.
    ///
    /// # Errors
    ///
    /// As [`load_with`](Self::load_with); all that was in use stays so then.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.read_again().map(|fresh| self.adopt(fresh))
    }

    /// Reads the files again and changes nothing yet: [`adopt`](Self::adopt) does.
    ///
    /// # Errors
    ///
    /// As [`load_with`](Self::load_with).
    pub fn read_again(&self) -> Result<FreshKeys, TlsError> {
        let own = self.read_own()?;
        let others = self.others();
        let others = others.iter().map(|keys| Ok((keys.clone(), keys.read_own()?)));
        Ok(FreshKeys { own, others: others.collect::<Result<_, TlsError>>()? })
    }

    /// Handshakes from now on use `fresh`.
    pub fn adopt(&self, fresh: FreshKeys) {
        self.adopt_own(fresh.own);
        for (keys, fresh) in fresh.others {
            keys.adopt_own(fresh);
        }
    }

    /// Without those that are shown by name.
    fn read_own(&self) -> Result<Option<Fresh>, TlsError> {
        let Inner { files, recipe, configs, .. } = &*self.0;
        let Some((files, _)) = files else { return Ok(None) };
        let pair = files.read(Expired::Refused)?;
        let configs = recipe.read_again(files.clients.as_ref(), &configs.load())?;
        Ok(Some(Fresh { pair, configs }))
    }

    fn adopt_own(&self, fresh: Option<Fresh>) {
        let Some(Fresh { pair, configs }) = fresh else { return };
        self.0.current.pair.store(Arc::new(pair));
        if let Some(configs) = configs {
            self.0.configs.store(Arc::new(configs));
        }
    }

    /// Whether `fresh` is what is in use.
    fn shows(&self, fresh: Option<&Fresh>) -> bool {
        let current = self.0.current.pair.load();
        // The key is that of the certificate in either.
        fresh.is_none_or(|Fresh { pair, configs }| {
            pair.key.cert == current.key.cert && configs.is_none()
        })
    }

    /// When the certificate in use expires.
    pub fn not_after(&self) -> Timestamp {
        self.0.current.pair.load().not_after
    }

    /// When the certificate in use began to be valid.
    pub fn not_before(&self) -> Timestamp {
        self.0.current.pair.load().not_before
    }

    /// Whether the certificate in use is for all of `hosts`, DNS names or IP
    /// addresses.
    pub fn is_for(&self, hosts: &[String]) -> bool {
        self.0.current.pair.load().is_for(hosts)
    }

    /// What is not quite right with the pair in use, and with those that are
    /// [shown by name](Self::show_by_name).
    pub fn warnings(&self) -> Vec<TlsWarning> {
        let of = |keys: &Self| keys.0.current.pair.load().warnings.clone();
        of(self).into_iter().chain(self.others().iter().flat_map(of)).collect()
    }

    pub(crate) fn server_config(&self, http2: bool) -> Arc<ServerConfig> {
        let configs = self.0.configs.load();
        Arc::clone(if http2 { &configs.http2 } else { &configs.http1 })
    }

    fn new(files: Option<(Files, Stamp)>, pair: Pair, offer: &TlsOffer) -> Result<Self, TlsError> {
        let current = Current {
            pair: ArcSwap::from_pointee(pair),
            others: ArcSwap::default(),
            #[cfg(feature = "acme")]
            challenges: None,
        };
        Self::serving(files, current, &[HTTP_1], offer)
    }

    fn serving(
        files: Option<(Files, Stamp)>,
        current: Current,
        protocols: &[&[u8]],
        offer: &TlsOffer,
    ) -> Result<Self, TlsError> {
        let current = Arc::new(current);
        let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let recipe = Recipe { current: current.clone(), protocols, offer: offer.clone() };
        let clients = files.as_ref().and_then(|(files, _)| files.clients.as_ref());
        let configs = ArcSwap::from_pointee(recipe.read(clients)?);
        Ok(Self(Arc::new(Inner { files, current, recipe, configs })))
    }
}

impl fmt::Debug for TlsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsKeys")
            .field("files", &self.0.files.as_ref().map(|(files, _)| files))
            .field("not_after", &self.not_after())
            .finish()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        #[cfg(feature = "acme")]
        if let Some(challenges) = &self.challenges
            && is_asked(&hello)
        {
            return challenges.answer(&hello);
        }
        Some(self.chosen(&hello))
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
