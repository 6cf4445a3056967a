//! Variables and flags, laid over the table of the configuration file.
//!
//! Flags win over the environment, which wins over `.env`, which wins over the
//! file (ENV-1). Within one of them, `HUB__SECTION__KEY` wins over a variable with
//! a name of its own. Empty variables were left out before (ENV-3).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hub_auth::GithubConfig;
use toml::{Table, Value};
use url::Url;

use super::{
    ConfigError, EnvFile, Environment, Origin,
    key::{self, Key, Kind, keys},
    secret::read_secret,
    suggest::closest,
    variables::{Effect, KEY_PREFIX, secret_of_file, variable},
};

mod oauth;
mod outbound;

/// What was laid over.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    /// Where each key that was set comes from.
    pub(super) origins: BTreeMap<String, Origin>,
    /// Files with secrets that variables named.
    pub(super) files: Vec<PathBuf>,
    /// What an operator may want to know.
    pub(super) notes: Vec<String>,
}

/// How strong a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    EnvFile,
    EnvFileKey,
    Environment,
    EnvironmentKey,
    Flag,
}

/// A variable with a value.
#[derive(Clone, Debug)]
struct Given {
    value: String,
    rank: Rank,
    origin: Origin,
}

impl Given {
    /// The assignment of `value` to `key` that this variable makes.
    fn sets(&self, key: &'static str, value: Value) -> Assignment {
        Assignment { key, value, rank: self.rank, origin: self.origin.clone(), adds: false }
    }
}

/// A value for a key.
struct Assignment {
    key: &'static str,
    value: Value,
    rank: Rank,
    origin: Origin,
    adds: bool,
}

/// Lays everything over `table`, whose values come from `origins`. Relative paths
/// are below `dir`.
///
/// # Errors
///
/// All variables and flags that cannot be used.
pub(super) fn lay_over(
    table: &mut Table,
    origins: BTreeMap<String, Origin>,
    env_file: Option<&EnvFile>,
    environment: &Environment,
    flags: &[String],
    dir: &Path,
) -> Result<Overlay, ConfigError> {
    let given = given(env_file, environment);
    let mut overlay = Overlay { origins, ..Overlay::default() };
    let mut errors = Vec::new();
    let mut assignments = Vec::new();
    for (name, one) in &given {
        match assignment(name, one, dir, &mut overlay) {
            Ok(found) => assignments.extend(found),
            Err(error) => errors.push(error),
        }
    }
    for combined in [github_url(&given), postgres_url(&given, dir, &mut overlay)] {
        match combined {
            Ok(found) => assignments.extend(found),
            Err(error) => errors.push(error),
        }
    }
    for several in [
        oauth::assignments(table, &given, dir, &mut overlay),
        outbound::assignments(&given, dir, &mut overlay),
    ] {
        match several {
            Ok(found) => assignments.extend(found),
            Err(error) => errors.push(error),
        }
    }
    for flag in flags {
        match flagged(flag) {
            Ok(found) => assignments.push(found),
            Err(error) => errors.push(error),
        }
    }
    errors.extend(contradictions(&assignments));
    ConfigError::none_of(errors)?;
    assignments.sort_by_key(|assignment| assignment.rank);
    for assignment in assignments {
        apply(table, assignment, &mut overlay)?;
    }
    Ok(overlay)
}

/// The variables, each from the strongest place that sets it.
fn given(env_file: Option<&EnvFile>, environment: &Environment) -> BTreeMap<String, Given> {
    let mut all = BTreeMap::new();
    let entries = env_file.iter().flat_map(|file| &file.entries);
    for entry in entries.filter(|entry| !entry.value.is_empty()) {
        let path = env_file.map(|file| file.path.clone()).unwrap_or_default();
        let origin = Origin::EnvFile { path, line: entry.line, variable: entry.name.clone() };
        let rank =
            if entry.name.starts_with(KEY_PREFIX) { Rank::EnvFileKey } else { Rank::EnvFile };
        all.insert(entry.name.clone(), Given { value: entry.value.clone(), rank, origin });
    }
    for (name, value) in environment.iter() {
        let origin = Origin::Environment { variable: name.to_owned() };
        let rank =
            if name.starts_with(KEY_PREFIX) { Rank::EnvironmentKey } else { Rank::Environment };
        all.insert(name.to_owned(), Given { value: value.to_owned(), rank, origin });
    }
    all
}

