//! For each option, what it changes in the body of the create call and nothing else.

use serde_json::{Value, json};

use super::*;
use crate::{ServerKey, docker::system_users::HostAccount};

/// What differs from the body that has no options, as `path: value`; `null` where
/// something is gone. Lists and hashes are values.
fn changed(config: Value) -> Value {
    changed_with(config, |_| {})
}

fn changed_with(config: Value, change: impl FnOnce(&mut Parts<'_>)) -> Value {
    let assigned = Assigned::default();
    let usual = json!({"image": "lab:4"});
    let before = body_of(usual.clone(), parts(&assigned));
    let mut all = usual;
    all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let mut given = parts(&assigned);
    change(&mut given);
    let mut differences = serde_json::Map::new();
    differ("", &before, &body_of(all, given), &mut differences);
    Value::Object(differences)
}

fn body_of(config: Value, parts: Parts<'_>) -> Value {
    let config: DockerConfig = serde_json::from_value(config).unwrap();
    let common = Blueprint::read(&config, None).unwrap();
    let request = request("t");
    let own = common.with(&request.key, &request.preset).unwrap();
    let (body, _) = create_body(&own, &machine(), &request, parts).unwrap();
    let mut body = serde_json::to_value(body).unwrap();
    body["Labels"].as_object_mut().unwrap().remove("hub.spec-hash");
    let lines = body["Env"].as_array().unwrap().clone();
    body["Env"] = lines
        .iter()
        .filter_map(|line| line.as_str()?.split_once('='))
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    body
}

fn differ(path: &str, before: &Value, after: &Value, into: &mut serde_json::Map<String, Value>) {
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                let value = |map: &serde_json::Map<String, Value>| map.get(name).cloned();
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let (one, other) = (value(one), value(other));
                differ(&path, &one.unwrap_or_default(), &other.unwrap_or_default(), into);
            }
        }
        (one, other) if one == other => {}
        (_, other) => {
            into.insert(path.to_owned(), other.clone());
        }
    }
}

