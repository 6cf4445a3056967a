use std::path::Path;

use super::{
    super::{
        Environment, Loaded,
        key::{Applies, Key, Kind},
        parse,
    },
    DOCKER_SECTION,
};

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

fn loaded(text: &str) -> Loaded {
    let loaded = parse(text, "hub.toml", Path::new("/srv"), &Environment::default(), false);
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Lines that give `key` a value other than its default, with what that needs.
fn changed(key: &Key) -> String {
    let name = key.short_name();
    let value = match (name, key.kind) {
        ("hub_containers", _) => "[\"hub\"]\nisolation = \"per-user\"",
        ("isolation_subnets", _) => "\"10.200.0.0/16\"\nisolation = \"per-user\"",
        ("host_ports", _) => "\"9000-9100\"\nnetwork = \"host\"",
        ("post_start_required", _) => "true\npost_start_cmd = \"true\"",
        ("on_user_delete", _) => "\"archive\"\narchive_dir = \"archives\"",
        ("use_internal_ip", _) => "false",
        ("mounts", _) => "[{ target = \"/data\", source = \"data\" }]",
        ("shared", _) => "[{ target = \"/data\", source = \"data\" }]",
        ("group_overrides", _) => "{ a = { groups = [\"a\"], image = \"other\" } }",
        ("registry_auth", _) => "{ \"r.example\" = { username = \"a\", password = \"b\" } }",
        ("gpu_pool", _) => "[\"1\"]\ngpus = 1",
        ("extra_create_kwargs", _) => "{ Domainname = \"lab\" }",
        ("extra_host_config", _) => "{ CpuShares = 2 }",
        ("name_template", _) => "\"lab-{username}--{servername}\"",
        ("host_ip", _) => "\"127.0.0.2\"\nuse_internal_ip = false",
        ("volume_owner", _) => "\"7:7\"",
        ("ip", _) => "\"127.0.0.1\"",
        ("notebook_dir", _) => "\"/another\"",
        (_, Kind::Boolean) if key.default == Some("true") => "false",
        (_, Kind::Boolean) => "true",
        (_, Kind::Integer(_)) => "7",
        (_, Kind::Choice(words)) => {
            let others = words.iter().map(|word| format!("\"{word}\""));
            let other = others.into_iter().find(|word| key.default != Some(word)).unwrap();
            return format!("{name} = {other}\n");
        }
        (_, Kind::List) => "[\"another\"]",
        (_, Kind::Command) => "\"another\"",
        (_, Kind::Secrets) => "{ A = \"b\" }",
        (_, Kind::Table) => "{ another = \"/another\" }",
        (_, Kind::Text) if key.default.is_some() => "\"another\"",
        _ => key.example.unwrap_or_else(|| panic!("no other value for {name}")),
    };
    format!("{name} = {value}\n")
}

#[test]
fn cfg_1_a_change_of_any_key_of_docker_leaves_a_reload_possible() {
    let running = loaded(LAB);
    let now = running.config.spawner.docker().unwrap();
    // The image is there in any case.
    for key in DOCKER_SECTION.keys.iter().filter(|key| key.short_name() != "image") {
        let wanted = loaded(&format!("{LAB}{}", changed(key)));
        let is_other = format!("{:?}", wanted.config.spawner.docker().unwrap());
        assert_ne!(is_other, format!("{now:?}"), "{} is not changed", key.name);
        // As a reload does it.
        let next = wanted.keeping(&running, Applies::Restart);
        let next = next.unwrap_or_else(|error| panic!("{}: {error}", key.name));
        let verdict = now.check_next(next.config.spawner.docker().unwrap());
        verdict.unwrap_or_else(|error| panic!("{} is not held back: {error:?}", key.name));
    }
}
