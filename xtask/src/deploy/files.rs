//! Which of the operator's files go into which volume, and under what name.
//!
//! Files are copied into volumes rather than mounted from the host: it is the
//! same for a daemon elsewhere, a private key can belong to the user that the
//! proxy runs as, and nothing of it is in an image (IMG-1). The programs notice
//! changed files by themselves.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path, PathBuf},
};

use hub_server::config::key::{self, Kind};

use super::{
    settings::{Problem, Settings, Tls, USERLIST},
    variables::secret_variables,
};
use crate::workspace::shown;

/// Where the hub's configuration is, below its data directory.
pub(super) const CONFIG_DIR: &str = "config";

/// Where values are that must not be in a container's environment, which
/// `docker inspect` shows.
pub(super) const SECRETS_DIR: &str = "secrets";

/// The proxy's certificate and key, below its directory.
pub(super) const CERTIFICATE: &str = "certs/tls.crt";
pub(super) const KEY: &str = "certs/tls.key";

/// Whom the proxy trusts to be the authority's directory, below its directory.
pub(super) const ACME_CA: &str = "certs/acme-ca.pem";

/// What hub and proxy know each other by, in both volumes.
pub(super) const PROXY_TOKEN: &str = "secrets/CONFIGPROXY_AUTH_TOKEN";

/// What `hub` in the hub's container is known to the hub by.
pub(super) const OPERATOR_TOKEN: &str = "secrets/HUB_OPERATOR_TOKEN";

