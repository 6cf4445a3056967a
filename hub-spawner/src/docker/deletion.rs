//! What is left of a user or server that is deleted for good (SPN-30), or that goes on
//! under another name.

use std::{io, path::Path};

use futures_util::StreamExt;
use hub_names::{ServerKey, UserName};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::{
    DockerSpawner, VolumeMigration,
    blueprint::Blueprint,
    error::spawn_error,
    isolation, labels,
    mounts::{MountPlan, Mounted},
    overrides::Override,
};
use crate::{
    SavedState, SpawnError, Spawner, StopMode,
    engine::{Engine, VolumeSummary},
};

/// What happens to volumes of a user who is deleted: those that carry this hub's labels
/// and the user's name, and with [`VolumeMigration::Adopt`] those without labels that are
/// called as the user's are. A volume of several is nobody's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnUserDelete {
    /// They stay.
    #[default]
    Keep,
    /// They are packed into `archive_dir` and removed.
    Archive,
    /// They are removed.
    Delete,
}

/// Removes what belongs to a server that is deleted: its containers, and volumes that
/// are its alone.
pub(super) async fn forget_server(
    spawner: &DockerSpawner,
    key: &ServerKey,
) -> Result<(), SpawnError> {
    spawner.stop(key, &SavedState::default(), StopMode::Now).await?;
    let blueprint = spawner.blueprint();
    remove_containers(spawner, key).await?;
    let labels = labels::of_volumes_of(&blueprint.deployment, key.user());
    let volumes = volumes(&spawner.engine, &labels).await?;
    // A volume of all the user's servers stays.
    let own = volumes
        .into_iter()
        .filter(|volume| labels::server(&volume.labels) == Some(key.server().as_str()));
    dispose(&spawner.engine, &blueprint, own.collect()).await
}

/// The same for all of a user's servers, and all volumes of the user.
pub(super) async fn forget_user(
    spawner: &DockerSpawner,
    user: &UserName,
) -> Result<(), SpawnError> {
    let blueprint = spawner.blueprint();
    remove_containers_of(spawner, user).await?;
    isolation::release(&spawner.engine, &blueprint, user).await;
    let volumes = volumes_of(&spawner.engine, &blueprint, user).await?;
    let (ours, others) = volumes.into_iter().partition::<Vec<_>, _>(|volume| {
        blueprint.volume_migration == VolumeMigration::Adopt
            || labels::is_of_deployment(&volume.labels, &blueprint.deployment)
    });
    dispose(&spawner.engine, &blueprint, ours).await?;
    if blueprint.on_user_delete != OnUserDelete::Keep && !others.is_empty() {
        let names: Vec<&str> = others.iter().map(|volume| volume.name.as_str()).collect();
        tracing::warn!(
            %user,
            volumes = names.join(", "),
            "volumes without this hub's labels may be another hub's, so they stay: remove them \
             if they are not, or whoever has this name next gets them; with volume_migration = \
             \"adopt\" they count as the user's"
        );
    }
    Ok(())
}

/// Removes the containers of all servers of `user`.
pub(super) async fn remove_containers_of(
    spawner: &DockerSpawner,
    user: &UserName,
) -> Result<(), SpawnError> {
    let labels = labels::of_servers_of(&spawner.blueprint().deployment, user);
    let found = spawner.engine.containers(&labels).await;
    for container in found.map_err(|error| spawn_error("look for servers", error))? {
        spawner.remove(&container.id).await?;
    }
    Ok(())
}

/// Directories with the name of `user` in theirs. Whether they are there only Docker's
/// machine could tell. Overrides count for everybody, since groups change.
fn places_of(blueprint: &Blueprint, user: &UserName) -> Vec<String> {
    let (names, key) = (&blueprint.names, ServerKey::default_of(user.clone()));
    let common = (&*blueprint.volumes, &*blueprint.mounts);
    let all = [common].into_iter().chain(blueprint.overrides.iter().map(Override::places));
    let homes = blueprint.system_users.as_ref().map(|_| format!("the home of {user} on the host"));
    let of = |(volumes, mounts): (&[Mounted], &[MountPlan])| -> Vec<String> {
        let volumes = volumes.iter().filter_map(|one| one.place_of(names, &key));
        volumes.chain(mounts.iter().filter_map(|one| one.place_of(names, &key))).collect()
    };
    all.flat_map(of).chain(homes).collect()
}

