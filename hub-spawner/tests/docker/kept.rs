//! Containers that are kept over a stop, and what is left of users who are deleted.

use hub_spawner::{
    Liveness, Progress, SavedState, ServerKey, Spawner, StartRequest, Started, StopMode,
    conformance::request,
    docker::{DockerSpawner, OnUserDelete, ReuseStopped, VolumeMigration},
    engine::Labels,
};
use secrecy::SecretString;

use crate::{
    bench::{Corner, in_a_corner},
    spawner::{connect, key},
};

/// A start with the token that the kept container has, as a hub makes it.
async fn resume(spawner: &DockerSpawner, key: &ServerKey) -> (Started, Vec<String>) {
    let mut request = request(key.clone());
    if spawner.will_resume()
        && let Some(token) = spawner.identify(key).await.expect("identify").remove(0).api_token
    {
        request.kept_token = Some(token);
    }
    started(spawner, &request).await
}

async fn started(spawner: &DockerSpawner, request: &StartRequest) -> (Started, Vec<String>) {
    let (progress, mut reports) = Progress::channel();
    let started = spawner.start(request, &progress).await.expect("start");
    drop(progress);
    let mut said = Vec::new();
    while let Some(report) = reports.recv().await {
        said.push(report.message);
    }
    (started, said)
}

async fn stop(spawner: &DockerSpawner, key: &ServerKey) {
    spawner.stop(key, &SavedState::default(), StopMode::Now).await.expect("stop");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_4_spn_24_a_server_that_runs_keeps_its_name_when_the_template_changes() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |_| {}).await;
        let ada = key("ada", "");
        let (first, _) = started(&spawner, &request(ada.clone())).await;
        let id = corner.container(&ada).await;
        assert_eq!(first.state.text("object_id"), Some(&*id));
        let name = first.state.text("object_name").unwrap().to_owned();

        let mut config = corner.config();
        config.name_template = Some("{prefix}-{servername}-of-{username}".to_owned());
        spawner.adopt(spawner.plan(&config).unwrap());
        for state in [&first.state, &SavedState::default()] {
            let alive = spawner.probe(&ada, state).await.unwrap();
            assert!(matches!(alive, Liveness::Running { .. }), "{alive:?}");
        }
        assert_eq!(corner.container(&ada).await, id);
        assert!(spawner.lasting(&first.state).is_empty(), "nothing of it is left after the stop");
        spawner.stop(&ada, &first.state, StopMode::Now).await.unwrap();

        let (second, _) = started(&spawner, &request(ada.clone())).await;
        let renamed = second.state.text("object_name").unwrap();
        assert!(renamed != name && renamed.ends_with("-of-ada"), "{renamed}");
        stop(&spawner, &ada).await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_11_a_kept_container_goes_on_until_its_settings_change() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.remove = false).await;
        let ada = key("ada", "");
        let mut first = request(ada.clone());
        first.api_token = SecretString::from("first");
        started(&spawner, &first).await;
        let id = corner.container(&ada).await;
        corner.engine.exec(&id, &["touch", "/tmp/kept"]).await.unwrap();
        stop(&spawner, &ada).await;
        assert_eq!(corner.container(&ada).await, id, "SPN-25: it is kept");

        let (_, said) = resume(&spawner, &ada).await;
        assert_eq!(corner.container(&ada).await, id);
        assert!(said.iter().any(|text| text.contains("kept")), "{said:?}");
        assert_eq!(corner.engine.exec(&id, &["cat", "/tmp/kept"]).await.unwrap().code, 0);
        stop(&spawner, &ada).await;

        let mut config = corner.config();
        (config.remove, config.pids_limit) = (false, 77);
        spawner.adopt(spawner.plan(&config).unwrap());
        let (anew, said) = resume(&spawner, &ada).await;
        let replaced = corner.container(&ada).await;
        assert_ne!(replaced, id);
        assert!(!anew.resumed);
        let token = spawner.identify(&ada).await.unwrap().remove(0).api_token.unwrap();
        assert_eq!(
            secrecy::ExposeSecret::expose_secret(&token),
            "conformance",
            "SPN-12: a new container has a new token"
        );
        assert!(said.iter().any(|text| text.contains("settings have changed")), "{said:?}");
        stop(&spawner, &ada).await;

        config.reuse_stopped = ReuseStopped::Always;
        config.pids_limit = 78;
        spawner.adopt(spawner.plan(&config).unwrap());
        assert!(resume(&spawner, &ada).await.0.resumed);
        assert_eq!(corner.container(&ada).await, replaced);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_25_a_start_that_comes_to_nothing_leaves_the_kept_container() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.remove = false).await;
        let ada = key("ada", "");
        started(&spawner, &request(ada.clone())).await;
        let id = corner.container(&ada).await;
        corner.engine.exec(&id, &["touch", "/tmp/kept"]).await.unwrap();
        stop(&spawner, &ada).await;

        let mut refused = request(ada.clone());
        refused.options = serde_json::json!({ "image": "another" });
        spawner.start(&refused, &Progress::ignored()).await.unwrap_err();
        // As a hub ends what may be left of such a start.
        for mode in [StopMode::Graceful, StopMode::Now] {
            spawner.stop(&ada, &SavedState::default(), mode).await.unwrap();
        }

        assert!(resume(&spawner, &ada).await.0.resumed);
        assert_eq!(corner.container(&ada).await, id);
        assert_eq!(corner.engine.exec(&id, &["cat", "/tmp/kept"]).await.unwrap().code, 0);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_12_a_kept_container_with_another_token_is_made_anew() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.remove = false).await;
        let ada = key("ada", "");
        started(&spawner, &request(ada.clone())).await;
        let id = corner.container(&ada).await;
        stop(&spawner, &ada).await;
        let mut fresh = request(ada.clone());
        fresh.api_token = SecretString::from("a new one");
        let (_, said) = started(&spawner, &fresh).await;
        assert!(said.iter().any(|text| text.contains("token")), "{said:?}");
        assert_ne!(corner.container(&ada).await, id);
        let token = spawner.identify(&ada).await.unwrap().remove(0).api_token.unwrap();
        assert_eq!(secrecy::ExposeSecret::expose_secret(&token), "a new one");
    })
    .await;
}

