//! Which database: the configured URL and what it stands for.

use std::{fmt, path::PathBuf};

use url::Url;

use crate::StoreError;

/// Parameters of a PostgreSQL URL that have a meaning. Others are refused, since
/// they are spelling mistakes, and the driver would log them with their value.
const POSTGRES_PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Where the store is kept.
///
/// | URL | database |
/// |---|---|
/// | `sqlite:///data/hub.sqlite` | the SQLite file `/data/hub.sqlite`; a fourth slash changes nothing |
/// | `sqlite://hub.sqlite` | a SQLite file, relative to the working directory |
/// | `/data/hub.sqlite`, `hub.sqlite` | the same without a scheme |
/// | `sqlite://:memory:` | SQLite in memory, gone with the process |
/// | `postgres://user:password@host/name`, `postgresql://...` | a PostgreSQL database |
///
/// Checked by [`Store::open`](crate::Store::open). `Debug` leaves a password out.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The URL.
    pub url: String,
}

/// What a store URL stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Memory,
    File(PathBuf),
    Postgres(Url),
}

impl StoreConfig {
    pub(crate) fn location(&self) -> Result<Location, StoreError> {
        let raw = self.url.as_str();
        let Some((scheme, rest)) = split_scheme(raw) else {
            return self.file(raw);
        };
        match scheme {
            "sqlite" => self.file(rest),
            "postgres" | "postgresql" => self.postgres(),
            other => Err(self.invalid(format!(
                "`{other}` is no known kind of store; use `sqlite` or `postgres`"
            ))),
        }
    }

    /// The error for this URL, told without its secrets.
    pub(crate) fn invalid(&self, reason: impl Into<String>) -> StoreError {
        StoreError::InvalidUrl { url: self.redacted(), reason: reason.into() }
    }

    fn file(&self, path: &str) -> Result<Location, StoreError> {
        if path == ":memory:" {
            return Ok(Location::Memory);
        }
        if path.is_empty() || path.ends_with('/') {
            return Err(self.invalid("it names no file"));
        }
        if path.contains('\0') {
            return Err(self.invalid("it contains a zero byte"));
        }
        // A parameter would silently become part of the file's name.
        if self.url.contains("://") && path.contains('?') {
            return Err(self.invalid("a SQLite URL takes no parameters"));
        }
        // `sqlite:////data/x` is how other programs write an absolute path.
        let path = match path.trim_start_matches('/') {
            relative if relative.len() == path.len() => path.to_owned(),
            absolute => format!("/{absolute}"),
        };
        Ok(Location::File(path.into()))
    }

    fn postgres(&self) -> Result<Location, StoreError> {
        let url = Url::parse(&self.url).map_err(|error| self.invalid(error.to_string()))?;
        if url.cannot_be_a_base() {
            return Err(self.invalid("`//` is missing after the colon"));
        }
        let unknown = url
            .query_pairs()
            .map(|(key, _)| key)
            .find(|key| !is_postgres_parameter(key))
            .map(|key| key.into_owned());
        match unknown {
            Some(key) => Err(self.invalid(format!("`{key}` is no known parameter"))),
            None => Ok(Location::Postgres(url)),
        }
    }

    /// The URL for people to read: no password, and no parameters, among which
    /// there may be another one.
    pub fn redacted(&self) -> String {
        match split_scheme(&self.url) {
            None | Some(("sqlite", _)) => self.url.clone(),
            Some((scheme, _)) => match Url::parse(&self.url) {
                Ok(mut url) if !url.cannot_be_a_base() => {
                    url.set_query(None);
                    url.set_fragment(None);
                    if url.password().is_some() && url.set_password(Some("***")).is_err() {
                        return format!("{scheme}://...");
                    }
                    url.into()
                }
                // Where the password is in such a text, nobody knows.
                _ => format!("{scheme}://..."),
            },
        }
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig").field("url", &self.redacted()).finish()
    }
}

fn split_scheme(raw: &str) -> Option<(&str, &str)> {
    // Without the slashes too: what was meant as a URL with a password must not
    // become the name of a file.
    raw.split_once("://").or_else(|| {
        raw.split_once(':')
            .filter(|(scheme, _)| matches!(*scheme, "sqlite" | "postgres" | "postgresql"))
    })
}

fn is_postgres_parameter(key: &str) -> bool {
    POSTGRES_PARAMETERS.contains(&key) || (key.starts_with("options[") && key.ends_with(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(url: &str) -> Result<Location, StoreError> {
        StoreConfig { url: url.to_owned() }.location()
    }

    #[test]
    fn a_url_or_a_path_names_a_sqlite_file() {
        let rows = [
            ("absolute", "sqlite:///data/hub.sqlite", "/data/hub.sqlite"),
            ("four slashes", "sqlite:////data/hub.sqlite", "/data/hub.sqlite"),
            ("relative", "sqlite://hub.sqlite", "hub.sqlite"),
            ("relative with folder", "sqlite://data/hub.sqlite", "data/hub.sqlite"),
            ("without slashes", "sqlite:hub.sqlite", "hub.sqlite"),
            ("bare", "/data/hub.sqlite", "/data/hub.sqlite"),
            ("bare relative", "./hub.sqlite", "./hub.sqlite"),
            ("blank and umlaut", "sqlite:///da ta/hüb", "/da ta/hüb"),
        ];
        for (label, url, path) in rows {
            assert_eq!(location(url).unwrap(), Location::File(path.into()), "{label}");
        }
        assert_eq!(location("sqlite::memory:").unwrap(), Location::Memory);
    }

    #[test]
    fn what_is_no_store_is_refused_with_the_reason() {
        let rows = [
            ("empty", "", "it names no file"),
            ("directory", "sqlite:///data/", "it names no file"),
            ("parameters", "sqlite:///x?mode=ro", "a SQLite URL takes no parameters"),
            ("typing mistake", "postgres://h/d?sslmod=x", "`sslmod` is no known parameter"),
            (
                "another database",
                "mysql://h/d",
                "`mysql` is no known kind of store; use `sqlite` or `postgres`",
            ),
        ];
        for (label, url, expected) in rows {
            let Err(StoreError::InvalidUrl { reason, .. }) = location(url) else {
                panic!("{label}: accepted");
            };
            assert_eq!(reason, expected, "{label}");
        }
    }

    #[test]
    fn no_text_about_a_url_shows_its_password() {
        for url in [
            "postgres://hub:hunter2@db/hub?sslmod=x",
            "postgres://hub@db/hub?password=hunter2&sslmod=x",
            "postgres://hub:hunter2@db:port/hub",
            "mysql://hub:hunter2@db/hub",
            "postgres:hub:hunter2@db/hub",
        ] {
            let config = StoreConfig { url: url.to_owned() };
            let error = config.location().unwrap_err();
            assert!(!format!("{error} {error:?} {config:?}").contains("hunter2"), "{url}");
        }
    }
}
