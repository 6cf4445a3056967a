//! `[[services]]`: programs that work with the hub, with a token of their own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_auth::{ApiToken, Role, Roles, Scope};
use percent_encoding::percent_decode_str;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use url::Url;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
    secret::read_secret,
};

pub(super) const SECTION: Section = Section {
    name: "services",
    about: "Programs that work with the hub, with a token of their own. The section repeats, once for each.",
    keys: &[Key::new(
        "services",
        Kind::Sections,
        "`name`. \
         What it may do: `api_token` or `api_token_file`; `scopes`, or `admin = true` for everything an administrator may do. \
         Where it is: `url`, which the hub serves below `/services/NAME/`; `timeout`, how long its first answer may take (30 seconds); `display = false` to leave it out of the home page; `info`, a table of whatever you keep about it. \
         Run by the hub: `command`, a list of words, with `environment`, `cwd` and `user`; a token is made if there is none. \
         As sign-in client: `oauth_client_id` (`service-NAME`), `oauth_redirect_uri` (`/services/NAME/oauth_callback`), `oauth_client_allowed_scopes`, `oauth_no_confirm = true` to ask nobody for consent.",
    )
    .default("[]")
    .example("[{ name = \"culler\", api_token_file = \"secrets/culler\", scopes = [\"list:users\", \"read:users:activity\", \"read:servers\", \"delete:servers\"] }]")],
};

/// Shortest token accepted from a configuration, as in JupyterHub.
const MIN_TOKEN_LEN: usize = 8;
/// How the ids of all OAuth clients begin that are services.
const CLIENT_PREFIX: &str = "service-";
/// How long a service's first answer may take, unless it is said.
const TIMEOUT_SECONDS: u64 = 30;

/// One service.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The service's name.
    pub name: String,
    /// Whether it may do what an administrator may.
    pub admin: bool,
    /// Its token, if one was given.
    pub api_token: Option<ApiToken>,
    /// What the token may do; for an administrator, everything that is.
    pub scopes: Vec<Scope>,
    /// Where it listens, without a path.
    pub url: Option<Url>,
    /// How long its first answer may take.
    pub timeout: Duration,
    /// Whether the home page shows it.
    pub display: bool,
    /// Whatever is kept about it.
    pub info: Map<String, Json>,
    /// The program that the hub runs; empty if somebody else does.
    pub command: Vec<String>,
    /// Variables of the program.
    pub environment: BTreeMap<String, SecretString>,
    /// The program's working directory.
    pub cwd: Option<PathBuf>,
    /// The user the program runs as.
    pub user: Option<String>,
    /// By what it introduces itself as OAuth client.
    pub oauth_client_id: String,
    /// Where visitors are sent back to, if not to the usual place.
    pub oauth_redirect_uri: Option<String>,
    /// What visitors may be asked for.
    pub oauth_client_allowed_scopes: Vec<Scope>,
    /// Whether visitors are not asked.
    pub oauth_no_confirm: bool,
}

impl ServiceConfig {
    /// Whether the hub runs it.
    pub fn is_managed(&self) -> bool {
        !self.command.is_empty()
    }

    /// Whether visitors can sign in to it with the hub, given a token.
    pub fn is_oauth_client(&self) -> bool {
        self.url.is_some() || self.oauth_redirect_uri.is_some()
    }

    /// Refuses a name, a client id or a token that another service has.
    pub(crate) fn is_new_among<'a>(
        &self,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> Result<(), ConfigError> {
        let at = |key: &str| format!("services.{}.{key}", self.name);
        for other in others {
            if other.name == self.name {
                return Err(ConfigError::value(
                    format!("services.{}", self.name),
                    "is there twice; give the services different names",
                ));
            }
            if other.oauth_client_id == self.oauth_client_id {
                return Err(ConfigError::value(
                    at("oauth_client_id"),
                    format!("is also that of the service {}; leave it out", other.name),
                ));
            }
            let hash = |service: &Self| service.api_token.as_ref().map(ApiToken::hash);
            if self.api_token.is_some() && hash(other) == hash(self) {
                return Err(ConfigError::value(
                    at("api_token"),
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

/// Where a service is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Described {
    /// In the configuration, where a token that is missing is a slip.
    InFile,
    /// In a request, whose sender may do without.
    ByRequest,
}

/// A service as it is written. Its token is never written back.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceSpec {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) admin: bool,
    #[serde(default, skip_serializing)]
    pub(crate) api_token: Option<String>,
    #[serde(default, skip_serializing)]
    pub(crate) api_token_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) url: Option<String>,
    #[serde(default)]
    pub(crate) timeout: Option<u64>,
    #[serde(default)]
    pub(crate) display: Option<bool>,
    #[serde(default)]
    pub(crate) info: Map<String, Json>,
    #[serde(default)]
    pub(crate) command: Vec<String>,
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) cwd: Option<PathBuf>,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) oauth_client_id: Option<String>,
    #[serde(default)]
    pub(crate) oauth_redirect_uri: Option<String>,
    #[serde(default)]
    pub(crate) oauth_client_allowed_scopes: Vec<String>,
    #[serde(default)]
    pub(crate) oauth_no_confirm: bool,
}

/// The service that `hub_api.operator_token` makes.
const OPERATOR: &str = "operator";

impl ServiceSpec {
    /// Whoever operates the hub, with the tool `hub`.
    pub(super) fn operator(token: String) -> Self {
        Self {
            name: OPERATOR.to_owned(),
            api_token: Some(token),
            admin: true,
            display: Some(false),
            ..Self::default()
        }
    }

