//! The variables a deployment is described by: the process environment over
//! `.env` and the reference deployment's `secrets/*.env` (ENV-1).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::bail;
use hub_server::config::{
    EnvFile, key,
    variables::{Effect, Reader, VARIABLES},
};

use crate::{surroundings, workspace::shown};

/// Files of the reference deployment, in the order in which later ones win.
const SECRETS: [&str; 2] = ["secrets/postgres.env", "secrets/oauth.env"];

/// What wins over those, unless another file is named.
const ENV_FILE: &str = ".env";

/// Ends the name of a variable whose value is the path of a file with the value
/// (ENV-5).
const OF_FILE: &str = "_FILE";

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
    /// Reads the files in `dir`, with `env_file` in the place of its `.env`, and
    /// lays the process environment over them.
    pub(super) fn read(dir: &Path, env_file: Option<&Path>) -> anyhow::Result<Self> {
        let secrets = SECRETS.iter().map(|name| dir.join(name)).filter(|path| path.exists());
        let usual = || Some(dir.join(ENV_FILE)).filter(|path| path.exists());
        let mut all = Self::default();
        for path in secrets.chain(env_file.map(Path::to_owned).or_else(usual)) {
            let (file, shared) = EnvFile::read_shared(&path)?;
            let shared = shared.map(|trouble| trouble.to_string());
            for doubt in shared.into_iter().chain(file.doubts()) {
                eprintln!("  warning: {doubt}");
            }
            let layer = file.entries.into_iter().map(|entry| (entry.name, entry.value));
            all.lay_over(layer.collect(), Some(&path))?;
        }
        let ours = surroundings::variables().filter(|(name, _)| is_ours(name));
        all.lay_over(ours.collect(), None)?;
        Ok(all)
    }

    /// Takes what a stronger place says, which is a file or the process
    /// environment. A secret that it says takes back the file of a weaker place,
    /// and the other way round; so does a key that has two names. In one place the
    /// name that every key has goes before the one of the reference deployment.
    fn lay_over(
        &mut self,
        mut layer: BTreeMap<String, String>,
        file: Option<&Path>,
    ) -> anyhow::Result<()> {
        layer.retain(|_, value| !value.is_empty());
        for name in layer.keys() {
            let Some(other) = other_form(name) else { continue };
            if layer.contains_key(&other) {
                let place = file.map_or("the environment".to_owned(), shown);
                bail!("{place}: {other} says the same as {name}; remove one");
            }
            self.remove(&other);
        }
        for (common, other) in two_names() {
            if layer.contains_key(&common) {
                layer.remove(other);
                self.remove(other);
            } else if layer.contains_key(other) {
                self.remove(&common);
            }
        }
        for (name, value) in layer {
            match file {
                Some(file) => self.files.insert(name.clone(), file.to_owned()),
                None => self.files.remove(&name),
            };
            self.values.insert(name, value);
        }
        Ok(())
    }

    fn remove(&mut self, name: &str) {
        self.values.remove(name);
        self.files.remove(name);
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
        self.files.remove(name);
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

/// Keys that two variables set: `HUB__SECTION__KEY`, and a name of its own.
fn two_names() -> impl Iterator<Item = (String, &'static str)> {
    let named = VARIABLES.iter().filter_map(|variable| match variable.effect {
        Effect::Sets(key) => Some((key, variable.name)),
        _ => None,
    });
    named
        .chain([("auth.userlist", "HUB_USERLIST")])
        .filter_map(|(name, variable)| Some((key::key(name)?.variable(), variable)))
}

/// How else a secret can be said: itself, or the file that it is in.
fn other_form(name: &str) -> Option<String> {
    match name.strip_suffix(OF_FILE) {
        Some(plain) => is_secret(plain).then(|| plain.to_owned()),
        None => is_secret(name).then(|| format!("{name}{OF_FILE}")),
    }
}

fn is_secret(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name == name && variable.secret)
}

