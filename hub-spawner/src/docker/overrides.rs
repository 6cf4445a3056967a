//! What differs for groups and users. Pure.

mod written;

use hub_names::{ServerKey, UserName};

pub use written::GroupOverride;

use super::{
    DockerConfig,
    blueprint::{Blueprint, asks_for_sudo, check_variables, has_gpus, is_account},
    disk,
    extra::Extra,
    mounts::{self, MountPlan, Mounted},
    object_name::Names,
    security::Sockets,
};
use crate::{InvalidConfig, MemoryLimit, engine::ImageReference, environment};

/// An override that makes sense.
#[derive(Clone, Debug)]
pub(super) struct Override {
    config: GroupOverride,
    image: Option<ImageReference>,
    volumes: Vec<Mounted>,
    mounts: Vec<MountPlan>,
    extra: Extra,
}

impl Override {
    /// Reads one of those of `all`.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, and where it is.
    pub(super) fn read(
        name: &str,
        config: &GroupOverride,
        all: &DockerConfig,
        names: &Names,
    ) -> Result<Self, InvalidConfig> {
        read(config, all, names).map_err(|error| {
            InvalidConfig::new("group_overrides", format!("{name}.{}: {}", error.key, error.reason))
        })
    }

    /// All images that it gives, or lets its people choose.
    pub(super) fn images(&self) -> impl Iterator<Item = ImageReference> {
        let allowed = self.config.allowed_images.iter().flat_map(|allowed| allowed.images());
        let allowed = allowed.filter_map(|image| image.parse().ok());
        self.image.clone().into_iter().chain(allowed)
    }

    /// What it mounts besides.
    pub(super) fn places(&self) -> (&[Mounted], &[MountPlan]) {
        (&self.volumes, &self.mounts)
    }

    /// Whether it counts for somebody.
    pub(super) fn is_for(&self, user: &UserName, groups: &[String]) -> bool {
        self.config.users.contains(user)
            || self.config.groups.iter().any(|group| groups.contains(group))
    }

    /// Changes what it says differently for the server of `key`.
    pub(super) fn apply(&self, own: &mut Blueprint, key: &ServerKey) {
        let config = &self.config;
        if let Some(image) = &self.image {
            own.image = image.clone();
            own.settings.image = config.image.clone();
        }
        if let Some(allowed) = &config.allowed_images {
            own.allowed_images = allowed.clone();
        }
        if let Some(cmd) = &config.cmd {
            own.command = Some(cmd.words().to_vec()).filter(|words| !words.is_empty());
        }
        if let Some(args) = &config.args {
            own.args = args.words().to_vec();
        }
        if let Some(url) = &config.default_url {
            own.settings.default_url = Some(url.clone()).filter(|url| !url.is_empty());
        }
        if let Some(limit) = config.mem_limit {
            own.memory = limit;
            own.settings.memory_limit = limit.chosen().map(MemoryLimit::bytes);
        }
        if let Some(command) = &config.post_start_cmd {
            own.post_start = command.words().to_vec();
        }
        let settings = &mut own.settings;
        settings.memory_guarantee =
            config.mem_guarantee.map(MemoryLimit::bytes).or(settings.memory_guarantee);
        settings.cpu_limit = config.cpu_limit.or(settings.cpu_limit);
        settings.cpu_guarantee = config.cpu_guarantee.or(settings.cpu_guarantee);
        settings.environment.extend(config.environment.clone());
        own.pids_limit = config.pids_limit.unwrap_or(own.pids_limit);
        own.gpus = config.gpus.clone().unwrap_or_else(|| own.gpus.clone());
        own.storage_size = config.storage_size.or(own.storage_size);
        own.disk.soft = config.disk_soft_limit.or(own.disk.soft);
        own.disk.hard = config.disk_hard_limit.or(own.disk.hard);
        own.user = config.user.clone().or_else(|| own.user.take());
        own.allow_privilege_escalation =
            config.allow_privilege_escalation.unwrap_or(own.allow_privilege_escalation);
        own.extra.add(&self.extra);
        self.mount(own, key);
    }

    /// Adds volumes and mounts. One takes the place of another with its source or its
    /// target: the daemon mounts nothing over another mount.
    fn mount(&self, own: &mut Blueprint, key: &ServerKey) {
        let Blueprint { volumes, mounts, names, .. } = own;
        // What cannot be rendered is refused where it is mounted.
        let of_volume = |one: &Mounted| one.render(names, key).ok();
        let of_mount = |one: &MountPlan| {
            let mount = one.render(names, key).ok()?;
            Some((mount.source.unwrap_or_default(), mount.target.unwrap_or_default()))
        };
        let later: Vec<(String, String)> = self
            .volumes
            .iter()
            .filter_map(of_volume)
            .chain(self.mounts.iter().filter_map(of_mount))
            .collect();
        let target = |path: &str| path.trim_end_matches('/').to_owned();
        let stays = |place: Option<(String, String)>| {
            place.is_none_or(|(source, path)| {
                later.iter().all(|(other_source, other_path)| {
                    (source.is_empty() || *other_source != source)
                        && target(other_path) != target(&path)
                })
            })
        };
        volumes.retain(|one| stays(of_volume(one)));
        mounts.retain(|one| stays(of_mount(one)));
        volumes.extend(self.volumes.iter().cloned());
        mounts.extend(self.mounts.iter().cloned());
    }
}

