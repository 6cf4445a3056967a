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
/// used as it is.
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
            let wanted = labels::of_volume(&blueprint.deployment, owner);
            let volume = engine
                .ensure_volume(&source, &wanted)
                .await
                .map_err(|error| spawn_error("make the volume", error))?;
            if !labels::volume_fits(&volume.labels, &blueprint.deployment, owner) {
                return Err(SpawnError::Rejected {
                    what: format!("the volume {source}"),
                    reason: "it belongs to another user, server or hub".to_owned(),
                });
            }
        }
        binds.push(format!("{source}:{target}:rw"));
    }
    Ok(binds)
}
