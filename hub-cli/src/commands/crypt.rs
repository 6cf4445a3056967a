//! `hub crypt`: the keys that seal what is kept of sign-ins. Speaks to no hub.

use hub_server::crypt::{self, Rotated};

use super::config::sources;
use crate::{args::Crypt, output::Output};

pub(crate) async fn run(command: Crypt, output: &Output) -> anyhow::Result<()> {
    let Crypt::Rotate { files } = command;
    let config = sources(files).load_sections(&["http", "store", "auth"])?.config;
    let rotated = crypt::rotate(&config).await?;
    if output.is_json() {
        return Ok(output.json(&serde_json::to_value(&rotated)?)?);
    }
    let Rotated { sealed_anew, in_order, unreadable } = rotated;
    output.line(&format!("sealed anew: {sealed_anew}; in order already: {in_order}"))?;
    if !unreadable.is_empty() {
        output.line(&format!(
            "{} cannot be opened by any key; those people sign in again",
            unreadable.len()
        ))?;
    }
    Ok(output.line("The other keys can be taken away now.")?)
}
