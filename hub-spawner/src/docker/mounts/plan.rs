//! Mounts, read once and known to make sense.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountTmpfsOptions, MountType,
    MountVolumeOptions, MountVolumeOptionsDriverConfig,
};
use hub_names::ServerKey;

use super::written::{MountConfig, MountKind, SharedMode, VolumeTarget};
use crate::{
    InvalidConfig,
    docker::{
        DockerConfig,
        object_name::{FIELDS, Names, by_user, is_object_name},
        security::Sockets,
    },
    engine::Labels,
    template::{InvalidTemplate, Template},
};

/// A volume or host path, and where it is mounted.
#[derive(Clone, Debug)]
pub(in crate::docker) struct Mounted {
    pub(in crate::docker) source: Template,
    pub(in crate::docker) target: Template,
    /// In Docker's notation, such as `rw` or `ro,z,rslave`.
    pub(in crate::docker) mode: String,
    /// Whoever is in one of these has it; `None`: everybody.
    groups: Option<Vec<String>>,
}

/// A mount of any kind.
#[derive(Clone, Debug)]
pub(in crate::docker) struct MountPlan {
    source: Template,
    target: Template,
    subpath: Option<Template>,
    labels: BTreeMap<String, Template>,
    driver_options: BTreeMap<String, Template>,
    config: MountConfig,
}

/// What a volume that does not exist yet is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::docker) struct Making {
    /// Labels beside our own.
    pub(in crate::docker) labels: Labels,
    /// The driver, and its options. Default: that of all.
    pub(in crate::docker) driver: Option<(String, BTreeMap<String, String>)>,
    /// Whether it begins without what the image has at its place.
    pub(in crate::docker) no_copy: bool,
}

/// The settings `volumes`, `read_only_volumes` and `shared`. Of two with one source
/// the later counts.
pub(in crate::docker) fn read_volumes(
    config: &DockerConfig,
    names: &Names,
) -> Result<Vec<Mounted>, InvalidConfig> {
    let mut volumes = Vec::new();
    match &config.volumes {
        Some(table) => volumes.extend(table_of("volumes", table, "rw")?),
        // The home of a system user takes the place of a volume.
        None if config.notebook_dir.is_empty() || config.system_users.is_some() => {}
        None => {
            // In `notebook_dir` the name is not escaped, in `volumes` it is.
            let target = config.notebook_dir.replace("{username}", "{raw_username}");
            let table = [("jupyterhub-user-{username}".to_owned(), target.into())].into();
            volumes.extend(table_of("volumes", &table, "rw")?);
        }
    }
    let read_only = table_of("read_only_volumes", &config.read_only_volumes, "ro")?;
    volumes.retain(|one| read_only.iter().all(|later| later.source != one.source));
    volumes.extend(read_only);
    for folder in &config.shared {
        if folder.source.contains('{') {
            return Err(InvalidConfig::new("shared", "a source is one for all; leave out fields"));
        }
        let read = |text: &str| Template::parse(text, FIELDS).map_err(invalid("shared"));
        volumes.push(Mounted {
            source: read(&folder.source)?,
            target: read(&folder.target)?,
            mode: match folder.mode {
                SharedMode::Rw => "rw".to_owned(),
                SharedMode::Ro => "ro".to_owned(),
            },
            groups: (!folder.groups.is_empty()).then(|| folder.groups.clone()),
        });
    }
    let sockets = Sockets::of(config.host.as_deref());
    check_volumes("volumes", &volumes, names, &sockets)?;
    Ok(volumes)
}

/// Renders each once, and refuses those that may not be mounted.
pub(in crate::docker) fn check_volumes(
    key: &'static str,
    volumes: &[Mounted],
    names: &Names,
    sockets: &Sockets,
) -> Result<(), InvalidConfig> {
    for mounted in volumes {
        let (source, _) = mounted.render(names, &sample()).map_err(invalid(key))?;
        sockets.check(key, &source)?;
        let clash = match is_object_name(&source) {
            true => names.volume_clash(&mounted.source),
            false => names.path_clash(&mounted.source),
        };
        clash.map_or(Ok(()), |clash| Err(InvalidConfig::new(key, clash)))?;
    }
    Ok(())
}

/// One table of volumes, whose mode is `usual` unless they say otherwise.
pub(in crate::docker) fn table_of(
    key: &'static str,
    table: &BTreeMap<String, VolumeTarget>,
    usual: &str,
) -> Result<Vec<Mounted>, InvalidConfig> {
    let read = |text: &str| Template::parse(text, FIELDS).map_err(invalid(key));
    let one = |(source, target): (&String, &VolumeTarget)| {
        let mut mode = target.mode.clone().unwrap_or_else(|| usual.to_owned());
        let words: Vec<&str> = mode.split(',').collect();
        if let Some(word) = words.iter().find(|word| !MODES.contains(word)) {
            let reason = format!("{word:?} is no mode; there are {}", MODES.join(", "));
            return Err(InvalidConfig::new(key, reason));
        }
        if usual == "ro" {
            if words.contains(&"rw") {
                let reason =
                    format!("{source} is to be read-only and has mode rw; move it to volumes");
                return Err(InvalidConfig::new(key, reason));
            }
            if !words.contains(&"ro") {
                mode = format!("ro,{mode}");
            }
        }
        if let Some(propagation) = target.propagation {
            mode = format!("{mode},{}", propagation.as_str());
        }
        Ok(Mounted { source: read(source)?, target: read(&target.bind)?, mode, groups: None })
    };
    table.iter().map(one).collect()
}

