//! Whether a chain is one that browsers accept, for these hosts and today.
//!
//! Pure: what the files hold, the hosts and the moment come in.

use std::{net::IpAddr, path::Path};

use jiff::Timestamp;
use rustls::{client::verify_server_name, server::ParsedCertificate};
use rustls_pki_types::{CertificateDer, ServerName};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, public_key::PublicKey};

use super::{TlsError, TlsWarning};
use crate::BoxError;

/// Browsers refuse shorter ones.
const MIN_RSA_BITS: usize = 2048;

/// What becomes of a certificate whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    Refused,
    Taken,
}

/// What a chain says about its time, and what is not quite right with it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// The hosts that it is for, as people write them.
    pub(super) named: Vec<String>,
    pub(super) warnings: Vec<TlsWarning>,
}

/// Looks at `chain`, the server's own certificate first; `path` names it in
/// errors. IPv6 hosts may have their brackets.
pub(super) fn check(
    path: &Path,
    chain: &[CertificateDer<'_>],
    hosts: &[String],
    now: Timestamp,
    expired: Expired,
) -> Result<Checked, TlsError> {
    let bad = |source: BoxError| TlsError::BadCertificate { path: path.into(), source };
    let parsed = chain
        .iter()
        .map(|cert| x509_parser::parse_x509_certificate(cert).map(|(_, parsed)| parsed))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| bad(error.into()))?;
    let (Some(own), Some(own_der)) = (parsed.first(), chain.first()) else {
        return Err(TlsError::NoCertificate { path: path.into() });
    };
    if let Some(bits) = rsa_bits(own).filter(|bits| *bits < MIN_RSA_BITS) {
        return Err(TlsError::WeakKey { path: path.into(), bits });
    }
    let time = |time: x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|error| bad(error.into()))
    };
    let not_before = time(own.validity().not_before)?;
    let not_after = time(own.validity().not_after)?;
    if now > not_after && expired == Expired::Refused {
        return Err(TlsError::Expired { path: path.into(), not_after });
    }
    if now < not_before {
        return Err(TlsError::NotYetValid { path: path.into(), not_before });
    }
    let named = named_hosts(own);
    if named.is_empty() && !hosts.is_empty() {
        return Err(TlsError::NoNames { path: path.into() });
    }
    let verifiable = ParsedCertificate::try_from(own_der).map_err(|error| bad(error.into()))?;
    for host in hosts {
        if !is_for(&verifiable, host) {
            return Err(TlsError::NotForHost { path: path.into(), host: host.clone(), named });
        }
    }
    let mut warnings = warnings(path, &parsed);
    warnings.extend(named.is_empty().then(|| TlsWarning::NoNames { path: path.into() }));
    Ok(Checked { not_before, not_after, named, warnings })
}

fn warnings(path: &Path, chain: &[X509Certificate<'_>]) -> Vec<TlsWarning> {
    let is_self_signed = |cert: &X509Certificate<'_>| cert.issuer() == cert.subject();
    if let [own] = chain
        && !is_self_signed(own)
    {
        return vec![TlsWarning::NoIntermediates { path: path.into() }];
    }
    let pairs = chain.iter().zip(chain.iter().skip(1));
    let misplaced = pairs.into_iter().position(|(cert, next)| cert.issuer() != next.subject());
    misplaced
        .map(|index| TlsWarning::ChainOrder { path: path.into(), position: index + 2 })
        .into_iter()
        .collect()
}

fn rsa_bits(cert: &X509Certificate<'_>) -> Option<usize> {
    match cert.public_key().parsed() {
        Ok(PublicKey::RSA(rsa)) => Some(rsa.key_size()),
        _ => None,
    }
}

/// The hosts in the subject alternative names, as people write them.
fn named_hosts(cert: &X509Certificate<'_>) -> Vec<String> {
    let names = cert.subject_alternative_name().ok().flatten();
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let host = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(four), _) => Some(IpAddr::from(four).to_string()),
                (_, Ok(sixteen)) => Some(IpAddr::from(sixteen).to_string()),
                _ => None,
            }
        }
        _ => None,
    };
    names.iter().filter_map(host).collect()
}

/// Whether the first certificate of a chain is for all of `hosts`.
pub(super) fn covers(chain: &[CertificateDer<'_>], hosts: &[String]) -> bool {
    let own = chain.first().and_then(|own| ParsedCertificate::try_from(own).ok());
    own.is_some_and(|own| hosts.iter().all(|host| is_for(&own, host)))
}

fn is_for(cert: &ParsedCertificate<'_>, host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(bare).is_ok_and(|name| verify_server_name(cert, &name).is_ok())
}
