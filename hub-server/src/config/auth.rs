//! `[auth]`: how people sign in, and who is let in.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use hub_auth::{AccessPolicy, AccessRules, GithubConfig};
use hub_names::UserName;
use hub_spawner::Preset;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use crate::web::paths::Paths;

use super::{
    ConfigError, HttpConfig,
    dummy::RawDummy,
    http::http_url,
    key::{Key, Kind, Section},
    secret::read_secret,
    session::SessionConfig,
    userlist::{self, Listed},
};

/// Time to save one's work.
const DEFAULT_GRACE_SECONDS: u64 = 600;

pub(super) const SECTION: Section = Section {
    name: "auth",
    about: "Who is let in. Nobody named means nobody admitted.",
    keys: &[
        Key::new(
            "auth.userlist",
            Kind::File,
            "File with one user a line, as described above.",
        )
        .example("\"userlist\""),
        Key::new(
            "auth.userlist_mode",
            Kind::Choice(&["seed", "authoritative"]),
            "`seed`: the list adds people, and whoever is known stays. `authoritative`: who is on no list loses access and the rights of an administrator.",
        )
        .default("\"seed\""),
        Key::new(
            "auth.removed_user_grace_seconds",
            Kind::Integer("seconds"),
            "How long the servers of somebody who lost access go on. Their files stay.",
        )
        .default("600"),
        Key::new("auth.allowed_users", Kind::List, "People who are let in.")
            .default("[]")
            .example("[\"ada\"]"),
        Key::new("auth.admin_users", Kind::List, "People who are let in and made administrators.")
            .default("[]")
            .example("[\"grace\"]"),
        Key::new("auth.blocked_users", Kind::List, "People who are kept out, whatever else is said of them.")
            .default("[]"),
        Key::new(
            "auth.allow_all",
            Kind::Boolean,
            "Whether everybody is let in whom the provider knows.",
        )
        .default("false"),
        Key::new(
            "auth.allow_existing_users",
            Kind::Boolean,
            "Whether everybody is let in who has an account already. Default: yes, as soon as anybody is named.",
        )
        .example("true"),
        Key::new(
            "auth.auto_login",
            Kind::Boolean,
            "Whether people are sent on at once where the only way to sign in is another site, without a page with one button.",
        )
        .default("false"),
        Key::new(
            "auth.cookie_max_age_days",
            Kind::Integer("days"),
            "How long a sign-in lasts at most, 1 to 400.",
        )
        .default("14"),
        Key::new(
            "auth.session_idle_days",
            Kind::Integer("days"),
            "How long it lasts unused. Default: 7, or less where `cookie_max_age_days` is less.",
        )
        .example("7"),
        Key::new(
            "auth.token_expires_in_max_seconds",
            Kind::Integer("seconds"),
            "The longest life of a token that somebody makes, which is also that of tokens made without one. Without it, or with 0, tokens may be good for ever.",
        )
        .default("0"),
        Key::new("auth.username_map", Kind::Table, "Login name to account name.")
            .default("{}")
            .example("{ \"login\" = \"account\" }"),
        Key::new(
            "auth.extra_user_scopes",
            Kind::List,
            "Scopes that everybody has besides those over their own account and servers.",
        )
        .default("[]")
        .example("[\"access:services!service=grader\"]"),
    ],
};

pub(super) const GITHUB_SECTION: Section = Section {
    name: "auth.github",
    about: "Sign-in with GitHub, or GitHub Enterprise. GitHub shows id and secret under Settings, Developer settings, OAuth Apps.",
    keys: &[
        Key::new("auth.github.client_id", Kind::Text, "Client id of the OAuth application.")
            .example("\"Iv1.0123456789abcdef\""),
        Key::new(
            "auth.github.client_secret",
            Kind::Secret,
            "Client secret of the OAuth application.",
        ),
        Key::new(
            "auth.github.client_secret_file",
            Kind::File,
            "File that holds the client secret, instead of `client_secret`.",
        )
        .example("\"secrets/github\""),
        Key::new(
            "auth.github.callback_url",
            Kind::Url,
            "The URL registered with GitHub. Default: made from `http.public_url`.",
        )
        .example("\"https://hub.example.org/hub/oauth_callback\""),
        Key::new("auth.github.url", Kind::Url, "Address of a GitHub Enterprise server.")
            .example("\"https://github.example.org\""),
        Key::new(
            "auth.github.api_url",
            Kind::Url,
            "Address of its API, if it is not where GitHub has it.",
        )
        .example("\"https://github.example.org/api/v3\""),
        Key::new("auth.github.scope", Kind::List, "What the hub asks GitHub to be allowed.")
            .default("[]"),
        Key::new(
            "auth.github.timeout_seconds",
            Kind::Integer("seconds"),
            "How long a call to GitHub may take, 1 to 120.",
        )
        .example("20"),
    ],
};

