//! Saved while it runs, lost, restored: on the same host, and under another name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use hub_tests::{
    Deployment, Kernel, docker, eventually,
    github::CLIENT_SECRET,
    hub::program,
    volume::{self, FILL, TELL},
};

use super::deployed;

const PASSPHRASE: &str = "a passphrase of several words";

/// The operator's side: `hub` on the host, and a directory for archives.
struct Operator {
    dir: tempfile::TempDir,
}

impl Operator {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("hub-operator-").tempdir().unwrap();
        fs::write(dir.path().join("passphrase"), PASSPHRASE).unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `hub WORDS`, the words divided by spaces.
    fn hub(&self, words: &str) -> Output {
        Command::new(program("hub"))
            .args(words.split(' '))
            .current_dir(self.dir.path())
            .env_clear()
            .output()
            .unwrap()
    }

    /// The same, which has to succeed; what it printed.
    fn ok(&self, words: &str) -> String {
        let output = self.hub(words);
        assert!(output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, which has to fail; what it complained about.
    fn refused(&self, words: &str) -> String {
        let output = self.hub(words);
        assert!(!output.status.success(), "{words}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// The folder of the only run in a directory.
    fn run(&self, directory: &str) -> String {
        let entries: Vec<_> = fs::read_dir(self.path(directory)).unwrap().collect();
        assert_eq!(entries.len(), 1, "{entries:?}");
        format!("{directory}/{}", entries[0].as_ref().unwrap().file_name().to_str().unwrap())
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

async fn owner_volume(deployment: &Deployment) -> String {
    format!("{}-user-ada", deployment.name)
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn bak_1_bak_5_a_lost_deployment_comes_back_with_files_and_sessions() {
    let (mut deployment, github, mut ada) = deployed().await;
    let name = deployment.name.clone();
    let files = owner_volume(&deployment).await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    kernel.run("open('of-the-kernel', 'w').write('six times seven')").await;
    deployment.new_release();
    deployment.run(&["upgrade"]).await;
    assert_eq!(kernel.run("6 * 7").await, "42", "the newer release serves the same kernel");
    volume::shell(&name, &files, FILL).await;
    let before = volume::shell(&name, &files, TELL).await;
    assert!(before.contains("./of-the-kernel regular file"), "{before}");

    // While hub, server and kernel run.
    let operator = Operator::new();
    let told = operator.ok(&format!("backup hub --deployment {name} -o plain.tar"));
    assert!(told.contains("jupyterhub_cookie_secret") && told.contains("tls.key"), "{told}");
    let plain = bytes(&operator.path("plain.tar"));
    assert!(!contains(&plain, CLIENT_SECRET) && !contains(&plain, "PRIVATE KEY"));
    let certificate = fs::read_to_string(deployment.dir().join("secrets/jupyterhub.crt")).unwrap();
    assert!(contains(&plain, &certificate), "certificates are for everybody");
    assert!(contains(&plain, "grace admin\nada\n"), "the list of users");
    let (runs, passphrase) = (operator.path("runs"), operator.path("passphrase"));
    let backup = ["hub", "backup", "all", "--with-secrets", "--passphrase-file"];
    let places = [passphrase.to_str().unwrap(), "-o", runs.to_str().unwrap()];
    let told = deployment.run(&[&backup[..], &places[..]].concat()).await;
    assert!(told.contains("saved and read again"), "{told}");
    let run = operator.run("runs");
    // The directory is in the run as well.
    let into = format!("{run}/directory.tar.zst.age --into again --passphrase-file passphrase");
    operator.ok(&format!("restore directory -i {into}"));
    for file in [".env", "userlist", "secrets/jupyterhub.key"] {
        let there = bytes(&deployment.dir().join(file));
        assert!(bytes(&operator.path("again").join(file)) == there, "{file}");
    }
    assert_eq!(kernel.run("6 * 7").await, "42", "nobody noticed");
    drop(kernel);

    // An emptied host.
    deployment.run(&["down", "--servers", "--purge", "--yes"]).await;
    let engine = docker::engine().await;
    engine.remove_volume(&files).await.unwrap();
    let none = operator.refused(&format!("backup hub --deployment {name} -o x.tar"));
    assert!(none.contains(&format!("no deployed hub called {name}")), "{none}");
    drop(github);

    // The same directory, deployed again.
    deployment.run(&["network"]).await;
    let _github = deployment.github().await;
    deployment.run(&[]).await;
    let gone = ada.look("/hub/home").await;
    assert_ne!(gone.status, 200, "nobody is known: {}", gone.text);
    let restore = format!("restore all --deployment {name} -i {run} --passphrase-file passphrase");
    let running = operator.refused(&restore);
    assert!(running.contains("--stop"), "{running}");
    let known = operator.refused(&format!("{restore} --stop"));
    assert!(known.contains("--force"), "{known}");
    operator.ok(&format!("{restore} --stop --force"));

    assert_eq!(volume::shell(&name, &files, TELL).await, before);
    comes_up(&mut ada).await;
    ada.start_server("ada").await;
    let mut kernel = Kernel::start(&mut ada, "ada").await;
    assert_eq!(kernel.run("open('of-the-kernel').read()").await, "'six times seven'");
    drop(kernel);

    // The same archives, for a deployment of another name beside it.
    let mut other = Deployment::prepare();
    other.run(&["network"]).await;
    let github = other.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");
    other.run(&[]).await;
    operator.ok(&format!(
        "restore all --deployment {} -i {run} --passphrase-file passphrase --stop --force",
        other.name
    ));
    let files_there = owner_volume(&other).await;
    assert_eq!(volume::shell(&other.name, &files_there, TELL).await, before);
    let mut there = other.browser();
    eventually("the other hub is up", || {
        let mut there = there.clone();
        async move {
            let health = there.look("/hub/health").await;
            if health.status == 200 { Ok(()) } else { Err(health.text) }
        }
    })
    .await;
    let home = there.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    there.start_server("ada").await;
    let mut kernel = Kernel::start(&mut there, "ada").await;
    assert_eq!(kernel.run("open('of-the-kernel').read()").await, "'six times seven'");
    drop(kernel);
    // The first one's server was not touched.
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200);

    // Files are removed for good with the hub up, and with the hub down.
    let running = operator.refused(&format!("users purge ada --yes --deployment {}", other.name));
    assert!(running.contains("a server that runs"), "{running}");
    other.run(&["hub", "servers", "stop", "ada"]).await;
    other.run(&["hub", "--json", "users", "purge", "ada", "--yes"]).await;
    assert!(engine.volume(&files_there).await.unwrap().is_none());
    deployment.run(&["hub", "servers", "stop", "ada"]).await;
    engine.stop_container(&name, std::time::Duration::from_secs(10)).await.unwrap();
    let down = deployment.fail(&["hub", "users", "list"]).await;
    assert!(down.contains(&format!("the hub {name} is down")), "{down}");
    operator.ok(&format!("users purge ada --yes --deployment {name}"));
    assert!(engine.volume(&files).await.unwrap().is_none());
}

/// Waits until the hub knows the browser's session.
async fn comes_up(browser: &mut hub_tests::Browser) {
    eventually("the session is known again", || {
        let mut browser = browser.clone();
        async move {
            let home = browser.look("/hub/home").await;
            if home.status == 200 { Ok(()) } else { Err(home.text) }
        }
    })
    .await;
}
