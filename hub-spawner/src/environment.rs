//! The variables a server or a service is born with. Pure, and the only place that
//! writes a `JUPYTERHUB_*` name.

mod service;

use std::collections::BTreeMap;

use hub_names::ServerKey;
use secrecy::SecretString;

pub use self::service::ServiceFacts;
use crate::{InvalidConfig, StartRequest, template::Template};

/// Fields of `notebook_dir` and `default_url`. The user's name is not escaped
/// here, and the base URL is the server's own (as JupyterHub's base spawner).
const PATH_FIELDS: &[&str] = &["username", "base_url"];

/// What all servers of a backend are told alike.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The address the server listens on, from its own point of view.
    pub ip: String,
    /// The port it listens on.
    pub port: u16,
    /// Its root directory; may use `{username}` and `{base_url}`.
    pub notebook_dir: Option<String>,
    /// The page it opens with, below its prefix; fields as `notebook_dir`.
    pub default_url: Option<String>,
    /// Memory it may use, in bytes.
    pub memory_limit: Option<u64>,
    /// Memory it is promised, in bytes.
    pub memory_guarantee: Option<u64>,
    /// Processors it may use.
    pub cpu_limit: Option<f64>,
    /// Processors it is promised.
    pub cpu_guarantee: Option<f64>,
    /// The image it runs from, if it runs from one.
    pub image: Option<String>,
    /// Whether it logs in detail.
    pub debug: bool,
    /// Whether it ignores the user's own configuration files.
    pub disable_user_config: bool,
    /// The operator's variables, which have the last word.
    pub environment: BTreeMap<String, SecretString>,
}

impl Default for ServerSettings {
    /// Any address, port 8888, nothing else set.
    fn default() -> Self {
        Self {
            ip: "0.0.0.0".to_owned(),
            port: 8888,
            notebook_dir: None,
            default_url: None,
            memory_limit: None,
            memory_guarantee: None,
            cpu_limit: None,
            cpu_guarantee: None,
            image: None,
            debug: false,
            disable_user_config: false,
            environment: BTreeMap::new(),
        }
    }
}

/// Makes the environment of single-user servers.
///
/// Sets what the JupyterHub packages 0.8 to 6 read, and nothing from the hub's
/// own environment (NBI-3).
#[derive(Clone, Copy, Debug)]
pub struct Environment;

impl Environment {
    /// Whether the line `NAME=value` sets a variable that is new with each start
    /// and says nothing else about the server: its token.
    #[cfg(feature = "docker")]
    pub(crate) fn is_fresh_each_time(line: &str) -> bool {
        line.starts_with("JUPYTERHUB_API_TOKEN=") || line.starts_with("JPY_API_TOKEN=")
    }

    /// The token among a server's variables.
    #[cfg(any(feature = "docker", feature = "process"))]
    pub(crate) fn api_token(variables: &BTreeMap<String, SecretString>) -> Option<&SecretString> {
        variables.get("JUPYTERHUB_API_TOKEN")
    }

    /// A line of shell that takes the token from the file that is its first argument,
    /// and then is the command that follows.
    #[cfg(feature = "swarm")]
    pub(crate) const TOKEN_FROM_FILE: &str = r#"token=$(cat "$1") || exit 1
export JUPYTERHUB_API_TOKEN="$token" JPY_API_TOKEN="$token"
shift
exec "$@""#;

    /// Whether the line `NAME=value` sets the server's token.
    #[cfg(feature = "swarm")]
    pub(crate) fn is_token(name: &str) -> bool {
        matches!(name, "JUPYTERHUB_API_TOKEN" | "JPY_API_TOKEN")
    }