pub(super) const PASSWORD_SECTION: Section = Section {
    name: "auth.password",
    about: "Sign-in with a name and a password, for accounts in this file.",
    keys: &[Key::new(
        "auth.password.accounts",
        Kind::Secrets,
        "Name to password hash; `hub-server hash-password` makes one.",
    )
    .default("{}")
    .example("{ demo = \"$argon2id$...\" }")],
};

/// Who may sign in, and how.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The rules of admission.
    pub policy: AccessPolicy,
    /// What it means that somebody is not on the user list.
    pub mode: UserlistMode,
    /// Whether people go on at once to the only site they can sign in at.
    pub auto_login: bool,
    /// How long the servers of somebody who lost access go on.
    pub removed_user_grace: Duration,
    /// How long a browser stays signed in.
    pub session: SessionConfig,
    /// What the user list says about people's servers.
    pub presets: BTreeMap<UserName, Preset>,
    /// Which groups the user list puts people into.
    pub groups: BTreeMap<String, Vec<UserName>>,
    /// What was left out of the user list, for the log.
    pub warnings: Vec<String>,
    /// Sign-in with GitHub.
    pub github: Option<GithubConfig>,
    /// Sign-in with a name and a password.
    pub password: Option<PasswordConfig>,
    /// One password for everybody, for trying out.
    pub dummy: Option<SecretString>,
}

/// What it means that somebody is not on the user list (USR-6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserlistMode {
    /// Nothing: the list adds people, and the hub keeps those it knows.
    #[default]
    Seed,
    /// They have no access any more, and are no administrators.
    Authoritative,
}

/// `[auth.password]`: accounts kept in the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordConfig {
    /// Name to password hash, in PHC format as `hub-server hash-password` prints.
    pub accounts: BTreeMap<UserName, String>,
}

