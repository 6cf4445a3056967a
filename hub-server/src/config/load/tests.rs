use std::collections::BTreeMap;

use super::{super::variables, *};

const MINIMAL: &str = "[spawner.docker]\nimage = \"lab\"\n";

fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    parse(text, "hub.toml", Path::new("/srv/hub"), &environment, false)
        .map(|loaded| loaded.config)
        .map_err(|error| error.to_string())
}

#[test]
fn a_mistyped_key_is_named_with_its_line() {
    let text = format!("{MINIMAL}\n[auth]\nalowed_users = [\"ada\"]\n");
    assert_eq!(
        parsed(&text, &[]).unwrap_err(),
        "hub.toml:5: unknown key \"alowed_users\"; did you mean \"allowed_users\"?"
    );
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    let text = format!("{MINIMAL}[servers]\nstart_timeout_seconds = \"soon\"\n");
    let error = parsed(&text, &[]).unwrap_err();
    assert!(error.starts_with("hub.toml:4: "), "{error}");
}

#[test]
fn env_1_the_environment_wins_over_the_file() {
    let config =
        parsed(MINIMAL, &[("DOCKER_NOTEBOOK_IMAGE", "other"), ("HUB_LISTEN", "127.0.0.1:1")])
            .unwrap();
    assert_eq!(config.spawner.docker().unwrap().image, "other");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:1");
}

#[test]
fn env_3_an_empty_variable_is_unset() {
    let empty = ("DOCKER_NOTEBOOK_IMAGE", "");
    assert_eq!(parsed(MINIMAL, &[empty]).unwrap().spawner.docker().unwrap().image, "lab");
    let environment = Environment::from_iter([(empty.0, empty.1.to_owned())]);
    let loaded = parse(MINIMAL, "hub.toml", Path::new("/srv"), &environment, false).unwrap();
    assert_eq!(loaded.empty_variables, ["DOCKER_NOTEBOOK_IMAGE"], "to be told");
}

#[test]
fn the_environment_alone_is_a_configuration() {
    assert!(parsed("", &[("DOCKER_NOTEBOOK_IMAGE", "lab")]).is_ok());
    assert!(parsed("", &[]).unwrap_err().contains("DOCKER_NOTEBOOK_IMAGE"));
}

#[test]
fn all_errors_are_reported_at_once() {
    let error = parsed("[http]\nlisten = \"nowhere\"\n[servers]\npoll_interval_seconds = 0\n", &[])
        .unwrap_err();
    for key in ["http.listen", "servers.poll_interval_seconds", "spawner.docker.image"] {
        assert!(error.contains(key), "{key} in {error}");
    }
}

#[test]
fn usr_5_nobody_named_means_nobody_admitted() {
    assert!(parsed(MINIMAL, &[]).unwrap().auth.policy.admits_nobody());
    let named = parsed(&format!("{MINIMAL}[auth]\nallowed_users = [\"Ada\"]\n"), &[]).unwrap();
    assert!(!named.auth.policy.admits_nobody());
    assert!(named.auth.policy.allowed().contains(&"ada".parse().unwrap()));
}

#[test]
fn paths_are_below_the_file() {
    let config =
        parsed(&format!("{MINIMAL}[store]\nurl = \"sqlite://hub.sqlite\"\n"), &[]).unwrap();
    assert_eq!(config.store.url, "sqlite:///srv/hub/hub.sqlite");
}

#[test]
fn github_enterprise_by_host_name_has_no_double_slash() {
    let config = parsed(
        MINIMAL,
        &[
            ("GITHUB_CLIENT_ID", "id"),
            ("GITHUB_CLIENT_SECRET", "secret"),
            ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback"),
            ("GITHUB_HOST", "github.example.org/"),
        ],
    )
    .unwrap();
    assert_eq!(config.auth.github.unwrap().url.as_str(), "https://github.example.org/");
}

