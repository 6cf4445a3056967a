//! Fields of the auth state that a server gets in its environment.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::Value;

use super::AuthState;
use crate::{InvalidConfig, claim};

/// Longest value that is handed over, in bytes. Linux takes 128 KiB.
const MAX_BYTES: usize = 64 * 1024;

/// Beginnings of names that the hub itself sets, or that decide which programs
/// and libraries a server runs.
const RESERVED_BEGINNINGS: [&str; 4] = ["JUPYTERHUB", "JUPYTER_IMAGE", "JPY_", "LD_"];

/// Names that decide which programs a server runs, and as whom.
const RESERVED: [&str; 6] = ["PATH", "HOME", "USER", "SHELL", "PYTHONPATH", "MEM_LIMIT"];

/// Which fields go into which variables, as in
/// `{ GITHUB_TOKEN = "access_token", LOGIN = "github_user.login" }`.
///
/// Whoever can run code in a server can read them there; that is the point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentFields {
    paths: BTreeMap<String, String>,
}

/// Why a variable is not set. The server starts without it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is not set: {path} {reason}")]
pub struct InvalidField {
    /// The variable.
    pub variable: String,
    /// The dotted path into the auth state.
    pub path: String,
    /// What is wrong with the value there. The value itself is not told.
    pub reason: &'static str,
}

impl EnvironmentFields {
    /// Variable to dotted path, as configured.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`], naming the variable: one that cannot be a name
    /// (letters, digits and `_`, no digit first), one that the hub or the system
    /// sets itself, or an empty path.
    pub fn new(paths: BTreeMap<String, String>) -> Result<Self, InvalidConfig> {
        for (variable, path) in &paths {
            let refuse = |reason: &str| {
                let key = format!("spawn_env_from_auth_state.{variable}");
                Err(InvalidConfig::setting(key, reason))
            };
            let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if variable.is_empty()
                || variable.starts_with(|c: char| c.is_ascii_digit())
                || !variable.chars().all(letters)
            {
                return refuse("is not the name of a variable; use letters, digits and _");
            }
            if RESERVED.contains(&variable.as_str())
                || RESERVED_BEGINNINGS.iter().any(|start| variable.starts_with(start))
            {
                return refuse("is set by the hub or the system; use another name");
            }
            if path.trim().is_empty() {
                return refuse("names no field; name one, such as \"access_token\"");
            }
        }
        Ok(Self { paths })
    }

    /// Whether nothing is handed over.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The variables of somebody with this state, and those that stay unset.
    ///
    /// Text and numbers are taken as they are, lists and objects as JSON. A field
    /// that is absent or null leaves its variable unset.
    pub fn environment(
        &self,
        state: &AuthState,
    ) -> (BTreeMap<String, SecretString>, Vec<InvalidField>) {
        let mut set = BTreeMap::new();
        let mut unset = Vec::new();
        for (variable, path) in &self.paths {
            match value(state, path) {
                Ok(text) => {
                    set.insert(variable.clone(), text.into());
                }
                Err(reason) => unset.push(InvalidField {
                    variable: variable.clone(),
                    path: path.clone(),
                    reason,
                }),
            }
        }
        (set, unset)
    }
}

fn value(state: &AuthState, path: &str) -> Result<String, &'static str> {
    let text = match state.at(path) {
        None | Some(Value::Null) => return Err("is not in the auth state of this person"),
        Some(value @ (Value::Array(_) | Value::Object(_) | Value::Bool(_))) => value.to_string(),
        Some(value) => claim::text(value).ok_or("holds no text")?,
    };
    if text.contains('\0') {
        return Err("holds a zero byte");
    }
    if text.len() > MAX_BYTES {
        return Err("is longer than 64 KiB");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Result<EnvironmentFields, InvalidConfig> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        EnvironmentFields::new(pairs.iter().map(own).collect())
    }

    #[test]
    fn auth_state_fields_become_variables() {
        let Value::Object(state) = json!({
            "access_token": "gho_x",
            "github_user": { "login": "ada", "id": 7 },
            "scope": ["user"],
            "refresh_token": null,
            "nul": "a\u{0}b",
        }) else {
            panic!("an object")
        };
        let wanted = fields(&[
            ("GITHUB_TOKEN", "access_token"),
            ("LOGIN", "github_user.login"),
            ("ID", "github_user.id"),
            ("SCOPES", "scope"),
            ("REFRESH", "refresh_token"),
            ("NONE", "github_user.none"),
            ("NUL", "nul"),
        ])
        .unwrap();
        let (set, unset) = wanted.environment(&AuthState::new(state));
        let set: Vec<(&str, &str)> =
            set.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
        assert_eq!(
            set,
            [("GITHUB_TOKEN", "gho_x"), ("ID", "7"), ("LOGIN", "ada"), ("SCOPES", r#"["user"]"#)]
        );
        let unset: Vec<String> = unset.iter().map(ToString::to_string).collect();
        assert_eq!(
            unset,
            [
                "NONE is not set: github_user.none is not in the auth state of this person",
                "NUL is not set: nul holds a zero byte",
                "REFRESH is not set: refresh_token is not in the auth state of this person",
            ]
        );
    }

    #[test]
    fn variables_of_the_hub_and_the_system_are_refused() {
        for name in
            ["", "1A", "A-B", "A=B", "JUPYTERHUB_API_TOKEN", "LD_PRELOAD", "PATH", "JPY_X", "Ä"]
        {
            let error = fields(&[(name, "access_token")]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("spawn_env_from_auth_state.{name}: ")), "{error}");
        }
        assert!(fields(&[("A", " ")]).is_err());
        assert!(fields(&[]).unwrap().is_empty());
    }
}
