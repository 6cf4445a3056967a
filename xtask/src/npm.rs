//! Programs and libraries of the npm registry that the tests run, in the checkout's
//! state directory.

use std::{fs, path::PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::{process, step::Step, workspace};

/// The release of JupyterHub's proxy that the hub is tested with.
const CONFIGURABLE_HTTP_PROXY: Package = Package {
    name: "configurable-http-proxy",
    version: "5.3.0",
    entry: ".bin/configurable-http-proxy",
};

/// The OpenID provider that sign-in is tested with.
const OIDC_PROVIDER: Package =
    Package { name: "oidc-provider", version: "9.13.3", entry: "oidc-provider/lib/index.js" };

/// A package, and the file of it that is run or loaded.
struct Package {
    name: &'static str,
    version: &'static str,
    /// Below `node_modules`.
    entry: &'static str,
}

/// JupyterHub's proxy; installs it if it is not there in the wanted version.
///
/// # Errors
///
/// When npm cannot install it.
pub(crate) async fn configurable_http_proxy() -> anyhow::Result<PathBuf> {
    CONFIGURABLE_HTTP_PROXY.ensure().await
}

/// A library that makes an OpenID provider; the same.
///
/// # Errors
///
/// When npm cannot install it.
pub(crate) async fn oidc_provider() -> anyhow::Result<PathBuf> {
    OIDC_PROVIDER.ensure().await
}

impl Package {
    async fn ensure(&self) -> anyhow::Result<PathBuf> {
        let dir = workspace::state_dir().join("npm");
        let program = dir.join("node_modules").join(self.entry);
        let manifest = dir.join("node_modules").join(self.name).join("package.json");
        let installed = || fs::read_to_string(&manifest).is_ok_and(|text| self.is_in(&text));
        if !installed() {
            fs::create_dir_all(&dir)?;
            let wanted = format!("{}@{}", self.name, self.version);
            let step = Step::begin(format!("installing {wanted}"));
            let mut npm = Command::new("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--omit=dev", "--prefix"])
                .arg(&dir)
                .arg(&wanted);
            process::run(&step, &mut npm)
                .await
                .with_context(|| format!("cannot install {wanted} with npm"))?;
            step.done("");
        }
        ensure!(
            installed() && program.exists(),
            "{} is not there after npm installed it",
            workspace::shown(&program)
        );
        Ok(program)
    }

    /// Whether a manifest is that of this package in this version.
    fn is_in(&self, manifest: &str) -> bool {
        let manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
        manifest["name"] == self.name && manifest["version"] == self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_installed_over() {
        let manifest = |version: &str| {
            format!(r#"{{"name": "configurable-http-proxy", "version": "{version}"}}"#)
        };
        let wanted = CONFIGURABLE_HTTP_PROXY;
        assert!(wanted.is_in(&manifest(wanted.version)));
        assert!(!wanted.is_in(&manifest("0.0.1")));
        assert!(!wanted.is_in("half a fi"));
    }
}
