//! Contexts of Docker's own tools: read, never written (DM-4).

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::InvalidConfig;

/// What a context says about its daemon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) host: String,
    /// The directory with its certificates, if it has some.
    pub(super) certificates: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    name: String,
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
    #[serde(default, rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Looks for the context `name` below Docker's configuration directory.
pub(super) fn find(name: &str, config_dir: Option<&Path>) -> Result<Found, InvalidConfig> {
    let wrong = |why: String| InvalidConfig::new("context", why);
    let Some(dir) = config_dir else {
        return Err(wrong(format!("{name:?} cannot be looked for: there is no home directory")));
    };
    let store = dir.join("contexts");
    // Directories are called after the digest of the name.
    let id: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = store.join("meta").join(&id).join("meta.json");
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(wrong(match known(&store).as_slice() {
                [] => format!("{name:?} is unknown; there are none in {}", store.display()),
                names => format!("{name:?} is unknown; there are: {}", names.join(", ")),
            }));
        }
        Err(error) => return Err(wrong(format!("{} cannot be read: {error}", file.display()))),
    };
    let meta: Meta = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("{} is damaged: {error}", file.display())))?;
    let Some(endpoint) = meta.endpoints.docker else {
        return Err(wrong(format!("{name:?} is not about Docker")));
    };
    if endpoint.skip_tls_verify {
        return Err(wrong(format!(
            "{name:?} skips the check of the daemon's certificate; make it again with ca=FILE"
        )));
    }
    let certificates = store.join("tls").join(&id).join("docker");
    Ok(Found { host: endpoint.host, certificates: certificates.is_dir().then_some(certificates) })
}

/// Names of all contexts, sorted.
fn known(store: &Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("meta")).into_iter().flatten().flatten();
    let metas = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("meta.json")).ok()?;
        serde_json::from_str::<Meta>(&text).ok()
    });
    let mut names: Vec<String> = metas.map(|meta| meta.name).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `docker context create` of Docker 28.
    const META: &str = r#"{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://192.0.2.7:2376","SkipTLSVerify":false}}}"#;

    /// The SHA-256 digest of `remote`.
    const ID: &str = "b71199ebd070b36beab7317920c2c2f1d777df8d05e5527d8458fda57cb17a7a";

    fn store(id: &str, meta: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("contexts/meta").join(id);
        fs::create_dir_all(&place).unwrap();
        fs::write(place.join("meta.json"), meta).unwrap();
        dir
    }

    #[test]
    fn dm_4_a_context_says_where_its_daemon_is() {
        let dir = store(ID, META);
        let found = find("remote", Some(dir.path())).unwrap();
        assert_eq!((found.host.as_str(), found.certificates), ("tcp://192.0.2.7:2376", None));
        let certificates = dir.path().join("contexts/tls").join(ID).join("docker");
        fs::create_dir_all(&certificates).unwrap();
        let found = find("remote", Some(dir.path())).unwrap();
        assert_eq!(found.certificates, Some(certificates));
    }

    #[test]
    fn dm_4_a_context_that_cannot_be_used_says_why() {
        let dir = store(ID, META);
        let complaint = |name: &str, dir: &tempfile::TempDir| {
            find(name, Some(dir.path())).unwrap_err().to_string()
        };
        assert!(complaint("nope", &dir).ends_with("there are: remote"));
        let skips = store(ID, &META.replace("false", "true"));
        assert!(complaint("remote", &skips).contains("ca=FILE"));
        assert!(complaint("remote", &store(ID, "{")).contains("is damaged"));
        let other = store(ID, r#"{"Name":"remote","Endpoints":{}}"#);
        assert!(complaint("remote", &other).contains("not about Docker"));
        assert!(find("remote", None).unwrap_err().reason.contains("no home directory"));
    }
}