    /// Reads the values. Relative paths are below `dir`; without `roles` there is an
    /// error already, and only the form of scopes counts.
    pub(crate) fn check(
        self,
        described: Described,
        dir: &Path,
        roles: Option<&Roles>,
    ) -> Result<ServiceConfig, ConfigError> {
        check_name(&self.name)?;
        let mut errors = Vec::new();
        self.check_command(&mut errors);
        self.check_oauth(&mut errors);
        let api_token =
            self.token(described, dir).map_err(|error| errors.push(error)).ok().flatten();
        let url = self.url.as_deref().map(|text| service_url(&self.at("url"), text));
        let url = url.transpose().map_err(|error| errors.push(error)).ok().flatten();
        let mut scopes = self.scopes_of("scopes", &self.scopes, roles, &mut errors);
        let allowed = &self.oauth_client_allowed_scopes;
        let allowed = self.scopes_of("oauth_client_allowed_scopes", allowed, roles, &mut errors);
        let timeout = self.timeout.unwrap_or(TIMEOUT_SECONDS);
        if !(1..=86_400).contains(&timeout) {
            errors.push(self.wrong("timeout", "is out of range; use 1 to 86400"));
        }
        ConfigError::none_of(errors)?;
        // As in JupyterHub: `admin` is the role of that name.
        if self.admin {
            scopes.extend(Role::Admin.scopes());
        }
        let client_id =
            self.oauth_client_id.unwrap_or_else(|| format!("{CLIENT_PREFIX}{}", self.name));
        Ok(ServiceConfig {
            name: self.name,
            admin: self.admin,
            api_token,
            scopes,
            url,
            timeout: Duration::from_secs(timeout),
            display: self.display.unwrap_or(true),
            info: self.info,
            command: self.command,
            environment: self
                .environment
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            cwd: self.cwd.map(|path| dir.join(path)),
            user: self.user,
            oauth_client_id: client_id,
            oauth_redirect_uri: self.oauth_redirect_uri,
            oauth_client_allowed_scopes: allowed,
            oauth_no_confirm: self.oauth_no_confirm,
        })
    }

    fn at(&self, key: &str) -> String {
        format!("services.{}.{key}", self.name)
    }

    fn wrong(&self, key: &str, message: impl Into<String>) -> ConfigError {
        ConfigError::value(self.at(key), message)
    }

    /// The token, if there is one. Without, only a service can be that the hub runs,
    /// which makes one, or that is merely shown.
    fn token(&self, described: Described, dir: &Path) -> Result<Option<ApiToken>, ConfigError> {
        let token = match (&self.api_token, &self.api_token_file) {
            (Some(token), None) => token.clone(),
            (None, Some(file)) => read_secret(&self.at("api_token_file"), &dir.join(file))?,
            (Some(_), Some(_)) => {
                return Err(
                    self.wrong("api_token", "is set twice, here and by api_token_file; remove one")
                );
            }
            (None, None) if !self.command.is_empty() => return Ok(None),
            (None, None) if self.url.is_some() && self.needs_no_token() => return Ok(None),
            (None, None) if described == Described::ByRequest => return Ok(None),
            (None, None) => {
                return Err(
                    self.wrong("api_token", "is missing; make one with `openssl rand -hex 32`")
                );
            }
        };
        if token.len() < MIN_TOKEN_LEN {
            return Err(self.wrong(
                "api_token",
                format!(
                    "is shorter than {MIN_TOKEN_LEN} characters; make one with `openssl rand -hex 32`"
                ),
            ));
        }
        match ApiToken::from_text(&token) {
            Some(token) => Ok(Some(token)),
            None => Err(self.wrong("api_token", "is longer than 128 characters")),
        }
    }

