use serde_json::json;

use super::*;
use crate::{HubLinks, Preset, ServerKey, docker::DockerConfig};

fn request() -> StartRequest {
    StartRequest {
        key: ServerKey::default_of("ada".parse().unwrap()),
        api_token: "s3cr3t".into(),
        kept_token: None,
        links: HubLinks { service_prefix: "/user/ada/".to_owned(), ..HubLinks::default() },
        access_scopes: vec![],
        admin_access: false,
        environment: std::collections::BTreeMap::new(),
        options: Value::Null,
        preset: Preset::default(),
        state: crate::SavedState::default(),
    }
}

fn body(docker: Value, swarm: Value, secret: Option<&Secret>) -> Result<Value, String> {
    let mut all = json!({"image": "lab:4"});
    all.as_object_mut().unwrap().extend(docker.as_object().unwrap().clone());
    let docker: DockerConfig = serde_json::from_value(all).unwrap();
    let swarm: SwarmConfig = serde_json::from_value(swarm).map_err(|error| error.to_string())?;
    swarm.validate(&docker).map_err(|error| error.to_string())?;
    let blueprint = Blueprint::read(&docker, None).unwrap();
    let machines = Machines { memory: 16 << 30, log_driver: "json-file".to_owned() };
    let spec = service(&blueprint, &swarm, &machines, &request(), "jupyter-ada", None, secret)
        .map_err(|error| error.to_string())?;
    let mut value = serde_json::to_value(spec).unwrap();
    if secret.is_none() {
        value["TaskTemplate"]["ContainerSpec"]["Env"] = Value::Null;
    }
    Ok(value)
}

#[test]
fn swm_1_a_service_is_locked_down_bounded_and_not_started_again() {
    let mut body = body(
        json!({"mem_limit": "1G", "mem_guarantee": "512M", "cpu_limit": 1.5, "cpu_guarantee": 0.5,
               "cmd": "start --x", "args": ["--y"], "read_only_volumes": {"/srv/data": "/data"},
               "volume_driver": "nfs", "volume_driver_options": {"share": "s"}}),
        json!({"constraints": ["node.role == worker"]}),
        None,
    )
    .unwrap();
    let labels = body["Labels"].take();
    assert_eq!(body["TaskTemplate"]["ContainerSpec"]["Labels"].take(), labels);
    assert_eq!((&labels["hub.user"], &labels["hub.kind"]), (&json!("ada"), &json!("server")));
    let container = body["TaskTemplate"]["ContainerSpec"].take();
    assert_eq!(container["Args"], json!(["start", "--x", "--y"]));
    assert_eq!(container.get("Command"), None, "the entry point stays");
    assert_eq!(container["Privileges"], json!({"NoNewPrivileges": true}));
    assert_eq!(
        (&container["Init"], &container["StopGracePeriod"]),
        (&json!(true), &json!(10_000_000_000_u64))
    );
    assert!(container["CapabilityDrop"].as_array().unwrap().contains(&json!("NET_RAW")));
    let mounts = &container["Mounts"];
    assert_eq!(
        (&mounts[0]["Type"], &mounts[0]["Source"]),
        (&json!("volume"), &json!("jupyterhub-user-ada"))
    );
    assert_eq!(
        mounts[0]["VolumeOptions"]["DriverConfig"],
        json!({"Name": "nfs", "Options": {"share": "s"}})
    );
    assert_eq!(mounts[0]["VolumeOptions"]["Labels"]["hub.user"], "ada");
    assert_eq!(
        mounts[1],
        json!({"Type": "bind", "Source": "/srv/data", "Target": "/data", "ReadOnly": true})
    );
    assert_eq!(
        body,
        json!({
            "Name": "jupyter-ada", "Labels": null,
            "Mode": {"Replicated": {"Replicas": 1}},
            "EndpointSpec": {"Mode": "dnsrr"},
            "TaskTemplate": {
                "ContainerSpec": null,
                "Networks": [{"Target": "jupyterhub-network"}],
                "Placement": {"Constraints": ["node.role == worker"]},
                "RestartPolicy": {"Condition": "none"},
                "LogDriver": {"Name": "json-file",
                              "Options": {"max-size": "10485760", "max-file": "3"}},
                "Resources": {
                    "Limits": {"MemoryBytes": 1_u64 << 30, "NanoCPUs": 1_500_000_000_u64, "Pids": 4096},
                    "Reservations": {"MemoryBytes": 1_u64 << 29, "NanoCPUs": 500_000_000},
                },
            },
        })
    );
}

#[test]
fn spn_7_volumes_of_mounts_have_our_labels_and_the_driver_of_all() {
    let body = body(
        json!({"volumes": {}, "volume_driver": "nfs", "volume_driver_options": {"share": "s"},
        "mounts": [
            {"source": "more-{username}", "target": "/more", "labels": {"hub.user": "eve"}},
            {"source": "class", "target": "/class", "no_copy": true,
             "driver_config": {"name": "local"}},
            {"type": "tmpfs", "target": "/scratch"},
        ]}),
        json!({}),
        None,
    )
    .unwrap();
    let options = |at: usize| &body["TaskTemplate"]["ContainerSpec"]["Mounts"][at]["VolumeOptions"];
    assert_eq!(options(0)["Labels"]["hub.user"], "ada", "ours have the last word");
    assert_eq!(options(0)["Labels"]["hub.kind"], "volume");
    assert_eq!(options(0)["DriverConfig"], json!({"Name": "nfs", "Options": {"share": "s"}}));
    assert_eq!(options(1)["Labels"].get("hub.user"), None, "a volume of all");
    assert_eq!(
        (&options(1)["NoCopy"], &options(1)["DriverConfig"]["Name"]),
        (&json!(true), &json!("local"))
    );
    assert_eq!(*options(2), Value::Null);
}

