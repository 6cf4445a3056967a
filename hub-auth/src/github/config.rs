//! `[auth.github]`: which GitHub, and who we are there.

use std::{collections::BTreeSet, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{InvalidOrganization, Organization, api::ORGANIZATION_SCOPES};
use crate::{Egress, InvalidConfig, ProviderRules, outbound::exchange::Registration};

const GITHUB_URL: &str = "https://github.com/";
const GITHUB_API_URL: &str = "https://api.github.com";

/// Longest wait for one answer of GitHub.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Which GitHub to ask, and the OAuth App that this hub is registered as.
#[derive(Clone, Debug)]
pub struct GithubConfig {
    /// The id under which identities are stored, `github`. A hub that offers two
    /// GitHubs needs two.
    pub id: String,
    /// What the button and messages call it: `GitHub`.
    pub service: String,
    /// The OAuth App's client id.
    pub client_id: String,
    /// The OAuth App's client secret.
    pub client_secret: SecretString,
    /// Where GitHub sends the browser back to, exactly as registered.
    pub callback_url: Url,
    /// The site; `https://github.com` unless it is an Enterprise server.
    pub url: Url,
    /// Its REST API; derived from `url` if absent.
    pub api_url: Option<Url>,
    /// What to ask the person for; public data needs nothing, private membership
    /// `read:org`, private mail addresses `user:email`. GitHub Apps have no scopes.
    pub scope: Vec<String>,
    /// Further parameters of the authorize address, such as `allow_signup`.
    pub extra_authorize_params: Vec<(String, String)>,
    /// Organizations and teams to ask about, up to the first that the person is
    /// in; what it means is for [`ProviderRules::allowed_groups`]. Set both with
    /// [`ask_about`](Self::ask_about).
    pub allowed_organizations: Vec<Organization>,
    /// The same for [`ProviderRules::admin_groups`].
    pub admin_organizations: Vec<Organization>,
    /// Whether to read the person's teams (`populate_teams_in_auth_state`), which
    /// makes them groups. Needs `read:org`, or a GitHub App that may read members.
    pub teams: bool,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// How requests leave for the provider (`http_request_kwargs`).
    pub egress: Egress,
}

impl GithubConfig {
    /// An OAuth App on github.com that sees public data only.
    pub fn new(client_id: String, client_secret: SecretString, callback_url: Url) -> Self {
        Self {
            id: "github".to_owned(),
            service: "GitHub".to_owned(),
            client_id,
            client_secret,
            callback_url,
            url: GITHUB_URL.parse().expect("the constant is a URL"),
            api_url: None,
            scope: Vec::new(),
            extra_authorize_params: Vec::new(),
            allowed_organizations: Vec::new(),
            admin_organizations: Vec::new(),
            teams: false,
            timeout: TIMEOUT,
            egress: Egress::default(),
        }
    }

    /// The site that the variables `GITHUB_URL`, `GITHUB_HOST` and `GITHUB_HTTP`
    /// describe, in that order of precedence; github.com without them.
    ///
    /// A URL without scheme is taken as https, and `GITHUB_HTTP`, with any text,
    /// makes a *host* plain http, as in OAuthenticator.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] if the result is not the URL of a site.
    pub fn site_url(
        url: Option<&str>,
        host: Option<&str>,
        http: Option<&str>,
    ) -> Result<Url, InvalidConfig> {
        let set =
            |text: Option<&str>| text.map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let text = match (set(url), set(host)) {
            (Some(url), _) if url.contains("://") => url,
            (Some(url), _) => format!("https://{url}"),
            // People write the whole address here as well.
            (None, Some(host)) if host.contains("://") => host,
            (None, Some(host)) if set(http).is_some() => format!("http://{host}"),
            (None, Some(host)) => format!("https://{host}"),
            (None, None) => GITHUB_URL.to_owned(),
        };
        let url = text.parse().map_err(|error| {
            InvalidConfig::setting("url", format!("{text:?} is not a URL: {error}"))
        })?;
        check_site("url", &url)?;
        Ok(url)
    }

    /// Asks about every organization and team that `rules` name, and writes them
    /// there as the answers will have them, in lower case.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] for an entry that is neither, and for a scope in
    /// `allowed_scopes` that is not asked for: nobody could be let in by it.
    pub fn ask_about(&mut self, rules: &mut ProviderRules) -> Result<(), InvalidConfig> {
        if let Some(scope) = rules.allowed_scopes.iter().find(|one| !self.scope.contains(one)) {
            let reason = format!("{scope:?} is not among those in scope, so nobody can grant it");
            return Err(InvalidConfig::setting("allowed_scopes", reason));
        }
        let read = |key: &str, list: &BTreeSet<String>| -> Result<Vec<Organization>, _> {
            let entries = list.iter().map(|text| text.parse());
            entries
                .collect::<Result<_, InvalidOrganization>>()
                .map_err(|error| InvalidConfig::setting(key, error.to_string()))
        };
        let written = |list: &[Organization]| list.iter().map(ToString::to_string).collect();
        self.allowed_organizations = read("allowed_organizations", &rules.allowed_groups)?;
        self.admin_organizations = read("admin_organizations", &rules.admin_groups)?;
        rules.allowed_groups = written(&self.allowed_organizations);
        rules.admin_groups = written(&self.admin_organizations);
        Ok(())
    }

    /// What probably does not work as it is meant, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let opens = |scope: &String| ORGANIZATION_SCOPES.contains(&scope.as_str());
        if self.scope.iter().any(opens) {
            return Vec::new();
        }
        let lists = || self.allowed_organizations.iter().chain(&self.admin_organizations);
        let team = lists().find(|one| one.team().is_some());
        let mut warnings = Vec::new();
        if self.teams || team.is_some() {
            warnings.push(
                "teams are seen only with the scope read:org, or by a GitHub App that may read \
                 members"
                    .to_owned(),
            );
        } else if let Some(one) = lists().next() {
            warnings.push(format!(
                "without the scope read:org, or a GitHub App that may read members, only those \
                 are let in who show their membership of {one} to everybody"
            ));
        }
        warnings
    }

    /// Finds what could not work, so that it is found at start.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`], naming the key to change.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let present = |key: &str, value: &str| match value {
            "" => Err(InvalidConfig::setting(
                key,
                "is empty; GitHub shows it on the page of the OAuth App",
            )),
            padded if padded.trim() != padded => {
                Err(InvalidConfig::setting(key, "begins or ends with white space"))
            }
            _ => Ok(()),
        };
        if self.id.is_empty() || self.id.contains(':') {
            return Err(InvalidConfig::setting("id", "is empty or holds a colon"));
        }
        present("client_id", &self.client_id)?;
        present("client_secret", self.client_secret.expose_secret())?;
        check_site("url", &self.url)?;
        if let Some(api) = &self.api_url {
            check_site("api_url", api)?;
        }
        let callback = &self.callback_url;
        if !is_http(callback) || callback.fragment().is_some() {
            return Err(InvalidConfig::setting(
                "callback_url",
                format!("{:?} is not the http or https URL of a page", callback.as_str()),
            ));
        }
        if let Some(scope) = self.scope.iter().find(|s| s.is_empty() || s.contains([' ', ','])) {
            return Err(InvalidConfig::setting(
                "scope",
                format!("{scope:?} is not one scope; write each as a text of its own"),
            ));
        }
        if self.timeout.is_zero() {
            return Err(InvalidConfig::setting("timeout", "is zero, so no answer could arrive"));
        }
        Ok(())
    }

    /// The URL of a page of the site.
    pub(super) fn site(&self, path: &str) -> Url {
        below(&self.url, path)
    }

    /// Where the REST API begins, without a slash at the end.
    pub(super) fn api_base(&self) -> String {
        match &self.api_url {
            Some(url) => url.as_str().trim_end_matches('/').to_owned(),
            None => match self.url.host_str() {
                Some("github.com" | "www.github.com") => GITHUB_API_URL.to_owned(),
                // Enterprise Cloud with data residency.
                Some(host) if host.ends_with(".ghe.com") => format!("https://api.{host}"),
                _ => self.site("/api/v3").into(),
            },
        }
    }

    /// Whether any organization or team is asked about by name.
    pub(super) fn asks_about_organizations(&self) -> bool {
        !(self.allowed_organizations.is_empty() && self.admin_organizations.is_empty())
    }

    /// What the OAuth client needs to know.
    pub(super) fn registration(&self) -> Registration {
        Registration {
            client_id: self.client_id.clone(),
            client_secret: Some(self.client_secret.clone()),
            basic_auth: false,
            callback_url: self.callback_url.clone(),
            authorize_url: self.site("/login/oauth/authorize"),
            token_url: self.site("/login/oauth/access_token"),
            token_params: Vec::new(),
        }
    }

    /// Whether no request will be made over TLS, as with a stand-in on loopback.
    pub(super) fn is_plain_http(&self) -> bool {
        self.url.scheme() == "http" && self.api_base().starts_with("http://")
    }
}

