//! What belongs to one user, for tools that look after it without a hub. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::{ServerKey, UserName};

use super::{
    DockerConfig,
    blueprint::Blueprint,
    labels::{self, VolumeOwner},
    object_name::{by_user, is_object_name},
};
use crate::{InvalidConfig, engine::Labels};

impl DockerConfig {
    /// The labels of all volumes that this deployment has made.
    pub fn volume_labels(&self) -> Labels {
        labels::of_volumes(&self.deployment)
    }

    /// The labels of the volumes that were made for one user.
    pub fn volume_labels_of(&self, user: &UserName) -> Labels {
        labels::of_volumes_of(&self.deployment, user)
    }

    /// What a volume made for one user, and all of the user's servers, is labelled
    /// with.
    pub fn new_volume_labels(&self, user: &UserName) -> Labels {
        labels::of_volume(&self.deployment, VolumeOwner { user: Some(user.as_str()), server: None })
    }

    /// The labels of the containers of all servers of one user.
    pub fn server_labels_of(&self, user: &UserName) -> Labels {
        labels::of_servers_of(&self.deployment, user)
    }

    /// Whose a volume with these labels is, if they say so.
    pub fn volume_owner(labels: &Labels) -> Option<&str> {
        labels::user(labels)
    }

    /// Whether a volume with these labels may be taken for this user's: it is
    /// nobody's, or the user's own.
    pub fn may_be_volume_of(&self, found: &Labels, user: &UserName) -> bool {
        let owner = VolumeOwner { user: Some(user.as_str()), server: None };
        labels::volume_fits(found, &self.deployment, owner)
    }

    /// The names of the volumes that the user's default server has, by this
    /// configuration, and that are the user's alone. They need not exist. Paths
    /// of the host are not among them.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub fn volume_names_of(&self, user: &UserName) -> Result<BTreeSet<String>, InvalidConfig> {
        Ok(self.volume_names_with_older_of(user)?.into_keys().collect())
    }

    /// The same, each with what older spawners called it, the newest first: a
    /// server without the one has the first of the others that exists (SPN-31).
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub fn volume_names_with_older_of(
        &self,
        user: &UserName,
    ) -> Result<BTreeMap<String, Vec<String>>, InvalidConfig> {
        // Names do not depend on where the daemon is.
        Ok(Blueprint::read(self, None)?.volume_names_with_older_of(user))
    }
}

impl Blueprint {
    /// See [`DockerConfig::volume_names_with_older_of`].
    pub(super) fn volume_names_with_older_of(
        &self,
        user: &UserName,
    ) -> BTreeMap<String, Vec<String>> {
        let key = ServerKey::default_of(user.clone());
        let volumes = self.volumes.iter().filter(|one| by_user(&one.source)).filter_map(|one| {
            let (source, _) = one.render(&self.names, &key).ok()?;
            Some((source, one.older_volumes(&self.names, &key)))
        });
        let mounts = self.mounts.iter().filter(|one| one.is_volume() && by_user(one.source()));
        let mounts = mounts.filter_map(|one| {
            let source = one.render(&self.names, &key).ok()?.source?;
            Some((source, one.older_volumes(&self.names, &key)))
        });
        volumes.chain(mounts).filter(|(source, _)| is_object_name(source)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::MountConfig;

    #[test]
    fn bak_1_the_volumes_of_a_user_are_those_that_bear_the_name() {
        let mut config = DockerConfig::new("lab");
        let ada: UserName = "ada@x.org".parse().unwrap();
        let names = |config: &DockerConfig| {
            config.volume_names_of(&ada).unwrap().into_iter().collect::<Vec<_>>()
        };
        assert_eq!(names(&config), ["jupyterhub-user-ada-40x-2eorg"]);

        config.volumes = Some(
            [("hub-{username}", "/home"), ("shared", "/shared"), ("/srv/{username}", "/host")]
                .map(|(from, to)| (from.to_owned(), to.into()))
                .into(),
        );
        assert_eq!(names(&config), ["hub-ada-40x-2eorg"]);

        config.mounts = ["more-{username}", "class"]
            .map(|source| MountConfig {
                source: source.to_owned(),
                target: format!("/{source}"),
                ..MountConfig::default()
            })
            .into();
        assert_eq!(names(&config), ["hub-ada-40x-2eorg", "more-ada-40x-2eorg"]);
        let older = config.volume_names_with_older_of(&ada).unwrap();
        assert_eq!(older["more-ada-40x-2eorg"][0], "more-ada_40x_2Eorg");
    }

    #[test]
    fn a_volume_of_another_user_is_not_taken() {
        let config = DockerConfig::new("lab");
        let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let labels = config.new_volume_labels(&ada);
        assert!(config.may_be_volume_of(&labels, &ada));
        assert!(!config.may_be_volume_of(&labels, &bob));
        assert!(config.may_be_volume_of(&Labels::new(), &bob));
        assert_eq!(DockerConfig::volume_owner(&labels), Some("ada"));
        assert!(config.volume_labels_of(&ada).iter().all(|(k, v)| labels.get(k) == Some(v)));
    }
}
