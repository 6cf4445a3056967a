//! Which Docker engine is meant, in the words of Docker's own tools (DM-1).

use std::path::{Path, PathBuf};

use hub_spawner::{
    InvalidConfig,
    engine::{DockerHost, HostSettings},
};

use super::{SOCKET, Variables};

/// The engine that the variables name. Reads its certificates or context.
pub(super) fn resolve(dir: &Path, variables: &Variables) -> Result<DockerHost, InvalidConfig> {
    let get = |name: &str| variables.get(name).map(str::to_owned);
    DockerHost::resolve(&HostSettings {
        host: get("DOCKER_HOST"),
        tls_verify: get("DOCKER_TLS_VERIFY").is_some(),
        cert_path: place(dir, variables, "DOCKER_CERT_PATH"),
        context: get("DOCKER_CONTEXT"),
        config_dir: place(dir, variables, "DOCKER_CONFIG")
            .or_else(|| place(dir, variables, "HOME").map(|home| home.join(".docker"))),
        ssh_config: None,
    })
}

/// The path in a variable. In a file of variables it begins at the operator's
/// directory, like every other there; in the environment at the working
/// directory, as Docker's own tools take it.
pub(super) fn place(dir: &Path, variables: &Variables, name: &str) -> Option<PathBuf> {
    let path = Path::new(variables.get(name)?);
    Some(match variables.file_of(name) {
        Some(_) => dir.join(path),
        None => path.to_owned(),
    })
}

/// The engine's socket on its own host, which the hub's container gets. An
/// address that does not name it means the usual one.
pub(super) fn socket(dir: &Path, variables: &Variables) -> PathBuf {
    // What cannot be resolved is told when the engine is asked for the first time.
    let host = resolve(dir, variables).ok();
    PathBuf::from(host.as_ref().and_then(DockerHost::socket).unwrap_or(SOCKET))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn variables(given: &[(&str, &str)]) -> Variables {
        given.iter().copied().collect()
    }

    #[test]
    fn dm_1_the_hub_gets_the_socket_that_the_address_names() {
        let rows = [
            ("unix:///run/user/7/docker.sock", "/run/user/7/docker.sock"),
            ("ssh://ada@far/run/user/7/docker.sock", "/run/user/7/docker.sock"),
            ("ssh://ada@far", SOCKET),
            ("tcp://192.0.2.7:2375", SOCKET),
            ("", SOCKET),
        ];
        for (address, expected) in rows {
            let found = socket(Path::new("/nowhere"), &variables(&[("DOCKER_HOST", address)]));
            assert_eq!(found, Path::new(expected), "{address}");
        }
    }

    #[test]
    fn dm_4_the_hub_gets_the_socket_of_a_context() {
        let config = tempfile::tempdir().unwrap();
        // The SHA-256 digest of `far`.
        let id = "512eea46ceb3921dff4363c7069d89d4964d1d9fccaa0f411851a7aa60a5c868";
        let meta = config.path().join("contexts/meta").join(id);
        fs::create_dir_all(&meta).unwrap();
        let text = r#"{"Name":"far","Metadata":{},"Endpoints":{"docker":{
            "Host":"unix:///run/user/7/docker.sock","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        let place = config.path().display().to_string();
        let given = variables(&[("DOCKER_CONTEXT", "far"), ("DOCKER_CONFIG", &place)]);
        assert_eq!(socket(Path::new("/nowhere"), &given), Path::new("/run/user/7/docker.sock"));
    }

    #[test]
    fn dm_1_a_relative_place_begins_where_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        fs::write(&file, "DOCKER_CERT_PATH=certs\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let of_file = Variables::read(dir.path(), None).unwrap();
        let found = place(dir.path(), &of_file, "DOCKER_CERT_PATH");
        assert_eq!(found, Some(dir.path().join("certs")));
        let of_environment = variables(&[("DOCKER_CERT_PATH", "certs")]);
        let found = place(dir.path(), &of_environment, "DOCKER_CERT_PATH");
        assert_eq!(found, Some(PathBuf::from("certs")));
    }
}
