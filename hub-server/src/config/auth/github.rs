//! `[auth.github]`: sign-in with GitHub.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_auth::{GithubConfig, ProviderRules};
use serde::Deserialize;

use super::{
    callback::callback_url,
    provider::{CLAIMS, RawClaims, RawRules, client_secret, in_section},
};
use crate::config::{
    ConfigError, HttpConfig,
    http::http_url,
    key::{Key, Kind, Section},
};

const NAME: &str = "auth.github";

pub(in crate::config) const SECTION: Section = Section {
    name: NAME,
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
        Key::new("auth.github.scope", Kind::List, "What the hub asks GitHub to be allowed: `read:org` for organizations and teams that do not show their members to everybody.")
            .default("[]"),
        Key::new(
            "auth.github.allowed_organizations",
            Kind::List,
            "Organizations, `org`, and teams, `org:team`, whose members are let in.",
        )
        .default("[]")
        .example("[\"ada-lab\", \"school:teachers\"]"),
        Key::new(
            "auth.github.admin_organizations",
            Kind::List,
            "Organizations and teams whose members are let in and are administrators as long as they are members.",
        )
        .default("[]")
        .example("[\"ada-lab:admins\"]"),
        Key::new(
            "auth.github.populate_teams",
            Kind::Boolean,
            "Whether the person's teams are read at each sign-in, as groups `org` and `org:team` for `auth.manage_groups`. Needs the scope `read:org`.",
        )
        .default("false"),
        Key::new("auth.github.allow_all", Kind::Boolean, "Whether everybody with an account there is let in; for an Enterprise server of one's own.")
            .default("false"),
        Key::new(
            "auth.github.allowed_scopes",
            Kind::List,
            "Whoever grants all of these is let in. They have to be among `scope`.",
        )
        .default("[]"),
        Key::new(
            "auth.github.required_claims",
            CLAIMS,
            "What GitHub has to say of everybody, whatever else lets them in: a field of `GET /user` and its good values.",
        )
        .default("{}")
        .example("{ two_factor_authentication = \"true\" }"),
        Key::new(
            "auth.github.admin_claims",
            CLAIMS,
            "What GitHub says of those who are let in and are administrators as long as it says so.",
        )
        .default("{}")
        .example("{ site_admin = \"true\" }"),
        Key::new(
            "auth.github.extra_authorize_params",
            Kind::Table,
            "Further parameters of the address that browsers are sent to.",
        )
        .default("{}")
        .example("{ allow_signup = \"false\" }"),
        Key::new(
            "auth.github.id",
            Kind::Text,
            "The name under which the hub keeps who people are at this GitHub. Whoever changes it locks everybody out of their accounts, which stay bound under the old name, until `hub users identities --rename OLD_ID NEW_ID` has moved them, with the hub stopped.",
        )
        .default("\"github\""),
        Key::new("auth.github.service", Kind::Text, "What the button calls it.")
            .default("\"GitHub\""),
        Key::new(
            "auth.github.timeout_seconds",
            Kind::Integer("seconds"),
            "How long a call to GitHub may take, 1 to 120.",
        )
        .example("20"),
    ],
};

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawGithub {
    client_id: Option<String>,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    pub(super) callback_url: Option<String>,
    url: Option<String>,
    api_url: Option<String>,
    scope: Vec<String>,
    allowed_organizations: Vec<String>,
    admin_organizations: Vec<String>,
    populate_teams: bool,
    allow_all: bool,
    allowed_scopes: Vec<String>,
    required_claims: RawClaims,
    admin_claims: RawClaims,
    extra_authorize_params: BTreeMap<String, String>,
    id: Option<String>,
    service: Option<String>,
    timeout_seconds: Option<u64>,
}

impl RawGithub {
    /// Whether nothing but the callback URL is set, as by `OAUTH_CALLBACK_URL` where
    /// people sign in elsewhere.
    pub(super) fn is_callback_only(&self) -> bool {
        self.client_id.is_none()
            && self.client_secret.is_none()
            && self.client_secret_file.is_none()
    }

    /// Which GitHub, and whom its word lets in.
    pub(super) fn check(
        self,
        dir: &Path,
        http: &HttpConfig,
    ) -> Result<(GithubConfig, ProviderRules), ConfigError> {
        let missing = |key: &str, variable: &str| {
            ConfigError::value(
                format!("{NAME}.{key}"),
                format!(
                    "is missing; set it here or as {variable}. GitHub shows it under Settings, Developer settings, OAuth Apps"
                ),
            )
        };
        let secret = client_secret(NAME, self.client_secret, self.client_secret_file, dir)?;
        let id = self.client_id.filter(|text| !text.is_empty());
        let mut config = GithubConfig::new(
            id.ok_or_else(|| missing("client_id", "GITHUB_CLIENT_ID"))?,
            secret.ok_or_else(|| missing("client_secret", "GITHUB_CLIENT_SECRET"))?,
            callback_url("auth.github.callback_url", self.callback_url.as_deref(), http)?,
        );
        if let Some(text) = self.url {
            config.url = http_url("auth.github.url", &text)?;
        }
        if let Some(text) = self.api_url {
            config.api_url = Some(http_url("auth.github.api_url", &text)?);
        }
        config.scope = self.scope;
        config.teams = self.populate_teams;
        config.extra_authorize_params = self.extra_authorize_params.into_iter().collect();
        config.id = self.id.unwrap_or(config.id);
        config.service = self.service.unwrap_or(config.service);
        if let Some(seconds) = self.timeout_seconds {
            config.timeout = Duration::from_secs(seconds.clamp(1, 120));
        }
        let rules = RawRules {
            allow_all: self.allow_all,
            allowed_groups: self.allowed_organizations,
            admin_groups: self.admin_organizations,
            allowed_scopes: self.allowed_scopes,
            required_claims: self.required_claims,
            admin_claims: self.admin_claims,
        };
        let mut rules = rules.check(NAME, ["allowed_organizations", "admin_organizations"])?;
        config.ask_about(&mut rules).map_err(|error| in_section(NAME, error))?;
        config.check().map_err(|error| in_section(NAME, error))?;
        Ok((config, rules))
    }
}
