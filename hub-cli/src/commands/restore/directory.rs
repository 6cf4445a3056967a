//! `hub restore directory`

use std::{io, path::Path};

use anyhow::{Context, bail};
use secrecy::SecretString;
use serde_json::json;

use super::files::{self, Step, Wanted};
use crate::{
    args::UsageError,
    backup::{hub_archive, manifest::Role, reader},
    output::Output,
};

pub(super) fn run(
    output: &Output,
    input: &Path,
    into: &Path,
    force: bool,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<()> {
    let ask = || passphrase.cloned().context("the archive asks for a passphrase");
    let checked = hub_archive::check(reader::open(input, ask)?, &mut io::sink())
        .with_context(|| format!("{} cannot be restored", input.display()))?;
    if checked.manifest.member(Role::Store).is_some() {
        let error = UsageError {
            message: format!("{} is the archive of a hub", input.display()),
            hint: "bring it back with hub restore hub".to_owned(),
        };
        return Err(error.into());
    }
    let mut wanted = Vec::new();
    for member in &checked.manifest.members {
        let (Some(content), Some(place)) = (checked.files.get(&member.name), &member.place) else {
            continue;
        };
        if place.is_absolute() {
            bail!("{}: {} is no place in a directory", input.display(), place.display());
        }
        wanted.push(Wanted {
            path: into.join(place),
            content,
            private: member.role.is_private(),
            redacted: member.redacted,
            executable: member.executable,
        });
    }
    let mut written = Vec::new();
    for (file, step) in &files::plan(wanted, force)? {
        files::perform(file, *step)?;
        if *step != Step::Keep {
            written.push(file.path.display().to_string());
        }
    }
    let left_out = &checked.manifest.left_out;
    if output.is_json() {
        return Ok(output.json(&json!({ "written": written, "left_out": left_out }))?);
    }
    for path in &written {
        output.line(&format!("Written: {path}"))?;
    }
    if !left_out.is_empty() {
        output.line("Not in the archive; put these in place before you deploy:")?;
        for what in left_out {
            output.line(&format!("  {what}"))?;
        }
    }
    Ok(())
}