    /// Whether nothing is said that only a token makes use of.
    fn needs_no_token(&self) -> bool {
        self.scopes.is_empty() && !self.admin && !self.is_explicit_client()
    }

    /// Whether anything is said about it as OAuth client.
    fn is_explicit_client(&self) -> bool {
        self.oauth_client_id.is_some()
            || self.oauth_redirect_uri.is_some()
            || self.oauth_no_confirm
            || !self.oauth_client_allowed_scopes.is_empty()
    }

    fn check_command(&self, errors: &mut Vec<ConfigError>) {
        let bad = |word: &String| word.contains('\0');
        if self.command.iter().any(bad) || self.command.first().is_some_and(String::is_empty) {
            errors.push(
                self.wrong("command", "is no program and its arguments; write a list of words"),
            );
        }
        let names = self.environment.iter();
        for (name, _) in names.filter(|(name, value)| {
            name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
        }) {
            errors.push(
                self.wrong("environment", format!("{name:?} cannot be the name of a variable")),
            );
        }
        if self.command.is_empty() {
            for (key, is_set) in [
                ("environment", !self.environment.is_empty()),
                ("cwd", self.cwd.is_some()),
                ("user", self.user.is_some()),
            ] {
                if is_set {
                    errors.push(self.wrong(key, "has no effect without command"));
                }
            }
        }
    }

    fn check_oauth(&self, errors: &mut Vec<ConfigError>) {
        if let Some(id) = &self.oauth_client_id
            && id.strip_prefix(CLIENT_PREFIX).is_none_or(str::is_empty)
        {
            errors.push(
                self.wrong("oauth_client_id", format!("{id:?} does not begin with service-")),
            );
        }
        match &self.oauth_redirect_uri {
            Some(uri) if !is_redirect_uri(uri) => errors.push(self.wrong(
                "oauth_redirect_uri",
                format!("{uri:?} is neither a path nor an address; write the whole URL"),
            )),
            None if self.url.is_none() && self.is_explicit_client() => errors.push(self.wrong(
                "oauth_redirect_uri",
                "is missing; without url there is no usual place to send visitors to",
            )),
            Some(_) | None => {}
        }
    }

    fn scopes_of(
        &self,
        key: &str,
        texts: &[String],
        roles: Option<&Roles>,
        errors: &mut Vec<ConfigError>,
    ) -> Vec<Scope> {
        let read = |text: &String| match roles {
            Some(roles) => roles.scope(text),
            None => text.parse(),
        };
        let mut scopes = Vec::new();
        for text in texts {
            match read(text) {
                Ok(scope) => scopes.push(scope),
                Err(error) => errors.push(self.wrong(key, error.to_string())),
            }
        }
        scopes
    }
}

/// JupyterHub's rule: one segment of a path, written the same encoded or not.
fn check_name(name: &str) -> Result<(), ConfigError> {
    let wrong = name.contains(['/', '\\'])
        || name.chars().all(|c| c == '.')
        || name.trim() != name
        || name.chars().any(char::is_control)
        || percent_decode_str(name).ne(name.bytes());
    if !wrong {
        return Ok(());
    }
    Err(ConfigError::value(
        "services.name",
        format!(
            "{name:?} is not a service name; it may not be empty, padded, only dots, or contain `/` or a percent escape"
        ),
    ))
}

/// The address of a service, without a path: what visitors ask for is asked of the
/// service as it is.
fn service_url(key: &str, text: &str) -> Result<Url, ConfigError> {
    let wrong = || {
        ConfigError::value(
            key,
            format!(
                "{text:?} is not the address of a service; write http://HOST:PORT, or https://HOST:PORT with a certificate that this machine trusts"
            ),
        )
    };
    let mut url = Url::parse(text).map_err(|_| wrong())?;
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    // The same rules as the proxy's.
    hub_proxy::Target::try_from(url.clone()).map_err(|_| wrong())?;
    Ok(url)
}

fn is_redirect_uri(uri: &str) -> bool {
    if uri.contains('#') {
        return false;
    }
    let is_path = uri.starts_with('/') && !uri.starts_with("//");
    is_path || Url::parse(uri).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests;
