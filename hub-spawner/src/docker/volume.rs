//! What is mounted into a server: there before its container is.

use bollard::models::Mount;
use futures_util::TryStreamExt;
use hub_names::ServerKey;
use serde::Deserialize;

use super::{
    blueprint::Blueprint,
    deletion::OnUserDelete,
    error::spawn_error,
    labels::{self, VolumeOwner},
    mounts::Making,
    new_volume::NewVolume,
    object_name::{by_server, by_user, is_object_name},
    ownership,
};
use crate::{
    SpawnError,
    engine::{ContainerSpec, Engine, Labels},
    template::Template,
};

/// What happens to a user's volume that an older spawner named differently, where none
/// is called as it should be (SPN-31).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VolumeMigration {
    /// It is used as it is.
    #[default]
    Adopt,
    /// A new one gets a copy of its files; it stays as it is.
    Copy,
    /// Nothing: a new, empty one is made.
    Off,
}

/// What is mounted into one server.
#[derive(Clone, Debug, Default)]
pub(super) struct Mounts {
    /// In Docker's notation `source:target:mode`.
    pub(super) binds: Vec<String>,
    /// Those that need more words.
    pub(super) mounts: Vec<Mount>,
}

/// Makes sure that the named volumes of `key` exist, and returns how to mount
/// everything that a member of `groups` has.
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
    groups: &[String],
) -> Result<Mounts, SpawnError> {
    let rejected = |reason| SpawnError::Rejected { what: "this user's volume".to_owned(), reason };
    let mut all = Mounts::default();
    for mounted in blueprint.volumes.iter().filter(|mounted| mounted.is_for(groups)) {
        let (source, target) = mounted.render(&blueprint.names, key).map_err(rejected)?;
        let mode = &mounted.mode;
        if is_object_name(&source) {
            let older = mounted.older_volumes(&blueprint.names, key);
            let template = &mounted.source;
            let making = Making::default();
            let wanted = Wanted { name: source, target: &target, key, template, making };
            let name = wanted.settle(engine, blueprint, older).await?;
            all.binds.push(format!("{name}:{target}:{mode}"));
        } else {
            if let Some(how) = blueprint.create_host_dirs {
                let image = blueprint.image.to_string();
                let labels = labels::of_kind(&blueprint.deployment, ownership::HOST_HELPER);
                ownership::create_host_dir(engine, &image, &source, how, &labels)
                    .await
                    .map_err(|error| spawn_error("make the directory on the host", error))?;
            }
            all.binds.push(format!("{source}:{target}:{mode}"));
        }
    }
    for plan in &blueprint.mounts {
        let mut mount = plan.render(&blueprint.names, key).map_err(rejected)?;
        if plan.is_volume() {
            let target = mount.target.clone().unwrap_or_default();
            let name = mount.source.clone().unwrap_or_default();
            let making = plan.making(&blueprint.names, key);
            let wanted = Wanted { name, target: &target, key, template: plan.source(), making };
            let older = plan.older_volumes(&blueprint.names, key);
            let name = wanted.settle(engine, blueprint, older).await?;
            if mount.source.as_ref() != Some(&name) {
                // The daemon refuses a mount by another driver than made the volume.
                if let Some(options) = &mut mount.volume_options {
                    options.driver_config = None;
                }
                mount.source = Some(name);
            }
        }
        all.mounts.push(mount);
    }
    Ok(all)
}

/// A named volume that a server is to have.
struct Wanted<'a> {
    name: String,
    target: &'a str,
    key: &'a ServerKey,
    template: &'a Template,
    making: Making,
}

/// Whose a volume is whose name is made of `template`.
pub(super) fn owner_by<'a>(template: &Template, key: &'a ServerKey) -> VolumeOwner<'a> {
    VolumeOwner {
        user: by_user(template).then(|| key.user().as_str()),
        server: by_server(template).then(|| key.server().as_str()),
    }
}

