//! File and environment to [`Config`].
//!
//! Precedence: environment over file over default (ENV-1). The variables are
//! those of the reference deployment. An empty variable counts as unset (ENV-3).
//! This is the only file that reads the process environment.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hub_auth::GithubConfig;
use hub_spawner::docker::DockerConfig;
use hub_store::StoreConfig;
use serde::Deserialize;
use toml::{Table, Value};

use super::{
    Config, ConfigError, CookieSecretSource, LogConfig, ServiceConfig,
    auth::RawAuth,
    http::{RawHttp, RawHubApi},
    servers::RawServers,
    services::RawService,
    suggest::closest,
};

/// Environment variable to configuration key.
const VARIABLES: [(&str, &[&str]); 14] = [
    ("DOCKER_NOTEBOOK_IMAGE", &["spawner", "docker", "image"]),
    ("DOCKER_NETWORK_NAME", &["spawner", "docker", "network"]),
    ("DOCKER_NOTEBOOK_DIR", &["spawner", "docker", "notebook_dir"]),
    ("DOCKER_SPAWN_CMD", &["spawner", "docker", "cmd"]),
    ("DOCKER_HOST", &["spawner", "docker", "host"]),
    ("GITHUB_CLIENT_ID", &["auth", "github", "client_id"]),
    ("GITHUB_CLIENT_SECRET", &["auth", "github", "client_secret"]),
    ("GITHUB_CLIENT_SECRET_FILE", &["auth", "github", "client_secret_file"]),
    ("OAUTH_CALLBACK_URL", &["auth", "github", "callback_url"]),
    ("SSL_CERT", &["http", "tls", "certificate"]),
    ("SSL_KEY", &["http", "tls", "key"]),
    ("HUB_LISTEN", &["http", "listen"]),
    ("HUB_DATABASE_URL", &["store", "url"]),
    ("HUB_LOG", &["log", "level"]),
];