impl std::fmt::Debug for PasswordConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.accounts.keys()).finish()
    }
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAuth {
    userlist: Option<PathBuf>,
    userlist_mode: UserlistMode,
    removed_user_grace_seconds: Option<u64>,
    cookie_max_age_days: Option<u16>,
    session_idle_days: Option<u16>,
    token_expires_in_max_seconds: Option<u64>,
    auto_login: bool,
    allow_all: bool,
    allow_existing_users: Option<bool>,
    allowed_users: Vec<String>,
    admin_users: Vec<String>,
    blocked_users: Vec<String>,
    username_map: BTreeMap<String, String>,
    extra_user_scopes: Vec<String>,
    github: Option<RawGithub>,
    password: Option<RawPassword>,
    dummy: Option<RawDummy>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawGithub {
    client_id: Option<String>,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    callback_url: Option<String>,
    url: Option<String>,
    api_url: Option<String>,
    scope: Vec<String>,
    timeout_seconds: Option<u64>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPassword {
    accounts: BTreeMap<String, String>,
}

impl RawAuth {
    /// What everybody may do besides what is theirs.
    pub(super) fn extra_user_scopes(&self) -> &[String] {
        &self.extra_user_scopes
    }

    /// A list that decides alone needs one, and no other rule beside it.
    fn mode(&self) -> Result<UserlistMode, ConfigError> {
        const KEY: &str = "auth.userlist_mode";
        let refuse = |message: &str| Err(ConfigError::value(KEY, message));
        match self.userlist_mode {
            UserlistMode::Seed => {}
            UserlistMode::Authoritative if self.userlist.is_none() => {
                return refuse("is authoritative, but auth.userlist names no file; name one");
            }
            UserlistMode::Authoritative if self.allow_all => {
                return refuse("is authoritative, which contradicts auth.allow_all; remove one");
            }
            UserlistMode::Authoritative if self.allow_existing_users == Some(true) => {
                return refuse(
                    "is authoritative, which contradicts auth.allow_existing_users; remove one",
                );
            }
            UserlistMode::Authoritative => {}
        }
        Ok(self.userlist_mode)
    }

    pub(super) fn check(
        self,
        dir: &Path,
        http: &HttpConfig,
        lenient: bool,
    ) -> Result<AuthConfig, ConfigError> {
        let Listed { entries, presets, groups, warnings } = match &self.userlist {
            Some(path) => userlist::read(&dir.join(path), lenient)?,
            None => Listed::default(),
        };
        let mode = self.mode()?;
        let allowed = names("auth.allowed_users", &self.allowed_users)?;
        let admins = names("auth.admin_users", &self.admin_users)?;

        let mut listed: BTreeMap<UserName, bool> =
            allowed.iter().map(|name| (name.clone(), false)).collect();
        for (name, admin) in entries {
            *listed.entry(name).or_default() |= admin;
        }
        for admin in &admins {
            listed.insert(admin.clone(), true);
        }

        let rules = AccessRules {
            allowed: listed.keys().cloned().collect(),
            admins: listed
                .iter()
                .filter(|(_, admin)| **admin)
                .map(|(name, _)| name.clone())
                .collect(),
            blocked: names("auth.blocked_users", &self.blocked_users)?,
            allow_all: self.allow_all,
            // People whom an administrator added at run time live in the database,
            // not in the file (USR-4, USR-8). Somebody has to be named first.
            allow_existing: mode == UserlistMode::Seed
                && self.allow_existing_users.unwrap_or(!listed.is_empty()),
            username_map: self.username_map,
            ..AccessRules::default()
        };
        rules.check().map_err(|error| ConfigError::value("auth", error.to_string()))?;
        Ok(AuthConfig {
            policy: AccessPolicy::new(rules),
            mode,
            auto_login: self.auto_login,
            removed_user_grace: Duration::from_secs(
                self.removed_user_grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS),
            ),
            session: SessionConfig::new(
                self.cookie_max_age_days,
                self.session_idle_days,
                self.token_expires_in_max_seconds,
            )?,
            presets,
            groups,
            warnings,
            github: self.github.map(|raw| raw.check(dir, http)).transpose()?,
            password: self.password.map(RawPassword::check).transpose()?,
            dummy: self.dummy.map(|raw| raw.check(http)).transpose()?,
        })
    }
}

impl RawGithub {
    fn check(self, dir: &Path, http: &HttpConfig) -> Result<GithubConfig, ConfigError> {
        let required = |value: Option<String>, key: &str, variable: &str| {
            value.filter(|text| !text.is_empty()).ok_or_else(|| {
                ConfigError::value(
                    format!("auth.github.{key}"),
                    format!("is missing; set it here or as {variable}. GitHub shows it under Settings, Developer settings, OAuth Apps"),
                )
            })
        };
        let secret = match (self.client_secret, self.client_secret_file) {
            (None, Some(file)) => {
                Some(read_secret("auth.github.client_secret_file", &dir.join(file))?)
            }
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "auth.github.client_secret",
                    "is set twice, here and by client_secret_file; remove one",
                ));
            }
            (secret, None) => secret,
        };
        let client_id = required(self.client_id, "client_id", "GITHUB_CLIENT_ID")?;
        let client_secret = required(secret, "client_secret", "GITHUB_CLIENT_SECRET")?;
        let mut config = GithubConfig::new(
            client_id,
            SecretString::from(client_secret),
            callback_url(self.callback_url.as_deref(), http)?,
        );
        if let Some(text) = self.url {
            config.url = http_url("auth.github.url", &text)?;
        }
        if let Some(text) = self.api_url {
            config.api_url = Some(http_url("auth.github.api_url", &text)?);
        }
        config.scope = self.scope;
        if let Some(seconds) = self.timeout_seconds {
            config.timeout = Duration::from_secs(seconds.clamp(1, 120));
        }
        Ok(config)
    }
}