impl Wanted<'_> {
    fn owner(&self) -> VolumeOwner<'_> {
        owner_by(self.template, self.key)
    }

    /// The volume to mount: this one, or that of an older spawner.
    async fn settle(
        self,
        engine: &Engine,
        blueprint: &Blueprint,
        older: Vec<String>,
    ) -> Result<String, SpawnError> {
        let older = match blueprint.volume_migration {
            VolumeMigration::Off => Vec::new(),
            VolumeMigration::Adopt => older,
            VolumeMigration::Copy if older.is_empty() => older,
            VolumeMigration::Copy => {
                undo_half_a_copy(engine, blueprint, &self.name).await?;
                older
            }
        };
        let found = older_one(engine, blueprint, self.owner(), &self.name, older).await?;
        match (found, blueprint.volume_migration) {
            (Some(older), VolumeMigration::Copy) => {
                copy(engine, blueprint, &older, &self).await?;
            }
            (Some(older), VolumeMigration::Adopt | VolumeMigration::Off) => return Ok(older),
            (None, _) => self.made(engine, blueprint).await?,
        }
        Ok(self.name)
    }

    /// Makes the volume if there is none of its name.
    async fn made(&self, engine: &Engine, blueprint: &Blueprint) -> Result<(), SpawnError> {
        let failed = |error| spawn_error("make the volume", error);
        let is_new = engine.volume(&self.name).await.map_err(failed)?.is_none();
        let common = blueprint.volume_driver.as_deref();
        let common = common.map(|driver| (driver, &blueprint.volume_driver_options));
        let own = self.making.driver.as_ref().map(|(driver, options)| (driver.as_str(), options));
        // Whose files at a place of one mount's own are, is the operator's to say.
        let has_place = own.is_some_and(|(_, options)| options.contains_key("device"));
        let driver = own.or(common);
        let new = NewVolume {
            engine,
            blueprint,
            name: &self.name,
            target: self.target,
            begins_empty: self.making.no_copy,
        };
        let is_to_give = match is_new {
            true if has_place => false,
            true => new.mark().await?,
            false => new.is_marked().await?,
        };
        let mut wanted = self.making.labels.clone();
        wanted.extend(labels::of_volume(&blueprint.deployment, self.owner()));
        let volume = match engine.ensure_volume_by(&self.name, &wanted, driver).await {
            Ok(volume) => volume,
            Err(error) => {
                // It may have been made: then the next start gives it away.
                if is_new && is_to_give && !error.is_uncertain() {
                    let _ = new.unmark().await;
                }
                return Err(failed(error));
            }
        };
        if !labels::volume_fits(&volume.labels, &blueprint.deployment, self.owner()) {
            return Err(SpawnError::Rejected {
                what: format!("the volume {}", self.name),
                reason: "it belongs to another user, server or hub".to_owned(),
            });
        }
        // What on_user_delete left to whoever has the name next is not taken silently.
        if blueprint.on_user_delete != OnUserDelete::Keep
            && blueprint.volume_migration != VolumeMigration::Adopt
            && self.owner().user.is_some()
            && !labels::is_of_deployment(&volume.labels, &blueprint.deployment)
        {
            tracing::warn!(
                volume = self.name,
                user = %self.key.user(),
                "without this hub's labels the volume may be another hub's or a deleted user's"
            );
        }
        if !is_to_give {
            return Ok(());
        }
        let given = new.give().await;
        if given.is_err() && is_new {
            // The next start then makes it anew, and its owner; or gives away what is left.
            if engine.remove_volume(&self.name).await.is_ok() {
                let _ = new.unmark().await;
            }
        }
        given
    }
}

/// The kind of the container that marks a copy.
const COPY: &str = "volume-copy";

/// A container that is there as long as a copy is not complete, also when the hub is
/// killed meanwhile.
fn copy_marker(blueprint: &Blueprint, volume: &str) -> Labels {
    let mut labels = labels::of_kind(&blueprint.deployment, COPY);
    labels.insert("hub.volume".to_owned(), volume.to_owned());
    labels
}

/// Takes away a copy that was interrupted, so that it is made again.
async fn undo_half_a_copy(
    engine: &Engine,
    blueprint: &Blueprint,
    volume: &str,
) -> Result<(), SpawnError> {
    let undone = async {
        let mut markers = labels::all_of_kind(&blueprint.deployment, COPY);
        markers.insert("hub.volume".to_owned(), volume.to_owned());
        for marker in engine.containers(&markers).await? {
            engine.remove_volume_helpers(volume).await?;
            engine.remove_volume(volume).await?;
            engine.remove_container(&marker.id, true).await?;
        }
        Ok(())
    };
    undone.await.map_err(|error| spawn_error("undo half a copy of a volume", error))
}

/// Fills the volume of `wanted` with the files of another.
async fn copy(
    engine: &Engine,
    blueprint: &Blueprint,
    from: &str,
    wanted: &Wanted<'_>,
) -> Result<(), SpawnError> {
    let failed = |error| spawn_error("copy the volume of an older spawner", error);
    let image = blueprint.image.to_string();
    let marker = ContainerSpec {
        labels: copy_marker(blueprint, &wanted.name),
        command: Some(vec!["never-started".to_owned()]),
        ..ContainerSpec::new("", &image)
    };
    let marker = engine.create_container_from(&marker).await.map_err(failed)?;
    let copied = async {
        wanted.made(engine, blueprint).await?;
        let content = engine.export_volume(from, &image).await.map_err(failed)?;
        let content = content.map_err(std::io::Error::other);
        engine.import_volume(&wanted.name, &image, content).await.map_err(failed)
    };
    match copied.await {
        Ok(()) => {
            tracing::info!(from, to = wanted.name, "copied the volume of an older spawner");
            engine.remove_container(&marker, true).await.map_err(failed)
        }
        Err(error) => {
            let _ = engine.remove_volume_helpers(from).await;
            let _ = undo_half_a_copy(engine, blueprint, &wanted.name).await;
            Err(error)
        }
    }
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
            tracing::info!(volume = name, wanted, "found the volume of an older spawner");
            return Ok(Some(name));
        }
    }
    Ok(None)
}
