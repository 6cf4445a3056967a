//! The hub's certificate: for which hosts it has to be, and keeping it fresh.

use std::collections::BTreeSet;

use hub_proxy::TlsKeys;

use crate::{config::Config, startup::StartupError, tasks::Tasks};

/// Reads what `[http.tls]` names; `None` without that section.
///
/// # Errors
///
/// When the pair cannot be used, or the certificate is not for the hosts that
/// people use (TLS-2).
pub(crate) fn open(config: &Config) -> Result<Option<TlsKeys>, StartupError> {
    let Some(files) = &config.http.tls else { return Ok(None) };
    Ok(Some(TlsKeys::load_for(&files.certificate, &files.key, hosts(config))?))
}

/// What is wrong, or not quite right, with the certificate that `config` names.
/// Opens no listener.
///
/// # Errors
///
/// As at start-up.
pub fn check_certificate(config: &Config) -> Result<Vec<String>, StartupError> {
    let keys = open(config)?;
    Ok(keys.map_or_else(Vec::new, |keys| warnings(&keys)))
}

/// Logs what is not quite right, and takes up replaced files from now on.
pub(crate) fn keep_fresh(tasks: &Tasks, keys: &TlsKeys) {
    for warning in warnings(keys) {
        tracing::warn!("http.tls: {warning}");
    }
    let keys = keys.clone();
    tasks.spawn(|stop| async move { keys.keep_watching(stop).await });
}

fn warnings(keys: &TlsKeys) -> Vec<String> {
    keys.warnings().iter().map(ToString::to_string).collect()
}

/// The hosts in the addresses that browsers are sent to.
fn hosts(config: &Config) -> Vec<String> {
    let callback = config.auth.github.as_ref().map(|github| &github.callback_url);
    let urls = config.http.public_url.iter().chain(callback);
    let hosts: BTreeSet<&str> = urls.filter_map(|url| url.host_str()).collect();
    hosts.into_iter().map(str::to_owned).collect()
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
}