/// `path` below `base`, which may end with a slash or not. Joining the two texts
/// as they are gave `//api/v3` elsewhere.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

fn check_site(key: &str, url: &Url) -> Result<(), InvalidConfig> {
    if !is_http(url) || url.query().is_some() || url.fragment().is_some() {
        let reason =
            format!("{:?} is not the address of a site, such as {GITHUB_URL}", url.as_str());
        return Err(InvalidConfig::setting(key, reason));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidConfig::setting(key, "holds a user name or password; take it out"));
    }
    Ok(())
}

fn is_http(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> GithubConfig {
        GithubConfig::new(
            "id".to_owned(),
            "secret".into(),
            "https://hub.test/hub/oauth_callback".parse().unwrap(),
        )
    }

    #[test]
    fn the_site_is_found_as_upstream_finds_it() {
        let rows = [
            (None, None, None, "https://github.com/"),
            (Some(""), Some(" "), Some("1"), "https://github.com/"),
            (Some("https://ghe.test/"), Some("other"), None, "https://ghe.test/"),
            (Some("ghe.test"), None, Some("1"), "https://ghe.test/"),
            (None, Some("ghe.test"), None, "https://ghe.test/"),
            (None, Some("ghe.test:8080"), Some("1"), "http://ghe.test:8080/"),
            (None, Some("ghe.test/"), None, "https://ghe.test/"),
            (None, Some("https://ghe.test/"), None, "https://ghe.test/"),
            (None, Some("http://ghe.test"), None, "http://ghe.test/"),
        ];
        for (url, host, http, expected) in rows {
            let site = GithubConfig::site_url(url, host, http).unwrap();
            assert_eq!(site.as_str(), expected, "{url:?} {host:?} {http:?}");
        }
        for url in ["ftp://ghe.test", "https://", "https://ghe.test/?x", "https://a:b@ghe.test"] {
            assert!(GithubConfig::site_url(Some(url), None, None).is_err(), "{url}");
        }
    }

    #[test]
    fn a_slash_at_the_end_is_never_doubled() {
        for (url, api) in [
            ("https://github.com", "https://api.github.com"),
            ("https://github.com/", "https://api.github.com"),
            ("https://ghe.test", "https://ghe.test/api/v3"),
            ("https://ghe.test/", "https://ghe.test/api/v3"),
            ("https://ghe.test/git//", "https://ghe.test/git/api/v3"),
            ("https://www.github.com/", "https://api.github.com"),
            ("https://octo.ghe.com/", "https://api.octo.ghe.com"),
        ] {
            let config = GithubConfig { url: url.parse().unwrap(), ..config() };
            assert_eq!(config.api_base(), api, "{url}");
            assert!(!config.site("/login").path().contains("//"), "{url}");
        }
        let api_url = Some("https://api.ghe.test/".parse().unwrap());
        assert_eq!(GithubConfig { api_url, ..config() }.api_base(), "https://api.ghe.test");
    }

    #[test]
    fn what_cannot_work_names_its_key() {
        assert!(config().check().is_ok());
        let rows = [
            ("id", GithubConfig { id: "a:b".to_owned(), ..config() }),
            ("client_id", GithubConfig { client_id: String::new(), ..config() }),
            ("client_secret", GithubConfig { client_secret: "x\n".into(), ..config() }),
            ("url", GithubConfig { url: "mailto:a@b".parse().unwrap(), ..config() }),
            ("api_url", GithubConfig { api_url: Some("file:///x".parse().unwrap()), ..config() }),
            ("callback_url", GithubConfig { callback_url: "data:x".parse().unwrap(), ..config() }),
            ("scope", GithubConfig { scope: vec!["read:org user".to_owned()], ..config() }),
            ("timeout", GithubConfig { timeout: Duration::ZERO, ..config() }),
        ];
        for (key, config) in rows {
            let error = config.check().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{key}: ")), "{error}");
        }
    }

    #[test]
    fn gh_2_what_the_rules_name_is_asked_about() {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        let mut rules = ProviderRules {
            allowed_groups: texts(&["Ada-Lab", "ada-lab:Core"]),
            admin_groups: texts(&["Owls"]),
            ..ProviderRules::default()
        };
        let mut config = config();
        config.ask_about(&mut rules).unwrap();
        assert_eq!(rules.allowed_groups, texts(&["ada-lab", "ada-lab:core"]));
        assert_eq!(rules.admin_groups, texts(&["owls"]));
        assert_eq!(config.allowed_organizations.len(), 2);
        assert_eq!(config.admin_organizations[0].organization(), "owls");

        let mut typo =
            ProviderRules { admin_groups: texts(&["a:b:c"]), ..ProviderRules::default() };
        let error = config.ask_about(&mut typo).unwrap_err().to_string();
        assert!(error.starts_with("admin_organizations: \"a:b:c\""), "{error}");
        let mut scope =
            ProviderRules { allowed_scopes: texts(&["user"]), ..ProviderRules::default() };
        let error = config.ask_about(&mut scope).unwrap_err().to_string();
        assert!(error.starts_with("allowed_scopes: \"user\""), "{error}");
    }

    #[test]
    fn organizations_without_their_scope_are_worth_a_warning() {
        let with = |entries: &[&str], scope: &[&str], teams: bool| {
            let config = GithubConfig {
                allowed_organizations: entries.iter().map(|text| text.parse().unwrap()).collect(),
                scope: scope.iter().map(|text| (*text).to_owned()).collect(),
                teams,
                ..config()
            };
            config.warnings().concat()
        };
        assert_eq!(with(&[], &[], false), "");
        assert_eq!(with(&["lab:core"], &["read:org"], true), "");
        assert!(with(&["lab"], &["user"], false).contains("membership of lab to everybody"));
        assert!(with(&["lab", "lab:core"], &[], false).contains("teams are seen only"));
        assert!(with(&[], &[], true).contains("teams are seen only"));
    }

    #[test]
    fn g1_the_secret_is_not_printed() {
        let config = GithubConfig { client_secret: "hunter2".into(), ..config() };
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