/// Files of one volume: path below its root to content.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The hub's configuration, user list and secrets.
pub(super) fn of_hub(settings: &Settings) -> Result<Files, Vec<Problem>> {
    let mut files = Files::new();
    let mut problems = Vec::new();
    let mut take = |path: String, from: &Path| match fs::read(from) {
        Ok(content) => {
            files.insert(path, content);
        }
        Err(error) => problems.push(Problem(format!("{}: {error}", shown(from)))),
    };
    take(format!("{CONFIG_DIR}/userlist"), &settings.userlist);
    if let Some(config) = &settings.config.file {
        take(format!("{CONFIG_DIR}/hub.toml"), config);
    }
    let mut found = Vec::new();
    match beside_config(settings) {
        Ok(named) => {
            for (relative, from) in named {
                if let Err(error) = walk(&from, &relative, &mut found) {
                    problems.push(Problem(format!("{}: {error}", shown(&from))));
                }
            }
        }
        Err(more) => problems.extend(more),
    }
    files
        .extend(found.into_iter().map(|(path, content)| (format!("{CONFIG_DIR}/{path}"), content)));
    // An empty one, so that one that is written later is taken up by a hub that runs.
    files.entry(format!("{CONFIG_DIR}/hub.toml")).or_default();
    for name in secret_variables() {
        match secret(settings, name) {
            Ok(Some(value)) => {
                files.insert(format!("{SECRETS_DIR}/{name}"), value);
            }
            Ok(None) => {}
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// What the configuration names: the path below its own directory, and where
/// that is.
pub(super) fn beside_config(settings: &Settings) -> Result<Vec<(String, PathBuf)>, Vec<Problem>> {
    let Some(config) = &settings.config.file else { return Ok(Vec::new()) };
    let dir = config.parent().unwrap_or(&settings.dir);
    let mut named = Vec::new();
    let mut problems = Vec::new();
    for (key, path) in named_files(settings) {
        match below(dir, path) {
            Below::Here(relative) => named.push((relative, dir.join(path))),
            Below::Absolute(relative) => problems.push(Problem(format!(
                "{}: {key}: the hub's container has no {path:?}; write {relative:?}, since its \
                 copy goes with the hub",
                shown(config)
            ))),
            Below::Elsewhere => problems.push(Problem(format!(
                "{}: {key}: {path:?} is not below {}; move it there, since its copy goes with the \
                 hub",
                shown(config),
                shown(dir)
            ))),
        }
    }
    if problems.is_empty() { Ok(named) } else { Err(problems) }
}

/// The proxy's certificate, where it comes in files.
pub(super) fn of_proxy(settings: &Settings) -> Result<Files, Vec<Problem>> {
    let wanted: Vec<(&str, &PathBuf)> = match &settings.tls {
        Tls::Files { certificate, key } => vec![(CERTIFICATE, certificate), (KEY, key)],
        Tls::Acme(acme) => acme.directory_ca.iter().map(|path| (ACME_CA, path)).collect(),
        Tls::Volume(_) | Tls::Elsewhere => Vec::new(),
    };
    let mut files = Files::new();
    let mut problems = Vec::new();
    for (path, from) in wanted {
        match fs::read(from) {
            Ok(content) => {
                files.insert(path.to_owned(), content);
            }
            Err(error) => problems.push(Problem(format!("{}: {error}", shown(from)))),
        }
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// The value of a secret variable, or what is in the file that `NAME_FILE` names.
fn secret(settings: &Settings, name: &str) -> Result<Option<Vec<u8>>, Problem> {
    let variable = format!("{name}_FILE");
    match (settings.variables.get(name), settings.variables.get(&variable)) {
        (Some(value), _) => Ok(Some(value.as_bytes().to_vec())),
        (None, Some(path)) => fs::read(settings.dir.join(path))
            .map(Some)
            .map_err(|error| Problem(format!("{variable}: {path}: {error}"))),
        (None, None) => Ok(None),
    }
}

/// The files and directories that the configuration names, each with its key.
fn named_files(settings: &Settings) -> Vec<(&str, &str)> {
    let config = &settings.config;
    let read = key::keys().filter(|key| matches!(key.kind, Kind::File | Kind::Directory));
    // A list that a variable names goes before.
    let read = read.filter(|key| key.name != USERLIST || settings.userlist_is_configured());
    let mut found: Vec<(&str, &str)> =
        read.filter_map(|key| Some((key.name, config.text(key.name)?))).collect();
    let services = config.sections("services");
    let tokens = services.filter_map(|service| service.get("api_token_file")?.as_str());
    found.extend(tokens.map(|path| ("services.api_token_file", path)));
    found
}

/// Where a path leads, seen from a directory.
enum Below {
    /// Below it, by this way.
    Here(String),
    /// Below it, and written as an absolute one.
    Absolute(String),
    Elsewhere,
}

fn below(dir: &Path, path: &str) -> Below {
    let path = Path::new(path);
    let relative = match path.is_absolute() {
        true => match path.strip_prefix(dir) {
            Ok(relative) => relative,
            Err(_) => return Below::Elsewhere,
        },
        false => path,
    };
    let plain =
        relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain {
        return Below::Elsewhere;
    }
    let names = relative.components().filter(|part| matches!(part, Component::Normal(_)));
    let relative = names.collect::<PathBuf>().display().to_string();
    if path.is_absolute() { Below::Absolute(relative) } else { Below::Here(relative) }
}

/// A file, or all files of a directory.
fn walk(from: &Path, path: &str, found: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    if !fs::metadata(from)?.is_dir() {
        found.push((path.to_owned(), fs::read(from)?));
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        walk(&entry.path(), &format!("{path}/{}", entry.file_name().to_string_lossy()), found)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &Path, given: &[(&str, &str)]) -> Settings {
        Settings::read(dir, given.iter().copied().collect()).unwrap()
    }

    #[test]
    fn what_the_configuration_names_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("userlist", "ada admin\n");
        write("github-secret", "s3");
        write("pages/login.html", "<p>");
        write(
            "hub.toml",
            "[auth.github]\nclient_secret_file = \"./github-secret\"\n[pages]\ntemplates = \"pages\"\n[[services]]\nname = \"a\"\n",
        );
        let files = of_hub(&settings(dir.path(), &[("CONFIGPROXY_AUTH_TOKEN", "t")])).unwrap();
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "config/github-secret",
                "config/hub.toml",
                "config/pages/login.html",
                "config/userlist",
                "secrets/CONFIGPROXY_AUTH_TOKEN"
            ]
        );
    }

    #[test]
    fn a_file_elsewhere_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "").unwrap();
        fs::write(dir.path().join("hub.toml"), "[auth]\nuserlist = \"../users\"\n").unwrap();
        let problems = of_hub(&settings(dir.path(), &[])).unwrap_err();
        assert!(problems[0].0.contains("../users"), "{problems:?}");
    }

    #[test]
    fn an_absolute_path_is_refused_with_what_to_write() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "").unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        let path = dir.path().join("secret");
        let text = format!("[auth.github]\nclient_secret_file = {path:?}\n");
        fs::write(dir.path().join("hub.toml"), text).unwrap();
        let problems = of_hub(&settings(dir.path(), &[])).unwrap_err();
        assert!(problems[0].0.contains("auth.github.client_secret_file"), "{problems:?}");
        assert!(problems[0].0.contains("write \"secret\""), "{problems:?}");
    }

    #[test]
    fn what_the_hub_writes_is_no_file_of_the_operators() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "").unwrap();
        let text = "[store]\ncookie_secret_file = \"/data/cookie\"\n";
        fs::write(dir.path().join("hub.toml"), text).unwrap();
        let files = of_hub(&settings(dir.path(), &[])).unwrap();
        assert_eq!(files.len(), 2, "{:?}", files.keys());
    }

    #[test]
    fn env_5_a_secret_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("userlist"), "").unwrap();
        fs::write(dir.path().join("id.secret"), "value\n").unwrap();
        let files =
            of_hub(&settings(dir.path(), &[("GITHUB_CLIENT_SECRET_FILE", "id.secret")])).unwrap();
        assert_eq!(files["secrets/GITHUB_CLIENT_SECRET"], b"value\n");
    }
}
