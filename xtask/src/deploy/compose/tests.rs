//! What is in the file.

use super::*;

/// The file for a directory with these variables.
fn text_of(given: &[(&str, &str)]) -> String {
    text_for(given, "json-file")
}

/// The same for an engine with this log driver.
fn text_for(given: &[(&str, &str)], log_driver: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("userlist"), "ada admin\n").unwrap();
    fs::write(dir.path().join("own.toml"), "[pages]\ntemplates = \"pages\"\n").unwrap();
    let settings = Settings::read(dir.path(), given.iter().copied().collect()).unwrap();
    let networks =
        Networks { of_proxy: vec!["10.9.0.0/24".to_owned()], host: "10.8.0.1".parse().ok() };
    let text = Compose::new(&settings, "notebook-hub:1", &networks, log_driver).unwrap().text();
    text.replace(&dir.path().display().to_string(), "DIR")
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} in {text}");
    }
}

#[test]
fn cmp_2_secrets_are_named_and_files_of_secrets_are_mounted() {
    let text = text_of(&[
        ("GITHUB_CLIENT_SECRET", "hush-1"),
        ("JUPYTERHUB_CRYPT_KEY_FILE", "crypt.key"),
        ("CONFIGPROXY_AUTH_TOKEN", "hush-2"),
    ]);
    assert!(!text.contains("hush"), "{text}");
    has(
        &text,
        &[
            "\n      GITHUB_CLIENT_SECRET:\n",
            "CONFIGPROXY_AUTH_TOKEN: \"${CONFIGPROXY_AUTH_TOKEN:?",
            "JUPYTERHUB_CRYPT_KEY_FILE: \"/run/secrets/JUPYTERHUB_CRYPT_KEY\"",
            "- \"DIR/crypt.key:/run/secrets/JUPYTERHUB_CRYPT_KEY:ro\"",
        ],
    );
}

#[test]
fn faq_1_logs_go_where_the_engine_sends_them() {
    has(&text_for(&[], "json-file"), &["driver: \"json-file\"", "max-size"]);
    for driver in ["local", "journald"] {
        let text = text_for(&[], driver);
        assert!(!text.contains("logging:"), "{text}");
    }
}

#[test]
fn cmp_1_what_the_configuration_names_is_mounted_beside_it() {
    let text = text_of(&[("HUB_CONFIG", "own.toml")]);
    has(
        &text,
        &[
            "command: [\"--config\", \"/etc/hub/hub.toml\"]",
            "- \"DIR/own.toml:/etc/hub/hub.toml:ro\"",
            "- \"DIR/pages:/etc/hub/pages:ro\"",
            "HUB__AUTH__USERLIST: \"/etc/hub/userlist\"",
        ],
    );
}

#[test]
fn cmp_1_certificates_are_where_each_way_has_them() {
    let files = text_of(&[]);
    has(&files, &["- \"DIR/secrets/jupyterhub.key:/etc/hub-proxy/certs/tls.key:ro\""]);
    assert!(!files.contains("keys:"), "{files}");
    let volume = text_of(&[("SECRETS_VOLUME", "jupyterhub-secrets")]);
    has(
        &volume,
        &[
            "\"--ssl-cert\", \"/etc/letsencrypt/fullchain.pem\"",
            "- \"certificates:/etc/letsencrypt:ro\"",
            "  certificates:\n    external: true\n    name: \"jupyterhub-secrets\"\n",
        ],
    );
    let acme = text_of(&[
        ("ACME_DOMAINS", "hub.example.org"),
        ("ACME_AGREE_TOS", "yes"),
        ("ACME_DIRECTORY_CA", "ca.pem"),
    ]);
    has(
        &acme,
        &[
            "\"--acme-dir\", \"/srv/hub-proxy/acme\"",
            "- \"keys:/srv/hub-proxy\"",
            "- \"DIR/ca.pem:/etc/hub-proxy/certs/acme-ca.pem:ro\"",
        ],
    );
    let elsewhere = text_of(&[("HUB_TLS", "off"), ("HUB_HTTP_PORT", "8000")]);
    has(&elsewhere, &["ports: [\"127.0.0.1:8000:8080\"]"]);
}

#[test]
fn cmp_1_the_operators_tool_is_known_to_the_hub() {
    let text = text_of(&[]);
    has(
        &text,
        &[
            "HUB_OPERATOR_TOKEN: \"${HUB_OPERATOR_TOKEN:-}\"",
            "HUB_TOKEN: \"${HUB_OPERATOR_TOKEN:-}\"",
            "# beside this file. Add there a line CONFIGPROXY_AUTH_TOKEN",
            "HUB_OPERATOR_TOKEN=..., to have",
        ],
    );
    assert!(!text.contains("HUB_TOKEN_FILE"), "{text}");
}

#[test]
fn cmp_1_both_get_thirty_seconds_to_end() {
    let text = text_of(&[]);
    assert_eq!(text.matches("stop_grace_period: \"30s\"").count(), 2, "{text}");
    has(&text, &["\"--drain-delay\", \"5\"", "\"--drain-timeout\", \"20\""]);
}

#[test]
fn cmp_1_a_file_for_another_machine_is_refused() {
    let settings = |host: &str| {
        let variables = [("DOCKER_HOST", host)].into_iter().collect();
        Settings::read(Path::new("/nowhere"), variables).unwrap()
    };
    let refused = refuse_elsewhere(&settings("tcp://192.0.2.7:2375")).unwrap_err().to_string();
    assert!(refused.contains("192.0.2.7"), "{refused}");
    refuse_elsewhere(&settings("unix:///var/run/docker.sock")).unwrap();
}

#[test]
fn xt_3_a_dry_run_writes_no_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("userlist"), "ada admin\n").unwrap();
    let settings = Settings::read(dir.path(), super::super::variables::Variables::default());
    let (settings, output) = (settings.unwrap(), dir.path().join("compose.yaml"));
    let write = |dry| write(&settings, "i:1", &Networks::default(), "local", &output, dry);
    write(true).unwrap();
    assert!(!output.exists());
    write(false).unwrap();
    assert!(output.exists());
}
