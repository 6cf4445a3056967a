//! Options whose effect only a real daemon shows.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hub_spawner::{
    Limits, Progress, SavedState, ServerKey, SpawnError, Spawner, StopMode,
    conformance::request,
    docker::{
        Account, CreateHostDirs, DockerConfig, DockerSpawner, Gpus, PullPolicy, RegistryLogin,
        SystemUsers, VolumeMigration,
    },
    engine::{Labels, Mount},
};
use tokio::net::TcpListener;

use crate::{
    bench::{Corner, eventually, in_a_corner, root},
    containers::shell,
    registry::Registry,
    spawner::{connect, get, key, start},
};

async fn inside(corner: &Corner, key: &ServerKey, command: &[&str]) -> String {
    let ran = corner.engine.exec(&corner.container(key).await, command).await.expect("exec");
    ran.output.trim().to_owned()
}

async fn stop(spawner: &DockerSpawner, key: &ServerKey) {
    spawner.stop(key, &SavedState::default(), StopMode::Now).await.expect("stop");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_8_spn_9_a_new_volume_belongs_to_those_who_write_in_it() {
    in_a_corner(|corner| async move {
        let parent = tempfile::tempdir().unwrap();
        let (new, old) = (parent.path().join("homes/ada"), parent.path().join("old"));
        std::fs::create_dir(&old).unwrap();
        let spawner = connect(&corner, |config| {
            let volume = |name: &str| format!("{}-{{username}}-{name}", corner.name);
            config.volumes = Some(
                [
                    // `/www` is in the image and belongs to root there.
                    (volume("a"), "/nowhere/in/the/image".into()),
                    (volume("b"), "/www".into()),
                    (new.display().to_string(), "/new".into()),
                    (old.display().to_string(), "/old".into()),
                ]
                .into(),
            );
            config.volume_owner = Account { uid: 1234, gid: 567 };
            config.create_host_dirs =
                Some(CreateHostDirs { owner: Account { uid: 8, gid: 9 }, mode: 0o750 });
        })
        .await;
        let ada = key("ada", "");
        for _ in 0..2 {
            start(&spawner, &ada).await.unwrap();
            let owner =
                async |path: &str| inside(&corner, &ada, &["stat", "-c", "%u:%g %a", path]).await;
            assert_eq!(owner("/nowhere/in/the/image").await, "1234:567 755");
            assert_eq!(owner("/www").await, "0:0 755");
            assert_eq!(owner("/new").await, "8:9 750");
            assert!(owner("/old").await.starts_with("0:0 "), "what is there stays as it is");
            assert_eq!(inside(&corner, &ada, &["cat", "/www/index.html"]).await, "hello");
            stop(&spawner, &ada).await;
        }
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_31_the_files_of_an_older_spawner_are_copied_once() {
    in_a_corner(|corner| async move {
        let (old, new) = (format!("{}-a-b", corner.name), format!("{}-a-2db", corner.name));
        let write = async |volume: &str, line: &str| {
            let mut spec = crate::containers::shell(&corner, "fill", line);
            spec.mounts = vec![hub_spawner::engine::Mount::volume(volume, "/v")];
            corner.engine.run_to_end(&spec, std::time::Duration::from_secs(60)).await.unwrap();
        };
        corner.engine.ensure_volume(&old, &corner.labels()).await.unwrap();
        write(&old, "echo one >/v/file; chown 7:8 /v").await;
        let spawner =
            connect(&corner, |config| config.volume_migration = VolumeMigration::Copy).await;
        let user = key("a-b", "");
        spawner.prepare(&request(user.clone()), &Progress::ignored()).await.unwrap();
        start(&spawner, &user).await.unwrap();
        assert_eq!(inside(&corner, &user, &["cat", "/home/file"]).await, "one");
        assert_eq!(inside(&corner, &user, &["stat", "-c", "%u:%g", "/home"]).await, "7:8");
        stop(&spawner, &user).await;
        write(&old, "echo two >/v/file").await;
        start(&spawner, &user).await.unwrap();
        assert_eq!(inside(&corner, &user, &["cat", "/home/file"]).await, "one", "no second copy");
        stop(&spawner, &user).await;

        // A copy that a killed hub left half made is made again.
        let mut marker = crate::containers::shell(&corner, "marker", "true");
        marker.labels.insert("hub.kind".to_owned(), "volume-copy".to_owned());
        marker.labels.insert("hub.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        marker.labels.insert("hub.volume".to_owned(), new.clone());
        corner.engine.create_container_from(&marker).await.unwrap();
        start(&spawner, &user).await.unwrap();
        assert_eq!(inside(&corner, &user, &["cat", "/home/file"]).await, "two");
        stop(&spawner, &user).await;

        // Without migration the user begins anew.
        corner.engine.remove_volume(&new).await.unwrap();
        let off = connect(&corner, |config| config.volume_migration = VolumeMigration::Off).await;
        start(&off, &user).await.unwrap();
        assert!(inside(&corner, &user, &["cat", "/home/file"]).await.contains("No such file"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_22_a_command_runs_after_the_start_and_its_failure_counts_where_it_is_required() {
    in_a_corner(|corner| async move {
        let with = async |command: &str, required| {
            connect(&corner, |config| {
                config.post_start_cmd = command.parse().unwrap();
                config.post_start_required = required;
            })
            .await
        };
        let ada = key("ada", "");
        let spawner = with("sh -c 'echo $JUPYTERHUB_USER >/tmp/who'", true).await;
        start(&spawner, &ada).await.unwrap();
        assert_eq!(inside(&corner, &ada, &["cat", "/tmp/who"]).await, "ada");
        stop(&spawner, &ada).await;
        start(&with("sh -c 'exit 3'", false).await, &ada).await.unwrap();
        stop(&spawner, &ada).await;
        let error = start(&with("sh -c 'echo why; exit 3'", true).await, &ada).await.unwrap_err();
        // Whether the server has printed anything by then is its own affair.
        let error = match error {
            SpawnError::GivenUp { source, .. } => *source,
            error => error,
        };
        let SpawnError::Backend { source, .. } = &error else { panic!("{error:?}") };
        assert!(source.to_string().contains("code 3: why"), "{source}");
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_what_a_server_printed_is_told_when_it_is_ended_for_another_failure() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| {
            let serve = "echo first words; touch /tmp/up; exec sleep 600";
            config.cmd = Some(["sh", "-c", serve].into_iter().collect());
            let wait = "until [ -e /tmp/up ]; do sleep 0.1; done; exit 3";
            config.post_start_cmd = ["sh", "-c", wait].into_iter().collect();
            config.post_start_required = true;
        })
        .await;
        let error = start(&spawner, &key("ada", "")).await.unwrap_err();
        let SpawnError::GivenUp { log_tail, source } = &error else { panic!("{error:?}") };
        assert_eq!(log_tail.trim(), "first words");
        assert!(matches!(**source, SpawnError::Backend { .. }), "{source:?}");
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn limits_of_a_running_server_change() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| config.mem_limit = "256M".parse().unwrap()).await;
        let ada = key("ada", "");
        let wanted = Limits { memory: Some("512M".parse().unwrap()), cpus: Some(0.5) };
        let refused = spawner.set_limits(&ada, &wanted).await.unwrap_err();
        assert!(refused.user_message().contains("does not run"), "{refused}");
        start(&spawner, &ada).await.unwrap();
        let id = corner.container(&ada).await;
        let limit = async || corner.engine.inspect(&id).await.unwrap().unwrap().memory_limit;
        assert_eq!(limit().await, Some(256 << 20));
        spawner.set_limits(&ada, &wanted).await.unwrap();
        assert_eq!(limit().await, Some(512 << 20));
        let same = Limits { memory: None, cpus: Some(0.0) };
        assert!(spawner.set_limits(&ada, &same).await.is_err());
        assert_eq!(limit().await, Some(512 << 20));
    })
    .await;
}

/// The first of two ports in a row that nobody listens at.
async fn two_free_ports() -> u16 {
    loop {
        let first = TcpListener::bind(("0.0.0.0", 0)).await.expect("a port");
        let port = first.local_addr().expect("an address").port();
        let Some(next) = port.checked_add(1) else { continue };
        if TcpListener::bind(("0.0.0.0", next)).await.is_ok() {
            return port;
        }
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_21_servers_in_the_hosts_network_have_ports_of_their_own() {
    in_a_corner(|corner| async move {
        let first = two_free_ports().await;
        let spawner = connect(&corner, |config| {
            config.network = "host".to_owned();
            config.host_ports = format!("{first}-{}", first.saturating_add(1)).parse().ok();
            let serve =
                r#"url=${JUPYTERHUB_SERVICE_URL#*//*:}; exec httpd -f -p ${url%%/*} -h /www"#;
            config.cmd = Some(["sh", "-c", serve].into_iter().collect());
        })
        .await;
        let (ada, bob, eve) = (key("ada", ""), key("bob", ""), key("eve", ""));
        let one = start(&spawner, &ada).await.unwrap();
        let other = start(&spawner, &bob).await.unwrap();
        assert_ne!(one, other);
        assert!(get(&one).await.contains("hello") && get(&other).await.contains("hello"));
        let full = start(&spawner, &eve).await.unwrap_err();
        assert!(matches!(full, SpawnError::NoCapacity { .. }), "{full:?}");
        let again = start(&spawner, &ada).await.unwrap();
        assert_eq!(again, one, "its own port is free for it");
        stop(&spawner, &bob).await;
        assert_eq!(start(&spawner, &eve).await.unwrap(), other);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_35_a_processor_that_no_server_got_is_free_again() {
    in_a_corner(|corner| async move {
        // No machine of a test has one: the daemon refuses, and nothing stays taken.
        let spawner = connect(&corner, |config| {
            config.gpus = Gpus::Count(1);
            config.gpu_pool = vec!["fake-0".to_owned()];
        })
        .await;
        for user in ["ada", "bob"] {
            let error = start(&spawner, &key(user, "")).await.unwrap_err();
            let taken = matches!(&error, SpawnError::NoCapacity { reason, .. } if reason.contains("graphics"));
            assert!(!taken, "{error:?}");
        }
        assert_eq!(corner.engine.containers(&corner.labels()).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_38_who_has_filled_the_disk_starts_nothing() {
    in_a_corner(|corner| async move {
        let spawner = corner.spawner().await;
        let (ada, bob) = (key("ada", ""), key("bob", ""));
        for key in [&ada, &bob] {
            start(&spawner, key).await.unwrap();
        }
        inside(&corner, &ada, &["dd", "if=/dev/zero", "of=/home/x", "bs=1048576", "count=12"])
            .await;
        let limited = connect(&corner, |config| {
            config.disk_soft_limit = "6M".parse().ok();
            config.disk_hard_limit = "10M".parse().ok();
        })
        .await;
        let refused =
            limited.prepare(&request(ada.clone()), &Progress::ignored()).await.unwrap_err();
        assert!(refused.user_message().contains("your files take 12 MiB"), "{refused}");
        limited.prepare(&request(bob), &Progress::ignored()).await.unwrap();

        inside(&corner, &ada, &["dd", "if=/dev/zero", "of=/home/x", "bs=1048576", "count=8"]).await;
        let (progress, mut reports) = Progress::channel();
        limited.prepare(&request(ada), &progress).await.unwrap();
        drop(progress);
        assert!(reports.recv().await.unwrap().message.contains("8 MiB"), "a warning");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_38_volumes_without_labels_count_as_far_as_servers_use_them() {
    in_a_corner(|corner| async move {
        // As another hub made them, the second as version 0.10 of the spawner named it.
        let own = [format!("{}-ada.l", corner.name), format!("{}-ada-2el", corner.name)];
        for volume in &own {
            corner.engine.ensure_volume(volume, &Labels::new()).await.unwrap();
            let mut fill = shell(&corner, "fill", "dd if=/dev/zero of=/v/x bs=1048576 count=7");
            fill.mounts = vec![Mount::volume(volume, "/v")];
            let ran = corner.engine.run_to_end(&fill, Duration::from_secs(60)).await.unwrap();
            assert_eq!(ran.code, 0, "{}", ran.output);
        }
        let mut said = Vec::new();
        for migration in [VolumeMigration::Adopt, VolumeMigration::Off] {
            let limited = connect(&corner, |config| {
                config.disk_hard_limit = "7M".parse().ok();
                config.volume_migration = migration;
            })
            .await;
            let start = request(key("ada.l", ""));
            let refused = limited.prepare(&start, &Progress::ignored()).await.unwrap_err();
            said.push(refused.user_message());
        }
        for volume in &own {
            corner.engine.remove_volume(volume).await.unwrap();
        }
        assert!(said[0].contains("your files take 14 MiB"), "{said:?}");
        assert!(said[1].contains("your files take 7 MiB"), "{said:?}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_15_a_registry_that_wants_a_login_gets_it() {
    in_a_corner(|corner| async move {
        let mut registry = Registry::open().await;
        registry.login = Some(format!("authorization: basic {}", STANDARD.encode("ada:luck")));
        let image = format!("{}:4", registry.repository);
        let host = registry.repository.split('/').next().unwrap().to_owned();
        let with = async |password: &str| {
            let mut config = DockerConfig {
                image: image.clone(),
                pull_policy: PullPolicy::Always,
                ..corner.config()
            };
            let login = RegistryLogin { username: "ada".to_owned(), password: password.into() };
            config.registry_auth = [(host.clone(), login)].into();
            config.prepull = true;
            DockerSpawner::connect(config).await.unwrap()
        };
        let (wrong, right) = (with("mischief").await, with("luck").await);
        let story = async {
            let failed = wrong.prepull().await;
            assert_eq!(failed.len(), 1);
            assert!(matches!(failed[0].1, SpawnError::ImageUnavailable { .. }), "{failed:?}");
            assert!(!format!("{failed:?}").contains("mischief"), "C11");
            assert!(right.prepull().await.is_empty());
        };
        tokio::select! {
            () = story => {}
            () = registry.serve() => unreachable!("it serves for ever"),
        }
        assert!(corner.engine.image_exists(&image).await.unwrap());
        corner.engine.remove_image(&image).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_34_a_start_that_is_given_up_while_it_pulls_leaves_nothing_and_can_be_made_again() {
    in_a_corner(|corner| async move {
        let registry = Registry::open().await;
        let image = format!("{}:4", registry.repository);
        let spawner = connect(&corner, |config| config.image = image.clone()).await;
        registry.open.send_replace(false);
        let request = request(key("ada", ""));
        let story = async {
            let (progress, mut reports) = Progress::channel();
            tokio::select! {
                _ = spawner.prepare(&request, &progress) => panic!("nothing was given out"),
                _ = reports.recv() => {}
            }
            spawner.stop(&request.key, &SavedState::default(), StopMode::Now).await.unwrap();
            assert!(!corner.engine.image_exists(&image).await.unwrap());
            registry.open.send_replace(true);
            spawner.prepare(&request, &Progress::ignored()).await.unwrap();
        };
        tokio::select! {
            () = story => {}
            () = registry.serve() => unreachable!("it serves for ever"),
        }
        eventually("the image is there", async || {
            corner.engine.image_exists(&image).await.unwrap().then_some(())
        })
        .await;
        corner.engine.remove_image(&image).await.unwrap();
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn c11_no_object_tells_a_secret_but_the_servers_own_environment() {
    in_a_corner(|corner| async move {
        let spawner = connect(&corner, |config| {
            config.environment.insert("OPERATORS".to_owned(), "s3cr3t-1".into());
            let login = RegistryLogin { username: "u".to_owned(), password: "s3cr3t-2".into() };
            config.registry_auth.insert("r.example".to_owned(), login);
        })
        .await;
        let ada = key("ada", "");
        let mut request = request(ada.clone());
        request.api_token = "s3cr3t-3".into();
        spawner.start(&request, &Progress::ignored()).await.unwrap();
        let id = corner.container(&ada).await;
        let details = corner.engine.inspect(&id).await.unwrap().unwrap();
        let summary = corner.engine.containers(&corner.labels()).await.unwrap();
        let volumes = corner.engine.volumes(&corner.labels()).await.unwrap();
        let networks = corner.engine.networks_labelled(&corner.labels()).await.unwrap();
        let command = corner.engine.recipe(&id).await.unwrap().unwrap().command;
        let log = corner.engine.logs(&id, 100).await.unwrap();
        let told =
            format!("{details:?}{summary:?}{volumes:?}{networks:?}{command:?}{log:?}{spawner:?}");
        assert!(!told.contains("s3cr3t"), "{told}");
        let env = inside(&corner, &ada, &["cat", "/proc/1/environ"]).await;
        assert!(env.contains("s3cr3t-1") && env.contains("s3cr3t-3") && !env.contains("s3cr3t-2"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_16_arguments_follow_the_command_of_the_image() {
    in_a_corner(|corner| async move {
        let ada = key("ada", "");
        let spawner =
            connect(&corner, |config| config.args = ["--more"].into_iter().collect()).await;
        start(&spawner, &ada).await.unwrap();
        let id = corner.container(&ada).await;
        let recipe = corner.engine.recipe(&id).await.unwrap().unwrap();
        assert_eq!(recipe.command, ["/bin/serve", "--more"]);

        let image = format!("{}:built", corner.name);
        corner.engine.import(root(), &image, &["ENV PATH=/bin"]).await.unwrap();
        let spawner = connect(&corner, |config| {
            config.image = image.clone();
            config.args = ["--more"].into_iter().collect();
        })
        .await;
        let error = start(&spawner, &key("bob", "")).await.unwrap_err();
        let SpawnError::Rejected { what, reason } = &error else { panic!("{error:?}") };
        assert_eq!(what, "args without cmd");
        assert!(reason.contains(&image), "{reason}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_17_a_linked_container_has_its_alias_in_a_network_that_was_made() {
    in_a_corner(|corner| async move {
        let (ada, bob) = (key("ada", ""), key("bob", ""));
        start(&corner.spawner().await, &bob).await.unwrap();
        let spawner = connect(&corner, |config| {
            config.links = [(format!("{}-bob", corner.name), "files".to_owned())].into();
        })
        .await;
        start(&spawner, &ada).await.unwrap();
        let ask = ["wget", "-q", "-O", "-", "http://files:8888/index.html"];
        eventually("the other container answers by its alias", async || {
            (inside(&corner, &ada, &ask).await == "hello").then_some(())
        })
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn sys_1_a_server_goes_on_with_the_number_that_it_had() {
    in_a_corner(|corner| async move {
        let homes = tempfile::tempdir().unwrap();
        std::fs::create_dir(homes.path().join("ada")).unwrap();
        let spawner = connect(&corner, |config| {
            let host_homedir = format!("{}/{{username}}", homes.path().display());
            config.system_users = Some(SystemUsers { host_homedir, ..SystemUsers::default() });
        })
        .await;
        let ada = key("ada", "");
        let mut request = request(ada.clone());
        request.preset.uid = Some(1234);
        let started = spawner.start(&request, &Progress::ignored()).await.unwrap();
        assert_eq!(inside(&corner, &ada, &["id", "-u"]).await, "1234");

        // Nothing tells it now but what was kept.
        request.preset.uid = None;
        request.state = spawner.lasting(&started.state);
        assert_eq!(request.state.text("object_id"), None);
        spawner.start(&request, &Progress::ignored()).await.unwrap();
        assert_eq!(inside(&corner, &ada, &["id", "-u"]).await, "1234");
        request.state = SavedState::default();
        let error = spawner.start(&request, &Progress::ignored()).await.unwrap_err();
        assert!(error.user_message().contains("nothing tells which number"), "{error}");
    })
    .await;
}
