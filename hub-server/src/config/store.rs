//! `[store]`: where the hub's state is.

use std::path::{Path, PathBuf};

use hub_store::StoreConfig;
use serde::Deserialize;

use super::{
    ConfigError, CookieSecretSource,
    key::{Key, Kind, Section},
    secret::read_secret,
};

pub(super) const SECTION: Section = Section {
    name: "store",
    about: "The database, and the secret that signs cookies.",
    keys: &[
        Key::new(
            "store.url",
            Kind::DatabaseUrl,
            "The database: `sqlite://PATH`, a path, or `postgres://USER:PASSWORD@HOST/DATABASE`. A relative path is below `data_dir`.",
        )
        .default("\"sqlite://jupyterhub.sqlite\"")
        .restart(),
        Key::new(
            "store.url_file",
            Kind::File,
            "File that holds the URL, instead of `url`.",
        )
        .example("\"secrets/database\"")
        .restart(),
        Key::new(
            "store.data_dir",
            Kind::Place,
            "Directory of the database, the cookie secret and certificates that the hub obtains. Default: the directory of the configuration file.",
        )
        .example("\"/data\"")
        .restart(),
        Key::new(
            "store.cookie_secret_file",
            Kind::Place,
            "File with the secret that signs cookies; made when it is absent. A relative path is below `data_dir`.",
        )
        .default("\"jupyterhub_cookie_secret\"")
        .restart(),
        Key::new(
            "store.cookie_secret",
            Kind::Secret,
            "The cookie secret itself, 64 hexadecimal digits; better kept in a file.",
        )
        .restart(),
    ],
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStore {
    url: Option<String>,
    url_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    cookie_secret_file: Option<PathBuf>,
    cookie_secret: Option<String>,
}

impl RawStore {
    /// Where the hub keeps what is below no other place.
    pub(super) fn data_dir(&self, dir: &Path) -> PathBuf {
        self.data_dir.as_ref().map_or_else(|| dir.to_owned(), |data| dir.join(data))
    }

    pub(super) fn check(
        self,
        dir: &Path,
    ) -> Result<(StoreConfig, CookieSecretSource), ConfigError> {
        let data_dir = self.data_dir(dir);
        let url = match (self.url, self.url_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "store.url",
                    "is set twice, here and by store.url_file; remove one",
                ));
            }
            (Some(url), None) => url,
            (None, Some(file)) => read_secret("store.url_file", &dir.join(file))?,
            (None, None) => "sqlite://jupyterhub.sqlite".to_owned(),
        };
        let cookie_secret = match self.cookie_secret {
            Some(hex) => CookieSecretSource::Given(hex),
            None => CookieSecretSource::File(data_dir.join(
                self.cookie_secret_file.unwrap_or_else(|| "jupyterhub_cookie_secret".into()),
            )),
        };
        Ok((StoreConfig { url: absolute(&url, &data_dir) }, cookie_secret))
    }
}

/// A path alone is SQLite's, and a relative one is below `dir`.
fn absolute(url: &str, dir: &Path) -> String {
    let path = match url.split_once("://") {
        Some(("sqlite", path)) => path,
        Some(_) => return url.to_owned(),
        // A URL without its slashes; the store says what is wrong with it. It may
        // hold a password, and must not become the name of a file.
        None if ["sqlite:", "postgres:", "postgresql:"].iter().any(|s| url.starts_with(s)) => {
            return url.to_owned();
        }
        None => url,
    };
    if path.starts_with('/') || path == ":memory:" {
        return format!("sqlite://{path}");
    }
    format!("sqlite://{}", dir.join(path).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_named_by_url_or_path() {
        for (text, url) in [
            ("sqlite://hub.sqlite", "sqlite:///data/hub.sqlite"),
            ("sqlite:///srv/hub.sqlite", "sqlite:///srv/hub.sqlite"),
            ("hub.sqlite", "sqlite:///data/hub.sqlite"),
            ("/srv/hub.sqlite", "sqlite:///srv/hub.sqlite"),
            ("sqlite://:memory:", "sqlite://:memory:"),
            ("postgres://hub@db/hub", "postgres://hub@db/hub"),
        ] {
            assert_eq!(absolute(text, Path::new("/data")), url, "{text}");
        }
    }
}
