//! Whether people who sign in come back to the hub they left (ENV-4).
//!
//! A callback that does not lead to this hub is refused with the configuration;
//! what is left are the ways in which a correct one can still fail.

use super::{Finding, addresses::is_local};
use crate::config::Config;

pub(super) fn check(config: &Config) -> Vec<Finding> {
    let github = config.auth.github.as_ref().map(|github| &github.callback_url);
    let oidc = config.auth.oidc.as_ref().map(|oidc| &oidc.provider.callback_url);
    // All providers send people back to the same page.
    let Some(url) = github.or(oidc) else {
        return vec![Finding::skipped("neither [auth.github] nor [auth.oidc]")];
    };
    let mut findings = vec![Finding::ok(url.as_str())];
    if config.http.public_url.is_none() {
        findings.push(Finding::warning(
            format!(
                "people who open the hub at another address than {} come back without their state cookie",
                url.origin().ascii_serialization()
            ),
            "set http.public_url",
        ));
    }
    let is_local = is_local(url);
    if url.scheme() == "http" && !is_local {
        findings.push(Finding::warning(
            "the sign-in comes back without https; its code can be read on the way",
            "serve https, and register the https address with the provider",
        ));
    }
    if is_local && !config.http.listen.is_loopback() {
        findings.push(Finding::warning(
            "the callback leads to the visitor's own machine, but the hub listens to others",
            "use a name that other machines know, here and at the provider",
        ));
    }
    if url.scheme() == "https"
        && config.http.tls.is_none()
        && config.http.trusted_proxies.is_empty()
    {
        findings.push(Finding::warning(
            "https ends at a proxy in front, whose X-Forwarded-* headers are not believed",
            "name its address in http.trusted_proxies",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn config(http: &str, callback: &str) -> Result<Config, String> {
        let text = format!(
            "[http]\n{http}\n[spawner.docker]\nimage = \"lab\"\n[auth.github]\n\
             client_id = \"x\"\nclient_secret = \"y\"\ncallback_url = \"{callback}\"\n"
        );
        parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false)
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }

    fn seen(http: &str, callback: &str) -> Vec<String> {
        let config = config(http, callback).unwrap();
        check(&config).into_iter().skip(1).map(|finding| finding.seen).collect()
    }

    #[test]
    fn env_4_an_http_callback_with_tls_on_is_refused_with_the_configuration() {
        let tls = "public_url = \"https://hub.example.org\"\n\
                   tls = { certificate = \"a.crt\", key = \"a.key\" }";
        let refused = config(tls, "http://hub.example.org/hub/oauth_callback").unwrap_err();
        assert!(refused.contains("auth.github.callback_url"), "{refused}");
        assert!(refused.contains("write https"), "{refused}");
        assert!(config(tls, "https://hub.example.org/hub/oauth_callback").is_ok());
    }

    #[test]
    fn env_4_ways_in_which_a_sign_in_does_not_come_back() {
        let local = "http://localhost:8000/hub/oauth_callback";
        let public = "http://hub.example.org/hub/oauth_callback";
        let https = "https://hub.example.org/hub/oauth_callback";
        let rows = [
            ("public_url = \"http://localhost:8000\"", local, None),
            ("", local, Some("another address")),
            (
                "listen = \"0.0.0.0:8000\"\npublic_url = \"http://localhost:8000\"",
                local,
                Some("own machine"),
            ),
            ("public_url = \"http://hub.example.org\"", public, Some("without https")),
            ("public_url = \"https://hub.example.org\"", https, Some("X-Forwarded")),
            (
                "public_url = \"https://hub.example.org\"\ntrusted_proxies = [\"10.0.0.1\"]",
                https,
                None,
            ),
        ];
        for (http, callback, part) in rows {
            let seen = seen(http, callback);
            match part {
                None => assert!(seen.is_empty(), "{http}: {seen:?}"),
                Some(part) => {
                    assert!(seen.len() == 1 && seen[0].contains(part), "{http}: {seen:?}")
                }
            }
        }
    }
}
