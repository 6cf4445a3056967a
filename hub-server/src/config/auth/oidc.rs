//! `[auth.oidc]`: sign-in with an OpenID Connect provider, or a plain OAuth 2 one.

mod section;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use hub_auth::{
    InvalidConfig, OidcConfig, OidcPreset, ProviderRules,
    oidc::{Endpoints, ProviderAddress, UserinfoUse},
};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub(in crate::config) use self::section::SECTION;
use super::{
    callback::callback_url,
    provider::{RawClaims, RawRules, client_secret, in_section},
};
use crate::config::{ConfigError, HttpConfig, http::http_url};

const NAME: &str = "auth.oidc";

/// Where gitlab.com is.
const GITLAB: &str = "https://gitlab.com";

/// `[auth.oidc]`: which provider, and what is done besides signing in with it.
#[derive(Clone, Debug)]
pub struct OidcSignIn {
    /// Which provider, and who we are there.
    pub provider: OidcConfig,
    /// Whether whoever signs out of the hub is signed out there as well.
    pub sign_out: bool,
}

/// Providers that the hub knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Preset {
    Google,
    Entra,
    Gitlab,
    Keycloak,
}

/// When to ask for the user info.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Userinfo {
    #[default]
    WhenNeeded,
    Always,
    Never,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawOidc {
    preset: Option<Preset>,
    hosted_domains: Vec<String>,
    tenant: Option<String>,
    site: Option<String>,
    realm: Option<String>,
    issuer: Option<String>,
    authorize_url: Option<String>,
    token_url: Option<String>,
    userdata_url: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    client_secret_file: Option<PathBuf>,
    basic_auth: bool,
    callback_url: Option<String>,
    scope: Option<Vec<String>>,
    extra_authorize_params: BTreeMap<String, String>,
    token_params: BTreeMap<String, String>,
    userdata_params: BTreeMap<String, String>,
    subject_claim: Option<String>,
    username_claim: Option<String>,
    strip_domains: Option<Vec<String>>,
    display_name_claim: Option<String>,
    groups_claims: Option<Vec<String>>,
    userinfo: Option<Userinfo>,
    allow_all: bool,
    allowed_groups: Vec<String>,
    admin_groups: Vec<String>,
    allowed_scopes: Vec<String>,
    required_claims: RawClaims,
    admin_claims: RawClaims,
    sign_out: bool,
    id: Option<String>,
    service: Option<String>,
    clock_skew_seconds: Option<u64>,
    timeout_seconds: Option<u64>,
}

/// Who we are at the provider.
struct Client {
    id: String,
    secret: Option<SecretString>,
    callback: Url,
}

impl RawOidc {
    /// Which provider, and whom its word lets in. `shared` is the callback URL of all
    /// providers, if somebody set one.
    pub(super) fn check(
        mut self,
        dir: &Path,
        http: &HttpConfig,
        shared: Option<&str>,
    ) -> Result<(OidcSignIn, ProviderRules), ConfigError> {
        let client_id = self.client_id.take().filter(|text| !text.is_empty());
        let client = Client {
            id: client_id.ok_or_else(|| {
                refuse("client_id", "is missing; the provider tells it when it registers the hub")
            })?,
            secret: client_secret(
                NAME,
                self.client_secret.take(),
                self.client_secret_file.take(),
                dir,
            )?,
            callback: callback_url(
                "auth.oidc.callback_url",
                self.callback_url.as_deref().or(shared),
                http,
            )?,
        };
        let OidcPreset { config, rules: preset } = self.base(client)?;
        let raw = RawRules {
            allow_all: self.allow_all,
            allowed_groups: std::mem::take(&mut self.allowed_groups),
            admin_groups: std::mem::take(&mut self.admin_groups),
            allowed_scopes: std::mem::take(&mut self.allowed_scopes),
            required_claims: std::mem::take(&mut self.required_claims),
            admin_claims: std::mem::take(&mut self.admin_claims),
        };
        let mut rules = raw.check(NAME, ["allowed_groups", "admin_groups"])?;
        // What a preset requires is not weakened by what is written besides.
        rules.required_claims.extend(preset.required_claims);
        let sign_out = self.sign_out;
        let mut provider = self.changed(config)?;
        let deciding = rules.required_claims.keys().chain(rules.admin_claims.keys());
        provider.deciding_claims = deciding.cloned().collect();
        provider.check().map_err(refused)?;
        consistent(&provider, &rules)?;
        Ok((OidcSignIn { provider, sign_out }, rules))
    }