/// What one variable sets; nothing if it is not ours or only part of a value.
fn assignment(
    name: &str,
    given: &Given,
    dir: &Path,
    overlay: &mut Overlay,
) -> Result<Option<Assignment>, ConfigError> {
    if let Some(rest) = name.strip_prefix(KEY_PREFIX) {
        let key = key::of_variable(rest).ok_or_else(|| unknown_variable(name, &given.origin))?;
        return assign(key, name, given).map(Some);
    }
    if let Some(secret) = secret_of_file(name) {
        let Effect::Sets(key) = secret.effect else { return Ok(None) };
        let path = dir.join(&given.value);
        let value =
            read_secret(name, &path).map_err(|error| error.at(&|_| Some(given.origin.clone())))?;
        overlay.files.push(path);
        return Ok(Some(Assignment {
            key,
            value: Value::String(value),
            rank: given.rank,
            origin: given.origin.clone(),
            adds: false,
        }));
    }
    let Some(variable) = variable(name) else { return Ok(None) };
    let (key, adds) = match variable.effect {
        Effect::Sets(key) => (key, false),
        Effect::AddsTo(key) => (key, true),
        Effect::PartOf(_) | Effect::Nothing => return Ok(None),
    };
    Ok(Some(Assignment {
        key,
        value: Value::String(given.value.clone()),
        rank: given.rank,
        origin: given.origin.clone(),
        adds,
    }))
}

fn assign(key: &'static Key, name: &str, given: &Given) -> Result<Assignment, ConfigError> {
    let value = key.kind.parse(&given.value).map_err(|message| ConfigError::Value {
        key: name.to_owned(),
        message,
        origin: Some(given.origin.clone()),
    })?;
    let Given { rank, origin, .. } = given.clone();
    Ok(Assignment { key: key.name, value, rank, origin, adds: false })
}

fn unknown_variable(name: &str, origin: &Origin) -> ConfigError {
    let all: Vec<String> = keys().map(Key::variable).collect();
    let message = match closest(name, all.iter().map(String::as_str)) {
        Some(known) => format!("is no key of the configuration; did you mean {known}?"),
        None => "is no key of the configuration; write HUB__SECTION__KEY, as in HUB__HTTP__LISTEN"
            .to_owned(),
    };
    ConfigError::Value { key: name.to_owned(), message, origin: Some(origin.clone()) }
}

/// `section.key=value` from the command line.
fn flagged(flag: &str) -> Result<Assignment, ConfigError> {
    let (name, text) = flag.split_once('=').ok_or_else(|| {
        ConfigError::value("--set", "there is no `=`; write --set section.key=value")
    })?;
    let name = name.trim();
    let Some(key) = key::key(name) else {
        let message = match closest(name, keys().map(|key| key.name)) {
            Some(known) => format!("there is no key {name:?}; did you mean {known:?}?"),
            None => format!("there is no key {name:?}; `hub config show` lists them"),
        };
        return Err(ConfigError::value("--set", message));
    };
    let origin = Origin::Flag { flag: format!("--set {name}") };
    assign(
        key,
        &format!("--set {name}"),
        &Given { value: text.to_owned(), rank: Rank::Flag, origin },
    )
}

/// GitHub Enterprise, by its URL or its host.
fn github_url(given: &BTreeMap<String, Given>) -> Result<Option<Assignment>, ConfigError> {
    let get = |name: &str| given.get(name).map(|one| one.value.as_str());
    let Some((name, strongest)) = ["GITHUB_URL", "GITHUB_HOST"]
        .iter()
        .filter_map(|name| Some((*name, given.get(*name)?)))
        .reduce(|a, b| if b.1.rank > a.1.rank { b } else { a })
    else {
        return Ok(None);
    };
    let url = GithubConfig::site_url(
        get("GITHUB_URL").filter(|_| name == "GITHUB_URL"),
        get("GITHUB_HOST").filter(|_| name == "GITHUB_HOST"),
        get("GITHUB_HTTP"),
    )
    .map_err(|error| ConfigError::Value {
        key: name.to_owned(),
        message: error.to_string(),
        origin: Some(strongest.origin.clone()),
    })?;
    Ok(Some(Assignment {
        key: "auth.github.url",
        value: Value::String(url.to_string()),
        rank: strongest.rank,
        origin: strongest.origin.clone(),
        adds: false,
    }))
}

/// The database that older deployments name in four variables.
fn postgres_url(
    given: &BTreeMap<String, Given>,
    dir: &Path,
    overlay: &mut Overlay,
) -> Result<Option<Assignment>, ConfigError> {
    let get = |name: &str| given.get(name).map(|one| one.value.as_str());
    let Some(host) = given.get("POSTGRES_HOST") else {
        if get("POSTGRES_PASSWORD").or(get("POSTGRES_DB")).is_some() {
            overlay.notes.push(
                "POSTGRES_DB and POSTGRES_PASSWORD mean nothing without POSTGRES_HOST".to_owned(),
            );
        }
        return Ok(None);
    };
    let refuse = |message: &str| ConfigError::Value {
        key: "POSTGRES_HOST".to_owned(),
        message: message.to_owned(),
        origin: Some(host.origin.clone()),
    };
    let password = match (given.get("POSTGRES_PASSWORD"), given.get("POSTGRES_PASSWORD_FILE")) {
        (Some(text), Some(file)) if text.rank == file.rank => {
            return Err(twice("POSTGRES_PASSWORD", "POSTGRES_PASSWORD_FILE", &file.origin));
        }
        (Some(text), file) if file.is_none_or(|file| text.rank > file.rank) => {
            Some(text.value.clone())
        }
        (_, Some(file)) => {
            let path = dir.join(&file.value);
            let secret = read_secret("POSTGRES_PASSWORD_FILE", &path)?;
            overlay.files.push(path);
            Some(secret)
        }
        (_, None) => None,
    };
    let mut url = Url::parse(&format!("postgres://{}/", host.value))
        .map_err(|_| refuse("is not the name of a host; write HOST or HOST:PORT"))?;
    if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
        return Err(refuse("is not the name of a host; write HOST or HOST:PORT"));
    }
    let parts = url
        .set_username(get("POSTGRES_USER").unwrap_or("postgres"))
        .and_then(|()| url.set_password(password.as_deref()));
    parts.map_err(|()| refuse("is not the name of a host; write HOST or HOST:PORT"))?;
    url.set_path(get("POSTGRES_DB").unwrap_or("jupyterhub"));
    Ok(Some(Assignment {
        key: "store.url",
        value: Value::String(url.into()),
        rank: host.rank,
        origin: host.origin.clone(),
        adds: false,
    }))
}

