//! `[pages]`: what people see, and where they go.

use std::path::PathBuf;

use serde::Deserialize;

use super::{
    ConfigError,
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
    pub(super) announcement: Option<String>,
    pub(super) custom_403_message: Option<String>,
}

impl Default for RawPages {
    fn default() -> Self {
        Self {
            templates: None,
            default_url: None,
            redirect_to_server: true,
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
        let is_path = |url: &String| {
            url.starts_with('/')
                && !url.starts_with("//")
                && url.chars().all(|c| c.is_ascii_graphic() && c != '\\')
        };
        match default_url {
            Some(url) if !is_path(&url) => Err(ConfigError::value(
                "pages.default_url",
                format!("{url:?} is no path on the hub's host; write \"/hub/home\", for example"),
            )),
            default_url => Ok(Landing { default_url, to_server: self.redirect_to_server }),
        }
    }
}