/// A line of `.env`, the environment and a flag over a file that says `file`.
fn image(env: Option<&str>, environment: &[(&str, &str)], flags: &[&str]) -> (String, String) {
    let env = env.map(|text| EnvFile::parse(Path::new(".env"), text).unwrap());
    let loaded = parse_all(Texts {
        config: (Some("hub.toml".into()), "[spawner.docker]\nimage = \"file\"\n"),
        env: env.as_ref(),
        env_looked_for: ".env".into(),
        dir: Path::new("/srv/hub"),
        environment: &environment.iter().map(|(n, v)| (*n, (*v).to_owned())).collect(),
        flags: &flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>(),
        lenient: false,
        sections: None,
    })
    .unwrap();
    let origin = loaded.settings.get("spawner.docker.image").unwrap().origin.to_string();
    (loaded.config.spawner.docker().unwrap().image.clone(), origin)
}

#[test]
fn env_1_flag_over_environment_over_env_file_over_file() {
    const NAME: &str = "DOCKER_NOTEBOOK_IMAGE";
    const KEY: &str = "HUB__SPAWNER__DOCKER__IMAGE";
    let env = "\nDOCKER_NOTEBOOK_IMAGE=env\n";
    let env_key = "HUB__SPAWNER__DOCKER__IMAGE=envkey\nDOCKER_NOTEBOOK_IMAGE=env\n";
    let flag = "spawner.docker.image=flag";
    /// What it is about, `.env`, environment, flags, value, origin.
    type Row<'a> =
        (&'a str, Option<&'a str>, &'a [(&'a str, &'a str)], &'a [&'a str], &'a str, &'a str);
    let rows: [Row; 9] = [
        ("file", None, &[], &[], "file", "hub.toml:2"),
        (".env", Some(env), &[], &[], "env", "DOCKER_NOTEBOOK_IMAGE in .env:2"),
        (
            "generic in .env",
            Some(env_key),
            &[],
            &[],
            "envkey",
            "HUB__SPAWNER__DOCKER__IMAGE in .env:1",
        ),
        (
            "environment",
            Some(env_key),
            &[(NAME, "x")],
            &[],
            "x",
            "DOCKER_NOTEBOOK_IMAGE in the environment",
        ),
        (
            "empty environment",
            Some(env),
            &[(NAME, "")],
            &[],
            "env",
            "DOCKER_NOTEBOOK_IMAGE in .env:2",
        ),
        ("empty .env", Some("DOCKER_NOTEBOOK_IMAGE=\n"), &[], &[], "file", "hub.toml:2"),
        (
            "generic in environment",
            Some(env),
            &[(NAME, "x"), (KEY, "y")],
            &[],
            "y",
            "HUB__SPAWNER__DOCKER__IMAGE in the environment",
        ),
        ("flag", Some(env), &[(KEY, "y")], &[flag], "flag", "--set spawner.docker.image"),
        (
            "last flag",
            None,
            &[],
            &[flag, "spawner.docker.image=z"],
            "z",
            "--set spawner.docker.image",
        ),
    ];
    for (what, env, environment, flags, value, origin) in rows {
        let (image, from) = image(env, environment, flags);
        assert_eq!((image.as_str(), from.as_str()), (value, origin), "{what}");
    }
}

#[test]
fn every_variable_of_the_deployment_has_its_effect() {
    let rows: [(&str, &str, &str, &str); 20] = [
        ("DOCKER_NOTEBOOK_IMAGE", "lab:2", "spawner.docker.image", "\"lab:2\""),
        ("DOCKER_NETWORK_NAME", "net", "spawner.docker.network", "\"net\""),
        ("DOCKER_NOTEBOOK_DIR", "/home/x", "spawner.docker.notebook_dir", "\"/home/x\""),
        ("DOCKER_SPAWN_CMD", "lab --x=y z", "spawner.docker.cmd", "\"lab --x=y z\""),
        ("DOCKER_HOST", "tcp://10.0.0.1:2375", "spawner.docker.host", "\"tcp://10.0.0.1:2375\""),
        ("DOCKER_TLS_VERIFY", "1", "spawner.docker.tls_verify", "\"1\""),
        ("DOCKER_CERT_PATH", "/certs", "spawner.docker.cert_path", "\"/certs\""),
        ("DOCKER_CONTEXT", "far", "spawner.docker.context", "\"far\""),
        ("DOCKER_CONFIG", "/x/.docker", "spawner.docker.config_dir", "\"/x/.docker\""),
        ("DATA_VOLUME_CONTAINER", "/data", "store.data_dir", "\"/data\""),
        ("SSL_CERT", "/x.crt", "http.tls.certificate", "\"/x.crt\""),
        ("SSL_KEY", "/x.key", "http.tls.key", "\"/x.key\""),
        ("GITHUB_CLIENT_ID", "id", "auth.github.client_id", "\"id\""),
        (
            "GITHUB_URL",
            "https://ghe.example.org",
            "auth.github.url",
            "\"https://ghe.example.org/\"",
        ),
        ("GITHUB_HOST", "ghe.example.org", "auth.github.url", "\"https://ghe.example.org/\""),
        ("JUPYTERHUB_ADMIN", "zoe", "auth.admin_users", "[\"zoe\"]"),
        ("POSTGRES_HOST", "hub-db", "store.url", "\"postgres://postgres@hub-db/jupyterhub\""),
        ("HUB_LISTEN", "127.0.0.1:1", "http.listen", "\"127.0.0.1:1\""),
        ("HUB_LOG", "debug", "log.level", "\"debug\""),
        (
            "OAUTH_CALLBACK_URL",
            "https://hub.example.org/hub/oauth_callback",
            "auth.github.callback_url",
            "\"https://hub.example.org/hub/oauth_callback\"",
        ),
    ];
    // What some of them need beside them.
    let company = [
        ("GITHUB_CLIENT_ID", "id"),
        ("GITHUB_CLIENT_SECRET", "hush"),
        ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback"),
        ("SSL_CERT", "/x.crt"),
        ("SSL_KEY", "/x.key"),
        ("DOCKER_NOTEBOOK_IMAGE", "lab"),
    ];
    for (name, value, key, shown) in rows {
        let variables: BTreeMap<&str, &str> = company.into_iter().chain([(name, value)]).collect();
        let environment =
            variables.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        let loaded = parse("", "hub.toml", Path::new("/srv"), &environment, false).unwrap();
        let setting = loaded.settings.get(key).unwrap();
        assert_eq!(setting.shown(), shown, "{name}");
        assert_eq!(setting.origin.to_string(), format!("{name} in the environment"));
    }
}

#[test]
fn variables_of_any_oauth_sign_in_are_for_the_provider_there_is() {
    let callback = ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback");
    let client = [("OAUTH_CLIENT_ID", "id"), ("OAUTH_CLIENT_SECRET", "hush"), callback];
    let load = |more: &[(&str, &str)]| {
        let all = client.iter().chain(more);
        let environment = all.map(|(name, value)| (*name, (*value).to_owned())).collect();
        parse("", "hub.toml", Path::new("/srv"), &environment, false).unwrap()
    };
    let shown = |loaded: &Loaded, key: &str| loaded.settings.get(key).map(|one| one.shown());
    let image = ("DOCKER_NOTEBOOK_IMAGE", "lab");

    let github = load(&[image, ("LOGIN_SERVICE", "the lab")]);
    assert_eq!(shown(&github, "auth.github.client_id").unwrap(), "\"id\"");
    assert_eq!(shown(&github, "auth.github.service").unwrap(), "\"the lab\"");
    assert!(github.config.auth.oidc.is_none());
    // GitHub's own win.
    let github = load(&[image, ("GITHUB_CLIENT_ID", "own"), ("GITHUB_CLIENT_SECRET", "own")]);
    assert_eq!(shown(&github, "auth.github.client_id").unwrap(), "\"own\"");

    let generic = load(&[
        image,
        ("OAUTH2_AUTHORIZE_URL", "https://id.example.org/authorize"),
        ("OAUTH2_TOKEN_URL", "https://id.example.org/token"),
        ("OAUTH2_USERDATA_URL", "https://id.example.org/user"),
        ("OAUTH2_USERNAME_KEY", "login"),
        ("OAUTH2_GROUPS_KEY", "roles"),
        ("OAUTH2_BASIC_AUTH", "true"),
    ]);
    for (key, value) in [
        ("client_id", "\"id\""),
        ("authorize_url", "\"https://id.example.org/authorize\""),
        ("username_claim", "\"login\""),
        ("groups_claims", "[\"roles\"]"),
        ("basic_auth", "true"),
    ] {
        assert_eq!(shown(&generic, &format!("auth.oidc.{key}")).unwrap(), value, "{key}");
    }
    assert!(generic.config.auth.oidc.is_some() && generic.config.auth.github.is_none());
    let bad = [image, ("OAUTH2_BASIC_AUTH", "perhaps")];
    let environment = client.iter().chain(&bad).map(|(name, value)| (*name, (*value).to_owned()));
    let refused = parse("", "hub.toml", Path::new("/srv"), &environment.collect(), false);
    assert!(refused.unwrap_err().to_string().starts_with("OAUTH2_BASIC_AUTH ("));
}

#[test]
fn a_name_for_the_button_alone_makes_no_sign_in() {
    let config = parsed(MINIMAL, &[("LOGIN_SERVICE", "the lab")]).unwrap();
    assert!(config.auth.github.is_none() && config.auth.oidc.is_none());
}

#[test]
fn env_5_the_secret_of_any_oauth_client_may_be_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("one"), "hush\n").unwrap();
    let environment = [
        ("OAUTH_CLIENT_ID", "id".to_owned()),
        ("OAUTH_CLIENT_SECRET_FILE", "one".to_owned()),
        ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback".to_owned()),
    ];
    let loaded =
        parse(MINIMAL, "hub.toml", dir.path(), &environment.into_iter().collect(), false).unwrap();
    let setting = loaded.settings.get("auth.github.client_secret").unwrap();
    assert_eq!(setting.shown(), "\"(4 characters, fingerprint dc83)\"");
}