/// The variables of a process that concern the hub.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Environment {
    /// Reads the process environment.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
    pub fn of_process() -> Self {
        let names = VARIABLES.iter().map(|(name, _)| *name).chain([
            "JPY_COOKIE_SECRET",
            "GITHUB_URL",
            "GITHUB_HOST",
            "GITHUB_HTTP",
            "JUPYTERHUB_ADMIN",
        ]);
        names.filter_map(|name| Some((name, std::env::var(name).ok()?))).collect()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<'a> FromIterator<(&'a str, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (&'a str, String)>>(variables: I) -> Self {
        Self(
            variables
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    http: RawHttp,
    hub_api: RawHubApi,
    store: RawStore,
    auth: RawAuth,
    servers: RawServers,
    spawner: RawSpawner,
    services: Vec<RawService>,
    pages: RawPages,
    log: LogConfig,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawStore {
    url: Option<String>,
    cookie_secret_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSpawner {
    docker: Option<DockerConfig>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPages {
    templates: Option<PathBuf>,
}

/// Reads `file`, if one is given, lays `environment` over it and checks the sum.
///
/// With `lenient`, bad lines of the user list are logged and left out.
///
/// # Errors
///
/// A [`ConfigError`] that names file and line, or the key, and what to do.
pub fn load(
    file: Option<&Path>,
    environment: &Environment,
    lenient: bool,
) -> Result<Config, ConfigError> {
    let Some(path) = file else {
        return parse("", "hub.toml", Path::new("."), environment, lenient);
    };
    let bytes = std::fs::read(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|error| ConfigError::Syntax {
        line: 1 + error.as_bytes()[..error.utf8_error().valid_up_to()]
            .iter()
            .filter(|b| **b == b'\n')
            .count(),
        file: name.clone(),
        message: "this is not UTF-8 text".to_owned(),
    })?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    parse(text.trim_start_matches('\u{FEFF}'), &name, dir, environment, lenient)
}

/// As [`load`], from text; relative paths in it are below `dir`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(
    text: &str,
    name: &str,
    dir: &Path,
    environment: &Environment,
    lenient: bool,
) -> Result<Config, ConfigError> {
    let mut table: Table = toml::from_str(text).map_err(|error| syntax(name, text, &error))?;
    // Typed once as written, for errors with a line; then once more with the
    // environment laid over, which may supply what the file leaves out.
    if let Err(error) = toml::from_str::<Raw>(text)
        && !error.message().starts_with("missing field")
    {
        return Err(syntax(name, text, &error));
    }
    overlay(&mut table, environment)?;
    let raw: Raw =
        table.try_into().map_err(|error: toml::de::Error| untyped(name, error.message()))?;
    check(raw, dir, environment, lenient)
}

fn overlay(table: &mut Table, environment: &Environment) -> Result<(), ConfigError> {
    for (variable, path) in VARIABLES {
        if let Some(value) = environment.get(variable) {
            insert(table, path, value).map_err(|key| {
                ConfigError::value(key, format!("is not a table, so {variable} cannot be applied"))
            })?;
        }
    }
    let site = ["GITHUB_URL", "GITHUB_HOST", "GITHUB_HTTP"].map(|name| environment.get(name));
    if site[0].or(site[1]).is_some() {
        let url = GithubConfig::site_url(site[0], site[1], site[2])
            .map_err(|error| ConfigError::value("GITHUB_URL or GITHUB_HOST", error.to_string()))?;
        insert(table, &["auth", "github", "url"], url.as_str()).map_err(|key| {
            ConfigError::value(key, "is not a table, so GITHUB_URL cannot be applied")
        })?;
    }
    // Either form in the environment beats both in the file (ENV-1).
    let secret =
        ["GITHUB_CLIENT_SECRET", "GITHUB_CLIENT_SECRET_FILE"].map(|name| environment.get(name));
    let keys = ["client_secret", "client_secret_file"];
    if let Some(github) =
        table.get_mut("auth").and_then(|auth| auth.get_mut("github")).and_then(Value::as_table_mut)
        && secret.iter().any(Option::is_some)
    {
        for (key, given) in keys.iter().zip(secret) {
            if given.is_none() {
                github.remove(*key);
            }
        }
    }
    Ok(())
}

fn insert(table: &mut Table, path: &[&str], value: &str) -> Result<(), String> {
    let (last, parents) = path.split_last().ok_or_else(String::new)?;
    let mut at = table;
    for (depth, key) in parents.iter().enumerate() {
        at = at
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| path[..=depth].join("."))?;
    }
    at.insert((*last).to_owned(), Value::String(value.to_owned()));
    Ok(())
}

fn check(
    raw: Raw,
    dir: &Path,
    environment: &Environment,
    lenient: bool,
) -> Result<Config, ConfigError> {
    let mut auth = raw.auth;
    if let Some(admin) = environment.get("JUPYTERHUB_ADMIN") {
        auth.admin_users.push(admin.to_owned());
    }
    let mut errors = Vec::new();
    let mut keep = |error: ConfigError| match error {
        ConfigError::Several(more) => errors.extend(more),
        one => errors.push(one),
    };

    let http = raw.http.check(dir).map_err(&mut keep).ok();
    let auth = match &http {
        Some(http) => auth.check(dir, http, lenient).map_err(&mut keep).ok(),
        None => None,
    };
    let hub_api =
        raw.hub_api.check(http.as_ref().map_or("/", |http| &http.base_url)).map_err(&mut keep).ok();
    let servers = raw.servers.check().map_err(&mut keep).ok();
    let spawner = match raw.spawner.docker {
        Some(docker) => docker
            .validate()
            .map(|()| docker)
            .map_err(|error| keep(ConfigError::value("spawner.docker", error.to_string())))
            .ok(),
        None => {
            keep(ConfigError::value(
                "spawner.docker.image",
                "is missing; name the image of the notebook servers here or as DOCKER_NOTEBOOK_IMAGE",
            ));
            None
        }
    };
    let mut services: Vec<ServiceConfig> = Vec::new();
    for service in raw.services {
        match service
            .check(dir)
            .and_then(|service| service.is_new_among(&services).map(|()| service))
        {
            Ok(service) => services.push(service),
            Err(error) => keep(error),
        }
    }
    if let Err(error) = raw.log.check() {
        keep(error);
    }

    match (http, auth, hub_api, servers, spawner) {
        (Some(http), Some(auth), Some(hub_api), Some(servers), Some(spawner))
            if errors.is_empty() =>
        {
            Ok(Config {
                http,
                hub_api,
                store: StoreConfig { url: store_url(raw.store.url, dir) },
                cookie_secret: match environment.get("JPY_COOKIE_SECRET") {
                    Some(hex) => CookieSecretSource::Given(hex.to_owned()),
                    None => CookieSecretSource::File(
                        dir.join(
                            raw.store
                                .cookie_secret_file
                                .unwrap_or_else(|| PathBuf::from("jupyterhub_cookie_secret")),
                        ),
                    ),
                },
                auth,
                servers,
                spawner,
                services,
                templates: raw.pages.templates.map(|path| dir.join(path)),
                log: raw.log,
            })
        }
        _ => Err(match errors.pop() {
            Some(only) if errors.is_empty() => only,
            Some(last) => {
                errors.push(last);
                ConfigError::Several(errors)
            }
            None => ConfigError::Several(Vec::new()),
        }),
    }
}

/// A relative SQLite path is below the configuration file's directory.
fn store_url(configured: Option<String>, dir: &Path) -> String {
    let url = configured.unwrap_or_else(|| "sqlite://jupyterhub.sqlite".to_owned());
    match url.strip_prefix("sqlite://") {
        Some(path) if !path.starts_with('/') => format!("sqlite://{}", dir.join(path).display()),
        _ => url,
    }
}

fn syntax(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
    ConfigError::Syntax { file: name.to_owned(), line, message: friendly(error.message()) }
}

fn untyped(name: &str, message: &str) -> ConfigError {
    ConfigError::Value { key: name.to_owned(), message: friendly(message) }
}

/// Turns serde's "unknown field `x`, expected one of `a`, `b`" into a sentence
/// with a suggestion; other messages are left as they are.
fn friendly(message: &str) -> String {
    let message = message.trim();
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return message.to_owned();
    };
    let mut quoted = rest.split('`');
    let typed = quoted.next().unwrap_or_default();
    let known: Vec<&str> = quoted.skip(1).step_by(2).collect();
    match closest(typed, known.iter().copied()) {
        Some(key) => format!("unknown key {typed:?}; did you mean {key:?}?"),
        None => format!("unknown key {typed:?}; known here: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "[spawner.docker]\nimage = \"lab\"\n";

    fn parsed(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment =
            variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        parse(text, "hub.toml", Path::new("/srv/hub"), &environment, false)
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
        assert_eq!(config.spawner.image, "other");
        assert_eq!(config.http.listen, ([127, 0, 0, 1], 1).into());
    }

    #[test]
    fn env_3_an_empty_variable_is_unset() {
        assert_eq!(parsed(MINIMAL, &[("DOCKER_NOTEBOOK_IMAGE", "")]).unwrap().spawner.image, "lab");
    }

    #[test]
    fn the_environment_alone_is_a_configuration() {
        assert!(parsed("", &[("DOCKER_NOTEBOOK_IMAGE", "lab")]).is_ok());
        assert!(parsed("", &[]).unwrap_err().contains("DOCKER_NOTEBOOK_IMAGE"));
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let error =
            parsed("[http]\nlisten = \"nowhere\"\n[servers]\npoll_interval_seconds = 0\n", &[])
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
}
