//! An operator's daily commands.

use std::{fs, process::Stdio};

use hub_spawner::engine::ContainerSpec;
use hub_tests::{Browser, Deployment, GitHub, Kernel, deployment::said, docker, eventually};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::container_id;

/// What the reference deployment of 2017 builds its servers' image from.
const DOCKERFILE: &str = "ARG DOCKER_NOTEBOOK_IMAGE\nFROM $DOCKER_NOTEBOOK_IMAGE\n\
                          ARG JUPYTERHUB_VERSION\nENV MADE_FOR=$JUPYTERHUB_VERSION\n";

fn write(deployment: &Deployment, file: &str, text: &str) {
    let path = deployment.dir().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Signs in at GitHub and comes back; the page that the hub shows then.
async fn arrives(github: &GitHub, browser: &mut Browser, login: &str) -> (u16, String) {
    github.sign_in(login);
    let page = browser.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    (page.status, page.url.path().to_owned())
}

fn home() -> (u16, String) {
    (200, "/hub/home".to_owned())
}

/// The image that a deployment built, taken away at the end.
struct Built(String);

impl Drop for Built {
    fn drop(&mut self) {
        docker::forget_image(&self.0);
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn cfg_1_a_day_of_an_operator() {
    let mut deployment = Deployment::prepare();
    let built = Built(format!("{}-user", deployment.name));
    deployment.set("LOCAL_NOTEBOOK_IMAGE", &built.0);
    deployment.set("JUPYTERHUB_VERSION", "5.4.0");

    // A step of the Dockerfile fails, and it is said which.
    let broken = format!("{DOCKERFILE}RUN echo nearly there && exit 3\n");
    write(&deployment, "singleuser/Dockerfile", &broken);
    let failed = deployment.fail(&["notebook-image"]).await;
    for part in ["RUN echo nearly there && exit 3", "| nearly there", "singleuser/Dockerfile"] {
        assert!(failed.contains(part), "{part:?} in {failed}");
    }
    write(&deployment, "singleuser/Dockerfile", DOCKERFILE);
    deployment.run(&["notebook-image"]).await;

    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.person("bob", 1816);
    deployment.run(&[]).await;
    let (hub, proxy) =
        (container_id(&deployment.name).await, container_id(&deployment.proxy()).await);
    let (mut ada, mut bob) = (deployment.browser(), deployment.browser());
    assert_eq!(arrives(&github, &mut ada, "ada").await, home());
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    let made_for = "__import__('os').environ['MADE_FOR']";
    assert_eq!(kernel.run(made_for).await, "'5.4.0'", "the built image, with its argument");

    // FAQ-1.
    let logs = deployment.run(&["logs"]).await;
    assert!(logs.contains("ada"), "{logs}");
    let servers = deployment.run(&["logs", "Ada", "--tail", "50"]).await;
    assert!(servers.contains("/user/ada/"), "{servers}");
    assert_eq!(deployment.run(&["logs", "--tail", "1"]).await.lines().count(), 1);
    let proxys = deployment.run(&["logs", "--proxy"]).await;
    assert!(proxys.contains("Proxying https://"), "{proxys}");
    let nobody = deployment.fail(&["logs", "bob"]).await;
    assert!(nobody.contains("bob has no running server"), "{nobody}");
    let mut follow = tokio::process::Command::from(deployment.command(&["logs", "-f"]));
    let mut follow = follow.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let (status, _) = arrives(&github, &mut bob, "bob").await;
    assert_eq!(status, 403, "bob is on no list");
    let told = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("bob") {
                return line;
            }
        }
        panic!("the log ended")
    };
    tokio::time::timeout(hub_tests::wait::DEADLINE, told).await.expect("bob is in the log");
    drop(follow);

    // USR-6: a line more.
    write(&deployment, "userlist", "grace admin\nada\nbob\n");
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("config/userlist") && told.contains("configuration reloaded"), "{told}");
    // The image is built again for those who start from now on.
    write(&deployment, "singleuser/Dockerfile", &format!("{DOCKERFILE}ENV MADE_FOR=bob\n"));
    let told = deployment.told(&["upgrade"]).await;
    assert!(told.contains("was built from something else"), "{told}");
    let mut bob = deployment.browser();
    assert_eq!(arrives(&github, &mut bob, "bob").await, home());
    bob.start_server("bob").await;
    let mut bobs = Kernel::start(&mut bob, "bob").await;
    assert_eq!(bobs.run(made_for).await, "'bob'", "the image as it is now");
    assert_eq!(kernel.run("6 * 7").await, "42", "ada's goes on");

    // A configuration where there was none, and a bad one after it.
    let authoritative =
        "[auth]\nuserlist_mode = \"authoritative\"\nremoved_user_grace_seconds = 1\n";
    write(&deployment, "hub.toml", authoritative);
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("auth.userlist_mode"), "{told}");
    write(&deployment, "hub.toml", &format!("{authoritative}userlst_mode = \"seed\"\n"));
    write(&deployment, "userlist", "grace admin\nada\n");
    let refused = deployment.fail(&["reload"]).await;
    for part in ["hub.toml:4", "userlist_mode", "nothing was changed"] {
        assert!(refused.contains(part), "{part:?} in {refused}");
    }
    assert_eq!(bob.look("/hub/home").await.status, 200, "the old ones hold");
    write(&deployment, "hub.toml", authoritative);
    deployment.run(&["reload"]).await;
    eventually("bob is signed out", || async {
        let answer = bob.clone().look("/hub/home").await;
        if answer.status == 302 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    assert_eq!(ada.look("/hub/home").await.status, 200);

    // Nothing changed is nothing done; a variable is for another container.
    let told = deployment.told(&["reload"]).await;
    assert!(told.contains("files: unchanged") && !told.contains("upgrade"), "{told}");
    deployment.set("HUB__SERVERS__START_TIMEOUT_SECONDS", "77");
    let told = deployment.told(&["reload"]).await;
    let upgrade = format!("`cargo xtask deploy --dir {} upgrade`", deployment.dir().display());
    assert!(told.contains(&upgrade), "{told}");

    // ACME-2: numbers for who is in the control network, and not for notebooks.
    let numbers = format!("http://{}-api:8002/metrics", deployment.proxy());
    let ask = ["/usr/bin/hub-proxy", "healthcheck", "--url", &numbers];
    let asked = docker::engine().await.exec(&deployment.proxy(), &ask).await.unwrap();
    assert_eq!(asked.code, 0, "{}", asked.output);
    let from_a_notebook = format!(
        "import urllib.request\nfor host in ['{0}-api', '{0}']:\n try: \
         print(urllib.request.urlopen(f'http://{{host}}:8002/metrics', timeout=5).status)\n \
         except OSError: print('no way')",
        deployment.proxy()
    );
    assert_eq!(kernel.run(&from_a_notebook).await, "no way\nno way");

    // RST-3: a server that the hub's database has never heard of.
    let engine = docker::engine().await;
    let stray = format!("{}-stray", deployment.name);
    let mut spec = ContainerSpec::new(&stray, &built.0);
    spec.command = Some(vec!["sleep".to_owned(), "infinity".to_owned()]);
    spec.labels = [("deployment", &*deployment.name), ("kind", "server"), ("user", "grace")]
        .map(|(key, value)| (format!("hub.{key}"), value.to_owned()))
        .into();
    let id = Box::pin(engine.create_container_from(&spec)).await.unwrap();
    engine.start_container(&id).await.unwrap();
    let told = deployment.run(&["hub", "gc", "--orphans", "--yes"]).await;
    assert!(told.contains(&format!("Removed: {stray}\n")), "{told}");
    assert!(engine.inspect(&id).await.unwrap().is_none());
    assert_eq!(kernel.run("6 * 7").await, "42", "ada's is known");

    assert_eq!(container_id(&deployment.name).await, hub, "the hub was never replaced");
    assert_eq!(container_id(&deployment.proxy()).await, proxy);

    // XT-5, as a person reads it; Docker asks for the health in its own time.
    let port = format!("127.0.0.1:{}", deployment.port);
    let parts =
        [deployment.url.as_str(), "running", "healthy", "certificate good until", "ada", &port];
    eventually("the status tells everything", || async {
        let status = said(&deployment.try_run(&["status"]).await);
        match parts.iter().find(|part| !status.contains(**part)) {
            None => Ok(()),
            Some(part) => Err(format!("no {part:?} in {status}")),
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn xt_3_a_hub_that_shares_its_host_with_others() {
    let mut deployment = Deployment::prepare();
    deployment.set("HUB__HTTP__BASE_URL", "/jupyter/");
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");

    // ENV-4: what is registered with GitHub has to be below the base URL, too.
    let refused = deployment.fail(&[]).await;
    assert!(refused.contains("/jupyter/hub/oauth_callback"), "{refused}");
    let callback = format!("{}/jupyter/hub/oauth_callback", deployment.url);
    github.register(&callback);
    deployment.set("OAUTH_CALLBACK_URL", &callback);
    let told = deployment.told(&[]).await;
    assert!(told.contains(&format!("{}/jupyter/", deployment.url)), "{told}");

    let mut ada = deployment.browser().below("/jupyter/");
    let home = ada.get("/hub/oauth_login?next=%2Fjupyter%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/jupyter/hub/home"), "{}", home.text);
    ada.start_server("ada").await;
    assert_eq!(Kernel::start(&mut ada, "ada").await.run("6 * 7").await, "42");
    let beside = deployment.browser().get("/hub/login").await;
    assert_eq!(beside.status, 404, "{}", beside.text);
    assert_eq!(deployment.status().await["url"], format!("{}/jupyter/", deployment.url));
    let users = deployment.run(&["hub", "users", "list"]).await;
    assert!(users.contains("ada"), "{users}");
}