/// Two servers of ada's and one of bob's that have run and written something.
async fn lived(corner: &Corner, spawner: &DockerSpawner) -> [ServerKey; 3] {
    let keys = [key("ada", ""), key("ada", "lab"), key("bob", "")];
    for key in &keys {
        started(spawner, &request(key.clone())).await;
        let write = ["sh", "-c", "echo of $JUPYTERHUB_USER >/home/file"];
        corner.engine.exec(&corner.container(key).await, &write).await.expect("exec");
    }
    keys
}

async fn volumes(corner: &Corner) -> Vec<String> {
    let all = corner.engine.volumes(&corner.labels()).await.expect("volumes");
    let prefix = format!("{}-", corner.name);
    let mut names: Vec<_> =
        all.iter().map(|one| one.name.trim_start_matches(&prefix).to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn a_user_with_files_keeps_the_name_and_one_without_goes_on_under_another() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let [ada, ..] = lived(&corner, &spawner).await;
        let countess: hub_names::UserName = "countess".parse().unwrap();
        let refused = spawner.rename_user(ada.user(), &countess).await.unwrap_err();
        let message = refused.user_message();
        assert!(message.contains(&format!("{}-ada", corner.name)), "{message}");
        assert!(!corner.container(&ada).await.is_empty(), "nothing was changed");

        // With nothing of theirs at the engine there is nothing to leave behind.
        let dora: hub_names::UserName = "dora".parse().unwrap();
        spawner.rename_user(&dora, &countess).await.unwrap();

        // What only the host could tell is believed to be there.
        let mut config = corner.config();
        config.volumes = Some([("/srv/homes/{username}".to_owned(), "/home".into())].into());
        spawner.adopt(spawner.plan(&config).unwrap());
        let refused = spawner.rename_user(&dora, &countess).await.unwrap_err();
        assert!(refused.user_message().contains("/srv/homes/dora"), "{}", refused.user_message());
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_30_what_is_left_of_a_user_is_the_operators_choice() {
    in_a_corner(|corner| async move {
        let archives = tempfile::tempdir().unwrap();
        let spawner = corner.spawner().await;
        let plan = |choice, own_volumes: bool| {
            let mut config = corner.config();
            config.on_user_delete = choice;
            config.archive_dir = Some(archives.path().join("deep"));
            if own_volumes {
                let volume = format!("{}-{{username}}--{{servername}}", corner.name);
                config.volumes = Some([(volume, "/home".into())].into());
            }
            spawner.adopt(spawner.plan(&config).unwrap());
        };

        plan(OnUserDelete::Keep, false);
        let [ada, lab, bob] = lived(&corner, &spawner).await;
        spawner.forget_user(ada.user()).await.unwrap();
        assert_eq!(spawner.found().await.unwrap(), std::slice::from_ref(&bob));
        assert_eq!(volumes(&corner).await, ["ada", "bob"]);

        plan(OnUserDelete::Archive, false);
        spawner.forget_user(ada.user()).await.unwrap();
        assert_eq!(volumes(&corner).await, ["bob"]);
        let archive = archives.path().join(format!("deep/{}-ada.tar", corner.name));
        let mut archive = tar::Archive::new(std::fs::File::open(archive).unwrap());
        let names: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert!(names.iter().any(|name| name.ends_with("file")), "{names:?}");

        plan(OnUserDelete::Delete, true);
        lived(&corner, &spawner).await;
        assert_eq!(volumes(&corner).await, ["ada--", "ada--lab", "bob", "bob--"]);
        spawner.forget_server(&lab).await.unwrap();
        assert_eq!(volumes(&corner).await, ["ada--", "bob", "bob--"], "the other server's stays");
        spawner.forget_user(ada.user()).await.unwrap();
        assert_eq!(volumes(&corner).await, ["bob", "bob--"]);
        spawner.forget_user(ada.user()).await.expect("nothing is left, which is no error");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_30_volumes_from_before_this_hub_are_the_users_too() {
    in_a_corner(|corner| async move {
        // Not labelled, one called as version 0.10 of the spawner did.
        let named = |user: &str| format!("{}-{user}", corner.name);
        for name in ["ada.l", "ada-2el", "bob"] {
            corner.engine.ensure_volume(&named(name), &Labels::new()).await.unwrap();
        }
        let spawner = corner.spawner().await;
        let mut config = corner.config();
        config.on_user_delete = OnUserDelete::Delete;
        spawner.adopt(spawner.plan(&config).unwrap());
        let ada: hub_names::UserName = "ada.l".parse().unwrap();
        let refused = spawner.rename_user(&ada, &"countess".parse().unwrap()).await.unwrap_err();
        let message = refused.user_message();
        assert!(
            message.contains(&named("ada.l")) && message.contains(&named("ada-2el")),
            "{message}"
        );

        spawner.forget_user(&ada).await.unwrap();
        let mut left = Vec::new();
        for name in ["ada.l", "ada-2el", "bob"] {
            left.extend(corner.engine.volume(&named(name)).await.unwrap().map(|one| one.name));
        }
        corner.engine.remove_volume(&named("bob")).await.unwrap();
        assert_eq!(left, [named("bob")]);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_30_volumes_without_labels_stay_unless_they_are_adopted() {
    in_a_corner(|corner| async move {
        // It may be that of another hub at the same daemon.
        let volume = format!("{}-ada", corner.name);
        corner.engine.ensure_volume(&volume, &Labels::new()).await.unwrap();
        let archives = tempfile::tempdir().unwrap();
        let spawner = corner.spawner().await;
        let mut config = corner.config();
        config.archive_dir = Some(archives.path().to_owned());
        let ada = key("ada", "");
        let mut left = Vec::new();
        for migration in [VolumeMigration::Off, VolumeMigration::Copy, VolumeMigration::Adopt] {
            for choice in [OnUserDelete::Archive, OnUserDelete::Delete] {
                config.volume_migration = migration;
                config.on_user_delete = choice;
                spawner.adopt(spawner.plan(&config).unwrap());
                spawner.forget_user(ada.user()).await.unwrap();
                if corner.engine.volume(&volume).await.unwrap().is_some() {
                    left.push((migration, choice));
                }
            }
        }
        corner.engine.remove_volume(&volume).await.unwrap();
        let both =
            |migration| [OnUserDelete::Archive, OnUserDelete::Delete].map(|one| (migration, one));
        let kept = [both(VolumeMigration::Off), both(VolumeMigration::Copy)].concat();
        assert_eq!(left, kept);
    })
    .await;
}
