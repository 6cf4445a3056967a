//! `[pages]`: what people see, and where they go.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    ConfigError,
    http::http_url,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "pages",
    about: "What people see, and where they go.",
    keys: &[
        Key::new(
            "pages.templates",
            Kind::Directory,
            "Directory whose templates replace or extend the built-in pages.",
        )
        .example("\"templates\""),
        Key::new(
            "pages.default_url",
            Kind::Text,
            "Where people go after they signed in, if the link did not say: a path on the hub's host. Default: as `redirect_to_server` says.",
        )
        .example("\"/hub/home\""),
        Key::new(
            "pages.redirect_to_server",
            Kind::Boolean,
            "Whether they go to their server, or to its start, rather than to the home page.",
        )
        .default("true"),
        Key::new(
            "pages.logout_redirect_url",
            Kind::Text,
            "Where people go who signed out, instead of a page that says so: a URL, or a path on the hub's host. With `auth.oidc.sign_out` the provider sends them there, where it has to be registered.",
        )
        .example("\"https://www.example.org/\""),
        Key::new(
            "pages.announcement",
            Kind::Text,
            "What everybody is told on every page, the sign-in included. Plain text.",
        )
        .example("\"The hub will be down on Friday from 18:00.\""),
        Key::new(
            "pages.custom_403_message",
            Kind::Text,
            "What somebody is told whom the rules do not let in, instead of the advice to ask an administrator; the reason is told as well. Plain text.",
        )
        .example("\"Ask for an account at help@example.org.\""),
    ],
};

/// Where people go who did not say where (hub-contract 1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// After they signed out: a URL, or a path on our own host.
    pub after_sign_out: Option<String>,
    /// Always here.
    pub default_url: Option<String>,
    /// To their server, rather than to the home page.
    pub to_server: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPages {
    pub(super) templates: Option<PathBuf>,
    default_url: Option<String>,
    redirect_to_server: bool,
    logout_redirect_url: Option<String>,
    pub(super) announcement: Option<String>,
    pub(super) custom_403_message: Option<String>,
}

impl Default for RawPages {
    fn default() -> Self {
        Self {
            templates: None,
            default_url: None,
            redirect_to_server: true,
            logout_redirect_url: None,
            announcement: None,
            custom_403_message: None,
        }
    }
}

impl RawPages {
    pub(super) fn landing(&self) -> Result<Landing, ConfigError> {
        let default_url = self.default_url.clone().filter(|url| !url.is_empty());
        // What stands in a `Location` has to be a path on our own host, like every
        // other place that we send people to.
        if let Some(url) = default_url.as_ref().filter(|url| !is_path(url)) {
            return Err(ConfigError::value(
                "pages.default_url",
                format!("{url:?} is no path on the hub's host; write \"/hub/home\", for example"),
            ));
        }
        let after_sign_out = match self.logout_redirect_url.as_deref() {
            None | Some("") => None,
            Some(path) if is_path(path) => Some(path.to_owned()),
            // The operator names this one, not a visitor: it may be elsewhere.
            Some(url) => Some(http_url("pages.logout_redirect_url", url)?.into()),
        };
        Ok(Landing { after_sign_out, default_url, to_server: self.redirect_to_server })
    }
}

/// Whether it is a path on our own host, whatever a browser makes of it.
fn is_path(url: &str) -> bool {
    url.starts_with('/')
        && !url.starts_with("//")
        && url.chars().all(|c| c.is_ascii_graphic() && c != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oau_7_people_who_sign_out_are_sent_to_a_path_or_a_page_of_the_web() {
        let of = |url: &str| {
            let raw = RawPages { logout_redirect_url: Some(url.to_owned()), ..RawPages::default() };
            raw.landing().map(|landing| landing.after_sign_out)
        };
        assert_eq!(of("").unwrap(), None);
        for good in ["/bye", "https://www.test/bye?a=b", "http://www.test/"] {
            assert_eq!(of(good).unwrap().as_deref(), Some(good));
        }
        for bad in ["bye", "//www.test/", "javascript:alert(1)", "ftp://www.test/", "/\\www.test"] {
            let error = of(bad).unwrap_err().to_string();
            assert!(error.contains("pages.logout_redirect_url"), "{bad}: {error}");
        }
    }
}
