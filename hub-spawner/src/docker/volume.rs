//! The volumes of a server: there before its container is.

use hub_names::ServerKey;

use super::{
    blueprint::Blueprint,
    error::spawn_error,
    labels::{self, VolumeOwner},
    object_name::is_object_name,
};
use crate::{SpawnError, engine::Engine};

/// Makes sure that the named volumes of `key` exist, and returns how to mount
/// everything, in Docker's notation `source:target:mode`.
///
/// Volumes are made here and not on the fly by the daemon, so that they carry
/// labels that tell whose they are (SPN-7). An unlabelled one that exists is
/// used as it is, also one that an older spawner called differently.
///
/// # Errors
///
/// [`SpawnError::Rejected`] if the user's name makes an impossible path, or a
/// volume of that name belongs to somebody else (B6).
pub(super) async fn ensure(
    engine: &Engine,
    blueprint: &Blueprint,
    key: &ServerKey,
) -> Result<Vec<String>, SpawnError> {
    let mut binds = Vec::new();
    for mounted in &blueprint.volumes {
        let (source, target) = mounted.render(&blueprint.names, key).map_err(|reason| {
            SpawnError::Rejected { what: "this user's volume".to_owned(), reason }
        })?;
        if is_object_name(&source) {
            let uses = |plain, raw| mounted.source.uses(plain) || mounted.source.uses(raw);
            let owner = VolumeOwner {
                user: uses("username", "raw_username").then(|| key.user().as_str()),
                server: uses("servername", "raw_servername").then(|| key.server().as_str()),
            };
            let older = mounted.older_volumes(&blueprint.names, key);
            let name = match older_one(engine, blueprint, owner, &source, older).await? {
                Some(name) => name,
                None => made(engine, blueprint, owner, source).await?,
            };
            binds.push(format!("{name}:{target}:rw"));
        } else {
            binds.push(format!("{source}:{target}:rw"));
        }
    }
    Ok(binds)
}

/// The volume called `name`, which is made if there is none.
async fn made(
    engine: &Engine,
    blueprint: &Blueprint,
    owner: VolumeOwner<'_>,
    name: String,
) -> Result<String, SpawnError> {
    let wanted = labels::of_volume(&blueprint.deployment, owner);
    let volume = engine
        .ensure_volume(&name, &wanted)
        .await
        .map_err(|error| spawn_error("make the volume", error))?;
    if !labels::volume_fits(&volume.labels, &blueprint.deployment, owner) {
        return Err(SpawnError::Rejected {
            what: format!("the volume {name}"),
            reason: "it belongs to another user, server or hub".to_owned(),
        });
    }
    Ok(name)
}

/// The user's volume of an older spawner, if there is one and none is called as
/// it should be: two would hide files of the user's (SPN-31).
async fn older_one(
    engine: &Engine,
    blueprint: &Blueprint,
    owner: VolumeOwner<'_>,
    wanted: &str,
    older: Vec<String>,
) -> Result<Option<String>, SpawnError> {
    let failed = |error| spawn_error("look for the volume", error);
    if older.is_empty() || engine.volume(wanted).await.map_err(failed)?.is_some() {
        return Ok(None);
    }
    for name in older {
        if let Some(found) = engine.volume(&name).await.map_err(failed)?
            && labels::volume_fits(&found.labels, &blueprint.deployment, owner)
        {
            tracing::info!(volume = name, wanted, "using the volume of an older spawner");
            return Ok(Some(name));
        }
    }
    Ok(None)
}