#[test]
fn swm_1_ports_and_further_fields_are_taken_over() {
    let host = body(json!({}), json!({"publish": "host", "restart": "on-failure"}), None).unwrap();
    assert_eq!(
        host["EndpointSpec"],
        json!({"Mode": "dnsrr", "Ports": [{"Protocol": "tcp", "TargetPort": 8888, "PublishMode": "host"}]})
    );
    assert_eq!(host["TaskTemplate"]["RestartPolicy"]["Condition"], "on-failure");
    let extra = json!({
        "extra_container_spec": {"Hostname": "{username}"},
        "extra_resources_spec": {"Limits": {"Pids": 7}},
        "extra_placement_spec": {"MaxReplicas": 1},
        "extra_task_spec": {"ForceUpdate": 2},
        "extra_endpoint_spec": {"Mode": "vip"},
    });
    let body = body(json!({}), extra, None).unwrap();
    let task = &body["TaskTemplate"];
    assert_eq!(task["ContainerSpec"]["Hostname"], "ada");
    assert_eq!(
        (&task["Resources"]["Limits"]["Pids"], &task["ForceUpdate"]),
        (&json!(7), &json!(2))
    );
    assert_eq!(
        (&task["Placement"]["MaxReplicas"], &body["EndpointSpec"]["Mode"]),
        (&json!(1), &json!("vip"))
    );
}

#[test]
fn c8_a_service_is_bounded_as_a_container_is() {
    let task =
        |docker: Value, swarm: Value| body(docker, swarm, None).unwrap()["TaskTemplate"].take();
    let limit =
        |docker: Value| task(docker, json!({}))["Resources"]["Limits"]["MemoryBytes"].take();
    // A tenth of the machine is left to it.
    assert_eq!(limit(json!({})), (16_u64 << 30) - (16_u64 << 30) / 10);
    assert_eq!(limit(json!({"mem_limit": "none"})), Value::Null);
    assert_eq!(limit(json!({"mem_guarantee": "16G"})), 16_u64 << 30);
    let log = |docker: Value, swarm: Value| task(docker, swarm)["LogDriver"].take();
    assert_eq!(
        log(json!({"log_max_bytes": 7, "log_max_files": 2}), json!({})),
        json!({"Name": "json-file", "Options": {"max-size": "7", "max-file": "2"}})
    );
    let syslog = json!({"extra_task_spec": {"LogDriver": {"Name": "syslog"}}});
    assert_eq!(log(json!({}), syslog), json!({"Name": "syslog"}));
}

#[test]
fn c11_a_token_that_is_a_secret_is_nowhere_else() {
    let secret = Secret { id: "id".to_owned(), name: "jupyter-ada-token".to_owned() };
    let config = json!({"token_secrets": true});
    let body = body(json!({"cmd": "start"}), config, Some(&secret)).unwrap();
    assert!(!body.to_string().contains("s3cr3t"));
    let container = &body["TaskTemplate"]["ContainerSpec"];
    assert_eq!(container["Secrets"][0]["SecretID"], "id");
    assert_eq!(container["Args"].as_array().unwrap().last(), Some(&json!("start")));
    assert_eq!(container["Args"][4], "/run/secrets/hub-token");
}

#[test]
fn what_means_nothing_in_a_swarm_is_refused() {
    for (docker, swarm, words) in [
        (json!({}), json!({"constraints": ["worker"]}), "constraints: "),
        (json!({}), json!({"token_secrets": true}), "token_secrets: needs cmd"),
        (json!({"args": ["x"]}), json!({}), "args: needs cmd"),
        (json!({"isolation": "per-user"}), json!({}), "isolation: "),
        (json!({"gpus": 1}), json!({}), "gpus: "),
        (json!({"post_start_cmd": "x"}), json!({}), "post_start_cmd: "),
        (json!({"network": "bridge"}), json!({}), "network: "),
        (json!({"on_user_delete": "delete"}), json!({}), "on_user_delete: "),
        (json!({"archive_dir": "/srv"}), json!({}), "archive_dir: "),
        (json!({"volume_owner": "7:8"}), json!({}), "volume_owner: "),
        (json!({"volume_migration": "copy"}), json!({}), "volume_migration: "),
        (json!({"pull_policy": "always"}), json!({}), "pull_policy: "),
        (json!({"use_internal_ip": true}), json!({}), "use_internal_ip: "),
        (json!({"use_internal_hostname": true}), json!({}), "use_internal_hostname: "),
        (json!({"on_unhealthy": "stop"}), json!({}), "on_unhealthy: "),
        (json!({}), json!({"extra_task_spec": {"force_update": 1}}), "Docker's own word"),
        (
            json!({"group_overrides": {"x": {"groups": ["a"], "gpus": 1}}}),
            json!({}),
            "group_overrides: x.gpus: is for a single machine",
        ),
        (
            json!({"group_overrides": {"x": {"groups": ["a"], "args": ["y"]}}}),
            json!({}),
            "group_overrides: x.args: needs cmd",
        ),
        (
            json!({"group_overrides": {"x": {"groups": ["a"], "extra_host_config": {"shm_size": 1}}}}),
            json!({}),
            "group_overrides: x.extra_host_config: ",
        ),
        (json!({}), json!({"image": "x"}), "unknown field"),
    ] {
        let said = body(docker.clone(), swarm.clone(), None).unwrap_err();
        assert!(said.contains(words), "{docker} {swarm}: {said}");
    }
}
