//! `[proxy]`: a proxy that is a program of its own.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;
use url::{Host, Url};

use super::{
    ConfigError, HttpConfig,
    http::http_url,
    key::{Key, Kind, Section},
    secret::read_secret,
};

/// How the hub drives a proxy that is a program of its own: our `hub-proxy`, or
/// configurable-http-proxy.
#[derive(Clone, Debug)]
pub struct ProxyApiConfig {
    /// The address of the proxy's REST API, as the hub reaches it.
    pub api_url: Url,
    /// The token of the API.
    pub auth_token: SecretString,
    /// The hub's address, as the proxy reaches it; the default route leads there.
    /// Its port follows `http.listen` where that leaves the choice to the system.
    pub hub_url: Url,
    /// Whether `hub_url` was made from `http.listen`.
    hub_url_is_default: bool,
}

impl ProxyApiConfig {
    /// Takes up the port that the system chose for `http.listen`.
    pub(crate) fn listens_on(&mut self, port: u16) {
        if self.hub_url_is_default {
            // An http URL with a host can have a port.
            let _ = self.hub_url.set_port(Some(port));
        }
    }
}

pub(super) const SECTION: Section = Section {
    name: "proxy",
    about: "A proxy that is a program of its own: `hub-proxy`, or configurable-http-proxy. Without this section the hub is its own proxy.",
    keys: &[
        Key::new("proxy.api_url", Kind::Url, "Address of the proxy's REST API.")
            .example("\"http://127.0.0.1:8001\"")
            .restart(),
        Key::new(
            "proxy.auth_token",
            Kind::Secret,
            "What the hub shows the proxy; the same value as the proxy's `CONFIGPROXY_AUTH_TOKEN`.",
        )
        .restart(),
        Key::new(
            "proxy.auth_token_file",
            Kind::File,
            "File that holds the token, instead of `auth_token`.",
        )
        .example("\"secrets/proxy\"")
        .restart(),
        Key::new(
            "proxy.hub_url",
            Kind::Url,
            "The hub's address as the proxy reaches it. Default: made from `http.listen`.",
        )
        .example("\"http://jupyterhub:8000\"")
        .restart(),
    ],
};

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawProxy {
    api_url: Option<String>,
    auth_token: Option<String>,
    auth_token_file: Option<PathBuf>,
    hub_url: Option<String>,
}

impl RawProxy {
    pub(super) fn check(
        self,
        dir: &Path,
        http: &HttpConfig,
    ) -> Result<Option<ProxyApiConfig>, ConfigError> {
        let Some(api_url) = self.api_url.filter(|text| !text.is_empty()) else {
            // The token alone may come with an environment that is shared with the
            // proxy. This means that something was forgotten.
            return match self.hub_url {
                None => Ok(None),
                Some(_) => Err(ConfigError::value(
                    "proxy.hub_url",
                    "is set without proxy.api_url; set both to use a proxy of its own, or neither",
                )),
            };
        };
        let api_url = proxy_api_url("proxy.api_url", &api_url)?;
        if http.tls.is_some() {
            return Err(ConfigError::value(
                "http.tls",
                "is set, and so is proxy.api_url; the proxy speaks to browsers, so give the certificate and its key to the proxy and remove [http.tls]",
            ));
        }
        let token = match (self.auth_token, self.auth_token_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "proxy.auth_token",
                    "is set twice, as auth_token (CONFIGPROXY_AUTH_TOKEN) and as auth_token_file (CONFIGPROXY_AUTH_TOKEN_FILE); remove one",
                ));
            }
            (Some(token), None) => token,
            (None, Some(file)) => read_secret("proxy.auth_token_file", &dir.join(file))?,
            (None, None) => String::new(),
        };
        if !is_proxy_token(&token) {
            return Err(ConfigError::value(
                "proxy.auth_token",
                "is missing, or not one word of ASCII characters; set it here or as CONFIGPROXY_AUTH_TOKEN, with the same value as the proxy's. `openssl rand -hex 32` makes one",
            ));
        }
        let (hub_url, hub_url_is_default) = match self.hub_url {
            Some(text) => (plain_url("proxy.hub_url", &text)?, false),
            None => (default_hub_url(http, &api_url)?, true),
        };
        Ok(Some(ProxyApiConfig {
            api_url,
            auth_token: SecretString::from(token),
            hub_url,
            hub_url_is_default,
        }))
    }
}

/// The address of a proxy's API.
///
/// # Errors
///
/// When it cannot be one, under the name `key`.
pub(crate) fn proxy_api_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    plain_url(key, text)
}

