//! `hub restore hub`

use std::{
    io::{self, BufReader, BufWriter, Seek as _, Write as _},
    path::Path,
};

use anyhow::Context;
use hub_server::config::{Config, CookieSecretSource};
use hub_store::{ImportMode, Store, StoreConfig, StoreError};
use secrecy::SecretString;
use serde_json::json;

use super::files::{self, Step, Wanted};
use crate::{
    args::{HowHub, UsageError},
    backup::{
        deployed::Deployed,
        hub_archive::{self, Checked},
        inventory,
        manifest::Role,
        reader,
    },
    configuration::{Located, Subject},
    output::Output,
};

pub(super) async fn run(
    output: &Output,
    located: &Located,
    input: &Path,
    how: HowHub,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<()> {
    match Box::pin(bring_back(output, located, input, how, passphrase)).await? {
        Some(hub) => begin_again(output, &hub).await,
        None => Ok(()),
    }
}

/// Starts a hub that was stopped to be restored, and waits until it is well.
pub(super) async fn begin_again(output: &Output, hub: &Deployed) -> anyhow::Result<()> {
    output.note("Starting the hub again ...");
    hub.begin_again().await?;
    output.note("The hub answers.");
    Ok(())
}

/// Restores the hub; one that was stopped for this, to be started again.
pub(super) async fn bring_back(
    output: &Output,
    located: &Located,
    input: &Path,
    how: HowHub,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<Option<Box<Deployed>>> {
    let ask = || passphrase.cloned().context("the archive asks for a passphrase");
    if let Subject::Deployed(hub) = located.subject().await? {
        // A damaged archive stops no hub.
        let checked = hub_archive::check(reader::open(input, ask)?, &mut io::sink())
            .with_context(|| format!("{} cannot be restored", input.display()))?;
        refuse_directory(&checked, input)?;
        let said = Box::pin(hub.restore(input, passphrase, how.force, how.stop)).await?;
        let file = input.display().to_string();
        match output.is_json() {
            true => output.json(&json!({ "file": file, "said": said }))?,
            false => output.text(&said)?,
        }
        if !hub.was_running() {
            output.note("The hub was down and stays so; `cargo xtask deploy` starts it.");
            return Ok(None);
        }
        return Ok(Some(hub));
    }
    Box::pin(here(output, located, input, how, ask)).await?;
    Ok(None)
}

async fn here(
    output: &Output,
    located: &Located,
    input: &Path,
    how: HowHub,
    ask: impl FnOnce() -> anyhow::Result<SecretString>,
) -> anyhow::Result<()> {
    let force = how.force;
    // Everything is read and compared with its checksums before anything is
    // written anywhere.
    let archive = reader::open(input, ask)?;
    let mut store = BufWriter::new(tempfile::tempfile()?);
    let checked = hub_archive::check(archive, &mut store)
        .with_context(|| format!("{} cannot be restored", input.display()))?;
    refuse_directory(&checked, input)?;
    store.flush()?;
    let mut store = store.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    store.rewind()?;

    let wanted = match how.state_only {
        true => wanted_state(&checked, located.load()?),
        false => wanted(&checked, located)?,
    };
    let steps = files::plan(wanted, force)?;
    if let Ok(config) = located.load() {
        refuse_early(&config.store, force).await?;
    }
    let mut written = Vec::new();
    for (file, step) in &steps {
        files::perform(file, *step)?;
        if *step != Step::Keep {
            written.push(file.path.display().to_string());
        }
    }
    for path in &written {
        output.note(&format!("Written: {path}"));
    }

    let config = located.load().map_err(|error| incomplete(&checked, error))?;
    let mode = if force { ImportMode::Replace } else { ImportMode::Empty };
    let imported =
        Store::import(&config.store, BufReader::new(store), mode).await.map_err(explained)?;
    if output.is_json() {
        return Ok(output.json(&json!({
            "rows": imported.rows,
            "created": checked.manifest.created.to_string(),
            "written": written,
            "left_out": checked.manifest.left_out,
        }))?);
    }
    output.line(&format!(
        "Restored: the store with {} rows, as it was on {}.",
        imported.rows, checked.manifest.created
    ))?;
    if !checked.manifest.left_out.is_empty() {
        output.line("Not in the archive, so not restored:")?;
        for what in &checked.manifest.left_out {
            output.line(&format!("  {what}"))?;
        }
    }
    if differs(&checked, &config.cookie_secret) {
        output
            .line("The cookie secret is another one than then: everybody has to sign in again.")?;
    }
    Ok(output
        .line("Servers that do not run on this host are marked as stopped at the next start.")?)
}

/// Refuses an archive without a store.
fn refuse_directory(checked: &Checked, input: &Path) -> Result<(), UsageError> {
    match checked.manifest.member(Role::Store) {
        Some(_) => Ok(()),
        None => Err(UsageError {
            message: format!("{} is the archive of a directory", input.display()),
            hint: "bring it back with hub restore directory".to_owned(),
        }),
    }
}

/// The files of the archive, each with its place on this host.
fn wanted<'a>(checked: &'a Checked, located: &Located) -> anyhow::Result<Vec<Wanted<'a>>> {
    if located.file.is_none() && checked.manifest.member(Role::Config).is_some() {
        let error = UsageError {
            message: "the archive has a configuration file, and it is not said where it belongs"
                .to_owned(),
            hint: "name its place with --config; it is made if it does not exist".to_owned(),
        };
        return Err(error.into());
    }
    let directory = located.directory();
    let mut all = Vec::new();
    for member in &checked.manifest.members {
        let Some(content) = checked.files.get(&member.name) else { continue };
        let path = match (member.role, &located.file) {
            (Role::Config, Some(file)) => file.clone(),
            _ => match member.target(&directory) {
                Some(path) => path,
                None => continue,
            },
        };
        let (private, redacted) = (member.role.is_private(), member.redacted);
        let executable = member.executable;
        all.push(Wanted { path, content, private, redacted, executable });
    }
    Ok(all)
}

