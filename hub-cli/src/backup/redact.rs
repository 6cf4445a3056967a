//! Configuration without its secrets. Pure.
//!
//! Rather too much is taken out than too little.

use toml::{Table, Value};
use url::Url;

/// Tables that hold secrets under names of the operator's choice.
const SECRET_TABLES: [&str; 2] = ["accounts", "environment"];
/// Parts of the names of keys that hold a secret themselves.
const SECRET_WORDS: [&str; 4] = ["secret", "token", "password", "key"];
/// Endings of keys that only say where or how long.
const HARMLESS_ENDINGS: [&str; 6] = ["_file", "_path", "_seconds", "_days", "_url", "_id"];
/// Variables that are no secrets, by name or by ending.
const PLAIN_VARIABLES: [&str; 24] = [
    "COMPOSE_PROJECT_NAME",
    "DATA_VOLUME_CONTAINER",
    "DATA_VOLUME_HOST",
    "DOCKER_CERT_PATH",
    "DOCKER_HOST",
    "DOCKER_MACHINE_NAME",
    "DOCKER_NETWORK_NAME",
    "DOCKER_NOTEBOOK_DIR",
    "DOCKER_NOTEBOOK_IMAGE",
    "DOCKER_SPAWN_CMD",
    "DOCKER_TLS_VERIFY",
    "GITHUB_CLIENT_ID",
    "GITHUB_HOST",
    "GITHUB_HTTP",
    "GITHUB_URL",
    "HUB_LISTEN",
    "HUB_LOG",
    "JUPYTERHUB_ADMIN",
    "JUPYTERHUB_VERSION",
    "LOCAL_NOTEBOOK_IMAGE",
    "OAUTH_CALLBACK_URL",
    "SECRETS_VOLUME",
    "SSL_CERT",
    "SSL_KEY",
];

/// Takes the secrets out of a configuration; returns the keys they had.
pub(super) fn config(table: &mut Table) -> Vec<String> {
    let mut removed = Vec::new();
    in_table(table, "", &mut removed);
    removed
}

fn in_table(table: &mut Table, at: &str, removed: &mut Vec<String>) {
    let keys: Vec<String> = table.keys().cloned().collect();
    for key in keys {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        let secret = match table.get_mut(&key) {
            Some(Value::Table(_)) if SECRET_TABLES.contains(&key.as_str()) => true,
            // `[http.tls] key` is the name of a file.
            Some(Value::String(_)) if path == "http.tls.key" => false,
            Some(Value::Table(inner)) => {
                in_table(inner, &path, removed);
                false
            }
            Some(Value::Array(items)) => {
                for (number, item) in items.iter_mut().enumerate() {
                    if let Value::Table(inner) = item {
                        in_table(inner, &format!("{path}[{number}]"), removed);
                    }
                }
                is_secret_key(&key)
            }
            Some(Value::String(text)) => is_secret_key(&key) || has_password(text),
            _ => false,
        };
        if secret {
            table.remove(&key);
            removed.push(path);
        }
    }
}

fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
        && !HARMLESS_ENDINGS.iter().any(|ending| key.ends_with(ending))
}

fn has_password(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        url.password().is_some() || url.query_pairs().any(|(key, _)| is_secret_key(&key))
    })
}

/// The lines of a file of variables without those that may be secrets, and the
/// names of those.
pub(super) fn variables(text: &str) -> (String, Vec<String>) {
    let mut kept = String::new();
    let mut removed = Vec::new();
    for line in text.lines() {
        let trimmed = line.trim();
        match trimmed.split_once('=') {
            _ if trimmed.is_empty() => {}
            // A comment may be a secret that is not in use just now.
            _ if trimmed.starts_with('#') && trimmed.contains('=') => continue,
            _ if trimmed.starts_with('#') => {}
            Some((name, _)) if is_plain_variable(name.trim()) => {}
            Some((name, _)) => {
                removed.push(name.trim().to_owned());
                continue;
            }
            None => continue,
        }
        kept.push_str(line);
        kept.push('\n');
    }
    (kept, removed)
}

fn is_plain_variable(name: &str) -> bool {
    PLAIN_VARIABLES.contains(&name) || name.ends_with("_FILE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bak_3_a_configuration_loses_its_secrets_and_keeps_the_rest() {
        let mut table: Table = toml::from_str(
            r#"
            [http]
            listen = "0.0.0.0:443"
            [http.tls]
            certificate = "hub.crt"
            key = "hub.key"
            [store]
            url = "postgres://hub:hunter2@db/hub"
            cookie_secret_file = "cookie"
            [auth]
            userlist = "userlist"
            [auth.github]
            client_id = "id"
            client_secret = "hunter2"
            client_secret_file = "secret.txt"
            [auth.password.accounts]
            ada = "hunter2"
            [spawner.docker]
            image = "lab"
            environment = { TOKEN = "hunter2" }
            [[services]]
            name = "culler"
            api_token = "hunter2"
            [[services]]
            name = "other"
            api_token_file = "other.txt"
            "#,
        )
        .unwrap();
        let removed = config(&mut table);
        let text = table.to_string();
        assert!(!text.contains("hunter2"), "{text}");
        for kept in ["hub.key", "hub.crt", "cookie", "secret.txt", "other.txt", "\"id\"", "lab"] {
            assert!(text.contains(kept), "{kept} in {text}");
        }
        assert_eq!(
            removed,
            [
                "auth.github.client_secret",
                "auth.password.accounts",
                "services[0].api_token",
                "spawner.docker.environment",
                "store.url",
            ]
        );
    }

    #[test]
    fn bak_3_a_store_without_a_password_stays() {
        let mut table: Table =
            toml::from_str("[store]\nurl = \"sqlite:///data/hub.sqlite\"\n").unwrap();
        assert!(config(&mut table).is_empty());
        let mut table: Table =
            toml::from_str("[store]\nurl = \"postgres://db/hub?password=x\"\n").unwrap();
        assert_eq!(config(&mut table), ["store.url"]);
    }

    #[test]
    fn bak_3_only_variables_known_to_be_harmless_are_kept() {
        let text = "# the image\nDOCKER_NOTEBOOK_IMAGE=lab\n#OLD_SECRET=hunter2\n\
                    GITHUB_CLIENT_SECRET=hunter2\nSSL_KEY=/k\nMYSTERY=hunter2\nX_FILE=/x\n";
        let (kept, removed) = variables(text);
        assert_eq!(kept, "# the image\nDOCKER_NOTEBOOK_IMAGE=lab\nSSL_KEY=/k\nX_FILE=/x\n");
        assert_eq!(removed, ["GITHUB_CLIENT_SECRET", "MYSTERY"]);
    }
}