    /// What the preset says, or the addresses.
    fn base(&self, client: Client) -> Result<OidcPreset, ConfigError> {
        self.only_what_fits()?;
        let Client { id, secret, callback } = client;
        let no_secret = secret.is_none();
        // Presets are for clients with a secret; it is taken out again below.
        let given = secret.unwrap_or_default();
        let mut base = match self.preset {
            Some(Preset::Google) => {
                let domains: Vec<&str> = self.hosted_domains.iter().map(String::as_str).collect();
                OidcPreset::google(id, given, callback, &domains)
            }
            Some(Preset::Entra) => {
                let tenant = required(self.tenant.as_deref(), "tenant")?;
                OidcPreset::microsoft(id, given, callback, tenant)
                    .map_err(|error| in_section(NAME, error))?
            }
            Some(Preset::Gitlab) => {
                let site = http_url("auth.oidc.site", self.site.as_deref().unwrap_or(GITLAB))?;
                OidcPreset::gitlab(id, given, callback, &site)
            }
            Some(Preset::Keycloak) => {
                let site = http_url("auth.oidc.site", required(self.site.as_deref(), "site")?)?;
                let realm = required(self.realm.as_deref(), "realm")?;
                OidcPreset::keycloak(id, given, callback, &site, realm)
            }
            None => {
                let issuer = self.issuer.clone().unwrap_or_default();
                let mut config = OidcConfig::new(issuer, id, given, callback);
                if let Some(endpoints) = self.endpoints()? {
                    config.address = ProviderAddress::Endpoints(Box::new(endpoints));
                    config.scope = Vec::new();
                }
                OidcPreset { config, rules: ProviderRules::default() }
            }
        };
        if no_secret {
            base.config.client_secret = None;
        }
        Ok(base)
    }

    /// Keys of one preset mean nothing with another, and a provider is at one place.
    fn only_what_fits(&self) -> Result<(), ConfigError> {
        let preset = self.preset;
        let of_preset = [
            ("hosted_domains", !self.hosted_domains.is_empty(), preset == Some(Preset::Google)),
            ("tenant", self.tenant.is_some(), preset == Some(Preset::Entra)),
            (
                "site",
                self.site.is_some(),
                matches!(preset, Some(Preset::Gitlab | Preset::Keycloak)),
            ),
            ("realm", self.realm.is_some(), preset == Some(Preset::Keycloak)),
            ("issuer", self.issuer.is_some(), preset.is_none()),
            ("authorize_url", self.authorize_url.is_some(), preset.is_none()),
            ("token_url", self.token_url.is_some(), preset.is_none()),
            ("userdata_url", self.userdata_url.is_some(), preset.is_none()),
        ];
        if let Some((key, ..)) = of_preset.into_iter().find(|(_, set, fits)| *set && !fits) {
            return Err(refuse(key, "does not go with auth.oidc.preset; remove one"));
        }
        let has_urls = [&self.authorize_url, &self.token_url, &self.userdata_url]
            .into_iter()
            .any(Option::is_some);
        match (preset, &self.issuer, has_urls) {
            (None, None, false) => Err(refuse(
                "issuer",
                "is missing; write the provider's address, or choose a preset (google, entra, gitlab, keycloak)",
            )),
            (None, Some(_), true) => Err(refuse(
                "issuer",
                "tells all addresses; remove it, or authorize_url, token_url and userdata_url",
            )),
            _ => Ok(()),
        }
    }