/// Whether a variable of the process environment is about the deployment.
fn is_ours(name: &str) -> bool {
    let plain = name.strip_suffix(OF_FILE).unwrap_or(name);
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

    /// A directory with these files in it, which nobody else may read.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        use std::{fs, os::unix::fs::PermissionsExt as _};

        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        dir
    }

    #[test]
    fn env_1_later_files_win_and_all_of_them_are_read() {
        let dir = directory(&[
            ("secrets/oauth.env", "GITHUB_CLIENT_ID=old\nGITHUB_CLIENT_SECRET=s\n"),
            (".env", "GITHUB_CLIENT_ID=new\n"),
            ("other.env", "GITHUB_CLIENT_ID=other\n"),
        ]);
        let read = |named: Option<&str>| {
            let named = named.map(|name| dir.path().join(name));
            Variables::read(dir.path(), named.as_deref()).unwrap()
        };
        for (named, id) in [(None, "new"), (Some("other.env"), "other")] {
            let all = read(named);
            assert_eq!(all.get("GITHUB_CLIENT_ID"), Some(id));
            assert_eq!(all.get("GITHUB_CLIENT_SECRET"), Some("s"), "with {named:?}");
            let file = |name| all.file_of(name).and_then(Path::file_name);
            assert_eq!(file("GITHUB_CLIENT_ID"), Some(named.unwrap_or(".env").as_ref()));
            assert_eq!(file("GITHUB_CLIENT_SECRET"), Some("oauth.env".as_ref()));
        }
    }

    #[test]
    fn env_1_a_key_with_two_names_is_what_the_strongest_place_says() {
        let (common, own) = ("HUB__SPAWNER__DOCKER__IMAGE", "DOCKER_NOTEBOOK_IMAGE");
        let names = |layers: &[&[(&str, &str)]]| {
            let mut all = Variables::default();
            for layer in layers {
                let layer = layer.iter().map(|(name, value)| ((*name).into(), (*value).into()));
                all.lay_over(layer.collect(), None).unwrap();
            }
            all.values.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        type Layers<'a> = &'a [&'a [(&'a str, &'a str)]];
        let rows: [(Layers<'_>, &str); 4] = [
            (&[&[(common, "a")], &[(own, "b")]], "DOCKER_NOTEBOOK_IMAGE=b"),
            (&[&[(own, "a")], &[(common, "b")]], "HUB__SPAWNER__DOCKER__IMAGE=b"),
            (&[&[(own, "a"), (common, "b")]], "HUB__SPAWNER__DOCKER__IMAGE=b"),
            (&[&[(common, "a")], &[(own, "")]], "HUB__SPAWNER__DOCKER__IMAGE=a"),
        ];
        for (layers, expected) in rows {
            let found: Vec<String> = names(layers);
            assert_eq!(found, [expected], "{layers:?}");
        }
    }

    #[test]
    fn env_5_a_secret_takes_back_its_other_form_in_a_weaker_place() {
        let layers = |layers: &[&[(&str, &str)]]| {
            let mut all = Variables::default();
            for layer in layers {
                let layer = layer.iter().map(|(name, value)| ((*name).into(), (*value).into()));
                all.lay_over(layer.collect(), Some(Path::new(".env")))
                    .map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(all.values.into_iter().collect::<Vec<_>>())
        };
        let (text, file) = (("GITHUB_CLIENT_SECRET", "s"), ("GITHUB_CLIENT_SECRET_FILE", "f"));
        let owned = |(name, value): (&str, &str)| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(layers(&[&[text], &[file]]), Ok(owned(file)));
        assert_eq!(layers(&[&[file], &[text]]), Ok(owned(text)));
        let nothing = ("GITHUB_CLIENT_SECRET_FILE", "");
        assert_eq!(layers(&[&[text], &[nothing]]), Ok(owned(text)), "ENV-3");
        let said = layers(&[&[text, file]]).unwrap_err();
        for part in [".env", "GITHUB_CLIENT_SECRET;", "GITHUB_CLIENT_SECRET_FILE", "remove one"] {
            assert!(said.contains(part), "{part:?} in {said}");
        }
    }
}