/// The URL registered with GitHub: as configured, else made from the public URL.
/// Its path must be the one we serve, or every sign-in would end on a 404.
fn callback_url(configured: Option<&str>, http: &HttpConfig) -> Result<Url, ConfigError> {
    const KEY: &str = "auth.github.callback_url";
    let path = Paths::new(&http.base_url).oauth_callback();
    let Some(text) = configured.filter(|text| !text.is_empty()) else {
        let public = http.public_url.as_ref().ok_or_else(|| {
            ConfigError::value(
                KEY,
                format!("is missing; set it here, as OAUTH_CALLBACK_URL, or set http.public_url. It has the form https://HOST{path}"),
            )
        })?;
        return public
            .join(&path)
            .map_err(|error| ConfigError::value("http.public_url", error.to_string()));
    };
    let url = http_url(KEY, text)?;
    if url.path() != path || url.query().is_some() {
        return Err(ConfigError::value(
            KEY,
            format!("{text:?} does not lead to this hub; its path must be {path}"),
        ));
    }
    if url.scheme() == "http" && http.tls.is_some() {
        return Err(ConfigError::value(
            KEY,
            format!("{text:?} is http, but [http.tls] makes this hub https; write https"),
        ));
    }
    if let Some(public) = &http.public_url
        && public.origin() != url.origin()
    {
        return Err(ConfigError::value(
            KEY,
            format!(
                "{text:?} is not on http.public_url {:?}; the browser would come back without its state cookie",
                public.as_str()
            ),
        ));
    }
    Ok(url)
}

impl RawPassword {
    fn check(self) -> Result<PasswordConfig, ConfigError> {
        let mut accounts = BTreeMap::new();
        for (text, hash) in self.accounts {
            let key = format!("auth.password.accounts.{text}");
            let name: UserName = text
                .to_lowercase()
                .parse()
                .map_err(|error| ConfigError::value(&key, format!("not a user name: {error}")))?;
            if !hash.starts_with("$argon2id$") {
                return Err(ConfigError::value(
                    key,
                    "is not an argon2id hash; make one with `hub-server hash-password`",
                ));
            }
            if accounts.insert(name, hash).is_some() {
                return Err(ConfigError::value(
                    key,
                    "is there twice; upper and lower case are the same account",
                ));
            }
        }
        Ok(PasswordConfig { accounts })
    }
}

fn names(key: &str, texts: &[String]) -> Result<BTreeSet<UserName>, ConfigError> {
    texts
        .iter()
        .map(|text| {
            text.to_lowercase().parse().map_err(|error| {
                ConfigError::value(key, format!("{text:?} is not a user name: {error}"))
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(base_url: &str, public_url: Option<&str>) -> HttpConfig {
        HttpConfig {
            listen: super::super::ListenAddr::Ip(([127, 0, 0, 1], 8000).into()),
            redirect_listen: None,
            public_url: public_url.map(|url| url.parse().unwrap()),
            subdomains: None,
            base_url: base_url.to_owned(),
            tls: None,
            trusted_proxies: Vec::new(),
            shutdown_grace: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_callback_url_must_lead_to_this_hub() {
        let hub = http("/jupyter/", Some("https://hub.example.org"));
        let made = callback_url(None, &hub).unwrap();
        assert_eq!(made.as_str(), "https://hub.example.org/jupyter/hub/oauth_callback");
        assert!(
            callback_url(Some("https://hub.example.org/jupyter/hub/oauth_callback"), &hub).is_ok()
        );

        for (text, part) in [
            (
                "https://hub.example.org/hub/oauth_callback",
                "its path must be /jupyter/hub/oauth_callback",
            ),
            ("https://other.example.org/jupyter/hub/oauth_callback", "state cookie"),
            ("hub.example.org", "is not a URL"),
        ] {
            let error = callback_url(Some(text), &hub).unwrap_err().to_string();
            assert!(
                error.starts_with("auth.github.callback_url: ") && error.contains(part),
                "{error}"
            );
        }
    }
}
