//! `hub restore all`

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use hub_store::UserName;
use secrecy::SecretString;

use super::{hub, user};
use crate::{
    args::{HowHub, UsageError},
    backup::{run_index::RunIndex, runs, user_file},
    configuration::Located,
    interrupt,
    output::Output,
};

/// What the archive of the hub may be called in a run.
const HUB: [&str; 2] = ["hub.tar.zst.age", "hub.tar.zst"];
const USERS: &str = "users";

/// A run of `hub backup all`.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) hub: PathBuf,
    users: Vec<OfUser>,
}

#[derive(Debug)]
struct OfUser {
    user: UserName,
    volume: Option<String>,
    file: PathBuf,
}

impl Folder {
    /// Looks at what there is, before anything is changed.
    ///
    /// # Errors
    ///
    /// When it is no run, one that has failed, or holds files that are nobody's.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        if path.to_string_lossy().trim_end_matches('/').ends_with(runs::PARTIAL) {
            let error = UsageError {
                message: format!("{} is a run that has failed in part", path.display()),
                hint: "restore what is in it one by one: hub restore hub, hub restore user"
                    .to_owned(),
            };
            return Err(error.into());
        }
        let Some(hub) = HUB.iter().map(|name| path.join(name)).find(|file| file.is_file()) else {
            let error = UsageError {
                message: format!("{} is no run of hub backup all", path.display()),
                hint: "name the folder with hub.tar.zst in it; runs are called after their times"
                    .to_owned(),
            };
            return Err(error.into());
        };
        let directory = path.join(USERS);
        let index = RunIndex::read(path)?;
        let mut users = Vec::new();
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("{} cannot be read", directory.display()))?;
        for entry in entries {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let listed = index.get(&name).cloned().map(|owner| (owner.user, owner.volume));
            let Some((user, volume)) = listed.or_else(|| user_file::owner(&name)) else {
                bail!(
                    "{} does not say whose it is; move it away, and restore it with hub restore \
                     user",
                    file.display()
                );
            };
            users.push(OfUser { user, volume, file });
        }
        users.sort_by(|one, other| one.file.cmp(&other.file));
        Ok(Self { hub, users })
    }
}

/// The hub first: who there is decides what volumes are called. One that was
/// stopped for this stays down until the files are there: somebody who is signed in
/// again must not start a server on an empty volume.
pub(super) async fn run(
    output: &Output,
    located: &Located,
    folder: Folder,
    how: HowHub,
    existing: user::Existing,
    passphrase: Option<&SecretString>,
) -> anyhow::Result<()> {
    let hub = &folder.hub;
    let down = Box::pin(hub::bring_back(output, located, hub, how, passphrase)).await?;
    let all = folder.users.len();
    let outcome = volumes(output, located, folder.users, how, existing).await;
    match (down, &outcome) {
        (Some(hub), Err(_)) => {
            return outcome.map(drop).with_context(|| {
                format!(
                    "the hub's store is restored and the hub is down: run this again with --wipe, \
                     or start it as it is: docker start {}",
                    hub.name()
                )
            });
        }
        (Some(hub), Ok(_)) => hub::begin_again(output, &hub).await?,
        (None, _) => {}
    }
    match outcome? {
        0 => Ok(()),
        failures => bail!("the hub is restored, but {failures} of {all} volumes are not"),
    }
}

/// Brings back the files of all; how many volumes failed.
///
/// # Errors
///
/// Only when somebody presses Ctrl-C.
async fn volumes(
    output: &Output,
    located: &Located,
    users: Vec<OfUser>,
    how: HowHub,
    existing: user::Existing,
) -> anyhow::Result<usize> {
    let all = users.len();
    let mut failures = 0;
    for (done, OfUser { user, volume, file }) in users.into_iter().enumerate() {
        let restored = done - failures;
        let so_far = || format!("{restored} of {all} volumes are restored");
        interrupt::check().with_context(so_far)?;
        let wanted = user::Wanted {
            user: user.clone(),
            input: file,
            existing,
            stop: how.stop,
            volume,
            passphrase: None,
        };
        if let Err(error) = Box::pin(user::run(output, located, wanted)).await {
            if interrupt::is_pressed() {
                return Err(error.context(so_far()));
            }
            failures += 1;
            output.note(&format!("The files of {user} are not restored: {error:#}"));
            if let Some(error) = error.downcast_ref::<UsageError>() {
                output.note(&format!("hint: {}", error.hint));
            }
        }
    }
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::run_index::Owner;

    #[test]
    fn bak_4_a_folder_is_looked_at_before_anything_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let run = directory.path().join("2026-11-23T030000Z");
        let refused = |path: &Path| format!("{:#}", Folder::read(path).unwrap_err());
        fs::create_dir_all(run.join("users")).unwrap();
        assert!(refused(&run).contains("no run of hub backup all"));
        fs::write(run.join("hub.tar.zst"), "").unwrap();
        for name in ["ada.tar.zst", "bob@two.tar.zst", "bob@one.tar.zst"] {
            fs::write(run.join("users").join(name), "").unwrap();
        }
        let folder = Folder::read(&run).unwrap();
        let found: Vec<_> =
            folder.users.iter().map(|one| (one.user.as_str(), one.volume.as_deref())).collect();
        assert_eq!(found, [("ada", None), ("bob", Some("one")), ("bob", Some("two"))]);

        // One whose name was cut is in the list.
        let long: UserName = "x".repeat(255).parse().unwrap();
        let cut = user_file::name(&long, "v", false);
        fs::write(run.join("users").join(&cut), "").unwrap();
        assert!(refused(&run).contains("does not say whose it is"));
        let mut index = RunIndex::default();
        index.insert(cut, Owner { user: long.clone(), volume: None });
        index.write(&run).unwrap();
        let found = Folder::read(&run).unwrap().users;
        assert_eq!(found.last().map(|one| &one.user), Some(&long));

        fs::write(run.join("users/notes"), "").unwrap();
        assert!(refused(&run).contains("notes does not say whose it is"));
        let partial = directory.path().join("2026-11-23T030000Z.partial");
        fs::rename(&run, &partial).unwrap();
        assert!(refused(&partial).contains("failed in part"));
    }
}
