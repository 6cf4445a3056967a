//! `[auth]`: how people sign in, and who is let in.

mod callback;
mod github;
mod oidc;
mod outbound;
mod provider;
mod state;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use hub_auth::{AccessPolicy, AccessRules, Egress, GithubConfig, IdentityKey, ProviderRules};
use hub_names::UserName;
use hub_spawner::Preset;
use secrecy::SecretString;
use serde::Deserialize;

use self::{
    github::RawGithub, oidc::RawOidc, outbound::RawOutbound, provider::in_section,
    state::RawAuthState,
};
pub(super) use self::{
    github::SECTION as GITHUB_SECTION, oidc::SECTION as OIDC_SECTION,
    outbound::SECTION as OUTBOUND_SECTION,
};
pub use self::{
    oidc::OidcSignIn,
    state::{AuthStateConfig, HostIds},
};
use super::{
    ConfigError, HttpConfig,
    dummy::RawDummy,
    key::{Key, Kind, Section},
    local::{self, LocalConfig, RawLocal},
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
            "Whether everybody is let in who has an account already. Default: yes, as soon as anybody is named; no where groups, scopes or claims of a provider let people in, so that whoever leaves a group is kept out.",
        )
        .example("true"),
        Key::new(
            "auth.auto_login",
            Kind::Boolean,
            "Whether people are sent on at once where the only way to sign in is another site, without a page with one button.",
        )
        .default("false"),
        Key::new(
            "auth.auto_login_oauth2_authorize",
            Kind::Boolean,
            "The same, only for people whom a notebook server or a service sends to the hub.",
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
        Key::new(
            "auth.tokens_per_user",
            Kind::Integer("tokens"),
            "How many tokens somebody has at most that they or others have made for them; 0 for any number. Of the tokens that somebody's browsers hold for one server or service, which are not counted here, the newest 100 are kept.",
        )
        .default("100"),
        Key::new(
            "auth.tokens_per_minute",
            Kind::Integer("tokens"),
            "How many tokens are made for somebody within a minute; 0 for any number.",
        )
        .default("30"),
        Key::new("auth.username_map", Kind::Table, "Login name to account name.")
            .default("{}")
            .example("{ \"login\" = \"account\" }"),
        Key::new(
            "auth.username_pattern",
            Kind::Text,
            "A regular expression that the whole account name has to match.",
        )
        .example("\"[a-z][a-z0-9-]*\""),
        Key::new(
            "auth.delete_invalid_users",
            Kind::Boolean,
            "Whether the hub, when it starts, deletes accounts whose names are none that somebody could get by these rules, as when an administrator deletes them: servers are stopped, and `spawner.docker.on_user_delete` says what becomes of volumes. Accounts with the hub itself stay, and so do people whom the configuration names. Otherwise the log tells of them.",
        )
        .default("false")
        .restart(),
        Key::new(
            "auth.identity_key",
            Kind::Choice(&["id", "login"]),
            "What an account belongs to. `id`: the provider's unchangeable number for a person, so that who takes a login name that was given up does not get the account. `login`: whoever has the name has the account, as in JupyterHub.",
        )
        .default("\"id\""),
        Key::new(
            "auth.manage_groups",
            Kind::Boolean,
            "Whether the provider's groups replace those of the account at each sign-in. Groups cannot be changed over the REST API then.",
        )
        .default("false"),
        Key::new(
            "auth.enable_auth_state",
            Kind::Boolean,
            "Whether what a provider hands over at a sign-in is kept, sealed: its tokens, and what it tells of the person. Needs `crypt_key`.",
        )
        .default("false"),
        Key::new(
            "auth.crypt_key",
            Kind::Secret,
            "Keys that seal it, separated by `;`: the first seals, all open. `openssl rand -hex 32` makes one.",
        ),
        Key::new(
            "auth.auth_refresh_age_seconds",
            Kind::Integer("seconds"),
            "How old the provider's word may become before it is asked again, when the person does something in a browser; 0 for never. Only with `enable_auth_state`.",
        )
        .default("300"),
        Key::new(
            "auth.auth_grace_seconds",
            Kind::Integer("seconds"),
            "How long the provider's last word holds when it cannot be asked.",
        )
        .default("3600"),
        Key::new(
            "auth.refresh_pre_spawn",
            Kind::Boolean,
            "Whether the provider is asked before a server starts, however new its word is, so that the server gets tokens that are good. Default: yes, with `enable_auth_state`.",
        )
        .example("false"),
        Key::new(
            "auth.auth_refresh_strict",
            Kind::Boolean,
            "Whether API tokens, too, are worth nothing while their owner would have to sign in again, and nobody else can start that person's server. Only with `enable_auth_state`.",
        )
        .default("false"),
        Key::new(
            "auth.spawn_env_from_auth_state",
            Kind::Table,
            "Variable of a server to what it gets of what is kept: a dotted path.",
        )
        .default("{}")
        .example("{ GITHUB_TOKEN = \"access_token\", GITHUB_LOGIN = \"github_user.login\" }"),
        Key::new(
            "auth.host_ids_from_auth_state",
            Kind::Shape("table of `uid` and `gid`"),
            "Where servers run as accounts of the host (`spawner.docker.system_users`): dotted paths in what is kept that lead to a person's numbers there. They go before those of the user list.",
        )
        .default("{}")
        .example("{ uid = \"oauth_user.uidNumber\", gid = \"oauth_user.gidNumber\" }"),
        Key::new(
            "auth.extra_user_scopes",
            Kind::List,
            "Scopes that everybody has besides those over their own account and servers.",
        )
        .default("[]")
        .example("[\"access:services!service=grader\"]"),
    ],
};

