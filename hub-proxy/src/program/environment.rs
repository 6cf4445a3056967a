//! The variables the program reads, and the only place that does.

use std::{env, ffi::OsString, path::PathBuf};

/// Set for a process that another one of us started in its place.
pub(super) const CHOSEN: &str = "HUB_PROXY_CHOSEN";

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) auth_token: Option<String>,
    pub(super) auth_token_file: Option<PathBuf>,
    /// Names of variables that ask for something we do not do.
    pub(super) unbuilt: Vec<&'static str>,
    /// Whether the choice of the program file has been made.
    pub(super) is_chosen: bool,
}

/// Variables of configurable-http-proxy without effect here.
const UNBUILT: [&str; 2] = ["CONFIGPROXY_SSL_KEY_PASSPHRASE", "CONFIGPROXY_API_SSL_KEY_PASSPHRASE"];

impl Environment {
    /// Reads this process's; an empty variable counts as unset.
    pub(super) fn read() -> Self {
        let text = |name| value(name).and_then(|value| value.into_string().ok());
        Self {
            auth_token: text("CONFIGPROXY_AUTH_TOKEN"),
            auth_token_file: value("CONFIGPROXY_AUTH_TOKEN_FILE").map(Into::into),
            unbuilt: UNBUILT.into_iter().filter(|name| value(name).is_some()).collect(),
            is_chosen: value(CHOSEN).is_some(),
        }
    }
}

fn value(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
