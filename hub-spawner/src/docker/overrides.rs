//! What differs for groups and users. Pure.

use std::collections::BTreeMap;

use hub_names::{ServerKey, UserName};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    CommandLine, DockerConfig, Gpus, VolumeTarget, blueprint::Blueprint, mounts,
    object_name::Names, security::Sockets,
};
use crate::{InvalidConfig, MemoryAllowance, MemoryLimit, engine::ImageReference, environment};

/// What differs for members of groups, and for users by name. What is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupOverride {
    /// It counts for members of any of these groups.
    pub groups: Vec<String>,
    /// It counts for these users.
    pub users: Vec<UserName>,
    /// The image.
    pub image: Option<String>,
    /// The command.
    pub cmd: Option<CommandLine>,
    /// The page a server opens with.
    pub default_url: Option<String>,
    /// Memory of one server.
    pub mem_limit: Option<MemoryAllowance>,
    /// Memory one server is promised.
    pub mem_guarantee: Option<MemoryLimit>,
    /// Processors of one server.
    pub cpu_limit: Option<f64>,
    /// Processors one server is promised.
    pub cpu_guarantee: Option<f64>,
    /// Processes and threads of one server.
    pub pids_limit: Option<u32>,
    /// Graphics processors of one server.
    pub gpus: Option<Gpus>,
    /// Size of a user's volumes from which a start warns.
    pub disk_soft_limit: Option<MemoryLimit>,
    /// Size of a user's volumes from which nothing of theirs starts.
    pub disk_hard_limit: Option<MemoryLimit>,
    /// Variables beside those of all.
    pub environment: BTreeMap<String, SecretString>,
    /// Volumes beside those of all; one takes the place of another with the same source
    /// or target.
    pub volumes: BTreeMap<String, VolumeTarget>,
}