#[test]
fn spn_17_each_option_changes_its_fields_of_the_body_and_no_others() {
    let rows = [
        (json!({}), json!({})),
        (
            json!({"ip": "127.0.0.1"}),
            json!({"Env.JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:8888/user/ada/"}),
        ),
        (json!({"ip": "::"}), json!({"Env.JUPYTERHUB_SERVICE_URL": "http://[::]:8888/user/ada/"})),
        (
            json!({"port": 9999}),
            json!({"Env.JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:9999/user/ada/",
                   "ExposedPorts.8888/tcp": null, "ExposedPorts.9999/tcp": {}}),
        ),
        (
            json!({"mem_limit": "1G"}),
            json!({"Env.MEM_LIMIT": "1073741824",
            "HostConfig.Memory": 1_u64 << 30, "HostConfig.MemorySwap": 1_u64 << 30}),
        ),
        (
            json!({"mem_limit": "none"}),
            json!({"HostConfig.Memory": null, "HostConfig.MemorySwap": null}),
        ),
        (json!({"mem_guarantee": "512M"}), json!({"Env.MEM_GUARANTEE": "536870912"})),
        (
            json!({"cpu_limit": 0.5}),
            json!({"Env.CPU_LIMIT": "0.5",
            "HostConfig.CpuPeriod": 100_000, "HostConfig.CpuQuota": 50_000}),
        ),
        (json!({"cpu_guarantee": 0.25}), json!({"Env.CPU_GUARANTEE": "0.25"})),
        (json!({"pids_limit": 100}), json!({"HostConfig.PidsLimit": 100})),
        (json!({"storage_size": "10G"}), json!({"HostConfig.StorageOpt": {"size": "10737418240"}})),
        (
            json!({"gpus": "all"}),
            json!({"HostConfig.DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]}),
        ),
        (
            json!({"links": {"db": "database"}}),
            json!({"NetworkingConfig": {"EndpointsConfig":
                {"jupyterhub-network": {"Links": ["db:database"]}}}}),
        ),
        (
            json!({"links": {"db": "database"}, "network": "bridge"}),
            json!({"HostConfig.Links": ["db:database"], "HostConfig.NetworkMode": "bridge",
                   "HostConfig.PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1"}]}}),
        ),
        (json!({"user": "root"}), json!({"User": "root"})),
        (json!({"debug": true}), json!({"Env.JUPYTERHUB_DEBUG": "1"})),
        (json!({"disable_user_config": true}), json!({"Env.JUPYTERHUB_DISABLE_USER_CONFIG": "1"})),
        (
            json!({"notebook_dir": "/home/{username}"}),
            json!({"Env.JUPYTERHUB_ROOT_DIR": "/home/ada"}),
        ),
        (json!({"default_url": "/lab"}), json!({"Env.JUPYTERHUB_DEFAULT_URL": "/lab"})),
        (json!({"environment": {"A": "b"}}), json!({"Env.A": "b"})),
        (json!({"drop_capabilities": ["ALL"]}), json!({"HostConfig.CapDrop": ["ALL"]})),
        (json!({"allow_privilege_escalation": true}), json!({"HostConfig.SecurityOpt": null})),
        (json!({"log_max_files": 1}), json!({"HostConfig.LogConfig.Config.max-file": "1"})),
        (json!({"network": "other"}), json!({"HostConfig.NetworkMode": "other"})),
        (
            json!({"isolation": "per-user"}),
            json!({"HostConfig.NetworkMode": "jupyterhub-network-ada---6c04dc54"}),
        ),
        (
            json!({"use_internal_ip": false}),
            json!({"HostConfig.PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1"}]}}),
        ),
        (
            json!({"extra_create_kwargs": {"hostname": "{username}", "labels": {"x": "y"}}}),
            json!({"Hostname": "ada", "Labels.x": "y"}),
        ),
        (
            json!({"cpu_limit": 1, "extra_host_config": {"cpu_period": 50_000}}),
            json!({"HostConfig.CpuQuota": 50_000, "HostConfig.CpuPeriod": 50_000,
                   "Env.CPU_LIMIT": "1.0"}),
        ),
        (json!({"extra_host_config": {"shm_size": 1024}}), json!({"HostConfig.ShmSize": 1024})),
        (
            json!({"extra_host_config": {"privileged": true}, "allow_unsafe_host_config": true}),
            json!({"HostConfig.Privileged": true}),
        ),
        (
            json!({"group_overrides": {"x": {"users": ["ada"], "pids_limit": 7}}}),
            json!({"HostConfig.PidsLimit": 7}),
        ),
        (json!({"group_overrides": {"x": {"groups": ["g"], "pids_limit": 7}}}), json!({})),
        // What happens beside the create call leaves its body alone.
        (
            json!({"remove": false, "reuse_stopped": "always", "post_start_cmd": "true",
                   "on_unhealthy": "stop", "networks": ["second"], "prepull": true,
                   "volume_owner": "7:8", "volume_migration": "copy", "on_user_delete": "delete",
                   "disk_soft_limit": "1G", "stop_timeout_seconds": 1, "pull_policy": "always",
                   "registry_auth": {"r.example": {"username": "u", "password": "p"}},
                   "create_host_dirs": {"owner": "7:8"}, "use_internal_hostname": true}),
            json!({}),
        ),
    ];
    for (config, fields) in rows {
        assert_eq!(changed(config.clone()), fields, "{config}");
    }
}