#[test]
fn dm_1_certificates_of_the_daemon_are_by_default_in_the_home_directory() {
    let env = [("HOME", "/home/hub"), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_HOST", "tcp://h")];
    let settings = parsed(MINIMAL, &env).unwrap().spawner.host_settings().unwrap();
    assert!(settings.tls_verify);
    assert_eq!(settings.config_dir.as_deref(), Some(Path::new("/home/hub/.docker")));
    let env = [("DOCKER_CERT_PATH", "certs"), ("HUB__SPAWNER__DOCKER__TLS_VERIFY", "false")];
    let settings = parsed(MINIMAL, &env).unwrap().spawner.host_settings().unwrap();
    assert!(!settings.tls_verify);
    assert_eq!(settings.cert_path.as_deref(), Some(Path::new("/srv/hub/certs")));
}

#[test]
fn variables_of_others_are_accepted_and_change_nothing() {
    let plain = format!("{:?}", parsed(MINIMAL, &[]).unwrap());
    for name in [
        "DOCKER_MACHINE_NAME",
        "DATA_VOLUME_HOST",
        "SECRETS_VOLUME",
        "LOCAL_NOTEBOOK_IMAGE",
        "JUPYTERHUB_VERSION",
        "DB_VOLUME_HOST",
        "DB_VOLUME_CONTAINER",
        "JUPYTERHUB_CRYPT_KEY",
        "POSTGRES_DB",
    ] {
        assert!(variables::variable(name).is_some(), "{name} is not in the table");
        assert_eq!(format!("{:?}", parsed(MINIMAL, &[(name, "x")]).unwrap()), plain, "{name}");
    }
}

#[test]
fn the_data_volume_holds_database_and_cookie_secret() {
    let config = parsed(MINIMAL, &[("DATA_VOLUME_CONTAINER", "/data")]).unwrap();
    assert_eq!(config.store.url, "sqlite:///data/jupyterhub.sqlite");
    let secret = format!("{:?}", config.cookie_secret);
    assert!(secret.contains("/data/jupyterhub_cookie_secret"), "{secret}");
}

#[test]
fn a_postgres_server_is_named_in_four_variables() {
    let variables = [
        ("POSTGRES_HOST", "db:5433"),
        ("POSTGRES_DB", "hub"),
        ("POSTGRES_USER", "hub"),
        ("POSTGRES_PASSWORD", "p@ss/word"),
    ];
    let config = parsed(MINIMAL, &variables).unwrap();
    assert_eq!(config.store.url, "postgres://hub:p%40ss%2Fword@db:5433/hub");
    let error = parsed(MINIMAL, &[("POSTGRES_HOST", "a/b")]).unwrap_err();
    assert_eq!(
        error,
        "POSTGRES_HOST (POSTGRES_HOST in the environment): is not the name of a host; write HOST or HOST:PORT"
    );
}

#[test]
fn env_5_a_secret_is_read_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("one"), "hush\r\n").unwrap();
    std::fs::write(dir.path().join("empty"), "\n").unwrap();
    let load = |name: &str, file: &str| {
        let environment = [
            (name, file.to_owned()),
            ("GITHUB_CLIENT_ID", "id".to_owned()),
            ("OAUTH_CALLBACK_URL", "https://hub.example.org/hub/oauth_callback".to_owned()),
        ]
        .into_iter()
        .collect();
        parse(MINIMAL, "hub.toml", dir.path(), &environment, false)
    };
    let loaded = load("GITHUB_CLIENT_SECRET_FILE", "one").unwrap();
    let setting = loaded.settings.get("auth.github.client_secret").unwrap();
    assert_eq!(setting.shown(), "\"(4 characters, fingerprint dc83)\"");
    assert!(loaded.files.contains(&dir.path().join("one")));
    for (file, complaint) in [("none", "No such file"), ("empty", "the file is empty")] {
        let error = load("GITHUB_CLIENT_SECRET_FILE", file).unwrap_err().to_string();
        assert!(
            error.starts_with("GITHUB_CLIENT_SECRET_FILE (") && error.contains(complaint),
            "{error}"
        );
    }
    let every = variables::VARIABLES.iter().filter(|one| one.secret);
    for variable in every {
        assert!(variables::is_known(&format!("{}_FILE", variable.name)), "{}", variable.name);
    }
}

