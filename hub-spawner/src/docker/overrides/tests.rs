use super::*;
use crate::{Preset, docker::Gpus};

fn config(json: serde_json::Value) -> DockerConfig {
    serde_json::from_value(json).unwrap()
}

#[test]
fn group_overrides_are_taken_in_the_order_of_their_names_and_a_preset_goes_last() {
    let config =
        config(serde_json::json!({"image": "lab:4", "mem_limit": "1G", "group_overrides": {
            "10-all": {"groups": ["class"], "mem_limit": "2G", "environment": {"A": "1"}},
            "20-gpu": {"groups": ["gpu"], "image": "lab:gpu", "gpus": 1, "mem_limit": "8G"},
            "30-bob": {"users": ["bob"], "cpu_limit": 0.5, "volumes": {"data": "/data"}},
        }}));
    let common = Blueprint::read(&config, None).unwrap();
    let of = |user: &str, groups: &[&str], memory: Option<&str>| {
        let preset = Preset {
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
            memory_limit: memory.map(|text| text.parse().unwrap()),
            ..Preset::default()
        };
        common.with(&ServerKey::default_of(user.parse().unwrap()), &preset).unwrap()
    };
    let limit = |own: &Blueprint| own.settings.memory_limit.unwrap() >> 30;
    let ada = of("ada", &["class", "gpu"], None);
    assert_eq!((limit(&ada), ada.image.to_string().as_str()), (8, "lab:gpu"));
    assert_eq!(ada.gpus, Gpus::Count(1));
    assert!(ada.settings.environment.contains_key("A"));
    assert_eq!(limit(&of("ada", &["class", "gpu"], Some("3G"))), 3);
    let bob = of("bob", &["class"], None);
    assert_eq!((limit(&bob), bob.settings.cpu_limit), (2, Some(0.5)));
    assert_eq!(bob.volumes.len(), common.volumes.len() + 1);
    let eve = of("eve", &["other"], None);
    assert_eq!((limit(&eve), eve.gpus), (1, Gpus::None));
}

#[test]
fn a_volume_of_a_group_takes_the_place_of_one_with_its_source_or_target() {
    let config = config(serde_json::json!({
        "image": "lab:4",
        "volumes": {"home-{username}": "/home", "data": "/data", "kept": "/kept"},
        "mounts": [{"type": "tmpfs", "target": "/scratch"}],
        "group_overrides": {"x": {"users": ["ada"], "volumes": {
            "big-{username}": "/home/", "data": "/srv/data", "fast": "/scratch"}}},
    }));
    let common = Blueprint::read(&config, None).unwrap();
    let key = ServerKey::default_of("ada".parse().unwrap());
    let own = common.with(&key, &Preset::default()).unwrap();
    let mut mounted: Vec<_> =
        own.volumes.iter().map(|one| one.render(&own.names, &key).unwrap()).collect();
    mounted.sort();
    let expected =
        [("big-ada", "/home/"), ("data", "/srv/data"), ("fast", "/scratch"), ("kept", "/kept")];
    let expected = expected.map(|(source, path)| (source.to_owned(), path.to_owned()));
    assert_eq!(mounted, expected);
    assert!(own.mounts.is_empty());
}

