//! What the sections of all providers have in common: whom a provider's word lets in,
//! who we are there, and which keys its library's errors are about.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use hub_auth::{InvalidConfig, ProviderRules};
use secrecy::SecretString;
use serde::Deserialize;

use crate::config::{ConfigError, key::Kind, secret::read_secret};

/// What a table of claims looks like.
pub(super) const CLAIMS: Kind =
    Kind::Shape("table of texts, or of lists of texts: `{ claim = [\"value\"] }`");

/// Dotted path of a claim to the values that are good.
pub(super) type RawClaims = BTreeMap<String, Values>;

/// The values of a claim that are good.
#[derive(Clone, Deserialize)]
#[serde(untagged, expecting = "a claim wants a text, or a list of texts")]
pub(super) enum Values {
    One(String),
    Any(Vec<String>),
}

/// The rules about what one provider says, as they are written in its section.
#[derive(Default)]
pub(super) struct RawRules {
    pub(super) allow_all: bool,
    pub(super) allowed_groups: Vec<String>,
    pub(super) admin_groups: Vec<String>,
    pub(super) allowed_scopes: Vec<String>,
    pub(super) required_claims: RawClaims,
    pub(super) admin_claims: RawClaims,
}

impl RawRules {
    /// The rules of `section`; the lists of groups are called `names` there.
    pub(super) fn check(
        self,
        section: &str,
        names: [&str; 2],
    ) -> Result<ProviderRules, ConfigError> {
        let [allowed, admin] = names.map(|name| format!("{section}.{name}"));
        Ok(ProviderRules {
            allow_all: self.allow_all,
            allowed_groups: texts(&allowed, self.allowed_groups)?,
            admin_groups: texts(&admin, self.admin_groups)?,
            allowed_scopes: texts(&format!("{section}.allowed_scopes"), self.allowed_scopes)?,
            required_claims: claims(&format!("{section}.required_claims"), self.required_claims)?,
            admin_claims: claims(&format!("{section}.admin_claims"), self.admin_claims)?,
        })
    }
}

/// Texts that are not blank.
fn texts(key: &str, list: Vec<String>) -> Result<BTreeSet<String>, ConfigError> {
    match list.iter().any(|text| text.trim().is_empty()) {
        true => Err(ConfigError::value(key, "has an empty entry; take it out")),
        false => Ok(list.into_iter().collect()),
    }
}

fn claims(key: &str, raw: RawClaims) -> Result<BTreeMap<String, BTreeSet<String>>, ConfigError> {
    let mut claims = BTreeMap::new();
    for (path, values) in raw {
        if path.trim().is_empty() {
            return Err(ConfigError::value(key, "has a claim without a name"));
        }
        let values = match values {
            Values::One(value) => vec![value],
            Values::Any(values) => values,
        };
        let key = format!("{key}.{path}");
        let values = texts(&key, values)?;
        if values.is_empty() {
            return Err(ConfigError::value(
                key,
                "has no value, so nobody could match; name one or remove the key",
            ));
        }
        claims.insert(path, values);
    }
    Ok(claims)
}

/// The client's secret, written in `section` or in a file.
pub(super) fn client_secret(
    section: &str,
    text: Option<String>,
    file: Option<PathBuf>,
    dir: &Path,
) -> Result<Option<SecretString>, ConfigError> {
    let secret = match (text, file) {
        (None, Some(file)) => {
            Some(read_secret(&format!("{section}.client_secret_file"), &dir.join(file))?)
        }
        (Some(_), Some(_)) => {
            return Err(ConfigError::value(
                format!("{section}.client_secret"),
                "is set twice, here and by client_secret_file; remove one",
            ));
        }
        (secret, None) => secret,
    };
    Ok(secret.filter(|text| !text.is_empty()).map(SecretString::from))
}

/// An error of a library about the key that it means.
pub(super) fn in_section(section: &str, error: InvalidConfig) -> ConfigError {
    match error {
        InvalidConfig::Setting { key, reason } => {
            ConfigError::value(format!("{section}.{key}"), reason)
        }
        other => ConfigError::value(section, other.to_string()),
    }
}
