//! The variables the program reads, and the only place that does.

use std::{env, ffi::OsString, path::PathBuf};

use secrecy::SecretString;

/// Set for a process that another one of us started in its place.
pub(super) const CHOSEN: &str = "HUB_PROXY_CHOSEN";

/// What the keys of --ssl-key and --api-ssl-key are encrypted with.
pub(super) const KEY_PASSPHRASE: &str = "CONFIGPROXY_SSL_KEY_PASSPHRASE";
pub(super) const API_KEY_PASSPHRASE: &str = "CONFIGPROXY_API_SSL_KEY_PASSPHRASE";

/// What the environment says.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) auth_token: Option<String>,
    pub(super) auth_token_file: Option<PathBuf>,
    /// What the keys of --ssl-key and --api-ssl-key are encrypted with.
    pub(super) ssl_key_passphrase: Option<SecretString>,
    pub(super) api_ssl_key_passphrase: Option<SecretString>,
    /// What a supervisor says of sockets that it passes on.
    pub(super) listen: Listen,
    /// Whether the choice of the program file has been made.
    pub(super) is_chosen: bool,
}

/// The variables of sd_listen_fds(3).
#[derive(Debug, Default)]
pub(super) struct Listen {
    /// `LISTEN_PID`: whom the sockets are for.
    pub(super) pid: Option<String>,
    /// `LISTEN_FDS`: how many there are.
    pub(super) count: Option<String>,
    /// `LISTEN_FDNAMES`: a name for each, with colons between.
    pub(super) names: Option<String>,
}

impl Environment {
    /// Reads this process's; an empty variable counts as unset.
    pub(super) fn read() -> Self {
        let text = |name| value(name).and_then(|value| value.into_string().ok());
        Self {
            auth_token: text("CONFIGPROXY_AUTH_TOKEN"),
            auth_token_file: value("CONFIGPROXY_AUTH_TOKEN_FILE").map(Into::into),
            ssl_key_passphrase: text(KEY_PASSPHRASE).map(Into::into),
            api_ssl_key_passphrase: text(API_KEY_PASSPHRASE).map(Into::into),
            listen: Listen {
                pid: text("LISTEN_PID"),
                count: text("LISTEN_FDS"),
                names: text("LISTEN_FDNAMES"),
            },
            is_chosen: value(CHOSEN).is_some(),
        }
    }
}

fn value(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}
