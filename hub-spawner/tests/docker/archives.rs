//! Archives that go into volumes and out of them, and break off (SPN-9, SPN-30, SPN-33).

use std::time::Duration;

use hub_spawner::{
    Progress, ServerKey, Spawner,
    conformance::request,
    docker::{Account, DockerConfig, DockerSpawner, OnUserDelete, VolumeMigration},
    engine::{Engine, Labels, Mount},
};

use crate::{
    bench::{Corner, in_a_corner, socket},
    containers::shell,
    gate::Gate,
    spawner::key,
};

const PUT: (&str, &str) = ("PUT", "/containers/{}/archive");
const GET: (&str, &str) = ("GET", "/containers/{}/archive");

/// A place that no image has.
const NOWHERE: &str = "/nowhere/in/the/image";

async fn gated(
    corner: &Corner,
    gate: &Gate,
    change: impl FnOnce(&mut DockerConfig),
) -> DockerSpawner {
    let mut config = DockerConfig { host: Some(gate.address()), ..corner.config() };
    let volume = format!("{}-{{username}}", corner.name);
    config.volumes = Some([(volume, NOWHERE.into())].into());
    config.volume_owner = Account { uid: 1234, gid: 567 };
    change(&mut config);
    DockerSpawner::connect(config).await.expect("connect")
}

async fn inside(corner: &Corner, key: &ServerKey, command: &[&str]) -> String {
    let ran = corner.engine.exec(&corner.container(key).await, command).await.expect("exec");
    ran.output.trim().to_owned()
}

async fn fill(corner: &Corner, volume: &str, line: &str) {
    let mut spec = shell(corner, "fill", line);
    spec.mounts = vec![Mount::volume(volume, "/v")];
    corner.engine.run_to_end(&spec, Duration::from_secs(60)).await.expect("run");
}

/// Containers that no test has made by itself, of whatever kind.
async fn left(corner: &Corner, volume: &str) -> usize {
    let ours = corner.engine.containers(&corner.labels()).await.expect("list").len();
    let helpers = Engine::volume_helper_labels(volume);
    ours + corner.engine.containers(&helpers).await.expect("list").len()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_a_volume_that_could_not_be_given_is_given_at_the_next_start() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        gate.beside(Box::pin(async {
            let spawner = gated(&corner, &gate, |_| {}).await;
            let faults: [(&str, &dyn Fn(bool)); 4] = [
                ("ada", &|on| gate.refuse(on.then_some(PUT))),
                ("bob", &|on| gate.refuse(on.then_some(("HEAD", PUT.1)))),
                ("eve", &|on| gate.cut(on.then_some((PUT.0, PUT.1, 900)))),
                ("zoe", &|on| gate.cut(on.then_some((PUT.0, PUT.1, 0)))),
            ];
            for (user, fault) in faults {
                let (key, volume) = (key(user, ""), format!("{}-{user}", corner.name));
                let request = request(key.clone());
                fault(true);
                spawner.start(&request, &Progress::ignored()).await.expect_err(user);
                fault(false);
                assert_eq!(left(&corner, &volume).await, 0, "{user}");
                spawner.start(&request, &Progress::ignored()).await.unwrap();
                let owner = inside(&corner, &key, &["stat", "-c", "%u:%g", NOWHERE]).await;
                assert_eq!(owner, "1234:567", "{user}");
                let id = corner.container(&key).await;
                corner.engine.remove_container(&id, true).await.unwrap();
            }
            // Who forbids it for good, or a look at the image, keeps nobody from starting.
            for (user, forbidden) in [("dora", PUT), ("dan", ("HEAD", PUT.1))] {
                gate.forbid(Some(forbidden));
                spawner.start(&request(key(user, "")), &Progress::ignored()).await.expect(user);
                gate.forbid(None);
            }
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_33_a_copy_that_breaks_off_is_made_anew() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        gate.beside(Box::pin(async {
            let spawner = gated(&corner, &gate, |config| {
                config.volume_migration = VolumeMigration::Copy;
            })
            .await;
            let user = key("a-b", "");
            let (old, new) = (format!("{}-a-b", corner.name), format!("{}-a-2db", corner.name));
            corner.engine.ensure_volume(&old, &corner.labels()).await.unwrap();
            let line =
                "cd /v && dd if=/dev/urandom of=big bs=1024 count=2048 2>/dev/null; echo one >z";
            fill(&corner, &old, line).await;
            let half = 1 << 20;
            let faults: [&dyn Fn(bool); 5] = [
                &|on| gate.refuse(on.then_some(("POST", "/volumes/create"))),
                &|on| gate.refuse(on.then_some(GET)),
                &|on| gate.cut(on.then_some((GET.0, GET.1, half))),
                &|on| gate.refuse(on.then_some(PUT)),
                &|on| gate.cut(on.then_some((PUT.0, PUT.1, half))),
            ];
            for (at, fault) in faults.into_iter().enumerate() {
                fault(true);
                let request = request(user.clone());
                let error = spawner.prepare(&request, &Progress::ignored()).await;
                error.expect_err("the copy breaks off");
                fault(false);
                let half_a_copy = corner.engine.volume(&new).await.unwrap();
                assert_eq!(half_a_copy, None, "fault {at}: nobody takes it for the files");
                assert_eq!(left(&corner, &new).await + left(&corner, &old).await, 0, "fault {at}");
            }
            spawner.start(&request(user.clone()), &Progress::ignored()).await.unwrap();
            let file = format!("{NOWHERE}/z");
            assert_eq!(inside(&corner, &user, &["cat", &file]).await, "one");
        }))
        .await;
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_30_a_deleted_users_files_stay_until_their_archive_is_whole() {
    in_a_corner(|corner| async move {
        let gate = Gate::before(socket()).await;
        let archives = tempfile::tempdir().unwrap();
        gate.beside(Box::pin(async {
            let spawner = gated(&corner, &gate, |config| {
                config.on_user_delete = OnUserDelete::Archive;
                config.archive_dir = Some(archives.path().to_owned());
            })
            .await;
            let volume = format!("{}-ada", corner.name);
            let mut labels: Labels = corner.labels();
            labels.insert("hub.kind".to_owned(), "volume".to_owned());
            labels.insert("hub.user".to_owned(), "ada".to_owned());
            corner.engine.ensure_volume(&volume, &labels).await.unwrap();
            let line = "dd if=/dev/urandom of=/v/big bs=1024 count=2048 2>/dev/null";
            fill(&corner, &volume, line).await;
            let ada = "ada".parse().unwrap();
            let faults: [&dyn Fn(bool); 2] = [&|on| gate.refuse(on.then_some(GET)), &|on| {
                gate.cut(on.then_some((GET.0, GET.1, 1 << 20)))
            }];
            let files = || std::fs::read_dir(archives.path()).unwrap().count();
            for fault in faults {
                fault(true);
                spawner.forget_user(&ada).await.unwrap_err();
                fault(false);
                assert!(corner.engine.volume(&volume).await.unwrap().is_some(), "they are there");
                assert_eq!(files(), 0, "half an archive is none");
                assert_eq!(left(&corner, &volume).await, 0);
            }
            spawner.forget_user(&ada).await.unwrap();
            assert_eq!(corner.engine.volume(&volume).await.unwrap(), None);
            let file = archives.path().join(format!("{volume}.tar"));
            let mut archive = tar::Archive::new(std::fs::File::open(file).unwrap());
            let sizes = archive.entries().unwrap().map(|entry| entry.unwrap().size());
            assert_eq!(sizes.sum::<u64>(), 2 << 20);
        }))
        .await;
    })
    .await;
}