#[test]
fn spn_10_what_is_mounted_is_written_as_docker_reads_it() {
    let blueprint = |config: Value| {
        let mut all = json!({"image": "lab:4", "notebook_dir": ""});
        all.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
        let config: DockerConfig = serde_json::from_value(all).unwrap();
        Blueprint::read(&config, None)
    };
    let key = ServerKey::new("ada@x".parse().unwrap(), "lab".parse().unwrap());
    let binds = |config: Value, groups: &[&str]| -> Vec<String> {
        let blueprint = blueprint(config).unwrap();
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        let all = blueprint.volumes.iter().filter(|one| one.is_for(&groups));
        all.map(|one| {
            let (source, target) = one.render(&blueprint.names, &key).unwrap();
            format!("{source}:{target}:{}", one.mode)
        })
        .collect()
    };
    let volumes = json!({"volumes": {
        "home-{username}": "/home/{raw_username}",
        "/srv/{servername}": {"bind": "/srv", "mode": "rw,z", "propagation": "rslave"},
        "both": "/both",
    }, "read_only_volumes": {"both": "/both", "data": {"bind": "/data", "mode": "z"}}});
    assert_eq!(
        binds(volumes, &[]),
        [
            "/srv/lab:/srv:rw,z,rslave",
            "home-ada-40x:/home/ada@x:rw",
            "both:/both:ro",
            "data:/data:ro,z",
        ]
    );
    let shared = json!({"volumes": {}, "shared": [
        {"source": "class", "target": "/class", "groups": ["a", "b"]},
        {"source": "/srv/all", "target": "/all", "mode": "ro"},
    ]});
    assert_eq!(binds(shared.clone(), &["b"]), ["class:/class:rw", "/srv/all:/all:ro"]);
    assert_eq!(binds(shared, &["c"]), ["/srv/all:/all:ro"]);

    let mounts = |mount: Value| -> Result<Value, String> {
        let blueprint = blueprint(json!({"mounts": [mount]})).map_err(|error| error.to_string())?;
        let mount = blueprint.mounts[0].render(&blueprint.names, &key)?;
        Ok(serde_json::to_value(mount).unwrap())
    };
    let rows = [
        (
            json!({"source": "v-{username}", "target": "/v", "no_copy": true, "subpath": "{servername}",
                   "labels": {"a": "b"}, "driver_config": {"name": "nfs", "options": {"o": "p"}}}),
            json!({"Type": "volume", "Source": "v-ada-40x", "Target": "/v", "ReadOnly": false,
                   "VolumeOptions": {"NoCopy": true, "Subpath": "lab", "Labels": {"a": "b"},
                                     "DriverConfig": {"Name": "nfs", "Options": {"o": "p"}}}}),
        ),
        (
            json!({"source": "vol", "target": "/v", "labels": {"of": "{raw_username}"},
                   "driver_config": {"name": "nfs", "options": {"device": ":/home/{username}"}}}),
            json!({"Type": "volume", "Source": "vol", "Target": "/v", "ReadOnly": false,
                   "VolumeOptions": {"Labels": {"of": "ada@x"}, "DriverConfig":
                       {"Name": "nfs", "Options": {"device": ":/home/ada-40x"}}}}),
        ),
        (
            json!({"type": "bind", "source": "/srv", "target": "/s", "read_only": true,
                   "propagation": "shared", "consistency": "cached"}),
            json!({"Type": "bind", "Source": "/srv", "Target": "/s", "ReadOnly": true,
                   "Consistency": "cached", "BindOptions": {"Propagation": "shared"}}),
        ),
        (
            json!({"type": "tmpfs", "target": "/t", "tmpfs_size": "64M", "tmpfs_mode": 0o1770}),
            json!({"Type": "tmpfs", "Target": "/t", "ReadOnly": false,
                   "TmpfsOptions": {"SizeBytes": 64 << 20, "Mode": 0o1770}}),
        ),
    ];
    for (mount, body) in rows {
        assert_eq!(mounts(mount.clone()).unwrap(), body, "{mount}");
    }
    for (mount, words) in [
        (json!({"type": "tmpfs", "target": "/t", "no_copy": true}), "no_copy is no option"),
        (json!({"type": "bind", "source": "/s", "target": "/t", "subpath": "x"}), "subpath"),
        (json!({"source": "v", "target": "/t", "tmpfs_size": "6M"}), "tmpfs_size"),
        (json!({"source": "/x", "target": "/t"}), "not the name of a volume"),
        (json!({"source": "v", "target": "t"}), "not an absolute path"),
        (json!({"source": "v", "target": "/t", "subpath": "../x"}), "leads out"),
        (
            json!({"source": "vol", "target": "/t", "subpath": "{raw_username}-{raw_servername}"}),
            "put a / between them",
        ),
        (
            json!({"source": "v-{username}", "target": "/t", "driver_config": {
                "name": "local", "options": {"device": "/srv/{username}{servername}"},
            }}),
            "put a / between them",
        ),
        (json!({"type": "bind", "source": "/var/run/docker.sock", "target": "/t"}), "the host"),
        (json!({"source": "vol", "target": "/t", "labels": {"a": "{nope}"}}), "not known"),
        (
            json!({"source": "vol", "target": "/t", "driver_config":
                {"name": "local", "options": {"o": "bind", "device": "/run"}}}),
            "the host",
        ),
    ] {
        let said = mounts(mount.clone()).unwrap_err();
        assert!(said.contains(words), "{mount}: {said}");
    }
    for (config, words) in [
        (json!({"read_only_volumes": {"v": {"bind": "/v", "mode": "rw"}}}), "move it to volumes"),
        (json!({"volumes": {"v": {"bind": "/v", "mode": "w"}}}), "no mode"),
        (json!({"volumes": {"/var/run": "/x"}}), "the host"),
        (json!({"shared": [{"source": "v-{username}", "target": "/v"}]}), "one for all"),
    ] {
        let said = blueprint(config.clone()).unwrap_err().to_string();
        assert!(said.contains(words), "{config}: {said}");
    }
}

#[test]
fn sys_1_a_system_users_server_runs_as_them_in_their_home() {
    let account = HostAccount {
        name: "ada".to_owned(),
        uid: 1234,
        gid: Some(500),
        host_home: "/home/ada".to_owned(),
        image_home: "/home/ada".to_owned(),
        propagation: None,
        run_as_root: false,
    };
    let config = json!({"system_users": {}, "environment": {"NB_UID": "9"}});
    let changes = changed_with(config, |parts| parts.account = Some(account));
    assert_eq!(
        changes,
        json!({
            "User": "1234:500", "WorkingDir": "/home/ada",
            "Env.USER": "ada", "Env.NB_USER": "ada", "Env.USER_ID": "1234", "Env.NB_UID": "9",
            "Env.HOME": "/home/ada", "Env.NB_GID": "500", "Env.JUPYTERHUB_ROOT_DIR": "/home/ada",
            "HostConfig.Binds": ["jupyterhub-user-ada:/home/jovyan/work:rw", "/home/ada:/home/ada:rw"],
        })
    );
}

