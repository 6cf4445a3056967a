//! Images with start scripts of their own, as people have them: the entry point
//! is the image's, the command is the hub's, and root may become somebody else.

use std::process::Command;

use bytes::Bytes;
use hub_spawner::engine::Build;
use hub_tests::{
    Browser, TestHub, docker,
    hub::{notebook_image, program},
};
use uuid::Uuid;

/// What docker-stacks and the reference deployment have in one script: set-up work
/// for a known command only, `NOTEBOOK_ARGS`, and root that becomes `NB_UID`.
const ENTRYPOINT: &str = r#"#!/bin/sh
set -eu
case "$(basename "$1")" in
    start-singleuser.sh) echo "entrypoint: prepared for $*" ;;
esac
if [ "$(id -u)" = 0 ]; then
    chown "$NB_UID:$NB_GID" /home/jovyan
    exec setpriv --reuid="$NB_UID" --regid="$NB_GID" --clear-groups "$@"
fi
exec "$@"
"#;

const START: &str = r#"#!/bin/sh
eval "set -- $(printf '%s' "${NOTEBOOK_ARGS:-}") \"\$@\""
exec jupyterhub-singleuser --ip=0.0.0.0 "$@"
"#;

/// An image made for a test. Dropping it removes it.
struct Image(String);

impl Image {
    /// Made from the notebook image with more Dockerfile lines.
    ///
    /// No step is that of another test's image: when Docker removes an image, it removes
    /// what that was built on too, even if a build has just given it a name.
    async fn with(lines: &str) -> Self {
        let name = format!("hub-test-{}:e2e", Uuid::new_v4().simple());
        let dockerfile = format!(
            "FROM {}\nLABEL hub.test=\"{name}\"\nUSER root\nCOPY docker-entrypoint.sh /srv/\nCOPY start-singleuser.sh /usr/local/bin/\n\
             RUN chmod 755 /srv/docker-entrypoint.sh /usr/local/bin/start-singleuser.sh\n\
             ENTRYPOINT [\"/srv/docker-entrypoint.sh\"]\nCMD [\"start-singleuser.sh\"]\n{lines}\n",
            notebook_image()
        );
        let context = archive(&[
            ("Dockerfile", &dockerfile),
            ("docker-entrypoint.sh", ENTRYPOINT),
            ("start-singleuser.sh", START),
        ]);
        docker::engine().await.build(context, &Build::new(&name), |_| {}).await.unwrap();
        Self(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker::forget_image(&self.0);
    }
}

fn archive(files: &[(&str, &str)]) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().into()
}

