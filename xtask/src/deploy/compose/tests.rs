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
