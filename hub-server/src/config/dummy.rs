//! `[auth.dummy]`: one password for everybody, to try things out.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    ConfigError, HttpConfig,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "auth.dummy",
    about: "For trying out and measuring, on this machine only: anybody signs in as anybody with one password, as with JupyterHub's dummy authenticator. Who is let in is still decided by `[auth]`.",
    keys: &[Key::new(
        "auth.dummy.password",
        Kind::Secret,
        "The password. Refused unless `http.listen` is a loopback address.",
    )],
};

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawDummy {
    password: Option<SecretString>,
}

impl RawDummy {
    /// The password.
    pub(super) fn check(self, http: &HttpConfig) -> Result<SecretString, ConfigError> {
        if !http.listen.is_loopback() {
            return Err(ConfigError::value(
                "auth.dummy",
                "lets anybody be anybody, and http.listen is not an address of this machine only; write 127.0.0.1:PORT there, or use [auth.github] or [auth.password]",
            ));
        }
        self.password.filter(|password| !password.expose_secret().is_empty()).ok_or_else(|| {
            ConfigError::value(
                "auth.dummy.password",
                "is missing; write the one that all shall use",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Environment, parse};

    #[test]
    fn one_password_is_for_loopback_only_and_not_empty() {
        for (text, expected) in [
            ("[auth.dummy]\npassword = 'bench'", Ok(())),
            ("[http]\nlisten = '[::1]:80'\n[auth.dummy]\npassword = 'bench'", Ok(())),
            (
                "[http]\nlisten = '0.0.0.0:80'\n[auth.dummy]\npassword = 'bench'",
                Err("127.0.0.1:PORT"),
            ),
            ("[auth.dummy]\npassword = ''", Err("auth.dummy.password")),
            ("[auth.dummy]", Err("auth.dummy.password")),
        ] {
            let text = format!("{text}\n[spawner.docker]\nimage = 'lab'");
            let read = parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false);
            match (read, expected) {
                (Ok(loaded), Ok(())) => assert!(loaded.config.auth.dummy.is_some()),
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        }
    }
}