async fn log_of(ada: &mut Browser) -> String {
    ada.script(reqwest::Method::GET, "/hub/api/users/ada/server/log?lines=1000", None).await.json()
        ["log"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_9_10_an_entry_point_gets_the_command_split_as_a_shell_would() {
    let image = Image::with("USER 1000:100").await;
    let hub = TestHub::builder()
        .password("ada")
        .image(&image.0)
        .docker("cmd = \"start-singleuser.sh --SingleUserNotebookApp.default_url=/lab '--ServerApp.custom_display_url=http://a b'\"")
        .start()
        .await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let log = log_of(&mut ada).await;
    let told = "entrypoint: prepared for start-singleuser.sh --SingleUserNotebookApp.default_url=/lab \
                --ServerApp.custom_display_url=http://a b";
    assert!(log.contains(told), "{log}");
    let page = ada.get("/user/ada/").await;
    assert_eq!((page.status, page.url.path()), (200, "/user/ada/lab"), "{}", page.text);
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_6_7_a_start_script_as_root_becomes_nb_uid_and_reads_notebook_args() {
    let image = Image::with("").await;
    let hub = TestHub::builder()
        .password("ada")
        .image(&image.0)
        .docker(
            "user = \"root\"\ndefault_url = \"/lab\"\n\
             environment = { NB_UID = \"1234\", NB_GID = \"100\", NOTEBOOK_ARGS = \"--ServerApp.max_body_size=4321\", \
             NB_USER = \"ada\", NB_GROUP = \"class\", NB_UMASK = \"007\", CHOWN_HOME = \"yes\", \
             CHOWN_HOME_OPTS = \"-R\", CHOWN_EXTRA = \"/srv/a,/srv/b\", \
             RESTARTABLE = \"yes\", JUPYTER_ENV_VARS_TO_UNSET = \"SECRET_A,SECRET_B\" }",
        )
        .start()
        .await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let engine = docker::engine().await;
    let id = hub.container("ada").await;
    let seen = "for p in /proc/[0-9]*; do \
                tr '\\0' ' ' < $p/cmdline | grep -q jupyterhub-singleuser.*max_body_size=4321 \
                && grep -q '^Uid:.1234' $p/status && echo found; done";
    let found = engine.exec(&id, &["sh", "-c", seen]).await.unwrap();
    assert!(found.output.contains("found"), "{found:?} {}", log_of(&mut ada).await);
    let env = engine.exec(&id, &["env"]).await.unwrap().output;
    for line in [
        "JUPYTERHUB_DEFAULT_URL=/lab",
        "NB_USER=ada",
        "NB_GROUP=class",
        "NB_UMASK=007",
        "CHOWN_HOME=yes",
        "CHOWN_HOME_OPTS=-R",
        "CHOWN_EXTRA=/srv/a,/srv/b",
        "RESTARTABLE=yes",
        "JUPYTER_ENV_VARS_TO_UNSET=SECRET_A,SECRET_B",
    ] {
        assert!(env.lines().any(|found| found == line), "{line} in {env}");
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_4_an_image_of_the_first_hubs_is_explained() {
    let image = Image::with(
        "ENTRYPOINT []\nCMD [\"python3\", \"-c\", \"import os; os.environ['JPY_USER']\"]",
    )
    .await;
    let hub = TestHub::builder().password("ada").image(&image.0).start().await;
    let page = failed(&hub).await;
    assert!(page.contains("before 0.8"), "{page}");
    // And its last words are there for whoever looks later.
    let (status, log) = hub.api(reqwest::Method::GET, "/users/ada/server/log", None).await;
    assert_eq!(status, 200, "{log}");
    assert!(log["log"].as_str().unwrap().contains("KeyError"), "{log}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_4_a_server_that_listens_inside_only_is_explained() {
    let image = Image::with(
        "CMD [\"python3\", \"-m\", \"http.server\", \"--bind\", \"127.0.0.1\", \"8888\"]",
    )
    .await;
    let hub = TestHub::builder()
        .password("ada")
        .image(&image.0)
        .docker("user = \"1000:100\"")
        .config("[servers]\nhttp_timeout_seconds = 3")
        .start()
        .await;
    let page = failed(&hub).await;
    assert!(page.contains("nothing listens at port 8888"), "{page}");
    assert!(page.contains("--ip=0.0.0.0"), "{page}");
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_5_a_server_at_another_path_is_let_up_with_a_warning() {
    let image = Image::with("CMD [\"python3\", \"-m\", \"http.server\", \"8888\"]").await;
    let hub = TestHub::builder()
        .password("ada")
        .image(&image.0)
        .docker("user = \"1000:100\"")
        .start()
        .await;
    hub.start_server("ada").await;
    let (_, user) = hub.api(reqwest::Method::GET, "/users/ada", None).await;
    let warning = &user["servers"][""]["warning"];
    assert!(warning["message"].as_str().unwrap().contains("/user/ada/api"), "{user}");
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    let home = ada.get("/hub/home").await;
    assert!(home.text.contains("JUPYTERHUB_SERVICE_PREFIX"), "{}", home.text);
    assert!(hub.log().contains("JUPYTERHUB_SERVICE_PREFIX"));
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn nbi_8_the_health_of_a_server_is_shown_and_bad_health_ends_nothing() {
    // Failures count once it has been well.
    let image = Image::with(
        "USER 1000:100\nHEALTHCHECK --interval=1s --retries=2 --start-period=1h CMD test -e /tmp/well",
    )
    .await;
    let hub = TestHub::builder().password("ada").image(&image.0).start().await;
    let mut ada = Browser::new(&hub);
    ada.sign_in("ada").await;
    ada.start_server("ada").await;
    let id = hub.container("ada").await;
    let engine = docker::engine().await;

    has_health(&hub, "starting").await;
    engine.exec(&id, &["touch", "/tmp/well"]).await.unwrap();
    has_health(&hub, "healthy").await;
    assert!(!is_told_unwell(&mut ada).await);
    engine.exec(&id, &["rm", "/tmp/well"]).await.unwrap();
    has_health(&hub, "unhealthy").await;
    assert!(is_told_unwell(&mut ada).await);
    let listed = Command::new(program("hub"))
        .args(["servers", "list"])
        .env_clear()
        .env("HUB_URL", &hub.url)
        .env("HUB_TOKEN", hub_tests::ADMIN_TOKEN)
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("ready (unhealthy)"), "{listed}");
    assert!(hub.log().contains("health check fails"), "{}", hub.log());

    assert_eq!(hub.container("ada").await, id);
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);
    engine.exec(&id, &["touch", "/tmp/well"]).await.unwrap();
    has_health(&hub, "healthy").await;
}

/// Waits until the hub tells this of ada's server, which goes on running.
async fn has_health(hub: &TestHub, wanted: &str) {
    hub_tests::eventually("the health is told", || async {
        let (_, user) = hub.api(reqwest::Method::GET, "/users/ada", None).await;
        let server = &user["servers"][""];
        assert_eq!(server["ready"], true, "{server}");
        if server["health"] == wanted { Ok(()) } else { Err(server["health"].clone()) }
    })
    .await;
}

/// Whether ada's home page shows that her server is not well.
async fn is_told_unwell(ada: &mut Browser) -> bool {
    let home = ada.get("/hub/home").await;
    let notice = home.text.split("data-field=\"health\"").nth(1).unwrap();
    !notice.split('>').next().unwrap().contains("hidden")
}

/// Starts ada's server in vain; the page that tells why.
async fn failed(hub: &TestHub) -> String {
    let mut ada = Browser::new(hub);
    ada.sign_in("ada").await;
    let home = ada.get("/hub/home").await;
    ada.submit("/hub/spawn/ada", &[("_xsrf", home.field("_xsrf"))]).await;
    hub_tests::eventually("the page tells that the start failed", || {
        let mut ada = ada.clone();
        async move {
            let page = ada.get("/hub/spawn-pending/ada").await;
            if page.status == 500 { Ok(page.text) } else { Err((page.status, page.url)) }
        }
    })
    .await
}
