//! The passphrase of an encrypted archive: from a file, or typed.

use std::{
    fs,
    io::{self, IsTerminal as _},
    path::Path,
};

use anyhow::Context;
use dialoguer::Password;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{args::UsageError, interrupt};

/// The file that means standard input.
pub(crate) const STANDARD_INPUT: &str = "-";
/// Shorter ones are guessed.
const SHORTEST: usize = 8;

/// A passphrase for a new archive, typed twice if it is typed.
pub(crate) fn choose(file: Option<&Path>) -> anyhow::Result<SecretString> {
    let passphrase = match file {
        Some(file) => read(file)?,
        None => {
            terminal("to encrypt the archive needs a passphrase")?;
            let asked = Password::new()
                .with_prompt("Passphrase of the archive")
                .with_confirmation("The same again", "They differ.");
            interrupt::question(|| asked.interact())?.into()
        }
    };
    if passphrase.expose_secret().chars().count() < SHORTEST {
        let error = UsageError {
            message: "the passphrase is too short".to_owned(),
            hint: format!(
                "take at least {SHORTEST} characters; several words are easy to remember"
            ),
        };
        return Err(error.into());
    }
    Ok(passphrase)
}

/// The passphrase of an existing archive.
pub(crate) fn recall(file: Option<&Path>) -> anyhow::Result<SecretString> {
    match file {
        Some(file) => read(file),
        None => {
            terminal("the archive is encrypted")?;
            let asked = Password::new().with_prompt("Passphrase of the archive");
            Ok(interrupt::question(|| asked.interact())?.into())
        }
    }
}

fn read(file: &Path) -> anyhow::Result<SecretString> {
    let text = match file == Path::new(STANDARD_INPUT) {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(file),
    };
    let text =
        text.with_context(|| format!("the passphrase file {} cannot be read", file.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
}

fn terminal(why: &str) -> Result<(), UsageError> {
    if io::stdin().is_terminal() && io::stderr().is_terminal() {
        return Ok(());
    }
    Err(UsageError {
        message: format!("{why}, and there is no terminal to ask at"),
        hint: "put the passphrase into a file and name it with --passphrase-file".to_owned(),
    })
}
