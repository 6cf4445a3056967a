//! The variables that the hub's container is started with. No secret is among
//! them: `docker inspect` shows them (security C11). Pure.

use std::collections::BTreeMap;

use toml::Value;

use super::{
    containers::{api_url, has_reference_names},
    files::{CONFIG_DIR, OPERATOR_TOKEN, PROXY_TOKEN, SECRETS_DIR},
    layout::{API_PORT, PROXY_API_PORT, WEB_PORT},
    settings::Settings,
    variables::secret_variables,
};

/// What the operator has set of the hub's own variables, and what the hub has to
/// know of the deployment. The latter wins: it is what was built.
pub(super) fn of_hub(settings: &Settings, trusted: &[String]) -> BTreeMap<String, String> {
    let layout = &settings.layout;
    let mut all = BTreeMap::new();
    let mut set = |name: &str, value: String| {
        all.insert(name.to_owned(), value);
    };
    for (name, value) in settings.variables.forwarded() {
        set(name, value.to_owned());
    }
    for name in secret_variables() {
        let file = format!("{name}_FILE");
        if settings.variables.get(name).or(settings.variables.get(&file)).is_some() {
            set(&file, layout.in_data(&format!("{SECRETS_DIR}/{name}")));
        }
    }
    set("DOCKER_NETWORK_NAME", layout.servers.clone());
    set("DATA_VOLUME_CONTAINER", layout.data_dir.clone());
    // What hub.toml or a variable says is the hub's to read, and to read again.
    if let Some(derived) = &settings.derived_image {
        set("DOCKER_NOTEBOOK_IMAGE", derived.tag.clone());
    }
    set("HUB__HTTP__LISTEN", format!("{}:{WEB_PORT}", layout.web_host()));
    set("HUB__HTTP__PUBLIC_URL", settings.public_url.as_str().trim_end_matches('/').to_owned());
    set("HUB__HTTP__TRUSTED_PROXIES", list(trusted));
    set("HUB__HUB_API__LISTEN", format!("{}:{API_PORT}", layout.api_host()));
    set("HUB__HUB_API__URL", api_url(settings));
    set("HUB__PROXY__API_URL", format!("http://{}:{PROXY_API_PORT}", layout.proxy_host()));
    set("HUB__PROXY__HUB_URL", format!("http://{}:{WEB_PORT}", layout.web_host()));
    set("CONFIGPROXY_AUTH_TOKEN_FILE", layout.in_data(PROXY_TOKEN));
    set("HUB_OPERATOR_TOKEN_FILE", layout.in_data(OPERATOR_TOKEN));
    // For `hub` in the same container.
    set("HUB_TOKEN_FILE", layout.in_data(OPERATOR_TOKEN));
    set("HUB_URL", format!("http://{}:{WEB_PORT}{}", layout.web_host(), settings.base_url()));
    set("DATA_VOLUME_HOST", layout.data.clone());
    set("HUB__SPAWNER__DOCKER__DEPLOYMENT", layout.name.clone());
    if !settings.userlist_is_configured() {
        set("HUB__AUTH__USERLIST", layout.in_data(&format!("{CONFIG_DIR}/userlist")));
    }
    if !has_database(settings) {
        set("HUB__STORE__URL", our_database(settings));
    }
    if settings.setting("store.cookie_secret_file").is_none() {
        set("HUB__STORE__COOKIE_SECRET_FILE", layout.in_data("jupyterhub_cookie_secret"));
    }
    if !has_reference_names(settings) {
        if settings.setting("spawner.docker.prefix").is_none() {
            set("HUB__SPAWNER__DOCKER__PREFIX", format!("jupyter-{}", layout.name));
        }
        if settings.setting("spawner.docker.volumes").is_none() {
            let target = settings
                .variables
                .get("DOCKER_NOTEBOOK_DIR")
                .map(str::to_owned)
                .or_else(|| settings.setting("spawner.docker.notebook_dir"))
                .unwrap_or_else(|| "/home/jovyan/work".to_owned());
            set(
                "HUB__SPAWNER__DOCKER__VOLUMES",
                format!(
                    "{{ {} = {} }}",
                    Value::from(format!("{}-user-{{username}}", layout.name)),
                    Value::from(target)
                ),
            );
        }
    }
    if settings.derived_image.is_some() {
        // The other name of the same key, which would go before it.
        all.remove("HUB__SPAWNER__DOCKER__IMAGE");
    }
    all
}

/// Whether the operator says where the hub's state is.
fn has_database(settings: &Settings) -> bool {
    let database = ["HUB_DATABASE_URL", "POSTGRES_HOST"];
    settings.setting("store.url").is_some()
        || database.iter().any(|name| settings.variables.get(name).is_some())
}

/// The old hub's database has the default's name and is left alone.
fn our_database(settings: &Settings) -> String {
    format!("sqlite://{}", settings.layout.in_data("hub.sqlite"))
}

/// The hub's database, if that is a file in its volume.
pub(super) fn database_file(settings: &Settings) -> Option<String> {
    if !has_database(settings) {
        return Some(our_database(settings));
    }
    settings.setting("store.url").filter(|url| url.starts_with("sqlite:"))
}

fn list(values: &[String]) -> String {
    Value::from(values.to_vec()).to_string()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// What the hub is given of the image, for a directory with these files.
    fn image(files: &[(&str, &str)], given: &[(&str, &str)]) -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
            fs::write(path, text).unwrap();
        }
        let settings = Settings::read(dir.path(), given.iter().copied().collect()).unwrap();
        let all = of_hub(&settings, &[]).into_iter();
        all.filter(|(name, _)| name.ends_with("IMAGE")).collect()
    }

    #[test]
    fn cfg_1_an_image_in_the_configuration_is_not_hidden_by_a_variable() {
        let config = ("hub.toml", "[spawner.docker]\nimage = \"lab:1\"\n");
        let own = ("singleuser/Dockerfile", "FROM x\n");
        let given = ("DOCKER_NOTEBOOK_IMAGE", "lab:2");
        let said = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert!(image(&[config], &[]).is_empty());
        assert_eq!(image(&[config], &[given]), said("DOCKER_NOTEBOOK_IMAGE", "lab:2"));
        let derived = image(&[config, own], &[]);
        assert_eq!(derived, said("DOCKER_NOTEBOOK_IMAGE", "jupyterhub-user"));
        let other = ("HUB__SPAWNER__DOCKER__IMAGE", "lab:2");
        assert_eq!(image(&[own], &[other]), said("DOCKER_NOTEBOOK_IMAGE", "jupyterhub-user"));
    }
}