/// Whether this can be the token of a proxy's API.
pub(crate) fn is_proxy_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An http URL without path: the two programs share a machine or a private
/// network.
fn plain_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let url = http_url(key, text)?;
    let more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if url.scheme() != "http" || more || !url.username().is_empty() {
        return Err(ConfigError::value(
            key,
            format!("{text:?} cannot be used; write http://HOST:PORT and nothing more"),
        ));
    }
    Ok(url)
}

/// The hub's address where `http.listen` tells it.
fn default_hub_url(http: &HttpConfig, api_url: &Url) -> Result<Url, ConfigError> {
    let is_here = match api_url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if http.listen.is_unspecified() && !is_here {
        return Err(ConfigError::value(
            "proxy.hub_url",
            format!(
                "is missing, and http.listen {} does not tell it; write how the proxy reaches the hub, for example http://jupyterhub:{}",
                http.listen,
                http.listen.port()
            ),
        ));
    }
    http_url("http.listen", &format!("http://{}", http.listen.from_here()))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::{
        super::{Config, Environment, parse},
        *,
    };

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment: Environment =
            variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let text = format!("[spawner.docker]\nimage = \"lab\"\n{text}");
        parse(&text, "hub.toml", Path::new("/srv/hub"), &environment, false)
            .map(|loaded| loaded.config)
            .map_err(|error| error.to_string())
    }

    const API: &str = "[proxy]\napi_url = \"http://127.0.0.1:8001\"\n";

    #[test]
    fn without_an_api_url_the_proxy_is_in_the_hub() {
        assert!(parsed("", &[]).unwrap().proxy.is_none());
        let shared = [("CONFIGPROXY_AUTH_TOKEN", "secret")];
        assert!(parsed("", &shared).unwrap().proxy.is_none());
        let error = parsed("[proxy]\nhub_url = \"http://hub:8000\"\n", &[]).unwrap_err();
        assert!(error.starts_with("proxy.hub_url (hub.toml:4): is set without"), "{error}");
    }

    #[test]
    fn env_1_the_token_of_the_environment_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "from-a-file\n").unwrap();
        let written = format!("{API}auth_token = \"written\"\n");
        for (variables, expected) in [
            (vec![], "written"),
            (vec![("CONFIGPROXY_AUTH_TOKEN", "given")], "given"),
            (vec![("CONFIGPROXY_AUTH_TOKEN_FILE", file.to_str().unwrap())], "from-a-file"),
        ] {
            let proxy = parsed(&written, &variables).unwrap().proxy.unwrap();
            assert_eq!(proxy.auth_token.expose_secret(), expected);
            assert!(!format!("{proxy:?}").contains(expected), "a secret is not printed");
        }
        let both = [("CONFIGPROXY_AUTH_TOKEN", "a"), ("CONFIGPROXY_AUTH_TOKEN_FILE", "b")];
        assert!(parsed(API, &both).unwrap_err().contains("CONFIGPROXY_AUTH_TOKEN_FILE"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_key() {
        let token = [("CONFIGPROXY_AUTH_TOKEN", "secret")];
        let https = "[proxy]\napi_url = \"https://proxy:8001\"\n";
        let far = "[proxy]\napi_url = \"http://proxy:8001\"\n[http]\nlisten = \"8000\"\n";
        let tls = format!("{API}[http.tls]\ncertificate = \"a\"\nkey = \"b\"\n");
        for (text, variables, parts) in [
            (API, &[][..], ["proxy.auth_token", "CONFIGPROXY_AUTH_TOKEN"]),
            (API, &[("CONFIGPROXY_AUTH_TOKEN", "a b")][..], ["proxy.auth_token", "one word"]),
            (https, &token[..], ["proxy.api_url", "write http://HOST:PORT"]),
            (far, &token[..], ["proxy.hub_url", "for example http://jupyterhub:8000"]),
            (&tls, &token[..], ["http.tls", "give the certificate and its key to the proxy"]),
        ] {
            let error = parsed(text, variables).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn the_hubs_address_follows_the_listener() {
        let token = [("CONFIGPROXY_AUTH_TOKEN", "secret")];
        for (listen, hub_url) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
            ("8000", "http://127.0.0.1:8000/"),
            ("jupyterhub:8000", "http://jupyterhub:8000/"),
        ] {
            let text = format!("{API}[http]\nlisten = \"{listen}\"\n");
            let proxy = parsed(&text, &token).unwrap().proxy.unwrap();
            assert_eq!(proxy.hub_url.as_str(), hub_url);
        }
        let text = format!("{API}[http]\nlisten = \"127.0.0.1:0\"\n");
        let mut proxy = parsed(&text, &token).unwrap().proxy.unwrap();
        proxy.listens_on(4711);
        assert_eq!(proxy.hub_url.as_str(), "http://127.0.0.1:4711/");
    }
}
