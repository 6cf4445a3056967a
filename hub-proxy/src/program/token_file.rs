//! The secret of the REST API in a file, which may change while the proxy runs.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::settings::{BadSetting, bad};
use crate::admin::{AdminApi, AdminToken};

/// The variable with its path.
pub(super) const NAME: &str = "CONFIGPROXY_AUTH_TOKEN_FILE";

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A file with nothing but the secret.
#[derive(Debug)]
pub(super) struct TokenFile(PathBuf);

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Takes up another secret when the file gets one. Never ends.
    pub(super) async fn keep_fresh(&self, api: &AdminApi) {
        let mut problems: u32 = 0;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match self.take_up(api) {
                Ok(()) => problems = 0,
                Err(error) => {
                    problems = problems.saturating_add(1);
                    // At the first look it may be half replaced.
                    if problems == 2 {
                        tracing::error!(%error, "the REST API's token was not replaced; the old one stays");
                    }
                }
            }
        }
    }

    /// Reads the file again; requests have to show what it holds from now on.
    pub(super) fn take_up(&self, api: &AdminApi) -> Result<(), BadSetting> {
        let secret = read(&self.0)?;
        if AdminToken::new(&secret).is_some_and(|token| api.replace_token(token)) {
            tracing::info!("The REST API's token was read again");
        }
        Ok(())
    }
}

/// The secret in a file, without the white space around it.
pub(super) fn read(path: &Path) -> Result<String, BadSetting> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| bad(NAME, format!("{shown}: cannot be read: {error}")))?;
    match text.trim() {
        "" => Err(bad(NAME, format!("{shown}: is empty; put the token there"))),
        secret => Ok(secret.to_owned()),
    }
}
