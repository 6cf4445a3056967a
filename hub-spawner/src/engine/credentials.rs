//! Logins at registries: what an operator wrote, and what Docker's own tools keep
//! (SPN-15).

mod helper;

use std::{collections::BTreeMap, fmt, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bollard::auth::DockerCredentials;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::ImageReference;
use crate::InvalidConfig;

/// The registry of images without a host in their name, and how Docker's own tools
/// call it.
const DEFAULT_REGISTRY: &str = "docker.io";
const DEFAULT_REGISTRY_URL: &str = "https://index.docker.io/v1/";

/// A login at a registry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistryLogin {
    /// The user.
    pub username: String,
    /// The password, or a token that stands for it.
    pub password: SecretString,
}

/// Who we are to a registry. Has no text form.
#[derive(Clone)]
pub struct Credentials {
    shown: DockerCredentials,
}

/// As much of Docker's `config.json` as is about logins.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigFile {
    auths: BTreeMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(rename = "identitytoken")]
    identity_token: Option<String>,
}

impl Credentials {
    /// What is known for the registry of `image`: a login in `own`, else what
    /// `config.json` in `config_dir` holds or leads to. `None` if nothing is.
    ///
    /// # Errors
    ///
    /// The file if it cannot be read, the program if it does not answer.
    pub async fn find(
        image: &ImageReference,
        own: &BTreeMap<String, RegistryLogin>,
        config_dir: Option<&Path>,
    ) -> Result<Option<Self>, InvalidConfig> {
        let registry = registry(image.name());
        if let Some((_, login)) = own.iter().find(|(host, _)| host_of(host) == registry) {
            return Ok(Some(Self::of(registry, login)));
        }
        let Some(dir) = config_dir else { return Ok(None) };
        let path = dir.join("config.json");
        let text = match tokio::fs::read_to_string(&path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let reason = format!("{} cannot be read: {error}", path.display());
                return Err(InvalidConfig::new("config_dir", reason));
            }
        };
        let file: ConfigFile = serde_json::from_str(&text).map_err(|error| {
            InvalidConfig::new("config_dir", format!("{}: {error}", path.display()))
        })?;
        file.login(registry).await
    }

    pub(super) fn to_wire(&self) -> DockerCredentials {
        self.shown.clone()
    }

    fn of(registry: &str, login: &RegistryLogin) -> Self {
        let shown = DockerCredentials {
            username: Some(login.username.clone()),
            password: Some(login.password.expose_secret().to_owned()),
            serveraddress: Some(address(registry)),
            ..DockerCredentials::default()
        };
        Self { shown }
    }

    fn token(registry: &str, token: String) -> Self {
        let shown = DockerCredentials {
            identitytoken: Some(token),
            serveraddress: Some(address(registry)),
            ..DockerCredentials::default()
        };
        Self { shown }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.shown.serveraddress).finish()
    }
}

impl ConfigFile {
    async fn login(&self, registry: &str) -> Result<Option<Credentials>, InvalidConfig> {
        let of_host = |host: &&String| host_of(host) == registry;
        let helper = self.helpers.iter().find(|(host, _)| of_host(host)).map(|(_, name)| name);
        if let Some(name) = helper.or(self.store.as_ref()) {
            return Ok(helper::ask(name, &address(registry)).await?.map(|answer| {
                // The helpers' word for a token in place of a password.
                match answer.username.as_str() {
                    "<token>" => {
                        Credentials::token(registry, answer.password.expose_secret().to_owned())
                    }
                    _ => Credentials::of(registry, &answer),
                }
            }));
        }
        let found = self.auths.iter().find(|(host, _)| of_host(host));
        Ok(found.and_then(|(_, auth)| auth.login(registry)))
    }
}

impl Auth {
    fn login(&self, registry: &str) -> Option<Credentials> {
        if let Some(token) = self.identity_token.as_ref().filter(|token| !token.is_empty()) {
            return Some(Credentials::token(registry, token.clone()));
        }
        let decoded = self.auth.as_ref().and_then(|auth| STANDARD.decode(auth).ok());
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let (username, password) = match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some((user, password)) => (user.to_owned(), password.trim_end_matches('\0').to_owned()),
            None => (self.username.clone()?, self.password.clone()?),
        };
        Some(Credentials::of(registry, &RegistryLogin { username, password: password.into() }))
    }
}

/// The registry that an image's name begins with: the daemon's rule.
fn registry(name: &str) -> &str {
    match name.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        Some(_) | None => DEFAULT_REGISTRY,
    }
}

/// A registry as keys of `config.json` write it: with or without scheme and path.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    match rest.split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        host => host,
    }
}

fn address(registry: &str) -> String {
    match registry {
        DEFAULT_REGISTRY => DEFAULT_REGISTRY_URL.to_owned(),
        host => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(image: &str, own: &[(&str, &str)], config: &str) -> Option<DockerCredentials> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let own = own.iter().map(|(host, user)| {
            let login = RegistryLogin { username: (*user).to_owned(), password: "own".into() };
            ((*host).to_owned(), login)
        });
        let image = image.parse().unwrap();
        let found = Credentials::find(&image, &own.collect(), Some(dir.path())).await.unwrap();
        found.map(|found| found.to_wire())
    }

    const FILE: &str = r#"{"auths": {
        "https://index.docker.io/v1/": {"auth": "YWRhOmx1Y2s="},
        "r.example:5000": {"username": "bob", "password": "pw"},
        "token.example": {"identitytoken": "tok", "auth": "PHRva2VuPjo="},
        "empty.example": {}}, "HttpHeaders": {}}"#;

    #[tokio::test]
    async fn spn_15_a_login_is_found_by_the_registrys_host() {
        let rows = [
            ("lab:4", Some(("ada", "luck"))),
            ("library/lab", Some(("ada", "luck"))),
            ("docker.io/a/lab", Some(("ada", "luck"))),
            ("r.example:5000/a/lab", Some(("bob", "pw"))),
            ("r.example/lab", None),
            ("empty.example/lab", None),
        ];
        for (image, login) in rows {
            let found = find(image, &[], FILE).await;
            let found = found.map(|wire| (wire.username.unwrap(), wire.password.unwrap()));
            let found = found.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
            assert_eq!(found, login, "{image}");
        }
        let token = find("token.example/lab", &[], FILE).await.unwrap();
        assert_eq!((token.identitytoken.as_deref(), token.username), (Some("tok"), None));
    }

    #[tokio::test]
    async fn spn_15_the_operators_own_words_go_first() {
        let found = find("r.example:5000/lab", &[("https://r.example:5000", "eve")], FILE).await;
        assert_eq!(found.unwrap().username.as_deref(), Some("eve"));
        assert!(find("lab", &[], "{}").await.is_none());
        let nothing = Credentials::find(&"lab".parse().unwrap(), &BTreeMap::new(), None).await;
        assert!(nothing.unwrap().is_none());
    }

    #[tokio::test]
    async fn c11_credentials_are_not_printed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), FILE).unwrap();
        let image = "lab".parse().unwrap();
        let found = Credentials::find(&image, &BTreeMap::new(), Some(dir.path())).await.unwrap();
        assert!(!format!("{found:?}").contains("luck"));
    }

    #[tokio::test]
    async fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), "{").unwrap();
        let image = "lab".parse().unwrap();
        let error =
            Credentials::find(&image, &BTreeMap::new(), Some(dir.path())).await.unwrap_err();
        assert!(error.key == "config_dir" && error.reason.contains("config.json"), "{error}");
    }
}
