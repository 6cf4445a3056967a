//! What is wrong with a certificate or its key, and how to look at it.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::BoxError;

/// What is wrong with which file. Where a look at the file helps, the text ends
/// with the command for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no such file.
    #[error("{path}: no such file; correct the path or put the file there")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file is there but cannot be read.
    #[error("{path}: cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: BoxError,
    },
    /// The file is not PEM, or a PEM block in it is broken.
    #[error("{path}: not PEM; its first line should begin with `-----BEGIN`: head -n 1 {path}")]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but without a certificate in it.
    #[error("{path}: contains no certificate; see what it holds: grep BEGIN {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// PEM, but without a private key in it.
    #[error("{path}: contains no private key; see what it holds: grep BEGIN {path}")]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// The key needs a passphrase, and none was given.
    #[error(
        "{path}: the private key is encrypted and no passphrase is given; store it without one: \
         openssl pkey -in {path} -out {path}.plain"
    )]
    EncryptedKey {
        /// The file.
        path: PathBuf,
    },
    /// The passphrase is another one, or the key is encrypted in a way that is not known.
    #[error(
        "{path}: the private key cannot be decrypted; check the passphrase: openssl pkey -in \
         {path} -noout"
    )]
    Undecipherable {
        /// The file.
        path: PathBuf,
        /// What the decryption said.
        #[source]
        source: BoxError,
    },
    /// The key is encrypted as OpenSSL did it long ago.
    #[error(
        "{path}: the private key is encrypted in an old and weak way; encrypt it anew: openssl \
         pkcs8 -topk8 -in {path} -out {path}.new"
    )]
    OldEncryption {
        /// The file.
        path: PathBuf,
    },
    /// A key of a kind TLS servers do not use, or a damaged one.
    #[error(
        "{path}: the private key cannot be used; check it: openssl pkey -in {path} -noout -check"
    )]
    BadKey {
        /// The file.
        path: PathBuf,
        /// What rustls said.
        #[source]
        source: BoxError,
    },
    /// A certificate cannot be understood.
    #[error(
        "{path}: a certificate in it cannot be used; look at it: openssl x509 -in {path} -noout -text"
    )]
    BadCertificate {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: BoxError,
    },
    /// RSA with fewer than 2048 bits, which browsers refuse.
    #[error(
        "{path}: an RSA key of {bits} bits is too short; use 2048 at least, or ECDSA: openssl \
         x509 -in {path} -noout -text"
    )]
    WeakKey {
        /// The certificate file.
        path: PathBuf,
        /// Bits of the modulus.
        bits: usize,
    },
    /// The key is that of another certificate in the file than the first.
    #[error(
        "{path}: the server's own certificate is number {position} in the file; put it first, the \
         issuers' after it: grep -c BEGIN {path}; openssl x509 -in {path} -noout -subject"
    )]
    LeafNotFirst {
        /// The certificate file.
        path: PathBuf,
        /// Which one the key belongs to, from 1.
        position: usize,
    },
    /// The key is that of no certificate in the file.
    #[error(
        "{key}: the private key does not belong to the certificate in {cert}; use the key it was \
         requested with. These two must print the same: openssl x509 -in {cert} -noout -pubkey; \
         openssl pkey -in {key} -pubout"
    )]
    KeyMismatch {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// No browser would accept it any more.
    #[error(
        "{path}: the certificate expired on {not_after}; renew it and replace the file: openssl \
         x509 -in {path} -noout -dates"
    )]
    Expired {
        /// The certificate file.
        path: PathBuf,
        /// Its last moment.
        not_after: Timestamp,
    },
    /// No browser would accept it yet.
    #[error(
        "{path}: the certificate is not valid before {not_before}; check this machine's clock, or \
         wait: openssl x509 -in {path} -noout -dates"
    )]
    NotYetValid {
        /// The certificate file.
        path: PathBuf,
        /// Its first moment.
        not_before: Timestamp,
    },
    /// It had to be for some host, and has none in a subject alternative name; the
    /// common name counts no more.
    #[error(
        "{path}: the certificate names no host (no subject alternative name); browsers look at \
         nothing else: openssl x509 -in {path} -noout -ext subjectAltName"
    )]
    NoNames {
        /// The certificate file.
        path: PathBuf,
    },
    /// The host that people use is none of those in the certificate.
    #[error(
        "{path}: the certificate is not for {host} but for {}; get one that is, or use that host: \
         openssl x509 -in {path} -noout -ext subjectAltName",
        .named.join(", ")
    )]
    NotForHost {
        /// The certificate file.
        path: PathBuf,
        /// The host it had to be for.
        host: String,
        /// Those it is for.
        named: Vec<String>,
    },
    /// This system knows no authorities, and none were given.
    #[error(
        "this system has no certificates of authorities (on Debian: apt-get install \
         ca-certificates); or name a file of your own"
    )]
    NoAuthorities(#[source] Option<BoxError>),
    /// The provider offers no protocol version we allow.
    #[error("TLS cannot be set up")]
    Setup(#[source] BoxError),
}

/// A pair that works, but not for everybody or not as well as it could.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsWarning {
    /// The file holds the server's certificate alone. Browsers may find the
    /// issuer's by themselves, other programs refuse.
    #[error(
        "{path}: only the server's own certificate is in it, its issuer's is missing; unless \
         clients know the issuer itself, use the file with the full chain (`fullchain.pem`)"
    )]
    NoIntermediates {
        /// The certificate file.
        path: PathBuf,
    },
    /// One certificate is not the issuer of the one before it.
    #[error(
        "{path}: certificate number {position} is not the issuer of the one before it; some \
         clients want each followed by its issuer: openssl crl2pkcs7 -nocrl -certfile {path} | \
         openssl pkcs7 -print_certs -noout"
    )]
    ChainOrder {
        /// The certificate file.
        path: PathBuf,
        /// The first one that is out of place, from 1.
        position: usize,
    },
    /// No host in a subject alternative name; the common name counts no more.
    #[error(
        "{path}: the certificate names no host (no subject alternative name), so browsers warn \
         of it: openssl x509 -in {path} -noout -ext subjectAltName"
    )]
    NoNames {
        /// The certificate file.
        path: PathBuf,
    },
    /// Every user of this machine can read the private key.
    #[error(
        "{path}: everybody on this machine may read the private key (mode {mode:04o}); run: chmod o= {path}"
    )]
    KeyReadable {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}