    /// The variables for the server that `request` describes.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] if `notebook_dir` or `default_url` is not a template.
    pub fn variables(
        request: &StartRequest,
        settings: &ServerSettings,
    ) -> Result<BTreeMap<String, SecretString>, InvalidConfig> {
        let mut variables = BTreeMap::new();
        let mut set = |name: &str, value: String| {
            variables.insert(name.to_owned(), SecretString::from(value));
        };
        let links = &request.links;

        set("JUPYTERHUB_CLIENT_ID", links.client_id.clone());
        set("JUPYTERHUB_HOST", links.host.clone());
        set("JUPYTERHUB_OAUTH_CALLBACK_URL", links.oauth_callback.clone());
        set("JUPYTERHUB_USER", request.key.user().to_string());
        set("JUPYTERHUB_SERVER_NAME", request.key.server().to_string());
        set("JUPYTERHUB_API_URL", links.api_url.clone());
        set("JUPYTERHUB_ACTIVITY_URL", links.activity_url.clone());
        set("JUPYTERHUB_BASE_URL", links.base_url.clone());
        set("JUPYTERHUB_SERVICE_PREFIX", links.service_prefix.clone());
        set("JUPYTERHUB_SERVICE_URL", service_url(request, settings));
        set("JUPYTERHUB_PUBLIC_URL", links.public_url.clone());
        set("JUPYTERHUB_PUBLIC_HUB_URL", links.public_hub_url.clone());
        // The hub's cookies carry no `__Host-` prefix, so neither do the server's.
        set("JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED", "0".to_owned());

        let scopes = serde_json::Value::from(request.access_scopes.clone()).to_string();
        set("JUPYTERHUB_OAUTH_ACCESS_SCOPES", scopes.clone());
        // The name that clients before 3.0 read.
        set("JUPYTERHUB_OAUTH_SCOPES", scopes);
        set("JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES", "[]".to_owned());
        if request.admin_access {
            set("JUPYTERHUB_ADMIN_ACCESS", "1".to_owned());
        }

        if let Some(dir) = &settings.notebook_dir {
            set("JUPYTERHUB_ROOT_DIR", path("notebook_dir", dir, request)?);
        }
        if let Some(url) = &settings.default_url {
            set("JUPYTERHUB_DEFAULT_URL", path("default_url", url, request)?);
        }
        if let Some(image) = &settings.image {
            set("JUPYTER_IMAGE_SPEC", image.clone());
        }
        if settings.debug {
            set("JUPYTERHUB_DEBUG", "1".to_owned());
        }
        if settings.disable_user_config {
            set("JUPYTERHUB_DISABLE_USER_CONFIG", "1".to_owned());
        }
        let bytes =
            [("MEM_LIMIT", settings.memory_limit), ("MEM_GUARANTEE", settings.memory_guarantee)];
        for (name, bytes) in bytes {
            if let Some(bytes) = bytes {
                set(name, bytes.to_string());
            }
        }
        let processors =
            [("CPU_LIMIT", settings.cpu_limit), ("CPU_GUARANTEE", settings.cpu_guarantee)];
        for (name, count) in processors {
            if let Some(count) = count {
                // With a decimal point even when whole, as Python prints it.
                set(name, format!("{count:?}"));
            }
        }

        let token = &request.api_token;
        variables.insert("JUPYTERHUB_API_TOKEN".to_owned(), token.clone());
        // The name that clients before 0.8 read.
        variables.insert("JPY_API_TOKEN".to_owned(), token.clone());
        for (name, value) in &request.environment {
            variables.entry(name.clone()).or_insert_with(|| value.clone());
        }
        variables.extend(settings.environment.clone());
        Ok(variables)
    }
}

/// Checks a text that may use the fields of `notebook_dir`.
pub(crate) fn check_path(key: &'static str, text: &str) -> Result<Template, InvalidConfig> {
    Template::parse(text, PATH_FIELDS).map_err(|error| InvalidConfig::new(key, error.to_string()))
}

/// `text` with the fields of `notebook_dir` filled in.
pub(crate) fn render_path(template: &Template, key: &ServerKey, prefix: &str) -> String {
    template.render(|field| match field {
        "username" => key.user().to_string(),
        _ => prefix.to_owned(),
    })
}

fn path(key: &'static str, text: &str, request: &StartRequest) -> Result<String, InvalidConfig> {
    let template = check_path(key, text)?;
    Ok(render_path(&template, &request.key, &request.links.service_prefix))
}

fn service_url(request: &StartRequest, settings: &ServerSettings) -> String {
    format!("http://{}:{}{}", settings.ip, settings.port, request.links.service_prefix)
}

#[cfg(test)]
mod tests;