/// What Docker knows after the second colon.
const MODES: &[&str] = &["rw", "ro", "z", "Z", "nocopy", "delegated", "cached", "consistent"];

/// The setting `mounts`.
pub(in crate::docker) fn read_mounts(
    mounts: &[MountConfig],
    names: &Names,
    sockets: &Sockets,
) -> Result<Vec<MountPlan>, InvalidConfig> {
    let read = |text: &str| Template::parse(text, FIELDS).map_err(invalid("mounts"));
    let mut plans = Vec::new();
    for mount in mounts {
        foreign_option(mount).map_or(Ok(()), |option| {
            let reason =
                format!("{option} is no option of a mount of this type at {}", mount.target);
            Err(InvalidConfig::new("mounts", reason))
        })?;
        let plan = MountPlan {
            source: read(&mount.source)?,
            target: read(&mount.target)?,
            subpath: mount.subpath.as_deref().map(read).transpose()?,
            labels: templates(&mount.labels).map_err(invalid("mounts"))?,
            driver_options: match &mount.driver_config {
                Some(driver) => templates(&driver.options).map_err(invalid("mounts"))?,
                None => BTreeMap::new(),
            },
            config: mount.clone(),
        };
        let rendered =
            plan.render(names, &sample()).map_err(|reason| InvalidConfig::new("mounts", reason))?;
        sockets.check("mounts", rendered.source.as_deref().unwrap_or_default())?;
        let clash = match mount.kind {
            MountKind::Volume => names.volume_clash(&plan.source),
            MountKind::Bind => names.path_clash(&plan.source),
            MountKind::Tmpfs => None,
        };
        // Of a volume that is one for all, these are what keeps people apart.
        let within = plan.subpath.iter().chain(plan.driver_options.get("device"));
        let clash = clash.or_else(|| within.into_iter().find_map(|path| names.path_clash(path)));
        clash.map_or(Ok(()), |clash| Err(InvalidConfig::new("mounts", clash)))?;
        if let Some((_, options)) = &plan.making(names, &sample()).driver {
            sockets.check_driver_options("mounts", options)?;
        }
        plans.push(plan);
    }
    Ok(plans)
}

/// A template of each value.
fn templates(
    table: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Template>, InvalidTemplate> {
    table.iter().map(|(name, text)| Ok((name.clone(), Template::parse(text, FIELDS)?))).collect()
}

/// An option that this kind of mount does not have.
fn foreign_option(mount: &MountConfig) -> Option<&'static str> {
    let is = |kind| mount.kind == kind;
    let volume = is(MountKind::Volume);
    [
        ("propagation", mount.propagation.is_some() && !is(MountKind::Bind)),
        ("no_copy", mount.no_copy && !volume),
        ("labels", !mount.labels.is_empty() && !volume),
        ("driver_config", mount.driver_config.is_some() && !volume),
        ("subpath", mount.subpath.is_some() && !volume),
        ("tmpfs_size", mount.tmpfs_size.is_some() && !is(MountKind::Tmpfs)),
        ("tmpfs_mode", mount.tmpfs_mode.is_some() && !is(MountKind::Tmpfs)),
        ("source", !mount.source.is_empty() && is(MountKind::Tmpfs)),
    ]
    .into_iter()
    .find_map(|(option, wrong)| wrong.then_some(option))
}

impl Mounted {
    /// Source and target for a server, or what is wrong with them.
    pub(in crate::docker) fn render(
        &self,
        names: &Names,
        key: &ServerKey,
    ) -> Result<(String, String), String> {
        let source = names.render(&self.source, key);
        let target = names.render(&self.target, key);
        check_target(&target)?;
        if !is_object_name(&source) && is_bad_path(&source) {
            return Err(format!(
                "the source {source:?} is neither a volume's name nor an absolute path"
            ));
        }
        Ok((source, target))
    }

    /// Whether a member of these groups has it.
    pub(in crate::docker) fn is_for(&self, groups: &[String]) -> bool {
        self.groups.as_ref().is_none_or(|own| own.iter().any(|group| groups.contains(group)))
    }

    /// What the volume was called by older spawners, the newest first.
    pub(in crate::docker) fn older_volumes(&self, names: &Names, key: &ServerKey) -> Vec<String> {
        older_volumes(&self.source, names, key)
    }

    /// The directory of the host that has the user's name in its own, if it is one.
    pub(in crate::docker) fn place_of(&self, names: &Names, key: &ServerKey) -> Option<String> {
        let source = by_user(&self.source).then(|| names.render(&self.source, key))?;
        (!is_object_name(&source)).then_some(source)
    }
}

fn older_volumes(source: &Template, names: &Names, key: &ServerKey) -> Vec<String> {
    let mut older = names.render_older(source, key);
    older.retain(|name| is_object_name(name));
    older
}

