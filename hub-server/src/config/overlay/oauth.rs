//! The variables that any OAuth 2 sign-in of the reference deployment reads: they are for
//! the one provider there is.

use std::{collections::BTreeMap, path::Path};

use toml::{Table, Value};

use super::{Assignment, Given, Overlay, twice};
use crate::config::{ConfigError, key::Kind, secret::read_secret};

/// Whose presence says that the provider is none of those with a name of their own.
const GENERIC: &str = "OAUTH2_";

/// What sets a key in the section of whichever provider there is.
const EITHER: [(&str, &str, &str); 3] = [
    ("OAUTH_CLIENT_ID", "auth.github.client_id", "auth.oidc.client_id"),
    ("OAUTH_CLIENT_SECRET", "auth.github.client_secret", "auth.oidc.client_secret"),
    ("LOGIN_SERVICE", "auth.github.service", "auth.oidc.service"),
];

/// GitHub's own variables, which win (deployment contract 3.3).
const GITHUB: [(&str, &str); 2] =
    [("OAUTH_CLIENT_ID", "GITHUB_CLIENT_ID"), ("OAUTH_CLIENT_SECRET", "GITHUB_CLIENT_SECRET")];

/// What sets a key of `[auth.oidc]` that is no plain text.
const OF_A_KIND: [(&str, &str, Kind); 2] = [
    ("OAUTH2_BASIC_AUTH", "auth.oidc.basic_auth", Kind::Boolean),
    ("OAUTH2_GROUPS_KEY", "auth.oidc.groups_claims", Kind::List),
];

/// What these variables set.
pub(super) fn assignments(
    table: &Table,
    given: &BTreeMap<String, Given>,
    dir: &Path,
    overlay: &mut Overlay,
) -> Result<Vec<Assignment>, ConfigError> {
    let is_generic = given.keys().any(|name| name.starts_with(GENERIC) || is_oidc_key(name));
    let has_section = table.get("auth").and_then(|auth| auth.get("oidc")).is_some();
    let is_oidc = is_generic || has_section;
    // A name for a button makes no sign-in.
    let has_client = is_oidc
        || table.get("auth").and_then(|auth| auth.get("github")).is_some()
        || given.keys().any(|name| names_a_client(name));
    let mut found = Vec::new();
    for (name, github, oidc) in EITHER {
        let Some((one, value)) = value(name, given, dir, overlay)? else { continue };
        if !has_client || (!is_oidc && has_own(name, given)) {
            continue;
        }
        found.push(one.sets(if is_oidc { oidc } else { github }, Value::String(value)));
    }
    for (name, key, kind) in OF_A_KIND {
        let Some(one) = given.get(name) else { continue };
        let value = kind.parse(&one.value).map_err(|message| ConfigError::Value {
            key: name.to_owned(),
            message,
            origin: Some(one.origin.clone()),
        })?;
        found.push(one.sets(key, value));
    }
    Ok(found)
}

fn names_a_client(name: &str) -> bool {
    ["OAUTH_CLIENT_", "GITHUB_CLIENT_", "HUB__AUTH__GITHUB__"]
        .iter()
        .any(|beginning| name.starts_with(beginning))
}

fn is_oidc_key(name: &str) -> bool {
    name.starts_with("HUB__AUTH__OIDC__")
}

/// Whether GitHub's variable of the same meaning is set, as text or file.
fn has_own(name: &str, given: &BTreeMap<String, Given>) -> bool {
    let own = GITHUB.iter().find(|(generic, _)| *generic == name).map(|(_, own)| *own);
    own.is_some_and(|own| given.contains_key(own) || given.contains_key(&format!("{own}_FILE")))
}

/// A variable, or what is in the file that its other form names.
fn value<'a>(
    name: &str,
    given: &'a BTreeMap<String, Given>,
    dir: &Path,
    overlay: &mut Overlay,
) -> Result<Option<(&'a Given, String)>, ConfigError> {
    let file_name = format!("{name}_FILE");
    match (given.get(name), given.get(&file_name).filter(|_| name.ends_with("SECRET"))) {
        (Some(text), Some(file)) if text.rank == file.rank => {
            Err(twice(name, &file_name, &file.origin))
        }
        (text, Some(file)) if text.is_none_or(|text| file.rank > text.rank) => {
            let path = dir.join(&file.value);
            let secret = read_secret(&file_name, &path)
                .map_err(|error| error.at(&|_| Some(file.origin.clone())))?;
            overlay.files.push(path);
            Ok(Some((file, secret)))
        }
        (text, _) => Ok(text.map(|text| (text, text.value.clone()))),
    }
}
