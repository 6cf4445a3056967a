//! Which versions and ciphers of TLS are spoken.

use rustls::{
    CipherSuite, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs::ALL_CIPHER_SUITES},
    version::{TLS12, TLS13},
};

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// Which versions and ciphers a listener agrees to. The default is both versions with
/// all ciphers that rustls has.
#[derive(Clone, Debug, Default)]
pub struct TlsOffer {
    version: Option<TlsVersion>,
    suites: Option<Vec<CipherSuite>>,
}

/// Nothing is left that could be agreed on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; the names are {}", known().join(", "))]
pub struct NoCiphers {
    problem: &'static str,
}

/// OpenSSL's names of the suites of TLS 1.2; those of 1.3 are called as in RFC 8446.
const OPENSSL_NAMES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

fn known() -> Vec<&'static str> {
    OPENSSL_NAMES.iter().map(|(name, _)| *name).collect()
}

impl TlsOffer {
    /// This version and no other.
    #[must_use]
    pub fn only(mut self, version: TlsVersion) -> Self {
        self.version = Some(version);
        self
    }

    /// The suites of a list as OpenSSL has it, separated by colons, and the names in it
    /// that are not known. As there, TLS 1.3 keeps its suites unless the list names
    /// some of them. What a list excludes (`!aNULL`) is not there in the first place.
    ///
    /// # Errors
    ///
    /// [`NoCiphers`] if no name is known.
    pub fn ciphers(mut self, list: &str) -> Result<(Self, Vec<String>), NoCiphers> {
        let mut unknown = Vec::new();
        let mut suites = Vec::new();
        let names = list.split(':').map(str::trim);
        for name in names.filter(|name| !name.is_empty() && !name.starts_with(['!', '-'])) {
            match OPENSSL_NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, suite)) => suites.push(*suite),
                None => unknown.push(name.to_owned()),
            }
        }
        if suites.is_empty() {
            return Err(NoCiphers { problem: "names no cipher that is known" });
        }
        if !suites.iter().any(|suite| is_of_tls13(*suite)) {
            let of_tls13 = OPENSSL_NAMES.iter().map(|(_, suite)| *suite);
            suites.extend(of_tls13.filter(|suite| is_of_tls13(*suite)));
        }
        self.suites = Some(suites);
        Ok((self, unknown))
    }

    /// Whether version and ciphers go together.
    ///
    /// # Errors
    ///
    /// [`NoCiphers`] if none of them is of this version.
    pub fn check(&self) -> Result<(), NoCiphers> {
        match (self.version, &self.suites) {
            (Some(version), Some(suites))
                if !suites
                    .iter()
                    .any(|suite| is_of_tls13(*suite) == (version == TlsVersion::Tls13)) =>
            {
                Err(NoCiphers { problem: "names no cipher of the one version that is spoken" })
            }
            _ => Ok(()),
        }
    }

    /// `provider` with the suites that are offered, in the order of the list.
    pub(super) fn provider(&self, mut provider: CryptoProvider) -> CryptoProvider {
        if let Some(suites) = &self.suites {
            let offered = suites.iter().filter_map(|suite| supported(*suite));
            provider.cipher_suites = offered.collect();
        }
        provider
    }

    /// The versions that are offered and have a suite.
    pub(super) fn versions(&self) -> Vec<&'static SupportedProtocolVersion> {
        let has = |version: TlsVersion| {
            self.version.is_none_or(|only| only == version)
                && self.suites.as_ref().is_none_or(|suites| {
                    suites.iter().any(|suite| is_of_tls13(*suite) == (version == TlsVersion::Tls13))
                })
        };
        let all = [(TlsVersion::Tls13, &TLS13), (TlsVersion::Tls12, &TLS12)];
        all.into_iter().filter(|(version, _)| has(*version)).map(|(_, known)| known).collect()
    }
}

fn is_of_tls13(suite: CipherSuite) -> bool {
    supported(suite).is_some_and(|known| known.tls13().is_some())
}

fn supported(suite: CipherSuite) -> Option<SupportedCipherSuite> {
    ALL_CIPHER_SUITES.iter().find(|known| known.suite() == suite).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openssls_names_are_those_of_suites_that_there_are() {
        for (name, suite) in OPENSSL_NAMES {
            assert!(supported(suite).is_some(), "{name}");
            assert_eq!(is_of_tls13(suite), name.starts_with("TLS_"), "{name}");
        }
        assert_eq!(OPENSSL_NAMES.len(), ALL_CIPHER_SUITES.len());
    }

    #[test]
    fn lists_are_read_as_openssl_does() {
        let (offer, unknown) = TlsOffer::default()
            .ciphers("ECDHE-RSA-AES128-GCM-SHA256:HIGH:!aNULL: :rc4-sha")
            .unwrap();
        assert_eq!(unknown, ["HIGH", "rc4-sha"]);
        assert_eq!(offer.suites.as_ref().map(Vec::len), Some(4), "and those of TLS 1.3");
        assert_eq!(offer.versions(), [&TLS13, &TLS12]);

        let (offer, _) = TlsOffer::default().ciphers("tls_aes_128_gcm_sha256").unwrap();
        assert_eq!(offer.suites.as_ref().map(Vec::len), Some(1));
        assert_eq!(offer.versions(), [&TLS13], "no suite of TLS 1.2 is left");
        assert!(offer.clone().only(TlsVersion::Tls13).check().is_ok());
        let error = offer.only(TlsVersion::Tls12).check().unwrap_err().to_string();
        assert!(error.contains("ECDHE-RSA-AES128-GCM-SHA256"), "{error}");

        for list in ["", ":", "HIGH", "!ECDHE-RSA-AES128-GCM-SHA256"] {
            assert!(TlsOffer::default().ciphers(list).is_err(), "{list:?}");
        }
        assert_eq!(TlsOffer::default().versions(), [&TLS13, &TLS12]);
    }
}