#[test]
fn an_override_that_makes_no_sense_is_named() {
    let all = config(serde_json::json!({
        "image": "lab", "gpus": 1, "gpu_pool": ["0", "1"], "mem_guarantee": "1G"}));
    let image = "lab".parse().unwrap();
    let names = Names::new(None, "jupyter", &image, Default::default()).unwrap();
    for (json, words) in [
        (serde_json::json!({"mem_limit": "1G"}), "x.groups: name"),
        (serde_json::json!({"groups": ["a"], "image": "A B"}), "x.image: "),
        (serde_json::json!({"groups": ["a"], "cpu_limit": 0}), "x.cpu_limit: "),
        (serde_json::json!({"groups": ["a"], "pids_limit": 0}), "x.pids_limit: "),
        (serde_json::json!({"groups": ["a"], "default_url": "{"}), "x.default_url: "),
        (serde_json::json!({"groups": ["a"], "gpus": "all"}), "x.gpus: has to be a number"),
        (serde_json::json!({"groups": ["a"], "gpus": ["0"]}), "x.gpus: has to be a number"),
        (serde_json::json!({"groups": ["a"], "gpus": 3}), "x.gpus: is more than gpu_pool has"),
        (
            serde_json::json!({"groups": ["a"], "mem_guarantee": "3G", "mem_limit": "2G"}),
            "x.mem_guarantee: is more than mem_limit",
        ),
        (
            serde_json::json!({"groups": ["a"], "mem_limit": "512M"}),
            "x.mem_limit: is less than mem_guarantee",
        ),
        (
            serde_json::json!({"groups": ["a"], "volumes": {"v": {"bind": "/x", "mode": "w"}}}),
            "no mode",
        ),
        (
            serde_json::json!({"groups": ["a"], "volumes": {"/var/run/docker.sock": "/s"}}),
            "x.volumes: /var/run/docker.sock holds the socket",
        ),
        (serde_json::json!({"groups": ["a"], "allowed_images": ["A B"]}), "x.allowed_images: "),
        (serde_json::json!({"groups": ["a"], "user": "a b"}), "x.user: write a user"),
        (
            serde_json::json!({"groups": ["a"], "environment": {"A=B": "c"}}),
            "x.environment: \"A=B\" is not the name of a variable",
        ),
        (
            serde_json::json!({"groups": ["a"], "environment": {"GRANT_SUDO": "yes"}}),
            "x.environment: GRANT_SUDO has no effect without allow_privilege_escalation",
        ),
        (
            serde_json::json!({"groups": ["a"], "disk_soft_limit": "2G", "disk_hard_limit": "1G"}),
            "x.disk_soft_limit: is more than disk_hard_limit",
        ),
        (
            serde_json::json!({"groups": ["a"], "read_only_volumes":
                {"v": {"bind": "/x", "mode": "rw"}}}),
            "x.read_only_volumes: v is to be read-only",
        ),
        (
            serde_json::json!({"groups": ["a"], "read_only_volumes":
                {"/var/run/docker.sock": "/s"}}),
            "x.read_only_volumes: /var/run/docker.sock holds the socket",
        ),
        (
            serde_json::json!({"groups": ["a"], "mounts": [{"source": "data", "target": "t"}]}),
            "x.mounts: the target",
        ),
        (
            serde_json::json!({"groups": ["a"], "mounts":
                [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s"}]}),
            "x.mounts: /var/run/docker.sock holds the socket",
        ),
        (
            serde_json::json!({"groups": ["a"], "extra_create_kwargs": {"hostnam": "x"}}),
            "x.extra_create_kwargs: hostnam is no field",
        ),
        (
            serde_json::json!({"groups": ["a"], "extra_host_config": {"privileged": true}}),
            "x.extra_host_config: Privileged lets servers out",
        ),
        (
            serde_json::json!({"groups": ["a"], "extra_host_config":
                {"device_requests": [{"count": 1}]}}),
            "x.extra_host_config: DeviceRequests is set by gpus",
        ),
        (serde_json::json!({"groups": ["a"], "volumes": {"srv": "work"}}), "x.volumes: the target"),
    ] {
        let read: GroupOverride = serde_json::from_value(json.clone()).unwrap();
        let said = Override::read("x", &read, &all, &names).unwrap_err().to_string();
        assert!(said.contains(words), "{json}: {said}");
    }
}

#[test]
fn what_an_operators_program_could_decide_differs_by_group() {
    let config = config(serde_json::json!({
        "image": "lab:4", "args": ["--all"], "allowed_images": ["lab:4", "lab:5"],
        "volumes": {"home-{username}": "/home"},
        "mounts": [{"type": "tmpfs", "target": "/scratch"}, {"source": "kept", "target": "/kept"}],
        "environment": {"GRANT_SUDO": "no"},
        "extra_create_kwargs": {"hostname": "lab", "labels": {"a": "1", "b": "1"},
                                "environment": {"A": "1", "B": "1"}},
        "extra_host_config": {"sysctls": {"net.a": "1"}, "shm_size": 1},
        "group_overrides": {"10-staff": {
            "groups": ["staff"], "args": ["--more"], "user": "root",
            "allow_privilege_escalation": true,
            "allowed_images": {"big": "lab:big"}, "storage_size": "1G",
            "post_start_cmd": "init --now", "environment": {"GRANT_SUDO": "yes"},
            "volumes": {"data": "/write"}, "read_only_volumes": {"data": "/data"},
            "mounts": [{"type": "tmpfs", "target": "/home", "tmpfs_size": "8M"},
                       {"type": "tmpfs", "target": "/tmp/x"}],
            "extra_create_kwargs": {"domainname": "x", "labels": {"b": "2"},
                                    "environment": {"B": "2"}},
            "extra_host_config": {"sysctls": {"net.b": "2"}, "shm_size": 2, "cpu_period": 50_000},
        }},
    }));
    let common = Blueprint::read(&config, None).unwrap();
    let key = ServerKey::default_of("ada".parse().unwrap());
    let of = |groups: &[&str]| {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        common.with(&key, &Preset { groups, ..Preset::default() }).unwrap()
    };
    let own = of(&["staff"]);
    assert_eq!(own.args, ["--more"]);
    assert_eq!((own.user.as_deref(), own.allow_privilege_escalation), (Some("root"), true));
    assert_eq!(own.allowed_images.images().collect::<Vec<_>>(), ["lab:big"]);
    assert_eq!(own.post_start, ["init", "--now"]);
    assert_eq!(own.storage_size.map(MemoryLimit::bytes), Some(1 << 30));
    assert_eq!(own.extra.cpu_period(), Some(50_000));
    let volumes = own.volumes.iter().map(|one| one.render(&own.names, &key).unwrap());
    let data = ("data".to_owned(), "/data".to_owned());
    assert_eq!(volumes.collect::<Vec<_>>(), [data], "a mount takes the place of the volume");
    let mounts = own.mounts.iter().map(|one| one.render(&own.names, &key).unwrap().target);
    let mounts: Vec<_> = mounts.map(Option::unwrap_or_default).collect();
    assert_eq!(mounts, ["/scratch", "/kept", "/home", "/tmp/x"]);
    let body = own.extra.merge(Default::default(), &own.names, &key).unwrap();
    let body = serde_json::to_value(body).unwrap();
    assert_eq!(body["Env"], serde_json::json!(["A=1", "B=2"]));
    assert_eq!(body["Labels"], serde_json::json!({"a": "1", "b": "2"}));
    assert_eq!((&body["Hostname"], &body["Domainname"]), (&"lab".into(), &"x".into()));
    let sysctls = serde_json::json!({"net.a": "1", "net.b": "2"});
    assert_eq!(
        (&body["HostConfig"]["Sysctls"], &body["HostConfig"]["ShmSize"]),
        (&sysctls, &2.into())
    );

    let other = of(&["others"]);
    assert_eq!((other.args, other.user), (vec!["--all".to_owned()], None));
    assert_eq!(other.volumes.len() + other.mounts.len(), 3);
    assert!(common.all_images().contains(&"lab:big".parse().unwrap()), "it is fetched early");
}

#[test]
fn sudo_that_is_asked_for_is_not_taken_away_unseen() {
    let read = |own: serde_json::Value| {
        let all = serde_json::json!({"image": "lab", "environment": {"GRANT_SUDO": "yes"},
            "allow_privilege_escalation": true, "group_overrides": {"x": own}});
        Blueprint::read(&config(all), None).map(drop).map_err(|error| error.to_string())
    };
    let off = serde_json::json!({"groups": ["a"], "allow_privilege_escalation": false});
    let said = read(off).unwrap_err();
    assert!(said.contains("group_overrides: x.allow_privilege_escalation: takes"), "{said}");
    read(serde_json::json!({"groups": ["a"], "allow_privilege_escalation": false,
        "environment": {"GRANT_SUDO": "no"}}))
    .unwrap();
}
