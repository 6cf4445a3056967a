//! The compose file of a deployment, in use.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use hub_spawner::engine::Health;
use hub_tests::{Deployment, deployment::said, docker, eventually};

/// What the hub's secrets are in the test, and what must not be in the file.
const SECRETS: [&str; 2] = [hub_tests::github::CLIENT_SECRET, "a-token-of-the-operators-own"];

/// Compose in the operator's directory. Ends what it began.
struct Compose {
    dir: PathBuf,
    project: String,
}

impl Compose {
    fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new("docker-compose")
            .args(["--no-ansi", "-p", &self.project])
            .args(arguments)
            .current_dir(&self.dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .output()
            .unwrap_or_else(|error| panic!("install Debian's docker-compose: {error}"));
        assert!(output.status.success(), "docker-compose {arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[tokio::test]
#[ignore = "needs Docker: cargo xtask test"]
async fn cmp_1_a_compose_file_runs_the_same_hub() {
    let mut deployment = Deployment::prepare();
    deployment.run(&["network"]).await;
    let github = deployment.github().await;
    github.person("ada", 1815);
    github.sign_in("ada");
    // As in 2017: the variables of the OAuth app in a file of their own.
    let oauth = format!("GITHUB_CLIENT_SECRET={}\n", SECRETS[0]);
    deployment.set("GITHUB_CLIENT_SECRET", "");
    let path = deployment.dir().join("secrets/oauth.env");
    fs::write(&path, oauth).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(deployment.dir().join("hub.toml"), "[servers]\nstart_timeout_seconds = 99\n")
        .unwrap();
    deployment.set("HUB__AUTH__USERNAME_MAP", "{ \"a$b\" = \"ab\" }");
    deployment
        .run(&["compose", "-o", &deployment.dir().join("docker-compose.yml").display().to_string()])
        .await;
    let file = fs::read_to_string(deployment.dir().join("docker-compose.yml")).unwrap();

    // CMP-2: no secret, and what the operator has set.
    for secret in SECRETS {
        assert!(!file.contains(secret), "{secret} in {file}");
    }
    for part in ["DOCKER_NOTEBOOK_IMAGE", "GITHUB_CLIENT_ID", "a$$b", "stop_grace_period: \"30s\""]
    {
        assert!(file.contains(part), "{part} in {file}");
    }
    assert!(!file.lines().any(|line| line.starts_with("version:")), "{file}");

    let compose = Compose { dir: deployment.dir().to_owned(), project: deployment.name.clone() };
    let env = deployment.dir().join(".env");
    let mut env = OpenOptions::new().append(true).open(env).unwrap();
    writeln!(env, "CONFIGPROXY_AUTH_TOKEN={}", SECRETS[1]).unwrap();
    compose.run(&["up", "-d"]);
    let engine = docker::engine().await;
    eventually("both are healthy", || async {
        let mut health = Vec::new();
        for name in [&deployment.name, &deployment.proxy()] {
            let found = engine.inspect(name).await.unwrap();
            health.push(found.and_then(|found| found.health));
        }
        if health == [Some(Health::Healthy); 2] {
            return Ok(());
        }
        Err((health, engine.logs(&deployment.name, 20).await))
    })
    .await;
    let mut ada = deployment.browser();
    let home = ada.get("/hub/oauth_login?next=%2Fhub%2Fhome").await;
    assert_eq!((home.status, home.url.path()), (200, "/hub/home"), "{}", home.text);
    ada.start_server("ada").await;
    let status = deployment.status().await;
    assert_eq!(status["hub"]["health"], "healthy", "{status:#}");

    // Users' servers, networks and volumes are none of compose's.
    compose.run(&["down", "--volumes"]);
    let status = deployment.status().await;
    assert_eq!(status["hub"], serde_json::Value::Null, "{status:#}");
    assert_eq!(status["servers"][0]["state"], "running", "{status:#}");
    for kind in ["networks", "volumes"] {
        let all = status[kind].as_array().unwrap();
        assert!(all.iter().all(|one| one["exists"] == true), "{status:#}");
    }
    compose.run(&["up", "-d"]);
    ada.wait_for_server("ada").await;
    assert_eq!(ada.get("/user/ada/api/status").await.status, 200, "nobody signs in again");
}
