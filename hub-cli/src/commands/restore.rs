//! `hub restore`

mod all;
mod directory;
mod files;
mod hub;
mod user;

use std::path::Path;

use secrecy::SecretString;

use crate::{
    args::{Restore, UsageError},
    backup::{
        form::Magic,
        passphrase, reader,
        spool::{self, Spool},
    },
    output::Output,
};

pub(crate) async fn run(command: Restore, output: &Output) -> anyhow::Result<()> {
    match command {
        Restore::Hub { input, how, passphrase_file, located } => {
            refuse_both(&input, passphrase_file.as_deref())?;
            let spool = spooled(&input)?;
            let input = spool.as_ref().map_or(input.as_path(), Spool::path);
            let passphrase = asked_for(input, passphrase_file.as_deref())?;
            hub::run(output, &located, input, how, passphrase.as_ref()).await
        }
        Restore::Directory { input, into, force, passphrase_file } => {
            let passphrase = asked_for(&input, passphrase_file.as_deref())?;
            directory::run(output, &input, &into, force, passphrase.as_ref())
        }
        Restore::All { input, how, wipe, merge, passphrase_file, located } => {
            let existing = user::Existing::new(wipe, merge);
            let folder = all::Folder::read(&input)?;
            let passphrase = asked_for(&folder.hub, passphrase_file.as_deref())?;
            all::run(output, &located, folder, how, existing, passphrase.as_ref()).await
        }
        Restore::User { user, input, wipe, merge, stop, volume, passphrase_file, located } => {
            refuse_both(&input, passphrase_file.as_deref())?;
            let spool = spooled(&input)?;
            let input = spool.as_ref().map_or(input, |spool| spool.path().to_owned());
            let passphrase = asked_for(&input, passphrase_file.as_deref())?;
            let existing = user::Existing::new(wipe, merge);
            let wanted = user::Wanted { user, input, existing, stop, volume, passphrase };
            user::run(output, &located, wanted).await
        }
    }
}

/// Only one thing can come by standard input.
fn refuse_both(input: &Path, passphrase: Option<&Path>) -> Result<(), UsageError> {
    let both =
        spool::is_standard(input) && passphrase == Some(Path::new(passphrase::STANDARD_INPUT));
    match both {
        true => Err(UsageError {
            message: "archive and passphrase cannot both come by standard input".to_owned(),
            hint: "put one of them into a file".to_owned(),
        }),
        false => Ok(()),
    }
}

/// The place of what comes by standard input, if that is meant.
fn spooled(input: &Path) -> anyhow::Result<Option<Spool>> {
    spool::is_standard(input).then(Spool::of_stdin).transpose()
}

/// The passphrase of an encrypted archive. Asked for once, since an archive is read
/// more often than that.
fn asked_for(archive: &Path, file: Option<&Path>) -> anyhow::Result<Option<SecretString>> {
    match reader::magic_of(archive)? {
        Magic::Age => passphrase::recall(file).map(Some),
        Magic::Gzip | Magic::Zstd | Magic::Other => Ok(None),
    }
}