/// An override that makes sense.
#[derive(Clone, Debug)]
pub(super) struct Override {
    config: GroupOverride,
    image: Option<ImageReference>,
    volumes: Vec<mounts::Mounted>,
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
        let refuse = |key: &str, reason: String| {
            InvalidConfig::new("group_overrides", format!("{name}.{key}: {reason}"))
        };
        if config.groups.is_empty() && config.users.is_empty() {
            return Err(refuse("groups", "name the groups, or users, that it is for".to_owned()));
        }
        let image = config.image.as_deref().map(str::parse).transpose();
        for (key, count) in
            [("cpu_limit", config.cpu_limit), ("cpu_guarantee", config.cpu_guarantee)]
        {
            if count.is_some_and(|count| !(count.is_finite() && count >= 0.01)) {
                return Err(refuse(key, "must be at least 0.01".to_owned()));
            }
        }
        if config.pids_limit == Some(0) {
            return Err(refuse("pids_limit", "must be at least 1".to_owned()));
        }
        if let Some(gpus) = &config.gpus {
            gpus.check(&all.gpu_pool).map_err(|error| refuse(error.key, error.reason))?;
        }
        check_memory(config, all).map_err(|error| refuse(error.key, error.reason))?;
        if let Some(url) = &config.default_url {
            environment::check_path("default_url", url)
                .map_err(|error| refuse("default_url", error.reason))?;
        }
        let volumes = mounts::table_of("group_overrides", &config.volumes, "rw")
            .and_then(|volumes| {
                let sockets = Sockets::of(all.host.as_deref());
                mounts::check_volumes("group_overrides", &volumes, names, &sockets)?;
                Ok(volumes)
            })
            .map_err(|error| refuse("volumes", error.reason))?;
        Ok(Self {
            image: image.map_err(|error: crate::engine::InvalidReference| {
                refuse("image", error.to_string())
            })?,
            volumes,
            config: config.clone(),
        })
    }

    /// The image that it gives.
    pub(super) fn image(&self) -> Option<&ImageReference> {
        self.image.as_ref()
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
        if let Some(cmd) = &config.cmd {
            own.command = Some(cmd.words().to_vec()).filter(|words| !words.is_empty());
        }
        if let Some(url) = &config.default_url {
            own.settings.default_url = Some(url.clone()).filter(|url| !url.is_empty());
        }
        if let Some(limit) = config.mem_limit {
            own.memory = limit;
            own.settings.memory_limit = limit.chosen().map(MemoryLimit::bytes);
        }
        let settings = &mut own.settings;
        settings.memory_guarantee =
            config.mem_guarantee.map(MemoryLimit::bytes).or(settings.memory_guarantee);
        settings.cpu_limit = config.cpu_limit.or(settings.cpu_limit);
        settings.cpu_guarantee = config.cpu_guarantee.or(settings.cpu_guarantee);
        settings.environment.extend(config.environment.clone());
        own.pids_limit = config.pids_limit.unwrap_or(own.pids_limit);
        own.gpus = config.gpus.clone().unwrap_or_else(|| own.gpus.clone());
        own.disk.soft = config.disk_soft_limit.or(own.disk.soft);
        own.disk.hard = config.disk_hard_limit.or(own.disk.hard);
        self.mount(own, key);
    }

    /// Adds the volumes. One takes the place of another with its source or its target:
    /// the daemon mounts nothing over another mount.
    fn mount(&self, own: &mut Blueprint, key: &ServerKey) {
        if self.volumes.is_empty() {
            return;
        }
        let Blueprint { volumes, mounts, names, .. } = own;
        let target = |path: &str| path.trim_end_matches('/').to_owned();
        // What cannot be rendered is refused where it is mounted.
        let later: Vec<(String, String)> =
            self.volumes.iter().filter_map(|one| one.render(names, key).ok()).collect();
        let is_taken = |path: &str| later.iter().any(|(_, other)| target(other) == target(path));
        volumes.retain(|one| {
            one.render(names, key).map_or(true, |(source, path)| {
                later.iter().all(|(other, _)| *other != source) && !is_taken(&path)
            })
        });
        mounts.retain(|one| {
            let path = one.render(names, key).ok().and_then(|mount| mount.target);
            path.is_none_or(|path| !is_taken(&path))
        });
        volumes.extend(self.volumes.iter().cloned());
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    fn config(json: serde_json::Value) -> DockerConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn group_overrides_are_taken_in_the_order_of_their_names_and_a_preset_goes_last() {
        let config =
            config(serde_json::json!({"image": "lab:4", "mem_limit": "1G", "group_overrides": {
                "10-all": {"groups": ["class"], "mem_limit": "2G", "environment": {"A": "1"}},
                "20-gpu": {"groups": ["gpu"], "image": "lab:gpu", "gpus": 1, "mem_limit": "8G"},
                "30-bob": {"users": ["bob"], "cpu_limit": 0.5, "volumes": {"data": "/data"}},
            }}));
        let common = Blueprint::read(&config, None).unwrap();
        let of = |user: &str, groups: &[&str], memory: Option<&str>| {
            let preset = Preset {
                groups: groups.iter().map(|&group| group.to_owned()).collect(),
                memory_limit: memory.map(|text| text.parse().unwrap()),
                ..Preset::default()
            };
            common.with(&ServerKey::default_of(user.parse().unwrap()), &preset).unwrap()
        };
        let limit = |own: &Blueprint| own.settings.memory_limit.unwrap() >> 30;
        let ada = of("ada", &["class", "gpu"], None);
        assert_eq!((limit(&ada), ada.image.to_string().as_str()), (8, "lab:gpu"));
        assert_eq!(ada.gpus, Gpus::Count(1));
        assert!(ada.settings.environment.contains_key("A"));
        assert_eq!(limit(&of("ada", &["class", "gpu"], Some("3G"))), 3);
        let bob = of("bob", &["class"], None);
        assert_eq!((limit(&bob), bob.settings.cpu_limit), (2, Some(0.5)));
        assert_eq!(bob.volumes.len(), common.volumes.len() + 1);
        let eve = of("eve", &["other"], None);
        assert_eq!((limit(&eve), eve.gpus), (1, Gpus::None));
    }

    #[test]
    fn a_volume_of_a_group_takes_the_place_of_one_with_its_source_or_target() {
        let config = config(serde_json::json!({
            "image": "lab:4",
            "volumes": {"home-{username}": "/home", "data": "/data", "kept": "/kept"},
            "mounts": [{"type": "tmpfs", "target": "/scratch"}],
            "group_overrides": {"x": {"users": ["ada"], "volumes": {
                "big-{username}": "/home/", "data": "/srv/data", "fast": "/scratch"}}},
        }));
        let common = Blueprint::read(&config, None).unwrap();
        let key = ServerKey::default_of("ada".parse().unwrap());
        let own = common.with(&key, &Preset::default()).unwrap();
        let mut mounted: Vec<_> =
            own.volumes.iter().map(|one| one.render(&own.names, &key).unwrap()).collect();
        mounted.sort();
        let expected =
            [("big-ada", "/home/"), ("data", "/srv/data"), ("fast", "/scratch"), ("kept", "/kept")];
        let expected = expected.map(|(source, path)| (source.to_owned(), path.to_owned()));
        assert_eq!(mounted, expected);
        assert!(own.mounts.is_empty());
    }

    #[test]
    fn an_override_that_makes_no_sense_is_named() {
        let all = config(serde_json::json!({
            "image": "lab", "gpus": 1, "gpu_pool": ["0", "1"], "mem_guarantee": "1G"}));
        let image = "lab".parse().unwrap();
        let names = Names::new(None, "jupyter", &image, Default::default()).unwrap();
        for (json, words) in [
            (serde_json::json!({"mem_limit": "1G"}), "x.groups: name"),
            (serde_json::json!({"groups": ["a"], "image": "A B"}), "x.image: "),
            (serde_json::json!({"groups": ["a"], "cpu_limit": 0}), "x.cpu_limit: "),
            (serde_json::json!({"groups": ["a"], "pids_limit": 0}), "x.pids_limit: "),
            (serde_json::json!({"groups": ["a"], "default_url": "{"}), "x.default_url: "),
            (serde_json::json!({"groups": ["a"], "gpus": "all"}), "x.gpus: has to be a number"),
            (serde_json::json!({"groups": ["a"], "gpus": ["0"]}), "x.gpus: has to be a number"),
            (serde_json::json!({"groups": ["a"], "gpus": 3}), "x.gpus: is more than gpu_pool has"),
            (
                serde_json::json!({"groups": ["a"], "mem_guarantee": "3G", "mem_limit": "2G"}),
                "x.mem_guarantee: is more than mem_limit",
            ),
            (
                serde_json::json!({"groups": ["a"], "mem_limit": "512M"}),
                "x.mem_limit: is less than mem_guarantee",
            ),
            (
                serde_json::json!({"groups": ["a"], "volumes": {"v": {"bind": "/x", "mode": "w"}}}),
                "no mode",
            ),
            (
                serde_json::json!({"groups": ["a"], "volumes": {"/var/run/docker.sock": "/s"}}),
                "x.volumes: /var/run/docker.sock holds the socket",
            ),
            (
                serde_json::json!({"groups": ["a"], "volumes": {"srv": "work"}}),
                "x.volumes: the target",
            ),
        ] {
            let read: GroupOverride = serde_json::from_value(json.clone()).unwrap();
            let said = Override::read("x", &read, &all, &names).unwrap_err().to_string();
            assert!(said.contains(words), "{json}: {said}");
        }
    }
}
