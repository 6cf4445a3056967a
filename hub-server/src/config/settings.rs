//! Every key with its value and where that comes from, for people to read.

use std::collections::BTreeMap;

use hub_auth::ForwardProxy;
use toml::{Table, Value};

use super::{
    Origin, fingerprint,
    key::{Key, Kind, keys},
};

/// Every key of the configuration, in the order of the reference.
#[derive(Clone, Debug)]
pub struct Settings(Vec<Setting>);

/// A key, its value and where that comes from.
#[derive(Clone, PartialEq)]
pub struct Setting {
    /// The key.
    pub key: &'static Key,
    /// Who set it.
    pub origin: Origin,
    value: Option<Value>,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {} ({})", self.key.name, self.shown(), self.origin)
    }
}

impl Settings {
    /// What `table` sets, and the defaults of all other keys.
    pub(super) fn new(table: &Table, origins: &BTreeMap<String, Origin>) -> Self {
        let setting = |key: &'static Key| match find(table, key.name) {
            Some(value) => Setting {
                key,
                value: Some(value.clone()),
                origin: origins.get(key.name).cloned().unwrap_or(Origin::Default),
            },
            None => Setting { key, value: key.default.and_then(inline), origin: Origin::Default },
        };
        Self(keys().map(setting).collect())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.0.iter()
    }

    /// The one called `name`.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.key.name == name)
    }

    /// The keys whose values differ from those of `other`.
    pub fn differing(&self, other: &Self) -> Vec<&'static Key> {
        self.0
            .iter()
            .zip(&other.0)
            .filter(|(one, another)| one.value != another.value)
            .map(|(one, _)| one.key)
            .collect()
    }

    /// Files and directories that are read, as they are written.
    pub(super) fn files(&self) -> Vec<(&'static str, &str)> {
        let mut files = Vec::new();
        for setting in &self.0 {
            let name = setting.key.name;
            match (setting.key.kind, &setting.value) {
                (Kind::File | Kind::Directory, Some(Value::String(path))) => {
                    files.push((name, path.as_str()));
                }
                (Kind::Sections, Some(Value::Array(sections))) => {
                    let named =
                        sections.iter().filter_map(|one| one.get("api_token_file")?.as_str());
                    files.extend(named.map(|path| (name, path)));
                }
                _ => {}
            }
        }
        files
    }
}

impl Setting {
    /// The value as TOML; of a secret its length and fingerprint. Empty if there is
    /// none.
    pub fn shown(&self) -> String {
        self.public_value().map(|value| value.to_string()).unwrap_or_default()
    }

    /// The value as JSON; of a secret its length and fingerprint.
    pub fn to_json(&self) -> serde_json::Value {
        self.public_value()
            .and_then(|value| serde_json::to_value(value).ok())
            .unwrap_or(serde_json::Value::Null)
    }

    fn public_value(&self) -> Option<Value> {
        self.value.as_ref().map(|value| public(self.key.kind, value))
    }
}

/// `value` with every secret replaced by what may be said about it.
fn public(kind: Kind, value: &Value) -> Value {
    match (kind, value) {
        (Kind::Secret, Value::String(text)) => hidden(text),
        (Kind::Secrets, Value::Table(table)) => Value::Table(
            table.iter().map(|(name, value)| (name.clone(), public(Kind::Secret, value))).collect(),
        ),
        (Kind::Sections, Value::Array(sections)) => {
            Value::Array(sections.iter().map(section).collect())
        }
        (Kind::DatabaseUrl, Value::String(url)) => {
            Value::String(hub_store::StoreConfig { url: url.clone() }.redacted())
        }
        (Kind::ProxyUrl, Value::String(url)) => match url.parse::<ForwardProxy>() {
            Ok(proxy) => Value::String(proxy.to_string()),
            Err(_) => hidden(url),
        },
        // Whatever stands where a secret is expected is not shown.
        (kind, other) if kind.is_secret() => hidden(&other.to_string()),
        (_, other) => other.clone(),
    }
}

fn section(section: &Value) -> Value {
    let Value::Table(table) = section else { return hidden(&section.to_string()) };
    let shown = |(name, value): (&String, &Value)| match name.as_str() {
        "name"
        | "api_token_file"
        | "scopes"
        | "admin"
        | "description"
        | "subscopes"
        | "users"
        | "groups"
        | "services"
        | "properties"
        | "timeout_seconds"
        | "max_age_seconds"
        | "url"
        | "timeout"
        | "display"
        | "info"
        | "command"
        | "cwd"
        | "user"
        | "oauth_client_id"
        | "oauth_redirect_uri"
        | "oauth_client_allowed_scopes"
        | "oauth_no_confirm" => (name.clone(), value.clone()),
        "environment" => (name.clone(), public(Kind::Secrets, value)),
        _ => (name.clone(), public(Kind::Secret, value)),
    };
    Value::Table(table.iter().map(shown).collect())
}

fn hidden(secret: &str) -> Value {
    Value::String(format!("({})", fingerprint(secret)))
}

/// The value of a key.
pub(super) fn find<'a>(table: &'a Table, name: &str) -> Option<&'a Value> {
    let (first, rest) = match name.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (name, None),
    };
    let value = table.get(first)?;
    match rest {
        Some(rest) => find(value.as_table()?, rest),
        None => Some(value),
    }
}

/// A default of the reference as a value.
fn inline(toml: &str) -> Option<Value> {
    let table: Table = toml::from_str(&format!("value = {toml}")).ok()?;
    table.get("value").cloned()
}
