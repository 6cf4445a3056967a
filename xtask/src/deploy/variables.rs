//! The variables a deployment is described by: the process environment over
//! `.env` and the reference deployment's `secrets/*.env` (ENV-1).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hub_server::config::{
    EnvFile,
    variables::{Reader, VARIABLES},
};

use crate::surroundings;

/// Files of variables, in the order in which later ones win.
const FILES: [&str; 3] = ["secrets/postgres.env", "secrets/oauth.env", ".env"];

/// What the hub's container has its own of: there the engine's socket is where
/// it always is, and TLS ends at the proxy.
const OWN: [&str; 10] = [
    "HOME",
    "DOCKER_CONTEXT",
    "DOCKER_CONFIG",
    "DOCKER_HOST",
    "DOCKER_TLS_VERIFY",
    "DOCKER_CERT_PATH",
    "SSL_CERT",
    "SSL_KEY",
    "HUB_LISTEN",
    "DATA_VOLUME_CONTAINER",
];

/// Variables by name. An empty value is an unset one (ENV-3).
#[derive(Clone, Default)]
pub(super) struct Variables {
    values: BTreeMap<String, String>,
    /// The file that a value is from, where it is from one.
    files: BTreeMap<String, PathBuf>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets.
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Variables {
    /// Reads the files in `dir`, or only `env_file`, and lays the process
    /// environment over them.
    pub(super) fn read(dir: &Path, env_file: Option<&Path>) -> anyhow::Result<Self> {
        let files: Vec<PathBuf> = match env_file {
            Some(file) => vec![file.to_owned()],
            None => FILES.iter().map(|name| dir.join(name)).filter(|path| path.exists()).collect(),
        };
        let mut values = BTreeMap::new();
        let mut origins = BTreeMap::new();
        for path in &files {
            let (file, shared) = EnvFile::read_shared(path)?;
            let shared = shared.map(|trouble| trouble.to_string());
            for doubt in shared.into_iter().chain(file.doubts()) {
                eprintln!("  warning: {doubt}");
            }
            for entry in file.entries {
                origins.insert(entry.name.clone(), path.clone());
                values.insert(entry.name, entry.value);
            }
        }
        for (name, value) in surroundings::variables() {
            if is_ours(&name) && !value.is_empty() {
                origins.remove(&name);
                values.insert(name, value);
            }
        }
        Ok(Self { files: origins, ..values.into_iter().collect() })
    }

    /// The file that says what a variable is; `None` if it is not from a file.
    pub(super) fn file_of(&self, name: &str) -> Option<&Path> {
        self.files.get(name).map(PathBuf::as_path)
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The names of all that are set.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The value, or what holds without one.
    pub(super) fn or(&self, name: &str, default: &str) -> String {
        self.get(name).unwrap_or(default).to_owned()
    }

    /// Sets a variable, as a flag does.
    pub(super) fn set(&mut self, name: &str, value: String) {
        if value.is_empty() {
            self.values.remove(name);
        } else {
            self.values.insert(name.to_owned(), value);
        }
    }

    /// What goes to the hub's container as it is.
    pub(super) fn forwarded(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(
            |(name, _)| !OWN.contains(name) && (name.starts_with("HUB__") || is_for_hub(name)),
        )
    }
}

/// The secret variables that the hub reads. They travel in files.
pub(super) fn secret_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES
        .iter()
        .filter(|variable| variable.secret && variable.readers.contains(&Reader::Hub))
        .map(|variable| variable.name)
}

fn is_for_hub(name: &str) -> bool {
    VARIABLES.iter().any(|variable| {
        variable.name == name && !variable.secret && variable.readers.contains(&Reader::Hub)
    })
}

/// Whether a variable of the process environment is about the deployment.
fn is_ours(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    name.starts_with("HUB__") || VARIABLES.iter().any(|variable| variable.name == plain)
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(given: I) -> Self {
        let values = given
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self { values, files: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(given: &[(&str, &str)]) -> Variables {
        given.iter().copied().collect()
    }

    #[test]
    fn cmp_2_what_is_set_goes_to_the_hub_and_nothing_else() {
        let all = variables(&[
            ("DOCKER_NOTEBOOK_IMAGE", "lab"),
            ("GITHUB_CLIENT_ID", "id"),
            ("GITHUB_CLIENT_SECRET", "secret"),
            ("HUB__SERVERS__START_TIMEOUT_SECONDS", "90"),
            ("DOCKER_HOST", "ssh://elsewhere"),
            ("SECRETS_VOLUME", "v"),
            ("EMPTY", ""),
        ]);
        let names: Vec<&str> = all.forwarded().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            ["DOCKER_NOTEBOOK_IMAGE", "GITHUB_CLIENT_ID", "HUB__SERVERS__START_TIMEOUT_SECONDS"]
        );
        assert!(secret_variables().any(|name| name == "GITHUB_CLIENT_SECRET"));
    }

    #[test]
    fn env_1_later_files_win_and_all_of_them_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt;
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("secrets/oauth.env", "GITHUB_CLIENT_ID=old\nGITHUB_CLIENT_SECRET=s\n");
        write(".env", "GITHUB_CLIENT_ID=new\n");
        let all = Variables::read(dir.path(), None).unwrap();
        assert_eq!(all.get("GITHUB_CLIENT_ID"), Some("new"));
        assert_eq!(all.get("GITHUB_CLIENT_SECRET"), Some("s"));
        let file = |name| all.file_of(name).and_then(Path::file_name);
        assert_eq!(file("GITHUB_CLIENT_ID"), Some(".env".as_ref()));
        assert_eq!(file("GITHUB_CLIENT_SECRET"), Some("oauth.env".as_ref()));
    }
}
