//! `hub backup all`

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, DirBuilder, File},
    io::{self, BufReader},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use hub_store::UserName;
use jiff::Zoned;
use secrecy::SecretString;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{directory, hub, user::Saving};
use crate::{
    args::Secrets,
    backup::{
        form::{Compression, Form},
        passphrase,
        run_index::{Owner, RunIndex},
        runs::{self, Keep},
        schedule::Schedule,
        user_file,
        volumes::Volumes,
    },
    configuration::{Located, Subject},
    interrupt::{self, Interrupted},
    output::Output,
};

/// How long a wait is at most before the clock is looked at again: it may have
/// been set, or the machine may have slept.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What each run does.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    /// Where the operator's files are, which are saved as well.
    pub(super) of_operator: Option<PathBuf>,
    pub(super) keep: Option<Keep>,
    pub(super) secrets: Secrets,
    pub(super) located: Located,
}

/// How one part of a run has ended.
#[derive(Debug)]
struct Part {
    what: String,
    file: String,
    outcome: Result<u64, String>,
}

/// What to keep; everything, if nothing is said.
pub(super) fn keep(daily: Option<u16>, weekly: Option<u16>) -> Option<Keep> {
    (daily.is_some() || weekly.is_some())
        .then(|| Keep { daily: daily.unwrap_or(0), weekly: weekly.unwrap_or(0) })
}

pub(super) async fn run(
    output: &Output,
    plan: &Plan,
    schedule: Option<Schedule>,
) -> anyhow::Result<()> {
    let passphrase = match plan.secrets.with_secrets {
        true => Some(passphrase::choose(plan.secrets.passphrase_file.as_deref())?),
        false => None,
    };
    let Some(schedule) = schedule else {
        return once(output, plan, passphrase.as_ref()).await;
    };
    // Said at once rather than at three in the morning.
    plan.located.subject().await?.volumes().await?;
    let mut end = End::listen()?;
    loop {
        let now = output.refreshed();
        let due = schedule.after(&now.local())?;
        now.note(&format!("The next backup is due at {due}."));
        if !end.wait_until(&now, &due).await {
            return Ok(());
        }
        let now = now.refreshed();
        // One bad night must not end the backups of all others.
        if let Err(error) = once(&now, plan, passphrase.as_ref()).await {
            if interrupt::is_pressed() {
                return Err(error);
            }
            now.note(&format!("The backup has failed: {error:#}"));
        }
    }
}

/// The signals that end the program between two runs. `SIGTERM` during a run is
/// heard after it.
struct End {
    terminated: Signal,
    interrupted: Signal,
}

impl End {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminated: signal(SignalKind::terminate())?,
            interrupted: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits; returns whether the time has come, and not the end.
    async fn wait_until(&mut self, output: &Output, due: &Zoned) -> bool {
        loop {
            let left = due.timestamp().duration_since(output.refreshed().now());
            let Ok(left) = Duration::try_from(left) else { return true };
            if left.is_zero() {
                return true;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(LONGEST_WAIT)) => {}
                _ = self.terminated.recv() => return false,
                _ = self.interrupted.recv() => return false,
            }
        }
    }
}

