//! `[[services]]`: programs with a token of their own.

use std::path::{Path, PathBuf};

use hub_auth::{ApiToken, Role, Roles, Scope};
use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
    secret::read_secret,
};

pub(super) const SECTION: Section = Section {
    name: "services",
    about: "Programs with a token of their own. The section repeats, once for each.",
    keys: &[Key::new(
        "services",
        Kind::Sections,
        "`name`; `api_token` or `api_token_file`; `scopes`, or `admin = true` for everything an administrator may do.",
    )
    .default("[]")
    .example("[{ name = \"culler\", api_token_file = \"secrets/culler\", scopes = [\"list:users\", \"read:users:activity\", \"read:servers\", \"delete:servers\"] }]")],
};

/// Shortest token accepted from a configuration, as in JupyterHub.
const MIN_TOKEN_LEN: usize = 8;

/// One service and what its token may do.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The service's name.
    pub name: String,
    /// Its token.
    pub api_token: ApiToken,
    /// What the token may do.
    pub scopes: Vec<Scope>,
}

impl ServiceConfig {
    /// Refuses a name or a token that another service has.
    pub(super) fn is_new_among(&self, others: &[Self]) -> Result<(), ConfigError> {
        for other in others {
            if other.name == self.name {
                return Err(ConfigError::value(
                    format!("services.{}", self.name),
                    "is there twice; give the services different names",
                ));
            }
            if other.api_token.hash() == self.api_token.hash() {
                return Err(ConfigError::value(
                    format!("services.{}.api_token", self.name),
                    format!(
                        "is also the token of the service {}; each needs one of its own",
                        other.name
                    ),
                ));
            }
        }
        Ok(())
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    name: String,
    #[serde(default)]
    api_token: Option<String>,
    #[serde(default)]
    api_token_file: Option<PathBuf>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    admin: bool,
}

/// The service that `hub_api.operator_token` makes.
const OPERATOR: &str = "operator";

impl RawService {
    /// Whoever operates the hub, with the tool `hub`.
    pub(super) fn operator(token: String) -> Self {
        let api_token = Some(token);
        let (api_token_file, scopes) = (None, Vec::new());
        Self { name: OPERATOR.to_owned(), api_token, api_token_file, scopes, admin: true }
    }

    pub(super) fn check(
        self,
        dir: &Path,
        roles: Option<&Roles>,
    ) -> Result<ServiceConfig, ConfigError> {
        let at = |key: &str| format!("services.{}.{key}", self.name);
        if self.name.is_empty() || self.name.contains('/') || self.name.trim() != self.name {
            return Err(ConfigError::value(
                "services.name",
                format!(
                    "{:?} is not a service name; it may not be empty, padded or contain `/`",
                    self.name
                ),
            ));
        }
        let token = match (&self.api_token, &self.api_token_file) {
            (Some(token), None) => token.clone(),
            (None, Some(file)) => read_secret(&at("api_token_file"), &dir.join(file))?,
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    at("api_token"),
                    "is set twice, here and by api_token_file; remove one",
                ));
            }
            (None, None) => {
                return Err(ConfigError::value(
                    at("api_token"),
                    "is missing; make one with `openssl rand -hex 32`",
                ));
            }
        };
        if token.len() < MIN_TOKEN_LEN {
            return Err(ConfigError::value(
                at("api_token"),
                format!(
                    "is shorter than {MIN_TOKEN_LEN} characters; make one with `openssl rand -hex 32`"
                ),
            ));
        }
        let api_token = ApiToken::from_text(&token)
            .ok_or_else(|| ConfigError::value(at("api_token"), "is longer than 128 characters"))?;
        let mut scopes: Vec<Scope> = self
            .scopes
            .iter()
            .map(|text| {
                // Without roles there is an error already; only the form counts then.
                let scope = match roles {
                    Some(roles) => roles.scope(text),
                    None => text.parse(),
                };
                scope.map_err(|error| ConfigError::value(at("scopes"), error.to_string()))
            })
            .collect::<Result<_, _>>()?;
        // As in JupyterHub: `admin` is the role of that name.
        if self.admin {
            scopes.extend(Role::Admin.scopes());
        }
        Ok(ServiceConfig { name: self.name, api_token, scopes })
    }
}