impl MountPlan {
    /// The template that names what is mounted.
    pub(in crate::docker) fn source(&self) -> &Template {
        &self.source
    }

    /// Whether it is a named volume.
    pub(in crate::docker) fn is_volume(&self) -> bool {
        self.config.kind == MountKind::Volume
    }

    /// As [`Mounted::place_of`], or the directory in a volume that is one for several.
    pub(in crate::docker) fn place_of(&self, names: &Names, key: &ServerKey) -> Option<String> {
        let source = names.render(&self.source, key);
        let own = by_user(&self.source);
        match (self.config.kind, &self.subpath) {
            (MountKind::Bind, _) => own.then_some(source),
            (MountKind::Volume, Some(subpath)) if !own && by_user(subpath) => {
                Some(format!("{} of the volume {source}", names.render(subpath, key)))
            }
            (MountKind::Volume | MountKind::Tmpfs, _) => None,
        }
    }

    /// As [`Mounted::older_volumes`].
    pub(in crate::docker) fn older_volumes(&self, names: &Names, key: &ServerKey) -> Vec<String> {
        older_volumes(&self.source, names, key)
    }

    /// What the volume is made with where there is none.
    pub(in crate::docker) fn making(&self, names: &Names, key: &ServerKey) -> Making {
        let render = |table: &BTreeMap<String, Template>| -> BTreeMap<String, String> {
            let row = |(name, text): (&String, &Template)| (name.clone(), names.render(text, key));
            table.iter().map(row).collect()
        };
        let driver = self.config.driver_config.as_ref();
        Making {
            labels: render(&self.labels).into_iter().collect(),
            driver: driver.map(|driver| (driver.name.clone(), render(&self.driver_options))),
            no_copy: self.config.no_copy,
        }
    }

    /// The mount of a server, or what is wrong with it.
    pub(in crate::docker) fn render(
        &self,
        names: &Names,
        key: &ServerKey,
    ) -> Result<Mount, String> {
        let config = &self.config;
        let (source, target) = (names.render(&self.source, key), names.render(&self.target, key));
        check_target(&target)?;
        let subpath = self.subpath.as_ref().map(|subpath| names.render(subpath, key));
        if let Some(path) = &subpath
            && (path.starts_with('/') || path.split('/').any(|part| part == ".."))
        {
            return Err(format!("the subpath {path:?} leads out of the volume"));
        }
        match config.kind {
            MountKind::Volume if !is_object_name(&source) => {
                return Err(format!("the source {source:?} is not the name of a volume"));
            }
            MountKind::Bind if is_bad_path(&source) => {
                return Err(format!("the source {source:?} is not an absolute path without `..`"));
            }
            MountKind::Volume | MountKind::Bind | MountKind::Tmpfs => {}
        }
        let plain = |map: BTreeMap<String, String>| -> Option<HashMap<String, String>> {
            (!map.is_empty()).then(|| map.into_iter().collect())
        };
        let Making { labels, driver, no_copy } = self.making(names, key);
        let driver = driver.map(|(name, options)| MountVolumeOptionsDriverConfig {
            name: Some(name),
            options: plain(options),
        });
        let volume = MountVolumeOptions {
            no_copy: no_copy.then_some(true),
            labels: plain(labels),
            driver_config: driver,
            subpath,
        };
        let tmpfs = MountTmpfsOptions {
            size_bytes: config.tmpfs_size.and_then(|size| size.bytes().try_into().ok()),
            mode: config.tmpfs_mode.map(i64::from),
            ..MountTmpfsOptions::default()
        };
        Ok(Mount {
            target: Some(target),
            source: Some(source).filter(|source| !source.is_empty()),
            typ: Some(match config.kind {
                MountKind::Volume => MountType::VOLUME,
                MountKind::Bind => MountType::BIND,
                MountKind::Tmpfs => MountType::TMPFS,
            }),
            read_only: Some(config.read_only),
            consistency: config.consistency.clone(),
            bind_options: config.propagation.map(|propagation| MountBindOptions {
                propagation: propagation.as_str().parse::<MountBindOptionsPropagationEnum>().ok(),
                ..MountBindOptions::default()
            }),
            volume_options: (volume != MountVolumeOptions::default()).then_some(volume),
            tmpfs_options: (tmpfs != MountTmpfsOptions::default()).then_some(tmpfs),
            ..Mount::default()
        })
    }
}

fn check_target(target: &str) -> Result<(), String> {
    match is_bad_path(target) {
        true => Err(format!("the target {target:?} is not an absolute path without `:` or `..`")),
        false => Ok(()),
    }
}

/// A colon ends the source or target in Docker's notation, so a user's name with one
/// in it could choose the rest.
fn is_bad_path(path: &str) -> bool {
    !path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..")
}

fn sample() -> ServerKey {
    ServerKey::default_of("ada".parse().expect("a valid name"))
}

fn invalid<E: ToString>(key: &'static str) -> impl Fn(E) -> InvalidConfig {
    move |error| InvalidConfig::new(key, error.to_string())
}

#[cfg(test)]
mod tests;