async fn once(
    output: &Output,
    plan: &Plan,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<()> {
    let subject = plan.located.subject().await?;
    if let Subject::Here(located) = subject {
        located.configured()?;
    }
    let name = runs::name(output.now());
    let partial = plan.directory.join(format!("{name}{}", runs::PARTIAL));
    let folder = plan.directory.join(&name);
    if folder.exists() {
        bail!("{} exists already", folder.display());
    }
    make_private(&plan.directory, true)?;
    make_private(&partial, false)?;

    let (hub, store) = save_hub(output, plan, &subject, &partial, passphrase).await;
    let mut parts = vec![hub];
    if let Some(directory) = &plan.of_operator {
        parts.push(save_directory(output, plan, directory, &partial, passphrase));
    }
    let mut interrupted = interrupt::check();
    if interrupted.is_ok() {
        match subject.volumes().await {
            Ok(volumes) => {
                make_private(&partial.join("users"), false)?;
                let mut index = RunIndex::default();
                interrupted =
                    save_users(output, &volumes, store, &partial, &mut parts, &mut index).await;
                if let Err(error) = index.write(&partial) {
                    parts.push(failed("whose files they are", &error));
                }
            }
            Err(error) => parts.push(failed("users", &error)),
        }
    }
    if let Err(interrupted) = interrupted {
        let saved = parts.iter().filter(|part| part.outcome.is_ok()).count();
        report(output, &partial, &parts, &[])?;
        return Err(anyhow::Error::new(interrupted).context(format!(
            "the run is not complete: {saved} parts are saved in {}",
            partial.display()
        )));
    }

    let failures = parts.iter().filter(|part| part.outcome.is_err()).count();
    let place = if failures == 0 {
        fs::rename(&partial, &folder)?;
        folder
    } else {
        partial
    };
    let removed = match plan.keep {
        Some(keep) if failures == 0 => remove_old(&plan.directory, keep, output)?,
        _ => Vec::new(),
    };
    report(output, &place, &parts, &removed)?;
    if failures > 0 {
        bail!("{failures} of {} parts of the backup have failed", parts.len());
    }
    Ok(())
}

async fn save_hub(
    output: &Output,
    plan: &Plan,
    subject: &Subject<'_>,
    folder: &Path,
    passphrase: Option<&SecretString>,
) -> (Part, Option<File>) {
    let file = if plan.secrets.with_secrets { "hub.tar.zst.age" } else { "hub.tar.zst" };
    let path = folder.join(file);
    match hub::save(output, subject, &plan.secrets, &path, passphrase).await {
        Ok(saved) => (part("hub", file, &path, Ok(())), Some(saved.store)),
        Err(error) => (part("hub", file, &path, Err(error)), None),
    }
}

fn save_directory(
    output: &Output,
    plan: &Plan,
    directory: &Path,
    folder: &Path,
    passphrase: Option<&SecretString>,
) -> Part {
    let file =
        if plan.secrets.with_secrets { "directory.tar.zst.age" } else { "directory.tar.zst" };
    let path = folder.join(file);
    let saved = directory::save(output, directory, &plan.secrets, &path, passphrase);
    part("directory", file, &path, saved.map(drop))
}

async fn save_volume(
    saving: &mut Saving<'_>,
    user: &UserName,
    volume: &str,
    several: bool,
    folder: &Path,
) -> Part {
    let file = format!("users/{}", user_file::name(user, volume, several));
    let path = folder.join(&file);
    let form = Form { compression: Compression::Zstd, sealed: false };
    let saved = saving.save(volume, &path, form).await;
    part(&format!("{user}: {volume}"), &file, &path, saved.map(drop))
}

fn part(what: &str, file: &str, path: &Path, saved: anyhow::Result<()>) -> Part {
    let size = || Ok(fs::metadata(path)?.len());
    let outcome = saved.and_then(|()| size()).map_err(|error| format!("{error:#}"));
    Part { what: what.to_owned(), file: file.to_owned(), outcome }
}

/// Saves the volumes of everybody who has one: by its labels, or by the store's
/// list of users and the configured name.
async fn save_users(
    output: &Output,
    volumes: &Volumes,
    store: Option<File>,
    folder: &Path,
    parts: &mut Vec<Part>,
    index: &mut RunIndex,
) -> Result<(), Interrupted> {
    let mut all = match volumes.of_all().await {
        Ok(all) => all,
        Err(error) => {
            parts.push(failed("users", &error));
            return interrupt::check();
        }
    };
    // Those with labels are saved in any case.
    if let Some(store) = store
        && let Err(error) = add_unlabelled(volumes, store, &mut all).await
    {
        parts.push(failed("users in the store", &error));
    }
    let mut saving = Saving::new(output, volumes);
    for (user, names) in &all {
        for name in names {
            interrupt::check()?;
            let part = save_volume(&mut saving, user, name, names.len() > 1, folder).await;
            let is_saved = part.outcome.is_ok();
            parts.push(part);
            if is_saved {
                let volume = (names.len() > 1).then(|| name.clone());
                let file = user_file::name(user, name, names.len() > 1);
                index.insert(file, Owner { user: user.clone(), volume });
            } else {
                // Maybe that is why.
                interrupt::check()?;
            }
        }
    }
    Ok(())
}

async fn add_unlabelled(
    volumes: &Volumes,
    store: File,
    all: &mut BTreeMap<UserName, BTreeSet<String>>,
) -> anyhow::Result<()> {
    for user in hub_store::exported_users(BufReader::new(store))? {
        let found = volumes.of_user(&user).await?;
        if !found.is_empty() {
            all.entry(user).or_default().extend(found);
        }
    }
    Ok(())
}

fn failed(what: &str, error: &anyhow::Error) -> Part {
    Part { what: what.to_owned(), file: String::new(), outcome: Err(format!("{error:#}")) }
}

fn remove_old(directory: &Path, keep: Keep, output: &Output) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.extend(entry.file_name().into_string());
        }
    }
    let gone = runs::expendable(&names, keep, output.local().time_zone());
    for name in &gone {
        fs::remove_dir_all(directory.join(name))
            .with_context(|| format!("the old backup {name} cannot be removed"))?;
    }
    Ok(gone)
}

fn report(output: &Output, place: &Path, parts: &[Part], removed: &[String]) -> anyhow::Result<()> {
    if output.is_json() {
        let list: Vec<_> = parts
            .iter()
            .map(|part| match &part.outcome {
                Ok(bytes) => json!({"what": part.what, "file": part.file, "bytes": bytes}),
                Err(error) => json!({"what": part.what, "file": part.file, "error": error}),
            })
            .collect();
        let folder = place.display().to_string();
        return Ok(output.json(&json!({"folder": folder, "parts": list, "removed": removed}))?);
    }
    let rows: Vec<_> = parts
        .iter()
        .map(|part| {
            let (size, state) = match &part.outcome {
                Ok(bytes) => (bytes.to_string(), "saved and read again".to_owned()),
                Err(error) => (String::new(), format!("FAILED: {error}")),
            };
            [part.what.clone(), part.file.clone(), size, state]
        })
        .collect();
    output.table(["WHAT", "FILE", "BYTES", "OUTCOME"], &rows, "")?;
    output.line(&format!("In {}", place.display()))?;
    for name in removed {
        output.line(&format!("Removed: {name}"))?;
    }
    Ok(())
}

fn make_private(path: &Path, may_exist: bool) -> anyhow::Result<()> {
    match DirBuilder::new().mode(0o700).recursive(false).create(path) {
        Err(error) if may_exist && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.with_context(|| format!("{} cannot be made", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_removed_unless_it_was_said_what_to_keep() {
        assert_eq!(keep(None, None), None);
        assert_eq!(keep(Some(7), None), Some(Keep { daily: 7, weekly: 0 }));
    }
}
