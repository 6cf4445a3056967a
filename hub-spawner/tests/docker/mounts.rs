//! Volumes that `mounts` asks for: labelled, found and given away like those of
//! `volumes`.

use std::{collections::BTreeMap, fs::Permissions, os::unix::fs::PermissionsExt};

use hub_spawner::{
    SavedState, ServerKey, Spawner, StopMode,
    docker::{Account, DockerConfig, DriverConfig, MountConfig, MountKind, VolumeMigration},
    engine::Labels,
};

use crate::{
    bench::{Corner, docker, in_a_corner},
    spawner::{connect, key, start},
};

/// The user's volume `-more` at a place that no image has.
fn more(corner: &Corner) -> MountConfig {
    MountConfig {
        source: format!("{}-more-{{username}}", corner.name),
        target: "/more".to_owned(),
        labels: [("course", "of-{raw_username}"), ("hub.user", "eve")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..MountConfig::default()
    }
}

fn only(mounts: Vec<MountConfig>) -> impl FnOnce(&mut DockerConfig) {
    |config| {
        config.volumes = Some(BTreeMap::new());
        config.mounts = mounts;
        config.volume_owner = Account { uid: 1234, gid: 567 };
    }
}

async fn inside(corner: &Corner, key: &ServerKey, command: &[&str]) -> String {
    let ran = corner.engine.exec(&corner.container(key).await, command).await.expect("exec");
    ran.output.trim().to_owned()
}

async fn labels(corner: &Corner, volume: &str) -> Labels {
    corner.engine.volume(volume).await.expect("look").expect("the volume is there").labels
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_9_a_volume_of_mounts_is_labelled_and_belongs_to_those_who_write_in_it() {
    in_a_corner(|corner| async move {
        let local = DriverConfig { name: "local".to_owned(), options: BTreeMap::new() };
        let plain = MountConfig {
            source: format!("{}--{{username}}", corner.name),
            target: "/www".to_owned(),
            ..MountConfig::default()
        };
        let made = MountConfig { driver_config: Some(local), ..more(&corner) };
        let scratch = MountConfig {
            kind: MountKind::Tmpfs,
            target: "/scratch".to_owned(),
            ..MountConfig::default()
        };
        let ada = key("ada", "");
        let spawner = connect(&corner, only(vec![made, plain, scratch])).await;
        for _ in 0..2 {
            start(&spawner, &ada).await.unwrap();
            let stat = ["stat", "-c", "%u:%g %a", "/more"];
            assert_eq!(inside(&corner, &ada, &stat).await, "1234:567 755");
            spawner.stop(&ada, &SavedState::default(), StopMode::Now).await.unwrap();
        }

        let found = labels(&corner, &format!("{}-more-ada", corner.name)).await;
        let expected = [
            ("course", "of-ada"),
            ("hub.deployment", corner.name.as_str()),
            ("hub.kind", "volume"),
            ("hub.user", "ada"),
        ];
        for (name, value) in expected {
            assert_eq!(found.get(name).map(String::as_str), Some(value), "{name}: {found:?}");
        }
        let plain = labels(&corner, &format!("{}--ada", corner.name)).await;
        assert_eq!(plain.get("hub.user").map(String::as_str), Some("ada"));
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_9_a_volume_that_begins_empty_belongs_to_those_who_write_in_it() {
    in_a_corner(|corner| async move {
        // The image has `/www`, of root.
        let mount = |no_copy| MountConfig { no_copy, target: "/www".to_owned(), ..more(&corner) };
        for (user, no_copy, owner) in [("ada", true, "1234:567"), ("bob", false, "0:0")] {
            let spawner = connect(&corner, only(vec![mount(no_copy)])).await;
            let key = key(user, "");
            start(&spawner, &key).await.unwrap();
            assert_eq!(inside(&corner, &key, &["stat", "-c", "%u:%g", "/www"]).await, owner);
            let file = inside(&corner, &key, &["cat", "/www/index.html"]).await;
            assert_eq!(file == "hello", !no_copy, "{file}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_9_files_at_a_place_of_the_operators_keep_their_owner() {
    in_a_corner(|corner| async move {
        let place = tempfile::tempdir().unwrap();
        std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::write(place.path().join("file"), "one").unwrap();
        std::os::unix::fs::chown(place.path(), Some(77), Some(78)).unwrap();
        let device = place.path().to_str().unwrap();
        let options = [("type", "none"), ("o", "bind"), ("device", device)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let driver = DriverConfig { name: "local".to_owned(), options: options.into() };
        let mount = MountConfig { driver_config: Some(driver), ..more(&corner) };
        let ada = key("ada", "");
        start(&connect(&corner, only(vec![mount])).await, &ada).await.unwrap();
        assert_eq!(inside(&corner, &ada, &["cat", "/more/file"]).await, "one");
        assert_eq!(inside(&corner, &ada, &["stat", "-c", "%u:%g", "/more"]).await, "77:78");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_31_a_volume_of_mounts_is_found_under_its_older_name() {
    in_a_corner(|corner| {
        Box::pin(async move {
            let (old, new) =
                (format!("{}-more-a-b", corner.name), format!("{}-more-a-2db", corner.name));
            corner.engine.ensure_volume(&old, &corner.labels()).await.unwrap();
            let mut fill = crate::containers::shell(&corner, "fill", "echo one >/v/file");
            fill.mounts = vec![hub_spawner::engine::Mount::volume(&old, "/v")];
            let minute = std::time::Duration::from_secs(60);
            corner.engine.run_to_end(&fill, minute).await.unwrap();

            let user = key("a-b", "");
            // A driver that did not make the older one: the daemon would refuse it.
            let other = DriverConfig { name: "hub-test-none".to_owned(), options: BTreeMap::new() };
            let mount = MountConfig { driver_config: Some(other), ..more(&corner) };
            let adopts = connect(&corner, only(vec![mount])).await;
            start(&adopts, &user).await.unwrap();
            assert_eq!(inside(&corner, &user, &["cat", "/more/file"]).await, "one");
            let id = corner.container(&user).await;
            let found = docker().inspect_container(&id, None).await.unwrap();
            assert_eq!(found.mounts.unwrap()[0].name.as_ref(), Some(&old));
            assert_eq!(corner.engine.volume(&new).await.unwrap(), None);
            adopts.stop(&user, &SavedState::default(), StopMode::Now).await.unwrap();

            let copies = connect(&corner, |config| {
                only(vec![more(&corner)])(config);
                config.volume_migration = VolumeMigration::Copy;
            })
            .await;
            start(&copies, &user).await.unwrap();
            assert_eq!(inside(&corner, &user, &["cat", "/more/file"]).await, "one");
            assert_eq!(labels(&corner, &new).await["hub.user"], "a-b");
        })
    })
    .await;
}
