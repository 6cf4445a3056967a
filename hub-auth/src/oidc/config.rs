//! Which provider, who we are there, and what its claims mean.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;

use crate::{Egress, InvalidConfig, claim};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How far the provider's clock may be from ours.
const SKEW: Duration = Duration::from_secs(60);

/// The largest difference of clocks that makes sense.
const MOST_SKEW: Duration = Duration::from_secs(600);

/// An OpenID Connect provider, or a plain OAuth 2 one, and what it tells.
#[derive(Clone, Debug)]
pub struct OidcConfig {
    /// The id under which identities are stored, without a colon: `oidc`. Changing
    /// it makes everybody a new person.
    pub id: String,
    /// What the button and messages call the provider (`login_service`).
    pub service: String,
    /// Where the provider is.
    pub address: ProviderAddress,
    /// The id that the provider gave this hub.
    pub client_id: String,
    /// The secret that goes with it; `None` for a public client.
    pub client_secret: Option<SecretString>,
    /// Whether id and secret travel in a header instead of the body.
    pub basic_auth: bool,
    /// Where the provider sends the browser back to, exactly as registered.
    pub callback_url: Url,
    /// What to ask for; `openid` has to be among it unless the provider is plain
    /// OAuth 2.
    pub scope: Vec<String>,
    /// Further parameters of the authorize address, such as `hd` or `prompt`.
    pub extra_authorize_params: Vec<(String, String)>,
    /// Further parameters of the token request, such as `audience`.
    pub token_params: Vec<(String, String)>,
    /// Further parameters of the user info's address, such as `fields`
    /// (`userdata_params`).
    pub userinfo_params: Vec<(String, String)>,
    /// What the claims mean.
    pub claims: ClaimPaths,
    /// Paths of further claims that decide about somebody, such as those of
    /// [`ProviderRules::admin_claims`](crate::ProviderRules::admin_claims). Where an ID
    /// token has one of them or a group, asking again takes a new ID token. Not so those
    /// about the sign-in itself (`acr`, `amr`, `auth_time`), which stay as they were.
    pub deciding_claims: Vec<String>,
    /// When to ask for the user info.
    pub userinfo: UserinfoUse,
    /// How far the provider's clock may be from ours; at most 10 minutes.
    pub clock_skew: Duration,
    /// Longest wait for one answer; a whole sign-in takes at most three times this.
    pub timeout: Duration,
    /// How requests leave for the provider (`http_request_kwargs`).
    pub egress: Egress,
}

/// Where a provider is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderAddress {
    /// Its issuer identifier, exactly as in its tokens, such as
    /// `https://accounts.google.com`. All addresses are read from
    /// `{issuer}/.well-known/openid-configuration`.
    Issuer(String),
    /// A plain OAuth 2 provider, which has no ID tokens: the user info alone tells
    /// who somebody is (`authorize_url`, `token_url`, `userdata_url`).
    Endpoints(Box<Endpoints>),
}

/// The addresses of a plain OAuth 2 provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Where the browser is sent.
    pub authorize: Url,
    /// Where codes are exchanged.
    pub token: Url,
    /// What tells about the owner of a token, as a JSON object.
    pub userinfo: Url,
}

/// Where in the claims something is: dotted paths, such as `realm_access.roles`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPaths {
    /// The immutable id of the person: `sub`.
    pub subject: String,
    /// The login name (`username_claim`). `email` is taken only if the provider
    /// says that it is verified. Where people may choose what is here, let in nobody
    /// by name: whoever comes first as one of the list would get that account.
    pub username: String,
    /// Domains that are cut off the login name: of `ada@example.org` remains `ada`.
    /// Only safe if nobody of another domain can sign in, or stays whole.
    pub strip_domains: Vec<String>,
    /// The name for display.
    pub display_name: String,
    /// Groups (`auth_state_groups_key`): a list, or a text with blanks or commas.
    /// Several are put together.
    pub groups: Vec<String>,
}

