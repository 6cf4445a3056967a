//! `hub backup hub`

use std::{
    fs::File,
    io::{self, BufWriter, Seek as _, Write as _},
    path::Path,
};

use anyhow::Context;
use hub_server::config::Config;
use hub_store::{Origin, Store};
use secrecy::SecretString;
use serde_json::json;

use super::program;
use crate::{
    args::{Secrets, UsageError},
    backup::{
        form::Form,
        hub_archive, inventory,
        manifest::Manifest,
        passphrase, reader,
        spool::{self, Spool},
        writer::{self, ArchiveWriter},
    },
    configuration::{Located, Subject},
    output::Output,
};

pub(super) async fn run(
    output: &Output,
    located: &Located,
    secrets: &Secrets,
    path: &Path,
) -> anyhow::Result<()> {
    let spool = match spool::is_standard(path) {
        true => Some(Spool::new(match secrets.with_secrets {
            true => "hub.tar.age",
            false => "hub.tar",
        })?),
        false => None,
    };
    let file = spool.as_ref().map_or(path, Spool::path);
    let form = form(file, secrets.with_secrets)?;
    writer::refuse_existing(file)?;
    let subject = located.subject().await?;
    let passphrase = match form.sealed {
        true => Some(passphrase::choose(secrets.passphrase_file.as_deref())?),
        false => None,
    };
    let saved = save(output, &subject, secrets, file, passphrase.as_ref()).await?;
    let Some(spool) = spool else {
        let told = format!("The hub is saved in {}.", path.display());
        return report(output, &told, path, &saved.manifest);
    };
    // Only after it was read again: who receives it cannot be told otherwise.
    spool.to_stdout()?;
    if !saved.manifest.left_out.is_empty() {
        output.note(&format!("Not in the archive: {}", saved.manifest.left_out.join("; ")));
    }
    Ok(())
}

/// What was saved.
#[derive(Debug)]
pub(super) struct Saved {
    pub(super) manifest: Manifest,
    /// The store as it is in the archive.
    pub(super) store: File,
}

/// Writes the archive and reads it again.
pub(super) async fn save(
    output: &Output,
    subject: &Subject<'_>,
    secrets: &Secrets,
    path: &Path,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<Saved> {
    let form = form(path, secrets.with_secrets)?;
    match subject {
        Subject::Here(located) => {
            Box::pin(save_here(output, located, secrets, path, passphrase, form)).await
        }
        Subject::Deployed(hub) => {
            let (manifest, store) = Box::pin(hub.save(form, secrets, passphrase, path)).await?;
            Ok(Saved { manifest, store })
        }
    }
}

async fn save_here(
    output: &Output,
    located: &Located,
    secrets: &Secrets,
    path: &Path,
    passphrase: Option<&SecretString>,
    form: Form,
) -> anyhow::Result<Saved> {
    let config = located.configured()?;
    let inventory = inventory::collect(located, &config, secrets)?;
    let mut store = exported(&config, path, output).await?;
    let mut archive = ArchiveWriter::create(path, form, passphrase)?;
    let manifest = Manifest::new(program(), output.now(), secrets.with_secrets);
    let manifest = hub_archive::write(&mut archive, manifest, &inventory, Some(&mut store))?;
    archive.finish()?;

    let ask = || passphrase.cloned().context("the archive asks for a passphrase");
    hub_archive::check(reader::open(path, ask)?, &mut io::sink())
        .with_context(|| format!("{} was written, but cannot be read again", path.display()))?;
    store.rewind()?;
    Ok(Saved { manifest, store })
}

/// The store as it is now, in a file without a name beside the archive.
async fn exported(config: &Config, path: &Path, output: &Output) -> anyhow::Result<File> {
    let file = tempfile::tempfile_in(writer::directory(path))
        .with_context(|| format!("no file can be made beside {}", path.display()))?;
    let store = Store::open_read_only(&config.store).await.context(
        "the store cannot be read; a hub that `cargo xtask deploy` made is named with --deployment",
    )?;
    let mut out = BufWriter::new(file);
    let origin = Origin { program: program(), created: output.now() };
    let exported = store.export(&mut out, &origin).await;
    store.close().await;
    let beside = || format!("the store could not be exported beside {}", path.display());
    exported.with_context(beside)?;
    out.flush().with_context(beside)?;
    Ok(out.into_inner().map_err(io::IntoInnerError::into_error)?)
}

/// The form of the archive; secrets go into an encrypted one only.
pub(super) fn form(path: &Path, with_secrets: bool) -> Result<Form, UsageError> {
    let name = path.to_string_lossy();
    let form = Form::of_name(&name)?;
    if with_secrets && !form.sealed {
        return Err(UsageError {
            message: "an archive with secrets is encrypted, and its name has to say so".to_owned(),
            hint: format!("call it {name}.age"),
        });
    }
    Ok(form)
}

/// Says what was saved, and what was not.
pub(super) fn report(
    output: &Output,
    told: &str,
    path: &Path,
    manifest: &Manifest,
) -> anyhow::Result<()> {
    if output.is_json() {
        let file = path.display().to_string();
        return Ok(output.json(&json!({ "file": file, "manifest": manifest }))?);
    }
    output.line(told)?;
    if !manifest.left_out.is_empty() {
        output.line("Not in it:")?;
        for what in &manifest.left_out {
            output.line(&format!("  {what}"))?;
        }
    }
    Ok(())
}
