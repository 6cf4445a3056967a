//! What the demo keeps between runs, one file each.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// First port tried for the hub's private listener, JupyterHub's own.
const API_PORT: u16 = 8081;

/// The demo's directory. Only its owner may look inside.
#[derive(Clone, Debug)]
pub(super) struct State {
    dir: PathBuf,
}

impl State {
    pub(super) fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(super) fn create(&self) -> anyhow::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn certificate(&self) -> PathBuf {
        self.dir.join("cert.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.dir.join("key.pem")
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("hub.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("hub.log")
    }

    pub(super) fn pid_file(&self) -> PathBuf {
        self.dir.join("hub.pid")
    }

    /// The content of a file, or what `make` gives, which is then kept.
    pub(super) fn keep(
        &self,
        name: &str,
        make: impl FnOnce() -> anyhow::Result<String>,
    ) -> anyhow::Result<String> {
        let file = self.dir.join(name);
        match fs::read_to_string(&file) {
            Ok(kept) => Ok(kept.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let made = make()?;
                write_private(&file, &made)?;
                Ok(made)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// A random secret of 32 hexadecimal digits, always the same.
    pub(super) fn secret(&self, name: &str) -> anyhow::Result<String> {
        self.keep(name, || {
            let mut bytes = [0_u8; 16];
            getrandom::fill(&mut bytes)?;
            Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        })
    }

    /// The port of the private listener. Servers that outlive a hub call it
    /// there again, so it stays the same.
    pub(super) fn api_port(&self) -> anyhow::Result<u16> {
        let free = || {
            let port = (API_PORT..API_PORT + 100).find(|port| is_free(*port));
            Ok(port.context("no free port for the hub's private listener")?.to_string())
        };
        self.keep("api_port", free)?.parse().context("the file api_port does not hold a port")
    }
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(file: &Path, content: &str) -> anyhow::Result<()> {
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut open = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
        open.write_all(content.as_bytes())
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::at(dir.path().join("demo"));
        state.create().unwrap();
        let secret = state.secret("admin_token").unwrap();
        assert_eq!(secret.len(), 32);
        assert_eq!(state.secret("admin_token").unwrap(), secret);
        assert_ne!(state.secret("other").unwrap(), secret);
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(state.dir().join("admin_token")), 0o600);
        assert_eq!(mode(state.dir().to_path_buf()), 0o700);
    }

    #[test]
    fn the_private_port_stays_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::at(dir.path().to_path_buf());
        let port = state.api_port().unwrap();
        let _taken = TcpListener::bind(("127.0.0.1", port));
        assert_eq!(state.api_port().unwrap(), port);
    }
}
