//! What the reference deployment left on a host is taken as it is.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use hub_tests::{Deployment, Kernel, docker, hub::program, volume};

/// A hyphen: older spawners called the volume differently.
const USER: &str = "ada-lovelace";

/// The old hub's volume, as root has written it. The database is made by the real
/// JupyterHub; the secret is as it was before 0.8, and copied by hand since.
const OLD_HUB: &str = r#"cd /v && umask 077
python3 - <<'END'
from jupyterhub import orm
session = orm.new_session_factory("sqlite:////v/jupyterhub.sqlite")()
session.add(orm.User(name="ada-lovelace", admin=True))
session.add(orm.User(name="grace"))
session.commit()
END
head -c 2048 /dev/urandom | base64 -w 0 > jupyterhub_cookie_secret
chmod 644 jupyterhub_cookie_secret jupyterhub.sqlite
chown -R 0:0 . && chmod 755 ."#;

/// What must not change.
const KEPT: &str = "md5sum /v/jupyterhub.sqlite /v/jupyterhub_cookie_secret";

/// The old files of the user.
const OLD_FILES: &str = "cd /v && echo '\"old\"' > old.json && mkdir sub && echo two > sub/two
chown -R 1000:100 . && chmod 750 sub";

/// Volumes without a label of ours, which no sweep finds.
struct Unlabelled(Vec<String>);

impl Drop for Unlabelled {
    fn drop(&mut self) {
        docker::remove_volumes(&self.0);
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn spn_31_the_old_deployments_files_and_volumes_are_used_as_they_are() {
    let mut deployment = Deployment::prepare();
    let name = deployment.name.clone();
    let (data, files) = (format!("{name}-old-data"), format!("{name}-user-{USER}"));
    let _old = Unlabelled(vec![data.clone(), files.clone()]);
    let engine = docker::engine().await;
    for volume in [&data, &files] {
        engine.ensure_volume(volume, &Default::default()).await.unwrap();
    }
    volume::shell(&name, &data, OLD_HUB).await;
    volume::shell(&name, &files, OLD_FILES).await;
    let kept = volume::shell(&name, &data, KEPT).await;

    // Variables of the old `.env`; a blank line crashed the old hub.
    deployment.set("DATA_VOLUME_HOST", &data);
    deployment.set("DOCKER_MACHINE_NAME", "jupyterhub");
    deployment.set("DOCKER_NOTEBOOK_DIR", "/home/jovyan/work");
    deployment.set("SSL_CERT", "/srv/jupyterhub/secrets/jupyterhub.crt");
    deployment.set("SSL_KEY", "/srv/jupyterhub/secrets/jupyterhub.key");
    fs::write(deployment.dir().join("userlist"), format!("{USER} admin\n\ngrace\n")).unwrap();
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person(USER, 1815);
    github.sign_in(USER);
    // As everybody's is; and it was never refused.
    let env = deployment.dir().join(".env");
    fs::set_permissions(&env, fs::Permissions::from_mode(0o644)).unwrap();
    let told = deployment.told(&[]).await;
    assert!(told.contains(&format!("run chmod 600 {}", env.display())), "{told}");

    let mut ada = deployment.browser();
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    ada.start_server(USER).await;
    let mut kernel = Kernel::start(&mut ada, USER).await;
    assert_eq!(kernel.run("open('old.json').read().strip()").await, "'\"old\"'");
    assert_eq!(kernel.run("open('new', 'w').write('x')").await, "1", "they may write there");
    let second = format!("{name}-user-ada-2dlovelace");
    assert_eq!(engine.volume(&second).await.unwrap(), None, "there is one volume only");

    // The volume is the new hub's, who is not root; what the old one wrote is the same.
    assert_eq!(volume::shell(&name, &data, KEPT).await, kept);
    let listed = volume::shell(&name, &data, "ls /v").await;
    assert!(listed.lines().any(|file| file == "hub.sqlite"), "{listed}");

    // A volume without labels is saved like any other.
    let archives = tempfile::tempdir().unwrap();
    let saved = Command::new(program("hub"))
        .args(["backup", "all", "--deployment", &name, "-o", "runs"])
        .current_dir(archives.path())
        .env_clear()
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&saved.stdout).into_owned();
    assert!(saved.status.success() && told.contains(&files), "{saved:?}");

    // Somebody wants the old database itself to be used.
    deployment.set("HUB__STORE__URL", "sqlite:///data/jupyterhub.sqlite");
    let refused = deployment.fail(&["upgrade"]).await;
    assert!(
        refused.contains("JupyterHub's database") && refused.contains("store.url"),
        "{refused}"
    );
    assert_eq!(volume::shell(&name, &data, KEPT).await, kept);
    deployment.set("HUB__STORE__URL", "");
    assert_eq!(ada.get(&format!("/user/{USER}/api/status")).await.status, 200);

    // The way back: all is as the old deployment knows it.
    deployment.run(&["down", "--servers"]).await;
    assert_eq!(volume::shell(&name, &data, KEPT).await, kept);
    let left = volume::shell(&name, &files, "cat /v/old.json /v/sub/two /v/new").await;
    assert_eq!(left, "\"old\"\ntwo\nx");
}