#[test]
fn spn_35_what_a_server_has_alone_is_in_its_labels() {
    let assigned = Assigned { gpus: Some(vec!["0".to_owned(), "1".to_owned()]), port: Some(9001) };
    let config = json!({"image": "lab:4", "network": "host", "host_ports": "9000-9010",
                        "gpus": 2, "gpu_pool": ["0", "1"]});
    let body = body_of(config, parts(&assigned));
    assert_eq!(
        (&body["Labels"]["hub.gpus"], &body["Labels"]["hub.port"]),
        (&json!("0,1"), &json!("9001"))
    );
    assert_eq!(body["HostConfig"]["DeviceRequests"][0]["DeviceIDs"], json!(["0", "1"]));
    assert_eq!(body["Env"]["JUPYTERHUB_SERVICE_URL"], "http://0.0.0.0:9001/user/ada/");
}

#[test]
fn spn_35_other_devices_are_asked_for_where_no_graphics_processors_are() {
    let devices = json!([{"Driver": "cdi", "DeviceIDs": ["amd.com/gpu=0"]}]);
    let config = |more: serde_json::Value| {
        let mut config = json!({"image": "lab:4",
            "extra_host_config": {"device_requests": devices.clone()}});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };
    for none in [json!({}), json!({"gpus": 0})] {
        let body = body_of(config(none), parts(&Assigned::default()));
        assert_eq!(body["HostConfig"]["DeviceRequests"], devices);
    }
    for some in [
        json!({"gpus": "all"}),
        json!({"gpu_pool": ["0", "1"]}),
        json!({"group_overrides": {"x": {"groups": ["a"], "gpus": 1}}}),
    ] {
        let config: DockerConfig = serde_json::from_value(config(some)).unwrap();
        let said = Blueprint::read(&config, None).unwrap_err().to_string();
        assert!(said.contains("extra_host_config: ") && said.contains("gpus"), "{said}");
    }
}

#[test]
fn b4_options_of_users_change_nothing_but_the_image_where_they_may() {
    let config: DockerConfig =
        serde_json::from_value(json!({"image": "lab:4", "allowed_images": ["lab:4", "lab:5"]}))
            .unwrap();
    let common = Blueprint::read(&config, None).unwrap();
    let ignored = [
        "mounts",
        "volumes",
        "binds",
        "Binds",
        "HostConfig",
        "host_config",
        "extra_host_config",
        "privileged",
        "Privileged",
        "user",
        "User",
        "devices",
        "cap_add",
        "network",
        "network_mode",
        "environment",
        "env",
        "cmd",
        "command",
        "Cmd",
        "Entrypoint",
        "mem_limit",
        "cpu_limit",
        "labels",
        "hub.user",
        "name",
        "image_",
        "IMAGE",
        "gpus",
        "security_opt",
        "pid_mode",
        "preset",
        "groups",
        "__proto__",
    ];
    let assigned = Assigned::default();
    let usual = create_body(&common, &machine(), &request("t"), parts(&assigned)).unwrap();
    for name in ignored {
        for value in [json!("/"), json!(["--privileged"]), json!({"Source": "/"}), json!(true)] {
            let options = json!({ name: value });
            assert_eq!(common.allowed_images.chosen(&options, None).unwrap(), None, "{options}");
            let request = StartRequest { options, ..request("t") };
            let body = create_body(&common, &machine(), &request, parts(&assigned)).unwrap();
            assert_eq!(body, usual, "{name}");
        }
    }
    for image in [
        json!("evil"),
        json!("lab"),
        json!("lab:5 "),
        json!("LAB:5"),
        json!("lab:5@sha256:0"),
        json!("../lab:5"),
        json!("lab:4,lab:5"),
        json!(""),
        json!("*"),
        json!(5),
        json!(true),
        json!(["lab:4", "lab:5"]),
        json!([]),
        json!([["lab:4"]]),
        json!({"lab:4": 1}),
        json!("lab:4\n"),
        json!("lab:4\0"),
        json!("{username}"),
        json!("$(id)"),
    ] {
        let refused = common.allowed_images.chosen(&json!({ "image": image }), None).unwrap_err();
        assert!(refused.user_message().contains("image"), "{image}: {refused}");
    }
}
