//! Texts to [`Config`]: parse, lay over, check.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use toml::Table;

use super::{
    Config, ConfigError, EnvFile, Environment, LogConfig, MetricsConfig, Origin, ServiceConfig,
    Settings,
    auth::RawAuth,
    culling::RawCulling,
    events::RawEvents,
    http::{RawHttp, RawHubApi},
    key::{Applies, keys},
    lines,
    overlay::{self, Overlay},
    pages::RawPages,
    proxy::RawProxy,
    roles::{self, RawGroup, RawRole, RawScope},
    servers::RawServers,
    services::{Described, ServiceSpec},
    settings::find,
    spawner::RawSpawner,
    store::RawStore,
    suggest::closest,
};

/// A configuration, and everything there is to say about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// What the hub runs on.
    pub config: Config,
    /// Every key, its value and where that comes from.
    pub settings: Settings,
    /// What an operator should look at, one sentence each: slips, lines of the user
    /// list that were left out.
    pub warnings: Vec<String>,
    /// The variables that are there and empty, which counts as not set (ENV-3).
    pub empty_variables: Vec<String>,
    /// The files that were read for it, and those that are read later on.
    pub files: Vec<PathBuf>,
    /// The configuration file that was read, if any.
    pub config_file: Option<PathBuf>,
    /// The file of variables that was read, if any.
    pub env_file: Option<PathBuf>,
    sum: Sum,
}

/// All places laid over one another, not yet checked.
#[derive(Clone)]
struct Sum {
    table: Table,
    origins: BTreeMap<String, Origin>,
    /// Relative paths are below this directory.
    dir: PathBuf,
    /// Where Docker's own tools keep their settings, in `.docker`.
    home: Option<PathBuf>,
    /// What the programs are given that the hub runs.
    inherited: BTreeMap<String, String>,
    lenient: bool,
}

impl std::fmt::Debug for Sum {
    /// The table holds secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sum").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// What is to be understood.
pub(super) struct Texts<'a> {
    /// The configuration file and its text.
    pub(super) config: (Option<PathBuf>, &'a str),
    /// The file of variables.
    pub(super) env: Option<&'a EnvFile>,
    /// Where that was looked for.
    pub(super) env_looked_for: PathBuf,
    /// Relative paths are below this directory.
    pub(super) dir: &'a Path,
    pub(super) environment: &'a Environment,
    pub(super) flags: &'a [String],
    pub(super) lenient: bool,
    /// Only these sections count. The others have their defaults; the image, which
    /// has none, is called `unknown`.
    pub(super) sections: Option<&'a [&'a str]>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    http: RawHttp,
    hub_api: RawHubApi,
    proxy: RawProxy,
    store: RawStore,
    auth: RawAuth,
    servers: RawServers,
    culling: RawCulling,
    spawner: RawSpawner,
    services: Vec<ServiceSpec>,
    custom_scopes: Vec<RawScope>,
    roles: Vec<RawRole>,
    groups: Vec<RawGroup>,
    pages: RawPages,
    log: LogConfig,
    events: RawEvents,
    metrics: MetricsConfig,
}

/// A configuration from the text of a file called `name`, and variables. Relative
/// paths are below `dir`.
///
/// # Errors
///
/// A [`ConfigError`] with all that is wrong.
pub fn parse(
    text: &str,
    name: &str,
    dir: &Path,
    environment: &Environment,
    lenient: bool,
) -> Result<Loaded, ConfigError> {
    parse_all(Texts {
        config: (Some(name.into()), text),
        env: None,
        env_looked_for: dir.join(".env"),
        dir,
        environment,
        flags: &[],
        lenient,
        sections: None,
    })
}