/// What the hub itself has written beside its store: the cookie secret, to where
/// this hub looks for it.
fn wanted_state(checked: &Checked, config: Config) -> Vec<Wanted<'_>> {
    let CookieSecretSource::File(path) = config.cookie_secret else { return Vec::new() };
    let secret = checked.manifest.member(Role::CookieSecret);
    let content = secret.and_then(|member| checked.files.get(&member.name));
    let wanted =
        |content| Wanted { path, content, private: true, redacted: false, executable: false };
    content.map(|content| wanted(content.as_slice())).into_iter().collect()
}

/// Looks at the store that is there before files are written; the import looks
/// again, under its lock.
async fn refuse_early(config: &StoreConfig, force: bool) -> anyhow::Result<()> {
    let Ok(there) = Store::open_read_only(config).await else { return Ok(()) };
    let users = there.users().count(None).await;
    there.close().await;
    if !force && matches!(users, Ok(1..)) {
        return Err(explained(StoreError::NotEmpty));
    }
    // A hub that runs would be given another configuration under its feet.
    match Store::open(config).await {
        Ok(store) => store.close().await,
        Err(error @ StoreError::InUse { .. }) => return Err(explained(error)),
        Err(_) => {}
    }
    Ok(())
}

/// Adds what can be done about it.
fn explained(error: StoreError) -> anyhow::Error {
    let hint = match &error {
        StoreError::NotEmpty => "replace what is in it with --force, or save it first: hub backup",
        StoreError::InUse { .. } => "stop the hub first",
        StoreError::Newer { .. } => "use a program at least as new as the one that saved it",
        _ => return error.into(),
    };
    UsageError { message: error.to_string(), hint: hint.to_owned() }.into()
}

/// The configuration is back but cannot be used: mostly, its secrets are missing.
fn incomplete(checked: &Checked, error: hub_server::config::ConfigError) -> anyhow::Error {
    let left_out = checked.manifest.left_out.join("; ");
    let hint = match left_out.is_empty() {
        true => "correct it and run this again; what is there already is left alone".to_owned(),
        false => format!(
            "the archive was made without: {left_out}. Put these in place and run this again; what \
             is there already is left alone"
        ),
    };
    let message = format!(
        "the files are restored, the store is not yet: the configuration cannot be used: {error}"
    );
    UsageError { message, hint }.into()
}

/// Whether sessions of then are worth nothing now.
fn differs(checked: &Checked, source: &CookieSecretSource) -> bool {
    const OF: &str = "cookie secret";
    let Some(then) = checked.manifest.fingerprints.iter().find(|found| found.of == OF) else {
        return false;
    };
    let now = match source {
        CookieSecretSource::Given(text) => Some(text.clone().into_bytes()),
        CookieSecretSource::File(path) => std::fs::read(path).ok(),
    };
    now.is_none_or(|secret| inventory::fingerprint(OF, &secret) != *then)
}
