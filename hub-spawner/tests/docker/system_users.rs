//! Servers that run as accounts of the host, in their homes there (2.8).

use std::{fs, os::unix::fs::MetadataExt};

use hub_spawner::{
    Progress, SpawnError, Spawner,
    conformance::request,
    docker::{DockerSpawner, SystemUsers},
};

use crate::{
    bench::{Corner, in_a_corner},
    spawner::{connect, key, start},
};

async fn inside(corner: &Corner, user: &str, line: &str) -> String {
    let id = corner.container(&key(user, "")).await;
    let ran = corner.engine.exec(&id, &["sh", "-c", line]).await.expect("exec");
    ran.output.trim().to_owned()
}

/// Homes of ada (1234:567) and of bob (1235:567), and the file that says so.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().expect("a home on the host"));
        // Others have to get through to their homes.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(host.0.path(), open).expect("a home on the host");
        let mut lines = String::from("root:x:0:0:root:/root:/bin/bash\n");
        for (user, uid) in [("ada", 1234), ("bob", 1235)] {
            let home = host.home(user);
            fs::create_dir(&home).expect("a home on the host");
            fs::write(home.join("file"), user).expect("a home on the host");
            for path in [home.clone(), home.join("file")] {
                std::os::unix::fs::chown(path, Some(uid), Some(567)).expect("a home on the host");
            }
            let closed = std::os::unix::fs::PermissionsExt::from_mode(0o700);
            fs::set_permissions(&home, closed).expect("a home on the host");
            lines += &format!("{user}:x:{uid}:567::{}:/bin/sh\n", home.display());
        }
        fs::write(host.0.path().join("passwd"), lines).expect("a home on the host");
        host
    }

    fn home(&self, user: &str) -> std::path::PathBuf {
        self.0.path().join(user)
    }

    /// Numbers and homes as the file says, which the hub may read.
    fn users(&self) -> SystemUsers {
        SystemUsers {
            host_homedir: String::new(),
            passwd_file: Some(self.0.path().join("passwd")),
            ..SystemUsers::default()
        }
    }

    async fn spawner(&self, corner: &Corner, users: SystemUsers) -> DockerSpawner {
        connect(corner, |config| {
            config.system_users = Some(users);
            config.volumes = None;
        })
        .await
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn sys_1_a_server_is_its_user_of_the_host_in_their_own_home() {
    in_a_corner(|corner| async move {
        let host = Host::new();
        let spawner = host.spawner(&corner, host.users()).await;
        for (user, uid) in [("ada", 1234), ("bob", 1235)] {
            start(&spawner, &key(user, "")).await.unwrap();
            let own = inside(&corner, user, "id -u; id -g; pwd; echo $HOME $USER $NB_UID $NB_GID");
            let expected = format!("{uid}\n567\n/home/{user}\n/home/{user} {user} {uid} 567");
            assert_eq!(own.await, expected);
            assert_eq!(inside(&corner, user, "cat file; echo new >made").await, user);
            let made = fs::metadata(host.home(user).join("made")).unwrap();
            assert_eq!((made.uid(), made.gid()), (uid, 567), "what is made there is the user's");
        }
        // Nothing of the host is there but the home, and what others have is closed to it.
        let others = inside(&corner, "ada", "ls /home; cat /home/bob/file").await;
        assert!(others.starts_with("ada\n") || others.contains("No such file"), "{others}");
        assert_eq!(corner.engine.volumes(&corner.labels()).await.unwrap(), [], "no volume");
        let before = fs::metadata(host.home("ada")).unwrap();
        assert_eq!((before.uid(), before.mode() & 0o777), (1234, 0o700), "it stays as it was");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn sys_1_an_image_that_changes_its_user_itself_begins_as_root_and_is_told_whom() {
    in_a_corner(|corner| async move {
        let host = Host::new();
        let users = SystemUsers { run_as_root: true, ..host.users() };
        let spawner = host.spawner(&corner, users).await;
        start(&spawner, &key("ada", "")).await.unwrap();
        let own = inside(&corner, "ada", "id -u; echo $NB_USER $NB_UID $NB_GID; cat ~/file").await;
        assert_eq!(own, "0\nada 1234 567\nada");

        // The number of the sign-in goes before the file's; who is in neither has none.
        let mut request = request(key("bob", ""));
        request.preset.uid = Some(4321);
        let users = SystemUsers {
            host_homedir: host.0.path().display().to_string() + "/{username}",
            ..host.users()
        };
        let spawner = host.spawner(&corner, users).await;
        spawner.start(&request, &Progress::ignored()).await.unwrap();
        let own = inside(&corner, "bob", "id -u; cat file 2>&1").await;
        assert!(own.starts_with("4321") && own.contains("Permission denied"), "{own}");
        let error = start(&spawner, &key("eve", "")).await.unwrap_err();
        let SpawnError::Rejected { reason, .. } = &error else { panic!("{error:?}") };
        assert!(reason.contains("nothing tells which number"), "{reason}");
    })
    .await;
}
