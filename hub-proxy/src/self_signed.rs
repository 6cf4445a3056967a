//! Certificates that nobody else vouches for: for trying out, and until a real
//! one is there.

use std::{fmt, fs, io, path::Path, path::PathBuf};

use jiff::{Timestamp, ToSpan, civil::Date, tz::TimeZone};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, date_time_ymd,
};

use crate::{BoxError, clock, private_file};

/// Browsers refuse certificates that are valid for longer than 398 days.
const VALID_DAYS: i64 = 397;

/// The names of the machine itself, which every certificate has, too.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate signed by its own key, and that key (TLS-4).
///
/// ECDSA P-256, valid for 397 days from yesterday. It is no authority: whoever
/// trusts it trusts this one server.
///
/// ```
/// use hub_proxy::{Overwrite, SelfSigned, TlsKeys};
///
/// # let dir = tempfile::tempdir()?;
/// let (cert, key) = (dir.path().join("hub.crt"), dir.path().join("hub.key"));
/// SelfSigned::new(["hub.example.org"])?.write(&cert, &key, Overwrite::Never)?;
/// let keys = TlsKeys::load(&cert, &key)?;
/// # assert!(keys.warnings().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SelfSigned {
    certificate: String,
    key: String,
}

/// What happens to files that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// They stay, and writing is an error.
    Never,
    /// They are replaced.
    Replace,
}

/// Why there is no self-signed certificate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfSignedError {
    /// Neither a DNS name nor an IP address.
    #[error("{host:?} is neither a host name nor an IP address")]
    BadHost {
        /// What was given.
        host: String,
    },
    /// A file that may not be replaced.
    #[error("{path}: is there already and stays as it is; move it away, or ask to replace it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file that could not be written.
    #[error("{path}: cannot be written")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key could not be made or used.
    #[error("the certificate cannot be made")]
    Unmade(#[source] BoxError),
}

impl SelfSigned {
    /// Makes one for `hosts`, DNS names or IP addresses, and for `localhost`,
    /// `127.0.0.1` and `::1`.
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::BadHost`] for what is neither; `Unmade` when the
    /// system has no randomness.
    pub fn new<H: Into<String>>(
        hosts: impl IntoIterator<Item = H>,
    ) -> Result<Self, SelfSignedError> {
        Self::made_on(hosts.into_iter().map(Into::into), clock::now())
    }

    fn made_on(
        hosts: impl Iterator<Item = String>,
        now: Timestamp,
    ) -> Result<Self, SelfSignedError> {
        let unmade = |error: BoxError| SelfSignedError::Unmade(error);
        let mut names: Vec<String> = Vec::new();
        for host in hosts.chain(LOCAL.map(str::to_owned)) {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            if !is_host(bare) {
                return Err(SelfSignedError::BadHost { host });
            }
            if !names.iter().any(|name| name == bare) {
                names.push(bare.to_owned());
            }
        }
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, common_name(&names));
        let mut params = CertificateParams::new(names).map_err(|error| unmade(error.into()))?;
        params.distinguished_name = subject;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Yesterday: clocks differ.
        let from = now.to_zoned(TimeZone::UTC).date().saturating_sub(1.day());
        let until = from.saturating_add(VALID_DAYS.days());
        [params.not_before, params.not_after] = [from, until].map(|day: Date| {
            let [month, day_of_month] = [day.month(), day.day()].map(i8::unsigned_abs);
            date_time_ymd(i32::from(day.year()), month, day_of_month)
        });
        let key =
            KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| unmade(error.into()))?;
        let certificate = params.self_signed(&key).map_err(|error| unmade(error.into()))?;
        Ok(Self { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The certificate as PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The private key as PEM (PKCS#8).
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Writes both files, the key with mode 0600. Each is complete when it
    /// appears. With [`Overwrite::Never`] either both are written or none.
    ///
    /// # Errors
    ///
    /// [`SelfSignedError::Exists`] or `Unwritable`, with the file.
    pub fn write(
        &self,
        certificate: &Path,
        key: &Path,
        overwrite: Overwrite,
    ) -> Result<(), SelfSignedError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source: io::Error| match source.kind() {
                io::ErrorKind::AlreadyExists => SelfSignedError::Exists { path },
                _ => SelfSignedError::Unwritable { path, source },
            }
        };
        let stage = private_file::stage;
        let staged_key = stage(key, &self.key, 0o600).map_err(unwritable(key))?;
        let staged_certificate =
            stage(certificate, &self.certificate, 0o644).map_err(unwritable(certificate))?;
        match overwrite {
            Overwrite::Replace => {
                staged_key.persist(key).map_err(|error| unwritable(key)(error.error))?;
                staged_certificate
                    .persist(certificate)
                    .map_err(|error| unwritable(certificate)(error.error))?;
            }
            Overwrite::Never => {
                staged_key.persist_noclobber(key).map_err(|error| unwritable(key)(error.error))?;
                if let Err(error) = staged_certificate.persist_noclobber(certificate) {
                    // Ours, made a moment ago: half a pair helps nobody.
                    let _ = fs::remove_file(key);
                    return Err(unwritable(certificate)(error.error));
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SelfSigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelfSigned").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// What viewers show first; it counts for nothing else, and has 64 characters
/// at most (RFC 5280, appendix A.1).
fn common_name(names: &[String]) -> String {
    let first = names.first().map_or("localhost", String::as_str);
    let name = format!("{first} (self-signed)");
    if name.len() <= 64 { name } else { "self-signed".to_owned() }
}

fn is_host(name: &str) -> bool {
    rustls_pki_types::ServerName::try_from(name).is_ok()
        || name
            .strip_prefix("*.")
            .is_some_and(|parent| rustls_pki_types::DnsName::try_from(parent).is_ok())
}