pub(super) fn parse_all(texts: Texts<'_>) -> Result<Loaded, ConfigError> {
    let Texts { config: (config_file, text), env, env_looked_for, dir, .. } = texts;
    let name = config_file.clone().unwrap_or_else(|| "hub.toml".into());
    let mut table: Table = toml::from_str(text).map_err(|error| syntax(&name, text, &error))?;
    // Typed once as written, for errors with a line; then once more with the rest
    // laid over, which may supply what the file leaves out.
    if texts.sections.is_none()
        && let Err(error) = toml::from_str::<Raw>(text)
        && !error.message().starts_with("missing field")
    {
        return Err(syntax(&name, text, &error));
    }
    let origins = lines::origins(&name, text);
    let overlay = overlay::lay_over(&mut table, origins, env, texts.environment, texts.flags, dir)?;
    let Overlay { origins, files: secrets, mut notes } = overlay;
    if let Some(sections) = texts.sections {
        table.retain(|name, _| sections.contains(&name));
        if !sections.contains(&"spawner") {
            let docker = Table::from_iter([("image".to_owned(), "unknown".into())]);
            let spawner = Table::from_iter([("docker".to_owned(), docker.into())]);
            table.insert("spawner".to_owned(), spawner.into());
        }
    }
    let home = texts.environment.get("HOME").map(PathBuf::from);
    let inherited = texts.environment.inherited();
    let lenient = texts.lenient;
    let sum = Sum { table, origins, dir: dir.to_owned(), home, inherited, lenient };
    let (config, settings) = sum.check()?;
    notes.extend(env.iter().flat_map(|file| file.doubts()));
    notes.extend(config.auth.warnings.iter().cloned());
    let env_file = env.map(|file| file.path.clone());
    let mut files: Vec<PathBuf> = config_file.iter().cloned().collect();
    files.push(env_file.clone().unwrap_or(env_looked_for));
    files.extend(secrets);
    files.extend(settings.files().into_iter().map(|(_, path)| dir.join(path)));
    let entries = env.iter().flat_map(|file| &file.entries);
    let empty = entries.filter(|entry| entry.value.is_empty()).map(|entry| entry.name.as_str());
    let empty_variables = empty.chain(texts.environment.empty()).map(str::to_owned).collect();
    Ok(Loaded {
        config,
        settings,
        warnings: notes,
        empty_variables,
        files,
        config_file,
        env_file,
        sum,
    })
}

impl Loaded {
    /// The same, but that keys whose changes apply only `then` are as in `running`.
    ///
    /// # Errors
    ///
    /// When the two do not go together.
    pub(crate) fn keeping(&self, running: &Self, then: Applies) -> Result<Self, ConfigError> {
        let mut sum = self.sum.clone();
        for key in keys().filter(|key| key.applies == then) {
            let path: Vec<&str> = key.name.split('.').collect();
            overlay::replace(&mut sum.table, &path, find(&running.sum.table, key.name).cloned());
            match running.sum.origins.get(key.name) {
                Some(origin) => sum.origins.insert(key.name.to_owned(), origin.clone()),
                None => sum.origins.remove(key.name),
            };
        }
        let (config, settings) = sum.check()?;
        Ok(Self { config, settings, sum, ..self.clone() })
    }

    /// The keys that name any of `files`.
    pub(crate) fn keys_of_files(&self, files: &BTreeSet<PathBuf>) -> Vec<&'static str> {
        let named = self.settings.files().into_iter();
        named
            .filter(|(_, path)| files.contains(&self.sum.dir.join(path)))
            .map(|(key, _)| key)
            .collect()
    }
}

impl Sum {
    fn check(&self) -> Result<(Config, Settings), ConfigError> {
        let settings = Settings::new(&self.table, &self.origins);
        let raw: Raw =
            self.table.clone().try_into().map_err(|error: toml::de::Error| untyped(&error))?;
        let origin_of = |key: &str| self.origins.get(key).cloned();
        let config = check(raw, &self.dir, self.home.as_deref(), self.lenient)
            .map_err(|error| error.at(&origin_of))?;
        Ok((Config { inherited: self.inherited.clone(), ..config }, settings))
    }
}