/// As [`Override::read`]; the key of an error is one of the override's.
fn read(
    config: &GroupOverride,
    all: &DockerConfig,
    names: &Names,
) -> Result<Override, InvalidConfig> {
    let refuse = |key, reason: &str| Err(InvalidConfig::new(key, reason));
    if config.groups.is_empty() && config.users.is_empty() {
        return refuse("groups", "name the groups, or users, that it is for");
    }
    let image = |key, text: &str| {
        text.parse::<ImageReference>().map_err(|error| InvalidConfig::new(key, error.to_string()))
    };
    for text in config.allowed_images.iter().flat_map(|allowed| allowed.images()) {
        image("allowed_images", text)?;
    }
    for (key, count) in [("cpu_limit", config.cpu_limit), ("cpu_guarantee", config.cpu_guarantee)] {
        if count.is_some_and(|count| !(count.is_finite() && count >= 0.01)) {
            return refuse(key, "must be at least 0.01");
        }
    }
    if config.pids_limit == Some(0) {
        return refuse("pids_limit", "must be at least 1");
    }
    if config.user.as_deref().is_some_and(|user| !is_account(user)) {
        return refuse("user", "write a user of the image, or uid, or uid:gid");
    }
    if let Some(gpus) = &config.gpus {
        gpus.check(&all.gpu_pool)?;
    }
    check_memory(config, all)?;
    check_disk(config, all)?;
    check_sudo(config, all)?;
    check_variables(&config.environment)?;
    if let Some(url) = &config.default_url {
        environment::check_path("default_url", url)?;
    }
    let sockets = Sockets::of(all.host.as_deref());
    let mut volumes = mounts::table_of("volumes", &config.volumes, "rw")?;
    mounts::check_volumes("volumes", &volumes, names, &sockets)?;
    let read_only = mounts::table_of("read_only_volumes", &config.read_only_volumes, "ro")?;
    mounts::check_volumes("read_only_volumes", &read_only, names, &sockets)?;
    volumes.retain(|one| read_only.iter().all(|later| later.source != one.source));
    volumes.extend(read_only);
    Ok(Override {
        image: config.image.as_deref().map(|text| image("image", text)).transpose()?,
        volumes,
        mounts: mounts::read_mounts(&config.mounts, names, &sockets)?,
        extra: Extra::read(
            &config.extra_create_kwargs,
            &config.extra_host_config,
            has_gpus(all),
            all.allow_unsafe_host_config,
            &sockets,
        )?,
        config: config.clone(),
    })
}

/// Nobody is promised more memory than they may use.
fn check_memory(own: &GroupOverride, all: &DockerConfig) -> Result<(), InvalidConfig> {
    let guarantee = own.mem_guarantee.or(all.mem_guarantee);
    let limit = own.mem_limit.unwrap_or(all.mem_limit).chosen();
    let is_too_much = guarantee.zip(limit).is_some_and(|(guarantee, limit)| guarantee > limit);
    match (is_too_much, own.mem_guarantee, own.mem_limit) {
        (true, Some(_), _) => Err(InvalidConfig::new("mem_guarantee", "is more than mem_limit")),
        (true, None, Some(_)) => Err(InvalidConfig::new("mem_limit", "is less than mem_guarantee")),
        // The section's own keys are checked by themselves.
        (_, _, _) => Ok(()),
    }
}

/// Who is warned is warned before nothing starts.
fn check_disk(own: &GroupOverride, all: &DockerConfig) -> Result<(), InvalidConfig> {
    let limits = disk::DiskLimits {
        soft: own.disk_soft_limit.or(all.disk_soft_limit),
        hard: own.disk_hard_limit.or(all.disk_hard_limit),
    };
    let is_own = own.disk_soft_limit.is_some() || own.disk_hard_limit.is_some();
    match limits.check() {
        Err(error) if is_own => Err(match own.disk_soft_limit {
            Some(_) => error,
            None => InvalidConfig::new(
                "disk_hard_limit",
                "is less than disk_soft_limit, so nobody is warned",
            ),
        }),
        Err(_) | Ok(()) => Ok(()),
    }
}

/// A variable that asks for `sudo` has an effect.
fn check_sudo(own: &GroupOverride, all: &DockerConfig) -> Result<(), InvalidConfig> {
    if own.allow_privilege_escalation.unwrap_or(all.allow_privilege_escalation) {
        return Ok(());
    }
    if asks_for_sudo(&own.environment) {
        return Err(InvalidConfig::new(
            "environment",
            "GRANT_SUDO has no effect without allow_privilege_escalation = true",
        ));
    }
    let is_stopped = own.allow_privilege_escalation == Some(false)
        && !own.environment.contains_key("GRANT_SUDO")
        && asks_for_sudo(&all.environment);
    match is_stopped {
        true => Err(InvalidConfig::new(
            "allow_privilege_escalation",
            "takes from GRANT_SUDO in environment its effect; set GRANT_SUDO = \"no\" here as well",
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
