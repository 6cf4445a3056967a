//! The URL that a provider sends people back to.

use url::Url;

use crate::{
    config::{ConfigError, HttpConfig, http::http_url},
    web::paths::Paths,
};

/// The URL registered with the provider: as configured at `key`, else made from the
/// public URL. Its path must be the one we serve, or every sign-in would end on a 404.
pub(super) fn callback_url(
    key: &str,
    configured: Option<&str>,
    http: &HttpConfig,
) -> Result<Url, ConfigError> {
    let path = Paths::new(&http.base_url).oauth_callback();
    let Some(text) = configured.filter(|text| !text.is_empty()) else {
        let public = http.public_url.as_ref().ok_or_else(|| {
            ConfigError::value(
                key,
                format!("is missing; set it here, as OAUTH_CALLBACK_URL, or set http.public_url. It has the form https://HOST{path}"),
            )
        })?;
        return public
            .join(&path)
            .map_err(|error| ConfigError::value("http.public_url", error.to_string()));
    };
    let url = http_url(key, text)?;
    if url.path() != path || url.query().is_some() {
        return Err(ConfigError::value(
            key,
            format!("{text:?} does not lead to this hub; its path must be {path}"),
        ));
    }
    if url.scheme() == "http" && http.tls.is_some() {
        return Err(ConfigError::value(
            key,
            format!("{text:?} is http, but [http.tls] makes this hub https; write https"),
        ));
    }
    if let Some(public) = &http.public_url
        && public.origin() != url.origin()
    {
        return Err(ConfigError::value(
            key,
            format!(
                "{text:?} is not on http.public_url {:?}; the browser would come back without its state cookie",
                public.as_str()
            ),
        ));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::ListenAddr;

    fn http(base_url: &str, public_url: Option<&str>) -> HttpConfig {
        HttpConfig {
            listen: ListenAddr::Ip(([127, 0, 0, 1], 8000).into()),
            redirect_listen: None,
            public_url: public_url.map(|url| url.parse().unwrap()),
            subdomains: None,
            base_url: base_url.to_owned(),
            tls: None,
            trusted_proxies: Vec::new(),
            shutdown_grace: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_callback_url_must_lead_to_this_hub() {
        const KEY: &str = "auth.github.callback_url";
        let hub = http("/jupyter/", Some("https://hub.example.org"));
        let made = callback_url(KEY, None, &hub).unwrap();
        assert_eq!(made.as_str(), "https://hub.example.org/jupyter/hub/oauth_callback");
        let right = "https://hub.example.org/jupyter/hub/oauth_callback";
        assert!(callback_url(KEY, Some(right), &hub).is_ok());

        for (text, part) in [
            (
                "https://hub.example.org/hub/oauth_callback",
                "its path must be /jupyter/hub/oauth_callback",
            ),
            ("https://other.example.org/jupyter/hub/oauth_callback", "state cookie"),
            ("hub.example.org", "is not a URL"),
        ] {
            let error = callback_url(KEY, Some(text), &hub).unwrap_err().to_string();
            assert!(error.starts_with(KEY) && error.contains(part), "{error}");
        }
    }
}
