//! Why automatic certificates cannot even be tried.

use std::path::PathBuf;

use super::AcmeDirectory;
use crate::BoxError;

/// What the operator has to change before anything is ordered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcmeError {
    /// No domain to get a certificate for.
    #[error("no domain is named; a certificate is always for one")]
    NoDomains,
    /// An IP address, a wildcard or no name at all.
    #[error(
        "{domain:?} cannot be certified this way; name single hosts, such as hub.example.org \
         (wildcards and IP addresses need a certificate from elsewhere)"
    )]
    BadDomain {
        /// What was given.
        domain: String,
    },
    /// The terms of service are not accepted (ACME-3).
    #[error(
        "the terms of service of {directory} are not accepted; read them{} and say that you agree",
        .terms.as_ref().map(|url| format!(" at {url}")).unwrap_or_default()
    )]
    TermsNotAgreed {
        /// The authority.
        directory: AcmeDirectory,
        /// Where the terms are, if the authority told.
        terms: Option<String>,
    },
    /// The file with authorities for the directory.
    #[error("{path}: not a PEM file with certificates of authorities")]
    DirectoryCa {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The external account's key is not base64url.
    #[error("the key of the external account is not base64url; copy it again")]
    ExternalAccountKey,
    /// The directory of account and certificates.
    #[error("{path}: account and certificates cannot be kept there")]
    Storage {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// TLS or the certificate for the meantime cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] BoxError),
}
