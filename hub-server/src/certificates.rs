//! The hub's certificate: where it comes from, for which hosts it has to be, and
//! keeping it fresh.

use std::collections::BTreeSet;

use hub_proxy::{Acme, AcmeConfig, AcmeError, Certificate, TlsKeys};

use crate::{
    config::{Config, TlsSource},
    startup::StartupError,
    tasks::Tasks,
};

/// Takes up what `[http.tls]` or `[http.acme]` says; `None` without either.
///
/// # Errors
///
/// When the files cannot be used, or the certificate is not for the hosts that
/// people use (TLS-2); when nothing can be ordered as configured.
pub(crate) async fn open(config: &Config) -> Result<Option<Certificate>, StartupError> {
    Ok(match &config.http.tls {
        None => None,
        Some(TlsSource::Files(files)) => {
            let keys = TlsKeys::load_for(&files.certificate, &files.key, hosts(config))?;
            if let Some(warning) = narrow(config, &keys) {
                tracing::warn!("{warning}");
            }
            Some(Certificate::Files(keys))
        }
        Some(TlsSource::Acme(acme)) => {
            for warning in uncertified(config, &acme.domains) {
                tracing::warn!("{warning}");
            }
            Some(Certificate::Acme(Acme::open(AcmeConfig::clone(acme)).await?))
        }
    })
}

/// Logs what is not quite right, and takes up newer certificates from now on.
pub(crate) fn keep_fresh(tasks: &Tasks, certificate: &Certificate) {
    for warning in certificate.warnings() {
        tracing::warn!("http.tls: {warning}");
    }
    let certificate = certificate.clone();
    tasks.spawn(|stop| async move { certificate.keep_fresh(stop).await });
}

/// What is not quite right with the certificate that `config` names. Opens no
/// listener and asks nobody.
///
/// # Errors
///
/// What would keep the hub from starting.
pub fn check_certificate(config: &Config) -> Result<Vec<String>, StartupError> {
    match &config.http.tls {
        None => Ok(Vec::new()),
        Some(TlsSource::Files(files)) => {
            let keys = TlsKeys::load_for(&files.certificate, &files.key, hosts(config))?;
            let doubts = keys.warnings();
            Ok(doubts.iter().map(ToString::to_string).chain(narrow(config, &keys)).collect())
        }
        Some(TlsSource::Acme(acme)) if !acme.agree_tos => {
            let directory = acme.directory.clone();
            let terms = directory.known_terms().map(str::to_owned);
            Err(AcmeError::TermsNotAgreed { directory, terms }.into())
        }
        Some(TlsSource::Acme(acme)) => Ok(uncertified(config, &acme.domains)),
    }
}

/// The hosts in our addresses that are none of the domains: people would meet a
/// certificate for somebody else.
fn uncertified(config: &Config, domains: &[String]) -> Vec<String> {
    let missing = hosts(config).into_iter().filter(|host| !domains.contains(host));
    let missing = missing
        .map(|host| format!("http.acme.domains: {host} is in the hub's address, but not here"));
    let below = config.http.subdomains.iter().map(|hosts| {
        let domain = hosts.domain();
        format!("http.acme: no authority certifies *.{domain} this way, so browsers will warn of everybody's server; use [http.tls] with a certificate for {domain} and *.{domain}")
    });
    missing.chain(below).collect()
}

/// The hosts in the addresses that browsers are sent to.
pub(crate) fn hosts(config: &Config) -> Vec<String> {
    let github = config.auth.github.iter().map(|github| &github.callback_url);
    let oidc = config.auth.oidc.iter().map(|oidc| &oidc.provider.callback_url);
    let urls = config.http.public_url.iter().chain(github).chain(oidc);
    let hosts: BTreeSet<&str> = urls.filter_map(|url| url.host_str()).collect();
    hosts.into_iter().map(str::to_owned).collect()
}

/// What is to be said about a certificate of the operator's where every user has a
/// host: that it is for the hub's own only.
pub(crate) fn narrow(config: &Config, keys: &TlsKeys) -> Option<String> {
    let domain = config.http.subdomains.as_ref()?.domain();
    // A certificate for anybody's host is for everybody's.
    (!keys.is_for(&[format!("any-user.{domain}")])).then(|| {
        format!(
            "http.tls.certificate: is not for *.{domain}, so browsers will warn of everybody's server; get one for {domain} and *.{domain}"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn parsed(text: &str) -> Config {
        let text = format!("[spawner.docker]\nimage = \"lab\"\n{text}");
        parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false).unwrap().config
    }

    #[test]
    fn tls_2_the_hosts_are_those_of_the_public_and_the_callback_url() {
        let github = "[auth.github]\nclient_id = \"x\"\nclient_secret = \"y\"\n\
                      callback_url = \"https://cb.example.org/hub/oauth_callback\"\n";
        assert!(hosts(&parsed("")).is_empty());
        let public = "[http]\npublic_url = \"https://hub.example.org:8443\"\n";
        assert_eq!(hosts(&parsed(public)), ["hub.example.org"]);
        assert_eq!(hosts(&parsed(github)), ["cb.example.org"]);
        assert_eq!(hosts(&parsed("[http]\npublic_url = \"https://[::1]\"\n")), ["[::1]"]);
    }

    #[test]
    fn acme_3_a_configuration_without_agreement_does_not_pass_the_check() {
        let acme = |agree: bool, domain: &str| {
            parsed(&format!(
                "[http]\npublic_url = \"https://hub.example.org\"\n[http.acme]\n\
                 domains = [\"{domain}\"]\nchallenge = \"tls-alpn-01\"\nagree_tos = {agree}\n"
            ))
        };
        let refused = check_certificate(&acme(false, "hub.example.org")).unwrap_err();
        assert!(matches!(refused, StartupError::Acme(AcmeError::TermsNotAgreed { .. })));
        assert!(check_certificate(&acme(true, "hub.example.org")).unwrap().is_empty());
        let warnings = check_certificate(&acme(true, "other.example.org")).unwrap();
        assert!(warnings[0].contains("hub.example.org is in the hub's address"), "{warnings:?}");
    }
}