#[test]
fn two_names_for_one_value_in_one_place_are_refused() {
    let error = parsed(MINIMAL, &[("HUB_DATABASE_URL", "a"), ("POSTGRES_HOST", "b")]).unwrap_err();
    assert!(error.contains("says the same as") && error.contains("remove one"), "{error}");
    let text = format!(
        "{MINIMAL}[auth.github]\nclient_id = 'x'\nclient_secret = 'hush'\nclient_secret_file = 'z'\n"
    );
    let error = parsed(&text, &[]).unwrap_err();
    assert!(error.contains("auth.github.client_secret (hub.toml:5): is set twice"), "{error}");
    assert!(!error.contains("hush"));
}

#[test]
fn either_form_of_a_secret_in_a_stronger_place_beats_both_in_the_file() {
    let text = format!(
        "{MINIMAL}[auth.github]\nclient_id = 'x'\nclient_secret_file = 'nowhere'\ncallback_url = 'https://hub.example.org/hub/oauth_callback'\n"
    );
    assert!(parsed(&text, &[]).unwrap_err().contains("nowhere"));
    assert!(parsed(&text, &[("GITHUB_CLIENT_SECRET", "hush")]).is_ok());
}

#[test]
fn an_unknown_key_in_a_variable_is_told_with_a_suggestion() {
    let error = parsed(MINIMAL, &[("HUB__HTTP__LISTN", "1")]).unwrap_err();
    assert_eq!(
        error,
        "HUB__HTTP__LISTN (HUB__HTTP__LISTN in the environment): is no key of the configuration; did you mean HUB__HTTP__LISTEN?"
    );
    let error = parsed(MINIMAL, &[("HUB__SERVERS__HTTP_TIMEOUT_SECONDS", "soon")]).unwrap_err();
    assert!(error.contains("\"soon\" is not a whole number"), "{error}");
}

#[test]
fn an_error_tells_where_the_value_stands() {
    let error = parsed(&format!("{MINIMAL}[http]\nlisten = 'nowhere'\n"), &[]).unwrap_err();
    assert!(error.starts_with("http.listen (hub.toml:4): \"nowhere\""), "{error}");
    let error = parsed(MINIMAL, &[("HUB_LISTEN", "nowhere")]).unwrap_err();
    assert!(error.starts_with("http.listen (HUB_LISTEN in the environment): "), "{error}");
}

#[test]
fn secrets_are_never_shown() {
    let text = format!(
        "{MINIMAL}environment = {{ KEY = 'hush' }}\n[store]\nurl = 'postgres://hub:hush@db/hub'\ncookie_secret = 'hush'\n[[services]]\nname = 'a'\napi_token = 'hushhush'\n[auth.password.accounts]\nada = '$argon2id$hush'\n"
    );
    let loaded =
        parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false).unwrap();
    let shown: String =
        loaded.settings.iter().map(|one| format!("{one:?} {}\n", one.to_json())).collect();
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("fingerprint"), "{shown}");
}
