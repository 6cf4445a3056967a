use hub_names::ServerKey;
use secrecy::SecretString;

use super::*;
use crate::{HubLinks, MemoryAllowance, docker::DockerConfig};

fn request(token: &str) -> StartRequest {
    StartRequest {
        key: ServerKey::default_of("ada".parse().unwrap()),
        api_token: SecretString::from(token),
        kept_token: None,
        links: HubLinks {
            service_prefix: "/user/ada/".to_owned(),
            client_id: "jupyterhub-user-ada".to_owned(),
            ..HubLinks::default()
        },
        access_scopes: vec![],
        admin_access: false,
        environment: std::collections::BTreeMap::new(),
        options: Value::Null,
        preset: crate::Preset::default(),
        state: crate::SavedState::default(),
    }
}

fn made(change: impl FnOnce(&mut DockerConfig), token: &str) -> (ContainerCreateBody, String) {
    let mut config = DockerConfig::new("lab:4");
    change(&mut config);
    let blueprint = Blueprint::read(&config, None).unwrap();
    create_body(&blueprint, &machine(), &request(token), parts(&Assigned::default())).unwrap()
}

fn parts(assigned: &Assigned) -> Parts<'_> {
    let binds = vec!["jupyterhub-user-ada:/home/jovyan/work:rw".to_owned()];
    let mounts = Mounts { binds, ..Mounts::default() };
    Parts { mounts, command: None, account: None, image_id: None, assigned }
}

fn machine() -> EngineInfo {
    EngineInfo { memory: 8 << 30, log_driver: "json-file".to_owned(), ..EngineInfo::default() }
}

#[test]
fn spn_37_a_container_is_locked_down_and_bounded() {
    let (mut body, _) = made(|config| config.cpu_limit = Some(1.5), "t");
    body.env = None;
    let mut labels: Vec<_> = body.labels.take().unwrap().into_keys().collect();
    labels.sort();
    assert_eq!(
        labels,
        ["hub.deployment", "hub.kind", "hub.server", "hub.spec-hash", "hub.user", "hub.version"]
    );
    // A value, not the body: its fields come in order.
    let body = serde_json::to_value(body).unwrap();
    insta::with_settings!({sort_maps => true}, {
        insta::assert_json_snapshot!(body, @r#"
        {
          "ExposedPorts": {
            "8888/tcp": {}
          },
          "HostConfig": {
            "AutoRemove": false,
            "Binds": [
              "jupyterhub-user-ada:/home/jovyan/work:rw"
            ],
            "CapDrop": [
              "AUDIT_WRITE",
              "MKNOD",
              "NET_BIND_SERVICE",
              "NET_RAW",
              "SETFCAP",
              "SETPCAP",
              "SYS_CHROOT"
            ],
            "CpuPeriod": 100000,
            "CpuQuota": 150000,
            "Init": true,
            "LogConfig": {
              "Config": {
                "max-file": "3",
                "max-size": "10485760"
              },
              "Type": "json-file"
            },
            "Memory": 7516192768,
            "MemorySwap": 7516192768,
            "NetworkMode": "jupyterhub-network",
            "OomScoreAdj": 500,
            "PidsLimit": 4096,
            "Privileged": false,
            "RestartPolicy": {
              "Name": "no"
            },
            "SecurityOpt": [
              "no-new-privileges"
            ]
          },
          "Image": "lab:4"
        }
        "#);
    });
}

#[test]
fn spn_20_a_published_port_binds_the_hosts_address_only() {
    let (body, _) = made(|config| config.network = "bridge".to_owned(), "t");
    let ports = serde_json::to_value(body.host_config.unwrap().port_bindings).unwrap();
    assert_eq!(ports, serde_json::json!({"8888/tcp": [{"HostIp": "127.0.0.1"}]}));
}

#[test]
fn spn_11_the_hash_changes_with_the_specification_and_not_with_the_token() {
    let (_, hash) = made(|_| {}, "one");
    assert_eq!(hash, made(|_| {}, "two").1);
    assert_ne!(hash, made(|config| config.image = "lab:5".to_owned(), "one").1);
    assert_ne!(hash, made(|config| config.mem_limit = MemoryAllowance::Unlimited, "one").1);
    let with_variable = |config: &mut DockerConfig| {
        config.environment.insert("A".to_owned(), SecretString::from("b"));
    };
    assert_ne!(hash, made(with_variable, "one").1);
    assert_ne!(hash, made(|config| config.networks = vec!["back".to_owned()], "one").1);
    let of_image = |id: &str| {
        let blueprint = Blueprint::read(&DockerConfig::new("lab:4"), None).unwrap();
        let assigned = Assigned::default();
        let parts = Parts { image_id: Some(id.to_owned()), ..parts(&assigned) };
        create_body(&blueprint, &machine(), &request("one"), parts).unwrap().1
    };
    assert_ne!(of_image("sha256:1"), of_image("sha256:2"), "the tag has moved");
    assert_eq!(of_image("sha256:1"), of_image("sha256:1"));
}

#[test]
fn spn_37_sudo_is_possible_where_somebody_asks_for_it() {
    let (body, _) = made(|config| config.allow_privilege_escalation = true, "t");
    assert_eq!(body.host_config.unwrap().security_opt, None);
}

#[test]
fn c11_the_token_is_in_the_environment_and_nowhere_else() {
    let (mut body, _) = made(|_| {}, "s3cr3t");
    let env = body.env.take().unwrap();
    assert!(env.contains(&"JUPYTERHUB_API_TOKEN=s3cr3t".to_owned()));
    assert!(!serde_json::to_string(&body).unwrap().contains("s3cr3t"));
}

#[test]
fn usr_7_a_preset_changes_image_and_limits_of_one_server() {
    let common = Blueprint::read(&DockerConfig::new("lab:4"), None).unwrap();
    let preset = crate::Preset {
        image: Some("lab:5".to_owned()),
        memory_limit: Some("2G".parse().unwrap()),
        cpu_limit: Some(1.5),
        ..crate::Preset::default()
    };
    let own = common.with(&request("t").key, &preset).unwrap();
    let assigned = Assigned::default();
    let (body, _) = create_body(&own, &machine(), &request("t"), parts(&assigned)).unwrap();
    let host = body.host_config.unwrap();
    assert_eq!(body.image.as_deref(), Some("lab:5"));
    assert_eq!((host.memory, host.cpu_quota), (Some(2 << 30), Some(150_000)));
    assert!(body.env.unwrap().contains(&"MEM_LIMIT=2147483648".to_owned()));
    let bad = crate::Preset { image: Some("Not An Image".to_owned()), ..preset };
    assert_eq!(common.with(&request("t").key, &bad).unwrap_err().key, "image");
}

mod options;
