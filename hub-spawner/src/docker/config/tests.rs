use super::*;

fn read(json: &str) -> Result<DockerConfig, String> {
    let config: DockerConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
    config.validate().map(|()| config).map_err(|error| error.to_string())
}

#[test]
fn only_the_image_has_to_be_set() {
    let config = read(r#"{"image": "lab"}"#).unwrap();
    assert_eq!((config.network.as_str(), config.port), ("jupyterhub-network", 8888));
    assert_eq!(config.mem_limit, MemoryAllowance::Host);
    assert!(config.remove);
    assert!(read("{}").unwrap_err().starts_with("image: "));
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let rows = [
        (r#"{"image": "lab", "iamge": "x"}"#, "unknown field `iamge`"),
        (r#"{"image": "Lab Four"}"#, "image: "),
        (r#"{"image": "lab", "allowed_images": ["Lab Four"]}"#, "allowed_images: "),
        (r#"{"image": "lab", "allowed_images": "lab"}"#, "a list of images, or"),
        (r#"{"image": "lab", "host": "tcp:/x"}"#, "host: "),
        (r#"{"image": "lab", "tls_verify": 1}"#, "true or false"),
        (r#"{"image": "lab", "deployment": "a b"}"#, "deployment: "),
        (r#"{"image": "lab", "network": ""}"#, "network: "),
        (r#"{"image": "lab", "network": "none"}"#, "network: "),
        (r#"{"image": "lab", "network": "host"}"#, "host_ports: is needed"),
        (r#"{"image": "lab", "name_template": "{user}"}"#, "name_template: "),
        (r#"{"image": "lab", "volumes": {"{nope}": "/x"}}"#, "volumes: "),
        (r#"{"image": "lab", "volumes": {"v": "x"}}"#, "volumes: "),
        (r#"{"image": "lab", "volumes": {"../v": "/x"}}"#, "volumes: "),
        (r#"{"image": "lab", "volumes": {"a:b": "/x"}}"#, "volumes: "),
        (r#"{"image": "lab", "notebook_dir": "/{nope}"}"#, "notebook_dir: "),
        (r#"{"image": "lab", "default_url": "{"}"#, "default_url: "),
        (r#"{"image": "lab", "mem_limit": "1g"}"#, "amount of memory"),
        (r#"{"image": "lab", "cpu_limit": 0}"#, "cpu_limit: "),
        (r#"{"image": "lab", "pids_limit": 0}"#, "pids_limit: "),
        (r#"{"image": "lab", "port": 0}"#, "port: "),
        (r#"{"image": "lab", "pull_policy": "maybe"}"#, "unknown variant `maybe`"),
        (r#"{"image": "lab", "cmd": "a 'b"}"#, "not closed"),
        (r#"{"image": "lab", "environment": {"A=B": "c"}}"#, "environment: "),
        (
            r#"{"image": "lab", "environment": {"GRANT_SUDO": "yes"}}"#,
            "environment: GRANT_SUDO has no effect without allow_privilege_escalation = true",
        ),
        (r#"{"image": "lab", "user": "a b"}"#, "user: "),
        (r#"{"image": "lab", "log_max_files": 0}"#, "log_max_files: "),
    ];
    for (json, complaint) in rows {
        let said = read(json).unwrap_err();
        assert!(said.contains(complaint), "{json}: {said}");
    }
}

#[test]
fn words_are_read_in_any_case_and_limits_can_be_switched_off() {
    let config = read(r#"{"image": "lab", "pull_policy": "IfNotPresent", "mem_limit": "none"}"#);
    let config = config.unwrap();
    assert_eq!(
        (config.pull_policy, config.mem_limit),
        (PullPolicy::IfNotPresent, MemoryAllowance::Unlimited)
    );
}

#[test]
fn dm_1_tls_is_switched_on_by_any_text() {
    for (json, on) in [("true", true), ("false", false), (r#""1""#, true), (r#""""#, false)] {
        let json = format!(r#"{{"image": "lab", "tls_verify": {json}}}"#);
        assert_eq!(read(&json).unwrap().tls_verify, on, "{json}");
    }
}

#[test]
fn dm_1_certificates_are_by_default_where_docker_keeps_its_settings() {
    let mut config = read(r#"{"image": "lab", "cert_path": "certs", "ssh_config": ""}"#).unwrap();
    config.settle(Path::new("/etc/hub"), Some(Path::new("/home/hub")));
    let settings = config.host_settings();
    assert_eq!(settings.cert_path.as_deref(), Some(Path::new("/etc/hub/certs")));
    assert_eq!(settings.config_dir.as_deref(), Some(Path::new("/home/hub/.docker")));
    assert_eq!(settings.ssh_config, None);
}

#[test]
fn values_of_variables_are_not_printed() {
    let config = read(r#"{"image": "lab", "environment": {"KEY": "hush"}}"#).unwrap();
    assert!(!format!("{config:?}").contains("hush"));
}