pub(super) const PASSWORD_SECTION: Section = Section {
    name: "auth.password",
    about: "Sign-in with a name and a password, for accounts in this file.",
    keys: &[
        Key::new(
            "auth.password.accounts",
            Kind::Secrets,
            "Name to password hash; `hub-server hash-password` makes one.",
        )
        .default("{}")
        .example("{ demo = \"$argon2id$...\" }"),
        Key::new(
            "auth.password.allow_all",
            Kind::Boolean,
            "Whether everybody is let in who has an account here.",
        )
        .default("false"),
    ],
};

/// The id of signing in with an account of the configuration.
const PASSWORD: &str = "password";

/// Who may sign in, and how.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// The rules of admission.
    pub policy: AccessPolicy,
    /// What it means that somebody is not on the user list.
    pub mode: UserlistMode,
    /// Whether people go on at once to the only site they can sign in at.
    pub auto_login: bool,
    /// Whether those do whom a notebook server or a service sends here.
    pub auto_login_of_clients: bool,
    /// Whether accounts that nobody could get any more are deleted at the hub's start.
    pub delete_invalid_users: bool,
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
    /// What is kept of people's sign-ins; `None` for nothing.
    pub state: Option<AuthStateConfig>,
    /// Sign-in with GitHub.
    pub github: Option<GithubConfig>,
    /// Sign-in with an OpenID Connect provider.
    pub oidc: Option<OidcSignIn>,
    /// Sign-in with a name and a password.
    pub password: Option<PasswordConfig>,
    /// Accounts with the hub itself.
    pub local: Option<LocalConfig>,
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
    tokens_per_user: Option<u64>,
    tokens_per_minute: Option<u64>,
    auto_login: bool,
    auto_login_oauth2_authorize: bool,
    allow_all: bool,
    allow_existing_users: Option<bool>,
    allowed_users: Vec<String>,
    admin_users: Vec<String>,
    blocked_users: Vec<String>,
    username_map: BTreeMap<String, String>,
    username_pattern: Option<String>,
    delete_invalid_users: bool,
    identity_key: RawIdentityKey,
    manage_groups: bool,
    enable_auth_state: bool,
    crypt_key: Option<SecretString>,
    auth_refresh_age_seconds: Option<u64>,
    auth_grace_seconds: Option<u64>,
    refresh_pre_spawn: Option<bool>,
    auth_refresh_strict: bool,
    spawn_env_from_auth_state: BTreeMap<String, String>,
    host_ids_from_auth_state: HostIds,
    extra_user_scopes: Vec<String>,
    github: Option<RawGithub>,
    oidc: Option<RawOidc>,
    outbound: RawOutbound,
    password: Option<RawPassword>,
    local: Option<RawLocal>,
    dummy: Option<RawDummy>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawIdentityKey {
    #[default]
    Id,
    Login,
}

/// Other sites to sign in at, and what their word is good for.
struct Sites {
    github: Option<GithubConfig>,
    oidc: Option<OidcSignIn>,
    rules: BTreeMap<String, ProviderRules>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawPassword {
    accounts: BTreeMap<String, String>,
    allow_all: bool,
}

impl RawAuth {
    /// What everybody may do besides what is theirs.
    pub(super) fn extra_user_scopes(&self) -> &[String] {
        &self.extra_user_scopes
    }

    /// A list that decides alone needs one, and no other rule beside it.
    fn mode(&self, sites: &Sites) -> Result<UserlistMode, ConfigError> {
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
            UserlistMode::Authoritative => {
                if let Some(id) = sites.lets_in() {
                    return refuse(&format!(
                        "is authoritative, which contradicts the groups, scopes, claims or allow_all that let in people of {id}; remove one"
                    ));
                }
            }
        }
        Ok(self.userlist_mode)
    }

