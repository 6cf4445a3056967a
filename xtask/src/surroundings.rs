//! The environment variables and the machine that a command finds itself in.
//! The only file of xtask that reads them.

use std::{fs, os::unix::fs::MetadataExt, path::PathBuf};

use hub_spawner::engine::HostSettings;

/// The value of an environment variable; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "the one place in xtask that reads the environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The Docker engine that the user asked for, in the words of Docker's own tools
/// (DM-1, DM-4).
pub(crate) fn docker() -> HostSettings {
    let home_settings = || Some(PathBuf::from(variable("HOME")?).join(".docker"));
    HostSettings {
        host: variable("DOCKER_HOST"),
        tls_verify: variable("DOCKER_TLS_VERIFY").is_some(),
        cert_path: variable("DOCKER_CERT_PATH").map(PathBuf::from),
        context: variable("DOCKER_CONTEXT"),
        config_dir: variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home_settings),
        ssh_config: None,
    }
}

/// All variables that are text.
pub(crate) fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Whether this process may install packages and start system services.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// What kind of Linux distribution this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Distribution {
    Debian,
    /// Made from Debian, with the same package names and tools.
    LikeDebian,
    Other,
}

/// The distribution of this machine.
pub(crate) fn distribution() -> Distribution {
    distribution_of(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

fn distribution_of(os_release: &str) -> Distribution {
    let value = |key: &str| {
        os_release.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == key).then(|| value.trim_matches('"').to_owned())
        })
    };
    let id = value("ID").unwrap_or_default();
    let like = value("ID_LIKE").unwrap_or_default();
    if id == "debian" {
        Distribution::Debian
    } else if id == "ubuntu" || like.split_whitespace().any(|id| id == "debian") {
        Distribution::LikeDebian
    } else {
        Distribution::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_told_apart_by_os_release() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n";
        assert_eq!(distribution_of(debian), Distribution::Debian);
        let mint = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        assert_eq!(distribution_of(mint), Distribution::LikeDebian);
        let fedora = "ID=fedora\nVERSION_ID=42\n";
        assert_eq!(distribution_of(fedora), Distribution::Other);
        assert_eq!(distribution_of(""), Distribution::Other);
    }
}