/// When to ask for the user info.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserinfoUse {
    /// If the ID token lacks the login name or groups.
    #[default]
    WhenNeeded,
    /// At each sign-in.
    Always,
    /// Never (`userdata_from_id_token`).
    Never,
}

/// Claims about the sign-in itself, which the ID token of a refresh need not have
/// (OpenID Connect Core sections 2 and 12.2).
pub(super) const ABOUT_THE_SIGN_IN: [&str; 3] = ["acr", "amr", "auth_time"];

impl OidcConfig {
    /// A confidential client of the provider with this issuer, with the scopes
    /// `openid`, `profile` and `email`.
    pub fn new(
        issuer: impl Into<String>,
        client_id: impl Into<String>,
        client_secret: SecretString,
        callback_url: Url,
    ) -> Self {
        Self {
            id: "oidc".to_owned(),
            service: "OpenID Connect".to_owned(),
            address: ProviderAddress::Issuer(issuer.into()),
            client_id: client_id.into(),
            client_secret: Some(client_secret),
            basic_auth: false,
            callback_url,
            scope: ["openid", "profile", "email"].map(str::to_owned).into(),
            extra_authorize_params: Vec::new(),
            token_params: Vec::new(),
            userinfo_params: Vec::new(),
            claims: ClaimPaths::default(),
            deciding_claims: Vec::new(),
            userinfo: UserinfoUse::default(),
            clock_skew: SKEW,
            timeout: TIMEOUT,
            egress: Egress::default(),
        }
    }

