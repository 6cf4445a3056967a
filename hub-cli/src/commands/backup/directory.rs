//! `hub backup directory`

use std::{io, path::Path};

use anyhow::Context;
use secrecy::SecretString;

use super::{
    hub::{form, report},
    program,
};
use crate::{
    args::Secrets,
    backup::{
        hub_archive,
        manifest::Manifest,
        operator_directory, passphrase, reader,
        writer::{self, ArchiveWriter},
    },
    output::Output,
};

pub(super) fn run(
    output: &Output,
    directory: &Path,
    secrets: &Secrets,
    path: &Path,
) -> anyhow::Result<()> {
    let form = form(path, secrets.with_secrets)?;
    writer::refuse_existing(path)?;
    let passphrase = match form.sealed {
        true => Some(passphrase::choose(secrets.passphrase_file.as_deref())?),
        false => None,
    };
    let manifest = save(output, directory, secrets, path, passphrase.as_ref())?;
    report(output, &format!("The directory is saved in {}.", path.display()), path, &manifest)
}

/// Writes the archive and reads it again.
pub(super) fn save(
    output: &Output,
    directory: &Path,
    secrets: &Secrets,
    path: &Path,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<Manifest> {
    let form = form(path, secrets.with_secrets)?;
    let inventory = operator_directory::collect(directory, secrets.with_secrets)?;
    let mut archive = ArchiveWriter::create(path, form, passphrase)?;
    let manifest = Manifest::new(program(), output.now(), secrets.with_secrets);
    let manifest = hub_archive::write(&mut archive, manifest, &inventory, None)?;
    archive.finish()?;
    let ask = || passphrase.cloned().context("the archive asks for a passphrase");
    hub_archive::check(reader::open(path, ask)?, &mut io::sink())
        .with_context(|| format!("{} was written, but cannot be read again", path.display()))?;
    Ok(manifest)
}
