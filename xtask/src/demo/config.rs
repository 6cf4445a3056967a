//! The demo's `hub.toml`.

use serde_json::{Value, json};

use super::{
    ACCOUNT, DEPLOYMENT,
    state::{State, write_private},
};

/// Where the notebook image keeps what is to last.
const WORK_DIR: &str = "/home/jovyan/work";

/// What differs between one demo and another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) port: u16,
    pub(super) api_port: u16,
    pub(super) tls: bool,
    pub(super) image: &'a str,
    pub(super) password_hash: &'a str,
    pub(super) admin_token: &'a str,
}

impl Settings<'_> {
    /// Where a browser finds the hub.
    pub(super) fn public_url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://localhost:{}", self.port)
    }
}

/// The Docker network of the demo's servers.
pub(super) fn network() -> String {
    format!("jupyterhub-{DEPLOYMENT}")
}

/// Writes the file; what was in it is replaced.
pub(super) fn write(state: &State, settings: &Settings<'_>) -> anyhow::Result<()> {
    let database = state.dir().join("hub.sqlite");
    let text = toml::to_string(&hub_toml(settings, &database.display().to_string()))?;
    let head = "# Written by `cargo xtask demo` at each start; changes are lost.\n\n";
    write_private(&state.config(), &format!("{head}{text}"))
}

fn hub_toml(settings: &Settings<'_>, database: &str) -> Value {
    let mut http = json!({
        "listen": format!("127.0.0.1:{}", settings.port),
        "public_url": settings.public_url(),
    });
    if settings.tls {
        http["tls"] = json!({ "certificate": "cert.pem", "key": "key.pem" });
    }
    json!({
        "http": http,
        "hub_api": { "listen": format!("auto:{}", settings.api_port) },
        "store": {
            "url": format!("sqlite://{database}"),
            "cookie_secret_file": "cookie_secret",
        },
        "auth": {
            "admin_users": [ACCOUNT],
            "allowed_users": [ACCOUNT],
            "password": { "accounts": { ACCOUNT: settings.password_hash } },
        },
        "spawner": { "docker": {
            "image": settings.image,
            "deployment": DEPLOYMENT,
            "network": network(),
            // Names of its own, so that a real hub on this machine with a user
            // of that name is left alone.
            "prefix": format!("jupyter-{DEPLOYMENT}"),
            "volumes": { format!("jupyterhub-{DEPLOYMENT}-user-{{username}}"): WORK_DIR },
            "mem_limit": "1G",
        } },
        "services": [{
            "name": "admin",
            "api_token": settings.admin_token,
            "admin": true,
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings<'_> = Settings {
        port: 8000,
        api_port: 8081,
        tls: true,
        image: "hub-notebook:abc",
        password_hash: "$argon2id$x",
        admin_token: "0123456789abcdef",
    };

    #[test]
    fn the_file_is_toml_with_everything_in_its_section() {
        let text = toml::to_string(&hub_toml(&SETTINGS, "/x/hub.sqlite")).unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["store"]["cookie_secret_file"].as_str(), Some("cookie_secret"));
        assert_eq!(table["store"]["url"].as_str(), Some("sqlite:///x/hub.sqlite"));
        let docker = &table["spawner"]["docker"];
        let volume = "jupyterhub-demo-user-{username}";
        assert_eq!(docker["volumes"][volume].as_str(), Some("/home/jovyan/work"));
        assert_eq!(table["http"]["tls"]["key"].as_str(), Some("key.pem"));
        assert_eq!(table["http"]["public_url"].as_str(), Some("https://localhost:8000"));
    }

    #[test]
    fn without_tls_the_address_says_so() {
        let plain = Settings { tls: false, ..SETTINGS };
        assert_eq!(plain.public_url(), "http://localhost:8000");
        assert!(hub_toml(&plain, "/x")["http"].get("tls").is_none());
    }
}
