use std::path::Path;

use super::super::{Environment, parse};

/// What is said against `text`, or what runs the servers.
fn told(text: &str) -> String {
    match parse(text, "hub.toml", Path::new("/srv"), &Environment::default(), false) {
        Ok(loaded) => loaded.config.spawner.kind().to_owned(),
        Err(error) => error.to_string(),
    }
}

const LAB: &str = "[spawner.docker]\nimage = \"lab\"\n";

#[test]
fn servers_are_containers_unless_somebody_says_otherwise() {
    assert_eq!(told(LAB), "docker");
    assert_eq!(told(&format!("[spawner]\nkind = \"docker\"\n{LAB}")), "docker");
    assert_eq!(told(&format!("[spawner]\nkind = \"swarm\"\n{LAB}")), "swarm");
    // Without an image, and whatever other sections say.
    assert_eq!(told("[spawner]\nkind = \"process\"\n"), "process");
    let others = "[spawner]\nkind = \"process\"\n[spawner.docker]\nport = 0\n";
    assert_eq!(told(others), "process");
}

#[test]
fn what_is_wrong_is_named_with_its_section() {
    let swarm = |text: &str| format!("[spawner]\nkind = \"swarm\"\n{LAB}{text}");
    for (text, words) in [
        ("[spawner]\nkind = \"kubernetes\"\n".to_owned(), "unknown variant `kubernetes`"),
        ("[spawner]\nkind = \"swarm\"\n".to_owned(), "spawner.docker.image: is missing"),
        (swarm("isolation = \"per-user\"\n"), "isolation (hub.toml:5): is for a single machine"),
        (swarm("[spawner.swarm]\nconstraints = [\"x\"]\n"), "spawner.swarm.constraints (hub"),
        (swarm("[spawner.swarm]\ntoken_secrets = true\n"), "spawner.swarm.token_secrets (hub"),
        (swarm("[spawner.swarm]\nimage = \"lab\"\n"), "unknown key \"image\""),
        (
            "[spawner]\nkind = \"process\"\n[spawner.process]\ncmd = \"\"\n".to_owned(),
            "spawner.process.cmd (hub",
        ),
        (
            "[spawner]\nkind = \"process\"\n[spawner.process]\nnotebook_dir = \"users\"\n"
                .to_owned(),
            "spawner.process.notebook_dir (hub",
        ),
    ] {
        let said = told(&text);
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn processes_are_kept_with_the_hubs_own_data() {
    let dir = |text: &str| {
        let text = format!("[store]\ndata_dir = \"data\"\n[spawner]\nkind = \"process\"\n{text}");
        let loaded = parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false);
        match loaded.unwrap().config.spawner {
            super::SpawnerConfig::Process(process) => process.dir.display().to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(dir(""), "/srv/data/servers");
    assert_eq!(dir("[spawner.process]\ndir = \"run\"\n"), "/srv/data/run");
    assert_eq!(dir("[spawner.process]\ndir = \"/run/hub\"\n"), "/run/hub");
}
