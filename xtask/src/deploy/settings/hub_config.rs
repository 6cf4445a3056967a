//! What an operator says about the hub itself, as far as a deployment has to
//! know it: keys of `hub.toml`, and variables that set them.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Problem;
use crate::{deploy::variables::Variables, workspace::shown};

/// Keys that the deployment decides by what it makes, and what to use instead.
const DECIDED: [(&str, &str); 12] = [
    ("http.listen", "HUB_HTTPS_PORT and HUB_BIND_IP say where the hub is published"),
    ("http.redirect_listen", "HUB_HTTP_PORT says where plain HTTP is published"),
    ("http.tls", "SSL_CERT and SSL_KEY name the certificate"),
    ("http.acme", "ACME_DOMAINS and ACME_AGREE_TOS have the proxy obtain a certificate"),
    ("http.trusted_proxies", "HUB_TRUSTED_PROXIES names what is in front of the deployment"),
    ("hub_api.listen", "the deployment has an address of its own for the hub's API"),
    ("hub_api.url", "the deployment has an address of its own for the hub's API"),
    ("proxy", "the deployment brings its proxy"),
    ("store.data_dir", "DATA_VOLUME_CONTAINER names the place of the data volume"),
    ("spawner.docker.host", "the hub uses the engine that it runs at"),
    ("spawner.docker.network", "DOCKER_NETWORK_NAME names the servers' network"),
    ("spawner.docker.deployment", "HUB_DEPLOY_NAME names the deployment"),
];

/// `hub.toml`, as far as it can be read: what is wrong with it is the hub's to
/// tell.
#[derive(Clone, Debug, Default)]
pub(in crate::deploy) struct HubConfig {
    pub(in crate::deploy) file: Option<PathBuf>,
    table: Table,
}

impl HubConfig {
    pub(super) fn read(file: Option<PathBuf>) -> Self {
        let text = file.as_ref().and_then(|path| std::fs::read_to_string(path).ok());
        let table = text.and_then(|text| text.parse().ok()).unwrap_or_default();
        Self { file, table }
    }

    /// What the file itself says of a key, as text.
    pub(in crate::deploy) fn text(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }

    /// The tables of a section that repeats.
    pub(in crate::deploy) fn sections(&self, name: &str) -> impl Iterator<Item = &Table> {
        let all = self.table.get(name).and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_table)
    }

    /// The directory that relative paths in it are below.
    pub(super) fn dir(&self) -> Option<&Path> {
        self.file.as_deref().and_then(Path::parent)
    }

    /// A key as text, and what sets it: a variable before the file.
    pub(super) fn get(&self, variables: &Variables, key: &str) -> Option<(String, String)> {
        let variable = variable(key);
        if let Some(value) = variables.get(&variable) {
            return Some((variable, value.to_owned()));
        }
        let value = match self.value(key)? {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((format!("{key} in {}", self.shown()), value))
    }

    /// Keys that say what the deployment says, which would be laid over them.
    pub(super) fn decided(&self, variables: &Variables) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, instead) in DECIDED {
            if self.value(key).is_some() {
                problems.push(Problem(format!(
                    "{}: {key} is not for a deployment, and would be without effect; remove it. \
                     {}",
                    self.shown(),
                    sentence(instead)
                )));
            }
            let name = variable(key);
            let names = variables.names().filter(|one| {
                *one == name || one.strip_prefix(&name).is_some_and(|rest| rest.starts_with("__"))
            });
            problems.extend(names.map(|one| {
                Problem(format!(
                    "{one} is not for a deployment, and would be without effect; remove it. {}",
                    sentence(instead)
                ))
            }));
        }
        problems
    }

    fn value(&self, key: &str) -> Option<&Value> {
        let mut parts = key.split('.');
        let first = self.table.get(parts.next()?)?;
        parts.try_fold(first, |at, part| at.as_table()?.get(part))
    }

    fn shown(&self) -> String {
        self.file.as_deref().map_or_else(|| "hub.toml".to_owned(), shown)
    }
}

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("HUB__{}", key.replace('.', "__").to_uppercase())
}

fn sentence(text: &str) -> String {
    // Names of variables have their capitals already.
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> HubConfig {
        HubConfig { file: Some("/d/hub.toml".into()), table: text.parse().unwrap() }
    }

    #[test]
    fn env_1_a_variable_goes_before_the_file() {
        let config = config("[http]\npublic_url = 'https://file'\n[servers]\nlimit = 3");
        let variables: Variables = [("HUB__HTTP__PUBLIC_URL", "https://var")].into_iter().collect();
        let (name, value) = config.get(&variables, "http.public_url").unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("HUB__HTTP__PUBLIC_URL", "https://var"));
        let (name, value) = config.get(&Variables::default(), "http.public_url").unwrap();
        assert_eq!(value, "https://file");
        assert!(name.contains("hub.toml"), "{name}");
        assert_eq!(config.get(&variables, "servers.limit").unwrap().1, "3");
        assert_eq!(config.get(&variables, "servers.other"), None);
    }

    #[test]
    fn what_the_deployment_decides_is_refused_by_name() {
        let text = "[http]\nlisten = '0.0.0.0:443'\nbase_url = '/x'\n[http.tls]\ncertificate = 'c'";
        let variables: Variables = [
            ("HUB__HUB_API__LISTEN", "auto:1"),
            ("HUB__PROXY__API_URL", "http://p"),
            ("HUB__SERVERS__START_TIMEOUT_SECONDS", "9"),
        ]
        .into_iter()
        .collect();
        let problems = config(text).decided(&variables);
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for part in [
            "http.listen",
            "HUB_HTTPS_PORT",
            "http.tls",
            "HUB__HUB_API__LISTEN",
            "HUB__PROXY__API_URL",
        ] {
            assert!(texts.iter().any(|text| text.contains(part)), "{part} in {texts:#?}");
        }
        assert_eq!(texts.len(), 4, "{texts:#?}");
    }
}