    /// The providers, each under a name of its own.
    fn sites(&mut self, dir: &Path, http: &HttpConfig) -> Result<Sites, ConfigError> {
        let github = self.github.take();
        let shared = github.as_ref().and_then(|github| github.callback_url.clone());
        let oidc =
            self.oidc.take().map(|raw| raw.check(dir, http, shared.as_deref())).transpose()?;
        let github = github.filter(|github| !(oidc.is_some() && github.is_callback_only()));
        let github = github.map(|raw| raw.check(dir, http)).transpose()?;
        let mut sites = Sites { github: None, oidc: None, rules: BTreeMap::new() };
        let outbound = std::mem::take(&mut self.outbound);
        // Who reaches no provider is not told about variables that others read.
        let egress = match (&github, &oidc) {
            (None, None) => Egress::default(),
            _ => outbound.check(dir)?,
        };
        if let Some((mut config, rules)) = github {
            config.egress = egress.clone();
            sites.add("auth.github.id", &config.id, rules)?;
            sites.github = Some(config);
        }
        if let Some((mut config, rules)) = oidc {
            config.provider.egress = egress;
            sites.add("auth.oidc.id", &config.provider.id, rules)?;
            sites.oidc = Some(config);
        }
        if self.password.as_ref().is_some_and(|password| password.allow_all) {
            let rules = ProviderRules { allow_all: true, ..ProviderRules::default() };
            sites.rules.insert(PASSWORD.to_owned(), rules);
        }
        Ok(sites)
    }

    pub(super) fn check(
        mut self,
        dir: &Path,
        http: &HttpConfig,
        lenient: bool,
    ) -> Result<AuthConfig, ConfigError> {
        let sites = self.sites(dir, http)?;
        let Listed { entries, presets, groups, mut warnings } = match &self.userlist {
            Some(path) => userlist::read(&dir.join(path), lenient)?,
            None => Listed::default(),
        };
        let mode = self.mode(&sites)?;
        if self.local.is_some() && self.password.is_some() {
            return Err(ConfigError::value(
                "auth.local",
                "and [auth.password] both ask for a name and a password, and nobody could tell which; keep one",
            ));
        }
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

        let mut providers = sites.rules.clone();
        if self.local.is_some() {
            providers.extend([local::admission(mode == UserlistMode::Authoritative)]);
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
            // Whoever left a group has an account still, and is to be kept out.
            allow_existing: mode == UserlistMode::Seed
                && self
                    .allow_existing_users
                    .unwrap_or(!listed.is_empty() && sites.lets_in().is_none()),
            username_map: self.username_map,
            providers,
            username_pattern: self.username_pattern,
            manage_groups: self.manage_groups,
            identity_key: match self.identity_key {
                RawIdentityKey::Id => IdentityKey::Id,
                RawIdentityKey::Login => IdentityKey::Login,
            },
        };
        rules.check().map_err(|error| in_section("auth", error))?;
        let state = RawAuthState {
            enabled: self.enable_auth_state,
            crypt_key: self.crypt_key,
            refresh_age_seconds: self.auth_refresh_age_seconds,
            grace_seconds: self.auth_grace_seconds,
            refresh_pre_spawn: self.refresh_pre_spawn,
            refresh_strict: self.auth_refresh_strict,
            spawn_env: self.spawn_env_from_auth_state,
            host_ids: self.host_ids_from_auth_state,
        };
        warnings.extend(rules.warnings().into_iter().map(|warning| format!("auth: {warning}")));
        let of_github = sites.github.iter().flat_map(GithubConfig::warnings);
        warnings.extend(of_github.map(|warning| format!("auth.github: {warning}")));
        if rules.manage_groups && sites.github.as_ref().is_some_and(|github| !github.teams) {
            warnings.push("auth.manage_groups: at GitHub only the list of teams tells all groups of somebody; set auth.github.populate_teams, or nobody's groups are changed by a sign-in there".to_owned());
        }
        Ok(AuthConfig {
            policy: AccessPolicy::new(rules),
            mode,
            auto_login: self.auto_login,
            auto_login_of_clients: self.auto_login_oauth2_authorize,
            delete_invalid_users: self.delete_invalid_users,
            removed_user_grace: Duration::from_secs(
                self.removed_user_grace_seconds.unwrap_or(DEFAULT_GRACE_SECONDS),
            ),
            session: SessionConfig::new(
                self.cookie_max_age_days,
                self.session_idle_days,
                self.token_expires_in_max_seconds,
            )?
            .with_token_limits(self.tokens_per_user, self.tokens_per_minute),
            presets,
            groups,
            warnings,
            state: state.check()?,
            github: sites.github,
            oidc: sites.oidc,
            password: self.password.map(RawPassword::check).transpose()?,
            local: self.local.map(RawLocal::check).transpose()?,
            dummy: self.dummy.map(|raw| raw.check(http)).transpose()?,
        })
    }
}

impl Sites {
    fn add(&mut self, key: &str, id: &str, rules: ProviderRules) -> Result<(), ConfigError> {
        // Those of the hub's own ways of signing in, and of the sites before this one.
        if [PASSWORD, "local", "dummy"].contains(&id) || self.rules.contains_key(id) {
            let reason = format!("{id:?} is the name of another way of signing in; choose one");
            return Err(ConfigError::value(key, reason));
        }
        self.rules.insert(id.to_owned(), rules);
        Ok(())
    }

    /// A site whose word alone lets people in.
    fn lets_in(&self) -> Option<&str> {
        self.rules.iter().find(|(_, rules)| rules.lets_in()).map(|(id, _)| id.as_str())
    }
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
mod tests;