fn check(
    mut raw: Raw,
    dir: &Path,
    home: Option<&Path>,
    lenient: bool,
) -> Result<Config, ConfigError> {
    let mut errors = Vec::new();
    let mut keep = |error: ConfigError| match error {
        ConfigError::Several(more) => errors.extend(more),
        one => errors.push(one),
    };

    let http = raw.http.check(dir, &raw.store.data_dir(dir)).map_err(&mut keep).ok();
    let roles = roles::define(&raw.custom_scopes, &raw.roles, raw.auth.extra_user_scopes())
        .map_err(&mut keep)
        .ok();
    let auth = match &http {
        Some(http) => raw.auth.check(dir, http, lenient).map_err(&mut keep).ok(),
        None => None,
    };
    let operator = raw.hub_api.operator_token.take().map(ServiceSpec::operator);
    let hub_api =
        raw.hub_api.check(http.as_ref().map_or("/", |http| &http.base_url)).map_err(&mut keep).ok();
    let proxy = match &http {
        Some(http) => raw.proxy.check(dir, http).map_err(&mut keep).ok(),
        None => None,
    };
    let data_dir = raw.store.data_dir(dir);
    let store = raw.store.check(dir).map_err(&mut keep).ok();
    let servers = raw.servers.check(dir).map_err(&mut keep).ok();
    // Without a value there is an error, and then there is no configuration.
    let culling = raw.culling.check().map_err(&mut keep).unwrap_or_default();
    let spawner = raw.spawner.check(dir, &data_dir, home).map_err(&mut keep).ok();
    let landing = raw.pages.landing().map_err(&mut keep).ok();
    let mut services: Vec<ServiceConfig> = Vec::new();
    for service in operator.into_iter().chain(raw.services) {
        match service
            .check(Described::InFile, dir, roles.as_ref())
            .and_then(|service| service.is_new_among(&services).map(|()| service))
        {
            Ok(service) => services.push(service),
            Err(error) => keep(error),
        }
    }
    for checked in [raw.log.check(), raw.metrics.check()] {
        if let Err(error) = checked {
            keep(error);
        }
    }
    let puts_into_groups = raw.groups.iter().any(RawGroup::has_users);
    let roles = match (roles, &auth) {
        (Some(roles), Some(auth)) => {
            roles::check(roles, raw.roles, raw.groups, &auth.policy, &services)
                .map_err(&mut keep)
                .ok()
        }
        _ => None,
    };
    if let Some(auth) = &auth
        && auth.policy.rules().manage_groups
        && (puts_into_groups || !auth.groups.is_empty())
    {
        errors.push(ConfigError::value(
            "auth.manage_groups",
            "leaves it to the provider who is in which group, and [[groups]] or the user list name people too; remove one",
        ));
    }
    ConfigError::none_of(errors)?;
    match (http, store, auth, hub_api, proxy, servers, spawner, roles, landing) {
        (
            Some(http),
            Some(store),
            Some(auth),
            Some(hub_api),
            Some(proxy),
            Some(servers),
            Some(spawner),
            Some(roles),
            Some(landing),
        ) => {
            let (store, cookie_secret) = store;
            Ok(Config {
                http,
                hub_api,
                proxy,
                store,
                cookie_secret,
                auth,
                servers,
                spawner,
                roles,
                services,
                // Known to the caller.
                inherited: BTreeMap::new(),
                templates: raw.pages.templates.map(|path| dir.join(path)),
                landing,
                announcement: raw.pages.announcement.filter(|text| !text.trim().is_empty()),
                refusal: raw.pages.custom_403_message.filter(|text| !text.trim().is_empty()),
                log: raw.log,
                culling,
                events: raw.events.check(dir),
                metrics: raw.metrics,
            })
        }
        // What is missing has left an error.
        _ => Err(ConfigError::Several(Vec::new())),
    }
}

/// What the types say against `text`.
#[cfg(test)]
pub(super) fn type_error(text: &str) -> Option<String> {
    toml::from_str::<Raw>(text).err().map(|error| error.message().trim().to_owned())
}

fn syntax(name: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = lines::line_of(text, error.span().map_or(0, |span| span.start));
    ConfigError::Syntax {
        file: name.display().to_string(),
        line,
        message: friendly(error.message()),
    }
}

/// An error of the sum, which has no lines: the file alone was fine.
fn untyped(error: &toml::de::Error) -> ConfigError {
    ConfigError::value("configuration", friendly(error.to_string().trim()))
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
mod tests;