/// Two names for one key in one place: nobody can tell which was meant.
fn contradictions(assignments: &[Assignment]) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for (index, one) in assignments.iter().enumerate() {
        let earlier = assignments[..index].iter().find(|other| {
            other.key == one.key && other.rank == one.rank && !one.adds && !other.adds
        });
        if let Some(other) = earlier
            && one.rank != Rank::Flag
        {
            errors.push(twice(name_of(&other.origin), name_of(&one.origin), &one.origin));
        }
    }
    errors
}

fn name_of(origin: &Origin) -> &str {
    match origin {
        Origin::EnvFile { variable, .. } | Origin::Environment { variable } => variable,
        Origin::Flag { flag } => flag,
        Origin::Default | Origin::File { .. } | Origin::Several(_) => "",
    }
}

fn twice(one: &str, other: &str, origin: &Origin) -> ConfigError {
    ConfigError::Value {
        key: one.to_owned(),
        message: format!("says the same as {other}; remove one"),
        origin: Some(origin.clone()),
    }
}

/// The key that says the same by naming a file, or that a file is named for.
/// Whoever sets one in a stronger place takes back the other.
fn instead_of(name: &str) -> Option<&'static str> {
    let other = match name.strip_suffix("_file") {
        Some(text) => key::key(text),
        None => key::key(&format!("{name}_file")).filter(|key| key.kind == Kind::File),
    };
    other.map(|key| key.name).filter(|_| key::key(name).is_some_and(|key| key.kind != Kind::Place))
}

fn apply(
    table: &mut Table,
    assignment: Assignment,
    overlay: &mut Overlay,
) -> Result<(), ConfigError> {
    let Assignment { key, value, origin, adds, .. } = assignment;
    let path: Vec<&str> = key.split('.').collect();
    let parent = parent(table, &path).map_err(|table| {
        ConfigError::value(table, format!("is not a table, so {origin} cannot be applied"))
    })?;
    let last = path[path.len() - 1];
    if adds {
        let list = parent.entry(last).or_insert_with(|| Value::Array(Vec::new()));
        // A list of another type is told as an error of its own.
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
        let before = overlay.origins.remove(key);
        overlay.origins.insert(
            key.to_owned(),
            match before {
                Some(before) => before.and(origin),
                None => origin,
            },
        );
        return Ok(());
    }
    parent.insert(last.to_owned(), value);
    overlay.origins.insert(key.to_owned(), origin);
    if let Some(other) = instead_of(key) {
        let other_path: Vec<&str> = other.split('.').collect();
        if let Ok(parent) = self::parent(table, &other_path) {
            parent.remove(other_path[other_path.len() - 1]);
        }
        overlay.origins.remove(other);
    }
    Ok(())
}

/// Sets what `path` leads to, or takes it out together with tables that are empty
/// then.
pub(super) fn replace(table: &mut Table, path: &[&str], value: Option<Value>) {
    match (path, value) {
        ([], _) => {}
        ([last], Some(value)) => {
            table.insert((*last).to_owned(), value);
        }
        ([last], None) => {
            table.remove(*last);
        }
        ([first, ..], None) if !table.contains_key(*first) => {}
        ([first, rest @ ..], value) => {
            let inner =
                table.entry(*first).or_insert_with(|| Value::Table(Table::new())).as_table_mut();
            let is_empty = inner.is_some_and(|inner| {
                replace(inner, rest, value);
                inner.is_empty()
            });
            if is_empty {
                table.remove(*first);
            }
        }
    }
}

/// The table that holds the last part of `path`; made if it is not there.
fn parent<'a>(table: &'a mut Table, path: &[&str]) -> Result<&'a mut Table, String> {
    let mut at = table;
    for (depth, key) in path[..path.len() - 1].iter().enumerate() {
        at = at
            .entry(*key)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| path[..=depth].join("."))?;
    }
    Ok(at)
}