    /// Finds what could not work, so that it is found at start.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`], naming the key to change.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let refuse = |key: &str, reason: &str| Err(InvalidConfig::setting(key, reason));
        let secret = self.client_secret.as_ref().map(|secret| secret.expose_secret());
        if self.id.is_empty() || self.id.contains(':') {
            return refuse("id", "is empty or holds a colon");
        }
        if self.client_id.is_empty() || self.client_id.trim() != self.client_id {
            return refuse("client_id", "is empty, or begins or ends with white space");
        }
        if secret.is_some_and(|secret| secret.is_empty() || secret.trim() != secret) {
            return refuse("client_secret", "is empty, or begins or ends with white space");
        }
        if secret.is_none() && self.basic_auth {
            return refuse("basic_auth", "needs a client secret");
        }
        if !is_page(&self.callback_url) {
            return refuse("callback_url", "is not the http or https URL of a page");
        }
        match &self.address {
            ProviderAddress::Issuer(issuer) => {
                let url = Url::parse(issuer).ok().filter(is_page);
                if url.is_none_or(|url| url.query().is_some()) {
                    return refuse(
                        "issuer",
                        "is not the address of a provider, such as https://id.example.org",
                    );
                }
                if !self.scope.iter().any(|scope| scope == "openid") {
                    return refuse("scope", "lacks openid, so there would be no ID token");
                }
            }
            ProviderAddress::Endpoints(endpoints) => {
                let Endpoints { authorize, token, userinfo } = &**endpoints;
                let urls = [
                    ("authorize_url", authorize),
                    ("token_url", token),
                    ("userdata_url", userinfo),
                ];
                if let Some((key, _)) = urls.into_iter().find(|(_, url)| !is_page(url)) {
                    return refuse(key, "is not an http or https URL");
                }
                if self.userinfo == UserinfoUse::Never {
                    return refuse(
                        "userdata_from_id_token",
                        "needs an issuer; without one only the user info tells who somebody is",
                    );
                }
            }
        }
        if self.scope.iter().any(|scope| scope.is_empty() || scope.contains([' ', ','])) {
            return refuse("scope", "has an entry that is not one scope; write each by itself");
        }
        let paths =
            [("subject_claim", &self.claims.subject), ("username_claim", &self.claims.username)];
        if let Some((key, _)) = paths.into_iter().find(|(_, path)| path.trim().is_empty()) {
            return refuse(key, "is empty");
        }
        if self.clock_skew > MOST_SKEW {
            return refuse("clock_skew", "is more than 10 minutes; set the clocks instead");
        }
        if self.timeout.is_zero() {
            return refuse("timeout", "is zero, so no answer could arrive");
        }
        Ok(())
    }

    /// Whether the claim of this name, or something in it, decides about somebody and may
    /// be another one later. How somebody signed in stays as it was.
    pub(super) fn decides(&self, name: &str) -> bool {
        if ABOUT_THE_SIGN_IN.contains(&name) {
            return false;
        }
        let mut paths = self.claims.groups.iter().chain(&self.deciding_claims);
        paths.any(|path| {
            let rest = path.strip_prefix(name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }

    /// Whether the provider's first address is plain http, as with a stand-in on
    /// loopback.
    pub(super) fn is_plain_http(&self) -> bool {
        match &self.address {
            ProviderAddress::Issuer(issuer) => issuer.starts_with("http://"),
            ProviderAddress::Endpoints(endpoints) => endpoints.token.scheme() == "http",
        }
    }
}

impl Default for ClaimPaths {
    fn default() -> Self {
        Self {
            subject: "sub".to_owned(),
            username: "preferred_username".to_owned(),
            strip_domains: Vec::new(),
            display_name: "name".to_owned(),
            groups: Vec::new(),
        }
    }
}

impl ClaimPaths {
    /// Whether `claims` hold all that decides about somebody.
    pub(super) fn are_all_in(&self, claims: &Map<String, Value>) -> bool {
        let mut needed = [&self.subject, &self.username].into_iter().chain(&self.groups);
        needed.all(|path| claim::at(claims, path).is_some())
    }
}

fn is_page(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host() && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> OidcConfig {
        let callback = "https://hub.test/hub/oauth_callback".parse().unwrap();
        OidcConfig::new("https://id.test", "hub", "secret".into(), callback)
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        assert!(config().check().is_ok());
        let url = |text: &str| text.parse::<Url>().unwrap();
        let plain = || {
            ProviderAddress::Endpoints(Box::new(Endpoints {
                authorize: url("https://a.test"),
                token: url("https://a.test/token"),
                userinfo: url("https://a.test/user"),
            }))
        };
        let issuer = |text: &str| ProviderAddress::Issuer(text.to_owned());
        assert!(OidcConfig { address: plain(), scope: vec![], ..config() }.check().is_ok());
        let nameless = ClaimPaths { username: String::new(), ..ClaimPaths::default() };
        let rows = [
            ("id", OidcConfig { id: "a:b".to_owned(), ..config() }),
            ("client_id", OidcConfig { client_id: " x".to_owned(), ..config() }),
            ("client_secret", OidcConfig { client_secret: Some("".into()), ..config() }),
            ("basic_auth", OidcConfig { client_secret: None, basic_auth: true, ..config() }),
            ("callback_url", OidcConfig { callback_url: url("data:x"), ..config() }),
            ("issuer", OidcConfig { address: issuer("id.test"), ..config() }),
            ("issuer", OidcConfig { address: issuer("https://id.test/?a=b"), ..config() }),
            ("scope", OidcConfig { scope: vec!["profile".to_owned()], ..config() }),
            ("scope", OidcConfig { scope: vec!["openid profile".to_owned()], ..config() }),
            ("username_claim", OidcConfig { claims: nameless, ..config() }),
            ("clock_skew", OidcConfig { clock_skew: Duration::from_secs(601), ..config() }),
            ("timeout", OidcConfig { timeout: Duration::ZERO, ..config() }),
            (
                "userdata_from_id_token",
                OidcConfig { address: plain(), userinfo: UserinfoUse::Never, ..config() },
            ),
        ];
        for (key, config) in rows {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{error}");
        }
    }

    #[test]
    fn g1_the_secret_is_not_printed() {
        let config = OidcConfig { client_secret: Some("hunter2".into()), ..config() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