/// Refuses to give `user` another name while there are volumes with this one in
/// theirs, which Docker cannot rename, or places for directories.
pub(super) async fn refuse_to_leave_volumes(
    spawner: &DockerSpawner,
    user: &UserName,
) -> Result<(), SpawnError> {
    let blueprint = spawner.blueprint();
    let volumes = volumes_of(&spawner.engine, &blueprint, user).await?;
    let mut names: Vec<String> = volumes.into_iter().map(|volume| volume.name).collect();
    names.extend(places_of(&blueprint, user));
    if names.is_empty() {
        return Ok(());
    }
    Err(SpawnError::Rejected {
        what: "renaming this user".to_owned(),
        reason: format!(
            "the files are in {}, which would stay behind and be open to whoever is called {user} \
             next; make the new user, copy the files there, and delete the old one",
            names.join(", ")
        ),
    })
}

async fn remove_containers(spawner: &DockerSpawner, key: &ServerKey) -> Result<(), SpawnError> {
    for id in spawner.find(key).await? {
        spawner.remove(&id).await?;
    }
    Ok(())
}

async fn volumes(
    engine: &Engine,
    labels: &crate::engine::Labels,
) -> Result<Vec<VolumeSummary>, SpawnError> {
    engine.volumes(labels).await.map_err(|error| spawn_error("look for volumes", error))
}

/// The volumes of `user` alone: those that are labelled so, and those without labels
/// that are called as the user's are, now or by older spawners.
pub(super) async fn volumes_of(
    engine: &Engine,
    blueprint: &Blueprint,
    user: &UserName,
) -> Result<Vec<VolumeSummary>, SpawnError> {
    let mut all = volumes(engine, &labels::of_volumes_of(&blueprint.deployment, user)).await?;
    for (name, older) in blueprint.volume_names_with_older_of(user) {
        for name in [name].into_iter().chain(older) {
            if all.iter().any(|known| known.name == name) {
                continue;
            }
            let found = engine.volume(&name).await;
            let found = found.map_err(|error| spawn_error("look for volumes", error))?;
            all.extend(found.filter(|volume| {
                labels::volume_is_of(&volume.labels, &blueprint.deployment, user)
            }));
        }
    }
    Ok(all)
}

async fn dispose(
    engine: &Engine,
    blueprint: &Blueprint,
    volumes: Vec<VolumeSummary>,
) -> Result<(), SpawnError> {
    for volume in volumes {
        match (blueprint.on_user_delete, &blueprint.archive_dir) {
            (OnUserDelete::Keep, _) => continue,
            (OnUserDelete::Archive, Some(dir)) => {
                archive(engine, blueprint, &volume.name, dir).await?;
            }
            // Without a directory the configuration is refused.
            (OnUserDelete::Archive, None) | (OnUserDelete::Delete, _) => {}
        }
        let failed = |error| spawn_error("remove a volume", error);
        // A transfer that was given up may still hold it.
        engine.remove_volume_helpers(&volume.name).await.map_err(failed)?;
        engine.remove_volume(&volume.name).await.map_err(failed)?;
    }
    Ok(())
}

/// Packs a volume into a file that appears under its name when it is complete. An
/// older archive of the name is kept beside it.
async fn archive(
    engine: &Engine,
    blueprint: &Blueprint,
    volume: &str,
    dir: &Path,
) -> Result<(), SpawnError> {
    let failed = |error: io::Error| SpawnError::Backend {
        action: "write the archive of a volume",
        hint: Some("the archive could not be written; check archive_dir"),
        source: error.into(),
    };
    tokio::fs::create_dir_all(dir).await.map_err(failed)?;
    let mut count = 0_u32;
    let target = loop {
        let name = match count {
            0 => format!("{volume}.tar"),
            _ => format!("{volume}.{count}.tar"),
        };
        let path = dir.join(name);
        if !tokio::fs::try_exists(&path).await.map_err(failed)? {
            break path;
        }
        count += 1;
    };
    let part = target.with_extension("tar.part");
    let packed = async {
        let image = blueprint.image.to_string();
        let mut content = engine
            .export_volume(volume, &image)
            .await
            .map_err(|error| spawn_error("read a volume", error))?;
        let mut options = tokio::fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)
            .await
            .map_err(failed)?;
        while let Some(piece) = content.next().await {
            let piece = piece.map_err(|error| spawn_error("read a volume", error))?;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&part, &target).await.map_err(failed)
    };
    let outcome = packed.await;
    if outcome.is_err() {
        let _ = tokio::fs::remove_file(&part).await;
        let _ = engine.remove_volume_helpers(volume).await;
    }
    outcome
}