    /// The addresses of a plain OAuth 2 provider, all or none.
    fn endpoints(&self) -> Result<Option<Endpoints>, ConfigError> {
        if self.issuer.is_some() {
            return Ok(None);
        }
        let url = |key: &str, text: &Option<String>| {
            http_url(&format!("{NAME}.{key}"), required(text.as_deref(), key)?)
        };
        Ok(Some(Endpoints {
            authorize: url("authorize_url", &self.authorize_url)?,
            token: url("token_url", &self.token_url)?,
            userinfo: url("userdata_url", &self.userdata_url)?,
        }))
    }

    /// `config` with what is written besides.
    fn changed(self, mut config: OidcConfig) -> Result<OidcConfig, ConfigError> {
        fn set<T>(field: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *field = value;
            }
        }
        set(&mut config.id, self.id);
        set(&mut config.service, self.service);
        set(&mut config.scope, self.scope);
        let claims = &mut config.claims;
        set(&mut claims.subject, self.subject_claim);
        set(&mut claims.username, self.username_claim);
        set(&mut claims.strip_domains, self.strip_domains);
        set(&mut claims.display_name, self.display_name_claim);
        set(&mut claims.groups, self.groups_claims);
        if claims.groups.iter().any(|path| path.trim().is_empty()) {
            return Err(refuse("groups_claims", "has an empty entry; take it out"));
        }
        config.basic_auth = self.basic_auth;
        config
            .extra_authorize_params
            .retain(|(name, _)| !self.extra_authorize_params.contains_key(name));
        config.extra_authorize_params.extend(self.extra_authorize_params);
        config.token_params.extend(self.token_params);
        config.userinfo_params.extend(self.userdata_params);
        set(
            &mut config.userinfo,
            self.userinfo.map(|wanted| match wanted {
                Userinfo::WhenNeeded => UserinfoUse::WhenNeeded,
                Userinfo::Always => UserinfoUse::Always,
                Userinfo::Never => UserinfoUse::Never,
            }),
        );
        set(&mut config.clock_skew, self.clock_skew_seconds.map(Duration::from_secs));
        if let Some(seconds) = self.timeout_seconds {
            config.timeout = Duration::from_secs(seconds.clamp(1, 120));
        }
        Ok(config)
    }
}

/// Rules that the provider's answers could never fulfil.
fn consistent(provider: &OidcConfig, rules: &ProviderRules) -> Result<(), ConfigError> {
    if let Some(scope) = rules.allowed_scopes.iter().find(|one| !provider.scope.contains(one)) {
        return Err(refuse(
            "allowed_scopes",
            &format!("{scope:?} is not among those in scope, so nobody can grant it"),
        ));
    }
    let names_groups = !(rules.allowed_groups.is_empty() && rules.admin_groups.is_empty());
    if names_groups && provider.claims.groups.is_empty() {
        return Err(refuse(
            "groups_claims",
            "is missing, and allowed_groups or admin_groups need it; name the claim that holds a person's groups, such as [\"groups\"]",
        ));
    }
    Ok(())
}

fn required<'a>(value: Option<&'a str>, key: &str) -> Result<&'a str, ConfigError> {
    value.filter(|text| !text.trim().is_empty()).ok_or_else(|| refuse(key, "is missing"))
}

/// An error of the library, whose names for some keys are those of JupyterHub.
fn refused(error: InvalidConfig) -> ConfigError {
    match error {
        InvalidConfig::Setting { key, reason } => {
            let key = match key.as_str() {
                "userdata_from_id_token" => "userinfo",
                "clock_skew" => "clock_skew_seconds",
                other => other,
            };
            refuse(key, &reason)
        }
        other => in_section(NAME, other),
    }
}

fn refuse(key: &str, reason: &str) -> ConfigError {
    ConfigError::value(format!("{NAME}.{key}"), reason)
}

#[cfg(test)]
mod tests;
